//! What is to be committed for what has arrived, and what follows when it was.

use std::collections::HashSet;

use automerge::Change;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use duxue_document::DocumentId;

use crate::hub::rows::{ActorRow, Decision, HELD, HeldRow, document_key};
use crate::random;
use crate::rounds::Writing;
use crate::store::{Delivery, Record, StoreError};

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
    pub(super) taken: Vec<Unit>,
    pub(super) held: Vec<HeldRow>,
    pub(super) decided: Vec<HeldRow>,
    pub(super) actors: Vec<(Vec<u8>, ActorRow)>,
}

/// The changes of one chunk record.
pub(super) struct Unit {
    pub(super) record: usize,
    pub(super) session: Option<u64>,
    pub(super) changes: Vec<Change>,
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

    pub(super) fn take(
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
    pub(super) fn hold(
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

    pub(super) fn decide(
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

fn concatenated(changes: &[Change]) -> Vec<u8> {
    changes.iter().flat_map(|change| change.raw_bytes().iter().copied()).collect()
}
