//! `openapi.yaml` held against the running server: every operation is called,
//! its status must be declared, and its answer must have the required fields.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{County, PASSWORD, ROUND, document, local, put};
use duxue_document::DocumentKind::Survey;
use reqwest::Method;
use serde_json::{Value, json};

const TEXT: &str = include_str!("../openapi.yaml");
const API: &str = include_str!("../../schemas/protocol/src/api.rs");

#[derive(Default, Debug)]
struct Operation {
    statuses: BTreeSet<u16>,
    /// The schema of the answer that is not a problem, and whether it is a list.
    answer: Option<(String, bool)>,
}

type Operations = BTreeMap<(String, String), Operation>;

/// Reads as much of the description as this test needs, by its indentation.
fn described() -> (Operations, BTreeMap<String, Vec<String>>) {
    let mut operations: Operations = BTreeMap::new();
    let mut required = BTreeMap::new();
    let (mut path, mut method, mut schema) = (String::new(), String::new(), String::new());
    let mut in_schemas = false;
    for line in TEXT.lines() {
        let indent = line.len() - line.trim_start().len();
        let word = line.trim().trim_end_matches(':');
        in_schemas |= line == "  schemas:";
        match indent {
            2 if word.starts_with('/') => path = word.to_owned(),
            4 if in_schemas => schema = word.to_owned(),
            4 if !path.is_empty() && line.ends_with(':') && word != "parameters" => method = word.to_owned(),
            6 if in_schemas && word.starts_with("required: [") => {
                let list = word.trim_start_matches("required: [").trim_end_matches(']');
                required.insert(
                    schema.clone(),
                    list.split(", ").filter(|f| !f.is_empty()).map(str::to_owned).collect(),
                );
            }
            8 if word.starts_with('\'') && !in_schemas => {
                let status = word[1..4].parse().unwrap();
                operations.entry((method.to_uppercase(), path.clone())).or_default().statuses.insert(status);
            }
            12 if line.contains("application/json: {schema:") && !in_schemas => {
                let name = line.split("schemas/").nth(1).unwrap().split('\'').next().unwrap();
                let list = line.contains("type: array");
                if let Some(operation) = operations.get_mut(&(method.to_uppercase(), path.clone())) {
                    operation.answer = Some((name.to_owned(), list));
                }
            }
            _ => {}
        }
    }
    (operations, required)
}

#[test]
fn every_route_of_the_types_is_described() {
    let (operations, _) = described();
    let paths: BTreeSet<&str> = operations.keys().map(|(_, path)| path.as_str()).collect();
    for line in API.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        for part in line.split('`').skip(1).step_by(2) {
            let path = part.split('?').next().unwrap();
            if path.starts_with('/') && !path.contains('…') {
                assert!(paths.contains(path), "{path} is not in openapi.yaml");
            }
        }
    }
}

#[tokio::test]
async fn the_server_answers_as_described() {
    let (operations, required) = described();
    let county = County::new().await;
    let mut doc = local(Survey, 1);
    put(&mut doc, "quantities/pupils:primary", "500");
    county.client("first").await.sync(document(0, Survey), &mut doc).await;
    let mut other = local(Survey, 2);
    put(&mut other, "quantities/pupils:primary", "510");
    county.client("second").await.sync(document(0, Survey), &mut other).await;

    let person = county.tokens["second"].person.clone();
    let login = json!({ "name": "bureau", "password": PASSWORD });
    let round = json!({ "id": "r2", "name": "二", "jurisdiction": "360100", "standard": "cn-youzhi-2017" });
    let enrolment = json!({ "person_name": "李四", "round": ROUND, "schools": ["3601000001"] });
    let enrol = json!({ "code": "no-such-code", "public_key": "00".repeat(32), "device_name": "x" });
    let proof = json!({ "device": "d", "challenge": "00".repeat(32), "signature": "00".repeat(64) });
    let assignment = json!({ "person": person, "role": "inspector", "schools": ["3601000001"] });
    let none = Value::Null;
    let here = |path: &str| format!("/api/rounds/{{round}}{path}");
    let bad =
        json!({ "changes": [{ "change": "buy_equipment", "school": "3601000009", "value_yuan": "1" }] });
    let rows: Vec<(&str, String, &str, Value, u16)> = vec![
        ("POST", "/api/login".into(), "", login, 200),
        ("POST", "/api/login".into(), "", json!({ "name": "x", "password": "y" }), 401),
        ("POST", "/api/login".into(), "", json!([]), 400),
        ("POST", "/api/enrolments".into(), "bureau", enrolment.clone(), 201),
        ("POST", "/api/enrolments".into(), "first", enrolment, 404),
        ("POST", "/api/enrol".into(), "", enrol, 401),
        ("POST", "/api/challenges".into(), "", json!({ "device": "d" }), 200),
        ("POST", "/api/device-sessions".into(), "", proof, 401),
        ("POST", "/api/people".into(), "admin", json!({ "name": "王五" }), 201),
        ("POST", "/api/people".into(), "bureau", json!({ "name": "王五" }), 404),
        ("GET", "/api/me".into(), "first", none.clone(), 200),
        ("GET", "/api/me".into(), "", none.clone(), 401),
        ("GET", "/api/rounds".into(), "first", none.clone(), 200),
        ("POST", "/api/rounds".into(), "admin", round.clone(), 201),
        ("POST", "/api/rounds".into(), "admin", round, 409),
        ("GET", here("/packet"), "first", none.clone(), 200),
        ("POST", here("/import"), "bureau", json!("not a workbook"), 200),
        ("POST", here("/import"), "first", json!("not a workbook"), 404),
        ("POST", here("/assignments"), "bureau", assignment, 204),
        ("GET", here("/held"), "supervisor", none.clone(), 200),
        ("POST", here("/held/{number}"), "supervisor", json!({ "admit": true }), 404),
        ("GET", here("/schools"), "first", none.clone(), 200),
        ("GET", here("/schools/{school}"), "first", none.clone(), 200),
        ("GET", here("/schools/{school}/assessment"), "first", none.clone(), 200),
        ("GET", here("/assessment"), "bureau", none.clone(), 200),
        ("GET", here("/conflicts"), "bureau", none.clone(), 200),
        ("POST", here("/what-if"), "bureau", json!({ "changes": [] }), 200),
        ("POST", here("/what-if"), "bureau", bad, 422),
        ("GET", here("/feed"), "first", none.clone(), 404),
        ("POST", "/api/receipts".into(), "first", json!({}), 200),
        ("OPTIONS", "/api/files".into(), "", none.clone(), 204),
        ("POST", "/api/files".into(), "first", none.clone(), 412),
        ("HEAD", "/api/files/{upload}".into(), "first", none.clone(), 412),
        ("PATCH", "/api/files/{upload}".into(), "first", none.clone(), 412),
        ("DELETE", "/api/files/{upload}".into(), "first", none.clone(), 412),
        ("GET", "/api/photos/{sha256}".into(), "first", none.clone(), 404),
        ("GET", "/api/photos/{sha256}/thumbnail".into(), "first", none.clone(), 404),
        ("GET", "/sync".into(), "first", none.clone(), 426),
        ("GET", "/health".into(), "", none.clone(), 200),
        ("GET", "/ready".into(), "", none.clone(), 204),
        ("GET", "/metrics".into(), "", none.clone(), 200),
        ("GET", "/openapi.yaml".into(), "", none.clone(), 200),
        ("DELETE", "/api/session".into(), "second", none, 204),
    ];
    let mut called = BTreeSet::new();
    for (method, template, who, body, expected) in rows {
        let operation = operations.get(&(method.to_owned(), template.clone()));
        let operation = operation.unwrap_or_else(|| panic!("{method} {template} is not described"));
        called.insert((method.to_owned(), template.clone()));
        let path = template
            .replace("{round}", ROUND)
            .replace("{school}", "3601000001")
            .replace("{number}", "77")
            .replace("{upload}", &"0".repeat(32))
            .replace("{sha256}", &"0".repeat(64));
        let token = if who.is_empty() { "" } else { county.token(who) };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request =
            county.server.http.request(method.clone(), county.server.url(&path)).bearer_auth(token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, answer) = common::answer(request).await;
        assert_eq!(status, expected, "{method} {path} as {who}: {answer}");
        assert!(operation.statuses.contains(&status), "{method} {template} does not declare {status}");
        let schema = match &operation.answer {
            _ if status >= 400 && method != Method::HEAD => Some(("Problem", &answer)),
            Some((schema, true)) if status < 300 => answer.get(0).map(|first| (schema.as_str(), first)),
            Some((schema, false)) if status < 300 => Some((schema.as_str(), &answer)),
            _ => None,
        };
        if let Some((schema, object)) = schema {
            for field in &required[schema] {
                assert!(object.get(field).is_some(), "{method} {template}: no `{field}` in {object}");
            }
        }
    }
    let uncalled: Vec<_> = operations.keys().filter(|operation| !called.contains(*operation)).collect();
    assert!(uncalled.is_empty(), "described, but not called: {uncalled:?}");
}
