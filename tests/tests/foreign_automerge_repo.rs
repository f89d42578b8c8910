//! The real packages of automerge-repo against our server and our client:
//! they find, read and edit surveys together, across cut connections, killed
//! servers and restarts, and what they write loses nothing.

use duxue_document::{DocumentId, DocumentKind, RoundId, genesis};
use duxue_tests::foreign::{
    Foreign, OTHER_SCHOOL, SCHOOL, captured, document, school, state, survey, values,
};
use duxue_tests::node::Node;
use duxue_tests::round::{ROUND, Round};
use serde_json::{Value, json};

#[test]
fn with_memory_storage_it_works_with_our_client_across_kills() {
    together_across_kills(None);
}

#[test]
fn with_file_storage_it_works_with_our_client_across_kills() {
    together_across_kills(Some("anna"));
}

fn together_across_kills(folder: Option<&str>) {
    let mut round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    round.inspector("anna", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");

    // Found, read, and edited by both.
    let mut anna = Node::start(&round, "anna", folder);
    let found = anna.call("find", json!({ "document": survey(SCHOOL) }));
    let containers: Vec<&str> = found.as_object().expect("a map").keys().map(String::as_str).collect();
    for container in genesis::containers(DocumentKind::Survey) {
        assert!(containers.contains(container), "no {container} in {containers:?}");
    }
    state(&wang, "books", "1200");
    let _ = wang.run(&["sync"]);
    anna.until_quantity(SCHOOL, "books:whole", "1200");
    anna.put_quantity(SCHOOL, "computers:whole", "40");
    anna.until_durable(SCHOOL);

    // The server dies; both go on, and it comes back.
    round.kill();
    anna.put_quantity(SCHOOL, "multimedia_rooms:whole", "14");
    state(&wang, "multimedia_rooms", "15");
    round.start();
    anna.until_durable(SCHOOL);
    let _ = wang.run(&["sync"]);
    let seen = values(&school(&bureau, SCHOOL), "quantities/multimedia_rooms:whole");
    assert_eq!(seen, [json!("14"), json!("15")], "both counts are candidates");

    // The process dies; what it has kept is there without the server.
    anna.call("flush", json!({}));
    anna.kill();
    if let Some(folder) = folder {
        let mut anna = Node::offline(&round, folder);
        let kept = anna.call("find", json!({ "document": survey(SCHOOL) }));
        assert_eq!(kept["quantities"]["computers:whole"]["value"], "40");
        anna.put_quantity(SCHOOL, "pianos:whole", "3");
        anna.call("flush", json!({}));
        anna.kill();
    }
    let mut anna = Node::start(&round, "anna", folder);
    let found = anna.call("find", json!({ "document": survey(SCHOOL) }));
    assert_eq!(found["quantities"]["computers:whole"]["value"], "40");
    anna.until_durable(SCHOOL);
    let pianos = if folder.is_some() { vec![json!("3")] } else { Vec::new() };
    assert_eq!(values(&school(&bureau, SCHOOL), "quantities/pianos:whole"), pianos);

    // Each still has what the other states.
    state(&wang, "books", "1250");
    let _ = wang.run(&["sync"]);
    anna.until_quantity(SCHOOL, "books:whole", "1250");
    anna.put_quantity(SCHOOL, "computers:whole", "41");
    anna.until_durable(SCHOOL);
    let _ = wang.run(&["sync"]);
    let shown = wang.run(&["survey", SCHOOL]);
    assert!(json!(shown).to_string().contains("\"41\""), "our client shows what the other stated: {shown:?}");
    assert_eq!(school(&bureau, SCHOOL)["findings"], json!([]));
}

/// A document that a client makes before it ever spoke to the server is the
/// same document.
#[test]
fn a_document_begun_without_the_server_is_the_rounds_document() {
    let mut round = Round::open();
    round.inspector("anna", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");
    let token = Node::start(&round, "anna", None).call("token", json!({}));
    round.kill();
    let mut anna = Node::open(json!({ "server": round.url(), "token": token }));
    let first: String =
        genesis::chunk(DocumentKind::Survey).iter().map(|byte| format!("{byte:02x}")).collect();
    anna.call("create", json!({ "document": survey(SCHOOL), "genesis": first }));
    anna.put_quantity(SCHOOL, "books:whole", "7");
    round.start();
    anna.until_durable(SCHOOL);
    let seen = school(&bureau, SCHOOL);
    assert_eq!(values(&seen, "quantities/books:whole"), [json!("7")]);
    assert_eq!(seen["findings"], json!([]));
}

/// An edit, with the findings that it gives: code, path and detail.
struct Case {
    edit: Value,
    findings: &'static [(&'static str, &'static str, &'static str)],
}

fn put(path: &[&str], value: Value, findings: &'static [(&'static str, &'static str, &'static str)]) -> Case {
    Case { edit: json!({ "put": path, "value": value }), findings }
}

fn remove(path: &[&str], findings: &'static [(&'static str, &'static str, &'static str)]) -> Case {
    Case { edit: json!({ "remove": path }), findings }
}

/// What a client writes that only knows JSON; `ROOM` in a path stands for the
/// room that our client captured.
fn cases(room: &str) -> Vec<Case> {
    let size = json!({ "length_m": 7.5, "width_m": 6, "captured": captured(2) });
    let identity = json!({ "building": "东楼", "number": 101, "purpose": "music", "captured": captured(3) });
    vec![
        // Entries like ours: strings are Text objects or not. A number is what
        // is exact: an integer is, a float with a fraction is shown and not used.
        put(&["quantities", "pianos:whole"], json!({ "value": "12", "captured": captured(1) }), &[]),
        put(
            &["quantities", "pianos:junior"],
            json!({ "value": { "$string": "3" }, "captured": captured(1) }),
            &[],
        ),
        put(
            &["rooms", "js1"],
            json!({ "identity": identity, "size": size }),
            &[("claim.number", "survey:rooms/js1/size/length_m", "7.5")],
        ),
        // Used, with what is missing said.
        put(
            &["quantities", "books:primary"],
            json!({ "value": 900 }),
            &[("claim.captured", "survey:quantities/books:primary", "missing")],
        ),
        put(
            &["quantities", "books:junior"],
            json!(43),
            &[("claim.bare", "survey:quantities/books:junior", "43")],
        ),
        put(
            &["quantities", "computers:primary"],
            json!({ "value": "many", "captured": captured(1) }),
            &[("claim.number", "survey:quantities/computers:primary/value", "\"many\"")],
        ),
        put(
            &["quantities", "computers:junior"],
            json!({ "value": "8", "photos": ["x"], "captured": captured(1) }),
            &[("claim.photos", "survey:quantities/computers:junior/photos", "\"x\"")],
        ),
        // No entries, but shown.
        put(
            &["quantities", "no such part"],
            json!(1),
            &[("document.key", "survey:quantities/no such part", "1")],
        ),
        put(&["answers", "A2-1"], json!([true]), &[("claim.not_map", "survey:answers/A2-1", "a list")]),
        put(&["answers", "A2-2"], Value::Null, &[("claim.not_map", "survey:answers/A2-2", "null")]),
        put(&["my_app"], json!({ "version": 3 }), &[("document.foreign", "survey:my_app", "a map")]),
        // Deleted, and read back from history.
        remove(
            &["quantities", "books:whole"],
            &[("entry.deleted", "survey:quantities/books:whole", "value=1200")],
        ),
        // Edited in place: what was put stays a candidate.
        put(
            &["rooms", room, "size", "length_m"],
            json!("9"),
            &[("claim.edited", "ROOM/size", "1 edits after it was put")],
        ),
    ]
}

#[test]
fn what_it_writes_becomes_entries_or_findings_and_nothing_is_lost() {
    let round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    round.inspector("anna", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");
    let document = survey(SCHOOL);
    state(&wang, "books", "1200");
    let room =
        ["room", "add", SCHOOL, "--number", "301", "--purpose", "art", "--length", "7", "--width", "6"];
    let _ = wang.run(&room);
    let _ = wang.run(&["sync"]);
    let mut anna = Node::start(&round, "anna", None);
    let found = anna.call("find", json!({ "document": document }));
    let room = found["rooms"].as_object().and_then(|rooms| rooms.keys().next()).expect("a room").clone();

    let cases = cases(&room);
    for case in &cases {
        anna.call("edit", json!({ "document": document, "edits": [case.edit] }));
    }
    anna.until_durable(SCHOOL);

    let seen = school(&bureau, SCHOOL);
    let mut expected: Vec<Value> = cases
        .iter()
        .flat_map(|case| case.findings)
        .map(|(code, path, detail)| {
            let path = path.replace("ROOM", &format!("survey:rooms/{room}"));
            json!({ "code": code, "path": path, "detail": detail })
        })
        .collect();
    expected.sort_by_key(|finding| (finding["code"].to_string(), finding["path"].to_string()));
    assert_eq!(seen["findings"], json!(expected));

    for (path, value) in [
        ("quantities/pianos:whole", json!("12")),
        ("quantities/pianos:junior", json!("3")),
        ("quantities/books:primary", json!("900")),
        ("quantities/books:junior", json!("43")),
        ("quantities/computers:primary", json!("many")),
        ("quantities/computers:junior", json!("8")),
    ] {
        assert_eq!(values(&seen, path), [value], "{path}");
    }
    let lengths = |item: &str| {
        let size = &seen["items"][item]["fields"]["size"]["candidates"];
        let candidates = size.as_array().cloned().unwrap_or_default();
        candidates.iter().map(|candidate| candidate["value"]["length_m"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(lengths("rooms/js1"), [json!("7.5")], "{}", seen["items"]);
    assert_eq!(lengths(&format!("rooms/{room}")), [json!("7"), json!("9")], "what was put, and the edit");

    // Our client reads all of it and goes on.
    let _ = wang.run(&["sync"]);
    state(&wang, "books", "1300");
    let _ = wang.run(&["sync"]);
    let seen = school(&bureau, SCHOOL);
    assert_eq!(values(&seen, "quantities/books:whole"), [json!("1300")]);
    assert_eq!(seen["findings"], json!(expected), "the deleted claim is still shown");
    anna.until_quantity(SCHOOL, "books:whole", "1300");
}

/// A whole map deleted or replaced: what our client captures stays, and stays
/// possible.
#[test]
fn a_deleted_map_hides_nothing_from_us() {
    let round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    round.inspector("anna", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");
    state(&wang, "books", "1200");
    let _ = wang.run(&["sync"]);
    let mut anna = Node::start(&round, "anna", None);
    anna.call("find", json!({ "document": survey(SCHOOL) }));
    let edits = json!([
        { "remove": ["quantities"] }, { "remove": ["answers"] }, { "put": ["rooms"], "value": { "r": 1 } },
    ]);
    anna.call("edit", json!({ "document": survey(SCHOOL), "edits": edits }));
    anna.until_durable(SCHOOL);
    let _ = wang.run(&["sync"]);
    state(&wang, "computers", "4");
    let _ = wang.run(&["sync"]);
    let seen = school(&bureau, SCHOOL);
    assert_eq!(values(&seen, "quantities/books:whole"), [json!("1200")]);
    assert_eq!(values(&seen, "quantities/computers:whole"), [json!("4")]);
    let found = |finding: &Value| (finding["code"].to_string(), finding["path"].to_string());
    let mut codes: Vec<_> = seen["findings"].as_array().into_iter().flatten().map(found).collect();
    codes.sort();
    let quoted = |code: &str, path: &str| (json!(code).to_string(), json!(path).to_string());
    assert_eq!(
        codes,
        [
            quoted("document.deleted", "survey:answers"),
            quoted("document.deleted", "survey:quantities"),
            quoted("document.foreign", "survey:rooms"),
        ]
    );
}

#[test]
fn who_has_no_rights_hears_that_the_document_is_unavailable() {
    let round = Round::open();
    round.inspector("anna", &[SCHOOL]);
    round.inspector("ben", &[OTHER_SCHOOL]);
    let elsewhere =
        DocumentId::derive(&RoundId::new("elsewhere").expect("a round"), SCHOOL, DocumentKind::Survey);
    let county = document(ROUND, DocumentKind::County);
    // who, which document, whether it is there
    let cases = [
        ("anna", survey(SCHOOL), true),
        ("ben", survey(OTHER_SCHOOL), true),
        ("ben", survey(SCHOOL), false),
        ("anna", county, false),
        ("anna", document(SCHOOL, DocumentKind::Ruling), true),
        ("anna", elsewhere.to_string(), false),
    ];
    for (who, document, there) in cases {
        let outcome = Node::start(&round, who, None).attempt("find", json!({ "document": document }));
        let expected = if there { None } else { Some(format!("Document {document} is unavailable")) };
        assert_eq!(outcome.err(), expected, "{who}");
    }
}

/// A Node process dies of an upgrade that is refused, so the reason comes after it.
#[test]
fn a_token_that_does_not_stand_is_told_and_ends_no_process() {
    let round = Round::open();
    let mut stranger = Node::open(json!({ "server": round.url(), "token": "none" }));
    let closed = stranger.call("closed", json!({ "reason": "session.missing" }));
    assert_eq!(closed, json!({ "code": 1008, "reason": "session.missing" }));
    assert_eq!(stranger.call("token", json!({})), "none", "it goes on");
}

/// What someone writes into a document that they may only read stays theirs:
/// it is not taken, and no receipt names it.
#[test]
fn a_reader_reads_and_changes_nothing() {
    let round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    round.inspector("anna", &[SCHOOL]);
    let supervisor = round.desk("sun", "supervisor");
    let document = survey(SCHOOL);
    let mut sun = Node::start(&round, "sun", None);
    sun.call("find", json!({ "document": document }));
    sun.put_quantity(SCHOOL, "books:whole", "1");
    let before = sun.call("heads", json!({ "document": document }));
    state(&wang, "computers", "4");
    let _ = wang.run(&["sync"]);
    sun.until_quantity(SCHOOL, "computers:whole", "4");
    let answer = supervisor.post("/receipts", &json!({ "heads": { &document: before } }));
    assert_eq!(answer["missing_heads"][&document], before, "{answer}");
    let seen = school(&supervisor, SCHOOL);
    assert_eq!(values(&seen, "quantities/books:whole"), Vec::<Value>::new());
    let mut anna = Node::start(&round, "anna", None);
    let found = anna.call("find", json!({ "document": document }));
    assert_eq!(found["quantities"]["books:whole"], Value::Null);
}

/// Work of someone whose assignment ended meanwhile is held, and taken once a
/// supervisor says so.
#[test]
fn work_that_comes_after_the_assignment_ended_is_held() {
    let round = Round::open();
    round.inspector("anna", &[SCHOOL]);
    let supervisor = round.desk("sun", "supervisor");
    let document = survey(SCHOOL);
    let mut anna = Node::start(&round, "anna", Some("anna"));
    anna.call("find", json!({ "document": document }));
    anna.call("flush", json!({}));
    drop(anna);
    let mut anna = Node::offline(&round, "anna");
    anna.call("find", json!({ "document": document }));
    anna.put_quantity(SCHOOL, "books:whole", "1200");
    let heads = anna.call("heads", json!({ "document": document }));
    anna.call("flush", json!({}));
    drop(anna);

    round.assign("anna", "inspector", &[]);
    let mut anna = Node::start(&round, "anna", Some("anna"));
    anna.call("find", json!({ "document": document }));
    let answer = anna.call("receipt", json!({ "document": document }));
    assert_eq!(answer["held_heads"], json!({ &document: heads }), "{answer}");
    assert_eq!(values(&school(&supervisor, SCHOOL), "quantities/books:whole"), Vec::<Value>::new());

    let held = supervisor.get(&format!("/rounds/{ROUND}/held"));
    assert_eq!(held[0]["reason"], "right_ended", "{held}");
    assert_eq!(held[0]["hashes"], heads);
    supervisor.post(&format!("/rounds/{ROUND}/held/{}", held[0]["number"]), &json!({ "admit": true }));
    assert_eq!(values(&school(&supervisor, SCHOOL), "quantities/books:whole"), [json!("1200")]);
}

#[test]
fn ephemeral_messages_reach_who_may_read_the_document() {
    let round = Round::open();
    round.inspector("anna", &[SCHOOL]);
    round.inspector("ben", &[SCHOOL]);
    let document = survey(SCHOOL);
    let mut anna = Node::start(&round, "anna", None);
    let mut ben = Node::start(&round, "ben", None);
    for who in [&mut anna, &mut ben] {
        who.call("find", json!({ "document": document }));
    }
    let message = json!({ "looking_at": "rooms/r1/size" });
    // Only who has the document open is told, and nothing says when that is:
    // once each has the other's edit, both have.
    anna.put_quantity(SCHOOL, "books:whole", "1");
    ben.until_quantity(SCHOOL, "books:whole", "1");
    anna.call("broadcast", json!({ "document": document, "message": message }));
    ben.call("hear", json!({ "document": document, "message": message }));
}
