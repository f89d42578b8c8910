//! The server's store: the real journal on a simulated disk, and the model as
//! its index. A commit waits until the world flushes it, so that anything can
//! happen between the question and the answer.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use duxue_document::DocumentId;
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::journal::{Journal, Opened, Options};
use duxue_server::store::memory::MemoryStore;
use duxue_server::store::{JournalNumber, Record, Store, StoreError, StoreFuture, StoredDocument};
use tokio::sync::oneshot;

/// Small segments, so that a short life makes several.
const OPTIONS: Options = Options { segment_bytes: 24 << 10, reserve_bytes: 4 << 10 };

struct Waiting {
    records: Vec<Record>,
    answer: oneshot::Sender<Result<JournalNumber, StoreError>>,
}

/// What became of a flush.
pub struct Flushed {
    /// What the journal was given.
    pub records: Vec<Record>,
    /// What it said.
    pub outcome: Result<JournalNumber, StoreError>,
}

/// The store of one life of the server.
pub struct SimulatedStore {
    journal: Journal,
    index: MemoryStore,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether commits are flushed at once: while the server starts.
    at_once: Mutex<bool>,
}

impl SimulatedStore {
    /// Opens the journal and reads the index out of it. `at_least` is a record
    /// that is known to have been acknowledged.
    ///
    /// # Errors
    /// What the journal says.
    pub fn open(disk: &SimulatedDisk, at_least: JournalNumber) -> Result<Self, StoreError> {
        let opened = Opened::new(Arc::new(disk.clone()), OPTIONS, at_least)?;
        let mut records = Vec::new();
        opened.reader().read(JournalNumber(1), usize::MAX, |placed| records.push(placed.record))?;
        let index = MemoryStore::new();
        block_on(index.commit(records))?;
        let journal = opened.start(Box::new(|_, answer| answer()))?;
        Ok(Self { journal, index, waiting: Mutex::default(), at_once: Mutex::new(true) })
    }

    /// Whether commits are flushed at once, or wait for [`SimulatedStore::flush`].
    pub fn flush_at_once(&self, at_once: bool) {
        *self.at_once.lock().unwrap_or_else(PoisonError::into_inner) = at_once;
    }

    /// Commits that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().len()
    }

    /// Flushes the first commit that waits, and answers it.
    pub fn flush(&self) -> Option<Flushed> {
        let Waiting { records, answer } = self.lock().pop_front()?;
        let outcome = self.commit_now(records.clone());
        // Whoever asked may be gone; what is durable stays durable.
        let _ = answer.send(outcome.clone());
        Some(Flushed { records, outcome })
    }

    /// Why nothing can be written until the store is opened again.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.journal.reader().stopped()
    }

    /// Every record that was acknowledged, in order.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Record> {
        let records = block_on(self.index.records(JournalNumber(1), usize::MAX));
        records.unwrap_or_default().into_iter().map(|(_, record)| record).collect()
    }

    fn commit_now(&self, records: Vec<Record>) -> Result<JournalNumber, StoreError> {
        let first = block_on(self.journal.commit(records.clone()))?;
        let indexed = block_on(self.index.commit(records))?;
        assert_eq!(first, indexed, "the journal and its index count alike");
        Ok(first)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SimulatedStore {
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber> {
        Box::pin(async move {
            if *self.at_once.lock().unwrap_or_else(PoisonError::into_inner) {
                return self.commit_now(records);
            }
            let (answer, answered) = oneshot::channel();
            self.lock().push_back(Waiting { records, answer });
            answered.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument> {
        self.index.load(document)
    }

    fn compact(
        &self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> StoreFuture<'_, ()> {
        self.index.compact(document, snapshot, through)
    }

    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>> {
        self.index.documents()
    }

    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.index.row(table, key)
    }

    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        self.index.rows(table, prefix)
    }

    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>> {
        self.index.records(from, limit)
    }

    fn last(&self) -> JournalNumber {
        self.index.last()
    }

    fn attest(&self) -> StoreFuture<'_, ()> {
        self.index.attest()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread, whatever runtime it is in: the world's
/// clock must not run on while the committing thread works.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
