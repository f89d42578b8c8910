//! What is to be committed for what has arrived, and what follows when it was.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use automerge::{Change, ChangeHash};
use duxue_document::{DocumentId, PersonId};

use crate::hub::quota::Amount;
use crate::hub::rows::{ActorRow, Decision, HELD, HeldRow, held_key};
use crate::random;
use crate::rounds::{DocumentName, Writing};
use crate::store::{Delivery, HELD_CHUNKS, JournalNumber, Record, StoreError, held_chunks_key};

use super::build::Failed;

/// What a session brought.
pub struct Contribution {
    /// Names the session in [`Plan::sessions`].
    pub session: u64,
    /// Who delivers.
    pub delivery: Delivery,
    /// Whether the session may write.
    pub write: Writing,
    /// The changes in the order they came.
    pub changes: Vec<Change>,
}

/// A delivery of which nothing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The session that brought it.
    pub session: u64,
    /// The limit's name in the configuration.
    pub limit: &'static str,
    /// Stable code.
    pub code: &'static str,
}

/// What is to be committed, and what follows when it was.
#[derive(Default)]
pub struct Plan {
    /// The records, as one group.
    pub records: Vec<Record>,
    /// Sessions that brought something new.
    pub sessions: BTreeSet<u64>,
    /// Deliveries of which nothing is in the plan.
    pub refused: Vec<Refusal>,
    /// Room in quotas that was taken for the plan, to be given back if it is
    /// not committed.
    pub reserved: Vec<(PersonId, Amount)>,
    /// Bytes that are written for each person, to be counted once the plan is
    /// committed.
    pub written: BTreeMap<PersonId, u64>,
    /// Room in quotas that is to be given back once the plan is committed.
    pub released: Vec<(PersonId, Amount)>,
    pub(super) taken: Vec<Unit>,
    pub(super) held: Vec<HeldRow>,
    pub(super) decided: Vec<HeldRow>,
    /// Changes that are kept and never applied.
    pub(super) aside: Vec<Aside>,
    /// Held changes that leave their items: they are taken, or held anew.
    pub(super) moved: HashSet<ChangeHash>,
    /// Items of which some changes moved.
    pub(super) shrunk: Vec<HeldRow>,
    /// Items of which all changes moved.
    pub(super) emptied: Vec<u64>,
    pub(super) actors: Vec<(Vec<u8>, ActorRow)>,
}

/// The changes of one chunk record.
pub(super) struct Unit {
    pub(super) record: usize,
    pub(super) session: Option<u64>,
    pub(super) changes: Vec<Change>,
}

/// A chunk record whose changes are not applied.
pub(super) struct Aside {
    pub(super) unit: Unit,
    pub(super) delivery: Delivery,
    pub(super) reason: &'static str,
}

impl Plan {
    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether anything changes the document.
    #[must_use]
    pub fn changes_document(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Whether anything will never be in the document for it.
    #[must_use]
    pub fn has_gone(&self) -> bool {
        let left_out = |row: &HeldRow| row.decision.as_ref().is_some_and(|decision| !decision.admitted);
        !self.aside.is_empty() || self.decided.iter().any(left_out)
    }

    /// Counts the records from `first` on as a person's.
    pub(super) fn count(&mut self, person: &PersonId, first: usize) {
        let bytes: u64 = self.records.get(first..).unwrap_or_default().iter().map(Record::size).sum();
        if bytes > 0 {
            *self.written.entry(person.clone()).or_default() += bytes;
        }
    }

    /// Operations to apply.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.taken.iter().flat_map(|unit| &unit.changes).map(Change::len).sum()
    }

    /// The hashes of the changes that the document gets.
    pub(super) fn taken_hashes(&self) -> HashSet<ChangeHash> {
        self.taken.iter().flat_map(|unit| &unit.changes).map(Change::hash).collect()
    }

    /// Plans to apply changes: one chunk record for each actor, so that a
    /// change that cannot be applied after all takes no other actor's with it.
    pub(super) fn take(
        &mut self,
        document: DocumentId,
        session: Option<u64>,
        delivery: &Delivery,
        changes: Vec<Change>,
        received_ms: i64,
    ) {
        for (_, changes) in grouped(changes, |change| change.actor_id().clone()) {
            let unit = self.chunk(document, session, delivery, changes, received_ms);
            self.taken.push(unit);
        }
    }

    /// Plans to keep changes that can never be applied. Their chunks are set
    /// aside once they have numbers; a load in between finds them by itself.
    pub(super) fn keep_aside(
        &mut self,
        document: DocumentId,
        session: Option<u64>,
        delivery: &Delivery,
        changes: Vec<(Change, &'static str)>,
        received_ms: i64,
    ) {
        let of = |(change, reason): &(Change, &'static str)| (change.actor_id().clone(), *reason);
        for ((_, reason), changes) in grouped(changes, of) {
            let changes = changes.into_iter().map(|(change, _)| change).collect();
            let unit = self.chunk(document, session, delivery, changes, received_ms);
            self.aside.push(Aside { unit, delivery: delivery.clone(), reason });
        }
    }

    fn chunk(
        &mut self,
        document: DocumentId,
        session: Option<u64>,
        delivery: &Delivery,
        changes: Vec<Change>,
        received_ms: i64,
    ) -> Unit {
        self.sessions.extend(session);
        let bytes = concatenated(&changes);
        let unit = Unit { record: self.records.len(), session, changes };
        self.records.push(Record::Chunk { document, bytes, delivery: Some(delivery.clone()), received_ms });
        unit
    }

    /// How many changes of each person are to be set aside.
    pub fn set_aside(&self) -> impl Iterator<Item = (&PersonId, u64)> {
        self.aside.iter().map(|aside| (&aside.delivery.person, aside.unit.changes.len() as u64))
    }

    /// How many changes of one person are to be set aside.
    #[must_use]
    pub fn set_aside_for(&self, person: &PersonId) -> u64 {
        self.set_aside().filter(|(of, _)| *of == person).map(|(_, changes)| changes).sum()
    }

    /// The chunks that are to be set aside, `first` being the number of the
    /// plan's first record.
    #[must_use]
    pub fn failed(&self, first: JournalNumber) -> Vec<Failed> {
        let failed = |aside: &Aside| Failed {
            delivery: Some(aside.delivery.clone()),
            ..aside.unit.failed(first, aside.reason)
        };
        self.aside.iter().map(failed).collect()
    }

    /// Plans to hold changes: the record has the bytes, the row says that they
    /// are there. `row` is complete but for what is computed from `changes`.
    pub(super) fn hold(
        &mut self,
        name: &DocumentName,
        mut row: HeldRow,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        let bytes = concatenated(changes);
        row.hashes = changes.iter().map(|change| random::hex(&change.hash().0)).collect();
        row.bytes = bytes.len() as u64;
        self.records.push(Record::Held {
            document: row.document,
            number: row.number,
            bytes,
            delivery: Delivery { person: row.person.clone(), device: row.device.clone() },
            reason: row.reason.clone(),
            received_ms: row.received_ms,
        });
        self.records.push(HELD.put(&held_key(name, row.number), &row)?);
        self.held.push(row);
        Ok(())
    }

    /// Plans that an item has fewer changes than `row`, the item as it was; an
    /// item without changes goes from the list.
    pub(super) fn shrink(
        &mut self,
        name: &DocumentName,
        row: &HeldRow,
        left: Vec<String>,
    ) -> Result<(), StoreError> {
        if left.is_empty() {
            self.released.push((row.person.clone(), row.amount()));
            self.records.push(HELD.remove(&held_key(name, row.number)));
            self.records.push(no_chunks(row));
            self.emptied.push(row.number);
            return Ok(());
        }
        let stays: BTreeSet<&String> = left.iter().collect();
        let mut shrunk = row.clone();
        shrunk.actors.retain(|hash, _| stays.contains(hash));
        shrunk.hashes = left;
        self.released.push((row.person.clone(), row.amount().without(shrunk.amount())));
        self.records.push(HELD.put(&held_key(name, row.number), &shrunk)?);
        self.shrunk.push(shrunk);
        Ok(())
    }

    pub(super) fn decide(
        &mut self,
        name: &DocumentName,
        mut row: HeldRow,
        decision: Decision,
    ) -> Result<(), StoreError> {
        self.released.push((row.person.clone(), row.amount()));
        if decision.admitted {
            // A chunk record has them now.
            self.records.push(no_chunks(&row));
        }
        row.decision = Some(decision);
        self.records.push(HELD.put(&held_key(name, row.number), &row)?);
        self.decided.push(row);
        Ok(())
    }
}

impl Unit {
    /// The number of its record.
    pub(super) fn number(&self, first: JournalNumber) -> JournalNumber {
        JournalNumber(first.0 + self.record as u64)
    }

    /// It as a chunk that could not be applied.
    pub(super) fn failed(&self, first: JournalNumber, reason: &'static str) -> Failed {
        Failed {
            chunk: self.number(first),
            session: self.session,
            delivery: None,
            reason,
            hashes: self.changes.iter().map(Change::hash).collect(),
        }
    }
}

/// Groups in the order of their first members.
fn grouped<T, K: Eq + std::hash::Hash + Clone>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<(K, Vec<T>)> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let key = key(&item);
        let place = *places.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

fn no_chunks(row: &HeldRow) -> Record {
    let key = held_chunks_key(&row.document, row.number);
    Record::Row { table: HELD_CHUNKS.to_owned(), key, value: None }
}

fn concatenated(changes: &[Change]) -> Vec<u8> {
    changes.iter().flat_map(|change| change.raw_bytes().iter().copied()).collect()
}
