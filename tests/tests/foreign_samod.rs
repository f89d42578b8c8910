//! samod, another implementation of automerge-repo's protocol, against our
//! server and our client.

mod samod_client;

use duxue_tests::foreign::{Foreign, OTHER_SCHOOL, SCHOOL, school, state, values};
use duxue_tests::processes::Api;
use duxue_tests::round::Round;
use samod_client::Samod;
use serde_json::{Value, json};

/// The consolidated school, whose values for quantities are `expected`.
fn check_server(api: &Api, expected: &[(&str, &[&str])]) {
    let seen = school(api, SCHOOL);
    for (key, expected) in expected {
        assert_eq!(json!(values(&seen, &format!("quantities/{key}"))), json!(expected), "{key}");
    }
    assert_eq!(seen["findings"], json!([]));
}

#[test]
fn it_works_with_our_client_across_kills_and_restarts() {
    let mut round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    round.inspector("sam", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");

    let mut sam = Samod::start(&round, "sam", Some("sam"));
    sam.find(SCHOOL).expect("the survey");
    state(&wang, "books", "1200");
    let _ = wang.run(&["sync"]);
    sam.until_quantity(SCHOOL, "books:whole", "1200");
    sam.put_quantity(SCHOOL, "computers:whole", "40");
    sam.until_acknowledged(SCHOOL);
    check_server(&bureau, &[("books:whole", &["1200"]), ("computers:whole", &["40"])]);

    // The server dies; both go on, and it comes back.
    round.kill();
    sam.put_quantity(SCHOOL, "multimedia_rooms:whole", "14");
    state(&wang, "multimedia_rooms", "15");
    round.start();
    sam.until_acknowledged(SCHOOL);
    let _ = wang.run(&["sync"]);
    check_server(&bureau, &[("multimedia_rooms:whole", &["14", "15"])]);

    // samod starts again on its own files.
    sam.close();
    let mut sam = Samod::start(&round, "sam", Some("sam"));
    sam.find(SCHOOL).expect("the survey");
    sam.until_quantity(SCHOOL, "computers:whole", "40");
    sam.put_quantity(SCHOOL, "computers:whole", "41");
    sam.until_acknowledged(SCHOOL);
    let _ = wang.run(&["sync"]);
    let shown: Value = json!(wang.run(&["survey", SCHOOL]));
    assert!(shown.to_string().contains("\"41\""), "{shown}");
    check_server(&bureau, &[("computers:whole", &["41"]), ("books:whole", &["1200"])]);
}

#[test]
fn it_finds_what_it_has_rights_on_and_nothing_else() {
    let round = Round::open();
    round.inspector("sam", &[SCHOOL]);
    let mut sam = Samod::start(&round, "sam", Some("sam"));
    for (school, there) in [(SCHOOL, true), (OTHER_SCHOOL, false)] {
        assert_eq!(sam.find(school).is_ok(), there, "{school}");
    }
}

/// A reader's own changes are not taken, and it still gets everyone else's.
#[test]
fn a_reader_reads_and_changes_nothing() {
    let round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");
    let mut reader = Samod::start(&round, "bureau", Some("bureau"));
    reader.find(SCHOOL).expect("the survey");
    reader.put_quantity(SCHOOL, "books:whole", "1");
    state(&wang, "computers", "4");
    let _ = wang.run(&["sync"]);
    reader.until_quantity(SCHOOL, "computers:whole", "4");
    check_server(&bureau, &[("books:whole", &[]), ("computers:whole", &["4"])]);
}
