//! Photos: evidence by hash, taken in resumably, kept for ever.
//!
//! A photo's only name is the SHA-256 of its bytes. [`tus`] takes bytes in
//! and flushes them as they come ([`staging`]); [`finish`] sees to it that the
//! hash is right, taken as they were written ([`writing`]) or by reading them
//! again, puts the photo among the [`blobs`], commits its row, and only then is
//! it acknowledged. [`mod@derive`] makes thumbnails and reads EXIF afterwards
//! ([`picture`]), and [`serve`] gives originals and thumbnails to those who may see them.
//!
//! Who may do what is decided elsewhere: the caller passes two functions that
//! turn a bearer token into an [`Uploader`] and a [`Reader`].

mod append;
mod aside;
mod blobs;
mod body;
mod brought;
mod check;
mod derive;
mod exif;
mod faults;
pub mod faulty;
pub mod files;
mod finish;
mod layout;
mod picture;
mod room;
mod rows;
mod serve;
mod sniff;
mod staging;
#[cfg(test)]
mod tests;
mod tus;
mod writing;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duxue_document::{DeviceId, PersonId, PhotoHash, RoundId, SchoolId};
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::config::{self, in_use};
use crate::fault::Fault;
use crate::store::{Store, StoreError};

pub use blobs::{BlobError, Blobs, Seen};
pub use check::Checked;
pub use derive::Queue;
pub use picture::{Decoder, derive};
pub use rows::{Derivation, Exif, LinkRow, PhotoFacts, PhotoRow};
pub use staging::StagingError;

use brought::Brought;
use files::Files;

/// Photos put at the same time. Each waits for the disk and holds little
/// memory, and flushes at the same time share the disk's work.
const FINISHING: u32 = 32;
/// Photos looked for at the same time.
const LOOKED_AT: usize = 16;

/// Limits and places; the defaults suit one county.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds `blobs`, `staging` and `aside`; all on one file system.
    pub folder: PathBuf,
    /// Bytes of one photo.
    pub photo_bytes: u64,
    /// Unfinished uploads of one person.
    pub uploads_per_person: usize,
    /// Declared bytes of all unfinished uploads of one person.
    pub staged_bytes_per_person: u64,
    /// How long an unfinished upload is kept, in milliseconds.
    pub expiry_ms: i64,
    /// How long a connection may send nothing.
    pub idle: Duration,
    /// Bytes kept of uploads whose hash did not match; beyond that the newest
    /// are dropped.
    pub aside_bytes: u64,
    /// Files of them; two for each upload.
    pub aside_files: u64,
    /// Finished uploads that can still be asked for; older ones are "not
    /// there", and a client that starts them again is told that the photo is
    /// here.
    pub remembered: usize,
    /// Bytes of the disk that are left free for the journal and its index.
    pub reserve_bytes: u64,
    /// Photos that one person may have brought in one round.
    pub photos_per_person: u64,
    /// Bytes of them.
    pub bytes_per_person: u64,
    /// What decoding pictures may cost.
    pub decoder: Decoder,
}

impl Settings {
    /// The defaults in this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        config::Limits::default().photos(folder)
    }
}

/// Whether a right of a person reaches a school in a round.
pub type Reaches = Arc<dyn Fn(&RoundId, &SchoolId) -> bool + Send + Sync>;

/// Someone who sends photos.
#[derive(Clone)]
pub struct Uploader {
    /// The person.
    pub person: PersonId,
    /// The device of the session, if any.
    pub device: Option<DeviceId>,
    /// Whether the person may write the survey.
    pub may_write: Reaches,
    /// Whether the person may read the survey, and see its photos.
    pub may_read: Reaches,
}

/// Someone who looks at photos.
#[derive(Clone)]
pub struct Reader {
    /// Whether the person may read the survey.
    pub may_read: Reaches,
}

/// Turns a bearer token into rights, or says why not.
pub type Authorize<T> = Arc<dyn Fn(Option<&str>) -> Result<T, Fault> + Send + Sync>;

/// The server's clock, a parameter so that expiry can be tested.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Counts bytes that are about to be written into the journal for a person, or
/// says that nobody may have so much written.
pub type Count = Arc<dyn Fn(&PersonId, u64) -> Result<(), Fault> + Send + Sync>;

/// Why the photo store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of finished photos.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The folder of unfinished uploads.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The rows of photos.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The photo store of one data folder.
pub struct Photos {
    settings: Settings,
    brought: Brought,
    store: Arc<dyn Store>,
    blobs: Blobs,
    staging: staging::Staging,
    queue: Queue,
    room: room::Room,
    now: Clock,
    count: Count,
    /// Held by whoever puts photos, and whole by whoever sets one aside.
    finishing: Semaphore,
}

impl Photos {
    /// Opens the folder, finds unfinished uploads, and starts to derive what
    /// has no derivative yet. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`] where a folder cannot be made or read.
    pub async fn open(
        files: Arc<dyn Files>,
        settings: Settings,
        store: Arc<dyn Store>,
        now: Clock,
        count: Count,
    ) -> Result<Arc<Self>, OpenError> {
        let free = room::of(Arc::clone(&files), settings.folder.clone());
        Self::open_on(free, files, settings, store, now, count).await
    }

    /// The same on a disk with so much free.
    async fn open_on(
        free: room::Free,
        files: Arc<dyn Files>,
        settings: Settings,
        store: Arc<dyn Store>,
        now: Clock,
        count: Count,
    ) -> Result<Arc<Self>, OpenError> {
        let blobs = Blobs::open(Arc::clone(&files), &settings.folder.join("blobs"))?;
        let staging = staging::Staging::open(Arc::clone(&files), &settings).await?;
        let room = room::Room::new(Arc::clone(&files), free, settings.reserve_bytes);
        let queue = derive::start(files, Arc::clone(&store), blobs.clone(), settings.decoder);
        let brought = Brought::default();
        for row in rows::all(&*store).await? {
            brought.add(&row.person, &row.round, row.length);
        }
        Ok(Arc::new(Self {
            settings,
            brought,
            store,
            blobs,
            staging,
            queue,
            room,
            now,
            count,
            finishing: Semaphore::new(FINISHING as usize),
        }))
    }

    /// Which of these photos are durable here: row and bytes, and a link to a
    /// school that counts for whoever asks. Bytes of which
    /// the daily check found that they are damaged are not here, nor is a
    /// photo that cannot be looked for now: that says nothing of the others.
    pub async fn here(
        &self,
        asked: &BTreeSet<PhotoHash>,
        counts: &(dyn Fn(&LinkRow) -> bool + Sync),
    ) -> BTreeSet<PhotoHash> {
        let found = stream::iter(asked.iter().copied()).map(|hash| async move {
            let here = self.is_here(&hash, counts).await.unwrap_or_else(|fault| {
                tracing::warn!(%hash, code = &*fault.problem.code, "a photo cannot be looked for");
                false
            });
            here.then_some(hash)
        });
        found.buffer_unordered(LOOKED_AT).filter_map(std::future::ready).collect().await
    }

    async fn is_here(
        &self,
        hash: &PhotoHash,
        counts: &(dyn Fn(&LinkRow) -> bool + Sync),
    ) -> Result<bool, Fault> {
        if !rows::links(&*self.store, hash).await?.iter().any(counts) {
            return Ok(false);
        }
        let Some(row) = self.photo(hash).await? else { return Ok(false) };
        Ok(self.has_bytes(hash, row.length).await?)
    }

    /// Whether the bytes of a photo are here in this length.
    async fn has_bytes(&self, hash: &PhotoHash, length: u64) -> Result<bool, BlobError> {
        Ok(self.blobs.length(hash).await? == Some(length))
    }

    /// The row of a photo that is here.
    ///
    /// # Errors
    /// What the store says.
    pub async fn photo(&self, hash: &PhotoHash) -> Result<Option<PhotoRow>, StoreError> {
        rows::photo(&*self.store, hash).await
    }

    /// What was derived from a photo; `None` while it waits.
    ///
    /// # Errors
    /// What the store says.
    pub async fn facts(&self, hash: &PhotoHash) -> Result<Option<PhotoFacts>, StoreError> {
        rows::facts(&*self.store, hash).await
    }

    /// Shows in the metrics what is in use of the limits here.
    pub fn show_use(&self) {
        self.staging.show_use();
        self.queue.show_use();
        let most = self.brought.most();
        in_use("photos_per_person", usize::try_from(most.photos).unwrap_or(usize::MAX));
        in_use("photo_bytes_per_person", usize::try_from(most.bytes).unwrap_or(usize::MAX));
    }

    /// Removes uploads that expired. To be called now and then.
    pub async fn sweep(&self) {
        self.staging.sweep((self.now)()).await;
    }

    /// Waits until everything queued so far is derived.
    pub async fn derived(&self) {
        self.queue.idle().await;
    }

    /// The routes: tus under `/api/files`, photos under `/api/photos`. None
    /// rejects once its path has matched.
    pub fn routes(
        self: &Arc<Self>,
        upload: Authorize<Uploader>,
        read: Authorize<Reader>,
    ) -> BoxedFilter<(Response,)> {
        tus::routes(self, upload).or(serve::routes(self, read)).unify().boxed()
    }
}
