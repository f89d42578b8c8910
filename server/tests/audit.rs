//! Enrolment codes that their rights have overtaken, and the audit log that
//! says who did what to whom.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{County, ROUND, document, local, put, round, school};
use duxue_document::DocumentKind::{Ruling, Survey};
use duxue_document::PersonId;
use duxue_protocol::api::{AuditPage, AuditView, Enrol, NewEnrolment};
use duxue_server::random::hex;
use ed25519_dalek::SigningKey;
use serde_json::json;

/// A code for the person, or for someone new.
async fn code(county: &County, by: &str, person: Option<&PersonId>, schools: &[usize]) -> serde_json::Value {
    let new = NewEnrolment {
        person_name: "张三".to_owned(),
        person: person.cloned(),
        round: round(),
        schools: schools.iter().map(|index| school(*index)).collect(),
    };
    let (status, body) = county.server.post(county.token(by), "/api/enrolments", &new).await;
    assert_eq!(status, 201, "{body}");
    body
}

async fn redeem(county: &County, code: &serde_json::Value) -> u16 {
    let key = SigningKey::from_bytes(&[3; 32]);
    let enrol = Enrol {
        code: code["code"].as_str().unwrap().to_owned(),
        public_key: hex(key.verifying_key().as_bytes()),
        device_name: "手机".to_owned(),
    };
    county.server.post("", "/api/enrol", &enrol).await.0
}

/// One step between the making of a code and its use.
enum Step {
    /// Who assigns whom as what where; ended or not.
    Assign(&'static str, &'static str, &'static str, &'static [usize], bool),
    /// The administrator opens another round and makes the person a supervisor in it.
    ElsewhereSupervisor,
    /// The administrator opens another round, makes the person an inspector in it, and ends that.
    ElsewhereEnded,
}
use Step::{Assign, ElsewhereEnded, ElsewhereSupervisor};

/// A name; who made the code; whom it is for (nobody: someone new); what
/// happens before its use; the answer.
type Case = (&'static str, &'static str, Option<&'static str>, &'static [Step], u16);

async fn take(county: &County, step: &Step, target: &PersonId) {
    let assign = |by: &'static str, path: String, body: serde_json::Value| async move {
        let (status, answer) = county.server.post(county.token(by), &path, &body).await;
        assert_eq!(status, 204, "{answer}");
    };
    match step {
        Assign(by, who, role, schools, ended) => {
            let person = if *who == "target" { target } else { &county.tokens[*who].person };
            let schools: BTreeSet<_> = schools.iter().map(|index| school(*index)).collect();
            let body = json!({ "person": person, "role": role, "schools": schools, "ended": ended });
            assign(by, format!("/api/rounds/{ROUND}/assignments"), body).await;
        }
        ElsewhereSupervisor | ElsewhereEnded => {
            let new =
                json!({ "id": "r2", "name": "二", "jurisdiction": "360200", "standard": "cn-youzhi-2017" });
            assert_eq!(county.server.post(county.token("admin"), "/api/rounds", &new).await.0, 201);
            let path = "/api/rounds/r2/assignments".to_owned();
            let (role, ends) =
                if matches!(step, ElsewhereEnded) { ("inspector", true) } else { ("supervisor", false) };
            let body = json!({ "person": target, "role": role, "schools": [], "ended": ends });
            assign("admin", path, body).await;
        }
    }
}

#[tokio::test]
async fn a_code_enrols_by_the_rights_of_the_moment_it_is_used() {
    let cases: &[Case] = &[
        ("nothing has changed", "bureau", Some("second"), &[], 200),
        ("someone new", "bureau", None, &[], 200),
        (
            "a school more",
            "bureau",
            Some("second"),
            &[Assign("bureau", "second", "inspector", &[0, 1], false)],
            200,
        ),
        (
            "the assignment ended",
            "bureau",
            Some("second"),
            &[Assign("bureau", "second", "inspector", &[], true)],
            401,
        ),
        (
            "ended and begun again",
            "bureau",
            Some("second"),
            &[
                Assign("bureau", "second", "inspector", &[], true),
                Assign("bureau", "second", "inspector", &[0], false),
            ],
            401,
        ),
        (
            "a school less",
            "bureau",
            Some("first"),
            &[Assign("bureau", "first", "inspector", &[1], false)],
            401,
        ),
        ("ended before it began", "bureau", None, &[Assign("bureau", "target", "inspector", &[], true)], 401),
        ("a supervisor now", "bureau", None, &[Assign("admin", "target", "supervisor", &[], false)], 401),
        (
            "a supervisor now, by the operator",
            "admin",
            None,
            &[Assign("admin", "target", "bureau", &[], false)],
            401,
        ),
        ("a supervisor elsewhere", "bureau", None, &[ElsewhereSupervisor], 401),
        ("the maker's role ended", "bureau", None, &[Assign("admin", "bureau", "bureau", &[], true)], 401),
    ];
    for (name, by, person, steps, expected) in cases {
        let county = County::new().await;
        let person = person.map(|person| county.tokens[person].person.clone());
        let code = code(&county, by, person.as_ref(), &[0]).await;
        let target: PersonId = serde_json::from_value(code["person"].clone()).unwrap();
        for step in *steps {
            take(&county, step, &target).await;
        }
        let before = county.server.app.rounds.get(&round()).unwrap().assignments.clone();
        assert_eq!(redeem(&county, &code).await, *expected, "{name}");
        if *expected == 401 {
            let after = county.server.app.rounds.get(&round()).unwrap().assignments.clone();
            assert_eq!(before, after, "{name}: a refused code assigned");
            assert_eq!(redeem(&county, &code).await, 401, "{name}: again");
        }
    }
}

#[tokio::test]
async fn nobody_enrols_a_device_for_someone_whose_assignments_ended_elsewhere() {
    let county = County::new().await;
    let target: PersonId = "p-elsewhere".parse().unwrap();
    let new = json!({ "person": target, "name": "王五" });
    assert_eq!(county.server.post(county.token("admin"), "/api/people", &new).await.0, 201);
    take(&county, &ElsewhereEnded, &target).await;
    let new = NewEnrolment {
        person_name: "王五".to_owned(),
        person: Some(target),
        round: round(),
        schools: BTreeSet::new(),
    };
    for (by, expected) in [("bureau", 404), ("admin", 201)] {
        assert_eq!(county.server.post(county.token(by), "/api/enrolments", &new).await.0, expected, "{by}");
    }
}

/// The whole log in pages of `limit`.
async fn log(county: &County, limit: usize) -> Vec<AuditView> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/api/audit?after={after}&limit={limit}");
        let (status, body) = county.server.get(county.token("admin"), &path).await;
        assert_eq!(status, 200, "{body}");
        let page: AuditPage = serde_json::from_value(body).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        after = page.through;
        if !page.more {
            return rows;
        }
    }
}

#[tokio::test]
async fn every_event_names_who_did_it_and_to_whom() {
    let county = County::new().await;
    let server = &county.server;
    let id = |name: &str| county.tokens[name].person.to_string();
    let wrong = json!({ "name": "bureau", "password": "not it" });
    assert_eq!(server.post("", "/api/login", &wrong).await.0, 401);
    let late = code(&county, "bureau", Some(&county.tokens["second"].person), &[0]).await;
    let mut doc = local(Survey, 1);
    put(&mut doc, "quantities/pupils:primary", "500");
    county.client("first").await.sync(document(0, Survey), &mut doc).await;
    common::receipt(&county, "first", document(0, Survey), &doc).await;
    let mut ruling = local(Ruling, 2);
    common::rule(&mut ruling, "ruling-1", "quantities/pupils:primary", "501");
    let mut bureau = county.client("bureau").await;
    bureau.exchange(&county, document(0, Ruling), &mut ruling).await;

    county.assign("second", &[]).await;
    assert_eq!(redeem(&county, &late).await, 401);
    let mut held = local(Survey, 3);
    put(&mut held, "quantities/pupils:primary", "510");
    county.client("second").await.exchange(&county, document(0, Survey), &mut held).await;
    let path = format!("/api/rounds/{ROUND}/held");
    let (_, list) = server.get(county.token("supervisor"), &path).await;
    let number = &list[0]["number"];
    let decision = json!({ "admit": true });
    assert_eq!(server.post(county.token("supervisor"), &format!("{path}/{number}"), &decision).await.0, 200);
    let logout = server.http.delete(server.url("/api/session")).bearer_auth(county.token("first"));
    assert_eq!(common::answer(logout).await.0, 204);

    let rows = log(&county, 500).await;
    assert_eq!(rows, log(&county, 3).await, "pages give the same rows");
    assert!(rows.is_sorted_by(|a, b| a.journal < b.journal));
    // Kind; by whom; the device; a detail that must be there.
    let device = county.tokens["first"].device.as_ref();
    let expected: Vec<(&str, Option<String>, bool, &str, serde_json::Value)> = vec![
        ("person.added", None, false, "via", json!("command_line")),
        ("person.added", Some(id("admin")), false, "person", json!(id("supervisor"))),
        ("login", Some(id("bureau")), false, "", json!(null)),
        ("login.refused", None, false, "person", json!(id("bureau"))),
        ("round.opened", Some(id("admin")), false, "standard", json!("cn-youzhi-2017")),
        ("round.imported", None, false, "schools", json!(2)),
        ("assigned", Some(id("admin")), false, "person", json!(id("supervisor"))),
        ("assigned", Some(id("bureau")), false, "before", json!(["3601000001"])),
        ("enrolment.code", Some(id("bureau")), false, "person", json!(id("second"))),
        ("enrolment.refused", None, false, "made_by", json!(id("bureau"))),
        ("enrolled", Some(id("first")), true, "made_by", json!(id("bureau"))),
        ("survey.written", Some(id("first")), true, "document", json!(document(0, Survey))),
        ("ruling.written", Some(id("bureau")), false, "document", json!(document(0, Ruling))),
        ("receipt", Some(id("first")), true, "documents", json!(1)),
        ("held", Some(id("second")), true, "reason", json!("right_ended")),
        ("held.admitted", Some(id("supervisor")), false, "number", number.clone()),
        ("logout", Some(id("first")), true, "", json!(null)),
    ];
    for (kind, by, on_device, detail, value) in expected {
        let found = rows.iter().any(|row| {
            row.kind == kind
                && row.by.as_ref().map(|by| by.person.to_string()) == by
                && row.by.as_ref().is_some_and(|by| by.device.is_some()) == on_device
                && (detail.is_empty() || row.detail.get(detail) == Some(&value))
        });
        let of_kind: Vec<_> = rows.iter().filter(|row| row.kind == kind).collect();
        assert!(found, "{kind} by {by:?} with {detail} {value}: {of_kind:#?}");
    }
    assert_eq!(
        rows.iter().find(|row| row.kind == "logout").unwrap().by.as_ref().unwrap().device.as_ref(),
        device
    );
    let text = serde_json::to_string(&rows).unwrap();
    for secret in [county.token("first"), late["code"].as_str().unwrap(), "not it", common::PASSWORD] {
        assert!(!text.contains(secret), "the log tells a secret");
    }
}
