//! What people do with their devices, one thing at a time, against a server
//! with the real one's limits.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use automerge::sync::Message as SyncMessage;
use automerge::{ChangeHash, ReadDoc};
use duxue_client_core::{Command, Notice, Reply, Statement};
use duxue_document::conflict::ConflictSubject;
use duxue_document::consolidated::{Entry, Removal, ValueState};
use duxue_document::decision;
use duxue_document::path::{ItemKey, ItemKind};
use duxue_document::{DocumentId, DocumentKind, EntryPath, OpId, Scalar, Value};
use duxue_protocol::api::Role;
use duxue_protocol::wire::{self, Message};
use world::{World, subject};

fn number(field: &str, text: &str) -> Value {
    Value::from([(field.parse().unwrap(), Scalar::Number(text.parse().unwrap()))])
}

fn said(value: Value) -> Statement {
    Statement { value, ..Statement::default() }
}

fn claims(claims: Vec<(EntryPath, Statement)>) -> Command {
    Command::PutClaims { subject: subject(), claims, photos: Vec::new(), mark: None }
}

fn pupils(count: usize) -> Command {
    claims(vec![(path("quantities/pupils:primary"), said(number("value", &count.to_string())))])
}

fn path(text: &str) -> EntryPath {
    text.parse().unwrap()
}

fn survey_id() -> DocumentId {
    DocumentId::derive(&subject().round, subject().school.as_str(), DocumentKind::Survey)
}

fn entry(world: &World, device: usize, at: &str) -> Entry {
    let view = world.devices[device].engine.survey(&subject()).unwrap();
    view.consolidated.entry(&path(at)).unwrap().clone()
}

fn room(world: &mut World, device: usize, door: &str) -> ItemKey {
    let identity = Value::from([
        ("number".parse().unwrap(), Scalar::Text(door.to_owned())),
        ("purpose".parse().unwrap(), Scalar::Text("music".to_owned())),
    ]);
    let mut size = number("length_m", "9.2");
    size.extend(number("width_m", "8"));
    let fields = [("identity", identity), ("size", size)];
    let command = Command::AddItem {
        subject: subject(),
        kind: ItemKind::Rooms,
        fields: fields.into_iter().map(|(name, value)| (name.parse().unwrap(), said(value))).collect(),
        photos: Vec::new(),
        mark: None,
    };
    let Ok(Reply::Saved(saved)) = world.done(device, command) else { panic!("not saved") };
    ItemKey { kind: ItemKind::Rooms, item: saved.item.unwrap() }
}

fn offline(world: &mut World, devices: usize) {
    for device in 0..devices {
        world.done(device, Command::Online { wanted: false }).unwrap();
    }
}

#[test]
fn whoever_logs_out_leaves_no_token_and_loses_nothing() {
    let mut world = World::new(11, 1);
    world.run(200);
    let token = |world: &World| {
        let kept: serde_json::Value = serde_json::from_slice(&world.devices[0].disk["identity"]).unwrap();
        kept["token"].as_str().unwrap().to_owned()
    };
    assert_eq!(token(&world), "token");
    offline(&mut world, 1);
    world.done(0, pupils(510)).unwrap();

    assert_eq!(world.done(0, Command::ForgetSession), Ok(Reply::Done));
    assert_eq!(token(&world), "", "the token is gone with the answer");
    world.crash(0);
    world.run(50);
    assert_eq!(entry(&world, 0, "quantities/pupils:primary").candidates.len(), 1, "what was saved stays");
    assert!(!world.devices[0].engine.outbox().items.is_empty(), "and waits for the next session");
}

#[test]
fn whoever_else_logs_in_gets_a_connection_of_their_own() {
    let mut world = World::new(12, 1);
    world.run(20);
    world.done(0, Command::Online { wanted: true }).unwrap();
    world.run(200);
    assert_eq!(world.connections, 1);
    for connections in [2, 2] {
        let (server, name) = ("https://server.test".to_owned(), "wang".to_owned());
        world.done(0, Command::Login { server, name, password: "p".to_owned() }).unwrap();
        world.run(200);
        assert_eq!(world.connections, connections, "the second time nobody else has logged in");
    }
}

#[test]
fn an_undo_states_again_what_was_there_before() {
    let mut world = World::new(1, 1);
    world.run(20);
    let undo = |at: &str| Command::Undo { subject: subject(), path: path(at) };
    let at = "quantities/pupils:primary";
    let can = |world: &World| !world.devices[0].engine.can_undo(&subject(), &[path(at)]).is_empty();
    assert_eq!(world.done(0, undo(at)).unwrap_err().code, "capture.nothing_to_undo");
    assert!(!can(&world), "nothing was stated");
    world.done(0, pupils(1)).unwrap();
    assert_eq!(world.done(0, undo(at)).unwrap_err().code, "capture.nothing_to_undo", "nothing before it");
    assert!(!can(&world), "nothing before it");
    world.done(0, pupils(2)).unwrap();
    assert!(can(&world));
    world.done(0, undo(at)).unwrap();
    assert!(can(&world), "an undo can be undone");
    let after = entry(&world, 0, at);
    assert_eq!(after.candidates.len(), 1);
    assert_eq!(after.candidates[0].value, number("value", "1"));
    let history = world.devices[0].engine.history(&subject(), &path(at)).unwrap();
    let values: Vec<Value> = history.into_iter().map(|past| past.claim.value).collect();
    assert_eq!(values, ["1", "2", "1"].map(|text| number("value", text)), "an undo is a claim of its own");
}

#[test]
fn a_copy_of_a_room_differs_only_in_what_was_said() {
    let mut world = World::new(2, 1);
    world.run(20);
    let first = room(&mut world, 0, "101");
    let identity = Value::from([
        ("number".parse().unwrap(), Scalar::Text("102".to_owned())),
        ("purpose".parse().unwrap(), Scalar::Text("art".to_owned())),
    ]);
    let changes = BTreeMap::from([("identity".parse().unwrap(), said(identity.clone()))]);
    let copy =
        |item: &ItemKey, changes| Command::CopyItem { subject: subject(), item: item.clone(), changes };
    let Ok(Reply::Saved(saved)) = world.done(0, copy(&first, changes)) else { panic!("not saved") };
    let second = ItemKey { kind: ItemKind::Rooms, item: saved.item.unwrap() };
    assert_ne!(first, second);
    let value =
        |key: &ItemKey, field: &str| entry(&world, 0, &format!("{key}/{field}")).candidates[0].value.clone();
    assert_eq!(value(&second, "size"), value(&first, "size"));
    assert_eq!(value(&second, "identity"), identity);
    let view = world.devices[0].engine.survey(&subject()).unwrap().consolidated;
    assert_eq!((view.items.len(), view.duplicates.len()), (2, 0));
    let nobody: ItemKey = "rooms/nobody".parse().unwrap();
    assert_eq!(world.done(0, copy(&nobody, BTreeMap::new())).unwrap_err().code, "capture.unknown_item");
    let refused = world.done(0, copy(&first, BTreeMap::new())).unwrap_err();
    assert!(refused.detail.unwrap().contains("identity.number=102"), "it says what to write");
}

#[test]
fn a_copy_takes_no_side_where_people_differ() {
    let mut world = World::new(5, 2);
    world.run(40);
    let first = room(&mut world, 0, "101");
    world.heal();
    offline(&mut world, 2);
    let size = path(&format!("{first}/size"));
    for (device, area) in [(0, "40"), (1, "60")] {
        world.done(device, claims(vec![(size.clone(), said(number("area_m2", area)))])).unwrap();
    }
    world.heal();
    let identity = Value::from([
        ("number".parse().unwrap(), Scalar::Text("102".to_owned())),
        ("purpose".parse().unwrap(), Scalar::Text("art".to_owned())),
    ]);
    let of = |changes: &[(&str, Value)]| Command::CopyItem {
        subject: subject(),
        item: first.clone(),
        changes: changes.iter().map(|(field, value)| (field.parse().unwrap(), said(value.clone()))).collect(),
    };
    let identity = ("identity", identity);
    for (changes, stated) in [
        (vec![identity.clone()], None),
        (vec![identity, ("size", number("area_m2", "55"))], Some(number("area_m2", "55"))),
    ] {
        let Ok(Reply::Saved(saved)) = world.done(0, of(&changes)) else { panic!("not saved") };
        let warned: Vec<String> =
            saved.warnings.iter().map(|warning| warning.problem.code.to_string()).collect();
        let expected = if stated.is_some() { vec![] } else { vec!["capture.not_copied"] };
        assert_eq!(warned, expected);
        let view = world.devices[0].engine.survey(&subject()).unwrap().consolidated;
        let item = &view.items[&ItemKey { kind: ItemKind::Rooms, item: saved.item.unwrap() }];
        let found = item.fields.get(&"size".parse().unwrap()).map(|entry| entry.candidates[0].value.clone());
        assert_eq!(found, stated);
    }
}

/// One person removes a room while another measures it; the bureau rules.
fn removed_and_measured(present: bool) {
    let mut world = World::new(3, 2);
    let bureau = world.add_device("bureau", &[Role::Bureau]);
    world.run(40);
    let item = room(&mut world, 0, "101");
    world.done(bureau, Command::Open { subject: subject() }).unwrap();
    world.heal();
    offline(&mut world, 2);
    let remove = Command::RemoveItem { subject: subject(), item: item.clone(), reason: "拆除".to_owned() };
    world.done(0, remove).unwrap();
    let size = path(&format!("{item}/size"));
    let mut longer = number("length_m", "9.9");
    longer.extend(number("width_m", "8"));
    world.done(1, claims(vec![(size.clone(), said(longer))])).unwrap();
    world.heal();
    let removal = |world: &World, device: usize| {
        let view = world.devices[device].engine.survey(&subject()).unwrap().consolidated;
        view.items[&item].removal.clone()
    };
    for device in [0, 1, bureau] {
        assert!(matches!(removal(&world, device), Removal::EditedAfterRemoval { .. }), "{device}");
        let open = world.devices[device].engine.conflicts(&subject()).unwrap();
        assert!(open.iter().any(|open| matches!(open.subject, ConflictSubject::Removal { .. })), "{open:?}");
    }
    let view = world.devices[bureau].engine.survey(&subject()).unwrap().consolidated;
    let candidates = view.items[&item].fields.values().flat_map(|entry| &entry.candidates);
    let saw: BTreeSet<OpId> = candidates.map(|candidate| candidate.op.clone()).collect();
    let about = decision::Subject::Removal { item: item.clone(), present, saw };
    let rule =
        Command::Rule {
            subject: subject(), about, rulings: BTreeSet::new(), reason: "现场复核".to_owned()
        };
    assert_eq!(world.done(0, rule.clone()).unwrap_err().code, "client.not_allowed");
    world.done(bureau, rule).unwrap();
    world.heal();
    let expected = if present { Removal::Present } else { Removal::Removed };
    for device in [0, 1, bureau] {
        assert_eq!(removal(&world, device), expected);
        assert_eq!(world.devices[device].engine.conflicts(&subject()).unwrap(), []);
    }
    // What comes later was not seen by the ruling: a removed room is open again.
    let mut shorter = number("length_m", "9.1");
    shorter.extend(number("width_m", "8"));
    world.done(1, claims(vec![(size, said(shorter))])).unwrap();
    world.heal();
    let open = matches!(removal(&world, bureau), Removal::EditedAfterRemoval { .. });
    assert!(open, "present: {present}");
}

#[test]
fn a_ruling_that_a_room_is_there_settles_its_removal_until_someone_edits_it() {
    removed_and_measured(true);
}

#[test]
fn a_ruling_that_a_room_is_gone_settles_its_removal_until_someone_edits_it() {
    removed_and_measured(false);
}

#[test]
fn the_bureau_writes_the_countys_figures_and_settles_what_differs_by_writing_again() {
    let mut world = World::new(4, 1);
    let bureau =
        [world.add_device("bureau-1", &[Role::Bureau]), world.add_device("bureau-2", &[Role::Bureau])];
    world.run(60);
    let round = subject().round;
    let satisfaction = path("quantities/survey_satisfaction_percent:whole");
    let state = |value: Value, at: &EntryPath| {
        let claims = vec![(at.clone(), said(value))];
        Command::PutCounty { round: subject().round, claims, mark: None }
    };
    let percent = |text: &str| state(number("value", text), &satisfaction);
    assert_eq!(world.done(0, percent("86")).unwrap_err().code, "client.not_allowed");
    let size = path("rooms/r1/size");
    let refused = world.done(bureau[0], state(number("area_m2", "60"), &size)).unwrap_err();
    assert_eq!(refused.code, "capture.bad_value");
    // Two people write without knowing of each other.
    world.done(bureau[0], percent("86")).unwrap();
    world.done(bureau[1], percent("84.5")).unwrap();
    let yes = Value::from([("value".parse().unwrap(), Scalar::Bool(true))]);
    world.done(bureau[1], state(yes, &path("answers/A2-1"))).unwrap();
    world.heal();
    for device in bureau {
        let reading = world.devices[device].engine.county(&round).unwrap();
        assert_eq!(reading.consolidated.entries.len(), 2);
        let ids: Vec<String> = reading.conflicts.into_iter().map(|conflict| conflict.id).collect();
        assert_eq!(ids, ["entry:quantities/survey_satisfaction_percent:whole"]);
    }
    world.done(bureau[0], percent("85")).unwrap();
    world.heal();
    for device in bureau {
        let reading = world.devices[device].engine.county(&round).unwrap();
        assert_eq!(reading.conflicts, []);
        let settled = &reading.consolidated.entries[&satisfaction];
        assert!(
            matches!(&settled.value, ValueState::Agreed { value, .. } if *value == number("value", "85"))
        );
        assert_eq!(
            reading.heads.values().next(),
            world.server.heads().get(reading.heads.keys().next().unwrap())
        );
    }
    // An inspector's device does not hold the county's figures.
    assert!(world.devices[0].engine.county(&round).unwrap().heads.is_empty());
    // What the standard does not ask for is kept, with a warning.
    let Ok(Reply::Saved(saved)) = world
        .done(bureau[0], state(number("value", "1"), &path("quantities/survey_satisfacton_percent:whole")))
    else {
        panic!("not saved")
    };
    let codes: Vec<&str> = saved.warnings.iter().map(|warning| warning.problem.code.as_ref()).collect();
    assert_eq!(codes, ["county.not_asked"]);
    let Ok(Reply::Saved(saved)) = world.done(bureau[0], percent("85")) else { panic!("not saved") };
    assert_eq!(saved.warnings, []);
}

#[test]
fn who_replaced_whose_value_is_in_the_history() {
    let mut world = World::new(5, 2);
    world.run(20);
    let at = path("quantities/pupils:primary");
    world.done(0, pupils(1)).unwrap();
    world.done(0, pupils(2)).unwrap();
    world.heal();
    let marked = |world: &World| world.devices[1].engine.replaced_others(&subject());
    assert_eq!(marked(&world), BTreeSet::new(), "one's own correction replaces nobody");
    world.done(1, pupils(3)).unwrap();
    world.heal();
    for device in [0, 1] {
        let engine = &world.devices[device].engine;
        assert_eq!(engine.replaced_others(&subject()), BTreeSet::from([at.clone()]));
        let history = engine.history(&subject(), &at).unwrap();
        let live: Vec<bool> = history.iter().map(|past| past.live).collect();
        assert_eq!(live, [false, false, true]);
        for pair in history.windows(2) {
            assert_eq!(pair[0].superseded_by, BTreeSet::from([pair[1].op.clone()]));
        }
    }
    let own = |device: usize| {
        let engine = &world.devices[device].engine;
        let history = engine.history(&subject(), &at).unwrap();
        engine.name_of(&subject().round, history[2].op.actor())
    };
    assert_eq!(own(1).as_deref(), Some("person-device-1"));
    assert_eq!(own(0), None, "the packet does not know that actor yet");
}

#[test]
fn a_device_opens_its_next_session_by_its_key_and_does_the_command_again() {
    let mut world = World::new(6, 1);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    world.server.token = "next".to_owned();
    let fetch = Command::FetchPacket { round: Some(subject().round) };
    let reply = world.done(0, fetch).unwrap();
    assert!(matches!(reply, Reply::Packets { ref rounds, .. } if rounds.len() == 1), "{reply:?}");
    assert_eq!(world.devices[0].engine.identity().unwrap().token, "next");
    world.heal();
    assert!(!world.devices[0].notices.contains(&Notice::LoginNeeded));
    // The new token is on disk.
    world.crash(0);
    world.run(20);
    assert_eq!(world.devices[0].engine.identity().unwrap().token, "next");
}

/// A valid change of 113 bytes that inserts three million nulls into a list:
/// Automerge would spend seconds and more than a gigabyte on it. Made as in the
/// tests of the scan.
const BOMB: &str = "856f4a83a39c7f590167001007070707070707070707070707070707010100000009010702071107130a1508340542\
07560570050001c08db701000001c08db701010002bf8db7010000017e0002be8db701017f016c00c08db70101c08db7017f02c08db70101c1\
8db70100c18db70100";
const BOMB_HASH: &str = "a39c7f5900be6a1840066d69bf6bfc5a8aea91bacb4cf3c05a62ec3de22ecfbd";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn a_hostile_server_cannot_make_a_device_take_a_change_that_costs_gigabytes() {
    let mut world = World::new(7, 1);
    world.run(20);
    world.done(0, pupils(1)).unwrap();
    world.heal();
    let before = world.devices[0].engine.survey(&subject()).unwrap().heads;
    let bomb = bytes(BOMB);
    assert_eq!(bomb.len(), 113);
    let message = SyncMessage {
        heads: vec![BOMB_HASH.parse::<ChangeHash>().unwrap()],
        need: Vec::new(),
        have: Vec::new(),
        changes: vec![bomb].into(),
        flags: None,
        version: automerge::sync::MessageVersion::V1,
    };
    let frame = Message::Sync {
        sender_id: "server".to_owned(),
        target_id: "device".to_owned(),
        document_id: survey_id().to_string(),
        data: message.encode(),
    };
    world.deliver(0, wire::encode(&frame));
    let refused = |notice: &Notice| match notice {
        Notice::Trouble { problem } if problem.code == "sync.bad_message" => {
            problem.detail.as_deref().is_some_and(|detail| detail.starts_with("scan.over_limit"))
        }
        _ => false,
    };
    assert!(world.devices[0].notices.iter().any(refused), "{:?}", world.devices[0].notices);
    assert_eq!(world.devices[0].engine.survey(&subject()).unwrap().heads, before);
    // The device works on, and syncs again.
    world.done(0, pupils(2)).unwrap();
    world.heal();
    assert_eq!(
        world.server.heads()[&survey_id()],
        world.devices[0].engine.survey(&subject()).unwrap().heads[&survey_id()]
    );
}

#[test]
fn a_month_of_work_gets_through_the_servers_limits_in_slices() {
    let mut world = World::new(8, 1);
    world.run(20);
    // Seven operations a claim: more than one message may carry.
    let (sheets, lines) = (32, 500);
    for sheet in 0..sheets {
        let claim =
            |line: usize| (path(&format!("quantities/q{sheet}.{line}:whole")), said(number("value", "7")));
        world.done(0, claims((0..lines).map(claim).collect())).unwrap();
    }
    world.command(0, Command::Online { wanted: true });
    for _ in 0..400 {
        if world.devices[0].engine.outbox().items.is_empty() {
            break;
        }
        world.step();
    }
    assert_eq!(world.server.refused, [""; 0]);
    let ops = world.server.documents[&survey_id()].stats().num_ops;
    assert!(ops > 100_000, "{ops} operations");
    assert!(world.server.deliveries > 2, "{} slices", world.server.deliveries);
    assert!(world.devices[0].engine.outbox().items.is_empty(), "not all of it arrived");
    let here: BTreeSet<String> =
        world.devices[0].engine.survey(&subject()).unwrap().heads[&survey_id()].clone();
    assert_eq!(world.server.heads()[&survey_id()], here);
}
