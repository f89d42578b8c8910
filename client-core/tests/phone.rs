//! What a phone asks for besides the main job.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use duxue_client_core::views::{OutboxWhat, Waiting};
use duxue_client_core::{Command, Reply, Statement};
use duxue_document::{EntryPath, Place, Scalar, Value};
use world::{World, subject};

fn path(text: &str) -> EntryPath {
    text.parse().unwrap()
}

fn number(name: &str, text: &str) -> Value {
    Value::from([(name.parse().unwrap(), Scalar::Number(text.parse().unwrap()))])
}

fn said(value: Value) -> Statement {
    Statement { value, ..Statement::default() }
}

fn put(at: &str, statement: Statement) -> Command {
    Command::PutClaims {
        subject: subject(),
        claims: vec![(path(at), statement)],
        photos: Vec::new(),
        mark: None,
    }
}

fn minutes(world: &mut World, minutes: i64) {
    let until = world.now_ms + minutes * 60_000;
    while world.now_ms < until && world.step() {}
}

#[test]
fn photos_wait_on_a_paid_network_and_measurements_do_not() {
    let mut world = World::new(21, 1);
    world.run(20);
    world.done(0, Command::PausePhotos { paused: true }).unwrap();
    let photo = world.take_photo(0, 700_000);
    let hash = photo.photo;
    let attach = Command::AttachPhoto { subject: subject(), photo, entries: BTreeSet::new(), place: None };
    world.done(0, attach).unwrap();
    world.command(0, Command::Online { wanted: true });
    minutes(&mut world, 5);
    let items = world.devices[0].engine.outbox().items;
    assert_eq!(items.len(), 1, "the measurements have arrived");
    assert_eq!((&items[0].what, &items[0].reason), (&OutboxWhat::Photo { photo: hash }, &Waiting::Paused));
    assert!(!world.server.photos.contains_key(&hash));
    world.done(0, Command::PausePhotos { paused: false }).unwrap();
    minutes(&mut world, 5);
    assert!(world.server.photos.contains_key(&hash));
    assert_eq!(world.devices[0].engine.outbox().items, []);
}

#[test]
fn what_is_unlikely_is_said_while_it_is_typed_as_when_it_is_saved() {
    let mut world = World::new(22, 1);
    world.run(20);
    let (pupils, text) = (path("classes/typing/pupils"), path("quantities/pupils:primary"));
    let unlikely = |value: &str| vec![(pupils.clone(), said(number("value", value)))];
    let engine = &world.devices[0].engine;
    let typed = engine.unlikely_claims(&subject(), &unlikely("700"));
    assert_eq!(engine.unlikely_claims(&subject(), &unlikely("45")), []);
    // What does not fit yet says nothing.
    let unfit = vec![(text, said(Value::default())), (pupils.clone(), said(number("value", "4.5")))];
    assert_eq!(engine.unlikely_claims(&subject(), &unfit), []);
    let Ok(Reply::Saved(saved)) = world.done(0, put("classes/typing/pupils", said(number("value", "700"))))
    else {
        panic!("not saved")
    };
    assert_eq!(typed.len(), 1);
    assert_eq!(saved.warnings, typed);
}

#[test]
fn a_photo_was_taken_where_the_claim_that_it_supports_was_made() {
    let mut world = World::new(23, 1);
    world.run(20);
    let photo = world.take_photo(0, 100);
    let place = Place {
        latitude: "30.1".parse().unwrap(),
        longitude: "120.2".parse().unwrap(),
        accuracy_m: "12".parse().unwrap(),
    };
    let statement =
        Statement { photos: vec![photo.photo], place: Some(place.clone()), ..said(number("value", "3")) };
    let at = path("quantities/pupils:primary");
    let claims = vec![(at, statement)];
    let evidence = EntryPath::Evidence(photo.photo);
    world
        .done(0, Command::PutClaims { subject: subject(), claims, photos: vec![photo], mark: None })
        .unwrap();
    let survey = world.devices[0].engine.survey(&subject()).unwrap();
    let candidate = &survey.consolidated.entry(&evidence).unwrap().candidates[0];
    assert_eq!(candidate.captured.place, Some(place));
}

#[test]
fn work_that_was_read_back_is_delivered_by_the_person_who_did_it() {
    let mut world = World::new(24, 2);
    world.run(20);
    world.done(0, put("quantities/pupils:primary", said(number("value", "1")))).unwrap();
    // What a rescue file holds: everything but who the device is.
    let rows = world.devices[0].disk.clone();
    let rescued: BTreeMap<String, Vec<u8>> =
        rows.into_iter().filter(|(key, _)| key != "meta" && key != "identity").collect();
    world.devices[1].disk = rescued;
    world.crash(1);
    world.run(20);
    let waiting = world.devices[1].engine.outbox().items;
    assert_eq!(waiting.len(), 1, "it waits here as it waited there");
    let login = Command::Login {
        server: "https://server.test".to_owned(),
        name: "wang".to_owned(),
        password: "p".to_owned(),
    };
    assert_eq!(world.done(1, login).unwrap_err().code, "client.other_persons_work");
}
