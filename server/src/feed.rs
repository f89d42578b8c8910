//! The feed of changes: what happened in a round, in the order of the journal
//! and resumable by its numbers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use duxue_document::{DocumentKind, RoundId, SchoolId};
use serde::Serialize;
use tokio::sync::watch;

use crate::hub::Observer;
use crate::hub::document::Shared;
use crate::rounds::rows::{ASSIGNMENTS, COUNTY_DECLARED, DECLARED, SCHOOLS};
use crate::rounds::{DocumentName, Rounds};
use crate::store::{JournalNumber, Record, Store, StoreError};

/// Events of a round that are kept in memory.
const KEPT: usize = 4_096;
/// Journal records read at a time when someone comes back.
const PAGE: usize = 512;
/// Journal records read in all; who was away longer starts afresh.
const MOST_READ: u64 = 50_000;

/// Something that happened in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The number of its last record.
    pub journal: u64,
    /// `document`, `held`, `register` or `reset`.
    pub what: &'static str,
    /// The school, if it is about one.
    pub school: Option<SchoolId>,
    /// The kind of the document, if it is about one.
    pub kind: Option<DocumentKind>,
}

impl Change {
    /// Tells a reader to read everything again: the cursor is too old.
    #[must_use]
    pub fn reset(journal: JournalNumber) -> Self {
        Self { journal: journal.0, what: "reset", school: None, kind: None }
    }
}

struct Round {
    /// In order; everything after `from` that happened in the round.
    changes: VecDeque<Change>,
    from: JournalNumber,
    last: watch::Sender<u64>,
}

/// The feeds of all rounds.
pub struct Feed {
    store: Arc<dyn Store>,
    rounds: Arc<Rounds>,
    started: JournalNumber,
    open: Mutex<HashMap<RoundId, Round>>,
}

impl Feed {
    /// Feeds that begin now.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, rounds: Arc<Rounds>) -> Self {
        let started = store.last();
        Self { store, rounds, started, open: Mutex::default() }
    }

    /// Notes a change of a round that is not one of a document.
    pub fn note(&self, round: &RoundId, change: Change) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let round = open.entry(round.clone()).or_insert_with(|| Round::new(self.started));
        round.push(change);
    }

    /// Tells when something newer than the number happened in the round.
    #[must_use]
    pub fn watch(&self, round: &RoundId) -> watch::Receiver<u64> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.entry(round.clone()).or_insert_with(|| Round::new(self.started)).last.subscribe()
    }

    /// What happened in the round after a journal number.
    ///
    /// # Errors
    /// What the store says.
    pub async fn after(&self, round: &RoundId, cursor: JournalNumber) -> Result<Vec<Change>, StoreError> {
        let (from, kept) = {
            let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            match open.get(round) {
                Some(round) => {
                    let newer = round.changes.iter().filter(|change| change.journal > cursor.0);
                    (round.from, newer.cloned().collect())
                }
                None => (self.started, Vec::new()),
            }
        };
        if cursor >= from {
            return Ok(kept);
        }
        if from.0 - cursor.0 > MOST_READ || cursor > self.store.last() {
            return Ok(vec![Change::reset(self.store.last())]);
        }
        let mut changes = self.read(round, cursor, from).await?;
        changes.extend(kept);
        Ok(changes)
    }

    async fn read(
        &self,
        round: &RoundId,
        after: JournalNumber,
        through: JournalNumber,
    ) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        let mut next = JournalNumber(after.0 + 1);
        while next <= through {
            let page = self.store.records(next, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            next = JournalNumber(last.0 + 1);
            let of_round = page.iter().filter(|(number, _)| *number <= through);
            changes.extend(of_round.filter_map(|(number, record)| self.change(round, *number, record)));
        }
        Ok(changes)
    }

    fn change(&self, round: &RoundId, number: JournalNumber, record: &Record) -> Option<Change> {
        let (what, document) = match record {
            Record::Chunk { document, .. } | Record::SetAside { document, .. } => ("document", document),
            Record::Held { document, .. } => ("held", document),
            Record::Row { table, key, .. } => {
                let of_round = if table == COUNTY_DECLARED.name() {
                    key == round.as_str().as_bytes()
                } else {
                    [SCHOOLS.name(), DECLARED.name(), ASSIGNMENTS.name()].contains(&table.as_str())
                        && key.starts_with(&crate::rows::key(&[round.as_str(), ""]))
                };
                return of_round.then_some(Change {
                    journal: number.0,
                    what: "register",
                    school: None,
                    kind: None,
                });
            }
            Record::Event { .. } => return None,
        };
        let name = self.rounds.document(document).filter(|name| name.round == *round)?;
        Some(Change { journal: number.0, what, school: name.school, kind: Some(name.kind) })
    }
}

impl Round {
    fn new(from: JournalNumber) -> Self {
        Self { changes: VecDeque::new(), from, last: watch::Sender::new(from.0) }
    }

    fn push(&mut self, change: Change) {
        // Documents are flushed side by side, so numbers may arrive a little
        // out of order; a reader's cursor must never pass one by.
        let journal = change.journal.max(self.last.borrow().saturating_add(1));
        self.changes.push_back(Change { journal, ..change });
        if self.changes.len() > KEPT
            && let Some(dropped) = self.changes.pop_front()
        {
            self.from = JournalNumber(dropped.journal);
        }
        self.last.send_replace(journal);
    }
}

impl Observer for Feed {
    fn applied(&self, name: &DocumentName, journal: JournalNumber, _: &Shared) {
        let change = Change {
            journal: journal.0,
            what: "document",
            school: name.school.clone(),
            kind: Some(name.kind),
        };
        self.note(&name.round, change);
    }
}
