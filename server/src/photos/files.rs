//! What photos ask of a file system. The real one is here; the one that fails
//! and loses power is in [`faulty`](super::faulty).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::store::journal::disk::free_bytes;

/// A file that grows, part by part.
pub trait PartFile: Send {
    /// Writes all bytes behind what is there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// Files in folders.
pub trait Files: Send + Sync + 'static {
    /// Whether calls wait for a disk, so that they are made where nobody else
    /// has to wait.
    fn waits(&self) -> bool;
    /// Makes a folder and those above it that are not there.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// The files of a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Its length in bytes.
    fn length(&self, file: &Path) -> io::Result<u64>;
    /// Reads from the beginning.
    fn read(&self, file: &Path) -> io::Result<Box<dyn Read + Send>>;
    /// Makes a file of these bytes, in the place of one that is there.
    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file, made if it is not there, to write on from this offset;
    /// what is behind it goes.
    fn open(&self, file: &Path, offset: u64) -> io::Result<Box<dyn PartFile>>;
    /// Makes a file's bytes durable.
    fn sync(&self, file: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Gives a file another name, in the place of one that is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name that nothing has.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    fn remove(&self, file: &Path) -> io::Result<()>;
    /// Bytes that can still be written to the disk of this folder.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
    /// The folder as an object store, whose `put` is durable or may be lost.
    fn objects(&self, folder: &Path, durable: bool) -> object_store::Result<Arc<dyn ObjectStore>>;
}

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileSystem;

impl PartFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl Files for FileSystem {
    fn waits(&self) -> bool {
        true
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn length(&self, file: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(file)?.len())
    }

    fn read(&self, file: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(file)?))
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(file, bytes)
    }

    fn open(&self, file: &Path, offset: u64) -> io::Result<Box<dyn PartFile>> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(file)?;
        file.set_len(offset)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        File::open(file)?.sync_all()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        free_bytes(folder)
    }

    fn objects(&self, folder: &Path, durable: bool) -> object_store::Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(durable)))
    }
}

/// A whole file.
pub(super) fn read_all(files: &dyn Files, file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    files.read(file)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Does work on files where it keeps nobody waiting.
pub(super) async fn apart<T: Send + 'static>(
    files: &Arc<dyn Files>,
    work: impl FnOnce(&dyn Files) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if !files.waits() {
        return work(&**files);
    }
    let files = Arc::clone(files);
    tokio::task::spawn_blocking(move || work(&*files)).await.map_err(io::Error::other)?
}
