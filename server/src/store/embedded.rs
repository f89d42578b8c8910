//! The store of one machine: the journal as truth, sled as its index.
//!
//! ```text
//! <folder>/lock           held while the store is open
//! <folder>/journal/       the truth: back this up
//! <folder>/index/         rebuilt from the journal when it is missing or damaged
//! <folder>/index.aside.N  an index that was damaged, kept for whoever asks why
//! ```
//!
//! **What is missing** at the journal's end was acknowledged if the index holds
//! it: it is flushed every second and when the server stops
//! ([`Store::attest`]), and the store refuses to open. Beyond that a torn write
//! and a tail that was cut off look alike: of a process that was killed the
//! last second is the journal's own word only.
//!
//! **Backup** while running: [`EmbeddedStore::backup`] copies the journal up to
//! a record, reads the copy back and writes `backup.json` beside it.
//!
//! **Restore**: stop the server; make an empty data folder; copy the backup's
//! `journal` folder into it; start. The index is rebuilt, and the report names
//! the last record, which must be that of `backup.json`. Never copy an old
//! journal beside a newer `index`: the store refuses to open, because the index
//! proves that acknowledged records are missing; remove `index` if that is
//! meant.

mod index;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::journal::disk::sync_folder;
use super::journal::{self, Disk, Folder, Head, Journal, OpenReport, Reader, disk_error};
use super::sled_index::{IndexFault, SledIndex};
use super::tables::RowValue;
use super::{JournalNumber, Record, Store, StoreError, StoreFuture, StoredDocument};
use duxue_document::DocumentId;
use index::{Flusher, Index, catch_up, into_store_error, rebuild, usable};

/// What opening found and did, for the log and for health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedReport {
    /// The journal.
    pub journal: OpenReport,
    /// Records that the index did not hold yet.
    pub replayed: u64,
    /// Why the index was set aside and rebuilt, if it was.
    pub rebuilt: Option<String>,
}

/// Whether the store works, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The last durable record.
    pub last: JournalNumber,
    /// Why nothing can be written until the store is opened again.
    pub journal_stopped: Option<String>,
    /// Why reading fails until the index is rebuilt; that is tried every second.
    pub index_down: Option<String>,
}

/// The journal and its index in one folder. Dropping it waits until all that
/// was committed is durable; it blocks, so drop it at the end of a process or
/// on a blocking thread.
pub struct EmbeddedStore {
    // In this order on drop: the journal's thread feeds the index.
    journal: Journal,
    _flusher: Flusher,
    index: Arc<Index>,
    report: EmbeddedReport,
}

impl EmbeddedStore {
    /// Opens the store in a folder, or begins one. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`] where a process has it open; [`StoreError::Damaged`]
    /// where the journal lost something that was acknowledged: then nothing was
    /// changed, and [`journal::salvage`] reads what is left;
    /// [`StoreError::Newer`]; or what the disk says.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, journal::Options::default())
    }

    /// As [`EmbeddedStore::open`], with the journal's options.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn open_with(folder: &Path, options: journal::Options) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        let disk = Folder::new(&folder.join("journal")).map_err(|error| disk_error(&error))?;
        Self::open_locked(folder, lock, Arc::new(disk), options)
    }

    /// As [`EmbeddedStore::open_with`], with the journal on another disk.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    #[doc(hidden)]
    pub fn open_on(
        folder: &Path,
        disk: Arc<dyn Disk>,
        options: journal::Options,
    ) -> Result<Self, StoreError> {
        Self::open_locked(folder, lock(folder)?, disk, options)
    }

    fn open_locked(
        folder: &Path,
        lock: FolderLock,
        disk: Arc<dyn Disk>,
        options: journal::Options,
    ) -> Result<Self, StoreError> {
        let opened_index = SledIndex::open(&folder.join("index"));
        let indexed = opened_index.as_ref().map_or(Head::START, SledIndex::head);
        let opened = journal::Opened::new(disk, options, indexed.last).map_err(|error| match error {
            StoreError::Damaged(what) if indexed.last > JournalNumber(0) => StoreError::Damaged(format!(
                "{what} (the index holds record {}; if an older journal was restored on purpose, \
                 remove the folder `index`)",
                indexed.last.0
            )),
            other => other,
        })?;
        let reader = opened.reader().clone();
        let (current, replayed, rebuilt) = match usable(opened_index, &reader)? {
            Ok(index) => {
                let replayed = catch_up(&index, &reader).map_err(into_store_error)?;
                (index, replayed, None)
            }
            Err(why) => {
                let index = rebuild(folder, &reader)?;
                (index, reader.head().last.0, Some(why))
            }
        };
        let report = EmbeddedReport { journal: opened.report.clone(), replayed, rebuilt };
        if report.journal.torn.is_some() || report.rebuilt.is_some() {
            tracing::warn!(?report, "the store was mended");
        } else {
            tracing::info!(?report, "the store is open");
        }
        let index = Arc::new(Index::new(folder, reader, options.reserve_bytes, current, lock));
        let feeding = Arc::clone(&index);
        let journal = opened.start(Box::new(move |placed, answer| feeding.take_in(placed, answer)))?;
        let flusher = Flusher::start(Arc::clone(&index))?;
        Ok(Self { journal, _flusher: flusher, index, report })
    }

    /// What opening found and did.
    #[must_use]
    pub fn report(&self) -> &EmbeddedReport {
        &self.report
    }

    /// Whether it works now.
    #[must_use]
    pub fn health(&self) -> Health {
        let index_down = self.index.down();
        let reader = self.journal.reader();
        Health { last: reader.head().last, journal_stopped: reader.stopped(), index_down }
    }

    /// The journal's reading half: head of the chain, verification.
    #[must_use]
    pub fn journal(&self) -> &Reader {
        self.journal.reader()
    }

    /// The last durable record and the chain after it.
    #[must_use]
    pub fn chain_head(&self) -> Head {
        self.journal.reader().head()
    }

    /// Reads the whole journal and follows its chain. Takes a time that grows
    /// with the journal.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] naming the first bad segment and offset.
    pub async fn verify(&self) -> Result<Head, StoreError> {
        let reader = self.journal.reader().clone();
        blocking(move || reader.verify()).await
    }

    /// Copies the journal up to its last durable record into a folder that
    /// holds none, while the store is in use, and reads the copy back. Gives
    /// the head of the copy.
    ///
    /// # Errors
    /// [`StoreError::Refused`] where there is a journal already, or what the
    /// disks say.
    pub async fn backup(&self, to: &Path) -> Result<Head, StoreError> {
        let reader = self.journal.reader().clone();
        let to = to.to_owned();
        blocking(move || {
            let head = reader.copy_to(&to.join("journal"))?;
            write_manifest(&to, head).map_err(|error| disk_error(&error))?;
            Ok(head)
        })
        .await
    }

    fn indexed<T: Send + 'static>(
        &self,
        call: impl Fn(&SledIndex, &Reader) -> Result<T, IndexFault> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let index = Arc::clone(&self.index);
        Box::pin(blocking(move || index.with(call)))
    }
}

/// Runs a call that blocks where blocking is allowed.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Io(format!("a task of the store failed: {error}"))),
    }
}

fn write_manifest(to: &Path, head: Head) -> std::io::Result<()> {
    let manifest = serde_json::json!({
        "format": super::codec::FORMAT,
        "last_record": head.last.0,
        "chain": head.chain.to_string(),
    });
    let mut file = File::create(to.join("backup.json"))?;
    file.write_all(manifest.to_string().as_bytes())?;
    file.sync_all()?;
    sync_folder(to)
}

/// Holds the folder for this process until it is dropped.
///
/// It unlocks by itself: closing the file would not be enough while a child
/// process that is just being started still has a copy of it.
struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The only failure is that it is unlocked already.
        let _ = self.0.unlock();
    }
}

fn lock(folder: &Path) -> Result<FolderLock, StoreError> {
    std::fs::create_dir_all(folder).map_err(|error| disk_error(&error))?;
    let file = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
    let file = file.map_err(|error| disk_error(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(std::fs::TryLockError::Error(error)) => Err(disk_error(&error)),
    }
}

fn row_value(value: RowValue, reader: &Reader) -> Result<Vec<u8>, IndexFault> {
    let (number, place) = match value {
        RowValue::Inline(value) => return Ok(value),
        RowValue::Journal(number, place) => (number, place),
    };
    match reader.read_at(place, number).map_err(IndexFault::Store)? {
        Record::Row { value: Some(value), .. } => Ok(value.into_vec()),
        Record::Held { bytes, .. } => Ok(bytes),
        _ => Err(IndexFault::Broken(format!("record {} is no row", number.0))),
    }
}

fn load(index: &SledIndex, reader: &Reader, document: DocumentId) -> Result<StoredDocument, IndexFault> {
    let indexed = index.document(document)?;
    let mut stored = StoredDocument { snapshot: indexed.snapshot, chunks: Vec::new() };
    for (number, place) in indexed.chunks {
        match reader.read_at(place, number).map_err(IndexFault::Store)? {
            Record::Chunk { bytes, .. } => stored.chunks.push((number, bytes)),
            _ => return Err(IndexFault::Broken(format!("record {} is no chunk", number.0))),
        }
    }
    Ok(stored)
}

impl Store for EmbeddedStore {
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber> {
        Box::pin(self.journal.commit(records))
    }

    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument> {
        self.indexed(move |index, reader| load(index, reader, document))
    }

    fn compact(
        &self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> StoreFuture<'_, ()> {
        if through > self.last() {
            let what = format!("a snapshot through record {}", through.0);
            return Box::pin(std::future::ready(Err(StoreError::Refused(what))));
        }
        let index = Arc::clone(&self.index);
        Box::pin(blocking(move || {
            index.has_room(snapshot.len() as u64)?;
            index.with(|index, _| index.compact(document, &snapshot, through))
        }))
    }

    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>> {
        self.indexed(|index, _| index.documents())
    }

    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.indexed(move |index, reader| {
            index.row(table, &key)?.map(|value| row_value(value, reader)).transpose()
        })
    }

    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        self.indexed(move |index, reader| {
            let rows = index.rows(table, &prefix)?;
            rows.into_iter().map(|(key, value)| Ok((key, row_value(value, reader)?))).collect()
        })
    }

    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>> {
        let reader = self.journal.reader().clone();
        Box::pin(blocking(move || {
            let mut records = Vec::new();
            reader.read(from, limit, |placed| records.push((placed.number, placed.record)))?;
            Ok(records)
        }))
    }

    fn last(&self) -> JournalNumber {
        self.journal.reader().head().last
    }

    fn attest(&self) -> StoreFuture<'_, ()> {
        let index = Arc::clone(&self.index);
        Box::pin(blocking(move || index.attest()))
    }
}

#[cfg(test)]
mod tests;
