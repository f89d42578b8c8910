//! `openapi.yaml` held against the running server: every operation is called,
//! its status must be declared, and its answer must fit its schema, to the
//! innermost field.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{County, PASSWORD, ROUND, add_person, document, local, put};
use duxue_document::DocumentKind::{County as CountyDocument, Ruling, Survey};
use duxue_server::accounts::device_statement;
use duxue_server::random::hex;
use ed25519_dalek::{Signer, SigningKey};
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

const TEXT: &str = include_str!("../openapi.yaml");
const API: &str = include_str!("../../schemas/protocol/src/api/mod.rs");
const METHODS: [&str; 7] = ["get", "post", "put", "delete", "patch", "head", "options"];

/// The description, with what it says of every operation.
struct Described {
    text: Value,
    operations: BTreeMap<(String, String), Value>,
}

impl Described {
    fn read() -> Self {
        let text: Value = serde_saphyr::from_str(TEXT).unwrap();
        let mut operations = BTreeMap::new();
        for (path, item) in text["paths"].as_object().unwrap() {
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    operations.insert((method.to_uppercase(), path.clone()), operation.clone());
                }
            }
        }
        Self { text, operations }
    }

    /// What an operation answers with a status.
    fn answer(&self, operation: &(String, String), status: u16) -> Value {
        let answer = &self.operations[operation]["responses"][status.to_string()];
        assert!(!answer.is_null(), "{operation:?} does not declare {status}");
        match answer["$ref"].as_str() {
            Some(reference) => self.text.pointer(reference.trim_start_matches('#')).unwrap().clone(),
            None => answer.clone(),
        }
    }

    /// A validator of a schema of this description.
    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.text["components"].clone();
        jsonschema::draft202012::new(&whole).unwrap()
    }

    /// Where a value does not fit a schema.
    fn misfits(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
    }
}

#[test]
fn every_route_of_the_types_is_described_and_every_schema_is_used() {
    let described = Described::read();
    let paths: BTreeSet<&str> = described.operations.keys().map(|(_, path)| path.as_str()).collect();
    for line in API.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        for part in line.split('`').skip(1).step_by(2) {
            let path = part.split('?').next().unwrap();
            if path.starts_with('/') && !path.contains('…') {
                assert!(paths.contains(path), "{path} is not in openapi.yaml");
            }
        }
    }
    for name in described.text["components"]["schemas"].as_object().unwrap().keys() {
        assert!(TEXT.contains(&format!("'#/components/schemas/{name}'")), "{name} is not used");
        described.validator(&json!({ "$ref": format!("#/components/schemas/{name}") }));
    }
}

/// A client made from the description knows what any failure looks like, and
/// that whoever has no session yet can open one.
#[test]
fn every_operation_says_how_it_fails_and_whom_it_asks_for_a_token() {
    let described = Described::read();
    let problem = json!({ "$ref": "#/components/responses/Problem" });
    let mut open = BTreeSet::new();
    for ((method, path), operation) in &described.operations {
        assert_eq!(operation["responses"]["default"], problem, "{method} {path}");
        if operation["security"] == json!([]) {
            open.insert(path.as_str());
        }
    }
    for path in ["/api/login", "/api/enrol", "/api/challenges", "/api/device-sessions"] {
        assert!(open.contains(path), "{path} needs no token");
    }
}

#[test]
fn what_does_not_fit_is_found_at_any_depth() {
    let described = Described::read();
    let entry = json!({
        "candidates": [{
            "op": "3@0a", "value": { "value": "500" }, "photos": [], "note": null,
            "captured": {
                "device_time_ms": 1, "clock_offset_ms": null, "boot_id": "b", "counter": 0, "place": null,
            },
        }],
        "value": { "state": "agreed", "op": "3@0a", "value": { "value": "500" } },
        "review": { "state": "unreviewed" },
    });
    let schema = json!({ "$ref": "#/components/schemas/Entry" });
    assert_eq!(described.misfits(&schema, &entry), [""; 0]);
    let cases: [(&str, Value); 6] = [
        ("/candidates/0/op", json!("3")),
        ("/candidates/0/captured/counter", json!(-1)),
        ("/candidates/0/captured/unknown", json!(1)),
        ("/candidates/0/value/value", json!(500)),
        ("/value/state", json!("maybe")),
        ("/review", json!({})),
    ];
    for (place, wrong) in cases {
        let mut other = entry.clone();
        let (parent, key) = place.rsplit_once('/').unwrap();
        other.pointer_mut(parent).unwrap()[key] = wrong;
        assert_ne!(described.misfits(&schema, &other), [""; 0], "{place}");
    }
}

/// A call: method, path, who, body, status.
type Call = (&'static str, String, &'static str, Value, u16);

#[tokio::test]
async fn the_server_answers_as_described() {
    let described = Described::read();
    let county = busy().await;
    let mut called: BTreeMap<(String, String), BTreeSet<u16>> = BTreeMap::new();
    for (method, template, who, body, expected) in calls(&county).await {
        let operation = (method.to_owned(), template.clone());
        assert!(described.operations.contains_key(&operation), "{operation:?} is not described");
        let path = template
            .replace("{round}", ROUND)
            .replace("{school}", "3601000001")
            .replace("{path}", "quantities%2Fpupils:primary")
            .replace("{number}", "1")
            .replace("{device}", county.tokens["third"].device.as_ref().unwrap().as_str())
            .replace("{upload}", &"0".repeat(32))
            .replace("{sha256}", &"0".repeat(64));
        let token = if who.is_empty() { "" } else { county.token(who) };
        let verb = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = county.server.http.request(verb, county.server.url(&path)).bearer_auth(token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, answer) = common::answer(request).await;
        assert_eq!(status, expected, "{method} {path} as {who}: {answer}");
        called.entry(operation.clone()).or_default().insert(status);

        let asked = &described.operations[&operation]["requestBody"]["content"]["application/json"]["schema"];
        if status < 300 && asked.is_object() {
            assert_eq!(described.misfits(asked, &body), [""; 0], "the body of {method} {template}");
        }
        let declared = described.answer(&operation, status);
        let schema = &declared["content"]["application/json"]["schema"];
        if schema.is_object() && method != "HEAD" {
            let misfits = described.misfits(schema, &answer);
            assert_eq!(misfits, [""; 0], "{method} {template} {status}: {answer:#}");
        } else if declared["content"].is_null() {
            assert_eq!(answer, json!(""), "{method} {template} {status} is to have no body");
        }
    }
    for (operation, said) in &described.operations {
        let statuses = called.get(operation).unwrap_or_else(|| panic!("{operation:?} is not called"));
        let answers = said["responses"].as_object().unwrap();
        let with_json = |(status, answer): (&String, &Value)| {
            let json = answer["content"]["application/json"].is_object();
            (json && status.starts_with('2')).then(|| status.parse::<u16>().unwrap())
        };
        if let Some(status) = answers.iter().find_map(with_json) {
            assert!(statuses.contains(&status), "{operation:?} is not called with success");
        }
    }
}

/// A county in which every kind of answer has something to say.
async fn busy() -> County {
    let mut county = County::new().await;
    for (name, actor, value) in [("first", 1, "500"), ("second", 2, "510")] {
        let mut doc = local(Survey, actor);
        put(&mut doc, "quantities/pupils:primary", value);
        county.client(name).await.sync(document(0, Survey), &mut doc).await;
    }
    let mut rulings = local(Ruling, 3);
    common::rule(&mut rulings, "ruling-1", "quantities/computers:whole", "41");
    county.client("bureau").await.sync(document(0, Ruling), &mut rulings).await;
    for (actor, value) in [(4, "90"), (5, "95")] {
        let mut doc = local(CountyDocument, actor);
        put(&mut doc, "quantities/satisfaction:whole", value);
        let mut bureau = county.client("bureau").await;
        bureau.sync(common::county_document(), &mut doc).await;
    }
    let session = county.enrol("third", &[1]).await;
    county.tokens.insert("third", session);
    county.assign("third", &[]).await;
    let mut held = local(Survey, 6);
    put(&mut held, "quantities/pupils:primary", "7");
    county.client("third").await.exchange(&county, document(1, Survey), &mut held).await;
    let admin = county.token("admin").to_owned();
    add_person(&county.server, &admin, "leaver").await;
    let leaver = county.server.login("leaver").await;
    county.tokens.insert("leaver", leaver);
    county
}

async fn calls(county: &County) -> Vec<Call> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let device = county.tokens["first"].device.clone().unwrap();
    let (_, challenge) = county.server.post("", "/api/challenges", &json!({ "device": device })).await;
    let challenge = challenge["challenge"].as_str().unwrap();
    let signature = hex(&key.sign(device_statement(&device, challenge).as_bytes()).to_bytes());
    let proof = json!({ "device": device, "challenge": challenge, "signature": signature });
    let enrolment = json!({ "person_name": "李四", "round": ROUND, "schools": ["3601000001"] });
    let (_, code) = county.server.post(county.token("bureau"), "/api/enrolments", &enrolment).await;
    let public_key = hex(key.verifying_key().as_bytes());
    let enrol = json!({ "code": code["code"], "public_key": public_key, "device_name": "x" });

    let person = county.tokens["second"].person.clone();
    let login = json!({ "name": "bureau", "password": PASSWORD });
    let round = json!({ "id": "r2", "name": "二", "jurisdiction": "360100", "standard": "cn-youzhi-2017" });
    let assignment = json!({ "person": person, "role": "inspector", "schools": ["3601000001"] });
    let none = Value::Null;
    let here = |path: &str| format!("/api/rounds/{{round}}{path}");
    let change = |school: &str| json!({ "changes": [{ "change": "buy_equipment", "school": school, "value_yuan": "1" }] });
    let asked =
        json!({ "heads": { document(0, Survey).to_string(): ["0".repeat(64)] }, "photos": ["0".repeat(64)] });
    vec![
        ("POST", "/api/login".into(), "", login, 200),
        ("POST", "/api/login".into(), "", json!({ "name": "x", "password": "y" }), 401),
        ("POST", "/api/login".into(), "", json!([]), 400),
        ("POST", "/api/enrolments".into(), "bureau", enrolment.clone(), 201),
        ("POST", "/api/enrolments".into(), "first", enrolment, 404),
        ("POST", "/api/enrol".into(), "", enrol.clone(), 200),
        ("POST", "/api/enrol".into(), "", enrol, 401),
        ("POST", "/api/challenges".into(), "", json!({ "device": "d" }), 200),
        ("POST", "/api/device-sessions".into(), "", proof.clone(), 200),
        ("POST", "/api/device-sessions".into(), "", proof, 401),
        ("POST", "/api/people".into(), "admin", json!({ "name": "王五" }), 201),
        ("POST", "/api/people".into(), "bureau", json!({ "name": "王五" }), 404),
        ("GET", "/api/people".into(), "admin", none.clone(), 200),
        ("GET", "/api/people".into(), "bureau", none.clone(), 404),
        ("DELETE", "/api/devices/{device}".into(), "first", none.clone(), 404),
        ("DELETE", "/api/devices/{device}".into(), "bureau", none.clone(), 204),
        ("GET", here("/standard"), "first", none.clone(), 200),
        ("GET", here("/standard"), "leaver", none.clone(), 404),
        ("GET", here("/waiting"), "bureau", none.clone(), 200),
        ("GET", here("/waiting"), "first", none.clone(), 404),
        ("GET", "/api/me".into(), "first", none.clone(), 200),
        ("GET", "/api/me".into(), "", none.clone(), 401),
        ("GET", "/api/rounds".into(), "first", none.clone(), 200),
        ("POST", "/api/rounds".into(), "admin", round.clone(), 201),
        ("POST", "/api/rounds".into(), "admin", round, 409),
        ("GET", here("/packet"), "first", none.clone(), 200),
        ("GET", here("/packet"), "bureau", none.clone(), 200),
        ("POST", here("/import"), "bureau", json!("not a workbook"), 200),
        ("POST", here("/import"), "first", json!("not a workbook"), 404),
        ("GET", here("/import/template"), "bureau", none.clone(), 200),
        ("GET", here("/import/template"), "first", none.clone(), 404),
        ("POST", here("/assignments"), "bureau", assignment, 204),
        ("GET", here("/held"), "supervisor", none.clone(), 200),
        ("GET", here("/set-aside"), "supervisor", none.clone(), 200),
        ("GET", here("/set-aside"), "bureau", none.clone(), 404),
        ("GET", here("/held/{number}"), "supervisor", none.clone(), 200),
        ("GET", here("/held/{number}"), "bureau", none.clone(), 404),
        ("POST", here("/held/{number}"), "bureau", json!({ "admit": true }), 404),
        ("POST", here("/held/{number}"), "supervisor", json!({ "admit": true }), 200),
        ("POST", here("/held/{number}"), "supervisor", json!({ "admit": true }), 409),
        ("GET", here("/held/{number}"), "supervisor", none.clone(), 409),
        ("GET", here("/schools"), "first", none.clone(), 200),
        ("GET", here("/schools/{school}"), "first", none.clone(), 200),
        ("GET", here("/schools/{school}/entries/{path}/history"), "first", none.clone(), 200),
        ("GET", here("/schools/{school}/entries/{path}/history"), "admin", none.clone(), 404),
        ("GET", here("/schools/{school}/assessment"), "first", none.clone(), 200),
        ("GET", here("/assessment"), "bureau", none.clone(), 200),
        ("GET", here("/forms"), "bureau", none.clone(), 200),
        ("GET", here("/forms"), "first", none.clone(), 404),
        ("GET", here("/county"), "bureau", none.clone(), 200),
        ("GET", here("/county"), "first", none.clone(), 404),
        ("GET", here("/conflicts"), "bureau", none.clone(), 200),
        ("GET", here("/decisions"), "bureau", none.clone(), 200),
        ("GET", here("/decisions"), "first", none.clone(), 404),
        ("POST", here("/what-if"), "bureau", json!({ "changes": [] }), 200),
        ("POST", here("/what-if"), "bureau", change("3601000009"), 422),
        ("GET", here("/feed"), "first", none.clone(), 404),
        ("POST", "/api/receipts".into(), "first", asked, 200),
        ("OPTIONS", "/api/files".into(), "", none.clone(), 204),
        ("POST", "/api/files".into(), "first", none.clone(), 412),
        ("HEAD", "/api/files/{upload}".into(), "first", none.clone(), 412),
        ("PATCH", "/api/files/{upload}".into(), "first", none.clone(), 412),
        ("DELETE", "/api/files/{upload}".into(), "first", none.clone(), 412),
        ("GET", "/api/photos/{sha256}".into(), "first", none.clone(), 404),
        ("GET", "/api/photos/{sha256}/thumbnail".into(), "first", none.clone(), 404),
        ("GET", "/sync".into(), "first", none.clone(), 426),
        ("GET", "/api/audit".into(), "admin", none.clone(), 200),
        ("GET", "/api/audit".into(), "bureau", none.clone(), 404),
        ("GET", "/health".into(), "", none.clone(), 200),
        ("GET", "/ready".into(), "", none.clone(), 204),
        ("GET", "/metrics".into(), "", none.clone(), 200),
        ("GET", "/openapi.yaml".into(), "", none.clone(), 200),
        ("DELETE", "/api/session".into(), "leaver", none, 204),
    ]
}
