//! The laws of the whole over many seeds: nothing that was acknowledged is
//! lost, nothing that was captured is lost, everyone comes to the same, no
//! document is stuck, and receipts are true. Then small cases by name.
//!
//! `DUXUE_SEED` chooses the first seed, `DUXUE_STEPS` how many steps in all.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use duxue_client_core::Command;
use duxue_client_core::views::Waiting;
use duxue_tests::simulation::ledger::lock;
use duxue_tests::simulation::work::{quantity, room};
use duxue_tests::simulation::world::{Faults, World};

/// Steps in all, of some 770 seeds. A test build makes about 3 000 in a second
/// of one core.
const STEPS: u64 = 1_000_000;
/// What has to have happened in as many steps, or the faults are not there.
const TROUBLES: [&str; 18] = [
    "a right was withdrawn",
    "held changes were admitted",
    "held changes were left out",
    "a device crashed",
    "a connection broke",
    "a device was copied",
    "a device was copied unnoticed",
    "somebody else logged in",
    "a device was put back to a backup",
    "the server was killed",
    "the power went",
    "the server was put back to a backup",
    "the server's disk was full",
    "the journal stopped",
    "a photo broke off",
    "the power went in an upload",
    "a photo was freed",
    "the server showed that photos are missing",
];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// A few days of work under faults, each with a night in which all is well.
fn days(seed: u64) -> Result<World, String> {
    let faults = if seed.is_multiple_of(2) { Faults::PHOTOS } else { Faults::ALL };
    work_for_days(seed, faults)
}

fn work_for_days(seed: u64, faults: Faults) -> Result<World, String> {
    // In every third world a supervisor and a bureau decide on what they see.
    let devices = 2 + usize::try_from(seed % 2).unwrap_or(0);
    let mut world =
        if seed.is_multiple_of(3) { World::with_desks(seed, 2) } else { World::new(seed, devices) };
    for _ in 0..3 {
        world.faults = faults;
        world.apply_faults();
        for _ in 0..25 {
            world.work();
            let steps = world.below(24) as u64;
            world.run(steps);
            world.told_truly()?;
        }
        world.heal()?;
        world.check()?;
    }
    Ok(world)
}

/// What came of many seeds.
#[derive(Default)]
struct Sum {
    steps: u64,
    promises: usize,
    troubles: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
}

impl Sum {
    fn add(&mut self, seed: u64, outcome: Result<World, String>) {
        match outcome {
            Ok(world) => {
                self.steps += world.steps;
                self.promises += lock(&world.machine.ledger).promises();
                for (trouble, count) in &world.troubles {
                    *self.troubles.entry(trouble).or_default() += count;
                }
            }
            Err(error) => self.broken.push(format!("seed {seed}: {error}")),
        }
    }
}

#[test]
fn the_laws_hold_under_every_fault() {
    let (first, wanted) = (setting("DUXUE_SEED").unwrap_or(1), setting("DUXUE_STEPS").unwrap_or(STEPS));
    let (begun, next, sum) = (Instant::now(), AtomicU64::new(first), Mutex::new(Sum::default()));
    let sum_now = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    // A seed is a world of its own; as many are worked on as there are cores.
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while sum_now().steps < wanted && sum_now().broken.is_empty() {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    let run = catch_unwind(|| days(seed));
                    sum_now().add(seed, run.unwrap_or_else(|_| Err("a panic".to_owned())));
                }
            });
        }
    });
    let Sum { steps, promises, troubles, broken } = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "seeds {first}..{}: {steps} steps in {:?}, {promises} promises, {troubles:?}",
        next.into_inner(),
        begun.elapsed()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    if steps >= STEPS {
        let missing: Vec<&str> =
            TROUBLES.into_iter().filter(|trouble| !troubles.contains_key(trouble)).collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
    }
}

#[test]
fn without_faults_the_same_holds() {
    work_for_days(4711, Faults::default()).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 50..56 {
        let run = || days(seed).map(|world| (world.steps, world.trace, world.troubles));
        assert_eq!(run(), run(), "seed {seed}");
    }
}

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

fn capture(world: &mut World, device: usize) -> u64 {
    let marker = world.new_marker();
    world.capture(device, marker, quantity("pupils", marker));
    marker
}

/// Runs until a commit waits to be flushed.
fn until_a_commit_waits(world: &mut World) {
    for _ in 0..2_000 {
        if world.machine.waiting() > 0 {
            return;
        }
        assert!(world.step());
    }
    panic!("no commit waits");
}

#[test]
fn power_that_goes_in_a_flush_takes_nothing_that_was_acknowledged() {
    for changes in 0..4 {
        let mut world = calm(changes, 2);
        capture(&mut world, 0);
        until_a_commit_waits(&mut world);
        world.machine.lose_power_while_flushing(changes);
        world.start_server();
        healed(&mut world);
        assert_eq!(world.captured.len(), 1);
    }
}

#[test]
fn a_failed_flush_is_told_and_what_it_held_comes_again() {
    let mut world = calm(1, 2);
    world.faults = Faults { disk: 1000, ..Faults::default() };
    world.apply_faults();
    capture(&mut world, 0);
    world.run(400);
    assert!(!world.devices[0].engine.outbox().items.is_empty(), "nothing was acknowledged");
    world.told_truly().unwrap_or_else(|error| panic!("{error}"));
    healed(&mut world);
}

#[test]
fn a_full_disk_is_told_reading_goes_on_and_writing_goes_on_without_a_restart() {
    let mut world = calm(2, 2);
    capture(&mut world, 0);
    healed(&mut world);
    let lives = world.machine.lives();
    world.machine.leave_room(Some(0));
    let kept = capture(&mut world, 1);
    world.run(400);
    let outbox = world.devices[1].engine.outbox();
    assert!(!outbox.items.is_empty(), "nothing was acknowledged");
    assert!(outbox.items.iter().all(|item| item.reason != Waiting::NotSaved), "the device has room");
    assert!(world.closed_for("store.full") > 0, "the device is told why");
    // Who comes now reads what is there.
    assert!(world.machine.documents().iter().all(|(_, document)| document.is_some()));
    world.machine.leave_room(None);
    world.come_to_rest().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.machine.lives(), lives, "without a restart");
    assert!(world.captured.contains(&kept));
    healed(&mut world);
}

#[test]
fn a_server_put_back_to_a_backup_is_brought_everything_again() {
    let mut world = calm(3, 3);
    capture(&mut world, 0);
    healed(&mut world);
    let backup = world.machine.backup();
    for device in 0..3 {
        capture(&mut world, device);
        let marker = world.new_marker();
        world.capture(device, marker, room(marker));
    }
    healed(&mut world);
    world.put_back(&backup);
    healed(&mut world);
    assert_eq!(world.captured.len(), 7);
}

/// With the backup the server has forgotten whose the actor is, and takes the
/// first who brings its changes for the author. What the author brings later
/// is held then, and nothing is lost.
#[test]
fn what_another_brings_after_a_backup_was_put_back_is_not_lost() {
    let mut world = calm(4, 2);
    let backup = world.machine.backup();
    let first = capture(&mut world, 0);
    healed(&mut world);
    world.put_back(&backup);
    world.command(0, Command::Online { wanted: false });
    world.run(1_500);
    let second = capture(&mut world, 0);
    healed(&mut world);
    assert!(world.captured.is_superset(&[first, second].into()));
}

/// What was captured before the right ended, and after it without knowing,
/// waits for a supervisor and is not lost.
#[test]
fn what_was_captured_under_a_right_that_ended_is_not_lost() {
    let mut world = calm(8, 2);
    world.command(0, Command::Online { wanted: false });
    world.run(200);
    let before = capture(&mut world, 0);
    world.run(200);
    assert!(world.machine.assign(0, false));
    while world.machine.flush() {}
    let after = capture(&mut world, 0);
    world.command(0, Command::Online { wanted: true });
    world.run(600);
    let outbox = world.devices[0].engine.outbox();
    assert!(!outbox.items.is_empty(), "nobody has taken it");
    healed(&mut world);
    assert!(world.captured.is_superset(&[before, after].into()));
}

/// What only a reader still has after the server was put back is the
/// reader's alone: nobody takes it from one who may not write it.
#[test]
fn a_reader_keeps_what_a_backup_took_and_everyone_else_goes_on() {
    let mut world = World::with_desks(10, 1);
    healed(&mut world);
    let (backup, disk) = (world.machine.backup(), world.devices[0].disk.clone());
    capture(&mut world, 0);
    healed(&mut world);
    world.devices[0].disk = disk;
    world.put_back(&backup);
    world.crash(0);
    let again = capture(&mut world, 0);
    healed(&mut world);
    assert!(world.captured.contains(&again));
    assert!(world.troubles.contains_key("a reader had more than a server that was put back"));
}

#[test]
fn a_copied_device_and_its_original_write_side_by_side() {
    for unnoticed in [false, true] {
        let mut world = calm(5, 1);
        capture(&mut world, 0);
        world.run(5);
        world.copy_device(0, unnoticed);
        for device in [0, 1, 0, 1] {
            capture(&mut world, device);
        }
        healed(&mut world);
        assert_eq!(world.captured.len(), 5, "unnoticed: {unnoticed}");
    }
}

#[test]
fn a_device_put_back_behind_its_back_states_its_later_work_again() {
    let mut world = calm(6, 2);
    capture(&mut world, 0);
    healed(&mut world);
    let earlier = world.devices[0].disk.clone();
    let delivered = capture(&mut world, 0);
    healed(&mut world);
    world.devices[0].disk = earlier;
    world.crash(0);
    world.command(0, Command::Online { wanted: false });
    world.run(20);
    let again = capture(&mut world, 0);
    world.run(20);
    healed(&mut world);
    assert!(world.captured.is_superset(&[delivered, again].into()));
}
