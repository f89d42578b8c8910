//! The index on sled 0.34: which records make up what is read.
//!
//! sled is trusted with nothing. It panics on damage, loses entries silently
//! when its file is cut off, and its own flush does not reach the disk's cache
//! (`sync_file_range` on Linux). So every call is guarded against panics, every
//! value has a checksum, a sum over all entries is written with each batch and
//! compared on opening, and flushing ends with `fdatasync`. Whatever goes wrong
//! is a [`IndexFault::Broken`], and the index is rebuilt from the journal.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::codec::ChainHash;
use super::journal::disk::sync_folder;
use super::journal::{Head, Place, Placed, disk_error};
use super::tables::{
    self, DocumentValue, INLINE_BYTES_MAX, IndexState, RowValue, SnapshotValue, checked, seal, unseal,
};
use super::{HELD_CHUNKS, JournalNumber, Record, StoreError, held_chunks_key};
use duxue_document::DocumentId;

/// Memory that sled may use for its cache; it takes some more.
const CACHE_BYTES: u64 = 64 << 20;
/// How long a lock that sled's own threads still hold after a close is waited
/// for. No other process can hold it: the store has a lock of its own.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Why the index could not do what was asked.
#[derive(Debug, Clone)]
pub(super) enum IndexFault {
    /// The index cannot be trusted any more.
    Broken(String),
    /// The index is sound; this one thing failed.
    Store(StoreError),
}

impl From<sled::Error> for IndexFault {
    fn from(error: sled::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

fn broken(what: impl std::fmt::Display) -> IndexFault {
    IndexFault::Broken(what.to_string())
}

/// Runs a call that may reach sled; a panic there means a broken index.
fn guarded<T>(call: impl FnOnce() -> Result<T, IndexFault>) -> Result<T, IndexFault> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(broken(format!("sled panicked: {text}")))
    })
}

/// A document as the index knows it.
pub(super) struct IndexedDocument {
    pub snapshot: Option<Vec<u8>>,
    pub chunks: Vec<(JournalNumber, Place)>,
}

/// The open index.
pub(super) struct SledIndex {
    db: sled::Db,
    folder: PathBuf,
    /// Write-locked while a batch is applied, so that a reader sees all of a
    /// group or nothing.
    state: RwLock<State>,
}

struct State {
    indexed: IndexState,
    /// Snapshot files that were replaced. They go after the next flush: until
    /// then the index on disk may still name them.
    replaced: Vec<(DocumentId, [u8; 32])>,
}

/// Changes of one batch: the stored value of each key, `None` to remove it.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl SledIndex {
    /// Opens the index in a folder, or begins one, and checks every entry.
    pub fn open(folder: &Path) -> Result<Self, IndexFault> {
        std::fs::create_dir_all(snapshots(folder)).map_err(|error| IndexFault::Store(disk_error(&error)))?;
        guarded(|| {
            let db = open_sled(&folder.join("sled"))?;
            let indexed = check_all(&db, folder)?;
            let state = State { indexed, replaced: Vec::new() };
            Ok(Self { db, folder: folder.to_owned(), state: RwLock::new(state) })
        })
    }

    /// The last record that the index holds, and the chain after it.
    pub fn head(&self) -> Head {
        let indexed = self.state.read().unwrap_or_else(PoisonError::into_inner).indexed;
        Head { last: indexed.last, chain: indexed.chain }
    }

    /// Takes records in that follow those it holds; `head` is the journal's
    /// after the last of them.
    pub fn apply(&self, placed: &[Placed], head: Head) -> Result<(), IndexFault> {
        guarded(|| {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let mut changes = Changes::new();
            for record in placed.iter().filter(|record| record.number > state.indexed.last) {
                self.change(record, &mut changes)?;
            }
            self.write(&mut state, changes, head)
        })
    }

    /// What one record changes.
    fn change(&self, placed: &Placed, changes: &mut Changes) -> Result<(), IndexFault> {
        let Placed { number, place, record } = placed;
        match record {
            Record::Chunk { document, .. } => {
                let key = tables::document_key(*document);
                if !changes.contains_key(&key) && !self.db.contains_key(&key)? {
                    let value = seal(&key, &DocumentValue::default()).map_err(broken)?;
                    changes.insert(key, Some(value));
                }
                let key = tables::chunk_key(*document, *number);
                let value = seal(&key, place).map_err(broken)?;
                changes.insert(key, Some(value));
            }
            Record::SetAside { chunk, document, .. } => {
                // A number that is still to come must not be set aside already.
                if chunk < number {
                    changes.insert(tables::chunk_key(*document, *chunk), None);
                }
            }
            Record::Row { table, key, value } => {
                let key = tables::row_key(table, key);
                let value = match value {
                    None => None,
                    Some(value) if value.len() <= INLINE_BYTES_MAX => Some(RowValue::Inline(value.to_vec())),
                    Some(_) => Some(RowValue::Journal(*number, *place)),
                };
                let value = value.map(|value| seal(&key, &value)).transpose().map_err(broken)?;
                changes.insert(key, value);
            }
            Record::Held { document, number: held, .. } => {
                let key = tables::row_key(HELD_CHUNKS, &held_chunks_key(document, *held));
                let value = seal(&key, &RowValue::Journal(*number, *place)).map_err(broken)?;
                changes.insert(key, Some(value));
            }
            Record::Event { .. } => {}
        }
        Ok(())
    }

    /// Writes the changes and how far the index now is in one batch.
    fn write(&self, state: &mut State, changes: Changes, head: Head) -> Result<(), IndexFault> {
        let mut batch = sled::Batch::default();
        let mut sum = join(state.indexed.sum);
        for (key, value) in changes {
            let old = self.db.get(&key)?;
            if let Some(old) = &old {
                sum = sum.wrapping_sub(entry_hash(&key, old));
            }
            match (value, old) {
                (Some(value), _) => {
                    sum = sum.wrapping_add(entry_hash(&key, &value));
                    batch.insert(key, value);
                }
                (None, Some(_)) => batch.remove(key),
                (None, None) => {}
            }
        }
        let indexed = IndexState { last: head.last, chain: head.chain, sum: split(sum) };
        let key = tables::state_key();
        let value = seal(&key, &indexed).map_err(broken)?;
        batch.insert(key, value);
        self.db.apply_batch(batch)?;
        state.indexed = indexed;
        Ok(())
    }

    /// Puts a snapshot in the place of the chunks through a record. The
    /// snapshot is durable before the chunks go.
    pub fn compact(
        &self,
        document: DocumentId,
        snapshot: &[u8],
        through: JournalNumber,
    ) -> Result<(), IndexFault> {
        guarded(|| {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let key = tables::document_key(document);
            let Some(current) = self.document_value(&key)? else {
                let what = "a snapshot of a document without a chunk".to_owned();
                return Err(IndexFault::Store(StoreError::Refused(what)));
            };
            if through < current.through {
                return Ok(());
            }
            let value = if snapshot.len() <= INLINE_BYTES_MAX {
                SnapshotValue::Inline(snapshot.to_vec())
            } else {
                SnapshotValue::File(self.write_snapshot(document, snapshot)?)
            };
            let mut changes = Changes::new();
            for entry in self.db.range(tables::chunk_key(document, JournalNumber(0))..) {
                let (chunk, _) = entry?;
                if !chunk.starts_with(&tables::chunks_prefix(document))
                    || tables::chunk_of(&chunk).is_none_or(|number| number > through)
                {
                    break;
                }
                changes.insert(chunk.to_vec(), None);
            }
            if let Some(SnapshotValue::File(old)) = current.snapshot {
                state.replaced.push((document, old));
            }
            let value = DocumentValue { through, snapshot: Some(value) };
            changes.insert(key.clone(), Some(seal(&key, &value).map_err(broken)?));
            let head = Head { last: state.indexed.last, chain: state.indexed.chain };
            self.write(&mut state, changes, head)
        })
    }

    fn write_snapshot(&self, document: DocumentId, snapshot: &[u8]) -> Result<[u8; 32], IndexFault> {
        let hash = Sha256::digest(snapshot).into();
        let name = snapshot_file(&self.folder, document, &hash);
        let part = name.with_extension("part");
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(snapshot)?;
            file.sync_all()?;
            std::fs::rename(&part, &name)?;
            sync_folder(&snapshots(&self.folder))
        };
        write().map_err(|error| IndexFault::Store(disk_error(&error)))?;
        Ok(hash)
    }

    fn document_value(&self, key: &[u8]) -> Result<Option<DocumentValue>, IndexFault> {
        self.db.get(key)?.map(|stored| value_of(key, &stored)).transpose()
    }

    /// A document's snapshot and where its chunks stand.
    pub fn document(&self, document: DocumentId) -> Result<IndexedDocument, IndexFault> {
        guarded(|| {
            let _reading = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let value = self.document_value(&tables::document_key(document))?.unwrap_or_default();
            let snapshot = match value.snapshot {
                None => None,
                Some(SnapshotValue::Inline(bytes)) => Some(bytes),
                Some(SnapshotValue::File(hash)) => Some(read_snapshot(&self.folder, document, &hash)?),
            };
            let mut chunks = Vec::new();
            for entry in self.db.scan_prefix(tables::chunks_prefix(document)) {
                let (key, stored) = entry?;
                let number = tables::chunk_of(&key).ok_or_else(|| broken("a chunk's key"))?;
                chunks.push((number, value_of(&key, &stored)?));
            }
            Ok(IndexedDocument { snapshot, chunks })
        })
    }

    /// Every document, in order of id.
    pub fn documents(&self) -> Result<Vec<DocumentId>, IndexFault> {
        guarded(|| {
            let _reading = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let keys = self.db.scan_prefix(tables::documents_prefix()).keys();
            keys.map(|key| tables::document_of(&key?).ok_or_else(|| broken("a document's key"))).collect()
        })
    }

    /// One row.
    pub fn row(&self, table: &str, key: &[u8]) -> Result<Option<RowValue>, IndexFault> {
        guarded(|| {
            let key = tables::row_key(table, key);
            self.db.get(&key)?.map(|stored| value_of(&key, &stored)).transpose()
        })
    }

    /// The rows whose key starts with a prefix, in key order.
    pub fn rows(&self, table: &str, prefix: &[u8]) -> Result<Vec<(Vec<u8>, RowValue)>, IndexFault> {
        guarded(|| {
            let _reading = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let table_length = tables::row_key(table, &[]).len();
            let mut rows = Vec::new();
            for entry in self.db.scan_prefix(tables::row_key(table, prefix)) {
                let (key, stored) = entry?;
                let row = key.get(table_length..).unwrap_or_default().to_vec();
                rows.push((row, value_of(&key, &stored)?));
            }
            Ok(rows)
        })
    }

    /// Makes the index durable as it is, then lets replaced snapshots go.
    pub fn flush(&self) -> Result<(), IndexFault> {
        guarded(|| {
            let replaced = {
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut state.replaced)
            };
            self.db.flush()?;
            let db = File::open(self.folder.join("sled").join("db")).map_err(broken)?;
            db.sync_data().map_err(broken)?;
            let _writing = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for (document, hash) in replaced {
                let current = self.document_value(&tables::document_key(document))?;
                if current.and_then(|value| value.snapshot) != Some(SnapshotValue::File(hash)) {
                    // One that stays is removed when the index is next opened.
                    let _ = std::fs::remove_file(snapshot_file(&self.folder, document, &hash));
                }
            }
            Ok(())
        })
    }
}

fn value_of<T: serde::de::DeserializeOwned>(key: &[u8], stored: &[u8]) -> Result<T, IndexFault> {
    unseal(key, stored).ok_or_else(|| broken("a value's checksum or form is wrong"))
}

fn open_sled(path: &Path) -> Result<sled::Db, IndexFault> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let begun = Instant::now();
    loop {
        match config.open() {
            Err(sled::Error::Io(error))
                if error.to_string().contains("could not acquire lock") && begun.elapsed() < LOCK_WAIT =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return Ok(other?),
        }
    }
}

/// Reads every entry, compares the sum, and removes snapshot files that no
/// document names.
fn check_all(db: &sled::Db, folder: &Path) -> Result<IndexState, IndexFault> {
    let state_key = tables::state_key();
    let mut sum = 0_u128;
    let mut named = std::collections::BTreeSet::new();
    let mut entries = 0_u64;
    for entry in db.iter() {
        let (key, stored) = entry?;
        if key == state_key {
            continue;
        }
        entries += 1;
        if checked(&key, &stored).is_none() {
            return Err(broken("an entry's checksum or version is wrong"));
        }
        sum = sum.wrapping_add(entry_hash(&key, &stored));
        if let Some(document) = tables::document_of(&key)
            && let Some(SnapshotValue::File(hash)) = value_of::<DocumentValue>(&key, &stored)?.snapshot
        {
            named.insert(snapshot_file(folder, document, &hash));
        }
    }
    let state = match db.get(&state_key)? {
        Some(stored) => value_of::<IndexState>(&state_key, &stored)?,
        None if entries == 0 => IndexState { last: JournalNumber(0), chain: ChainHash::START, sum: (0, 0) },
        None => return Err(broken("the index has entries but no state")),
    };
    if join(state.sum) != sum {
        return Err(broken("entries were lost: the sum over all of them is wrong"));
    }
    if let Some(missing) = named.iter().find(|file| !file.is_file()) {
        return Err(broken(format!("the snapshot {} is missing", missing.display())));
    }
    for file in std::fs::read_dir(snapshots(folder)).map_err(broken)? {
        let file = file.map_err(broken)?.path();
        if !named.contains(&file) {
            std::fs::remove_file(file).map_err(broken)?;
        }
    }
    Ok(state)
}

fn snapshots(folder: &Path) -> PathBuf {
    folder.join("snapshots")
}

/// One file belongs to one document, so that it can go with it.
fn snapshot_file(folder: &Path, document: DocumentId, hash: &[u8; 32]) -> PathBuf {
    snapshots(folder).join(format!("{document}-{}", ChainHash(*hash)))
}

fn read_snapshot(folder: &Path, document: DocumentId, hash: &[u8; 32]) -> Result<Vec<u8>, IndexFault> {
    let bytes = match std::fs::read(snapshot_file(folder, document, hash)) {
        Ok(bytes) => bytes,
        // One that is gone stays so; another error says nothing about the file.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(broken(error)),
        Err(error) => return Err(IndexFault::Store(disk_error(&error))),
    };
    if Sha256::digest(&bytes)[..] != hash[..] {
        return Err(broken(format!("the snapshot of {document} is damaged")));
    }
    Ok(bytes)
}

fn entry_hash(key: &[u8], stored: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(stored);
    let hash = hash.finalize();
    hash.first_chunk().map_or(0, |half| u128::from_be_bytes(*half))
}

fn join((high, low): (u64, u64)) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

#[allow(clippy::cast_possible_truncation)] // Both halves are kept.
fn split(sum: u128) -> (u64, u64) {
    ((sum >> 64) as u64, sum as u64)
}
