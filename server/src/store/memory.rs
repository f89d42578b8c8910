//! The model: the store's meaning in memory, without a disk.
//!
//! Every other implementation must give what this one gives. It is also the
//! store of tests that are about something else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    HELD_CHUNKS, JournalNumber, Record, Store, StoreError, StoreFuture, StoredDocument, check_group,
    held_chunks_key,
};
use duxue_document::DocumentId;

/// A store that forgets everything with its last clone. Clones share one state,
/// so a clone stands for the store opened again.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Record>,
    documents: BTreeMap<DocumentId, Document>,
    rows: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
}

#[derive(Debug, Default)]
struct Document {
    stored: StoredDocument,
    /// The last record that the snapshot stands for; 0 without a snapshot.
    through: JournalNumber,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread cannot leave the state half changed:
        // nothing under the lock panics once it has begun to write.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn last(&self) -> JournalNumber {
        JournalNumber(self.records.len() as u64)
    }

    fn commit(&mut self, records: Vec<Record>) -> Result<JournalNumber, StoreError> {
        check_group(&records)?;
        let first = JournalNumber(self.last().0 + 1);
        for record in records {
            let number = JournalNumber(self.last().0 + 1);
            self.apply(number, &record);
            self.records.push(record);
        }
        Ok(first)
    }

    fn apply(&mut self, number: JournalNumber, record: &Record) {
        match record {
            Record::Chunk { document, bytes, .. } => {
                self.documents.entry(*document).or_default().stored.chunks.push((number, bytes.clone()));
            }
            Record::SetAside { chunk, document, .. } => {
                if let Some(document) = self.documents.get_mut(document) {
                    document.stored.chunks.retain(|(held, _)| held != chunk);
                }
            }
            Record::Row { table, key, value: Some(value) } => {
                self.rows.entry(table.clone()).or_default().insert(key.clone(), value.to_vec());
            }
            Record::Row { table, key, value: None } => {
                if let Some(rows) = self.rows.get_mut(table) {
                    rows.remove(key);
                }
            }
            Record::Held { document, number, bytes, .. } => {
                let rows = self.rows.entry(HELD_CHUNKS.to_owned()).or_default();
                rows.insert(held_chunks_key(document, *number), bytes.clone());
            }
            Record::Event { .. } => {}
        }
    }

    fn compact(
        &mut self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> Result<(), StoreError> {
        if through > self.last() {
            return Err(StoreError::Refused(format!("a snapshot through record {}", through.0)));
        }
        let Some(document) = self.documents.get_mut(&document) else {
            return Err(StoreError::Refused("a snapshot of a document without a chunk".to_owned()));
        };
        if through >= document.through {
            document.through = through;
            document.stored.snapshot = Some(snapshot);
            document.stored.chunks.retain(|(number, _)| *number > through);
        }
        Ok(())
    }

    fn rows(&self, table: &str, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Some(rows) = self.rows.get(table) else { return Vec::new() };
        rows.range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn records(&self, from: JournalNumber, limit: usize) -> Vec<(JournalNumber, Record)> {
        let numbered = (1..).map(JournalNumber).zip(self.records.iter().cloned());
        let skipped = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
        numbered.skip(skipped).take(limit).collect()
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T, StoreError>) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(result))
}

impl Store for MemoryStore {
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber> {
        // Inside the future, so that a commit that is never awaited does
        // nothing, as in the other stores.
        Box::pin(async move { self.state().commit(records) })
    }

    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument> {
        ready(Ok(self.state().documents.get(&document).map(|d| d.stored.clone()).unwrap_or_default()))
    }

    fn compact(
        &self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.state().compact(document, snapshot, through) })
    }

    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>> {
        ready(Ok(self.state().documents.keys().copied().collect()))
    }

    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>> {
        ready(Ok(self.state().rows.get(table).and_then(|rows| rows.get(&key)).cloned()))
    }

    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        ready(Ok(self.state().rows(table, &prefix)))
    }

    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>> {
        ready(Ok(self.state().records(from, limit)))
    }

    fn last(&self) -> JournalNumber {
        self.state().last()
    }

    fn attest(&self) -> StoreFuture<'_, ()> {
        // What is in memory cannot be found shorter.
        ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;

    crate::store_conformance!(MemoryStore::new());
}
