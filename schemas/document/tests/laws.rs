//! The laws of consolidation, over seeded worlds in which people and foreign
//! clients edit, sync and decide in any order.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::world::World;
use duxue_document::consolidated::{ConsolidatedSchool, Entry, ReviewState, ValueState};
use duxue_document::decision::{self, Outcome, RulingChoice, Subject};
use duxue_document::history::history_of_entry;
use duxue_document::{DecisionId, DocumentKind, EntryPath, FieldId, OpId, Scalar, Value};
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
    fn a_ruling_settles_exactly_what_it_saw(seed: u64, steps in 20_usize..90) {
        let mut world = World::new(seed);
        (0..steps).for_each(|_| world.step(false));
        world.meet();
        let (rulings, verdicts) = (rulings(&world), verdicts(&world));
        let entries = entries(&world.consolidated());
        // A ruling on merged items may select what another of them had, and
        // still does when they are separated again.
        let everywhere: BTreeSet<EntryPath> = entries.iter().flat_map(|(paths, _)| paths).cloned().collect();
        for (targets, entry) in entries {
            let live: BTreeSet<OpId> = entry.candidates.iter().map(|c| c.op.clone()).collect();
            let on_it = rulings.iter().filter(|ruling| targets.contains(&ruling.path));
            let ruled = on_it.filter_map(|ruling| Some((ruling, value_of(&world, &everywhere, &entry, &ruling.choice)?)));
            let (standing, former): (Vec<_>, Vec<_>) = ruled.partition(|(ruling, _)| live.is_subset(&ruling.saw));
            check_value(&targets, &entry, &standing, &former)?;
            // A verdict holds for exactly the candidates that it saw.
            let holding: Vec<_> =
                verdicts.iter().filter(|v| targets.contains(&v.path) && v.saw == live).collect();
            let overruled: BTreeSet<&DecisionId> = match entry.value {
                ValueState::Settled { .. } => standing.iter().flat_map(|(ruling, _)| &ruling.verdicts).collect(),
                _ => BTreeSet::new(),
            };
            let required = world.settings.require_acceptance;
            if !live.is_empty() {
                check_review(&entry.review, &holding, &overruled, required)?;
            }
        }
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

/// A ruling on an entry that no other ruling supersedes.
struct OnEntry {
    path: EntryPath,
    choice: RulingChoice,
    saw: BTreeSet<OpId>,
    verdicts: BTreeSet<DecisionId>,
}

/// A verdict that no other verdict supersedes.
struct Judged {
    id: DecisionId,
    path: EntryPath,
    saw: BTreeSet<OpId>,
    accepted: bool,
}

/// What nothing but itself supersedes.
fn active<D>(
    all: BTreeMap<DecisionId, D>,
    supersedes: impl Fn(&D) -> &BTreeSet<DecisionId>,
) -> Vec<(DecisionId, D)> {
    let gone: BTreeSet<DecisionId> = all
        .iter()
        .flat_map(|(id, decision)| supersedes(decision).iter().filter(move |other| *other != id).cloned())
        .collect();
    all.into_iter().filter(|(id, _)| !gone.contains(id)).collect()
}

fn rulings(world: &World) -> Vec<OnEntry> {
    let all = active(decision::rulings(world.ruling()), |ruling| &ruling.supersedes);
    let on_entry = |(_, ruling): (DecisionId, decision::Ruling)| match ruling.subject {
        Subject::Entry { path, choice, saw, verdicts } => Some(OnEntry { path, choice, saw, verdicts }),
        _ => None,
    };
    all.into_iter().filter_map(on_entry).collect()
}

fn verdicts(world: &World) -> Vec<Judged> {
    let all = active(decision::verdicts(world.review()), |verdict| &verdict.supersedes);
    let judged = |(id, verdict): (DecisionId, decision::Verdict)| {
        let accepted = verdict.outcome == Outcome::Accepted;
        Judged { id, path: verdict.entry, saw: verdict.saw, accepted }
    };
    all.into_iter().map(judged).collect()
}

/// Every entry with the paths that it has in its item's members.
fn entries(school: &ConsolidatedSchool) -> Vec<(BTreeSet<EntryPath>, Entry)> {
    let in_items = school.items.iter().flat_map(|(key, item)| {
        item.fields.iter().map(|(field, entry)| {
            let path = |member: &duxue_document::ItemId| EntryPath::Item {
                kind: key.kind,
                item: member.clone(),
                field: field.clone(),
            };
            (item.members.iter().map(path).collect(), entry.clone())
        })
    });
    let others = school.entries.iter().map(|(path, entry)| (BTreeSet::from([path.clone()]), entry.clone()));
    in_items.chain(others).collect()
}

/// The value that a ruling gives; none where it selects what never was.
fn value_of(
    world: &World,
    everywhere: &BTreeSet<EntryPath>,
    entry: &Entry,
    choice: &RulingChoice,
) -> Option<Value> {
    let op = match choice {
        RulingChoice::Set(value) => return Some(value.clone()),
        RulingChoice::Select(op) => op,
    };
    let live = entry.candidates.iter().find(|candidate| candidate.op == *op);
    live.map(|candidate| candidate.value.clone()).or_else(|| {
        let past =
            everywhere.iter().flat_map(|path| history_of_entry(world.survey(), DocumentKind::Survey, path));
        past.into_iter().find(|past| past.op == *op).map(|past| past.claim.value)
    })
}

/// The part of a value that people can differ about.
fn stated<'a>(targets: &BTreeSet<EntryPath>, value: &'a Value) -> Vec<(&'a FieldId, &'a Scalar)> {
    let removal = targets.iter().any(|path| path.to_string().ends_with("/removed"));
    let counts = |name: &str| name != "method" && (!removal || name == "removed");
    value.iter().filter(|(field, _)| counts(field.as_str())).collect()
}

type Ruled<'a> = (&'a OnEntry, Value);

fn check_value(
    targets: &BTreeSet<EntryPath>,
    entry: &Entry,
    standing: &[Ruled<'_>],
    former: &[Ruled<'_>],
) -> Result<(), TestCaseError> {
    let same = |a: &Value, b: &Value| stated(targets, a) == stated(targets, b);
    match (standing, &entry.value) {
        ([first, rest @ ..], state) if rest.iter().all(|(_, value)| same(value, &first.1)) => {
            let settled = matches!(state, ValueState::Settled { value, .. } if same(value, &first.1));
            prop_assert!(settled, "{targets:?} is ruled and {state:?}");
        }
        ([_, ..], state) => {
            let open =
                matches!(state, ValueState::Conflicting { contradicting, .. } if !contradicting.is_empty());
            prop_assert!(open, "{targets:?} is ruled twice and {state:?}");
        }
        ([], ValueState::Settled { .. }) => {
            prop_assert!(false, "{targets:?} is settled by a ruling that did not see every candidate");
        }
        // A claim that no ruling saw opens the entry again, and shows what was
        // ruled beside it.
        ([], state) => {
            let differs = former
                .iter()
                .all(|(_, value)| entry.candidates.iter().any(|candidate| !same(&candidate.value, value)));
            if !former.is_empty() && differs {
                let shown = matches!(state, ValueState::Conflicting { ruled_before: Some(before), .. }
                    if former.iter().any(|(_, value)| same(value, before)));
                prop_assert!(shown, "{targets:?} was ruled before and {state:?}");
            }
        }
    }
    Ok(())
}

fn check_review(
    review: &ReviewState,
    holding: &[&Judged],
    overruled: &BTreeSet<&DecisionId>,
    required: bool,
) -> Result<(), TestCaseError> {
    let accepted = holding.iter().filter(|verdict| verdict.accepted).count();
    let fits = match review {
        ReviewState::Unreviewed => holding.is_empty() && !required,
        ReviewState::Awaiting { .. } => required && (holding.is_empty() || accepted % holding.len() != 0),
        ReviewState::Accepted { .. } => !holding.is_empty() && accepted == holding.len(),
        ReviewState::Returned { overruled: counts, .. } => {
            let named = holding.iter().all(|verdict| overruled.contains(&verdict.id));
            !holding.is_empty() && accepted == 0 && *counts == named
        }
        ReviewState::Disputed { .. } => !required && accepted > 0 && accepted < holding.len(),
    };
    prop_assert!(fits, "{review:?} with {} verdicts, {accepted} of acceptance", holding.len());
    Ok(())
}
