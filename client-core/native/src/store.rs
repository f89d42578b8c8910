//! The store on disk: sled for small records, files by hash for big ones and
//! for photos. A write has happened when it is flushed.
//!
//! ```text
//! HOME/lock            held while the store is open
//! HOME/records/        sled
//! HOME/stamp           changes with every opening, here and in `records`
//! HOME/blobs/<sha256>  values too big for sled
//! HOME/photos/<sha256>
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use duxue_client_core::{Key, StorageAnswer, StorageError, StorageTask, StoreInfo};
use duxue_document::PhotoHash;
use sha2::Digest;

/// sled leaks the files that it makes for big values, so they are ours.
const INLINE_BYTES: usize = 32 * 1024;
const INLINE: u8 = 0;
const BLOB: u8 = 1;

/// Why a home folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another program has it open.
    #[error("another program has {0} open")]
    Locked(PathBuf),
    /// The folder or a file in it cannot be used.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// sled does not open.
    #[error("the records are damaged: {0}")]
    Damaged(String),
}

/// An open home folder; nobody else can open it meanwhile.
pub struct Store {
    home: PathBuf,
    records: sled::Db,
    life: String,
    /// How many records name each blob: equal bytes are one file.
    named: Mutex<Named>,
    _lock: File,
}

type Named = BTreeMap<String, usize>;

impl Store {
    /// Opens or creates a home folder.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(home: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Io(home.to_owned(), error);
        for folder in ["", "blobs", "photos"] {
            private_folder(&home.join(folder)).map_err(failed)?;
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(home.join("lock"))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(OpenError::Locked(home.to_owned())),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let path = home.join("records");
        // sled panics on some kinds of damage instead of returning an error.
        let opened = std::panic::catch_unwind(|| {
            sled::Config::new().path(&path).cache_capacity(16 << 20).mode(sled::Mode::LowSpace).open()
        });
        let records = match opened {
            Ok(Ok(records)) => records,
            Ok(Err(error)) => return Err(OpenError::Damaged(error.to_string())),
            Err(_) => return Err(OpenError::Damaged(path.display().to_string())),
        };
        let life = stamp(home, &records)?;
        sync_folder(home).map_err(failed)?;
        let named = Mutex::new(named(&records).map_err(|error| OpenError::Damaged(error.to_string()))?);
        Ok(Self { home: home.to_owned(), records, life, named, _lock: lock })
    }

    /// Names this physical store in its present life. A copy has other inodes;
    /// records that were put back in place begin another life.
    ///
    /// # Errors
    /// Where the lock file cannot be asked.
    pub fn info(&self) -> io::Result<StoreInfo> {
        let meta = fs::metadata(self.home.join("lock"))?;
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let stamp = format!("{}:{}:{}", machine.trim(), place(&meta), self.life);
        Ok(StoreInfo { stamp, exclusive: true })
    }

    /// Runs one task of the engine.
    ///
    /// # Errors
    /// [`StorageError`]. What a failed write held may be on disk or not, but
    /// never a part of it; it can be written again.
    pub fn run(&self, task: &StorageTask) -> Result<StorageAnswer, StorageError> {
        match task {
            StorageTask::LoadRange { prefix } => self.load(prefix),
            StorageTask::Write { puts, deletes } => {
                self.write(puts, deletes).map(|()| StorageAnswer::Written)
            }
        }
    }

    /// One value that cannot be read is named and left alone; the rest is used.
    fn load(&self, prefix: &str) -> Result<StorageAnswer, StorageError> {
        let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
        for row in self.records.scan_prefix(prefix.as_bytes()) {
            let (key, value) = row.map_err(sled_error)?;
            let key = String::from_utf8_lossy(&key).into_owned();
            match value.split_first() {
                Some((&INLINE, bytes)) => rows.push((key, bytes.to_vec())),
                Some((&BLOB, name)) => match fs::read(self.blob(&String::from_utf8_lossy(name))) {
                    Ok(bytes) => rows.push((key, bytes)),
                    Err(_) => unreadable.push(key),
                },
                _ => unreadable.push(key),
            }
        }
        Ok(StorageAnswer::Range { rows, unreadable })
    }

    fn blob(&self, name: &str) -> PathBuf {
        self.home.join("blobs").join(name)
    }

    fn write(&self, puts: &[(Key, Vec<u8>)], deletes: &[Key]) -> Result<(), StorageError> {
        // Held to the end: a blob that one batch no longer names must not go
        // while another is about to name it.
        let mut counts = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: BTreeSet<&Key> = puts.iter().map(|(key, _)| key).chain(deletes).collect();
        let before = self.blobs_of(&keys)?;
        if let Err(error) = self.write_batch(puts, deletes) {
            // How far it came is not known. Counting again tells; where not
            // even that is possible, nothing is ever found to be unnamed.
            if let Ok(found) = named(&self.records) {
                *counts = found;
            }
            return Err(error);
        }
        for name in self.blobs_of(&keys)? {
            *counts.entry(name).or_default() += 1;
        }
        for name in before {
            let left = counts.get(&name).copied().unwrap_or_default().saturating_sub(1);
            counts.insert(name.clone(), left);
            if left == 0 {
                counts.remove(&name);
                // A crash before this leaves a file that nobody reads.
                let _ = fs::remove_file(self.blob(&name));
            }
        }
        Ok(())
    }

    fn write_batch(&self, puts: &[(Key, Vec<u8>)], deletes: &[Key]) -> Result<(), StorageError> {
        let mut batch = sled::Batch::default();
        for (key, bytes) in puts {
            let value = if bytes.len() <= INLINE_BYTES {
                [&[INLINE], bytes.as_slice()].concat()
            } else {
                let name = PhotoHash::of(bytes).to_string();
                put_file(&self.home.join("blobs"), &name, bytes).map_err(|error| io_error(&error))?;
                [&[BLOB], name.as_bytes()].concat()
            };
            batch.insert(key.as_bytes(), value);
        }
        for key in deletes {
            batch.remove(key.as_bytes());
        }
        self.records.apply_batch(batch).map_err(sled_error)?;
        self.flush()
    }

    /// The blobs that these records name, each as often as it is named.
    fn blobs_of(&self, keys: &BTreeSet<&Key>) -> Result<Vec<String>, StorageError> {
        let values = keys.iter().map(|key| self.records.get(key.as_bytes()).map_err(sled_error));
        let names = values.map(|value| Ok(value?.as_deref().and_then(blob_name)));
        names.filter_map(Result::transpose).collect()
    }

    /// sled's own flush does not reach the disk's platter on Linux.
    fn flush(&self) -> Result<(), StorageError> {
        self.records.flush().map_err(sled_error)?;
        let db = File::open(self.home.join("records").join("db")).map_err(|error| io_error(&error))?;
        db.sync_data().map_err(|error| io_error(&error))
    }

    /// Stores a photo's bytes under their hash, flushed.
    ///
    /// # Errors
    /// Where the file cannot be read or stored.
    pub fn put_photo(&self, source: &Path) -> Result<(PhotoHash, u64, String), StorageError> {
        let bytes = fs::read(source).map_err(|error| io_error(&error))?;
        let photo = PhotoHash::of(&bytes);
        put_file(&self.home.join("photos"), &photo.to_string(), &bytes).map_err(|error| io_error(&error))?;
        Ok((photo, bytes.len() as u64, media_type(&bytes).to_owned()))
    }

    /// A part of a photo.
    ///
    /// # Errors
    /// Where the file is gone or shorter.
    pub fn read_photo(&self, photo: &PhotoHash, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.home.join("photos").join(photo.to_string()))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Deletes the local copy of a photo.
    pub fn free_photo(&self, photo: &PhotoHash) {
        let _ = fs::remove_file(self.home.join("photos").join(photo.to_string()));
    }
}

/// The blob that a value stands for, if its bytes are in one.
fn blob_name(value: &[u8]) -> Option<String> {
    match value.split_first() {
        Some((&BLOB, name)) => Some(String::from_utf8_lossy(name).into_owned()),
        _ => None,
    }
}

fn named(records: &sled::Db) -> Result<Named, sled::Error> {
    let mut counts = Named::new();
    for value in records.iter().values() {
        if let Some(name) = blob_name(&value?) {
            *counts.entry(name).or_default() += 1;
        }
    }
    Ok(counts)
}

/// Marks this opening inside and outside the records, and names the life of
/// the two together. Where the marks of the last opening differ, one of them
/// was put back from a copy, and what the other wrote since is not here: a new
/// life begins. Being ended between the two marks begins one too, which does
/// no harm.
fn stamp(home: &Path, records: &sled::Db) -> Result<String, OpenError> {
    let damaged = |error: sled::Error| OpenError::Damaged(error.to_string());
    let failed = |error| OpenError::Io(home.to_owned(), error);
    let path = home.join("stamp");
    let tree = records.open_tree("opening").map_err(damaged)?;
    let inside = tree.get("mark").map_err(damaged)?;
    let outside = fs::read_to_string(&path).unwrap_or_default();
    let known = outside
        .split_once(' ')
        .filter(|(mark, _)| inside.as_ref().is_some_and(|inside| inside.as_ref() == mark.as_bytes()));
    let life = match known {
        Some((_, life)) => life.to_owned(),
        None => random_word().map_err(failed)?,
    };
    let mark = random_word().map_err(failed)?;
    replace_file(home, "stamp", format!("{mark} {life}").as_bytes()).map_err(failed)?;
    tree.insert("mark", mark.as_bytes()).map_err(damaged)?;
    records.flush().map_err(damaged)?;
    Ok(life)
}

fn random_word() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(duxue_client_core::identity::hex(&bytes))
}

/// What the first bytes say; the name is nobody's promise.
#[must_use]
pub fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', ..] => "image/heic",
        _ => "application/octet-stream",
    }
}

/// Writes beside, flushes, renames, flushes the folder: the name never stands
/// for half a file. An existing file of the right content is left alone.
fn put_file(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if let Ok(old) = fs::read(&path)
        && sha2::Sha256::digest(&old) == sha2::Sha256::digest(bytes)
    {
        return Ok(());
    }
    replace_file(folder, name, bytes)
}

fn replace_file(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    let beside = folder.join(format!(".{name}.part"));
    let mut file = File::create(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    fs::rename(&beside, &path)?;
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// The identity with its token lies here: nobody else may read it.
#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn place(meta: &fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{}:{}", meta.dev(), meta.ino())
}

#[cfg(not(unix))]
fn place(meta: &fs::Metadata) -> String {
    format!("{:?}", meta.created().ok())
}

fn io_error(error: &io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full,
        _ => StorageError::Failed(error.to_string()),
    }
}

fn sled_error(error: sled::Error) -> StorageError {
    match error {
        sled::Error::Io(error) => io_error(&error),
        error => StorageError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp_of(home: &Path) -> String {
        Store::open(home).unwrap().info().unwrap().stamp
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    fn put(store: &Store, key: &str, bytes: &[u8]) {
        let task = StorageTask::Write { puts: vec![(key.to_owned(), bytes.to_vec())], deletes: Vec::new() };
        assert_eq!(store.run(&task), Ok(StorageAnswer::Written));
    }

    fn delete(store: &Store, key: &str) {
        let task = StorageTask::Write { puts: Vec::new(), deletes: vec![key.to_owned()] };
        assert_eq!(store.run(&task), Ok(StorageAnswer::Written));
    }

    fn all(store: &Store) -> StorageAnswer {
        store.run(&StorageTask::LoadRange { prefix: String::new() }).unwrap()
    }

    fn blobs(home: &Path) -> usize {
        fs::read_dir(home.join("blobs")).unwrap().count()
    }

    /// A document that is written again is kept aside in the very bytes that
    /// its last snapshot had.
    #[test]
    fn a_file_goes_with_the_last_record_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let large = vec![7; INLINE_BYTES + 1];
        let store = Store::open(&home).unwrap();
        put(&store, "doc/a/snapshot/1", &large);
        let task = StorageTask::Write {
            puts: vec![("aside/a/1".to_owned(), large.clone()), ("doc/a/snapshot/2".to_owned(), vec![1])],
            deletes: vec!["doc/a/snapshot/1".to_owned()],
        };
        assert_eq!(store.run(&task), Ok(StorageAnswer::Written));
        let rows = vec![("aside/a/1".to_owned(), large.clone()), ("doc/a/snapshot/2".to_owned(), vec![1])];
        assert_eq!(all(&store), StorageAnswer::Range { rows, unreadable: Vec::new() });
        // Named twice again, across an opening, and replaced by a small value.
        put(&store, "doc/a/snapshot/2", &large);
        drop(store);
        let store = Store::open(&home).unwrap();
        put(&store, "aside/a/1", b"small");
        assert_eq!(blobs(&home), 1);
        delete(&store, "doc/a/snapshot/2");
        assert_eq!(blobs(&home), 0);
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_and_the_rest_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let store = Store::open(&home).unwrap();
        put(&store, "a", b"first");
        put(&store, "b", &vec![7; INLINE_BYTES + 1]);
        put(&store, "c", b"third");
        fs::remove_dir_all(home.join("blobs")).unwrap();
        fs::create_dir(home.join("blobs")).unwrap();
        store.records.insert("d", &[9, 9][..]).unwrap();
        let rows = vec![("a".to_owned(), b"first".to_vec()), ("c".to_owned(), b"third".to_vec())];
        let unreadable = vec!["b".to_owned(), "d".to_owned()];
        assert_eq!(all(&store), StorageAnswer::Range { rows, unreadable });
    }

    #[test]
    fn records_put_back_in_place_are_another_store_and_reopened_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (home, backup) = (folder.path().join("home"), folder.path().join("backup"));
        let first = stamp_of(&home);
        assert_eq!(stamp_of(&home), first);
        copy(&home.join("records"), &backup);
        assert_eq!(stamp_of(&home), first);
        fs::remove_dir_all(home.join("records")).unwrap();
        copy(&backup, &home.join("records"));
        let restored = stamp_of(&home);
        assert_ne!(restored, first);
        assert_eq!(stamp_of(&home), restored);
    }
}
