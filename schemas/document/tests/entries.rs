//! The two states of an entry, rule by rule (DESIGN §4).

mod common;

use std::collections::BTreeSet;

use common::*;
use duxue_document::consolidated::{ReviewState, ValueState};
use duxue_document::decision::{RulingChoice, Subject};
use duxue_document::history::history_of_entry;
use duxue_document::{DocumentKind, write};

const SIZE: &str = "rooms/r1/size";
const BOOKS: &str = "quantities/books:whole";

#[test]
fn a_claim_is_read_as_it_was_put() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, SIZE, "length_m=7.2 width_m=6 method=tape");
    let entry = scene.entry(SIZE);
    assert_eq!(entry.candidates.len(), 1);
    assert_eq!(entry.candidates[0].op, op);
    assert_eq!(entry.candidates[0].value, value("length_m=7.2 width_m=6 method=tape"));
    assert_eq!(entry.candidates[0].captured, captured(1));
    assert!(matches!(entry.value, ValueState::Agreed { .. }));
    assert_eq!(entry.review, ReviewState::Unreviewed);
    assert_eq!(findings(&scene.see()), []);
}

#[test]
fn what_candidates_come_to() {
    // path, tolerance, candidates, state
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str], &'a str);
    let cases: [Case<'_>; 14] = [
        (BOOKS, &[], &["value=900"], "agreed"),
        (BOOKS, &[], &["value=900", "value=900.0"], "agreed"),
        (BOOKS, &[], &["value=900", "value=901"], "conflicting"),
        (BOOKS, &[("books", "1")], &["value=900", "value=901"], "within"),
        (BOOKS, &[("books", "0.9")], &["value=900", "value=901"], "conflicting"),
        // Each is within 1 of the next, but not of all.
        (BOOKS, &[("books", "1")], &["value=900", "value=901", "value=902"], "conflicting"),
        (BOOKS, &[("computers", "5")], &["value=900", "value=901"], "conflicting"),
        ("classes/c1/pupils", &[("pupils", "2")], &["value=44", "value=45"], "within"),
        (SIZE, &[("length_m", "0.05")], &["length_m=7.2 width_m=6", "length_m=7.25 width_m=6"], "within"),
        (
            SIZE,
            &[("length_m", "0.05")],
            &["length_m=7.2 width_m=6", "length_m=7.2 width_m=6.05"],
            "conflicting",
        ),
        (SIZE, &[("length_m", "9")], &["length_m=7.2 width_m=6", "area_m2=43.2"], "conflicting"),
        (SIZE, &[], &["length_m=7.2 width_m=6 method=tape", "length_m=7.2 width_m=6 method=laser"], "agreed"),
        ("answers/A2-1", &[], &["value=true", "value=false"], "conflicting"),
        ("rooms/r1/identity", &[("number", "9")], &["number=101", "number=102"], "conflicting"),
    ];
    for (at, tolerance, candidates, expected) in cases {
        let mut scene = Scene::new();
        scene.settings.tolerance =
            tolerance.iter().map(|(name, by)| (name.parse().unwrap(), by.parse().unwrap())).collect();
        if at.starts_with("rooms") || at.starts_with("classes") {
            // The item itself is known to all.
            put(&mut scene.survey, "rooms/r1/multimedia", "value=true");
            put(&mut scene.survey, "classes/c1/identity", "stage=primary grade=1 number=1");
        }
        let ops = scene.concurrently(at, candidates);
        let entry = scene.entry(at);
        let lowest = ops.iter().min_by(|a, b| a.order().cmp(&b.order())).unwrap();
        let state = match &entry.value {
            ValueState::Agreed { op, .. } => {
                assert_eq!(op, lowest);
                "agreed"
            }
            ValueState::WithinTolerance { op, value } => {
                assert_eq!(op, lowest);
                assert_eq!(entry.possible_values()[0], value);
                "within"
            }
            ValueState::Conflicting { ruled_before: None, .. } => "conflicting",
            other => panic!("{other:?}"),
        };
        assert_eq!(state, expected, "{at} {candidates:?}");
    }
}

#[test]
fn a_later_claim_takes_the_place_of_what_it_saw_and_history_keeps_both() {
    let mut scene = Scene::new();
    let first = put(&mut scene.survey, BOOKS, "value=900");
    let second = put(&mut scene.survey, BOOKS, "value=950");
    let live: Vec<_> = scene.entry(BOOKS).candidates.into_iter().map(|candidate| candidate.op).collect();
    assert_eq!(live, vec![second.clone()]);
    let past = history_of_entry(&scene.survey, DocumentKind::Survey, &path(BOOKS));
    let past: Vec<_> =
        past.into_iter().map(|past| (past.op, past.live, past.superseded_by, past.claim.value)).collect();
    let expected =
        [(first, false, ops(&[&second]), value("value=900")), (second, true, ops(&[]), value("value=950"))];
    assert_eq!(past, expected);
}

#[test]
fn the_history_names_what_took_the_place_of_each_claim() {
    let mut scene = Scene::new();
    let two = scene.concurrently(BOOKS, &["value=900", "value=950"]);
    let third = put(&mut scene.survey, BOOKS, "value=960");
    put(&mut scene.survey, "quantities/computers:whole", "value=3");
    let past = history_of_entry(&scene.survey, DocumentKind::Survey, &path(BOOKS));
    let past: Vec<_> = past.into_iter().map(|past| (past.op, past.superseded_by)).collect();
    let expected =
        [(two[0].clone(), ops(&[&third])), (two[1].clone(), ops(&[&third])), (third.clone(), ops(&[]))];
    assert_eq!(past, expected);

    // Who has seen only one of two replaces only that one.
    let late = scene.concurrently(BOOKS, &["value=1", "value=2"]);
    let past = history_of_entry(&scene.survey, DocumentKind::Survey, &path(BOOKS));
    let by_both = past.iter().find(|past| past.op == third).map(|past| past.superseded_by.clone());
    assert_eq!(by_both, Some(late.iter().cloned().collect()));

    // One walk finds the same for all entries, however many steps back.
    put(&mut scene.survey, "rooms/r1/size", "area_m2=60");
    let resized = put(&mut scene.survey, "rooms/r1/size", "area_m2=61");
    let replaced = duxue_document::history::replaced(&scene.survey);
    let pairs: BTreeSet<_> = replaced.into_iter().map(|found| (found.path, found.by, found.old)).collect();
    let size = history_of_entry(&scene.survey, DocumentKind::Survey, &path("rooms/r1/size"));
    let mut expected = BTreeSet::from([(path("rooms/r1/size"), resized, size[0].op.clone())]);
    for by in &late {
        for old in [&two[0], &two[1], &third] {
            expected.insert((path(BOOKS), by.clone(), old.clone()));
        }
    }
    assert_eq!(pairs, expected);
}

#[test]
fn a_ruling_settles_exactly_what_it_saw() {
    let mut scene = Scene::new();
    let ops = scene.concurrently(BOOKS, &["value=900", "value=950"]);
    scene.select("d1", BOOKS, &ops[1], &[&ops[0], &ops[1]], "");
    let expected =
        ValueState::Settled { ruling: id("d1"), value: value("value=950"), op: Some(ops[1].clone()) };
    assert_eq!(scene.entry(BOOKS).value, expected);
    assert_eq!(scene.entry(BOOKS).candidates.len(), 2, "the candidates stay");

    // A third value that the ruling did not see opens the conflict again.
    let mut late = scene.survey.fork_at(&[]).unwrap();
    late.load_incremental(duxue_document::genesis::chunk(DocumentKind::Survey)).unwrap();
    late.set_actor(automerge::ActorId::from(next_actor().to_be_bytes()));
    let third = put(&mut late, BOOKS, "value=955");
    scene.survey.merge(&mut late).unwrap();
    let entry = scene.entry(BOOKS);
    assert_eq!(
        entry.value,
        ValueState::Conflicting { ruled_before: Some(value("value=950")), contradicting: Vec::new() }
    );
    assert_eq!(entry.possible_values().len(), 3);

    // A later ruling that saw all three settles it.
    scene.set("d2", BOOKS, "value=952", &[&ops[0], &ops[1], &third], "d1");
    let expected = ValueState::Settled { ruling: id("d2"), value: value("value=952"), op: None };
    assert_eq!(scene.entry(BOOKS).value, expected);
}

#[test]
fn a_ruled_value_is_shown_though_its_candidate_is_no_longer_live() {
    let mut scene = Scene::new();
    put(&mut scene.survey, "rooms/r1/multimedia", "value=true");
    let ops = scene.concurrently(SIZE, &["area_m2=50", "area_m2=55"]);
    scene.select("d1", SIZE, &ops[0], &[&ops[0], &ops[1]], "");
    // This claim saw both and takes their place, but the ruling did not see it.
    put(&mut scene.survey, SIZE, "area_m2=52");
    assert_eq!(
        scene.entry(SIZE).value,
        ValueState::Conflicting { ruled_before: Some(value("area_m2=50")), contradicting: Vec::new() }
    );
    // A claim that says what was ruled leaves nothing to ask.
    let confirmed = put(&mut scene.survey, SIZE, "area_m2=50.0");
    assert_eq!(scene.entry(SIZE).value, ValueState::Agreed { op: confirmed, value: value("area_m2=50") });
}

#[test]
fn rulings_that_contradict_each_other_leave_the_entry_open() {
    let mut scene = Scene::new();
    let ops = scene.concurrently(BOOKS, &["value=900", "value=950"]);
    scene.set("d1", BOOKS, "value=910", &[&ops[0], &ops[1]], "");
    scene.set("d2", BOOKS, "value=920", &[&ops[0], &ops[1]], "");
    let entry = scene.entry(BOOKS);
    assert_eq!(
        entry.value,
        ValueState::Conflicting {
            ruled_before: None,
            contradicting: vec![value("value=910"), value("value=920")]
        }
    );
    assert_eq!(entry.possible_values().len(), 4, "both rulings and both candidates are possible");
    // Superseding one of them leaves the other standing.
    scene.set("d3", BOOKS, "value=920", &[&ops[0], &ops[1]], "d1");
    assert!(matches!(scene.entry(BOOKS).value, ValueState::Settled { .. }));
    // A chain: what supersedes is superseded in turn, and the first stays so.
    scene.set("d4", BOOKS, "value=900", &[&ops[0], &ops[1]], "d2 d3");
    let entry = scene.entry(BOOKS);
    assert!(matches!(entry.value, ValueState::Settled { ruling, .. } if ruling == id("d4")));
}

#[test]
fn a_bureau_may_state_what_nobody_captured() {
    let mut scene = Scene::new();
    scene.set("d1", BOOKS, "value=900", &[], "");
    assert!(matches!(scene.entry(BOOKS).value, ValueState::Settled { .. }));
    put(&mut scene.survey, BOOKS, "value=901");
    assert!(matches!(scene.entry(BOOKS).value, ValueState::Conflicting { ruled_before: Some(_), .. }));
}

#[test]
fn a_verdict_holds_only_while_the_candidates_are_what_it_saw() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, BOOKS, "value=900");
    scene.verdict("v1", BOOKS, &[&op], None, "");
    assert_eq!(scene.entry(BOOKS).review, ReviewState::Accepted { verdicts: ids("v1") });
    put(&mut scene.survey, BOOKS, "value=901");
    assert_eq!(scene.entry(BOOKS).review, ReviewState::Unreviewed);
}

#[test]
fn a_verdict_on_merged_items_does_not_hold_for_one_of_them() {
    let mut scene = Scene::new();
    let first = put(&mut scene.survey, SIZE, "area_m2=50");
    let second = put(&mut scene.survey, "rooms/r2/size", "area_m2=50");
    scene.merge("d1", "rooms/r1 rooms/r2", "");
    scene.verdict("v1", "rooms/r2/size", &[&first, &second], None, "");
    assert_eq!(scene.entry(SIZE).review, ReviewState::Accepted { verdicts: ids("v1") });
    scene.separate("d2", "rooms/r1 rooms/r2", "d1");
    for at in [SIZE, "rooms/r2/size"] {
        assert_eq!(scene.entry(at).review, ReviewState::Unreviewed);
    }
}

#[test]
fn a_returned_entry_counts_as_missing_unless_a_ruling_names_the_verdict() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, BOOKS, "value=900");
    scene.verdict("v1", BOOKS, &[&op], Some("照片模糊"), "");
    let entry = scene.entry(BOOKS);
    assert!(entry.counts_as_missing() && entry.possible_values().is_empty());

    // A ruling that does not name the verdict does not make it count.
    scene.select("d1", BOOKS, &op, &[&op], "");
    assert!(scene.entry(BOOKS).counts_as_missing());

    let choice = RulingChoice::Select(op.clone());
    let verdicts = ids("v1");
    let subject = Subject::Entry { path: path(BOOKS), choice, saw: ops(&[&op]), verdicts };
    scene.rule("d2", subject, "d1");
    let entry = scene.entry(BOOKS);
    assert!(matches!(entry.review, ReviewState::Returned { overruled: true, .. }));
    assert_eq!(entry.possible_values(), [&value("value=900")]);
}

#[test]
fn verdicts_that_differ_are_disputed_until_one_supersedes() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, BOOKS, "value=900");
    scene.verdict("v1", BOOKS, &[&op], None, "");
    scene.verdict("v2", BOOKS, &[&op], Some("重测"), "");
    assert_eq!(scene.entry(BOOKS).review, ReviewState::Disputed { verdicts: ids("v1 v2") });
    scene.verdict("v3", BOOKS, &[&op], Some("仍需重测"), "v1");
    assert!(
        matches!(scene.entry(BOOKS).review, ReviewState::Returned { verdicts, .. } if verdicts == ids("v2 v3"))
    );
}

#[test]
fn verdicts_that_agree_are_all_named_so_that_the_next_can_supersede_them() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, BOOKS, "value=900");
    scene.verdict("v1", BOOKS, &[&op], None, "");
    scene.verdict("v2", BOOKS, &[&op], None, "");
    assert_eq!(scene.entry(BOOKS).review, ReviewState::Accepted { verdicts: ids("v1 v2") });
    scene.verdict("v3", BOOKS, &[&op], Some("重测"), "v1 v2");
    assert!(
        matches!(scene.entry(BOOKS).review, ReviewState::Returned { verdicts, .. } if verdicts == ids("v3"))
    );
}

#[test]
fn a_round_may_require_acceptance() {
    let mut scene = Scene::new();
    scene.settings.require_acceptance = true;
    let op = put(&mut scene.survey, BOOKS, "value=900");
    put(&mut scene.survey, "sections/quantities", "complete=true");
    assert!(scene.entry(BOOKS).counts_as_missing());
    assert_eq!(scene.see().complete.len(), 1, "a mark needs no acceptance");
    scene.verdict("v1", BOOKS, &[&op], None, "");
    assert!(!scene.entry(BOOKS).counts_as_missing());
    scene.verdict("v2", BOOKS, &[&op], Some("重测"), "");
    assert_eq!(scene.entry(BOOKS).review, ReviewState::Awaiting { verdicts: ids("v1 v2") });
}

#[test]
fn a_section_is_complete_only_while_its_mark_surely_says_so() {
    let at = "sections/rooms";
    let mut scene = Scene::new();
    assert_eq!(scene.see().complete.len(), 0);
    let op = put(&mut scene.survey, at, "complete=true");
    assert_eq!(scene.see().complete.len(), 1);
    scene.verdict("v1", at, &[&op], Some("还有三间"), "");
    assert_eq!(scene.see().complete.len(), 0, "sent back");
    let ops = scene.concurrently(at, &["complete=true", "complete=false"]);
    assert_eq!(scene.see().complete.len(), 0, "two inspectors differ");
    scene.select("d1", at, &ops[0], &[&ops[0], &ops[1]], "");
    assert_eq!(scene.see().complete.len(), 1, "ruled");
}

#[test]
fn what_states_nothing_or_the_wrong_type_is_not_written() {
    let cases = [
        (BOOKS, "", "write.empty"),
        (BOOKS, "value=true", "write.wrong_type"),
        (BOOKS, "value=许多", "write.wrong_type"),
        ("answers/A2-1", "value=1", "write.wrong_type"),
        (SIZE, "area_m2=1 note=x", "write.reserved_field"),
    ];
    for (at, text, code) in cases {
        let mut scene = Scene::new();
        let heads = scene.survey.get_heads();
        let good = (path("rooms/r9/size"), claim("area_m2=1"));
        let error = write::put_claims(&mut scene.survey, &[good, (path(at), claim(text))]).unwrap_err();
        assert_eq!(error.code(), code, "{at} {text}");
        assert_eq!(scene.survey.get_heads(), heads, "nothing is written");
    }
    let mut scene = Scene::new();
    let twice = [(path(BOOKS), claim("value=1")), (path(BOOKS), claim("value=2"))];
    assert_eq!(write::put_claims(&mut scene.survey, &twice).unwrap_err().code(), "write.twice");
    let error = write::put_claims(&mut scene.review, &twice[..1]).unwrap_err();
    assert_eq!(error.code(), "write.no_container");
    scene.verdict("v1", BOOKS, &[], None, "");
    let verdict = duxue_document::decision::verdicts(&scene.review)[&id("v1")].clone();
    assert_eq!(
        write::put_verdict(&mut scene.review, &id("v1"), &verdict).unwrap_err().code(),
        "write.exists"
    );
}
