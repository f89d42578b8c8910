//! The laws of consolidation, over seeded worlds in which people and foreign
//! clients edit, sync and decide in any order.

mod common;

use common::world::World;
use duxue_document::DocumentKind;
use duxue_document::history::history_of_entry;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_converges_to_the_same_bytes(seed: u64, steps in 1_usize..60, foreign: bool) {
        let mut world = World::new(seed);
        (0..steps).for_each(|_| world.step(foreign));
        let views = world.meet();
        for view in &views {
            prop_assert_eq!(view, &views[0]);
        }
        prop_assert_eq!(&world.reloaded(), &views[0]);
    }

    #[test]
    fn incremental_equals_whole(seed: u64, steps in 1_usize..60, foreign: bool) {
        let mut world = World::new(seed);
        for step in 0..steps {
            world.step(foreign);
            if step % 4 == 0 {
                let (incremental, whole) = world.incremental_and_whole();
                prop_assert_eq!(incremental, whole, "after step {}", step);
            }
        }
        let (incremental, whole) = world.incremental_and_whole();
        prop_assert_eq!(incremental, whole);
    }

    #[test]
    fn no_captured_value_disappears(seed: u64, steps in 1_usize..60, foreign: bool) {
        let mut world = World::new(seed);
        (0..steps).for_each(|_| world.step(foreign));
        world.meet();
        let survey = world.survey();
        for put in &world.puts {
            let history = history_of_entry(survey, DocumentKind::Survey, &put.path);
            let past = history.iter().find(|past| past.op == put.op);
            prop_assert!(past.is_some_and(|past| past.claim.value == put.value), "{} {}", put.path, put.op);
            // Only a claim that saw it takes a claim's place.
            let gone = past.filter(|past| !past.live && !foreign);
            if let Some(gone) = gone {
                let saw_it = history.iter().filter(|other| other.op != gone.op).any(|other| {
                    let then = survey.fork_at(&[other.hash.parse().unwrap()]).unwrap();
                    automerge::ReadDoc::get_change_by_hash(&then, &gone.hash.parse().unwrap()).is_some()
                });
                prop_assert!(saw_it, "{} {} was hidden by nobody who saw it", put.path, put.op);
            }
        }
    }
}
