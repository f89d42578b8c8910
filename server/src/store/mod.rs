//! Durable state behind one seam (DESIGN §7).
//!
//! The journal is the truth: every accepted chunk, every changed row and
//! every event is one record in it, and [`Store::commit`] returns only after
//! its records are flushed to disk. Everything else can be rebuilt from it.

use std::future::Future;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use duxue_document::{DeviceId, DocumentId, PersonId};

/// Position of a record in the journal, from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct JournalNumber(pub u64);

/// Who delivered something: the person of the session, and the device if the
/// session belongs to an enrolled one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The person.
    pub person: PersonId,
    /// The device.
    pub device: Option<DeviceId>,
}

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Automerge chunks of a document, accepted by the scan, as received.
    Chunk {
        /// The document.
        document: DocumentId,
        /// Concatenated Automerge chunks.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Who delivered them; absent for genesis.
        delivery: Option<Delivery>,
        /// Server clock, ms since 1970 UTC.
        received_ms: i64,
    },
    /// A chunk record that Automerge could not apply: skipped by every load,
    /// kept whole.
    SetAside {
        /// The chunk record.
        chunk: JournalNumber,
        /// Its document.
        document: DocumentId,
        /// Stable code.
        reason: String,
    },
    /// Chunks kept outside the document until someone admits them.
    Held {
        /// The document.
        document: DocumentId,
        /// Concatenated Automerge chunks.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Who delivered them.
        delivery: Delivery,
        /// Stable code.
        reason: String,
        /// Server clock, ms since 1970 UTC.
        received_ms: i64,
    },
    /// A row of a typed table was put or removed.
    Row {
        /// The table's name in the catalogue.
        table: String,
        /// The row's key.
        #[serde(with = "serde_bytes")]
        key: Vec<u8>,
        /// The new value; `None` removes the row.
        value: Option<serde_bytes::ByteBuf>,
    },
    /// Something to be remembered that changes no row: log-ins, receipts,
    /// exports, refusals.
    Event {
        /// Stable code, such as `login`.
        kind: String,
        /// Who.
        person: Option<PersonId>,
        /// JSON for people and tools; nothing private.
        detail: String,
        /// Server clock, ms since 1970 UTC.
        at_ms: i64,
    },
}

/// What is stored of a document: a snapshot and the chunks after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredDocument {
    /// Automerge document chunk, if one was made.
    pub snapshot: Option<Vec<u8>>,
    /// Chunk records that the snapshot does not hold, in journal order,
    /// without those set aside.
    pub chunks: Vec<(JournalNumber, Vec<u8>)>,
}

/// Why the store could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No space left: nothing was acknowledged; reading goes on, and writing
    /// works again when there is space.
    #[error("the disk is full")]
    Full,
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(String),
    /// What is on disk is damaged in a way that cannot be mended alone.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Written by a newer version.
    #[error("the data folder was written by a newer version ({0})")]
    Newer(u32),
    /// Another process has the folder open.
    #[error("the data folder is in use")]
    InUse,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// What a store operation gives, in the end.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Durable state. Implementations run the conformance suite.
pub trait Store: Send + Sync + 'static {
    /// Appends the records as one group, all or none, and returns the number
    /// of the first after all are flushed to disk. Rows and chunks are visible
    /// to every later read.
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber>;

    /// All that is stored of a document; empty if it is unknown.
    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument>;

    /// Replaces the chunks up to and including `through` by a snapshot. The
    /// old go from the index only after the snapshot is durable. The journal
    /// keeps them.
    fn compact(&self, document: DocumentId, snapshot: Vec<u8>, through: JournalNumber) -> StoreFuture<'_, ()>;

    /// Every document that has a chunk, in order of id.
    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>>;

    /// The value of a row.
    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>>;

    /// The rows whose key starts with `prefix`, in key order.
    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>>;

    /// Journal records from `from` on, at most `limit`.
    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>>;

    /// The number of the last durable record.
    fn last(&self) -> JournalNumber;
}
