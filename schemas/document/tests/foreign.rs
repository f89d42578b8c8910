//! Documents that a foreign client has written to: reading never fails, what
//! does not fit is a finding, and the rest is used.

mod common;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use common::*;
use duxue_document::consolidate::{Documents, consolidate_county};
use duxue_document::consolidated::ValueState;
use duxue_document::history::history_of_entry;
use duxue_document::school::Declared;
use duxue_document::{DocumentKind, Scalar, genesis};

fn container(kind: DocumentKind, name: &str) -> ObjId {
    genesis::container(kind, name).unwrap()
}

/// One change by a foreign client.
fn foreign(doc: &mut Automerge, write: impl FnOnce(&mut Transaction<'_>)) {
    doc.set_actor(automerge::ActorId::from(next_actor().to_be_bytes()));
    let mut tx = doc.transaction();
    write(&mut tx);
    tx.commit();
}

/// The map under these keys of a container of the survey.
fn at(doc: &impl ReadDoc, keys: &[&str]) -> ObjId {
    let mut map = container(DocumentKind::Survey, keys[0]);
    for key in &keys[1..] {
        map = doc.get(&map, *key).unwrap().unwrap().1;
    }
    map
}

#[test]
fn a_javascript_client_writes_the_same_claim_in_its_own_types() {
    let mut scene = Scene::new();
    foreign(&mut scene.survey, |tx| {
        let item = tx.put_object(container(DocumentKind::Survey, "rooms"), "r1", ObjType::Map).unwrap();
        let claim = tx.put_object(item, "size", ObjType::Map).unwrap();
        let length = tx.put_object(&claim, "length_m", ObjType::Text).unwrap();
        tx.splice_text(length, 0, 0, "7.20").unwrap();
        tx.put(&claim, "width_m", 6.0).unwrap();
        tx.put(&claim, "area_m2", 43).unwrap();
        let captured = tx.put_object(&claim, "captured", ObjType::Map).unwrap();
        tx.put(&captured, "device_time_ms", 1_700_000_000_000.0).unwrap();
        tx.put(&captured, "boot_id", "boot").unwrap();
        tx.put(&captured, "counter", 1).unwrap();
    });
    let entry = scene.entry("rooms/r1/size");
    assert_eq!(entry.candidates[0].value, value("length_m=7.2 width_m=6 area_m2=43"));
    assert_eq!(entry.candidates[0].captured, captured(1));
    assert_eq!(findings(&scene.see()), []);
}

#[test]
fn what_does_not_fit_is_a_finding_and_the_rest_is_used() {
    type Write = fn(&mut Transaction<'_>);
    // what is written, the finding, its path, the candidates of books after it
    let cases: [(Write, &str, &str, usize); 13] = [
        (
            |tx| put_raw(tx, "quantities", "books:whole", 900),
            "claim.bare",
            "survey:quantities/books:whole",
            1,
        ),
        (
            |tx| put_raw(tx, "quantities", "books:whole", 0.5),
            "claim.number",
            "survey:quantities/books:whole/value",
            1,
        ),
        (
            |tx| put_raw(tx, "quantities", "books:whole", "many"),
            "claim.number",
            "survey:quantities/books:whole/value",
            1,
        ),
        (
            |tx| put_raw(tx, "quantities", "books:whole", ScalarValue::Null),
            "claim.not_map",
            "survey:quantities/books:whole",
            0,
        ),
        (|tx| put_raw(tx, "quantities", "books", 900), "document.key", "survey:quantities/books", 0),
        (|tx| put_raw(tx, "rooms", "r1", 900), "item.not_map", "survey:rooms/r1", 0),
        (|tx| put_raw(tx, "rooms", "一号", 900), "document.key", "survey:rooms/一号", 0),
        (|tx| drop(tx.put(ROOT, "extra", 1)), "document.foreign", "survey:extra", 0),
        (|tx| drop(tx.put(ROOT, "rooms", 1)), "document.foreign", "survey:rooms", 0),
        (|tx| drop(put_claim(tx, "note", 5)), "claim.note", "survey:quantities/books:whole/note", 1),
        (|tx| drop(put_claim(tx, "photos", "x")), "claim.photos", "survey:quantities/books:whole/photos", 1),
        (|tx| drop(put_claim(tx, "colour", "red")), "claim.field", "survey:quantities/books:whole/colour", 1),
        (|tx| drop(put_claim(tx, "value", "9")), "claim.captured", "survey:quantities/books:whole", 1),
    ];
    for (write, code, finding_path, candidates) in cases {
        let mut scene = Scene::new();
        put(&mut scene.survey, "answers/A2-1", "value=true");
        foreign(&mut scene.survey, write);
        let school = scene.see();
        let expected = (code.to_owned(), finding_path.to_owned());
        assert!(findings(&school).contains(&expected), "{expected:?} not in {:?}", school.findings);
        let books = school.entry(&path("quantities/books:whole"));
        assert_eq!(books.map_or(0, |entry| entry.candidates.len()), candidates, "{code} {finding_path}");
        assert!(matches!(scene.entry("answers/A2-1").value, ValueState::Agreed { .. }), "the rest is used");
    }
}

fn put_raw(tx: &mut Transaction<'_>, name: &str, key: &str, value: impl Into<ScalarValue>) {
    tx.put(container(DocumentKind::Survey, name), key, value).unwrap();
}

fn put_claim(tx: &mut Transaction<'_>, field: &str, value: impl Into<ScalarValue>) -> ObjId {
    let quantities = container(DocumentKind::Survey, "quantities");
    let claim = tx.put_object(quantities, "books:whole", ObjType::Map).unwrap();
    tx.put(&claim, field, value).unwrap();
    claim
}

#[test]
fn a_wrong_type_stays_visible_as_text_but_is_no_number() {
    let mut scene = Scene::new();
    foreign(&mut scene.survey, |tx| put_raw(tx, "quantities", "books:whole", 0.5));
    let entry = scene.entry("quantities/books:whole");
    assert_eq!(entry.candidates[0].value.values().next(), Some(&Scalar::Text("0.5".to_owned())));
}

#[test]
fn a_claim_edited_in_place_gives_what_was_put_and_what_was_made_of_it() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, "rooms/r1/size", "length_m=7 width_m=6");
    foreign(&mut scene.survey, |tx| {
        let claim = at(tx, &["rooms", "r1", "size"]);
        tx.put(&claim, "length_m", "9").unwrap();
        tx.put(&claim, "width_m", "8").unwrap();
    });
    foreign(&mut scene.survey, |tx| {
        let captured = at(tx, &["rooms", "r1", "size", "captured"]);
        tx.put(&captured, "counter", 99).unwrap();
    });
    let entry = scene.entry("rooms/r1/size");
    let values: Vec<_> = entry.candidates.iter().map(|candidate| candidate.value.clone()).collect();
    let made = value("length_m=9 width_m=8");
    assert_eq!(values, [value("length_m=7 width_m=6"), made.clone(), made]);
    assert_eq!(entry.candidates[0].op, op);
    assert!(matches!(entry.value, ValueState::Conflicting { .. }));
    assert_eq!(findings(&scene.see()), [("claim.edited".to_owned(), "survey:rooms/r1/size".to_owned())]);
    let past = history_of_entry(&scene.survey, DocumentKind::Survey, &path("rooms/r1/size"));
    assert_eq!(past.len(), 3);
}

#[test]
fn a_field_added_or_deleted_in_place_is_an_edit_too() {
    for delete in [false, true] {
        let mut scene = Scene::new();
        put(&mut scene.survey, "rooms/r1/size", "length_m=7 width_m=6");
        // The same actor, so that the op numbers follow each other.
        let mut tx = scene.survey.transaction();
        let claim = at(&tx, &["rooms", "r1", "size"]);
        if delete {
            tx.delete(&claim, "width_m").unwrap();
        } else {
            tx.put(&claim, "area_m2", "40").unwrap();
        }
        tx.commit();
        let entry = scene.entry("rooms/r1/size");
        assert_eq!(entry.candidates.len(), 2);
        assert_eq!(entry.candidates[0].value, value("length_m=7 width_m=6"));
    }
}

#[test]
fn what_is_deleted_is_read_back_and_shown() {
    type Write = fn(&mut Transaction<'_>);
    let cases: [(Write, &str, &str, &str); 4] = [
        (
            |tx| tx.delete(at(tx, &["rooms", "r1"]), "size").unwrap(),
            "entry.deleted",
            "survey:rooms/r1/size",
            "area_m2=50",
        ),
        (
            |tx| tx.delete(at(tx, &["rooms"]), "r1").unwrap(),
            "item.deleted",
            "survey:rooms/r1",
            "size: area_m2=50",
        ),
        (
            |tx| tx.delete(at(tx, &["quantities"]), "books:whole").unwrap(),
            "entry.deleted",
            "survey:quantities/books:whole",
            "value=900",
        ),
        (
            |tx| tx.delete(at(tx, &["rooms", "r1", "size"]), "area_m2").unwrap(),
            "claim.deleted",
            "survey:rooms/r1/size/area_m2",
            "\"50\"",
        ),
    ];
    for (write, code, at, detail) in cases {
        let mut scene = Scene::new();
        put(&mut scene.survey, "rooms/r1/size", "area_m2=50");
        put(&mut scene.survey, "quantities/books:whole", "value=900");
        foreign(&mut scene.survey, write);
        let found: Vec<_> = scene
            .see()
            .findings
            .into_iter()
            .filter(|f| f.code.ends_with("deleted"))
            .map(|f| (f.code, f.path, f.detail))
            .collect();
        assert_eq!(found, [(code.to_owned(), at.to_owned(), detail.to_owned())]);
        for path in ["rooms/r1/size", "quantities/books:whole"].map(common::path) {
            let past = history_of_entry(&scene.survey, DocumentKind::Survey, &path);
            assert!(!past[0].claim.value.is_empty(), "history keeps what {code} hides");
        }
    }
}

#[test]
fn replacing_or_deleting_a_top_level_map_hides_nothing() {
    let mut scene = Scene::new();
    put(&mut scene.survey, "rooms/r1/size", "area_m2=50");
    foreign(&mut scene.survey, |tx| drop(tx.put_object(ROOT, "rooms", ObjType::Map)));
    foreign(&mut scene.survey, |tx| tx.delete(ROOT, "answers").unwrap());
    assert!(matches!(scene.entry("rooms/r1/size").value, ValueState::Agreed { .. }));
    put(&mut scene.survey, "answers/A2-1", "value=true");
    assert!(matches!(scene.entry("answers/A2-1").value, ValueState::Agreed { .. }));
    let codes: Vec<_> = findings(&scene.see()).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["document.deleted", "document.foreign"]);
}

#[test]
fn an_edited_decision_counts_as_it_was_put() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, "quantities/books:whole", "value=900");
    scene.verdict("v1", "quantities/books:whole", &[&op], Some("重测"), "");
    foreign(&mut scene.review, |tx| {
        let verdict = tx.get(container(DocumentKind::Review, "verdicts"), "v1").unwrap().unwrap().1;
        tx.put(verdict, "outcome", "accepted").unwrap();
    });
    assert!(scene.entry("quantities/books:whole").counts_as_missing());
    assert_eq!(findings(&scene.see()), [("decision.edited".to_owned(), "review:verdicts/v1".to_owned())]);
}

#[test]
fn a_decision_that_cannot_be_used_is_set_aside() {
    let mut scene = Scene::new();
    foreign(&mut scene.ruling, |tx| {
        let rulings = container(DocumentKind::Ruling, "rulings");
        let ruling = tx.put_object(rulings, "d1", ObjType::Map).unwrap();
        tx.put(&ruling, "subject", "merge").unwrap();
        tx.put(&ruling, "items", "rooms/r1 classes/c1").unwrap();
    });
    assert_eq!(findings(&scene.see()), [("decision.unusable".to_owned(), "ruling:rulings/d1".to_owned())]);
}

#[test]
fn documents_without_their_genesis_are_read_as_empty() {
    let nothing = Automerge::new();
    let documents = Documents { survey: &nothing, review: &nothing, ruling: &nothing };
    let consolidator = duxue_document::consolidate::Consolidator::new(
        school(),
        Declared::default(),
        duxue_document::consolidate::Settings::default(),
        documents,
    );
    assert_eq!(consolidator.school().findings.len(), 3);
    assert_eq!(consolidate_county(&Declared::default(), &nothing).findings.len(), 1);
}

#[test]
fn a_county_is_consolidated_by_writing_again() {
    let mut county = doc(DocumentKind::County, 1);
    let mut other = doc(DocumentKind::County, 2);
    put(&mut county, "quantities/satisfaction_percent:whole", "value=87.5");
    put(&mut other, "quantities/satisfaction_percent:whole", "value=86");
    county.merge(&mut other).unwrap();
    let at = path("quantities/satisfaction_percent:whole");
    let seen = consolidate_county(&Declared::default(), &county);
    assert!(matches!(seen.entries[&at].value, ValueState::Conflicting { .. }));
    put(&mut county, "quantities/satisfaction_percent:whole", "value=87.5");
    let seen = consolidate_county(&Declared::default(), &county);
    assert!(matches!(seen.entries[&at].value, ValueState::Agreed { .. }));
    assert_eq!(seen.findings, []);
}
