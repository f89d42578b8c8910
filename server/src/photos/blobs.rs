//! Photos by the hash of their bytes: written once, never replaced.
//!
//! The seam is [`object_store::ObjectStore`], so that an S3 bucket can take
//! the folder's place. object_store's local folder is told to fsync: a staged
//! file is synced, put under its name and its directory synced before `put`
//! returns. The hash is checked before anything gets a name, so a name can
//! only ever hold the bytes that it names.
//!
//! An upload's file on the same file system is not written a second time: it
//! gets the photo's name as its second one ([`Blobs::adopt`]). Thumbnails are
//! not flushed at all, because they can be made again.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use duxue_document::PhotoHash;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use hyper::body::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use sha2::{Digest, Sha256};

use super::files::{FileSystem, Files, apart, read_all};
use super::sniff;

/// Bytes of a file that are hashed at once.
const HASHED_AT_ONCE: usize = 64 << 10;

/// Bytes of a thumbnail's hash.
const HASH_BYTES: usize = 32;

/// Where photos lie as they came.
const ORIGINALS: &str = "originals";

/// Why bytes could not be kept or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No such photo.
    #[error("no such photo")]
    Missing,
    /// The bytes are not those of the name.
    #[error("the bytes of {0} do not match their name")]
    Damaged(PhotoHash),
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// The disk or the service behind it failed.
    #[error("photo storage failed: {0}")]
    Io(String),
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::Full,
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Self::Missing;
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull)
            {
                return Self::Full;
            }
            cause = inner.source();
        }
        Self::Io(error.to_string())
    }
}

/// What was seen of a file with the right hash as it was written.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Bytes that were written.
    pub length: u64,
    /// By the first of them.
    pub media_type: &'static str,
}

/// Bytes as they are read.
pub type Parts = BoxStream<'static, Result<Bytes, BlobError>>;

/// Originals and thumbnails.
#[derive(Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    /// The same place; what is put here need not outlive a power cut.
    thumbnails: Arc<dyn ObjectStore>,
    /// Where the files of uploads lie.
    files: Arc<dyn Files>,
    /// Where the objects lie, if they are files there too.
    folder: Option<PathBuf>,
}

impl Blobs {
    /// Photos in a folder, made if it is not there.
    ///
    /// # Errors
    /// [`BlobError::Io`] where the folder cannot be made.
    pub fn open(files: Arc<dyn Files>, folder: &FilePath) -> Result<Self, BlobError> {
        make_folders(&*files, folder)?;
        let objects = files.objects(folder, true)?;
        let thumbnails = files.objects(folder, false)?;
        Ok(Self { objects, thumbnails, files, folder: Some(folder.to_owned()) })
    }

    /// Photos in any object store whose `put` is durable when it returns.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        let files = Arc::new(FileSystem);
        Self { thumbnails: Arc::clone(&objects), objects, files, folder: None }
    }

    /// Keeps a flushed file as the photo of this hash; durable when this
    /// returns. The file stays under its own name too, and nobody may write to
    /// it any more. It is read, unless it was `seen` to have this hash as it was
    /// written, and is as long as what was written. Gives the media type.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] where the file has another hash.
    pub async fn adopt(
        &self,
        hash: &PhotoHash,
        file: &FilePath,
        seen: Option<Seen>,
    ) -> Result<&'static str, BlobError> {
        let (wanted, path) = (*hash, file.to_owned());
        let name = self.folder.as_ref().map(|folder| folder.join(original(hash).as_ref()));
        let work = apart(&self.files, move |files| {
            let media_type = match seen {
                Some(seen) if files.length(&path)? == seen.length => seen.media_type,
                _ => match hashed(files, &path)? {
                    (found, media_type) if found == wanted => media_type,
                    _ => return Ok(None),
                },
            };
            let linked = name.is_some_and(|name| link(files, &path, &name).is_ok());
            Ok(Some((media_type, linked)))
        });
        let Some((media_type, linked)) = work.await? else { return Err(BlobError::Damaged(*hash)) };
        if !linked {
            // The objects are elsewhere, the name is taken, or this file system
            // has no links: then the bytes are written once more.
            let path = file.to_owned();
            let bytes = apart(&self.files, move |files| read_all(files, &path)).await?;
            self.put(hash, bytes).await?;
        }
        Ok(media_type)
    }

    /// Keeps a photo under the hash of its bytes; durable when this returns.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] where the bytes have another hash.
    pub async fn put(&self, hash: &PhotoHash, bytes: Vec<u8>) -> Result<(), BlobError> {
        if PhotoHash::of(&bytes) != *hash {
            return Err(BlobError::Damaged(*hash));
        }
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let payload = object_store::PutPayload::from(bytes);
        match self.objects.put_opts(&original(hash), payload.clone(), options).await {
            Ok(_) => Ok(()),
            // It may have been linked by a server that did not live to sync
            // the directory, or have rotted since. Putting the same bytes once
            // more, by an atomic rename, makes it durable and whole.
            Err(object_store::Error::AlreadyExists { .. }) => {
                self.objects.put_opts(&original(hash), payload, PutOptions::default()).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A photo's bytes as stored.
    ///
    /// # Errors
    /// [`BlobError::Missing`], or what the disk says.
    pub async fn get(&self, hash: &PhotoHash) -> Result<Vec<u8>, BlobError> {
        Ok(self.objects.get(&original(hash)).await?.bytes().await?.to_vec())
    }

    /// A photo's bytes, checked against its name.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] where they do not match.
    pub async fn verified(&self, hash: &PhotoHash) -> Result<Vec<u8>, BlobError> {
        let bytes = self.get(hash).await?;
        if PhotoHash::of(&bytes) == *hash { Ok(bytes) } else { Err(BlobError::Damaged(*hash)) }
    }

    /// How many bytes a photo has, without reading it; `None` if it is not here.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn length(&self, hash: &PhotoHash) -> Result<Option<u64>, BlobError> {
        match self.objects.head(&original(hash)).await.map_err(BlobError::from) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(BlobError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A photo's bytes part by part, and how many they are.
    ///
    /// # Errors
    /// [`BlobError::Missing`], or what the disk says.
    pub async fn parts(&self, hash: &PhotoHash) -> Result<(u64, Parts), BlobError> {
        let found = self.objects.get(&original(hash)).await?;
        Ok((found.meta.size, found.into_stream().map_err(BlobError::from).fuse().boxed()))
    }

    /// Takes bytes that are not those of their name out of the way, for
    /// whoever asks what became of them.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn set_aside(&self, hash: &PhotoHash) -> Result<(), BlobError> {
        let name = hash.to_string();
        let aside = Path::from_iter(["damaged", &name[..2], &name]);
        Ok(self.objects.rename(&original(hash), &aside).await?)
    }

    /// Keeps a thumbnail, with its hash behind it; it can be made again, so it
    /// may be replaced.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn put_thumbnail(&self, hash: &PhotoHash, jpeg: Vec<u8>) -> Result<(), BlobError> {
        let sealed = [&jpeg[..], &Sha256::digest(&jpeg)[..]].concat();
        self.thumbnails.put(&thumbnail(hash), sealed.into()).await?;
        Ok(())
    }

    /// A thumbnail's bytes. One that a power cut has torn, or of which a bit
    /// has flipped since, is not there.
    ///
    /// # Errors
    /// [`BlobError::Missing`], or what the disk says.
    pub async fn get_thumbnail(&self, hash: &PhotoHash) -> Result<Vec<u8>, BlobError> {
        let mut bytes = self.thumbnails.get(&thumbnail(hash)).await?.bytes().await?.to_vec();
        let Some(end) = bytes.len().checked_sub(HASH_BYTES) else { return Err(BlobError::Missing) };
        let found = bytes.split_off(end);
        if Sha256::digest(&bytes)[..] == found[..] { Ok(bytes) } else { Err(BlobError::Missing) }
    }
}

/// The hash of a file's bytes, and its type by the first of them. Reads a part
/// at a time: photos are many and memory is not.
fn hashed(files: &dyn Files, path: &FilePath) -> io::Result<(PhotoHash, &'static str)> {
    let mut file = files.read(path)?;
    let (mut hasher, mut part) = (Sha256::new(), vec![0; HASHED_AT_ONCE]);
    let mut media_type = None;
    loop {
        let count = file.read(&mut part)?;
        let read = part.get(..count).unwrap_or_default();
        let media_type = *media_type.get_or_insert_with(|| sniff::media_type(read));
        if count == 0 {
            return Ok((PhotoHash(hasher.finalize().into()), media_type));
        }
        hasher.update(read);
    }
}

/// Gives a flushed file a second name, and makes the name durable.
fn link(files: &dyn Files, file: &FilePath, name: &FilePath) -> io::Result<()> {
    files.link(file, name)?;
    name.parent().map_or(Ok(()), |folder| files.sync_folder(folder))
}

/// Every folder of originals, so that a photo that comes never has to make one,
/// and none waits for another's to be durable.
fn make_folders(files: &dyn Files, folder: &FilePath) -> io::Result<()> {
    let originals = folder.join(ORIGINALS);
    for first in 0..=u8::MAX {
        files.make_folder(&originals.join(format!("{first:02x}")))?;
    }
    files.sync_folder(&originals)?;
    files.sync_folder(folder)
}

/// Two levels, so that no folder has more than a few thousand names.
fn original(hash: &PhotoHash) -> Path {
    let name = hash.to_string();
    Path::from_iter([ORIGINALS, &name[..2], &name])
}

fn thumbnail(hash: &PhotoHash) -> Path {
    let name = hash.to_string();
    Path::from_iter(["thumbnails", &name[..2], &name])
}
