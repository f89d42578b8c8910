//! The HTTP interface of a whole server: accounts, rights, receipts, the feed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{County, PASSWORD, ROUND, add_person, document, heads, local, put, receipt, school};
use duxue_document::DocumentKind::Survey;
use duxue_protocol::api::{DeviceSession, Enrol, NewEnrolment, ReceiptAnswer};
use duxue_server::accounts::device_statement;
use duxue_server::audit::By;
use duxue_server::feed::Feed;
use duxue_server::random::hex;
use duxue_server::store::JournalNumber;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_get_the_same_answer() {
    let county = County::new().await;
    let wrong =
        county.server.post("", "/api/login", &json!({ "name": "bureau", "password": "not it at all" })).await;
    let unknown =
        county.server.post("", "/api/login", &json!({ "name": "nobody", "password": PASSWORD })).await;
    assert_eq!(wrong, unknown);
    assert_eq!((wrong.0, wrong.1["code"].as_str()), (401, Some("login.refused")));
}

#[tokio::test]
async fn a_name_has_to_wait_after_many_failures() {
    let county = County::new().await;
    let wrong = json!({ "name": "bureau", "password": "no" });
    let mut last = (0, json!(null));
    for _ in 0..11 {
        last = county.server.post("", "/api/login", &wrong).await;
    }
    assert_eq!((last.0, last.1["code"].as_str()), (429, Some("login.too_many")));
    // A name that nobody can have is refused, and not remembered.
    let long = json!({ "name": "名".repeat(101), "password": "no" });
    for _ in 0..11 {
        let (status, body) = county.server.post("", "/api/login", &long).await;
        assert_eq!((status, body["code"].as_str()), (401, Some("login.refused")));
    }
}

#[tokio::test]
async fn a_code_works_once_and_its_device_proves_itself_by_its_key() {
    let county = County::new().await;
    let new = NewEnrolment {
        person_name: "张三".to_owned(),
        person: None,
        round: common::round(),
        schools: BTreeSet::from([school(1)]),
    };
    let (_, code) = county.server.post(county.token("bureau"), "/api/enrolments", &new).await;
    let key = SigningKey::from_bytes(&[3; 32]);
    let enrol = Enrol {
        code: code["code"].as_str().unwrap().to_owned(),
        public_key: hex(key.verifying_key().as_bytes()),
        device_name: "手机".to_owned(),
    };
    let (status, session) = county.server.post("", "/api/enrol", &enrol).await;
    assert_eq!(status, 200, "{session}");
    let (status, refused) = county.server.post("", "/api/enrol", &enrol).await;
    assert_eq!((status, refused["code"].as_str()), (401, Some("enrol.refused")));

    let (_, packet) =
        county.server.get(session["token"].as_str().unwrap(), &format!("/api/rounds/{ROUND}/packet")).await;
    assert_eq!(packet["schools"].as_array().map(Vec::len), Some(1), "{packet}");
    assert_eq!(packet["schools"][0]["assigned"], true);
    assert_eq!(packet["roles"], json!(["inspector"]));

    let device: duxue_document::DeviceId = serde_json::from_value(session["device"].clone()).unwrap();
    let (_, challenge) = county.server.post("", "/api/challenges", &json!({ "device": device })).await;
    let challenge = challenge["challenge"].as_str().unwrap().to_owned();
    let signature = hex(&key.sign(device_statement(&device, &challenge).as_bytes()).to_bytes());
    let proof = DeviceSession { device: device.clone(), challenge: challenge.clone(), signature };
    let (status, renewed) = county.server.post("", "/api/device-sessions", &proof).await;
    assert_eq!((status, &renewed["device"]), (200, &session["device"]), "{renewed}");
    let (status, replayed) = county.server.post("", "/api/device-sessions", &proof).await;
    assert_eq!((status, replayed["code"].as_str()), (401, Some("device.refused")));
}

#[tokio::test]
async fn a_revoked_device_is_heard_no_more_and_its_owner_may_join_again() {
    let county = County::new().await;
    let session = &county.tokens["second"];
    let device = session.device.clone().unwrap();
    let path = format!("/api/devices/{device}");
    let delete = async |who: &str| {
        let url = county.server.url(&path);
        common::answer(county.server.http.delete(url).bearer_auth(county.token(who))).await.0
    };
    for stranger in ["first", "supervisor"] {
        assert_eq!(delete(stranger).await, 404, "{stranger}");
    }
    assert_eq!(county.server.get(&session.token, "/api/me").await.0, 200);
    assert_eq!(delete("bureau").await, 204);
    assert_eq!(delete("bureau").await, 204, "a second time changes nothing");
    assert_eq!(county.server.get(&session.token, "/api/me").await.0, 401);
    // Its key is the right one, and opens nothing.
    let key = SigningKey::from_bytes(&[7; 32]);
    let (_, challenge) = county.server.post("", "/api/challenges", &json!({ "device": device })).await;
    let challenge = challenge["challenge"].as_str().unwrap().to_owned();
    let signature = hex(&key.sign(device_statement(&device, &challenge).as_bytes()).to_bytes());
    let proof = DeviceSession { device: device.clone(), challenge, signature };
    let (status, refused) = county.server.post("", "/api/device-sessions", &proof).await;
    assert_eq!((status, refused["code"].as_str()), (401, Some("device.refused")));
    let again = county.enrol("second", &[0]).await;
    assert_eq!(county.server.get(&again.token, "/api/me").await.0, 200);
}

#[tokio::test]
async fn people_are_listed_for_those_who_manage_them_and_no_further() {
    let county = County::new().await;
    let list = async |who: &str, query: &str| {
        let (status, body) = county.server.get(county.token(who), &format!("/api/people{query}")).await;
        let people = body.as_array().cloned().unwrap_or_default();
        (status, people)
    };
    let here = format!("?round={ROUND}");
    for (who, query, expected) in
        [("admin", "", 200), ("bureau", "", 404), ("first", &*here, 404), ("supervisor", &*here, 404)]
    {
        assert_eq!(list(who, query).await.0, expected, "{who} {query}");
    }
    let find = |people: &[serde_json::Value], name: &str| {
        people.iter().find(|person| person["name"] == name).cloned().unwrap_or_default()
    };
    let (_, all) = list("admin", "").await;
    assert_eq!(find(&all, "bureau")["login"], "bureau");
    assert_eq!(find(&all, "first")["devices"][0]["name"], "first's phone");
    assert_eq!(find(&all, "first")["devices"][0]["revoked_ms"], json!(null));
    let (status, own) = list("bureau", &here).await;
    assert_eq!((status, own.len()), (200, 4), "{own:?}");
    assert_eq!(find(&own, "admin"), json!(null), "nobody without a role here");
    assert_eq!(find(&own, "first")["assignments"][0]["schools"], json!(["3601000001", "3601000002"]));
    assert_eq!(find(&own, "first")["devices"].as_array().map(Vec::len), Some(1));
    assert_eq!(find(&own, "supervisor")["login"], json!(null), "log-in names are the administrators'");
    assert_eq!(find(&own, "supervisor")["devices"], json!([]));
}

#[tokio::test]
async fn nobody_gains_rights_through_assignments_or_devices_of_others() {
    let county = County::new().await;
    let bureau = county.token("bureau");
    let me = &county.tokens["bureau"].person;
    let assignments = format!("/api/rounds/{ROUND}/assignments");
    for role in ["supervisor", "bureau"] {
        let assignment = json!({ "person": me, "role": role, "schools": [] });
        assert_eq!(county.server.post(bureau, &assignments, &assignment).await.0, 404, "{role}");
    }
    for (name, expected) in [("admin", 404), ("supervisor", 404), ("second", 201)] {
        let person = &county.tokens[name].person;
        let new = json!({ "person_name": "x", "person": person, "round": ROUND, "schools": [] });
        let (status, body) = county.server.post(bureau, "/api/enrolments", &new).await;
        assert_eq!(status, expected, "{name}: {body}");
    }
}

#[tokio::test]
async fn nobody_captures_and_decides_in_one_round() {
    let county = County::new().await;
    let assignments = format!("/api/rounds/{ROUND}/assignments");
    let cases = [
        ("bureau", "bureau", "inspector"),
        ("admin", "supervisor", "inspector"),
        ("admin", "second", "bureau"),
        ("admin", "second", "supervisor"),
    ];
    for (by, name, role) in cases {
        let person = &county.tokens[name].person;
        let assignment = json!({ "person": person, "role": role, "schools": ["3601000001"] });
        let (status, body) = county.server.post(county.token(by), &assignments, &assignment).await;
        assert_eq!((status, &body["code"]), (409, &json!("assignment.duties")), "{by} makes {name} {role}");
    }
    // Once the one has ended, the other may begin.
    let person = &county.tokens["second"].person;
    for (role, ended) in [("inspector", true), ("supervisor", false)] {
        let assignment = json!({ "person": person, "role": role, "schools": [], "ended": ended });
        let answer = county.server.post(county.token("admin"), &assignments, &assignment).await;
        assert_eq!(answer.0, 204, "{role}: {}", answer.1);
    }
}

/// Whoever assigns people in one county learns nothing of another's: someone
/// known there and someone known nowhere get the same answer.
#[tokio::test]
async fn people_of_another_county_are_not_there() {
    let county = County::new().await;
    let admin = county.token("admin").to_owned();
    let other = json!({
        "id": "elsewhere", "name": "别处", "jurisdiction": "360200", "standard": "cn-youzhi-2017",
    });
    assert_eq!(county.server.post(&admin, "/api/rounds", &other).await.0, 201);
    add_person(&county.server, &admin, "foreign bureau").await;
    let bureau = county.server.login("foreign bureau").await;
    let assignment = json!({ "person": bureau.person, "role": "bureau", "schools": [] });
    let path = "/api/rounds/elsewhere/assignments";
    assert_eq!(county.server.post(&admin, path, &assignment).await.0, 204);
    let missing = county.server.get(&bureau.token, "/api/no-such-thing").await;
    for person in [county.tokens["first"].person.as_str(), "p-nobody"] {
        let assignment = json!({ "person": person, "role": "inspector", "schools": [] });
        assert_eq!(county.server.post(&bureau.token, path, &assignment).await, missing, "{person}");
        let new = json!({ "person_name": "x", "person": person, "round": "elsewhere", "schools": [] });
        assert_eq!(county.server.post(&bureau.token, "/api/enrolments", &new).await, missing, "{person}");
    }
    // Who is of no county yet can be given work in any.
    let person = add_person(&county.server, &admin, "new here").await;
    let assignment = json!({ "person": person, "role": "inspector", "schools": [] });
    assert_eq!(county.server.post(&bureau.token, path, &assignment).await.0, 204);
}

#[tokio::test]
async fn a_name_with_blanks_around_it_is_the_same_name() {
    let county = County::new().await;
    let person = county.tokens["bureau"].person.clone();
    for name in [" bureau", "bureau\u{3000}", "\tbureau "] {
        let login = json!({ "name": name, "password": "a password of someone else" });
        let new = json!({ "name": "x", "login": login, "administrator": true });
        let (status, body) = county.server.post(county.token("admin"), "/api/people", &new).await;
        assert_eq!((status, body["code"].as_str()), (409, Some("exists")), "{name:?}: {body}");
    }
    assert_eq!(county.server.login("bureau").await.person, person);
}

#[tokio::test]
async fn a_server_whose_store_works_again_is_ready_again() {
    let store = std::sync::Arc::new(common::Faulty::default());
    let county = County::on(std::sync::Arc::clone(&store) as _, common::folder()).await;
    let ready = async || county.server.get("", "/ready").await.0;
    assert_eq!(ready().await, 204);
    store.full.store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = json!({ "name": "nobody", "password": "wrong" });
    assert_eq!(county.server.post("", "/api/login", &refused).await.0, 507);
    county.server.app.try_store().await;
    assert_eq!(ready().await, 503, "the disk is still full");
    store.full.store(false, std::sync::atomic::Ordering::SeqCst);
    county.server.app.try_store().await;
    assert_eq!(ready().await, 204);
}

/// The mark of a value that took a colleague's place, for the desk.
#[tokio::test]
async fn a_school_says_where_a_claim_replaced_a_colleagues() {
    let county = County::new().await;
    let (id, mut doc) = (document(0, Survey), local(Survey, 1));
    put(&mut doc, "quantities/pupils:primary", "500");
    put(&mut doc, "quantities/computers:whole", "40");
    // One's own correction is not marked.
    put(&mut doc, "quantities/pupils:primary", "510");
    county.client("first").await.sync(id, &mut doc).await;
    let path = format!("/api/rounds/{ROUND}/schools/{}", school(0));
    let marked = async || county.server.get(county.token("bureau"), &path).await.1["replaced"].clone();
    assert_eq!(marked().await, json!([]));
    let mut other = doc.fork().with_actor(automerge::ActorId::from([2; 16]));
    put(&mut other, "quantities/computers:whole", "41");
    county.client("second").await.sync(id, &mut other).await;
    assert_eq!(marked().await, json!(["quantities/computers:whole"]));
}

/// A county's own figures are part of the register for whoever resumes.
#[tokio::test]
async fn an_import_of_county_figures_alone_is_told_to_who_resumes() {
    let county = County::new().await;
    let start = county.server.app.store.last().0;
    let figures = Some(duxue_document::school::Declared::default());
    let by = By::CommandLine;
    county.server.app.rounds.import(&common::round(), Vec::new(), figures, &by, 0).await.unwrap();
    // As after a restart: what happened before is read from the journal.
    let app = &county.server.app;
    let feed = Feed::new(std::sync::Arc::clone(&app.store), std::sync::Arc::clone(&app.rounds));
    let told = feed.after(&common::round(), JournalNumber(start)).await.unwrap();
    assert_eq!(told.iter().map(|change| change.what).collect::<Vec<_>>(), ["register"]);
}

#[tokio::test]
async fn what_a_session_may_not_see_is_not_there() {
    let county = County::new().await;
    let admin = county.token("admin").to_owned();
    add_person(&county.server, &admin, "outsider").await;
    let outsider = county.server.login("outsider").await.token;
    let paths = |path: &str| format!("/api/rounds/{ROUND}/{path}");
    let cases = [
        (county.token("second"), paths("schools/3601000002")),
        (county.token("second"), paths("schools/3601000009")),
        (county.token("second"), paths("schools/3601000002/assessment")),
        (county.token("second"), paths("conflicts")),
        (county.token("second"), paths("assessment")),
        (county.token("second"), paths("held")),
        (county.token("second"), paths("feed")),
        (&admin, paths("schools/3601000001")),
        (&admin, paths("assessment")),
        (&outsider, paths("packet")),
        (&outsider, paths("schools")),
        (&outsider, "/api/rounds/no-such-round/packet".to_owned()),
    ];
    let missing = county.server.get(county.token("bureau"), "/api/no-such-thing").await;
    for (token, path) in cases {
        assert_eq!(county.server.get(token, &path).await, missing, "{path}");
    }
    assert_eq!(county.server.get(&outsider, "/api/rounds").await, (200, json!([])));
    let (_, rows) = county.server.get(county.token("second"), &paths("schools")).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    for token in ["", "not a token"] {
        let (status, body) = county.server.get(token, "/api/me").await;
        assert_eq!((status, body["code"].as_str()), (401, Some("session.missing")));
    }
}

#[tokio::test]
async fn an_assessment_is_for_those_who_may_see_every_campus_in_it() {
    let county = County::new().await;
    let mut branch = common::register_row(1);
    branch.parent = Some(school(0));
    let rows = vec![(branch, duxue_document::school::Declared::default())];
    county.server.app.rounds.import(&common::round(), rows, None, &By::CommandLine, 0).await.unwrap();
    county.server.app.register_changed(&common::round());
    let path = |index: usize| format!("/api/rounds/{ROUND}/schools/{}/assessment", common::SCHOOLS[index]);
    let missing = county.server.get(county.token("bureau"), "/api/no-such-thing").await;
    for index in [0, 1] {
        assert_eq!(county.server.get(county.token("first"), &path(index)).await.0, 200);
        assert_eq!(county.server.get(county.token("bureau"), &path(index)).await.0, 200);
        assert_eq!(county.server.get(county.token("second"), &path(index)).await, missing);
    }
}

#[tokio::test]
async fn a_wrong_method_body_or_size_gets_a_problem() {
    let county = County::new().await;
    let server = &county.server;
    let (status, body) = server.get("", "/api/login").await;
    assert_eq!((status, body["code"].as_str()), (405, Some("method")));
    for (sent, expected) in [("{", 400), ("[]", 400), ("{\"name\": 1}", 400)] {
        let request = server.http.post(server.url("/api/login")).body(sent);
        let (status, body) = common::answer(request).await;
        assert_eq!(status, expected, "{body}");
        assert_eq!(body["code"], "request.malformed");
        assert!(body["message_zh"].is_string() && body["message_en"].is_string());
    }
    let large = server.http.post(server.url("/api/login")).body(vec![b' '; 5 << 20]);
    let (status, body) = common::answer(large).await;
    assert_eq!((status, body["code"].as_str()), (413, Some("request.too_large")));
    for path in ["/api/login", "/api/enrol", "/api/challenges", "/api/device-sessions"] {
        let request = server.http.post(server.url(path)).body(vec![b' '; 5 << 10]);
        let (status, body) = common::answer(request).await;
        assert_eq!((status, body["code"].as_str()), (413, Some("request.too_large")), "{path}");
    }
    let round = json!({ "id": "r2", "name": "二", "jurisdiction": "360100", "standard": "no-such-standard" });
    let (status, body) = server.post(county.token("admin"), "/api/rounds", &round).await;
    assert_eq!((status, body["code"].as_str()), (422, Some("round.standard")));
}

#[tokio::test]
async fn a_receipt_states_what_is_durable_and_verifies() {
    let county = County::new().await;
    let id = document(0, Survey);
    let mut doc = local(Survey, 1);
    put(&mut doc, "quantities/pupils:primary", "500");
    let before = receipt(&county, "first", id, &doc).await;
    assert!(before["missing_heads"][id.to_string()].is_array());
    county.client("first").await.sync(id, &mut doc).await;
    let answer: ReceiptAnswer = serde_json::from_value(receipt(&county, "first", id, &doc).await).unwrap();
    let statement = answer.receipt.verify(&county.tokens["first"].server_key).unwrap();
    assert_eq!(statement.heads.get(&id), Some(&heads(&doc)));
    assert!(answer.missing_heads.is_empty());
    let not_mine = receipt(&county, "second", document(1, Survey), &local(Survey, 1)).await;
    assert!(not_mine["missing_heads"][document(1, Survey).to_string()].is_array(), "{not_mine}");
}

#[tokio::test]
async fn evidence_names_the_device_for_those_at_the_desk() {
    let county = County::new().await;
    let mut doc = local(Survey, 1);
    put(&mut doc, "quantities/pupils:primary", "500");
    county.client("first").await.sync(document(0, Survey), &mut doc).await;
    let school = format!("/api/rounds/{ROUND}/schools/3601000001");
    for (who, name) in
        [("bureau", json!("first's phone")), ("supervisor", json!("first's phone")), ("first", json!(null))]
    {
        let (_, view) = county.server.get(county.token(who), &school).await;
        let actors: Vec<&serde_json::Value> = view["actors"].as_object().unwrap().values().collect();
        assert_eq!(actors.len(), 1, "{view}");
        assert_eq!(actors[0]["device_name"], name, "{who}");
        assert_eq!(actors[0]["device"], json!(county.tokens["first"].device), "{who}");
    }
}

#[tokio::test]
async fn the_feed_tells_of_changes_and_resumes() {
    let county = County::new().await;
    let id = document(0, Survey);
    let start = county.server.app.store.last().0;
    let mut doc = local(Survey, 1);
    put(&mut doc, "quantities/pupils:primary", "500");
    let url = county.server.url(&format!("/api/rounds/{ROUND}/feed"));
    let mut live = county.server.http.get(&url).bearer_auth(county.token("bureau")).send().await.unwrap();
    county.client("first").await.sync(id, &mut doc).await;
    assert!(event(&mut live).await.contains("\"kind\":\"survey\""));
    let late = county.server.http.get(&url).bearer_auth(county.token("bureau"));
    let mut late = late.header("last-event-id", (start + 64).to_string()).send().await.unwrap();
    let told = event(&mut late).await;
    assert!(told.contains("event:change") && told.contains("3601000001"), "{told}");
}

async fn event(response: &mut reqwest::Response) -> String {
    let mut text = String::new();
    while !text.contains("\n\n") || !text.contains("data:") {
        let part = response.chunk().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&part).unwrap());
    }
    text
}
