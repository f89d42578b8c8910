//! What photos ask of a file system. The real one is here; the one that fails
//! and loses power is in [`faulty`](super::faulty).

use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::io::AsyncWrite;

use crate::store::journal::disk::free_bytes;

/// Something of an open file that takes its time.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A file that grows, part by part.
pub trait PartFile: AsyncWrite + Unpin + Send {
    /// Cuts the file off, or fills it up.
    fn set_len(&mut self, length: u64) -> Doing<'_, ()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> Doing<'_, ()>;
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
    /// Opens a file to write on from this offset; what is behind it goes.
    fn open(&self, file: PathBuf, offset: u64) -> Doing<'_, Box<dyn PartFile>>;
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

impl PartFile for tokio::fs::File {
    fn set_len(&mut self, length: u64) -> Doing<'_, ()> {
        Box::pin(Self::set_len(self, length))
    }

    fn sync(&mut self) -> Doing<'_, ()> {
        Box::pin(self.sync_data())
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
        Ok(Box::new(std::fs::File::open(file)?))
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        std::fs::write(file, bytes)
    }

    fn open(&self, file: PathBuf, offset: u64) -> Doing<'_, Box<dyn PartFile>> {
        Box::pin(async move {
            // One change of thread for all three.
            let opened = tokio::task::spawn_blocking(move || {
                let mut file = std::fs::OpenOptions::new().write(true).open(file)?;
                file.set_len(offset)?;
                file.seek(SeekFrom::Start(offset))?;
                Ok::<_, io::Error>(file)
            });
            let file = opened.await.map_err(io::Error::other)??;
            Ok(Box::new(tokio::fs::File::from_std(file)) as Box<dyn PartFile>)
        })
    }

    fn sync(&self, file: &Path) -> io::Result<()> {
        std::fs::File::open(file)?.sync_all()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::File::open(folder)?.sync_all()
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
