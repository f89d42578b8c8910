//! One open document: which of the changes that arrive are taken, which are
//! held, and what is committed for them. Pure: no store, no sockets, no clock.
//!
//! The order is fixed by the types: [`Document::plan`] gives records for what
//! has arrived, and only their [`Plan`] can be applied, with the number that
//! the store gave after the flush.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use automerge::sync::Message;
use automerge::{ActorId, Automerge, AutomergeError, Change, ChangeHash};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use duxue_document::{DocumentId, PersonId, genesis};

use crate::random;
use crate::rounds::{DocumentName, Writing};
use crate::store::{Delivery, JournalNumber, Record, StoreError, StoredDocument};

use super::admit::changes_of;
use super::rows::{ACTORS, ActorRow, Decision, HELD, HeldRow, SET_ASIDE, SetAsideRow, document_key, reason};
use super::subscriber::Subscriber;

/// Σ chunks below which no snapshot is made, in bytes.
const SNAPSHOT_FLOOR: usize = 16 << 10;

/// An Automerge document that its owner writes and others may read.
#[derive(Clone)]
pub struct Shared(Arc<RwLock<Automerge>>);

impl Shared {
    fn new(doc: Automerge) -> Self {
        Self(Arc::new(RwLock::new(doc)))
    }

    /// Reads; keep it short, the owner waits.
    pub fn read(&self) -> RwLockReadGuard<'_, Automerge> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

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

/// What is to be committed, and what follows when it was.
#[derive(Default)]
pub struct Plan {
    /// The records, as one group.
    pub records: Vec<Record>,
    /// Sessions that brought something new.
    pub sessions: HashSet<u64>,
    taken: Vec<Unit>,
    held: Vec<HeldRow>,
    decided: Vec<HeldRow>,
    actors: Vec<(Vec<u8>, ActorRow)>,
}

/// The changes of one chunk record.
struct Unit {
    record: usize,
    session: Option<u64>,
    changes: Vec<Change>,
}

/// A chunk that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The chunk's record.
    pub chunk: JournalNumber,
    /// The session that brought it, if one did.
    pub session: Option<u64>,
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

/// An open document.
pub struct Document {
    id: DocumentId,
    name: DocumentName,
    doc: Shared,
    actors: HashMap<Vec<u8>, ActorRow>,
    /// Undecided.
    held: BTreeMap<u64, HeldRow>,
    held_hashes: HashSet<ChangeHash>,
    /// Those of them that someone else than their actor's owner brought: the
    /// owner may still bring them.
    relayed: HashSet<ChangeHash>,
    set_aside: HashSet<ChangeHash>,
    /// Committed, but waiting in Automerge for what they depend on.
    waiting: HashSet<ChangeHash>,
    snapshot_bytes: usize,
    chunk_bytes: usize,
    /// Σ of the chunks that a snapshot in the making holds.
    in_snapshot: usize,
    /// The last chunk record that the document holds.
    through: JournalNumber,
}

impl Document {
    /// Builds a document from what is stored, and names the chunks that could
    /// not be applied.
    #[must_use]
    pub fn load(name: DocumentName, stored: &StoredDocument, rows: Rows) -> (Self, Vec<Failed>) {
        let (doc, failed) = build(&name, stored);
        let mut document = Self {
            id: name.id(),
            name,
            doc: Shared::new(doc),
            actors: rows.actors.into_iter().filter_map(|row| Some((hex_bytes(&row.actor)?, row))).collect(),
            held: BTreeMap::new(),
            held_hashes: HashSet::new(),
            relayed: HashSet::new(),
            set_aside: rows.set_aside.iter().filter_map(|row| hash_from_hex(&row.hash)).collect(),
            waiting: HashSet::new(),
            snapshot_bytes: stored.snapshot.as_ref().map_or(0, Vec::len),
            chunk_bytes: stored.chunks.iter().map(|(_, bytes)| bytes.len()).sum(),
            in_snapshot: 0,
            through: stored.chunks.last().map_or(JournalNumber(0), |(number, _)| *number),
        };
        for row in rows.held {
            document.remember_held(row);
        }
        document.find_waiting(stored);
        let delivered: Vec<ChangeHash> =
            document.relayed.iter().filter(|hash| document.has(hash)).copied().collect();
        document.no_longer_held(&delivered);
        (document, failed)
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        self.id
    }

    /// Which document it is.
    #[must_use]
    pub fn name(&self) -> &DocumentName {
        &self.name
    }

    /// The Automerge document; it holds nothing that is not flushed.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.doc
    }

    /// Decides about what has arrived. `right` says what a person may do with
    /// this document now; `next_held` gives numbers for held items.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn plan(
        &self,
        contributions: Vec<Contribution>,
        right: &dyn Fn(&PersonId) -> Writing,
        next_held: &mut dyn FnMut() -> u64,
        now_ms: i64,
    ) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        let mut fresh: HashMap<Vec<u8>, ActorRow> = HashMap::new();
        let mut seen = HashSet::new();
        let mut held_now = HashSet::new();
        for contribution in contributions {
            let Contribution { session, delivery, write, changes } = contribution;
            let (mut take, mut hold, mut other) = (Vec::new(), Vec::new(), Vec::new());
            let own = |change: &&Change| {
                let owner = self.actors.get(change.actor_id().to_bytes());
                owner.is_some_and(|owner| owner.is(&delivery)) && self.relayed.contains(&change.hash())
            };
            let own: HashSet<ChangeHash> = changes.iter().filter(own).map(Change::hash).collect();
            for change in changes {
                let known = self.knows(&change.hash()) && !own.contains(&change.hash());
                if write == Writing::No || known || !seen.insert(change.hash()) {
                    continue;
                }
                let actor = change.actor_id().to_bytes();
                let owner = self.actors.get(actor).or_else(|| fresh.get(actor)).cloned();
                let owner = owner.unwrap_or_else(|| {
                    let row = ActorRow {
                        actor: random::hex(actor),
                        person: delivery.person.clone(),
                        device: delivery.device.clone(),
                    };
                    fresh.insert(actor.to_vec(), row.clone());
                    row
                });
                // What a session brings whose own right has ended is held even
                // if it names another's actor: actor ids are claims.
                if write == Writing::Ended || right(&owner.person) != Writing::Yes {
                    held_now.insert(change.hash());
                    hold.push(change);
                } else if !owner.is(&delivery) {
                    // Until devices seal their changes nothing else says that
                    // a change is its actor's. One that is only passed on is
                    // taken as soon as the owner brings it.
                    held_now.insert(change.hash());
                    other.push(change);
                } else {
                    take.push(change);
                }
            }
            let outside =
                |d: &ChangeHash| held_now.contains(d) || self.held_hashes.contains(d) && !own.contains(d);
            let (take, depends) = apart(take, outside);
            held_now.extend(depends.iter().map(Change::hash));
            if !take.is_empty() {
                plan.take(self.id, Some(session), Some(&delivery), take, now_ms);
            }
            let held =
                [(hold, reason::RIGHT_ENDED), (other, reason::OTHER_ACTOR), (depends, reason::DEPENDS)];
            for (changes, reason) in held {
                if !changes.is_empty() {
                    plan.hold(self.id, session, next_held(), &delivery, reason, &changes, now_ms)?;
                }
            }
        }
        for (actor, row) in fresh {
            plan.records.push(ACTORS.put(&document_key(&self.id, &actor), &row)?);
            plan.actors.push((actor, row));
        }
        Ok(plan)
    }

    /// Plans to let held changes in, with those that were held only because
    /// they depend on them; or to leave them out.
    ///
    /// # Errors
    /// `Ok(None)` for a number that is not held here;
    /// [`StoreError::Damaged`] where a row cannot be read or written.
    pub fn decide(
        &self,
        number: u64,
        admit: bool,
        by: &PersonId,
        now_ms: i64,
    ) -> Result<Option<Plan>, StoreError> {
        let Some(row) = self.held.get(&number) else { return Ok(None) };
        let mut plan = Plan::default();
        let decision = Decision { admitted: admit, by: Some(by.clone()), at_ms: now_ms };
        if !admit {
            plan.decide(self.id, row.clone(), decision)?;
            return Ok(Some(plan));
        }
        let mut still_held = self.held_hashes.clone();
        self.let_in(&mut plan, row, decision, &mut still_held, now_ms)?;
        let follows = Decision { admitted: true, by: None, at_ms: now_ms };
        loop {
            let planned: HashSet<u64> = plan.decided.iter().map(|row| row.number).collect();
            let mut next = None;
            for row in self.held.values() {
                if row.reason == reason::DEPENDS && !planned.contains(&row.number) {
                    let own: HashSet<ChangeHash> =
                        row.hashes.iter().filter_map(|h| hash_from_hex(h)).collect();
                    let waits = row_changes(row)?
                        .iter()
                        .flat_map(|change| change.deps().to_vec())
                        .any(|dep| still_held.contains(&dep) && !own.contains(&dep));
                    if !waits {
                        next = Some(row);
                        break;
                    }
                }
            }
            let Some(row) = next else { return Ok(Some(plan)) };
            self.let_in(&mut plan, row, follows.clone(), &mut still_held, now_ms)?;
        }
    }

    fn let_in(
        &self,
        plan: &mut Plan,
        row: &HeldRow,
        decision: Decision,
        still_held: &mut HashSet<ChangeHash>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let changes = row_changes(row)?;
        for change in &changes {
            still_held.remove(&change.hash());
        }
        let delivery = Delivery { person: row.person.clone(), device: row.device.clone() };
        plan.take(self.id, None, Some(&delivery), changes, now_ms);
        plan.decide(self.id, row.clone(), decision)
    }

    /// Applies a plan whose records are flushed, `first` being the number of
    /// its first record. On an error the document must be rebuilt from the
    /// store; nothing may be read from it before.
    ///
    /// # Errors
    /// The chunks that could not be applied, or all of the plan's where
    /// Automerge does not say which.
    pub fn apply(&mut self, plan: Plan, first: JournalNumber) -> Result<(), Vec<Failed>> {
        for row in plan.held {
            self.remember_held(row);
        }
        for row in plan.decided {
            self.held.remove(&row.number);
            self.remember_held(row);
        }
        self.actors.extend(plan.actors);
        let number = |unit: &Unit| JournalNumber(first.0 + unit.record as u64);
        let changes: Vec<Change> = plan.taken.iter().flat_map(|unit| unit.changes.iter().cloned()).collect();
        if changes.is_empty() {
            return Ok(());
        }
        for unit in &plan.taken {
            self.through = self.through.max(number(unit));
            self.chunk_bytes += unit.changes.iter().map(|change| change.raw_bytes().len()).sum::<usize>();
        }
        let hashes: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
        self.no_longer_held(&hashes);
        let mut doc = self.doc.0.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = apply_guarded(&mut doc, changes);
        if let Err(reason) = outcome {
            let failed = |unit: &Unit| Failed {
                chunk: number(unit),
                session: unit.session,
                reason,
                hashes: unit.changes.iter().map(Change::hash).collect(),
            };
            return Err(plan.taken.iter().map(failed).collect());
        }
        self.waiting.extend(hashes);
        self.waiting.retain(|hash| doc.get_change_meta_by_hash(hash).is_none());
        Ok(())
    }

    /// Whether a change is durable here, applied with all it depends on.
    #[must_use]
    pub fn has(&self, hash: &ChangeHash) -> bool {
        self.doc.read().get_change_meta_by_hash(hash).is_some()
    }

    /// Whether a change is durable but held.
    #[must_use]
    pub fn holds(&self, hash: &ChangeHash) -> bool {
        self.held_hashes.contains(hash)
    }

    /// The last chunk record that the document holds, if it is time for a
    /// snapshot through it.
    #[must_use]
    pub fn snapshot_due(&self) -> Option<JournalNumber> {
        (self.chunk_bytes >= self.snapshot_bytes.max(SNAPSHOT_FLOOR)).then_some(self.through)
    }

    /// Notes that a snapshot is being made.
    pub fn snapshot_started(&mut self, chunk_bytes: usize) {
        self.in_snapshot = chunk_bytes;
    }

    /// Notes how the snapshot went: its bytes, if it is durable.
    pub fn snapshot_made(&mut self, bytes: Option<usize>) {
        let covered = std::mem::take(&mut self.in_snapshot);
        if let Some(bytes) = bytes {
            self.snapshot_bytes = bytes;
            self.chunk_bytes = self.chunk_bytes.saturating_sub(covered);
        }
    }

    /// Tells a sync state what was received; false for a message that makes
    /// no sense. Changes were dealt with before.
    pub fn receive(&self, subscriber: &mut Subscriber, message: Message, had_changes: bool) -> bool {
        let mut doc = self.doc.0.write().unwrap_or_else(PoisonError::into_inner);
        catch_unwind(AssertUnwindSafe(|| subscriber.receive(&mut doc, message, had_changes)))
            .is_ok_and(|received| received.is_ok())
    }

    /// The message that is due to a subscriber, if one is.
    ///
    /// # Errors
    /// Where Automerge panicked.
    #[expect(clippy::result_unit_err, reason = "the panic was reported by the panic hook")]
    pub fn generate(&self, subscriber: &mut Subscriber) -> Result<Option<Vec<u8>>, ()> {
        let doc = self.doc.read();
        catch_unwind(AssertUnwindSafe(|| subscriber.generate(&doc))).map_err(|_| ())
    }

    /// Σ of the chunks that no snapshot holds, in bytes.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// The records that set chunks aside.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn set_aside(&mut self, failed: &[Failed]) -> Result<Vec<Record>, StoreError> {
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
                };
                records.push(SET_ASIDE.put(&document_key(&self.id, &hash.0), &row)?);
            }
        }
        Ok(records)
    }

    fn knows(&self, hash: &ChangeHash) -> bool {
        self.held_hashes.contains(hash)
            || self.set_aside.contains(hash)
            || self.waiting.contains(hash)
            || self.has(hash)
    }

    fn no_longer_held(&mut self, hashes: &[ChangeHash]) {
        for hash in hashes {
            self.held_hashes.remove(hash);
            self.relayed.remove(hash);
        }
    }

    fn remember_held(&mut self, row: HeldRow) {
        let hashes = row.hashes.iter().filter_map(|hash| hash_from_hex(hash));
        if row.reason == reason::OTHER_ACTOR {
            self.relayed.extend(hashes.clone());
        }
        match &row.decision {
            // What was left out stays known, so that it is not held again.
            None => {
                self.held_hashes.extend(hashes);
                self.held.insert(row.number, row);
            }
            Some(decision) if decision.admitted => {
                for hash in hashes {
                    self.held_hashes.remove(&hash);
                }
            }
            Some(_) => self.held_hashes.extend(hashes),
        }
    }

    fn find_waiting(&mut self, stored: &StoredDocument) {
        let doc = self.doc.read();
        let mut changes = Vec::new();
        for (_, bytes) in &stored.chunks {
            // A chunk that cannot be read was set aside by the load.
            let _ = changes_of(bytes, &mut changes);
        }
        let waiting = changes.iter().map(Change::hash);
        let waiting: HashSet<ChangeHash> =
            waiting.filter(|hash| doc.get_change_meta_by_hash(hash).is_none()).collect();
        drop(doc);
        self.waiting = waiting;
    }
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

    /// Operations to apply.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.taken.iter().flat_map(|unit| &unit.changes).map(Change::len).sum()
    }

    fn take(
        &mut self,
        document: DocumentId,
        session: Option<u64>,
        delivery: Option<&Delivery>,
        changes: Vec<Change>,
        received_ms: i64,
    ) {
        self.sessions.extend(session);
        let bytes = concatenated(&changes);
        self.taken.push(Unit { record: self.records.len(), session, changes });
        self.records.push(Record::Chunk { document, bytes, delivery: delivery.cloned(), received_ms });
    }

    #[expect(clippy::too_many_arguments, reason = "one argument for each column of the row")]
    fn hold(
        &mut self,
        document: DocumentId,
        session: u64,
        number: u64,
        delivery: &Delivery,
        reason: &str,
        changes: &[Change],
        received_ms: i64,
    ) -> Result<(), StoreError> {
        self.sessions.insert(session);
        let bytes = concatenated(changes);
        let row = HeldRow {
            number,
            document,
            person: delivery.person.clone(),
            device: delivery.device.clone(),
            reason: reason.to_owned(),
            received_ms,
            hashes: changes.iter().map(|change| random::hex(&change.hash().0)).collect(),
            chunks: BASE64.encode(&bytes),
            decision: None,
        };
        self.records.push(Record::Held {
            document,
            bytes,
            delivery: delivery.clone(),
            reason: reason.to_owned(),
            received_ms,
        });
        self.records.push(HELD.put(&document_key(&document, &number.to_be_bytes()), &row)?);
        self.held.push(row);
        Ok(())
    }

    fn decide(
        &mut self,
        document: DocumentId,
        mut row: HeldRow,
        decision: Decision,
    ) -> Result<(), StoreError> {
        row.decision = Some(decision);
        self.records.push(HELD.put(&document_key(&document, &row.number.to_be_bytes()), &row)?);
        self.decided.push(row);
        Ok(())
    }
}

/// Takes those out that depend on what is outside the document, directly or
/// through others of them; they may come before what they depend on.
fn apart(changes: Vec<Change>, outside: impl Fn(&ChangeHash) -> bool) -> (Vec<Change>, Vec<Change>) {
    let mut dependents: HashMap<ChangeHash, Vec<ChangeHash>> = HashMap::new();
    let mut open = Vec::new();
    for change in &changes {
        for dep in change.deps() {
            dependents.entry(*dep).or_default().push(change.hash());
            if outside(dep) {
                open.push(change.hash());
            }
        }
    }
    let mut depending = HashSet::new();
    while let Some(hash) = open.pop() {
        if depending.insert(hash) {
            open.extend(dependents.get(&hash).into_iter().flatten());
        }
    }
    changes.into_iter().partition(|change| !depending.contains(&change.hash()))
}

fn concatenated(changes: &[Change]) -> Vec<u8> {
    changes.iter().flat_map(|change| change.raw_bytes().iter().copied()).collect()
}

fn row_changes(row: &HeldRow) -> Result<Vec<Change>, StoreError> {
    let damaged = || StoreError::Damaged(format!("held item {}", row.number));
    let bytes = BASE64.decode(&row.chunks).map_err(|_| damaged())?;
    let mut changes = Vec::new();
    changes_of(&bytes, &mut changes).map_err(|_| damaged())?;
    Ok(changes)
}

fn hash_from_hex(text: &str) -> Option<ChangeHash> {
    random::from_hex::<32>(text).map(ChangeHash)
}

fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    text.is_ascii().then_some(())?;
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// A document with its genesis. The server writes nothing itself, so the actor
/// does not matter.
fn empty(name: &DocumentName) -> Automerge {
    genesis::document(name.kind, ActorId::from([0_u8; 16]))
}

/// Builds a document from its snapshot and chunks. Chunks that fail are named
/// and left out.
fn build(name: &DocumentName, stored: &StoredDocument) -> (Automerge, Vec<Failed>) {
    let mut failed = Vec::new();
    let mut units: Vec<(JournalNumber, Vec<Change>)> = Vec::new();
    let snapshot = stored.snapshot.as_deref().map(|bytes| (JournalNumber(0), bytes));
    let chunks = stored.chunks.iter().map(|(number, bytes)| (*number, bytes.as_slice()));
    let mut doc = empty(name);
    for (number, bytes) in snapshot.into_iter().chain(chunks) {
        let mut changes = Vec::new();
        let read = catch_unwind(AssertUnwindSafe(|| changes_of(bytes, &mut changes)));
        match read {
            Ok(Ok(())) => units.push((number, changes)),
            _ => failed.push(Failed {
                chunk: number,
                session: None,
                reason: "chunk.unreadable",
                hashes: Vec::new(),
            }),
        }
    }
    let all: Vec<Change> = units.iter().flat_map(|(_, changes)| changes.iter().cloned()).collect();
    if apply_guarded(&mut doc, all).is_ok() {
        return (doc, failed);
    }
    // Some chunk is bad: find which, each on a copy, since a document is not
    // to be trusted after a failure.
    let mut doc = empty(name);
    for (number, changes) in units {
        let mut copy = doc.clone();
        let hashes = changes.iter().map(Change::hash).collect();
        match apply_guarded(&mut copy, changes) {
            Ok(()) => doc = copy,
            Err(reason) => failed.push(Failed { chunk: number, session: None, reason, hashes }),
        }
    }
    (doc, failed)
}

fn apply_guarded(doc: &mut Automerge, changes: Vec<Change>) -> Result<(), &'static str> {
    guarded(|| doc.apply_changes(changes))
}

/// Runs Automerge where its panics cost no more than an error would.
fn guarded(work: impl FnOnce() -> Result<(), AutomergeError>) -> Result<(), &'static str> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a change could not be applied");
            Err("chunk.not_applicable")
        }
        Err(_) => Err("chunk.panic"),
    }
}

#[cfg(test)]
mod tests {
    use automerge::ROOT;
    use automerge::transaction::Transactable;
    use duxue_document::DocumentKind;

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
        for (bad, reason) in
            [(&b"no chunk"[..], "chunk.unreadable"), (again.raw_bytes(), "chunk.not_applicable")]
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
        let plan =
            document.plan(vec![contribution(1, "a", Writing::Yes, vec![first])], &all_may, &mut next, 0);
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
}
