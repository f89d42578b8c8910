//! Building a document from what is stored, without what cannot be applied.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{ActorId, Automerge, AutomergeError, Change, ChangeHash};
use duxue_document::genesis;
use serde_json::json;

use crate::audit::{By, event};
use crate::hub::admit::{Refused, changes_of, snapshot_of};
use crate::hub::recent::Recent;
use crate::hub::rows::{ActorRow, HeldRow, SET_ASIDE, SetAsideRow, aside, document_key};
use crate::random;
use crate::rounds::DocumentName;
use crate::store::{Delivery, JournalNumber, Record, StoreError, StoredDocument};

use super::Document;
use super::held::Held;
use super::intake::depending;
use super::numbers::Numbers;
use super::shared::Shared;
use super::size::Size;

/// A chunk that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The chunk's record.
    pub chunk: JournalNumber,
    /// The session that brought it, if one did.
    pub session: Option<u64>,
    /// Who delivered it, where that is known.
    pub delivery: Option<Delivery>,
    /// Stable code.
    pub reason: &'static str,
    /// The hashes of its changes.
    pub hashes: Vec<ChangeHash>,
}

/// Rows of a document as the store has them.
pub struct Rows {
    /// Actor bindings.
    pub actors: Vec<ActorRow>,
    /// Held changes, decided ones too.
    pub held: Vec<HeldRow>,
    /// Changes set aside.
    pub set_aside: Vec<SetAsideRow>,
}

impl Document {
    /// Builds a document from what is stored, and names the chunks that could
    /// not be applied.
    #[must_use]
    pub fn load(name: DocumentName, stored: &StoredDocument, rows: Rows) -> (Self, Vec<Failed>) {
        let mut held = Held::default();
        for row in rows.held {
            held.insert(row);
        }
        let set_aside: HashSet<ChangeHash> =
            rows.set_aside.iter().filter_map(|row| hash_from_hex(&row.hash)).collect();
        let never = |hash: &ChangeHash| set_aside.contains(hash) || held.is_left_out(hash);
        let Built { doc, numbers, failed, operations, size, .. } = build_without(&name, stored, never);
        let mut document = Self {
            id: name.id(),
            name,
            recent: Recent::new(&doc),
            doc: Shared::new(doc),
            actors: rows.actors.into_iter().filter_map(|row| Some((hex_bytes(&row.actor)?, row))).collect(),
            held,
            set_aside,
            numbers,
            size,
            snapshot_bytes: stored.snapshot.as_ref().map_or(0, Vec::len),
            chunk_operations: operations,
            chunk_bytes: stored.chunks.iter().map(|(_, bytes)| bytes.len()).sum(),
            in_snapshot: 0,
            through: stored.chunks.last().map_or(JournalNumber(0), |(number, _)| *number),
        };
        let there = |hash: &ChangeHash| {
            document.numbers.waits(hash) || document.doc.read().get_change_meta_by_hash(hash).is_some()
        };
        document.held.forget_left_out(there);
        (document, failed)
    }

    /// The records that set chunks aside.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn set_aside(&mut self, failed: &[Failed], now_ms: i64) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for failed in failed {
            records.push(Record::SetAside {
                chunk: failed.chunk,
                document: self.id,
                reason: failed.reason.to_owned(),
            });
            for hash in &failed.hashes {
                self.set_aside.insert(*hash);
                let row = SetAsideRow {
                    hash: random::hex(&hash.0),
                    journal: failed.chunk.0,
                    reason: failed.reason.to_owned(),
                    delivery: failed.delivery.clone(),
                    at_ms: now_ms,
                };
                records.push(SET_ASIDE.put(&document_key(&self.id, &hash.0), &row)?);
            }
            let by = failed.delivery.as_ref().map_or(By::Stranger, |delivery| {
                By::Person(delivery.person.clone(), delivery.device.clone())
            });
            let details = [
                ("document", json!(self.id)),
                ("round", json!(self.name.round)),
                ("school", json!(self.name.school)),
                ("reason", json!(failed.reason)),
                ("changes", json!(failed.hashes.len())),
                ("journal", json!(failed.chunk.0)),
            ];
            records.push(event("set_aside", &by, now_ms, details));
        }
        Ok(records)
    }
}

pub(super) fn hash_from_hex(text: &str) -> Option<ChangeHash> {
    random::from_hex::<32>(text).map(ChangeHash)
}

pub(super) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    text.is_ascii().then_some(())?;
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// A document with its genesis. The server writes nothing itself, so the actor
/// does not matter.
pub(super) fn empty(name: &DocumentName) -> Automerge {
    genesis::document(name.kind, ActorId::from([0_u8; 16]))
}

/// A document as built from what is stored.
pub(super) struct Built {
    pub doc: Automerge,
    pub numbers: Numbers,
    pub failed: Vec<Failed>,
    /// Operations in its chunks.
    operations: usize,
    size: Size,
    /// The changes of each record, of which some wait for what they depend on.
    waiting: Vec<(JournalNumber, Vec<Change>)>,
}

/// Builds a document without the chunks that wait for what is `never` applied:
/// they were to be set aside when the server ended.
fn build_without(name: &DocumentName, stored: &StoredDocument, never: impl Fn(&ChangeHash) -> bool) -> Built {
    let mut built = build(name, stored);
    let waiting: Vec<Change> = built.waiting.iter().flat_map(|(_, changes)| changes).cloned().collect();
    let dead = depending(&waiting, never);
    let is_dead = |changes: &[Change]| changes.iter().all(|change| dead.contains(&change.hash()));
    let mut aside = Vec::new();
    for (chunk, changes) in built.waiting.iter().filter(|(_, changes)| is_dead(changes)) {
        let hashes = changes.iter().map(Change::hash).collect();
        aside.push(Failed { chunk: *chunk, session: None, delivery: None, reason: aside::DEPENDS, hashes });
    }
    if !aside.is_empty() {
        let mut rest = stored.clone();
        rest.chunks.retain(|(number, _)| aside.iter().all(|failed| failed.chunk != *number));
        built = build(name, &rest);
        built.failed.extend(aside);
    }
    built
}

/// Builds a document from its snapshot and chunks. Chunks that fail are named
/// and left out.
pub(super) fn build(name: &DocumentName, stored: &StoredDocument) -> Built {
    let Parts { mut doc, mut units, mut failed } = parts(name, stored);
    let mut numbers = Numbers::of(&doc);
    let all: Vec<Change> = units.iter().flat_map(|(_, changes)| changes.iter().cloned()).collect();
    if !all.is_empty() && apply_guarded(&mut doc, all).is_err() {
        // A document is not to be trusted after a failure.
        doc = applied(parts(name, stored).doc, &units, &mut failed);
        units.retain(|(number, _)| failed.iter().all(|failed| failed.chunk != *number));
    }
    // The snapshot's too: it keeps what waits for its dependencies.
    let changes = units.iter().flat_map(|(_, changes)| changes);
    numbers.add(changes, |hash| doc.get_change_meta_by_hash(hash).is_some());
    let operations = units.iter().flat_map(|(_, changes)| changes).map(Change::len).sum();
    let waits = |change: &Change| numbers.waits(&change.hash());
    let mut size = Size::of(&doc);
    units
        .iter()
        .flat_map(|(_, changes)| changes)
        .filter(|change| waits(change))
        .for_each(|change| size.add(change));
    units.retain(|(number, changes)| *number != JournalNumber(0) && changes.iter().any(waits));
    Built { doc, numbers, failed, operations, size, waiting: units }
}

/// A document with those of the chunks that can be applied; the others are
/// named. Each failure costs a copy for each half that it is in, not one for
/// each chunk.
fn applied(doc: Automerge, units: &[(JournalNumber, Vec<Change>)], failed: &mut Vec<Failed>) -> Automerge {
    let mut whole = doc.clone();
    let all = units.iter().flat_map(|(_, changes)| changes.iter().cloned()).collect();
    match (apply_guarded(&mut whole, all), units) {
        (Ok(()), _) => whole,
        (Err(_), []) => doc,
        (Err(reason), [(chunk, changes)]) => {
            let hashes = changes.iter().map(Change::hash).collect();
            failed.push(Failed { chunk: *chunk, session: None, delivery: None, reason, hashes });
            doc
        }
        (Err(_), units) => {
            let (first, second) = units.split_at(units.len() / 2);
            let doc = applied(doc, first, failed);
            applied(doc, second, failed)
        }
    }
}

/// What a document is built from.
struct Parts {
    /// The snapshot's, or the genesis.
    doc: Automerge,
    /// The changes of each record that it does not hold; those that wait in
    /// the snapshot as record 0.
    units: Vec<(JournalNumber, Vec<Change>)>,
    /// The records that cannot be read.
    failed: Vec<Failed>,
}

fn parts(name: &DocumentName, stored: &StoredDocument) -> Parts {
    let mut parts = Parts { doc: empty(name), units: Vec::new(), failed: Vec::new() };
    if let Some(bytes) = &stored.snapshot {
        let mut doc = None;
        parts.read(JournalNumber(0), |changes| {
            doc = snapshot_of(bytes, changes)?;
            Ok(())
        });
        parts.doc = doc.unwrap_or(parts.doc);
    }
    for (chunk, bytes) in &stored.chunks {
        parts.read(*chunk, |changes| changes_of(bytes, changes));
    }
    parts
}

impl Parts {
    fn read(&mut self, chunk: JournalNumber, read: impl FnOnce(&mut Vec<Change>) -> Result<(), Refused>) {
        let mut changes = Vec::new();
        match catch_unwind(AssertUnwindSafe(|| read(&mut changes))) {
            Ok(Ok(())) => self.units.push((chunk, changes)),
            _ => {
                let (reason, hashes) = ("chunk.unreadable", Vec::new());
                self.failed.push(Failed { chunk, session: None, delivery: None, reason, hashes });
            }
        }
    }
}

pub(super) fn apply_guarded(doc: &mut Automerge, changes: Vec<Change>) -> Result<(), &'static str> {
    guarded(|| {
        #[cfg(test)]
        crate::hub::trap::on_apply(&changes);
        doc.apply_changes(changes)
    })
}

/// Runs Automerge where its panics cost no more than an error would.
pub(super) fn guarded(work: impl FnOnce() -> Result<(), AutomergeError>) -> Result<(), &'static str> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a change could not be applied");
            Err("chunk.not_applicable")
        }
        Err(_) => Err("chunk.panic"),
    }
}
