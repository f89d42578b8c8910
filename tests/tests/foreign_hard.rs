//! What befalls a client that we did not write when a right ends, a backup is
//! put back, or its storage is copied: it sees what docs/sync.md says, and no
//! other document has to do with it.

mod samod_client;

use duxue_tests::folder;
use duxue_tests::foreign::{Foreign, OTHER_SCHOOL, SCHOOL, school, server_heads, survey, values};
use duxue_tests::processes::Api;
use duxue_tests::round::{ROUND, Round, password};
use serde_json::{Value, json};

macro_rules! with_each_client {
    ($($case:ident),* $(,)?) => {
        mod automerge_repo {
            $(#[test] fn $case() { super::$case::<duxue_tests::node::Node>(); })*
        }
        mod samod {
            $(#[test] fn $case() { super::$case::<super::samod_client::Samod>(); })*
        }
    };
}

with_each_client!(
    work_that_is_left_out_stays_with_its_author,
    work_that_is_let_in_is_taken,
    what_an_older_backup_lost_is_brought_again,
    who_brings_an_actors_changes_first_is_their_author,
    who_holds_what_a_put_back_author_wrote_over_is_told,
    copies_of_a_storage_take_actors_of_their_own,
    copies_of_a_storage_that_keep_their_actor_are_told,
);

/// An actor that a client keeps.
const KEPT: [u8; 16] = [7; 16];
const BOOKS: &str = "books:whole";

/// A round with two inspectors of both schools, and a supervisor.
fn open() -> (Round, Api) {
    let round = Round::open();
    for person in ["anna", "ben"] {
        round.inspector(person, &[SCHOOL, OTHER_SCHOOL]);
    }
    let supervisor = round.desk("sun", "supervisor");
    (round, supervisor)
}

/// A client on its folder, with the survey that all is about and another.
fn start<C: Foreign>(round: &Round, person: &str, folder: &str) -> C {
    let mut client = C::start(round, person, Some(folder));
    client.find(OTHER_SCHOOL).expect("the other survey");
    client.find(SCHOOL).expect("the survey");
    client
}

/// What the receipt says of the client's heads, by the name of its list.
fn said<C: Foreign>(client: &mut C, list: &str) -> Value {
    let receipt = client.receipt(SCHOOL);
    receipt[list][survey(SCHOOL)].clone()
}

fn books(desk: &Api) -> Vec<Value> {
    values(&school(desk, SCHOOL), &format!("quantities/{BOOKS}"))
}

/// Whatever becomes of one document, the client writes another.
fn check_other_document<C: Foreign>(client: &mut C, desk: &Api, value: &str) {
    client.put_quantity(OTHER_SCHOOL, BOOKS, value);
    client.until_durable(OTHER_SCHOOL);
    assert_eq!(values(&school(desk, OTHER_SCHOOL), &format!("quantities/{BOOKS}")), [json!(value)]);
}

/// What somebody captured offline, whose right ended meanwhile, and who is
/// connected again.
fn held<C: Foreign>(round: &Round, supervisor: &Api) -> C {
    let mut anna: C = start(round, "anna", "anna");
    anna.put_quantity(SCHOOL, BOOKS, "1");
    anna.until_durable(SCHOOL);
    anna.close();
    let mut anna = C::offline(round, "anna");
    anna.find(SCHOOL).expect("what it has kept");
    anna.put_quantity(SCHOOL, BOOKS, "1200");
    let heads = anna.heads(SCHOOL);
    anna.close();
    let before = server_heads(supervisor, SCHOOL);
    round.assign("anna", "inspector", &[OTHER_SCHOOL]);

    let mut anna: C = start(round, "anna", "anna");
    assert_eq!(anna.heads(SCHOOL), heads, "its copy is what it was");
    assert_eq!(said(&mut anna, "held_heads"), heads);
    assert_eq!(books(supervisor), [json!("1")]);
    assert_eq!(server_heads(supervisor, SCHOOL), before);
    check_other_document(&mut anna, supervisor, "5");
    let list = supervisor.get(&format!("/rounds/{ROUND}/held"));
    let [item] = list.as_array().expect("a list").as_slice() else { panic!("{list}") };
    let about = (&item["reason"], &item["hashes"], &item["school"], &item["by"]["person"]);
    assert_eq!(about, (&json!("right_ended"), &heads, &json!(SCHOOL), &json!("anna")), "{item}");
    assert_eq!(item["released_by"], json!(["supervisor"]), "{item}");
    anna
}

/// Decides on the only item that is undecided.
fn decide(supervisor: &Api, admit: bool) {
    let list = supervisor.get(&format!("/rounds/{ROUND}/held"));
    let waits = list.as_array().into_iter().flatten().filter(|item| item["admitted"].is_null());
    let waits: Vec<&Value> = waits.collect();
    let [item] = waits[..] else { panic!("{list}") };
    supervisor.post(&format!("/rounds/{ROUND}/held/{}", item["number"]), &json!({ "admit": admit }));
}

fn work_that_is_left_out_stays_with_its_author<C: Foreign>() {
    let (round, supervisor) = open();
    let mut anna: C = held(&round, &supervisor);
    let (heads, before) = (anna.heads(SCHOOL), server_heads(&supervisor, SCHOOL));
    decide(&supervisor, false);
    assert_eq!(said(&mut anna, "left_out_heads"), heads);
    assert_eq!(anna.quantity(SCHOOL, BOOKS).as_deref(), Some("1200"), "its copy keeps the edit");

    // What is written on top of it will never be in the document either.
    anna.put_quantity(SCHOOL, "computers:whole", "3");
    let heads = anna.heads(SCHOOL);
    assert_eq!(said(&mut anna, "set_aside_heads"), heads);
    check_other_document(&mut anna, &supervisor, "6");
    assert_eq!(books(&supervisor), [json!("1")]);
    assert_eq!(server_heads(&supervisor, SCHOOL), before);
}

fn work_that_is_let_in_is_taken<C: Foreign>() {
    let (round, supervisor) = open();
    let mut anna: C = held(&round, &supervisor);
    decide(&supervisor, true);
    anna.until_durable(SCHOOL);
    assert_eq!(books(&supervisor), [json!("1200")]);
    assert_eq!(server_heads(&supervisor, SCHOOL), anna.heads(SCHOOL));

    // That is no right to go on.
    anna.put_quantity(SCHOOL, BOOKS, "1300");
    let heads = anna.heads(SCHOOL);
    assert_eq!(said(&mut anna, "held_heads"), heads);
    assert_eq!(books(&supervisor), [json!("1200")]);
    check_other_document(&mut anna, &supervisor, "6");
}

/// Copies the server's data folder while it is stopped.
fn back_up(round: &mut Round) {
    round.stop();
    folder::copy(&round.path("server"), &round.path("backup"));
    round.start();
}

/// Puts the copy back in place of what the server has.
fn put_back(round: &mut Round) {
    round.stop();
    std::fs::remove_dir_all(round.path("server")).expect("the server's data");
    folder::copy(&round.path("backup"), &round.path("server"));
    round.start();
}

/// A client that stays connected brings what the server does not have any more,
/// with no word from anybody.
fn what_an_older_backup_lost_is_brought_again<C: Foreign>() {
    let (mut round, supervisor) = open();
    let mut anna: C = start(&round, "anna", "anna");
    anna.put_quantity(SCHOOL, BOOKS, "1");
    anna.until_durable(SCHOOL);
    back_up(&mut round);
    anna.put_quantity(SCHOOL, BOOKS, "2");
    anna.until_durable(SCHOOL);
    assert_eq!(books(&supervisor), [json!("2")]);
    put_back(&mut round);
    anna.until_durable(SCHOOL);
    assert_eq!(books(&supervisor), [json!("2")]);
    anna.put_quantity(SCHOOL, BOOKS, "3");
    anna.until_durable(SCHOOL);
    assert_eq!(books(&supervisor), [json!("3")]);
    assert_eq!(server_heads(&supervisor, SCHOOL), anna.heads(SCHOOL));
}

/// Anna writes under an actor that she keeps, and a reader has it.
fn write_under_a_kept_actor<C: Foreign>(round: &Round, reader: &mut C) {
    let mut anna: C = start(round, "anna", "anna");
    anna.keep_actor(SCHOOL, KEPT);
    anna.put_quantity(SCHOOL, BOOKS, "1");
    anna.until_durable(SCHOOL);
    reader.until_quantity(SCHOOL, BOOKS, "1");
    anna.close();
}

/// Another who has an actor's changes brings them first, and is their author to
/// a server that has forgotten the real one, whose next changes are held.
fn who_brings_an_actors_changes_first_is_their_author<C: Foreign>() {
    let (mut round, supervisor) = open();
    let mut ben: C = start(&round, "ben", "ben");
    back_up(&mut round);
    write_under_a_kept_actor(&round, &mut ben);
    put_back(&mut round);
    ben.until_durable(SCHOOL);
    assert_eq!(books(&supervisor), [json!("1")]);

    let mut anna: C = start(&round, "anna", "anna");
    anna.until_durable(SCHOOL);
    anna.keep_actor(SCHOOL, KEPT);
    anna.put_quantity(SCHOOL, BOOKS, "2");
    let heads = anna.heads(SCHOOL);
    assert_eq!(said(&mut anna, "held_heads"), heads);
    assert_eq!(books(&supervisor), [json!("1")]);
    check_other_document(&mut anna, &supervisor, "5");
    decide(&supervisor, true);
    anna.until_durable(SCHOOL);
    ben.until_quantity(SCHOOL, BOOKS, "2");
}

/// Server and author are put back, and the author uses a number again: whoever
/// holds what it was used for first is told, and goes on from a fresh copy.
fn who_holds_what_a_put_back_author_wrote_over_is_told<C: Foreign>() {
    let (mut round, supervisor) = open();
    let anna: C = start(&round, "anna", "anna");
    anna.close();
    folder::copy(&round.path("anna"), &round.path("anna-before"));
    back_up(&mut round);
    let mut ben: C = start(&round, "ben", "ben");
    write_under_a_kept_actor(&round, &mut ben);
    ben.close();
    put_back(&mut round);

    let mut anna: C = start(&round, "anna", "anna-before");
    anna.keep_actor(SCHOOL, KEPT);
    anna.put_quantity(SCHOOL, BOOKS, "2");
    anna.until_durable(SCHOOL);
    let ben: C = start(&round, "ben", "ben");
    let mut ben = check_told(ben, &round, &supervisor, "ben");
    ben.until_quantity(SCHOOL, BOOKS, "2");
    ben.put_quantity(SCHOOL, "computers:whole", "3");
    ben.until_durable(SCHOOL);
    anna.until_quantity(SCHOOL, "computers:whole", "3");
    assert_eq!(books(&supervisor), [json!("2")]);
}

/// A client whose copy holds a change that can never be in the server's hears
/// so, where its library has stopped after it has brought the change by hand.
/// The list shows it, other documents go on, and so does this one from a fresh
/// copy.
fn check_told<C: Foreign>(mut client: C, round: &Round, supervisor: &Api, who: &str) -> C {
    let heads = client.heads(SCHOOL);
    if C::STOPS_AT_A_CLASH {
        check_other_document(&mut client, supervisor, "5");
        let api = Api::login(&round.url(), who, &password(who));
        let answer = api.post("/receipts", &json!({ "heads": { survey(SCHOOL): heads } }));
        assert_eq!(answer["missing_heads"][survey(SCHOOL)], heads, "{answer}");
        client.bring(SCHOOL);
    }
    client.until_closed_with("change.set_aside");
    assert_eq!(said(&mut client, "set_aside_heads"), heads);
    check_other_document(&mut client, supervisor, "6");
    let list = supervisor.get(&format!("/rounds/{ROUND}/set-aside"));
    let [aside] = list.as_array().expect("a list").as_slice() else { panic!("{list}") };
    let about = (&aside["reason"], json!([aside["hash"]]), &aside["school"], &aside["by"]["person"]);
    let expected = (&json!("change.number_used"), heads, &json!(SCHOOL), &json!(who));
    assert_eq!(about, expected, "{aside}");
    assert_eq!((&aside["released_by"], &aside["instead"]), (&json!([]), &json!("stated_again")), "{aside}");
    client.close();
    start(round, who, "fresh")
}

/// Two copies of one storage folder, which both go on.
fn copies<C: Foreign>(round: &Round) -> (C, C) {
    let mut anna: C = start(round, "anna", "anna");
    anna.put_quantity(SCHOOL, BOOKS, "1");
    anna.until_durable(SCHOOL);
    anna.close();
    folder::copy(&round.path("anna"), &round.path("copy"));
    (start(round, "anna", "anna"), start(round, "anna", "copy"))
}

/// Both libraries take a new actor at each start, so nothing is wrong with it.
fn copies_of_a_storage_take_actors_of_their_own<C: Foreign>() {
    let (round, supervisor) = open();
    let (mut anna, mut copy) = copies::<C>(&round);
    anna.put_quantity(SCHOOL, "computers:whole", "2");
    copy.put_quantity(SCHOOL, "multimedia_rooms:whole", "3");
    anna.until_durable(SCHOOL);
    copy.until_durable(SCHOOL);
    copy.until_quantity(SCHOOL, "computers:whole", "2");
    anna.until_quantity(SCHOOL, "multimedia_rooms:whole", "3");
    assert_eq!(anna.heads(SCHOOL), copy.heads(SCHOOL));
    assert_eq!(supervisor.get(&format!("/rounds/{ROUND}/set-aside")), json!([]));
}

fn copies_of_a_storage_that_keep_their_actor_are_told<C: Foreign>() {
    let (mut round, supervisor) = open();
    let (mut anna, mut copy) = copies::<C>(&round);
    // Neither hears of the other before both have written.
    round.kill();
    anna.keep_actor(SCHOOL, KEPT);
    anna.put_quantity(SCHOOL, BOOKS, "2");
    copy.keep_actor(SCHOOL, KEPT);
    copy.put_quantity(SCHOOL, BOOKS, "3");
    copy.close();
    round.start();
    anna.until_durable(SCHOOL);
    let copy: C = start(&round, "anna", "copy");
    let mut copy = check_told(copy, &round, &supervisor, "anna");
    copy.until_quantity(SCHOOL, BOOKS, "2");
    copy.put_quantity(SCHOOL, BOOKS, "3");
    copy.until_durable(SCHOOL);
    anna.until_quantity(SCHOOL, BOOKS, "3");
    assert_eq!(books(&supervisor), [json!("3")]);
}
