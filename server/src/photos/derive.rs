//! Thumbnails and EXIF, in the background. A photo that cannot be decoded
//! keeps its original and gets the reason; nothing here is needed for the
//! acknowledgement.
//!
//! What anyone may send is decoded by libraries, so it may take the whole
//! server down. All pictures share one amount of memory, which each takes
//! before it is read and again, by its headers, before it is decoded. And each
//! attempt is noted first: a photo with an attempt that did not come back is
//! tried once more, last and alone, and then no more.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use duxue_document::PhotoHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::config::in_use;
use crate::store::{Store, StoreError};

use super::blobs::{BlobError, Blobs};
use super::files::Files;
use super::picture::{self, Decoder, Look, Thumbnail, too_large, undecodable};
use super::rows::{self, Derivation, Exif, PhotoFacts};

/// Photos waiting in memory. More than that are found in the store.
const QUEUE: usize = 256;
/// Attempts that do not come back before a photo is given up.
pub(super) const ATTEMPTS: u32 = 2;

/// The lowest priority that a thread can have.
#[cfg(target_os = "linux")]
const LAST: i32 = 19;

enum Work {
    Photo(PhotoHash),
    /// Answered when all that came before it is done.
    Barrier(oneshot::Sender<()>),
}

/// Where photos wait to be derived. Dropping it ends the work.
pub struct Queue {
    sender: mpsc::Sender<Work>,
    /// Whether some did not fit, so that the store has to be searched.
    overflowed: Arc<AtomicBool>,
    pub(super) memory: Memory,
}

impl Queue {
    pub(super) fn push(&self, hash: PhotoHash) {
        if self.sender.try_send(Work::Photo(hash)).is_err() {
            self.overflowed.store(true, Ordering::Release);
        }
    }

    pub(super) async fn idle(&self) {
        let (sender, receiver) = oneshot::channel();
        // An error on either side means that the worker ended.
        if self.sender.send(Work::Barrier(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }

    /// Shows in the metrics what is in use of the memory.
    pub(super) fn show_use(&self) {
        in_use("image_memory_bytes", self.memory.in_use());
    }
}

/// The memory of all pictures that are decoded at once, in KiB.
#[derive(Clone)]
pub(super) struct Memory {
    free: Arc<Semaphore>,
    total: u32,
}

impl Memory {
    fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
        Self { free: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until so much is free; `None` if there never is.
    pub(super) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes.div_ceil(1 << 10)).ok().filter(|wanted| *wanted <= self.total)?;
        // The semaphore is never closed.
        Arc::clone(&self.free).acquire_many_owned(wanted).await.ok()
    }

    /// Bytes.
    pub(super) fn in_use(&self) -> usize {
        (self.total as usize).saturating_sub(self.free.available_permits()) << 10
    }
}

/// Starts the worker; it begins with what an earlier run left.
pub(super) fn start(files: Arc<dyn Files>, store: Arc<dyn Store>, blobs: Blobs, limits: Decoder) -> Queue {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let overflowed = Arc::new(AtomicBool::new(true));
    let memory = Memory::new(limits.memory_bytes);
    let worker = Worker {
        files,
        store,
        blobs,
        cores: Arc::new(Semaphore::new(cores() as usize)),
        memory: memory.clone(),
        running: Arc::default(),
        overflowed: Arc::clone(&overflowed),
        limits,
    };
    tokio::spawn(worker.run(receiver));
    Queue { sender, overflowed, memory }
}

fn cores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(1)
}

/// Why a photo cannot be derived now.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Blob(error.into())
    }
}

/// A photo that is worked on, until this is dropped.
struct Running {
    all: Arc<Mutex<HashSet<PhotoHash>>>,
    hash: PhotoHash,
}

impl Running {
    /// `None` while the photo is worked on already.
    fn begin(all: &Arc<Mutex<HashSet<PhotoHash>>>, hash: PhotoHash) -> Option<Self> {
        let is_first = all.lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
        is_first.then(|| Self { all: Arc::clone(all), hash })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.hash);
    }
}

/// A photo that may be decoded, with all that it takes.
struct Ready {
    running: Running,
    attempts: u32,
    bytes: Vec<u8>,
    claims: Exif,
    /// Given back when it is decoded.
    held: [OwnedSemaphorePermit; 3],
}

#[derive(Clone)]
struct Worker {
    files: Arc<dyn Files>,
    store: Arc<dyn Store>,
    blobs: Blobs,
    cores: Arc<Semaphore>,
    memory: Memory,
    running: Arc<Mutex<HashSet<PhotoHash>>>,
    overflowed: Arc<AtomicBool>,
    limits: Decoder,
}

impl Worker {
    async fn run(self, mut receiver: mpsc::Receiver<Work>) {
        self.catch_up().await;
        while let Some(work) = receiver.recv().await {
            if let Work::Photo(hash) = &work {
                self.begin(*hash).await;
            }
            self.catch_up().await;
            if let Work::Barrier(done) = work {
                self.wait_for_all().await;
                // Nobody may be waiting any more.
                let _ = done.send(());
            }
        }
    }

    /// Finds in the store what did not fit in the queue.
    async fn catch_up(&self) {
        if !self.overflowed.swap(false, Ordering::AcqRel) {
            return;
        }
        match rows::backlog(&*self.store).await {
            Ok(backlog) => {
                for hash in backlog {
                    self.begin(hash).await;
                }
            }
            Err(error) => tracing::error!(%error, "cannot find the photos to derive"),
        }
    }

    /// Starts one as soon as a core and memory are free.
    async fn begin(&self, hash: PhotoHash) {
        let Some(running) = Running::begin(&self.running, hash) else { return };
        match self.prepare(running).await {
            Ok(Some(ready)) => {
                let worker = self.clone();
                tokio::spawn(async move {
                    worker.decode(ready).await.unwrap_or_else(|error| put_off(&hash, &error));
                });
            }
            Ok(None) => {}
            Err(error) => put_off(&hash, &error),
        }
    }

    async fn wait_for_all(&self) {
        // The semaphore is never closed.
        let _ = self.cores.acquire_many(cores()).await;
    }

    /// Does work on a thread of its own, where others would wait for it.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        if self.files.waits() { in_background(work).await } else { Ok(work()) }
    }

    /// Reads a photo and looks at it; `None` if there is nothing to decode.
    ///
    /// Only one photo at a time is here, and it alone waits with memory in
    /// hand: all others have what they need, so they end and give it back.
    async fn prepare(&self, running: Running) -> Result<Option<Ready>, Failed> {
        let hash = running.hash;
        let attempts = rows::attempts(&*self.store, &hash).await?;
        if attempts >= ATTEMPTS {
            tracing::error!(photo = %hash, "a photo is not decoded again: it may have ended the server");
            self.store_facts(&hash, undecodable("gave_up"), Exif::default()).await?;
            return Ok(None);
        }
        let shares = if attempts == 0 { 1 } else { cores() };
        // The semaphore is never closed.
        let Ok(core) = Arc::clone(&self.cores).acquire_many_owned(shares).await else { return Ok(None) };
        let length = self.blobs.length(&hash).await?.ok_or(BlobError::Missing)?;
        let Some(of_file) = self.memory.take(picture::of_file(length)).await else {
            self.store_facts(&hash, too_large("image_memory_bytes"), Exif::default()).await?;
            return Ok(None);
        };
        let (bytes, limits) = (self.blobs.get(&hash).await?, self.limits);
        let looked = self.apart(move || {
            let look = (PhotoHash::of(&bytes) == hash).then(|| picture::look(&bytes, limits));
            look.map(|look| (look, bytes)).ok_or(BlobError::Damaged(hash))
        });
        let (Look { claims, decoding }, bytes) = looked.await??;
        let of_pixels = match decoding {
            // As much as there ever is was checked.
            Ok(needed) => self.memory.take(needed).await.ok_or_else(|| too_large("image_memory_bytes")),
            Err(why) => Err(why),
        };
        match of_pixels {
            Ok(of_pixels) => {
                Ok(Some(Ready { running, attempts, bytes, claims, held: [core, of_file, of_pixels] }))
            }
            Err(why) => {
                self.store_facts(&hash, why, claims).await?;
                Ok(None)
            }
        }
    }

    async fn decode(&self, ready: Ready) -> Result<(), Failed> {
        let Ready { running, attempts, bytes, claims, held } = ready;
        let hash = &running.hash;
        self.store.commit(vec![rows::put_attempts(hash, attempts + 1)?]).await?;
        let derivation = match self.put_thumbnail(hash, bytes).await {
            Ok(derivation) => derivation,
            Err(error) => {
                // It came back, whatever the disk says of its thumbnail.
                self.store.commit(vec![rows::remove_attempts(hash)]).await?;
                return Err(error);
            }
        };
        self.store_facts(hash, derivation, claims).await?;
        drop(held);
        Ok(())
    }

    async fn put_thumbnail(&self, hash: &PhotoHash, bytes: Vec<u8>) -> Result<Derivation, Failed> {
        match self.apart(move || picture::thumbnail(&bytes)).await? {
            Ok(Thumbnail { width, height, jpeg }) => {
                self.blobs.put_thumbnail(hash, jpeg).await?;
                Ok(Derivation::Done { width, height })
            }
            Err(why) => Ok(why),
        }
    }

    /// Stores what became of a photo, and that no attempt is open.
    async fn store_facts(
        &self,
        hash: &PhotoHash,
        derivation: Derivation,
        claims: Exif,
    ) -> Result<(), StoreError> {
        let facts = rows::put_facts(hash, &PhotoFacts { derivation, claims })?;
        self.store.commit(vec![facts, rows::remove_attempts(hash)]).await.map(drop)
    }
}

/// Without a row a photo is tried again at the next start.
fn put_off(hash: &PhotoHash, error: &Failed) {
    tracing::error!(%error, photo = %hash, "a photo could not be derived");
}

/// Runs work on a thread that the system serves last: people wait for their
/// receipts, and nobody for this.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("derive".to_owned()).spawn(move || {
        // On Linux priorities are those of threads. Without it the work only
        // takes more of what others could use.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, LAST);
        // Whoever asked may be gone.
        let _ = sender.send(work());
    })?;
    receiver.await.map_err(io::Error::other)
}
