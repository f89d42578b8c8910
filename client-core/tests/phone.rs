//! What a phone asks for besides the main job.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use duxue_client_core::views::{LinkView, OutboxWhat, Waiting};
use duxue_client_core::{Command, NewPhoto, Notice, Reply, Statement, Taken, TakenBy};
use duxue_document::consolidated::{Entry, ValueState};
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

fn pupils(count: &str) -> Command {
    put("quantities/pupils:primary", said(number("value", count)))
}

fn entry(world: &World, device: usize, at: &EntryPath) -> Entry {
    let view = world.devices[device].engine.survey(&subject()).unwrap();
    view.consolidated.entry(at).unwrap().clone()
}

fn place(latitude: &str) -> Place {
    let [latitude, longitude, accuracy_m] = [latitude, "120.2", "12"].map(|text| text.parse().unwrap());
    Place { latitude, longitude, accuracy_m }
}

fn login(name: &str) -> Command {
    let [server, name, password] = ["https://server.test", name, "p"].map(str::to_owned);
    Command::Login { server, name, password }
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
fn a_number_that_cannot_be_or_that_is_unlikely_is_kept_with_a_warning() {
    let mut world = World::new(24, 1);
    world.run(20);
    let area = |area: &str| Statement { value: number("area_m2", area), ..Statement::default() };
    let value = |value: &str| said(number("value", value));
    let cases = [
        ("quantities/teachers:primary", value("3.5"), Some("capture.not_taken")),
        ("quantities/teachers:primary", value("3"), None),
        ("quantities/teachers:primary", value("1001"), Some("capture.implausible")),
        ("quantities/no_such_thing:primary", value("3.5"), None),
        ("rooms/one/size", area("55"), None),
        ("rooms/one/size", area("5500"), Some("capture.unlikely")),
        ("grounds/one/size", area("5500"), None),
    ];
    for (at, statement, code) in cases {
        let typed = world.devices[0].engine.unlikely_claims(&subject(), &[(path(at), statement.clone())]);
        let codes: Vec<&str> = typed.iter().map(|warning| &*warning.problem.code).collect();
        assert_eq!(codes, Vec::from_iter(code), "{at} {:?}", statement.value);
        let Ok(Reply::Saved(saved)) = world.done(0, put(at, statement)) else { panic!("{at}: not saved") };
        assert_eq!(saved.warnings, typed, "{at}");
    }
}

#[test]
fn a_photo_was_taken_where_the_claim_that_it_supports_was_made() {
    let mut world = World::new(23, 1);
    world.run(20);
    let photo = world.take_photo(0, 100);
    let place = place("30.1");
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
    assert_eq!(world.done(1, login("wang")).unwrap_err().code, "client.other_persons_work");
}

#[test]
fn a_photo_is_of_the_moment_at_which_it_was_taken() {
    let mut world = World::new(25, 1);
    world.run(20);
    let mut photo = world.take_photo(0, 100);
    let (there, later) = (place("30.1"), place("31.9"));
    let taken = Taken { at_ms: world.now_ms - 600_000, place: Some(there.clone()), method: TakenBy::Gallery };
    photo.taken = Some(taken.clone());
    photo.note = Some("门牌".to_owned());
    let (hash, there_then) = (photo.photo, Some(there.clone()));
    let evidence = EntryPath::Evidence(hash);
    let statement =
        Statement { photos: vec![hash], place: Some(later.clone()), ..said(number("value", "3")) };
    let at = path("quantities/pupils:primary");
    let claims = vec![(at.clone(), statement)];
    let command = Command::PutClaims { subject: subject(), claims, photos: vec![photo], mark: None };
    world.done(0, command).unwrap();
    let found = entry(&world, 0, &evidence).candidates.remove(0);
    assert_eq!((found.captured.place, found.captured.device_time_ms), (Some(there), taken.at_ms));
    assert_eq!(found.note.as_deref(), Some("门牌"));
    assert_eq!(found.value.get(&"method".parse().unwrap()), Some(&Scalar::Text("gallery".to_owned())));
    assert_eq!(
        entry(&world, 0, &at).candidates[0].captured.place,
        Some(later.clone()),
        "the figure is of now"
    );

    // Chosen again for something else, it is of the same moment and supports both.
    let other = path("quantities/teachers:primary");
    let taken = Taken { at_ms: world.now_ms, place: Some(later), method: TakenBy::Camera };
    let again = NewPhoto {
        taken: Some(taken),
        supports: BTreeSet::from([other.clone()]),
        ..NewPhoto::new(hash, 100, "image/jpeg".to_owned())
    };
    let command =
        Command::PutClaims { subject: subject(), claims: Vec::new(), photos: vec![again], mark: None };
    world.done(0, command).unwrap();
    let second = entry(&world, 0, &evidence).candidates.remove(0);
    assert_eq!(second.captured.place, there_then);
    assert_eq!(second.value.get(&"method".parse().unwrap()), Some(&Scalar::Text("gallery".to_owned())));
    assert_eq!(second.value.get(&"entries".parse().unwrap()), Some(&Scalar::Text(format!("{at} {other}"))));
    assert_eq!(second.note.as_deref(), Some("门牌"));
}

#[test]
fn a_photo_that_is_linked_to_a_conflict_leaves_it_open() {
    let mut world = World::new(26, 2);
    world.run(40);
    for device in [0, 1] {
        world.done(device, Command::Online { wanted: false }).unwrap();
        world.done(device, pupils(if device == 0 { "40" } else { "60" })).unwrap();
    }
    world.heal();
    let at = path("quantities/pupils:primary");
    let open = |world: &World| matches!(entry(world, 0, &at).value, ValueState::Conflicting { .. });
    assert!(open(&world));
    let mut photo = world.take_photo(0, 100);
    photo.supports.insert(at.clone());
    let evidence = EntryPath::Evidence(photo.photo);
    let command =
        Command::PutClaims { subject: subject(), claims: Vec::new(), photos: vec![photo], mark: None };
    world.done(0, command).unwrap();
    assert!(open(&world), "nobody decided");
    let linked = entry(&world, 0, &evidence).candidates.remove(0).value;
    assert_eq!(linked.get(&"entries".parse().unwrap()), Some(&Scalar::Text(at.to_string())));
}

#[test]
fn what_a_full_disk_did_not_take_can_be_carried_elsewhere() {
    let mut world = World::new(27, 2);
    world.run(20);
    world.devices[0].full = true;
    assert_eq!(world.done(0, pupils("7")).unwrap_err().code, "store.full");
    let draft = Command::SaveDraft { form: "f".to_owned(), text: "half a room".to_owned() };
    assert_eq!(world.done(0, draft).unwrap_err().code, "store.full");
    let mut rows = world.devices[0].disk.clone();
    for (key, bytes) in world.devices[0].engine.in_memory() {
        match bytes {
            Some(bytes) => rows.insert(key, bytes),
            None => rows.remove(&key),
        };
    }
    rows.retain(|key, _| key != "meta" && key != "identity");
    world.devices[1].disk = rows;
    world.crash(1);
    world.run(20);
    let at = path("quantities/pupils:primary");
    assert_eq!(entry(&world, 1, &at).candidates[0].value, number("value", "7"));
    assert_eq!(world.devices[1].engine.drafts().get("f").map(String::as_str), Some("half a room"));
}

#[test]
fn nothing_is_called_sent_before_the_server_said_that_it_has_it() {
    let mut world = World::new(28, 1);
    world.run(20);
    world.done(0, Command::Online { wanted: true }).unwrap();
    while world.devices[0].engine.link_view() != LinkView::Online {
        world.step();
    }
    world.done(0, pupils("7")).unwrap();
    let mut reasons = Vec::new();
    for _ in 0..1_000 {
        let Some(item) = world.devices[0].engine.outbox().items.pop() else { break };
        if item.reason == Waiting::NoReceipt {
            let heads = world.devices[0].engine.survey(&subject()).unwrap().heads;
            let theirs = world.server.heads();
            assert!(heads.iter().all(|(id, heads)| theirs[id] == *heads), "it is there");
        }
        reasons.push(item.reason);
        world.step();
    }
    reasons.dedup();
    assert_eq!(reasons, [Waiting::Sending { sent: 0 }, Waiting::NoReceipt]);
}

#[test]
fn a_round_that_is_given_to_nobody_goes_when_its_work_has_arrived() {
    let mut world = World::new(29, 1);
    world.run(20);
    world.server.up = false;
    world.done(0, pupils("7")).unwrap();
    world.server.up = true;
    world.server.lists_round = false;
    let fetch = || Command::FetchPacket { round: None };
    world.done(0, fetch()).unwrap();
    assert_eq!(world.devices[0].engine.packets().count(), 1, "what was captured in it is only here");
    world.heal();
    world.done(0, fetch()).unwrap();
    assert_eq!(world.devices[0].engine.packets().count(), 0);
    world.crash(0);
    world.run(20);
    assert_eq!(world.devices[0].engine.packets().count(), 0, "nor is it in the store");
}

#[test]
fn what_was_assigned_to_somebody_else_is_not_shown_to_the_next_person() {
    let mut world = World::new(30, 1);
    world.run(20);
    world.done(0, login("person-device-0")).unwrap();
    assert_eq!(world.devices[0].engine.schools().len(), 1, "the same person");
    world.done(0, login("wang")).unwrap();
    assert_eq!(world.devices[0].engine.schools().len(), 0);
}

#[test]
fn a_busy_server_does_not_ask_people_to_log_in_again() {
    let mut world = World::new(31, 1);
    world.run(20);
    world.server.token = "another".to_owned();
    world.server.busy = true;
    let fetch = || Command::FetchPacket { round: None };
    assert_eq!(world.done(0, fetch()).unwrap_err().code, "server.refused");
    assert!(!world.devices[0].notices.contains(&Notice::LoginNeeded));
    world.server.busy = false;
    world.done(0, fetch()).unwrap();
}

#[test]
fn a_clock_that_is_set_back_stops_no_retry() {
    const DAY_MS: i64 = 86_400_000;
    let mut world = World::new(32, 1);
    world.run(20);
    world.heal();

    // What the disk did not take.
    world.devices[0].full = true;
    world.done(0, pupils("7")).unwrap_err();
    world.devices[0].full = false;
    world.set_clock(world.now_ms - DAY_MS);
    let stored: Vec<Waiting> =
        world.devices[0].engine.outbox().items.into_iter().map(|item| item.reason).collect();
    assert!(!stored.contains(&Waiting::NotSaved), "{stored:?}");

    // A photo that the server did not take.
    let photo = world.take_photo(0, 100);
    let hash = photo.photo;
    world.server.fails.insert(hash);
    let attach = Command::AttachPhoto { subject: subject(), photo, entries: BTreeSet::new(), place: None };
    world.done(0, attach).unwrap();
    while world.work() {}
    world.server.fails.clear();
    world.set_clock(world.now_ms - DAY_MS);
    assert!(world.server.photos.contains_key(&hash));

    // A server that was away.
    world.done(0, Command::Online { wanted: false }).unwrap();
    world.server.up = false;
    world.done(0, Command::Online { wanted: true }).unwrap();
    while world.work() {}
    world.server.up = true;
    let before = world.connections;
    world.set_clock(world.now_ms - DAY_MS);
    assert_eq!(world.connections, before + 1);
}
