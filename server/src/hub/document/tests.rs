//! What is taken, held and set aside, without a store.

use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, AutomergeError, ROOT};
use duxue_document::{DocumentKind, PersonId, genesis};

use crate::hub::rows::reason;
use crate::rounds::{DocumentName, Writing};
use crate::store::{Delivery, JournalNumber, Record, StoredDocument};

use super::build::guarded;
use super::*;

fn name() -> DocumentName {
    DocumentName {
        round: "r".parse().expect("an id"),
        school: Some("3601000001".parse().expect("an id")),
        kind: DocumentKind::Survey,
    }
}

fn change(actor: u8, key: &str) -> Change {
    let mut doc = genesis::document(DocumentKind::Survey, ActorId::from([actor; 16]));
    let mut tx = doc.transaction();
    tx.put(ROOT, key, 1).expect("puts");
    tx.commit();
    doc.get_last_local_change().expect("a change")
}

fn stored(chunks: &[&[u8]]) -> StoredDocument {
    let chunks = (1..).map(JournalNumber).zip(chunks.iter().map(|chunk| chunk.to_vec())).collect();
    StoredDocument { snapshot: None, chunks }
}

fn no_rows() -> Rows {
    Rows { actors: Vec::new(), held: Vec::new(), set_aside: Vec::new() }
}

#[test]
fn a_panic_is_an_error() {
    assert_eq!(guarded(|| Ok(())), Ok(()));
    assert_eq!(guarded(|| Err(AutomergeError::Fail)), Err("chunk.not_applicable"));
    assert_eq!(guarded(|| panic!("of automerge")), Err("chunk.panic"));
}

#[test]
fn a_bad_chunk_costs_the_document_only_itself() {
    let (a, b, again) = (change(1, "a"), change(2, "b"), change(1, "other"));
    let good = [a.raw_bytes(), b.raw_bytes()];
    for (bad, reason) in [(&b"no chunk"[..], "chunk.unreadable"), (again.raw_bytes(), "chunk.not_applicable")]
    {
        let (document, failed) = Document::load(name(), &stored(&[good[0], bad, good[1]]), no_rows());
        let failed: Vec<_> = failed.iter().map(|failed| (failed.chunk, failed.reason)).collect();
        assert_eq!(failed, [(JournalNumber(2), reason)]);
        assert!(document.has(&a.hash()) && document.has(&b.hash()) && !document.has(&again.hash()));
    }
}

fn contribution(session: u64, person: &str, write: Writing, changes: Vec<Change>) -> Contribution {
    let delivery = Delivery { person: person.parse().expect("an id"), device: None };
    Contribution { session, delivery, write, changes }
}

#[test]
fn the_right_follows_the_person_an_actor_is_bound_to() {
    let (mut document, _) = Document::load(name(), &stored(&[]), no_rows());
    let all_may = |_: &PersonId| Writing::Yes;
    let only_b = |person: &PersonId| if person.as_str() == "b" { Writing::Yes } else { Writing::Ended };
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let first = change(1, "a");
    let plan = document.plan(vec![contribution(1, "a", Writing::Yes, vec![first])], &all_may, &mut next, 0);
    let plan = plan.expect("plans");
    assert!(plan.changes_document());
    document.apply(plan, JournalNumber(1)).expect("applies");
    // Someone else brings a change of the same actor after its owner's right has ended.
    let mut doc = document.shared().read().clone();
    doc.set_actor(ActorId::from([1; 16]));
    let mut tx = doc.transaction();
    tx.put(ROOT, "b", 1).expect("puts");
    tx.commit();
    let later = doc.get_last_local_change().expect("a change");
    let brought = vec![contribution(2, "b", Writing::Yes, vec![later.clone()])];
    let plan = document.plan(brought, &only_b, &mut next, 0).expect("plans");
    assert!(!plan.changes_document());
    assert!(matches!(plan.records[0], Record::Held { .. }), "{:?}", plan.records);
    document.apply(plan, JournalNumber(3)).expect("applies");
    assert!(document.holds(&later.hash()));
}

#[test]
fn a_change_in_the_name_of_anothers_actor_is_held_until_its_owner_brings_it() {
    let (mut document, _) = Document::load(name(), &stored(&[]), no_rows());
    let may = |_: &PersonId| Writing::Yes;
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut bring = |document: &mut Document, person: &str, changes: Vec<Change>, journal: u64| {
        let brought = vec![contribution(1, person, Writing::Yes, changes)];
        let plan = document.plan(brought, &may, &mut next, 0).expect("plans");
        let reasons: Vec<String> = plan.held.iter().map(|row| row.reason.clone()).collect();
        document.apply(plan, JournalNumber(journal)).expect("applies");
        reasons
    };
    let edit = |doc: &mut Automerge, key: &str| {
        let mut tx = doc.transaction();
        tx.put(ROOT, key, 1).expect("puts");
        tx.commit();
        doc.get_last_local_change().expect("a change")
    };
    let first = change(1, "a");
    assert!(bring(&mut document, "a", vec![first.clone()], 1).is_empty());
    let mut of_a = document.shared().read().clone();
    of_a.set_actor(ActorId::from([1; 16]));
    let mut forger = of_a.clone();
    let (forged, own) = (edit(&mut forger, "forged"), edit(&mut of_a, "own"));
    let later = edit(&mut of_a, "later");
    // What the document has already is nothing new, whoever brings it.
    assert_eq!(bring(&mut document, "b", vec![first, forged.clone()], 10), [reason::OTHER_ACTOR]);
    // Passing on what the owner has not brought yet is held too.
    let passed_on = vec![own.clone(), later.clone()];
    assert_eq!(bring(&mut document, "b", passed_on.clone(), 20), [reason::OTHER_ACTOR]);
    assert!([&forged, &own, &later].iter().all(|change| document.holds(&change.hash())));
    // Neither stands in the owner's way, in whichever order they come.
    assert!(bring(&mut document, "a", vec![later.clone(), own.clone()], 30).is_empty());
    assert!(document.has(&own.hash()) && document.has(&later.hash()) && !document.has(&forged.hash()));
    assert!(bring(&mut document, "b", passed_on, 40).is_empty());
}

#[test]
fn what_is_known_is_not_committed_again() {
    let (mut document, _) = Document::load(name(), &stored(&[]), no_rows());
    let may = |_: &PersonId| Writing::Yes;
    let bring = |session| contribution(session, "a", Writing::Yes, vec![change(1, "a")]);
    let plan = document.plan(vec![bring(1), bring(2)], &may, &mut || 1, 0).expect("plans");
    assert_eq!(plan.records.len(), 2, "one chunk and one binding");
    document.apply(plan, JournalNumber(1)).expect("applies");
    assert!(document.plan(vec![bring(3)], &may, &mut || 1, 0).expect("plans").is_empty());
}
