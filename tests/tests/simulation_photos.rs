//! Photos in the seeded simulation, in small cases by name. The laws over many
//! seeds are in `simulation.rs`.

use duxue_client_core::Command;
use duxue_client_core::views::Waiting;
use duxue_document::PhotoHash;
use duxue_server::store::Record;
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::journal::Disk;
use duxue_tests::simulation::ledger::lock;
use duxue_tests::simulation::photos::{PhotoLedger, picture};
use duxue_tests::simulation::world::{Faults, World};

/// A world at rest.
fn calm(seed: u64, devices: usize) -> World {
    let mut world = World::new(seed, devices);
    healed(&mut world);
    world
}

fn healed(world: &mut World) {
    world.heal().unwrap_or_else(|error| panic!("{error}"));
    world.check().unwrap_or_else(|error| panic!("{error}"));
}

fn take_pictures(world: &mut World, device: usize, count: usize) {
    for _ in 0..count {
        world.take_picture(device);
    }
}

#[test]
fn what_a_receipt_says_of_photos_is_heard_and_held_against_the_disk() {
    let mut world = calm(1, 2);
    take_pictures(&mut world, 0, 2);
    take_pictures(&mut world, 1, 1);
    healed(&mut world);
    assert_eq!(world.photos.len(), 3);
    let (receipts, offsets) = lock(&world.machine.ledger).photos.heard();
    assert_eq!(receipts, 3);
    assert!(offsets >= 6, "an upload tells its offset at least twice: {offsets}");
}

#[test]
fn power_that_goes_at_any_change_of_an_upload_takes_no_photo() {
    for changes in 0..24 {
        let mut world = calm(changes, 1);
        take_pictures(&mut world, 0, 1);
        world.machine.lose_power_of_photos(changes);
        world.run(120);
        world.machine.lose_power();
        world.start_server();
        healed(&mut world);
        assert_eq!(world.photos.len(), 1, "after {changes} changes");
    }
}

#[test]
fn a_photo_that_breaks_off_again_and_again_arrives() {
    let mut world = calm(2, 1);
    world.faults = Faults { lose: 500, ..Faults::default() };
    take_pictures(&mut world, 0, 6);
    world.run(1_500);
    assert!(world.troubles.contains_key("a photo broke off"), "{:?}", world.troubles);
    healed(&mut world);
    assert_eq!(world.photos.len(), 6);
}

#[test]
fn photos_wait_while_the_servers_disk_is_full_and_go_on_without_a_restart() {
    let mut world = calm(3, 1);
    world.machine.leave_room(Some(0));
    take_pictures(&mut world, 0, 2);
    world.run(600);
    assert!(!world.devices[0].engine.outbox().items.is_empty(), "nothing was acknowledged");
    let lives = world.machine.lives();
    world.machine.leave_room(None);
    world.come_to_rest().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.machine.lives(), lives, "without a restart");
    healed(&mut world);
    assert_eq!(world.photos.len(), 2);
}

#[test]
fn a_server_put_back_to_a_backup_asks_for_photos_again() {
    let mut world = calm(4, 2);
    let backup = world.machine.backup();
    take_pictures(&mut world, 0, 2);
    take_pictures(&mut world, 1, 2);
    healed(&mut world);
    world.put_back(&backup);
    healed(&mut world);
    assert_eq!(world.photos.len(), 4);
}

#[test]
fn a_photo_is_freed_against_a_receipt_and_outlives_the_device() {
    let mut world = calm(5, 2);
    take_pictures(&mut world, 0, 3);
    world.command(0, Command::FreePhotos);
    world.run(5);
    assert!(!world.troubles.contains_key("a photo was freed"), "nobody has it yet");
    world.heal().unwrap_or_else(|error| panic!("{error}"));
    world.command(0, Command::FreePhotos);
    world.run(50);
    assert_eq!(world.troubles.get("a photo was freed"), Some(&3));
    world.machine.lose_power();
    world.start_server();
    healed(&mut world);
    assert_eq!(world.photos.len(), 3);
}

/// Nobody can bring it again, so everyone is told.
#[test]
fn a_photo_that_a_backup_took_after_it_was_freed_is_named_as_missing() {
    let mut world = calm(6, 1);
    let backup = world.machine.backup();
    take_pictures(&mut world, 0, 2);
    // The check would restart the server, and the device lose its connection.
    world.heal().unwrap_or_else(|error| panic!("{error}"));
    world.command(0, Command::FreePhotos);
    world.run(50);
    assert_eq!(world.troubles.get("a photo was freed"), Some(&2));
    take_pictures(&mut world, 0, 1);
    world.put_back(&backup);
    healed(&mut world);
    assert_eq!(world.photos.len(), 1, "the one that was still on the device came again");
    assert!(world.troubles.contains_key("the server showed that photos are missing"), "{:?}", world.troubles);
    let outbox = world.devices[0].engine.outbox();
    let stuck = outbox.items.iter().filter(|item| matches!(item.reason, Waiting::Stuck { .. }));
    assert_eq!(stuck.count(), 2, "{:?}", outbox.items);
}

#[test]
fn a_photo_is_not_freed_on_a_receipt_from_before_a_backup_was_put_back() {
    let mut world = calm(7, 1);
    let backup = world.machine.backup();
    take_pictures(&mut world, 0, 2);
    healed(&mut world);
    world.put_back(&backup);
    world.command(0, Command::Online { wanted: false });
    world.run(20);
    world.command(0, Command::FreePhotos);
    world.run(20);
    assert!(!world.troubles.contains_key("a photo was freed"), "{:?}", world.troubles);
    healed(&mut world);
    assert_eq!(world.photos.len(), 2);
}

/// What the judge would say of a server that promises what is not so.
#[test]
fn the_judge_sees_what_a_power_cut_would_take() {
    let bytes = picture(1_000_001);
    let (photo, name) = (PhotoHash::of(&bytes), PhotoHash::of(&bytes).to_string());
    let disk = SimulatedDisk::new(1);
    let mut judge = PhotoLedger::default();
    judge.watch(&disk);
    judge.took(photo, bytes.clone());
    let row = |key: &[u8]| Record::Row {
        table: "photos".into(),
        key: key.to_vec(),
        value: Some(Vec::new().into()),
    };
    judge.flushed(&row(&photo.0));
    assert!(judge.hear_receipt(photo).is_some(), "no bytes");
    let path = format!("blobs/originals/{}/{name}", &name[..2]);
    let file = disk.create(&path).expect("an empty disk");
    file.write_at(&bytes, 0).expect("room");
    assert!(judge.hear_receipt(photo).is_some(), "neither bytes nor name are flushed");
    file.sync().expect("a whole disk");
    assert!(judge.hear_receipt(photo).is_some(), "the name is not flushed");
    disk.sync_folder().expect("a whole disk");
    assert_eq!(judge.hear_receipt(photo), None);
    judge.forget_rows();
    assert!(judge.hear_receipt(photo).is_some(), "no row");
    judge.flushed(&row(&photo.0));
    disk.put(&path, b"other");
    assert!(judge.hear_receipt(photo).is_some(), "other bytes");
    assert_eq!((judge.misnamed().len(), judge.reopened(false).len()), (1, 2));

    let info = format!("{{\"hash\":\"{name}\"}}");
    disk.put("staging/u.json", info.as_bytes());
    assert!(judge.hear_offset("u", 3).is_some(), "no bytes");
    disk.put("staging/u.part", &bytes[..3]);
    assert_eq!(judge.hear_offset("u", 3), None);
    assert!(judge.hear_offset("u", 4).is_some(), "more than there are");
    disk.put("staging/u.part", b"abc");
    assert!(judge.hear_offset("u", 3).is_some(), "other bytes");
    assert!(judge.hear_offset("u", bytes.len() as u64).is_some(), "all, and it is not safe");
}
