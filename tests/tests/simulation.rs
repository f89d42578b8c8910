//! The laws of the whole over many seeds: nothing that was acknowledged is
//! lost, nothing that was captured is lost, everyone comes to the same, no
//! document is stuck, and receipts are true.
//!
//! `DUXUE_SEED` chooses the first seed, `DUXUE_STEPS` how many steps in all.

use std::time::Instant;

use duxue_tests::simulation::world::{Faults, World};

/// Steps that fit into the time that this test may take.
const STEPS: u64 = 200_000;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// A few days of work under faults, each with a night in which all is well.
fn days(seed: u64, faults: Faults) -> Result<(World, u64), String> {
    let mut world = World::new(seed, 2 + usize::try_from(seed % 2).unwrap_or(0));
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
    let steps = world.steps;
    Ok((world, steps))
}

#[test]
fn the_laws_hold_under_every_fault() {
    let (first, wanted) = (setting("DUXUE_SEED").unwrap_or(1), setting("DUXUE_STEPS").unwrap_or(STEPS));
    let (begun, mut seed, mut steps) = (Instant::now(), first, 0);
    while steps < wanted {
        match days(seed, Faults::ALL) {
            Ok((_, more)) => steps += more,
            Err(error) => panic!("seed {seed}: {error}"),
        }
        seed += 1;
    }
    println!("seeds {first}..{seed}: {steps} steps in {:?}", begun.elapsed());
}
