//! The index beside the journal: made, tended, and replaced when it breaks.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::store::journal::disk::free_bytes;
use crate::store::journal::{Head, Placed, Reader, disk_error};
use crate::store::sled_index::{IndexFault, SledIndex};
use crate::store::{JournalNumber, StoreError};

use super::FolderLock;

/// How often the index is flushed. What it has not flushed is replayed from
/// the journal when it is opened, so this bounds that work, and nothing else.
const INDEX_FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Records that are replayed in one batch.
const REPLAY_RECORDS: usize = 1024;

/// The index if it is sound and of this journal; else why it is not.
pub(super) fn usable(
    opened: Result<SledIndex, IndexFault>,
    reader: &Reader,
) -> Result<Result<SledIndex, String>, StoreError> {
    match opened {
        Ok(index) if reader.chain_at(index.head().last)? == index.head().chain => Ok(Ok(index)),
        Ok(index) => {
            drop(index);
            Ok(Err("the index is of another journal".to_owned()))
        }
        Err(IndexFault::Broken(why)) => Ok(Err(why)),
        Err(IndexFault::Store(error)) => Err(error),
    }
}

/// Replays what the index does not hold yet; gives how many records.
pub(super) fn catch_up(index: &SledIndex, reader: &Reader) -> Result<u64, IndexFault> {
    let mut replayed = 0;
    loop {
        let from = index.head().last.0 + 1;
        let mut placed: Vec<Placed> = Vec::new();
        reader
            .read(JournalNumber(from), REPLAY_RECORDS, |record| placed.push(record))
            .map_err(IndexFault::Store)?;
        let Some(last) = placed.last().map(|record| record.number) else { return Ok(replayed) };
        let chain = reader.chain_at(last).map_err(IndexFault::Store)?;
        index.apply(&placed, Head { last, chain })?;
        replayed += placed.len() as u64;
    }
}

/// Sets whatever index there is aside and makes a new one from the journal.
pub(super) fn rebuild(folder: &Path, reader: &Reader) -> Result<SledIndex, StoreError> {
    let path = folder.join("index");
    if path.exists() {
        let aside = (0..).map(|n| folder.join(format!("index.aside.{n}"))).find(|aside| !aside.exists());
        std::fs::rename(&path, aside.unwrap_or_default()).map_err(|error| disk_error(&error))?;
    }
    let made = SledIndex::open(&path).and_then(|index| {
        let filled = catch_up(&index, reader).and_then(|_| index.flush());
        match filled {
            Ok(()) => Ok(index),
            Err(fault) => {
                // Closing a broken sled flushes it, and can hang or panic there.
                std::mem::forget(index);
                Err(fault)
            }
        }
    });
    made.map_err(|fault| {
        // What was begun tells nobody anything, and there may be many attempts.
        let _ = std::fs::remove_dir_all(&path);
        into_store_error(fault)
    })
}

pub(super) fn into_store_error(fault: IndexFault) -> StoreError {
    match fault {
        IndexFault::Broken(why) => StoreError::Damaged(format!("the index: {why}")),
        IndexFault::Store(error) => error,
    }
}

/// The index as it is now, replaced when it breaks.
pub(super) struct Index {
    folder: PathBuf,
    reader: Reader,
    /// Bytes that the journal leaves free.
    reserve: u64,
    /// Held while records that are durable, and were answered, are taken in:
    /// who has heard of them finds them.
    taking_in: RwLock<()>,
    /// The index, or why there is none.
    current: RwLock<Result<Arc<SledIndex>, String>>,
    /// Held as long as anything may touch the folder.
    _lock: FolderLock,
}

impl Index {
    /// An open index of a journal that leaves so many bytes free.
    pub fn new(folder: &Path, reader: Reader, reserve: u64, index: SledIndex, lock: FolderLock) -> Self {
        let current = RwLock::new(Ok(Arc::new(index)));
        Self { folder: folder.to_owned(), reader, reserve, taking_in: RwLock::new(()), current, _lock: lock }
    }

    /// Why there is none now.
    pub fn down(&self) -> Option<String> {
        // Without waiting: a rebuild holds the lock for as long as it takes.
        match self.current.try_read() {
            Ok(current) => current.as_ref().err().cloned(),
            Err(TryLockError::WouldBlock) => Some("it is being rebuilt".to_owned()),
            Err(TryLockError::Poisoned(current)) => current.into_inner().as_ref().err().cloned(),
        }
    }

    /// Whether there is room for so many bytes beside what is left free.
    pub fn has_room(&self, bytes: u64) -> Result<(), StoreError> {
        let free = free_bytes(&self.folder).map_err(|error| disk_error(&error))?;
        if free < self.reserve.saturating_add(bytes) { Err(StoreError::Full) } else { Ok(()) }
    }

    /// Whether sled may write: what it cannot write breaks it, and reading with
    /// it. A part of what the journal leaves free is for this.
    fn may_write(&self) -> bool {
        free_bytes(&self.folder).is_ok_and(|free| free >= self.reserve / 4)
    }

    fn current(&self) -> Result<Arc<SledIndex>, StoreError> {
        match &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(index) => Ok(Arc::clone(index)),
            Err(why) => Err(StoreError::Io(format!("the index is being rebuilt: {why}"))),
        }
    }

    /// Runs a call; if the index turns out broken, once more on a new one. On a
    /// full disk no new one can be made, and the caller comes back later.
    pub fn with<T>(
        &self,
        call: impl Fn(&SledIndex, &Reader) -> Result<T, IndexFault>,
    ) -> Result<T, StoreError> {
        drop(self.taking_in.read().map_err(|_| StoreError::Closed)?);
        let index = self.current()?;
        match call(&index, &self.reader) {
            Err(IndexFault::Broken(why)) => {
                if !self.may_write() {
                    return Err(StoreError::Full);
                }
                self.replace(&index, why);
                call(&*self.current()?, &self.reader).map_err(into_store_error)
            }
            other => other.map_err(into_store_error),
        }
    }

    /// Takes in records that have just become durable, after whoever waits for
    /// them was answered: what waits for a disk need not wait for this.
    pub fn take_in(&self, placed: &[Placed], answer: &mut dyn FnMut()) {
        let _taking_in = self.taking_in.write().unwrap_or_else(PoisonError::into_inner);
        answer();
        let Ok(index) = self.current() else { return };
        let follows = placed.first().is_some_and(|first| first.number.0 == index.head().last.0 + 1);
        let taken = if follows {
            index.apply(placed, self.reader.head())
        } else {
            // The index was replaced meanwhile, and the replay has these
            // records or stopped before them.
            catch_up(&index, &self.reader).map(drop)
        };
        match taken {
            Ok(()) => {}
            Err(IndexFault::Broken(why)) => self.replace(&index, why),
            Err(IndexFault::Store(error)) => self.replace(&index, error.to_string()),
        }
    }

    /// Flushes the index, or tries again to make one.
    pub fn tend(&self) {
        match self.current() {
            // Reading goes on without; what is not flushed is in the journal.
            _ if !self.may_write() => {}
            Ok(index) => {
                if let Err(IndexFault::Broken(why)) = index.flush() {
                    self.replace(&index, why);
                }
            }
            Err(_) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                self.renew(&mut current);
            }
        }
    }

    /// Flushes the index, which then proves how far the journal reaches.
    pub fn attest(&self) -> Result<(), StoreError> {
        if !self.may_write() {
            return Err(StoreError::Full);
        }
        self.with(|index, _| index.flush())
    }

    /// Puts a new index in the place of a broken one. Whoever reads or commits
    /// meanwhile waits.
    fn replace(&self, broken: &Arc<SledIndex>, why: String) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !current.as_ref().is_ok_and(|index| Arc::ptr_eq(index, broken)) {
            return;
        }
        tracing::error!(%why, "the index is broken and is rebuilt from the journal");
        if let Ok(abandoned) = std::mem::replace(&mut *current, Err(why)) {
            // Closing a broken sled flushes it, and can hang or panic there.
            std::mem::forget(abandoned);
        }
        self.renew(&mut current);
    }

    fn renew(&self, current: &mut Result<Arc<SledIndex>, String>) {
        match rebuild(&self.folder, &self.reader) {
            Ok(index) => *current = Ok(Arc::new(index)),
            Err(error) => {
                tracing::error!(%error, "the index could not be rebuilt");
                *current = Err(error.to_string());
            }
        }
    }
}

/// The thread that tends the index.
pub(super) struct Flusher {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub fn start(index: Arc<Index>) -> Result<Self, StoreError> {
        let (stop, stopped) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new().name("duxue-index".to_owned()).spawn(move || {
            while stopped.recv_timeout(INDEX_FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
                index.tend();
            }
            index.tend();
        });
        let thread = thread.map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook.
            let _ = thread.join();
        }
    }
}
