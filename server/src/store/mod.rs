//! Durable state behind one seam (DESIGN §7).
//!
//! The journal is the truth: every accepted chunk, every changed row and
//! every event is one record in it, and [`Store::commit`] returns only after
//! its records are flushed to disk. Everything else can be rebuilt from it.

pub mod codec;
#[doc(hidden)]
pub mod conformance;
pub mod embedded;
#[doc(hidden)]
pub mod faulty;
pub mod journal;
pub mod memory;
mod sled_index;
mod tables;

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
    /// Chunks kept outside the document until someone admits them. They can be
    /// read as the row [`held_chunks_key`] of [`HELD_CHUNKS`] until that row
    /// is removed; no index holds their bytes.
    Held {
        /// The document.
        document: DocumentId,
        /// Names them in the document.
        number: u64,
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

impl Record {
    /// About how many bytes it takes in a journal.
    #[must_use]
    pub fn size(&self) -> u64 {
        let bytes = match self {
            Self::Chunk { bytes, .. } | Self::Held { bytes, .. } => bytes.len(),
            Self::Row { key, value, .. } => key.len() + value.as_ref().map_or(0, |value| value.len()),
            Self::Event { detail, .. } => detail.len(),
            Self::SetAside { .. } => 0,
        };
        (bytes + codec::ENVELOPE_BYTES_MAX) as u64
    }
}

/// The table through which the chunks of [`Record::Held`] are read.
pub const HELD_CHUNKS: &str = "held_chunks";

/// The key of held chunks in [`HELD_CHUNKS`].
#[must_use]
pub fn held_chunks_key(document: &DocumentId, number: u64) -> Vec<u8> {
    [&document.0[..], &number.to_be_bytes()].concat()
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
    /// The caller asked for what no store may do, such as a record above
    /// [`RECORD_BYTES_MAX`]. Nothing was written.
    #[error("refused: {0}")]
    Refused(String),
}

/// The largest encoded record, in bytes.
pub const RECORD_BYTES_MAX: usize = 32 << 20;
/// The most records in one commit.
pub const GROUP_RECORDS_MAX: usize = 65_536;
/// The most encoded bytes in one commit.
pub const GROUP_BYTES_MAX: usize = 64 << 20;
/// The longest key of a row, in bytes.
pub const ROW_KEY_BYTES_MAX: usize = 1024;
/// The longest name of a table, in bytes.
pub const TABLE_NAME_BYTES_MAX: usize = 64;

/// What every store refuses before it writes anything. Encoded sizes are
/// checked where records are encoded.
fn check_group(records: &[Record]) -> Result<(), StoreError> {
    if records.len() > GROUP_RECORDS_MAX {
        return Err(StoreError::Refused(format!("a commit of {} records", records.len())));
    }
    for record in records {
        if let Record::Row { table, key, .. } = record {
            check_table(table)?;
            if key.len() > ROW_KEY_BYTES_MAX {
                return Err(StoreError::Refused(format!("a key of {} bytes in {table}", key.len())));
            }
        }
    }
    Ok(())
}

/// A table's name is lower-case letters, digits, `_` and `-`, so that it can
/// stand in front of a key and be told from it.
fn check_table(name: &str) -> Result<(), StoreError> {
    let fits = (1..=TABLE_NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.'));
    if fits { Ok(()) } else { Err(StoreError::Refused(format!("a table named {name:?}"))) }
}

/// What a store operation gives, in the end.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Durable state. Implementations run the conformance suite.
pub trait Store: Send + Sync + 'static {
    /// Appends the records as one group, all or none, and returns the number
    /// of the first after all are flushed to disk. Rows and chunks are visible
    /// to every later read. An empty group writes nothing and returns the
    /// number that the next record will have.
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber>;

    /// All that is stored of a document; empty if it is unknown.
    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument>;

    /// Replaces the chunks up to and including `through` by a snapshot. The
    /// old go from the index only after the snapshot is durable. The journal
    /// keeps them. A snapshot through an earlier record than the stored one
    /// changes nothing; one through a record that does not exist, or of a
    /// document that has no chunk, is refused.
    ///
    /// A snapshot is derived: a store that rebuilds its index from the journal
    /// gives the chunks again instead.
    fn compact(&self, document: DocumentId, snapshot: Vec<u8>, through: JournalNumber)
    -> StoreFuture<'_, ()>;

    /// Every document that ever had a chunk, in order of id.
    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>>;

    /// The value of a row.
    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>>;

    /// The rows whose key starts with `prefix`, in key order.
    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>>;

    /// Journal records from `from` on, at most `limit`. A page is cut short
    /// where its records are large; only an empty one is the end.
    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>>;

    /// The number of the last durable record.
    fn last(&self) -> JournalNumber;

    /// Makes durable beside the journal how far it reaches, so that one that
    /// is found to end earlier is known to be damaged and is not taken for a
    /// torn write. For the end of a server; one that runs does so by itself
    /// every second.
    fn attest(&self) -> StoreFuture<'_, ()>;
}
