//! A store that remembers whether its last write succeeded, for the health of
//! the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duxue_document::DocumentId;

use crate::audit::{By, event};
use crate::store::{JournalNumber, Record, Store, StoreError, StoreFuture, StoredDocument};

/// A store whose writes are watched.
pub struct Watched {
    store: Arc<dyn Store>,
    works: AtomicBool,
}

impl Watched {
    /// Watches a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, works: AtomicBool::new(true) }
    }

    /// Whether the last write succeeded; true before the first.
    #[must_use]
    pub fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// Writes a small event if the last write failed: a server that is said
    /// not to be ready is sent no work that could show that it is again.
    pub async fn try_again(&self, now_ms: i64) {
        if self.works() {
            return;
        }
        match self.commit(vec![event("store.works", &By::Stranger, now_ms, [])]).await {
            Ok(_) => tracing::info!("the store works again"),
            Err(error) => tracing::warn!(%error, "the store still fails"),
        }
    }
}

impl Store for Watched {
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber> {
        Box::pin(async move {
            let committed = self.store.commit(records).await;
            let refused = matches!(committed, Err(StoreError::Refused(_)));
            if !refused {
                self.works.store(committed.is_ok(), Ordering::Relaxed);
            }
            committed
        })
    }

    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument> {
        self.store.load(document)
    }

    fn compact(
        &self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> StoreFuture<'_, ()> {
        self.store.compact(document, snapshot, through)
    }

    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>> {
        self.store.documents()
    }

    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.store.row(table, key)
    }

    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        self.store.rows(table, prefix)
    }

    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>> {
        self.store.records(from, limit)
    }

    fn last(&self) -> JournalNumber {
        self.store.last()
    }

    fn attest(&self) -> StoreFuture<'_, ()> {
        self.store.attest()
    }
}
