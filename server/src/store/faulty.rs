//! The seeded faulty twins: a disk that fails, fills up and crashes, and a
//! store that refuses now and then. For tests, here and in other crates.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::journal::disk::{Disk, DiskFile};
use super::{JournalNumber, Record, Store, StoreError, StoreFuture, StoredDocument};
use duxue_document::DocumentId;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// How often a disk fails, in thousandths of its operations.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFaults {
    /// A write stops in the middle with an error.
    pub write: u64,
    /// A flush fails: some of what it should have flushed is on the disk, the
    /// rest is not and never will be, although reading still shows it.
    pub sync: u64,
    /// A file cannot be created.
    pub create: u64,
}

/// A disk in memory that keeps apart what was written and what was flushed.
/// Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<DiskState>>,
}

struct DiskState {
    random: ChaCha8Rng,
    faults: DiskFaults,
    capacity_bytes: u64,
    quota_bytes: u64,
    names: BTreeMap<String, u64>,
    flushed_names: BTreeMap<String, u64>,
    files: BTreeMap<u64, FileState>,
    next_file: u64,
    /// Counts crashes: a file opened before one is of no use after it.
    boot: u64,
    /// Changes left until the power goes.
    power: Option<u64>,
}

#[derive(Default, Clone)]
struct FileState {
    cached: Vec<u8>,
    flushed: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl SimulatedDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = DiskState {
            random: ChaCha8Rng::seed_from_u64(seed),
            faults: DiskFaults::default(),
            capacity_bytes: 1 << 30,
            quota_bytes: 1 << 30,
            names: BTreeMap::new(),
            flushed_names: BTreeMap::new(),
            files: BTreeMap::new(),
            next_file: 0,
            boot: 0,
            power: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets how often the disk fails from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.state().faults = faults;
    }

    /// Sets how much the disk holds.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.state().capacity_bytes = bytes;
    }

    /// Sets a limit that writes meet and asking for free space does not show.
    pub fn set_quota_bytes(&self, bytes: u64) {
        self.state().quota_bytes = bytes;
    }

    /// How much it holds now.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// After so many more changes every one fails, as in the moment between
    /// the power going and [`SimulatedDisk::crash`].
    pub fn cut_power_after(&self, changes: u64) {
        self.state().power = Some(changes);
    }

    /// The power goes and comes back: of what was not flushed any part may be on the disk, by
    /// sectors, in any order.
    pub fn crash(&self) {
        let mut state = self.state();
        let DiskState { random, names, flushed_names, files, boot, power, .. } = &mut *state;
        *boot += 1;
        *power = None;
        for file in files.values_mut() {
            let pending = std::mem::take(&mut file.pending);
            for change in pending {
                change.apply_in_part(&mut file.flushed, random);
            }
            file.cached.clone_from(&file.flushed);
        }
        // In the order in which the files were made: names may be random.
        let mut in_order: Vec<_> = names.iter().collect();
        in_order.sort_by_key(|(_, file)| **file);
        for (name, file) in in_order {
            if random.next_u64().is_multiple_of(2) {
                flushed_names.insert(name.clone(), *file);
            }
        }
        names.clone_from(flushed_names);
    }

    /// Gives a file another name, in the place of one that is there.
    ///
    /// # Errors
    /// Where there is no such file, or the disk fails.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.name()?;
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    /// Gives a file a second name.
    ///
    /// # Errors
    /// Where the name is taken, there is no such file, or the disk fails.
    pub fn link(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.name()?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    /// Makes the names that begin so durable, those that went with those that
    /// came.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn sync_names(&self, prefix: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let per_mille = state.faults.sync;
        if state.happens(per_mille) {
            return Err(io::Error::other("the folder could not be flushed"));
        }
        let DiskState { names, flushed_names, .. } = &mut *state;
        flushed_names.retain(|name, _| !name.starts_with(prefix));
        let flushed = names.iter().filter(|(name, _)| name.starts_with(prefix));
        flushed_names.extend(flushed.map(|(name, file)| (name.clone(), *file)));
        Ok(())
    }

    /// The bytes of a file as they would be if the power went now; `None` where
    /// its name might be gone, or lead to other bytes.
    #[must_use]
    pub fn flushed(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let behind = |names: &BTreeMap<String, u64>| {
            let file = state.files.get(names.get(name)?)?;
            file.pending.is_empty().then_some(&file.flushed)
        };
        // The name may have been given to another file, and that not be flushed yet.
        let (before, now) = (behind(&state.flushed_names)?, behind(&state.names)?);
        (before == now).then(|| now.clone())
    }

    /// The beginning of a file as it is whenever the power goes: all that is
    /// flushed, up to where the first change behind it begins. `None` where its
    /// name might be gone.
    #[must_use]
    pub fn lasting(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.flushed_names.get(name).filter(|file| state.names.get(name) == Some(file))?;
        let file = state.files.get(file)?;
        let begins = |change: &Pending| match change {
            Pending::Write { offset, .. } => *offset,
            Pending::Truncate(size) => *size,
        };
        let lasts = file.pending.iter().map(begins).min().unwrap_or(usize::MAX);
        Some(file.flushed[..lasts.min(file.flushed.len())].to_vec())
    }

    /// The bytes of a file, to look at or to damage.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).and_then(|file| state.files.get(file)).map(|file| file.cached.clone())
    }

    /// Puts a file there, flushed.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.next_file;
        state.next_file += 1;
        let content = FileState { cached: bytes.to_vec(), flushed: bytes.to_vec(), pending: Vec::new() };
        state.files.insert(file, content);
        state.names.insert(name.to_owned(), file);
        state.flushed_names.insert(name.to_owned(), file);
    }
}

impl DiskState {
    fn used_bytes(&self) -> u64 {
        // A file may have two names.
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        named.iter().filter_map(|file| self.files.get(file)).map(|file| file.cached.len() as u64).sum()
    }

    /// A change of names, which may fail like making a file.
    fn name(&mut self) -> io::Result<()> {
        self.change()?;
        let per_mille = self.faults.create;
        if self.happens(per_mille) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Takes one change off what the power allows.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.power {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn happens(&mut self, per_mille: u64) -> bool {
        self.random.next_u64() % 1000 < per_mille
    }
}

impl Pending {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Truncate(size) => content.resize(*size, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
        }
    }

    fn apply_in_part(self, content: &mut Vec<u8>, random: &mut ChaCha8Rng) {
        match &self {
            Self::Truncate(_) if random.next_u64().is_multiple_of(2) => self.apply(content),
            Self::Truncate(_) => {}
            Self::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let sector_end = SECTOR_BYTES - (offset + at) % SECTOR_BYTES;
                    let end = (at + sector_end).min(bytes.len());
                    if random.next_u64().is_multiple_of(2) {
                        Self::Write { offset: offset + at, bytes: bytes[at..end].to_vec() }.apply(content);
                    }
                    at = end;
                }
            }
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, boot: state.boot }))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.name()?;
        let file = state.next_file;
        state.next_file += 1;
        state.files.insert(file, FileState::default());
        state.names.insert(name.to_owned(), file);
        Ok(Box::new(SimulatedFile { disk: self.clone(), file, boot: state.boot }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.sync_names("")
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        Ok(state.capacity_bytes.saturating_sub(state.used_bytes()))
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    file: u64,
    boot: u64,
}

impl SimulatedFile {
    fn with<T>(
        &self,
        changes: bool,
        act: impl FnOnce(&mut FileState, &mut ChaCha8Rng, DiskFaults, u64) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.state();
        if changes {
            state.change()?;
        }
        if state.boot != self.boot {
            return Err(io::Error::other("the machine has crashed since"));
        }
        let free = state.capacity_bytes.min(state.quota_bytes).saturating_sub(state.used_bytes());
        let DiskState { random, faults, files, .. } = &mut *state;
        let file = files.get_mut(&self.file).ok_or(io::ErrorKind::NotFound)?;
        act(file, random, *faults, free)
    }
}

fn size(size: u64) -> io::Result<usize> {
    usize::try_from(size).map_err(io::Error::other)
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        self.with(false, |file, _, _, _| Ok(file.cached.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(false, |file, _, _, _| {
            let offset = size(offset)?;
            let bytes = file.cached.get(offset..offset + buffer.len());
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(true, |file, random, faults, free| {
            let offset = size(offset)?;
            let grows = (offset + bytes.len()).saturating_sub(file.cached.len());
            let fits = bytes.len() - grows.saturating_sub(size(free)?).min(bytes.len());
            let fails = random.next_u64() % 1000 < faults.write;
            let written = if fails { size(random.next_u64() % (fits as u64 + 1))? } else { fits };
            let write = Pending::Write { offset, bytes: bytes[..written].to_vec() };
            write.apply(&mut file.cached);
            file.pending.push(write);
            match (fails, written == bytes.len()) {
                (true, _) => Err(io::Error::other("the write failed")),
                (false, false) => Err(io::ErrorKind::StorageFull.into()),
                (false, true) => Ok(()),
            }
        })
    }

    fn truncate(&self, to: u64) -> io::Result<()> {
        self.with(true, |file, _, _, _| {
            let change = Pending::Truncate(size(to)?);
            change.apply(&mut file.cached);
            file.pending.push(change);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(true, |file, random, faults, _| {
            let fails = random.next_u64() % 1000 < faults.sync;
            for change in std::mem::take(&mut file.pending) {
                if fails {
                    change.apply_in_part(&mut file.flushed, random);
                } else {
                    change.apply(&mut file.flushed);
                }
            }
            if fails { Err(io::Error::other("the flush failed")) } else { Ok(()) }
        })
    }

    fn forget_cached(&self) {
        // A crashed machine has nothing cached.
        let _ = self.with(false, |file, _, _, _| {
            if file.pending.is_empty() {
                file.cached.clone_from(&file.flushed);
            }
            Ok(())
        });
    }
}

/// How often a store fails, in thousandths of its calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreFaults {
    /// A commit finds the disk full and writes nothing.
    pub commit_full: u64,
    /// A commit fails and writes nothing.
    pub commit_fails: u64,
    /// Reading fails.
    pub read_fails: u64,
    /// A compaction fails and changes nothing.
    pub compact_fails: u64,
}

/// A store that fails by its seed and is otherwise the one that it wraps.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    state: Mutex<(ChaCha8Rng, StoreFaults)>,
}

impl FaultyStore {
    /// Wraps a store; without faults until [`FaultyStore::set_faults`].
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, seed: u64) -> Self {
        let state = (ChaCha8Rng::seed_from_u64(seed), StoreFaults::default());
        Self { inner, state: Mutex::new(state) }
    }

    /// Sets how often it fails from now on.
    pub fn set_faults(&self, faults: StoreFaults) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = faults;
    }

    /// The error, if this call is to fail; the choice names its frequency.
    fn fault(&self, error: StoreError, choose: impl FnOnce(StoreFaults) -> u64) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let per_mille = choose(state.1);
        if state.0.next_u64() % 1000 < per_mille { Err(error) } else { Ok(()) }
    }

    fn read_fault(&self) -> Result<(), StoreError> {
        self.fault(StoreError::Io("a read failed".to_owned()), |faults| faults.read_fails)
    }
}

impl Store for FaultyStore {
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber> {
        Box::pin(async move {
            self.fault(StoreError::Full, |faults| faults.commit_full)?;
            self.fault(StoreError::Io("a commit failed".to_owned()), |faults| faults.commit_fails)?;
            self.inner.commit(records).await
        })
    }

    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument> {
        Box::pin(async move {
            self.read_fault()?;
            self.inner.load(document).await
        })
    }

    fn compact(
        &self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.fault(StoreError::Full, |faults| faults.compact_fails)?;
            self.inner.compact(document, snapshot, through).await
        })
    }

    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>> {
        Box::pin(async move {
            self.read_fault()?;
            self.inner.documents().await
        })
    }

    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>> {
        Box::pin(async move {
            self.read_fault()?;
            self.inner.row(table, key).await
        })
    }

    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        Box::pin(async move {
            self.read_fault()?;
            self.inner.rows(table, prefix).await
        })
    }

    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>> {
        Box::pin(async move {
            self.read_fault()?;
            self.inner.records(from, limit).await
        })
    }

    fn last(&self) -> JournalNumber {
        self.inner.last()
    }

    fn attest(&self) -> StoreFuture<'_, ()> {
        self.inner.attest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::{Reopen, event};
    use crate::store::memory::MemoryStore;

    struct Place(MemoryStore);

    impl Reopen for Place {
        fn open(&self) -> Arc<dyn Store> {
            Arc::new(FaultyStore::new(self.0.open(), 1))
        }
    }

    crate::store_conformance!(Place(MemoryStore::new()));

    #[tokio::test]
    async fn fails_as_often_as_told_and_the_same_for_a_seed() {
        let run = async |seed| {
            let store = FaultyStore::new(Arc::new(MemoryStore::new()), seed);
            store.set_faults(StoreFaults { commit_full: 300, ..StoreFaults::default() });
            let mut full = Vec::new();
            for n in 0..100 {
                if let Err(error) = store.commit(vec![event("e")]).await {
                    assert!(matches!(error, StoreError::Full));
                    full.push(n);
                }
            }
            assert_eq!(store.last().0, 100 - full.len() as u64, "what failed wrote nothing");
            full
        };
        let first = run(7).await;
        assert!((10..60).contains(&first.len()), "{first:?}");
        assert_eq!(first, run(7).await);
        assert_ne!(first, run(8).await);
    }
}
