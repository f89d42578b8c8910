//! The append-only journal: the truth that everything else is rebuilt from.
//!
//! Records stand in segment files (`segment`), hash-chained. One thread writes
//! them (`committer`, `write`), many read them (`segments`). Opening mends a
//! torn write and nothing else (`open`): damage anywhere before the last flush
//! is an error that names the segment and the offset.

mod committer;
pub mod disk;
mod open;
mod salvage;
mod segment;
mod segments;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;
use std::sync::Arc;

pub use committer::AfterFlush;
pub use disk::{Disk, Folder};
pub use open::{OpenReport, Torn};
pub use salvage::{Damage, salvage};
pub use segment::Head;
pub use segments::{Place, Placed};
pub use write::Group;
pub(super) use write::disk_error;

use super::codec::ChainHash;
use super::{JournalNumber, Record, StoreError};

/// How a journal is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Size at which a segment is sealed, in bytes.
    pub segment_bytes: u64,
    /// Space that is left free: commits fail with [`StoreError::Full`] before
    /// it is touched.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 32 << 20, reserve_bytes: 64 << 20 }
    }
}

/// An open journal. Dropping it waits until everything queued is durable.
pub struct Journal {
    committer: committer::Committer,
    reader: Reader,
}

/// The reading half of a journal; cheap to clone. All calls block.
#[derive(Clone)]
pub struct Reader {
    segments: Arc<segments::Segments>,
}

/// A journal that was opened and not yet started to write.
pub struct Opened {
    reader: Reader,
    writer: write::Writer,
    /// What opening found and did.
    pub report: OpenReport,
}

impl Opened {
    /// Opens the journal on a disk, or begins one. Blocks.
    ///
    /// `at_least` is a record that is known to have been acknowledged; where
    /// the journal does not reach it, it is damaged and nothing is cut off.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Newer`], or what the disk says.
    pub fn new(disk: Arc<dyn Disk>, options: Options, at_least: JournalNumber) -> Result<Self, StoreError> {
        let open::Opened { segments, writer, report } = open::open(disk, options, at_least)?;
        Ok(Self { reader: Reader { segments }, writer, report })
    }

    /// Reads before writing starts.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Starts the committing thread.
    ///
    /// # Errors
    /// [`StoreError::Io`] where no thread can be made.
    pub fn start(self, after_flush: AfterFlush) -> Result<Journal, StoreError> {
        let committer = committer::Committer::start(self.writer, after_flush)?;
        Ok(Journal { committer, reader: self.reader })
    }
}

impl Journal {
    /// Appends a group; see [`Store::commit`](super::Store::commit).
    ///
    /// # Errors
    /// [`StoreError::Refused`] beyond a limit; [`StoreError::Full`] or
    /// [`StoreError::Io`] where the disk fails: then the group is not in the
    /// journal and will not be.
    pub async fn commit(&self, records: Vec<Record>) -> Result<JournalNumber, StoreError> {
        let group = Group::new(records)?;
        if group.is_empty() {
            return Ok(self.reader.head().next());
        }
        self.committer.commit(group).await
    }

    /// The reading half.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

impl Reader {
    /// The last durable record and the chain after it.
    #[must_use]
    pub fn head(&self) -> Head {
        self.segments.durable().head
    }

    /// Why writing has stopped until the journal is opened again, if it has.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.segments.stopped()
    }

    /// Calls `each` for durable records from `from` on: at most `limit`, and
    /// fewer where they are large, but one at least, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming segment and offset.
    pub fn read(
        &self,
        from: JournalNumber,
        limit: usize,
        each: impl FnMut(Placed),
    ) -> Result<(), StoreError> {
        self.segments.read(from, limit, each)
    }

    /// The record at a place.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where another or none stands there.
    pub fn read_at(&self, place: Place, number: JournalNumber) -> Result<Record, StoreError> {
        self.segments.read_at(place, number)
    }

    /// The chain after a record.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn chain_at(&self, number: JournalNumber) -> Result<ChainHash, StoreError> {
        self.segments.chain_at(number)
    }

    /// Reads everything and follows the chain from its start; gives the head
    /// that it ends with.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the first bad segment and offset.
    pub fn verify(&self) -> Result<Head, StoreError> {
        self.segments.verify()
    }

    /// Copies all that is durable at this moment into an empty folder, and
    /// reads the copy back. Writing goes on meanwhile. Gives the head of the
    /// copy.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where the folder holds a journal;
    /// [`StoreError::Damaged`] where the journal or the copy does not verify.
    pub fn copy_to(&self, folder: &Path) -> Result<Head, StoreError> {
        let head = self.segments.copy_to(folder)?;
        let options = Options { reserve_bytes: 0, ..Options::default() };
        let disk = Folder::new(folder).map_err(|error| write::disk_error(&error))?;
        let copy = Opened::new(Arc::new(disk), options, head.last)?;
        match copy.reader.verify()? {
            verified if verified == head => Ok(head),
            other => Err(StoreError::Damaged(format!("the copy ends with record {}", other.last.0))),
        }
    }
}
