//! What is open, and what the data would be if it were settled.

mod common;

use common::*;
use duxue_document::conflict::{Choice, Conflict, ConflictSubject};
use duxue_document::consolidate::{Consolidator, Documents};
use duxue_document::consolidated::{ConsolidatedSchool, Removal, ValueState};
use duxue_document::school::Declared;
use duxue_document::write;

/// A school with one conflict of each sort.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.settings.tolerance.insert("books".parse().unwrap(), "5".parse().unwrap());
    for room in ["r1", "r2", "r3"] {
        let number = if room == "r3" { "103" } else { "101" };
        put(
            &mut scene.survey,
            &format!("rooms/{room}/identity"),
            &format!("building=A number={number} purpose=art"),
        );
    }
    scene.concurrently("rooms/r1/size", &["area_m2=50", "area_m2=55"]);
    put(&mut scene.survey, "rooms/r2/size", "area_m2=50");
    scene.concurrently("quantities/books:whole", &["value=900", "value=902"]);
    let mut other = fork(&scene.survey, 88);
    put(&mut other, "rooms/r3/size", "area_m2=60");
    write::remove_item(&mut scene.survey, &item("rooms/r3"), "拆除", &captured(1)).unwrap();
    scene.survey.merge(&mut other).unwrap();
    scene
}

fn find(school: &ConsolidatedSchool, id: &str) -> Conflict {
    school.conflicts().into_iter().find(|conflict| conflict.id == id).unwrap()
}

fn open(school: &ConsolidatedSchool) -> Vec<String> {
    school.conflicts().into_iter().map(|conflict| conflict.id).collect()
}

#[test]
fn every_sort_of_conflict_is_listed_with_a_stable_id_and_its_choices() {
    let school = scene().see();
    let expected = [
        ("entry:rooms/r1/size", 2),
        ("entry:quantities/books:whole", 2),
        ("duplicate:rooms/r1+r2", 2),
        ("removal:rooms/r3", 2),
    ];
    assert_eq!(open(&school), expected.map(|(id, _)| id));
    for (id, choices) in expected {
        assert_eq!(school.choices(&find(&school, id)).len(), choices, "{id}");
    }
    let within =
        |id: &str| matches!(find(&school, id).subject, ConflictSubject::Entry { within_tolerance: true, .. });
    assert!(within("entry:quantities/books:whole") && !within("entry:rooms/r1/size"));
}

#[test]
fn each_choice_settles_its_conflict_and_leaves_the_others_open() {
    let school = scene().see();
    for conflict in school.conflicts() {
        for choice in school.choices(&conflict) {
            let chosen = school.with_choice(&conflict, &choice);
            let mut expected = open(&school);
            expected.retain(|id| *id != conflict.id);
            assert_eq!(open(&chosen), expected, "{} {choice:?}", conflict.id);
        }
    }
}

#[test]
fn a_choice_gives_the_entry_that_value_and_keeps_the_candidates() {
    let school = scene().see();
    let conflict = find(&school, "entry:rooms/r1/size");
    let entry = school.entry(&path("rooms/r1/size")).unwrap();
    for candidate in &entry.candidates {
        let chosen = school.with_choice(&conflict, &Choice::Candidate(candidate.op.clone()));
        let after = chosen.entry(&path("rooms/r1/size")).unwrap();
        assert_eq!(after.possible_values(), [&candidate.value]);
        assert_eq!(after.candidates, entry.candidates);
    }
    let stated = school.with_choice(&conflict, &Choice::Value(value("area_m2=52")));
    assert_eq!(stated.entry(&path("rooms/r1/size")).unwrap().possible_values(), [&value("area_m2=52")]);
}

#[test]
fn merging_by_choice_is_what_a_merge_ruling_gives() {
    let mut scene = scene();
    let school = scene.see();
    let chosen = school.with_choice(&find(&school, "duplicate:rooms/r1+r2"), &Choice::Merge);
    scene.merge("d1", "rooms/r1 rooms/r2", "");
    assert_eq!(chosen, scene.see());
}

#[test]
fn presence_by_choice() {
    let school = scene().see();
    let conflict = find(&school, "removal:rooms/r3");
    for (choice, expected) in [(Choice::Removed, Removal::Removed), (Choice::Present, Removal::Present)] {
        let chosen = school.with_choice(&conflict, &choice);
        assert_eq!(chosen.items[&item("rooms/r3")].removal, expected);
    }
    // A choice that does not fit changes nothing.
    assert_eq!(school.with_choice(&conflict, &Choice::Merge), school);
}

#[test]
fn choosing_an_identity_settles_which_duplicates_are_possible() {
    let mut scene = Scene::new();
    put(&mut scene.survey, "rooms/r1/identity", "building=A number=101 purpose=art");
    put(&mut scene.survey, "rooms/r2/size", "area_m2=50");
    let ops = scene.concurrently(
        "rooms/r2/identity",
        &["building=A number=101 purpose=art", "building=A number=102 purpose=art"],
    );
    let school = scene.see();
    let conflict = find(&school, "entry:rooms/r2/identity");
    for (op, duplicates) in ops.iter().zip([1, 0]) {
        let chosen = school.with_choice(&conflict, &Choice::Candidate(op.clone()));
        assert_eq!(chosen.duplicates.len(), duplicates);
        assert!(matches!(chosen.entry(&path("rooms/r2/identity")).unwrap().value, ValueState::Agreed { .. }));
    }
}

#[test]
fn a_value_ruled_before_is_among_the_choices() {
    let mut scene = Scene::new();
    let at = "quantities/books:whole";
    scene.set("d1", at, "value=800", &[], "");
    put(&mut scene.survey, at, "value=900");
    let school = scene.see();
    let choices = school.choices(&find(&school, "entry:quantities/books:whole"));
    assert_eq!(choices.len(), 2);
    assert_eq!(choices[1], Choice::Value(value("value=800")));
}

#[test]
fn what_was_decided_about_a_conflict_is_named() {
    let mut scene = Scene::new();
    let at = "quantities/books:whole";
    let all = scene.concurrently(at, &["value=800", "value=900"]);
    let saw: Vec<_> = all.iter().collect();
    scene.verdict("v1", at, &saw, Some("核对"), "");
    scene.verdict("v2", at, &saw, None, "v1");
    scene.verdict("v3", at, &saw[..1], None, "");
    scene.set("d1", at, "value=1", &saw, "");
    scene.set("d2", at, "value=2", &saw, "d1");
    scene.set("d3", at, "value=3", &saw, "");
    put(&mut scene.survey, "rooms/r1/identity", "building=A number=101 purpose=art");
    put(&mut scene.survey, "rooms/r2/identity", "building=A number=101 purpose=art");
    put(&mut scene.survey, "rooms/r3/identity", "building=A number=102 purpose=art");
    scene.merge("m1", "rooms/r1 rooms/r3", "");
    scene.merge("m2", "rooms/r1 rooms/r2", "");
    scene.separate("m3", "rooms/r1 rooms/r2", "");
    let documents = Documents { survey: &scene.survey, review: &scene.review, ruling: &scene.ruling };
    let consolidator = Consolidator::new(school(), Declared::default(), scene.settings.clone(), documents);
    let decided = |id: &str| consolidator.decided(&find(consolidator.school(), id).subject);
    let entry = decided("entry:quantities/books:whole");
    assert_eq!((entry.verdicts, entry.rulings), (ids("v2"), ids("d2 d3")));
    let contested = consolidator.school().conflicts();
    let contested = contested.iter().find(|conflict| conflict.id.starts_with("duplicate:")).unwrap();
    let rulings = consolidator.decided(&contested.subject).rulings;
    assert!(rulings.is_superset(&ids("m2 m3")), "{rulings:?}");
}
