//! One open document: which of the changes that arrive are taken, which are
//! held, and what is committed for them. Pure: no store, no sockets, no clock.
//!
//! The order is fixed by the types: [`Document::plan`] gives records for what
//! has arrived, and only their [`Plan`] can be applied, with the number that
//! the store gave after the flush.

mod build;
mod decide;
mod held;
mod intake;
mod numbers;
mod plan;
mod shared;
mod size;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::sync::Message;
use automerge::{Change, ChangeHash};
use duxue_document::DocumentId;

use crate::rounds::DocumentName;
use crate::store::{Delivery, JournalNumber};

use super::recent::Recent;
use super::rows::ActorRow;
use super::subscriber::Subscriber;

pub use build::{Failed, Rows};
pub use decide::{Items, held_changes};
pub use intake::Intake;
pub use plan::{Contribution, Plan, Refusal};
pub use shared::Shared;

use build::apply_guarded;
use held::Held;
use numbers::Numbers;
use size::Size;

/// Σ chunks below which no snapshot is made, in bytes. A snapshot costs a walk
/// over the whole history three times, so one for every hundred changes would
/// cost more than these.
const SNAPSHOT_FLOOR: usize = 128 << 10;
/// Operations of chunks below which none is made: they are applied at each
/// load, at some 100 000 a second.
const SNAPSHOT_OPERATIONS: usize = 20_000;

/// How Automerge took a sync message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It did.
    Well,
    /// The message makes no sense.
    Malformed,
    /// It panicked, and the document is not to be trusted.
    Panicked,
}

/// An open document.
pub struct Document {
    id: DocumentId,
    name: DocumentName,
    doc: Shared,
    recent: Recent,
    actors: HashMap<Vec<u8>, ActorRow>,
    held: Held,
    set_aside: HashSet<ChangeHash>,
    numbers: Numbers,
    size: Size,
    snapshot_bytes: usize,
    chunk_bytes: usize,
    /// Σ of the operations in them.
    chunk_operations: usize,
    /// Σ of the chunks that a snapshot in the making holds.
    in_snapshot: usize,
    /// The last chunk record that the document holds.
    through: JournalNumber,
}

impl Document {
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

    /// Applies a plan whose records are flushed, `first` being the number of
    /// its first record. On an error the document must be rebuilt from the
    /// store; nothing may be read from it before.
    ///
    /// # Errors
    /// The chunks that could not be applied, or all of the plan's where
    /// Automerge does not say which.
    pub fn apply(&mut self, plan: Plan, first: JournalNumber) -> Result<(), Vec<Failed>> {
        for number in plan.emptied {
            self.held.remove(number);
        }
        self.held.forget(&plan.moved);
        for row in plan.decided {
            self.held.remove(row.number);
            self.held.insert(row);
        }
        for row in plan.shrunk.into_iter().chain(plan.held) {
            self.held.insert(row);
        }
        self.actors.extend(plan.actors);
        let changes: Vec<Change> = plan.taken.iter().flat_map(|unit| unit.changes.iter().cloned()).collect();
        if changes.is_empty() {
            return Ok(());
        }
        for unit in &plan.taken {
            self.through = self.through.max(unit.number(first));
            self.chunk_bytes += unit.changes.iter().map(|change| change.raw_bytes().len()).sum::<usize>();
            self.chunk_operations += unit.changes.iter().map(Change::len).sum::<usize>();
        }
        changes.iter().for_each(|change| self.size.add(change));
        let hashes: Vec<ChangeHash> = changes.iter().map(Change::hash).collect();
        self.held.forget(&hashes);
        let mut doc = self.doc.write();
        self.recent.note(&doc, &changes);
        let outcome = apply_guarded(&mut doc, changes);
        if let Err(reason) = outcome {
            return Err(plan.taken.iter().map(|unit| unit.failed(first, reason)).collect());
        }
        self.recent.applied(&doc);
        let taken = plan.taken.iter().flat_map(|unit| &unit.changes);
        self.numbers.add(taken, |hash| doc.get_change_meta_by_hash(hash).is_some());
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
        self.held.contains(hash)
    }

    /// Whether a supervisor left a change out.
    #[must_use]
    pub fn left_out(&self, hash: &ChangeHash) -> bool {
        self.held.is_left_out(hash)
    }

    /// Whether a held change is not here as far as who asks is concerned: someone
    /// who is not its actor's owner brought it, and the owner, who asks, has yet
    /// to bring it. Everybody else hears that it is held: nothing that they do
    /// brings it any further.
    #[must_use]
    pub fn is_unheard_of(&self, hash: &ChangeHash, asks: &Delivery) -> bool {
        let of_another = || {
            let owner = self.held.relayed_actor(hash).and_then(|actor| self.actors.get(actor));
            owner.is_some_and(|owner| !owner.is(asks))
        };
        self.held.is_relayed_by_another(hash, asks) && !self.has_set_aside(hash) && !of_another()
    }

    /// Whether a change is stored and waits for one that is held, directly or
    /// through others.
    #[must_use]
    pub fn waits_for_held(&self, hash: &ChangeHash) -> bool {
        self.numbers.waits_for(hash).iter().any(|dep| self.held.is_undecided(dep))
    }

    /// Whether a change is stored and waits for one that will not be here.
    #[must_use]
    pub fn waits_for_ever(&self, hash: &ChangeHash) -> bool {
        self.numbers.waits_for(hash).iter().any(|dep| self.is_never_applied(dep))
    }

    /// Whether any stored change waits for one that will not be here.
    #[must_use]
    pub fn has_dead(&self) -> bool {
        self.numbers.all_waiting().any(|dep| self.is_never_applied(dep))
    }

    /// Whether a change was set aside.
    #[must_use]
    pub fn has_set_aside(&self, hash: &ChangeHash) -> bool {
        self.set_aside.contains(hash)
    }

    /// The last chunk record that the document holds, if it is time for a
    /// snapshot through it: chunks can be small and hold much.
    #[must_use]
    pub fn snapshot_due(&self) -> Option<JournalNumber> {
        let outgrown = self.chunk_bytes >= (2 * self.snapshot_bytes).max(SNAPSHOT_FLOOR);
        let many = self.chunk_operations >= self.size.operations.max(2 * SNAPSHOT_OPERATIONS) / 2;
        (outgrown || many).then_some(self.through)
    }

    /// Notes that a snapshot is being made.
    pub fn snapshot_started(&mut self, chunk_bytes: usize) {
        self.in_snapshot = chunk_bytes;
        self.chunk_operations = 0;
    }

    /// Notes how the snapshot went: its bytes, if it is durable.
    pub fn snapshot_made(&mut self, bytes: Option<usize>) {
        let covered = std::mem::take(&mut self.in_snapshot);
        if let Some(bytes) = bytes {
            self.snapshot_bytes = bytes;
            self.chunk_bytes = self.chunk_bytes.saturating_sub(covered);
        }
    }

    /// Tells a sync state what was received. Changes were dealt with before.
    /// After [`Received::Panicked`] the document must be rebuilt.
    pub fn receive(&self, subscriber: &mut Subscriber, message: Message, had_changes: bool) -> Received {
        let mut doc = self.doc.write();
        match catch_unwind(AssertUnwindSafe(|| {
            subscriber.receive(&mut doc, &self.recent, message, had_changes)
        })) {
            Ok(Ok(())) => Received::Well,
            Ok(Err(_)) => Received::Malformed,
            Err(_) => Received::Panicked,
        }
    }

    /// The message that is due to a subscriber, if one is.
    ///
    /// # Errors
    /// Where Automerge panicked.
    #[expect(clippy::result_unit_err, reason = "the panic was reported by the panic hook")]
    pub fn generate(&self, subscriber: &mut Subscriber) -> Result<Option<Vec<u8>>, ()> {
        let doc = self.doc.read();
        catch_unwind(AssertUnwindSafe(|| subscriber.generate(&doc, &self.recent))).map_err(|_| ())
    }

    /// Bytes of the document as stored.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.snapshot_bytes + self.chunk_bytes
    }

    /// Σ of the chunks that no snapshot holds, in bytes.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Whether a change will not be in the document, so that what depends on it
    /// will not be either.
    fn is_never_applied(&self, hash: &ChangeHash) -> bool {
        self.set_aside.contains(hash) || self.held.is_left_out(hash)
    }

    fn knows(&self, hash: &ChangeHash) -> bool {
        self.held.contains(hash)
            || self.set_aside.contains(hash)
            || self.numbers.waits(hash)
            || self.has(hash)
    }
}
