//! The laws of the offline engine, over many seeds: what was reported as saved
//! is never lost, all devices and the server come to the same, and no photo
//! leaves a device before the server has it.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use automerge::ObjId;
use duxue_client_core::photo::PhotoState;
use duxue_client_core::views::{LinkView, OutboxWhat, Waiting};
use duxue_client_core::{Command, Notice, Reply, Statement};
use duxue_document::path::ItemKind;
use duxue_document::{DocumentId, DocumentKind, EntryPath, FieldId, OpId, Scalar, Value};
use duxue_protocol::wire::{self, Message};
use world::{Faults, World, subject};

fn number(field: &str, text: &str) -> Value {
    Value::from([(field.parse::<FieldId>().unwrap(), Scalar::Number(text.parse().unwrap()))])
}

fn quantity(name: &str, value: usize) -> Command {
    let path: EntryPath = format!("quantities/{name}:primary").parse().unwrap();
    let statement = Statement { value: number("value", &value.to_string()), ..Statement::default() };
    Command::PutClaims { subject: subject(), claims: vec![(path, statement)], photos: Vec::new(), mark: None }
}

fn room(door: usize, length_m: &str) -> Command {
    let identity = Value::from([
        ("number".parse().unwrap(), Scalar::Text(door.to_string())),
        ("purpose".parse().unwrap(), Scalar::Text("music".to_owned())),
    ]);
    let mut size = number("length_m", length_m);
    size.extend(number("width_m", "8"));
    let fields = [("identity", identity), ("size", size)];
    let statement = |value| Statement { value, ..Statement::default() };
    Command::AddItem {
        subject: subject(),
        kind: ItemKind::Rooms,
        fields: fields.into_iter().map(|(name, value)| (name.parse().unwrap(), statement(value))).collect(),
        photos: Vec::new(),
        mark: None,
    }
}

fn survey_id() -> DocumentId {
    DocumentId::derive(&subject().round, subject().school.as_str(), DocumentKind::Survey)
}

/// Whether a document's history holds the claim, live or replaced since.
fn holds(doc: &automerge::Automerge, op: &OpId) -> bool {
    let actor = op.actor().try_into().unwrap();
    doc.hash_for_opid(&ObjId::Id(op.counter(), actor, 0)).is_some()
}

fn check_laws(world: &World) {
    let server = &world.server.documents[&survey_id()];
    for op in &world.saved {
        assert!(holds(server, op), "{op} was reported as saved and is lost");
    }
    let first = world.devices[0].engine.survey(&subject()).unwrap();
    for device in &world.devices {
        let view = device.engine.survey(&subject()).unwrap();
        assert_eq!(view.heads, first.heads, "{} differs", device.name);
        assert_eq!(
            serde_json::to_string(&view.consolidated).unwrap(),
            serde_json::to_string(&first.consolidated).unwrap()
        );
        for record in device.engine.photos() {
            assert!(world.server.photos.contains_key(&record.photo), "a photo did not arrive");
            let here = device.photos.contains_key(&record.photo);
            assert!(here || device.freed.contains(&record.photo), "a photo vanished");
        }
    }
}

/// A day of work with every fault, then peace.
fn a_day(seed: u64, faults: Faults) {
    let mut world = World::new(seed, 3);
    world.run(50);
    world.faults = faults;
    for hour in 0..60 {
        let device = world.below(3);
        match world.below(7) {
            0 => {
                let length = 1 + world.below(1_500_000);
                let photo = world.take_photo(device, length);
                let entries = BTreeSet::from(["quantities/books:primary".parse().unwrap()]);
                world.command(
                    device,
                    Command::AttachPhoto { subject: subject(), photo, entries, place: None },
                );
            }
            1 => {
                world.command(device, Command::FreePhotos);
            }
            2 => {
                let wanted = world.chance(700);
                world.command(device, Command::Online { wanted });
            }
            3 => {
                world.server.up = !world.server.up;
            }
            4 => {
                let door = world.below(4);
                world.command(device, room(door, "9.2"));
            }
            _ => {
                let value = 100 + world.below(5);
                world.command(device, quantity("pupils", value + hour));
            }
        }
        let steps = world.below(120);
        world.run(steps);
    }
    world.heal();
    check_laws(&world);
}

#[test]
fn nothing_saved_is_lost_and_all_converge() {
    for seed in 0..30 {
        println!("seed {seed}");
        a_day(seed, Faults::ALL);
    }
}

#[test]
fn without_faults_the_same_holds() {
    a_day(4711, Faults::default());
}

#[test]
fn a_full_disk_is_an_error_that_people_see_and_the_value_is_kept_and_stored_later() {
    let mut world = World::new(1, 1);
    world.run(20);
    world.devices[0].full = true;
    let problem = world.done(0, quantity("pupils", 812)).unwrap_err();
    assert_eq!(problem.code, "store.full");
    // The value is still on the screen, and nothing of it has left the device.
    let outbox = world.devices[0].engine.outbox();
    assert!(matches!(outbox.items[0].reason, Waiting::NotSaved), "{outbox:?}");
    world.command(0, Command::Online { wanted: true });
    world.run(200);
    assert_eq!(world.server.heads()[&survey_id()], duxue_heads_of_genesis());
    world.devices[0].full = false;
    world.heal();
    assert!(world.devices[0].notices.contains(&Notice::SavedLate { document: survey_id() }));
    let view = world.devices[0].engine.survey(&subject()).unwrap();
    assert_eq!(view.consolidated.entries.len(), 1);
    assert_eq!(world.server.heads()[&survey_id()], view.heads[&survey_id()]);
}

fn duxue_heads_of_genesis() -> BTreeSet<String> {
    world::Server::new().heads()[&survey_id()].clone()
}

#[test]
fn a_crash_before_the_flush_loses_only_what_was_not_reported() {
    let mut world = World::new(2, 1);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    let unreported = world.command(0, quantity("pupils", 2));
    world.crash(0);
    world.run(20);
    assert!(!world.devices[0].replies.contains_key(&unreported));
    // The same actor goes on; nothing it wrote before can clash.
    world.done(0, quantity("pupils", 3)).unwrap();
    world.heal();
    check_laws(&world);
    let doc = &world.server.documents[&survey_id()];
    assert_eq!(doc.get_changes(&[]).len(), 3, "genesis and two changes");
}

#[test]
fn a_copied_store_writes_under_another_actor() {
    let mut world = World::new(3, 1);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    let copy = world.add_device("device-copy", &[]);
    let disk = world.devices[0].disk.clone();
    world.devices[copy].disk = disk;
    world.crash(copy);
    world.run(20);
    for device in [0, copy] {
        world.done(device, quantity("books", 10 + device)).unwrap();
    }
    world.heal();
    check_laws(&world);
    let view = world.devices[0].engine.survey(&subject()).unwrap();
    let books = &view.consolidated.entries[&"quantities/books:primary".parse().unwrap()];
    let actors: BTreeSet<&str> = books.candidates.iter().map(|candidate| candidate.op.actor()).collect();
    assert_eq!(actors.len(), 2, "both stand side by side");
}

/// A disk put back behind the engine's back, so that the actor goes on.
fn put_back(world: &mut World, device: usize, disk: BTreeMap<String, Vec<u8>>) {
    world.devices[device].disk = disk;
    world.crash(device);
    world.run(20);
}

#[test]
fn what_a_restored_store_wrote_again_under_a_used_number_is_stated_again_and_arrives() {
    let mut world = World::new(7, 2);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    world.heal();
    let earlier = world.devices[0].disk.clone();
    world.done(0, quantity("pupils", 2)).unwrap();
    world.heal();
    put_back(&mut world, 0, earlier);
    world.done(0, Command::Online { wanted: false }).unwrap();
    world.done(0, quantity("books", 31)).unwrap();
    let Ok(Reply::Saved(saved)) = world.done(0, room(1, "9.2")) else { panic!("not saved") };
    // Their ops get new names; what they state is checked instead.
    world.saved.clear();
    world.heal();
    check_laws(&world);
    let view = world.devices[1].engine.survey(&subject()).unwrap().consolidated;
    let books = &view.entries[&"quantities/books:primary".parse().unwrap()];
    assert_eq!(books.candidates[0].value, number("value", "31"));
    let item = saved.item.unwrap();
    let (_, room) = view.items.iter().find(|(key, _)| key.item == item).unwrap();
    assert_eq!(room.fields.len(), 2);
    let pupils = &view.entries[&"quantities/pupils:primary".parse().unwrap()];
    assert_eq!(pupils.candidates[0].value, number("value", "2"), "the server's later value stays");
    let aside = world.devices[0].disk.keys().filter(|key| key.starts_with("aside/")).count();
    assert_eq!(aside, 1, "the old chunks are kept");
    // The stored document is the new one.
    world.crash(0);
    world.done(0, quantity("classes", 5)).unwrap();
    world.heal();
    check_laws(&world);
}

#[test]
fn a_damaged_document_is_written_under_another_actor() {
    written_under_another_actor(|device, key| {
        device.disk.insert(key, b"damaged".to_vec());
    });
}

#[test]
fn a_document_of_which_a_part_cannot_be_read_is_written_under_another_actor() {
    written_under_another_actor(|device, key| {
        device.unreadable.insert(key);
    });
}

fn written_under_another_actor(damage: impl Fn(&mut world::Device, String)) {
    let mut world = World::new(8, 1);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    world.done(0, quantity("books", 2)).unwrap();
    world.heal();
    let mut chunks: Vec<String> =
        world.devices[0].disk.keys().filter(|key| key.contains("/chunk/")).cloned().collect();
    for key in chunks.drain(..) {
        damage(&mut world.devices[0], key);
    }
    world.crash(0);
    world.run(20);
    world.done(0, Command::Online { wanted: false }).unwrap();
    world.done(0, quantity("classes", 3)).unwrap();
    world.heal();
    check_laws(&world);
    assert_eq!(world.devices[0].engine.survey(&subject()).unwrap().consolidated.entries.len(), 3);
    let clashed = |notice: &Notice| matches!(notice, Notice::Trouble { problem } if problem.code == "sync.written_again");
    assert!(!world.devices[0].notices.iter().any(clashed));
}

#[test]
fn nobody_else_logs_in_while_ones_work_waits() {
    let mut world = World::new(9, 1);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    let login = |name: &str| Command::Login {
        server: "https://server.test".to_owned(),
        name: name.to_owned(),
        password: "p".to_owned(),
    };
    let problem = world.done(0, login("wang")).unwrap_err();
    assert_eq!(problem.code, "client.other_persons_work");
    assert_eq!(world.devices[0].engine.identity().unwrap().person.as_str(), "person-device-0");
    world.done(0, login("person-device-0")).unwrap();
    world.heal();
    world.done(0, login("wang")).unwrap();
    assert_eq!(world.devices[0].engine.identity().unwrap().person.as_str(), "wang");
}

#[test]
fn changes_of_an_earlier_actor_are_in_the_outbox_too() {
    let mut world = World::new(10, 1);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    world.devices[0].stamp = "elsewhere".to_owned();
    world.crash(0);
    world.run(20);
    let count = |world: &World| match world.devices[0].engine.outbox().items.as_slice() {
        [item] => match item.what {
            OutboxWhat::Changes { count, .. } => count,
            OutboxWhat::Photo { .. } => 0,
        },
        _ => 0,
    };
    assert_eq!(count(&world), 1);
    world.done(0, quantity("books", 2)).unwrap();
    assert_eq!(count(&world), 2);
    world.heal();
    assert_eq!(count(&world), 0);
}

#[test]
fn a_photo_is_not_freed_on_a_receipt_from_before_the_connection() {
    let mut world = World::new(11, 1);
    world.run(20);
    let photo = world.take_photo(0, 500_000);
    world
        .done(0, Command::AttachPhoto { subject: subject(), photo, entries: BTreeSet::new(), place: None })
        .unwrap();
    world.heal();
    world.server.forgets_photos = true;
    world.done(0, Command::Online { wanted: false }).unwrap();
    world.done(0, Command::Online { wanted: true }).unwrap();
    while world.devices[0].http.is_empty() {
        assert!(world.step());
    }
    // The server has said nothing yet, and will say that it has no such photo.
    let refused = world.done(0, Command::FreePhotos);
    assert!(matches!(&refused, Err(problem) if problem.code == "photo.unconfirmed"), "{refused:?}");
    let state = |world: &World| world.devices[0].engine.photos().next().unwrap().state.clone();
    while matches!(state(&world), PhotoState::Receipted { .. }) {
        assert!(world.step());
    }
    assert_eq!(state(&world), PhotoState::Waiting);
    world.server.forgets_photos = false;
    world.heal();
    assert!(
        matches!(world.done(0, Command::FreePhotos), Ok(Reply::Freed { photos, .. }) if photos.len() == 1)
    );
    // Nor is one freed without a connection.
    world.done(0, Command::Online { wanted: false }).unwrap();
    assert!(world.done(0, Command::FreePhotos).is_ok(), "nothing is left to free");
}

#[test]
fn a_connection_that_ends_while_the_marks_are_stored_frees_nothing() {
    let mut world = World::new(12, 1);
    world.run(20);
    let photo = world.take_photo(0, 500_000);
    world
        .done(0, Command::AttachPhoto { subject: subject(), photo, entries: BTreeSet::new(), place: None })
        .unwrap();
    world.heal();
    world.command(0, Command::FreePhotos);
    world.command(0, Command::Online { wanted: false });
    while world.store_one(0) {}
    assert!(world.devices[0].freed.is_empty());
    world.crash(0);
    world.run(20);
    let state = world.devices[0].engine.photos().next().unwrap().state.clone();
    assert!(matches!(state, PhotoState::Receipted { .. }), "{state:?}");
}

#[test]
fn a_freed_photo_that_a_backup_took_away_is_shown_as_stuck() {
    let mut world = World::new(13, 1);
    world.run(20);
    world.heal();
    let backup = world.server.backup();
    let photo = world.take_photo(0, 500_000);
    world
        .done(0, Command::AttachPhoto { subject: subject(), photo, entries: BTreeSet::new(), place: None })
        .unwrap();
    world.heal();
    assert!(
        matches!(world.done(0, Command::FreePhotos), Ok(Reply::Freed { photos, .. }) if photos.len() == 1)
    );
    world.server.restore(backup);
    world.done(0, Command::Online { wanted: false }).unwrap();
    world.done(0, Command::Online { wanted: true }).unwrap();
    world.run(600);
    let state = world.devices[0].engine.photos().next().unwrap().state.clone();
    assert!(matches!(state, PhotoState::Stuck { .. }), "{state:?}");
}

#[test]
fn a_frame_as_large_as_the_server_may_send_is_read() {
    let mut world = World::new(12, 1);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    world.heal();
    let message = Message::Sync {
        sender_id: "server".to_owned(),
        target_id: "device".to_owned(),
        document_id: "unknown".to_owned(),
        data: vec![0; 32 << 20],
    };
    world.deliver(0, wire::encode(&message));
    let bad = |notice: &Notice| matches!(notice, Notice::Trouble { .. });
    assert!(!world.devices[0].notices.iter().any(bad), "{:?}", world.devices[0].notices);
    assert!(matches!(world.devices[0].engine.link_view(), LinkView::Online));
}

#[test]
fn photos_are_freed_only_against_a_receipt_of_the_enrolled_server() {
    let mut world = World::new(4, 1);
    world.run(20);
    world.server.forge = true;
    let photo = world.take_photo(0, 1_200_000);
    let entries = BTreeSet::from(["quantities/books:primary".parse().unwrap()]);
    let hash = photo.photo;
    world.done(0, Command::AttachPhoto { subject: subject(), photo, entries, place: None }).unwrap();
    world.done(0, Command::Online { wanted: true }).unwrap();
    world.run(400);
    assert!(world.server.photos.contains_key(&hash));
    let forged =
        |notice: &Notice| matches!(notice, Notice::Trouble { problem } if problem.code == "receipt.invalid");
    assert!(world.devices[0].notices.iter().any(forged));
    let freed = |reply| match reply {
        Ok(Reply::Freed { photos, .. }) => photos.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(freed(world.done(0, Command::FreePhotos)), 0);
    assert!(world.devices[0].photos.contains_key(&hash));
    world.server.forge = false;
    world.heal();
    assert_eq!(freed(world.done(0, Command::FreePhotos)), 1);
    assert!(!world.devices[0].photos.contains_key(&hash));
}

#[test]
fn a_server_restored_from_an_old_backup_gets_everything_again() {
    let mut world = World::new(5, 2);
    world.run(20);
    world.done(0, quantity("pupils", 1)).unwrap();
    world.heal();
    let backup = world.server.backup();
    world.done(1, quantity("books", 2)).unwrap();
    let photo = world.take_photo(0, 700_000);
    let (hash, entries) = (photo.photo, BTreeSet::new());
    world.done(0, Command::AttachPhoto { subject: subject(), photo, entries, place: None }).unwrap();
    world.heal();
    check_laws(&world);
    world.server.restore(backup);
    assert!(!world.server.photos.contains_key(&hash));
    world.heal();
    world.heal();
    check_laws(&world);
    assert!(world.server.photos.contains_key(&hash), "the photo was sent again");
}

#[test]
fn an_upload_goes_on_where_it_stopped_after_a_restart() {
    let mut world = World::new(6, 1);
    world.run(20);
    let photo = world.take_photo(0, 4_000_000);
    let (hash, entries) = (photo.photo, BTreeSet::new());
    world.done(0, Command::AttachPhoto { subject: subject(), photo, entries, place: None }).unwrap();
    world.done(0, Command::Online { wanted: true }).unwrap();
    while world.server.received_bytes < 2_000_000 {
        world.step();
    }
    world.crash(0);
    world.heal();
    assert!(world.server.photos.contains_key(&hash));
    assert_eq!(world.server.received_bytes, 4_000_000, "no byte was sent twice");
    let states: BTreeMap<_, _> =
        world.devices[0].engine.photos().map(|record| (record.photo, record.state.clone())).collect();
    assert!(matches!(states[&hash], PhotoState::Receipted { .. }));
}
