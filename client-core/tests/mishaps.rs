//! One thing goes wrong, and everything else goes on.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use automerge::Automerge;
use duxue_client_core::photo::PhotoState;
use duxue_client_core::store::LeftOut;
use duxue_client_core::views::{LinkView, OutboxWhat, Waiting};
use duxue_client_core::{Command, Notice, Reply, Seen, Statement};
use duxue_document::decision::{Outcome, Verdict};
use duxue_document::{
    Captured, Claim, DecisionId, DocumentId, DocumentKind, EntryPath, PhotoHash, Scalar, Value, genesis,
    write,
};
use duxue_protocol::api::Role;
use world::{Fate, World, subject};

/// A change of 113 bytes that would cost a gigabyte; see the tests of the scan.
const BOMB: &str = "856f4a83a39c7f590167001007070707070707070707070707070707010100000009010702071107130a1508340542\
07560570050001c08db701000001c08db701010002bf8db7010000017e0002be8db701017f016c00c08db70101c08db7017f02c08db70101c1\
8db70100c18db70100";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn path(text: &str) -> EntryPath {
    text.parse().unwrap()
}

fn id(kind: DocumentKind) -> DocumentId {
    DocumentId::derive(&subject().round, subject().school.as_str(), kind)
}

fn said(number: usize) -> Statement {
    let value =
        Value::from([("value".parse().unwrap(), Scalar::Number(number.to_string().parse().unwrap()))]);
    Statement { value, ..Statement::default() }
}

fn put(claims: Vec<(EntryPath, Statement)>) -> Command {
    Command::PutClaims { subject: subject(), claims, photos: Vec::new(), mark: None }
}

fn pupils(count: usize) -> Command {
    put(vec![(path("quantities/pupils:primary"), said(count))])
}

fn take_photo(world: &mut World, length: usize) -> PhotoHash {
    let photo = world.take_photo(0, length);
    let hash = photo.photo;
    let command = Command::AttachPhoto { subject: subject(), photo, entries: BTreeSet::new(), place: None };
    world.done(0, command).unwrap();
    hash
}

/// A device of one who inspects and supervises, with a claim accepted.
fn judged(seed: u64) -> World {
    let mut world = World::new(seed, 0);
    world.add_device("device-0", &[Role::Inspector, Role::Supervisor]);
    world.run(20);
    let Ok(Reply::Saved(saved)) = world.done(0, pupils(1)) else { panic!("not saved") };
    let (path, op) = saved.claims[0].clone();
    let seen = Seen { ops: op.into_iter().collect(), ..Seen::default() };
    let entries = BTreeMap::from([(path, seen)]);
    world.done(0, Command::Judge { subject: subject(), entries, outcome: Outcome::Accepted }).unwrap();
    world
}

/// A device whose work the server holds for a supervisor.
fn held(seed: u64) -> World {
    let mut world = World::new(seed, 1);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    world.server.fates.insert(id(DocumentKind::Survey), Fate::Held);
    online(&mut world);
    minutes(&mut world, 30);
    assert_eq!(waits(&world, DocumentKind::Survey), Some(Waiting::Held));
    world
}

/// What waits of a kind of document, and why.
fn waits(world: &World, kind: DocumentKind) -> Option<Waiting> {
    let items = world.devices[0].engine.outbox().items.into_iter();
    let of_kind =
        |what: &OutboxWhat| matches!(what, OutboxWhat::Changes { kind: known, .. } if *known == kind);
    items.filter(|item| of_kind(&item.what)).map(|item| item.reason).next()
}

fn troubles(world: &World, code: &str) -> usize {
    let of_code = |notice: &&Notice| matches!(notice, Notice::Trouble { problem } if problem.code == code);
    world.devices[0].notices.iter().filter(of_code).count()
}

/// Works for so many minutes of the devices' time, or until nothing more can happen.
fn minutes(world: &mut World, minutes: i64) {
    let until = world.now_ms + minutes * 60_000;
    while world.now_ms < until && world.step() {}
}

fn online(world: &mut World) {
    world.command(0, Command::Online { wanted: true });
}

#[test]
fn a_document_that_cannot_be_used_stops_no_other() {
    let mut world = World::new(1, 1);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    let photo = take_photo(&mut world, 700_000);
    world.server.unusable.insert(id(DocumentKind::Review), bytes(BOMB));
    online(&mut world);
    minutes(&mut world, 10);
    assert_eq!(world.devices[0].engine.outbox().items, []);
    assert!(world.server.photos.contains_key(&photo));
    assert_eq!(troubles(&world, "sync.bad_message"), 1, "told once");
    assert_eq!(world.connections, 1);
}

#[test]
fn own_work_goes_out_though_what_comes_in_cannot_be_used() {
    let mut world = World::new(2, 1);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    world.server.unusable.insert(id(DocumentKind::Survey), bytes(BOMB));
    online(&mut world);
    minutes(&mut world, 10);
    let here = world.devices[0].engine.survey(&subject()).unwrap().heads;
    assert_eq!(world.server.heads()[&id(DocumentKind::Survey)], here[&id(DocumentKind::Survey)]);
    assert_eq!(world.devices[0].engine.outbox().items, []);
    assert_eq!(world.connections, 1);
}

#[test]
fn a_document_that_the_server_refuses_stops_no_other_and_is_tried_again() {
    for code in ["held.person_full", "scan.over_limit"] {
        let mut world = judged(3);
        let photo = take_photo(&mut world, 700_000);
        world.server.fates.insert(id(DocumentKind::Review), Fate::Refused(code));
        online(&mut world);
        minutes(&mut world, 30);
        assert_eq!(waits(&world, DocumentKind::Survey), None);
        assert!(world.server.photos.contains_key(&photo));
        let Some(Waiting::Unusable { problem }) = waits(&world, DocumentKind::Review) else {
            panic!("{:?}", world.devices[0].engine.outbox());
        };
        assert_eq!(problem.code, code);
        // The second connection goes on without it; after one, two, four, eight
        // minutes and so on it is tried again, and another takes its place.
        assert!(world.connections <= 11, "{} connections in half an hour", world.connections);
        world.server.fates.clear();
        minutes(&mut world, 90);
        assert_eq!(waits(&world, DocumentKind::Review), None, "tried again in time");
    }
}

#[test]
fn a_frame_that_the_server_does_not_read_for_its_size_stops_no_other_document() {
    let mut world = World::new(12, 0);
    world.add_device("device-0", &[Role::Inspector, Role::Bureau]);
    world.run(20);
    // Text that deflates to no less than half.
    let note: String = (0..300_u32).map(|n| PhotoHash::of(&n.to_be_bytes()).to_string()).collect();
    let statement = Statement { note: Some(note), ..said(1) };
    world.done(0, put(vec![(path("quantities/pupils:primary"), statement)])).unwrap();
    let photo = take_photo(&mut world, 700_000);
    world.server.frame_bytes = 4_000;
    online(&mut world);
    minutes(&mut world, 5);
    assert!(world.server.refused.iter().all(|code| *code == "frame.too_large"), "{:?}", world.server.refused);
    let Some(Waiting::Unusable { problem }) = waits(&world, DocumentKind::Survey) else {
        panic!("{:?}", world.devices[0].engine.outbox());
    };
    assert_eq!(problem.code, "frame.too_large");
    assert!(world.server.photos.contains_key(&photo), "the connection is not given up");
    assert!(world.connections <= 6, "{} connections in five minutes", world.connections);
}

#[test]
fn a_connection_that_fails_each_time_is_tried_less_and_less_often() {
    let mut world = World::new(4, 1);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    world.server.closes = true;
    online(&mut world);
    minutes(&mut world, 30);
    assert!((20..100).contains(&world.connections), "{} in half an hour", world.connections);
    world.server.closes = false;
    minutes(&mut world, 2);
    assert_eq!(world.devices[0].engine.outbox().items, []);
}

#[test]
fn what_is_kept_outside_is_not_sent_for_ever() {
    let world = held(5);
    assert_eq!((world.connections, world.server.deliveries), (1, 1));
}

#[test]
fn what_was_left_out_goes_and_what_was_set_aside_is_stated_again() {
    for (fate, arrives, code) in
        [(Fate::LeftOut, false, "sync.left_out"), (Fate::SetAside, true, "sync.stated_again")]
    {
        let mut world = World::new(5, 1);
        world.run(20);
        world.done(0, pupils(1)).unwrap();
        world.server.fates.insert(id(DocumentKind::Survey), fate);
        online(&mut world);
        while world.server.deliveries == 0 && world.step() {}
        world.server.fates.clear();
        minutes(&mut world, 30);
        assert_eq!(waits(&world, DocumentKind::Survey), None);
        let entries = world.devices[0].engine.survey(&subject()).unwrap().consolidated.entries;
        assert_eq!(entries.len(), usize::from(arrives));
        assert_eq!(troubles(&world, code), 1);
        assert!(world.devices[0].disk.keys().any(|key| key.starts_with("aside/")), "the old data is kept");
        // What comes after it is taken as ever.
        world.done(0, pupils(2)).unwrap();
        minutes(&mut world, 5);
        assert_eq!(waits(&world, DocumentKind::Survey), None);
        assert_eq!(world.connections, 2);
        // What went can still be read, also after a restart.
        for _ in 0..2 {
            let stated = |record: &LeftOut| {
                let values = record.claims.iter().map(|(path, claim)| (path.clone(), claim.value.clone()));
                (record.school.clone(), values.collect::<Vec<_>>())
            };
            let found: Vec<_> = world.devices[0].engine.left_out().map(stated).collect();
            let claims = vec![(path("quantities/pupils:primary"), said(1).value)];
            assert_eq!(found, if arrives { vec![] } else { vec![(Some(subject().school), claims)] });
            world.crash(0);
            world.run(20);
        }
    }
}

#[test]
fn what_came_after_the_held_work_is_only_here_and_nobody_else_may_log_in() {
    let mut world = held(6);
    world.done(0, Command::Online { wanted: false }).unwrap();
    world.done(0, pupils(2)).unwrap();
    assert_eq!(waits(&world, DocumentKind::Survey), Some(Waiting::Offline));
    let login = Command::Login {
        server: "https://server.test".to_owned(),
        name: "wang".to_owned(),
        password: "p".to_owned(),
    };
    assert_eq!(world.done(0, login.clone()).unwrap_err().code, "client.other_persons_work");
    online(&mut world);
    minutes(&mut world, 5);
    assert_eq!(waits(&world, DocumentKind::Survey), Some(Waiting::Held));
    world.done(0, login).unwrap();
}

/// Two people take turns on one device, and what the first brought goes while
/// the second is logged in: the first finds it on the device, under no other name.
#[test]
fn what_goes_of_another_persons_work_waits_on_the_device_for_that_person() {
    let login = |name: &str| Command::Login {
        server: "https://server.test".to_owned(),
        name: name.to_owned(),
        password: "p".to_owned(),
    };
    let (pupils_path, books) = (path("quantities/pupils:primary"), path("quantities/books:primary"));
    for (fate, stays) in [(Fate::LeftOut, false), (Fate::SetAside, true)] {
        let mut world = held(18);
        let first = world.devices[0].engine.identity().unwrap().person.clone();
        world.done(0, login("wang")).unwrap();
        world.done(0, Command::FetchPacket { round: None }).unwrap();
        online(&mut world);
        minutes(&mut world, 5);
        world.done(0, put(vec![(books.clone(), said(5))])).unwrap();
        minutes(&mut world, 5);
        world.server.fates.clear();
        world.server.decide(fate);
        online(&mut world);
        minutes(&mut world, 30);
        let told = |world: &World| -> Vec<EntryPath> {
            let records = world.devices[0].engine.left_out();
            records.flat_map(|record| record.claims.iter().map(|(path, _)| path.clone())).collect()
        };
        assert_eq!(told(&world), if stays { vec![] } else { vec![books.clone()] }, "{fate:?}: the second");
        let here = world.devices[0].engine.survey(&subject()).unwrap();
        assert_eq!(here.heads[&id(DocumentKind::Survey)], world.server.heads()[&id(DocumentKind::Survey)]);
        assert!(!here.consolidated.entries.contains_key(&pupils_path), "{fate:?}: not stated by the second");
        assert_eq!(here.consolidated.entries.contains_key(&books), stays, "{fate:?}");
        world.crash(0);
        world.run(20);
        world.done(0, login(first.as_str())).unwrap();
        assert_eq!(told(&world), std::slice::from_ref(&pupils_path), "{fate:?}: the first");
    }
}

/// More of others goes with a clash than one receipt is asked about.
#[test]
fn a_clash_with_much_of_others_ends_after_some_receipts() {
    let survey = id(DocumentKind::Survey);
    let mut world = World::new(19, 1);
    let mut first = stated(1);
    for number in 0..5_100 {
        let at = path(&format!("quantities/q{}:whole", number % 50));
        write::put_claims(&mut first, &[(at, claim(number))]).unwrap();
    }
    world.server.documents.insert(survey, first);
    online(&mut world);
    minutes(&mut world, 5);
    world.server.documents.insert(survey, stated(2));
    world.crash(0);
    online(&mut world);
    minutes(&mut world, 120);
    let here = world.devices[0].engine.survey(&subject()).unwrap();
    assert_eq!(here.heads[&survey], world.server.heads()[&survey]);
    assert_eq!(waits(&world, DocumentKind::Survey), None);
}

#[test]
fn whoever_asks_now_hears_what_was_decided_on_held_work() {
    let mut world = held(12);
    world.server.fates.clear();
    world.server.leave_out();
    minutes(&mut world, 5);
    assert_eq!(waits(&world, DocumentKind::Survey), Some(Waiting::Held), "the server says nothing by itself");
    online(&mut world);
    minutes(&mut world, 5);
    assert_eq!(waits(&world, DocumentKind::Survey), None);
    assert_eq!(world.devices[0].engine.left_out().count(), 1);
    assert_eq!(world.connections, 2, "the second is that of the document without it");
}

/// The server's heads are all that says so: nothing of the document changes
/// here, and nobody connects anew.
#[test]
fn what_was_let_in_on_the_same_connection_waits_no_more() {
    let mut world = held(16);
    world.let_in();
    minutes(&mut world, 5);
    assert_eq!(waits(&world, DocumentKind::Survey), None);
    assert_eq!(world.connections, 1);
}

#[test]
fn what_was_left_out_goes_though_the_receipt_came_before_the_servers_heads() {
    let mut world = held(14);
    world.server.fates.insert(id(DocumentKind::Survey), Fate::LeftOut);
    world.server.leave_out();
    world.crash(0);
    online(&mut world);
    let asks = |world: &World| world.devices[0].http.iter().any(|(_, it)| it.url.ends_with("/receipts"));
    while world.devices[0].engine.link_view() != LinkView::Online && world.step() {}
    world.stalled = true;
    // It is asked again less and less often, but at once when the server speaks.
    for _ in 0..4 {
        while !asks(&world) && world.step() {}
        while asks(&world) && world.step() {}
    }
    world.stalled = false;
    let until = world.now_ms + 2_000;
    while world.now_ms < until && world.devices[0].engine.left_out().count() == 0 && world.step() {}
    assert_eq!(world.devices[0].engine.left_out().count(), 1);
    minutes(&mut world, 5);
    assert_eq!(waits(&world, DocumentKind::Survey), None);
}

fn claim(value: usize) -> Claim {
    let (value, captured) = (said(value).value, Captured::default());
    Claim { value, captured, photos: Vec::new(), note: None }
}

/// A document in which somebody else stated this value.
fn stated(value: usize) -> Automerge {
    let mut doc = genesis::document(DocumentKind::Survey, [7; 16].into());
    write::put_claims(&mut doc, &[(path("quantities/pupils:primary"), claim(value))]).unwrap();
    doc
}

/// The server was put back to a backup, and the author, whose device was too,
/// wrote something else since. Who only reads fetches that.
#[test]
fn what_is_only_read_is_fetched_again_where_it_became_another() {
    let mut world = World::new(15, 1);
    online(&mut world);
    let review = id(DocumentKind::Review);
    let wrote = |world: &mut World, entry: &str| {
        let mut doc = genesis::document(DocumentKind::Review, [7; 16].into());
        let verdict = Verdict {
            entry: path(entry),
            saw: BTreeSet::new(),
            outcome: Outcome::Accepted,
            supersedes: BTreeSet::new(),
            captured: Captured::default(),
        };
        write::put_verdict(&mut doc, &DecisionId::new("verdict").unwrap(), &verdict).unwrap();
        world.server.documents.insert(review, doc);
        world.crash(0);
        online(world);
        minutes(world, 5);
    };
    let here = |world: &World| world.devices[0].engine.survey(&subject()).unwrap().heads[&review].clone();
    for (entry, times) in [("quantities/pupils:primary", 0), ("quantities/books:primary", 1)] {
        wrote(&mut world, entry);
        assert_eq!(here(&world), world.server.heads()[&review]);
        assert_eq!(troubles(&world, "sync.taken_again"), times);
        assert_eq!(world.devices[0].disk.keys().filter(|key| key.starts_with("aside/")).count(), times);
    }
    world.crash(0);
    world.run(50);
    assert_eq!(here(&world), world.server.heads()[&review]);
}

/// The same of a document that the person may write. What the author wrote
/// first is brought to the server as the author's; of what was built on it
/// everybody states again only what is their own.
#[test]
fn who_may_write_brings_what_somebody_else_has_lost_and_states_only_the_own_again() {
    let survey = id(DocumentKind::Survey);
    let own_path = path("quantities/books:primary");
    let refused = Some(Fate::Refused("journal.person_full"));
    let fates = [None, Some(Fate::Held), Some(Fate::SetAside), refused];
    for (writes, fate) in fates.into_iter().flat_map(|fate| [(true, fate), (false, fate)]) {
        let mut world = World::new(17, 1);
        let first = stated(1);
        world.server.documents.insert(survey, first.clone());
        online(&mut world);
        if writes {
            let claims = vec![(own_path.clone(), said(5))];
            world.done(0, put(claims)).unwrap();
        }
        minutes(&mut world, 2);
        world.server.documents.insert(survey, stated(2));
        world.server.fates.extend(fate.map(|fate| (survey, fate)));
        world.crash(0);
        online(&mut world);
        let lost = first.get_heads()[0].to_string();
        let values = |world: &World, path: &EntryPath| {
            let here = world.devices[0].engine.survey(&subject()).unwrap();
            let candidates = here.consolidated.entries.get(path).map(|entry| entry.candidates.clone());
            candidates.into_iter().flatten().map(|one| one.value).collect::<Vec<_>>()
        };
        let (case, theirs) = (format!("{writes} {fate:?}"), path("quantities/pupils:primary"));
        for minute in 0..90 {
            minutes(&mut world, 1);
            let is_safe = world.server.keeps_outside(survey, &lost);
            if is_safe || minute == 20 {
                world.server.fates.clear();
            } else if fate == refused && minute < 20 {
                assert_eq!(values(&world, &theirs), [said(1).value], "{case}: dropped before it is safe");
            }
        }
        assert!(world.server.keeps_outside(survey, &lost), "{case}: nobody has what was lost");
        let here = world.devices[0].engine.survey(&subject()).unwrap();
        assert_eq!(here.heads[&survey], world.server.heads()[&survey], "{case}");
        assert_eq!(values(&world, &theirs), [said(2).value], "{case}: stated by another");
        let own = if writes { vec![said(5).value] } else { Vec::new() };
        assert_eq!(values(&world, &own_path), own, "{case}");
        assert_eq!(waits(&world, DocumentKind::Survey), None, "{case}");
    }
}

#[test]
fn a_reading_that_goes_on_is_that_of_a_device_that_reads_all_anew() {
    let mut world = World::new(13, 1);
    world.run(200);
    let seen = |world: &World, device: usize| {
        let engine = &world.devices[device].engine;
        let typed = [(path("quantities/teachers:primary"), said(33))];
        let (plain, typing) =
            (engine.preview(&subject()).unwrap(), engine.preview_with(&subject(), &typed).unwrap());
        assert_eq!(plain.heads, typing.heads, "what is typed is in no document");
        let survey = engine.survey(&subject()).unwrap();
        let schools = engine.schools();
        serde_json::to_value((survey.consolidated, survey.open, schools, plain.assessment, typing.assessment))
            .unwrap()
    };
    let mut all = BTreeSet::new();
    for round in 0..6 {
        world.done(0, pupils(round)).unwrap();
        all.insert(seen(&world, 0).to_string());
        if round == 3 {
            let at = path("quantities/pupils:primary");
            world.done(0, Command::Undo { subject: subject(), path: at }).unwrap();
        }
        world.done(0, put(vec![(path("quantities/classes:primary"), said(round))])).unwrap();
        let live = seen(&world, 0);
        all.insert(live.to_string());
        world.crash(0);
        world.run(50);
        assert!(seen(&world, 0) == live, "round {round}");
    }
    assert_eq!(all.len(), 12, "each was another");
}

#[test]
fn a_photo_that_cannot_be_read_or_is_never_taken_stops_no_other() {
    for readable in [false, true] {
        let mut world = World::new(7, 1);
        world.run(20);
        let (bad, good) = (take_photo(&mut world, 100_000), take_photo(&mut world, 900_000));
        if readable {
            world.server.fails.insert(bad);
        } else {
            world.devices[0].photos.remove(&bad);
        }
        online(&mut world);
        minutes(&mut world, 10);
        assert!(world.server.photos.contains_key(&good), "readable: {readable}");
        let code = if readable { "photo.not_taken" } else { "photo.unreadable" };
        assert_eq!(troubles(&world, code), 1);
        let state = |world: &World| {
            world.devices[0].engine.photos().find(|record| record.photo == bad).unwrap().state.clone()
        };
        assert_eq!(matches!(state(&world), PhotoState::Stuck { .. }), !readable);
        if readable {
            world.server.fails.clear();
            minutes(&mut world, 10);
            assert!(matches!(state(&world), PhotoState::Receipted { .. }));
        }
    }
}

#[test]
fn a_long_sheet_becomes_changes_that_the_server_takes() {
    let mut world = World::new(8, 1);
    world.run(20);
    let claim = |line: usize| (path(&format!("quantities/q{line}:whole")), said(line));
    let Ok(Reply::Saved(saved)) = world.done(0, put((0..4_000).map(claim).collect())) else {
        panic!("not saved")
    };
    assert_eq!(saved.claims.len(), 4_000);
    online(&mut world);
    minutes(&mut world, 10);
    assert_eq!(world.server.refused, [""; 0]);
    assert_eq!(world.devices[0].engine.outbox().items, []);
    let survey = &world.server.documents[&id(DocumentKind::Survey)];
    assert!(survey.get_changes(&[]).len() > 2, "more than one change");
    let entries = world.devices[0].engine.survey(&subject()).unwrap().consolidated.entries;
    assert_eq!(entries.len(), 4_000);
    for ((path, op), line) in saved.claims.into_iter().zip(0..) {
        let candidate = &entries[&path].candidates[0];
        assert_eq!((Some(candidate.op.clone()), candidate.value.clone()), (op, said(line).value));
    }
}

#[test]
fn a_text_that_the_server_would_never_take_is_refused_where_it_is_written() {
    let mut world = World::new(9, 1);
    world.run(20);
    let with_note = |note: String| {
        let statement = Statement { note: Some(note), ..said(1) };
        put(vec![(path("quantities/pupils:primary"), statement)])
    };
    let problem = world.done(0, with_note("长".repeat(2 << 20))).unwrap_err();
    assert_eq!(problem.code, "capture.too_long");
    assert!(problem.detail.unwrap().contains("quantities/pupils:primary/note"));
    assert_eq!(world.devices[0].engine.outbox().items, []);
    world.done(0, with_note("长".repeat(20_000))).unwrap();
    world.heal();
}

#[test]
fn to_state_a_value_twice_replaces_the_same_as_to_state_it_once() {
    let mut world = World::new(10, 2);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    world.heal();
    for count in [2, 3, 3] {
        world.done(1, pupils(count)).unwrap();
    }
    world.heal();
    for device in &world.devices {
        let marked = device.engine.replaced_others(&subject());
        assert_eq!(marked, BTreeSet::from([path("quantities/pupils:primary")]), "{}", device.name);
    }
}

#[test]
fn what_one_wrote_under_an_earlier_actor_is_ones_own() {
    let mut world = World::new(11, 1);
    world.run(20);
    for count in 1..4 {
        world.done(0, pupils(count)).unwrap();
        // Another place: another actor from now on.
        world.devices[0].stamp = format!("place {count}");
        world.crash(0);
        world.run(20);
    }
    world.done(0, pupils(4)).unwrap();
    world.crash(0);
    world.run(20);
    let history = world.devices[0].engine.history(&subject(), &path("quantities/pupils:primary")).unwrap();
    let actors: BTreeSet<&str> = history.iter().map(|past| past.op.actor()).collect();
    assert_eq!(actors.len(), 4);
    assert_eq!(world.devices[0].engine.replaced_others(&subject()), BTreeSet::new());
}

#[test]
fn receipts_that_say_nothing_more_are_not_kept() {
    let mut world = World::new(9, 1);
    world.run(20);
    online(&mut world);
    for count in 1..=6 {
        if count % 2 == 0 {
            take_photo(&mut world, 10_000);
        } else {
            world.done(0, pupils(count)).unwrap();
        }
        minutes(&mut world, 10);
    }
    assert_eq!(world.devices[0].engine.outbox().items, []);
    world.done(0, Command::Online { wanted: false }).unwrap();
    online(&mut world);
    minutes(&mut world, 10);
    let receipts = world.devices[0].disk.keys().filter(|key| key.starts_with("receipt/")).count();
    assert_eq!(receipts, 1, "the first of a connection is about all that the device has");
    let freed = world.devices[0]
        .engine
        .photos()
        .filter(|record| matches!(record.state, PhotoState::Receipted { .. }));
    assert_eq!(freed.count(), 3);
}
