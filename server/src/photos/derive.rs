//! Thumbnails and EXIF, in the background. A photo that cannot be decoded
//! keeps its original and gets the reason; nothing here is needed for the
//! acknowledgement.

use std::io::{self, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use duxue_document::PhotoHash;
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::config::refused;
use crate::store::Store;

use super::blobs::{BlobError, Blobs};
use super::files::Files;
use super::rows::{self, Derivation, PhotoFacts};
use super::{exif, sniff};

/// Photos waiting in memory. More than that are found in the store.
const QUEUE: usize = 256;
const THUMBNAIL_SIDE: u32 = 320;
const THUMBNAIL_QUALITY: u8 = 80;

/// The lowest priority that a thread can have.
#[cfg(target_os = "linux")]
const LAST: i32 = 19;

/// What decoding one picture may cost. The reasons stand in the settings'
/// section `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    /// Pixels of a side.
    pub side: u32,
    /// Pixels in all.
    pub pixels: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { side: 12_000, pixels: 100_000_000, memory_bytes: 400 << 20 }
    }
}

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
}

/// Starts the worker; it begins with what an earlier run left.
pub(super) fn start(files: Arc<dyn Files>, store: Arc<dyn Store>, blobs: Blobs, limits: Decoder) -> Queue {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let overflowed = Arc::new(AtomicBool::new(true));
    let worker = Worker {
        files,
        store,
        blobs,
        cores: Arc::new(Semaphore::new(cores())),
        overflowed: Arc::clone(&overflowed),
        limits,
    };
    tokio::spawn(worker.run(receiver));
    Queue { sender, overflowed }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[derive(Clone)]
struct Worker {
    files: Arc<dyn Files>,
    store: Arc<dyn Store>,
    blobs: Blobs,
    cores: Arc<Semaphore>,
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

    /// Starts one as soon as a core is free: that bounds memory too.
    async fn begin(&self, hash: PhotoHash) {
        let Ok(permit) = Arc::clone(&self.cores).acquire_owned().await else { return };
        let worker = self.clone();
        tokio::spawn(async move {
            worker.derive_and_store(&hash).await;
            drop(permit);
        });
    }

    async fn wait_for_all(&self) {
        let all = u32::try_from(cores()).unwrap_or(1);
        // The semaphore is never closed.
        let _ = self.cores.acquire_many(all).await;
    }

    async fn derive_and_store(&self, hash: &PhotoHash) {
        let facts = match self.derive(hash).await {
            Ok(facts) => facts,
            Err(error) => {
                // Without a row it is tried again at the next start.
                tracing::error!(%error, photo = %hash, "a photo could not be derived");
                return;
            }
        };
        let stored = match rows::put_facts(hash, &facts) {
            Ok(record) => self.store.commit(vec![record]).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::error!(%error, photo = %hash, "a photo's facts could not be stored");
        }
    }

    async fn derive(&self, hash: &PhotoHash) -> Result<PhotoFacts, BlobError> {
        let bytes = self.blobs.get(hash).await?;
        let (wanted, limits) = (*hash, self.limits);
        let work = move || {
            (PhotoHash::of(&bytes) == wanted)
                .then(|| derive(&bytes, limits))
                .ok_or(BlobError::Damaged(wanted))
        };
        let derived = if self.files.waits() { in_background(work).await? } else { work() };
        let (facts, thumbnail) = derived?;
        if let Some(jpeg) = thumbnail {
            self.blobs.put_thumbnail(hash, jpeg).await?;
        }
        Ok(facts)
    }
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

/// Everything that can be had from a photo's bytes. Never panics.
#[must_use]
pub fn derive(bytes: &[u8], limits: Decoder) -> (PhotoFacts, Option<Vec<u8>>) {
    // The libraries read what anyone may send; a panic is that photo's problem.
    let claims = catch_unwind(AssertUnwindSafe(|| exif::claims(bytes))).unwrap_or_default();
    let thumbnail = catch_unwind(AssertUnwindSafe(|| thumbnail(bytes, limits)))
        .unwrap_or_else(|_| Err(undecodable("malformed")));
    match thumbnail {
        Ok((width, height, jpeg)) => {
            (PhotoFacts { derivation: Derivation::Done { width, height }, claims }, Some(jpeg))
        }
        Err(derivation) => (PhotoFacts { derivation, claims }, None),
    }
}

fn undecodable(reason: &str) -> Derivation {
    Derivation::Undecodable { reason: reason.to_owned() }
}

fn too_large(limit: &'static str) -> Derivation {
    refused(limit);
    undecodable("too_large")
}

/// Width and height of the original and a JPEG of at most 320 pixels a side,
/// upright, without any metadata.
fn thumbnail(bytes: &[u8], allowed: Decoder) -> Result<(u32, u32, Vec<u8>), Derivation> {
    match sniff::media_type(bytes) {
        "image/jpeg" if !sniff::jpeg_is_complete(bytes) => return Err(undecodable("truncated")),
        "image/jpeg" | "image/png" | "image/webp" => {}
        _ => return Err(Derivation::Opaque),
    }
    let malformed = |error: image::ImageError| match error {
        image::ImageError::Limits(_) => too_large("image_memory_bytes"),
        _ => undecodable("malformed"),
    };
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| undecodable("malformed"))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(allowed.memory_bytes);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(malformed)?;
    let (width, height) = decoder.dimensions();
    // Before any pixel is decoded: a few hundred bytes can claim gigabytes.
    if width.max(height) > allowed.side {
        return Err(too_large("image_side"));
    }
    if u64::from(width) * u64::from(height) > allowed.pixels {
        return Err(too_large("image_pixels"));
    }
    // The decoders count what they take beside the pixels, and not these.
    if decoder.total_bytes() > allowed.memory_bytes {
        return Err(too_large("image_memory_bytes"));
    }
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(malformed)?;
    let small = resize(image.into_rgb8()).ok_or_else(|| undecodable("malformed"))?;
    let mut small = DynamicImage::ImageRgb8(small);
    small.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, THUMBNAIL_QUALITY).encode_image(&small).map_err(malformed)?;
    Ok((width, height, jpeg))
}

fn resize(image: RgbImage) -> Option<RgbImage> {
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    if longest <= THUMBNAIL_SIDE {
        return Some(image);
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(THUMBNAIL_SIDE) / u64::from(longest);
        u32::try_from(side).unwrap_or(1).max(1)
    };
    let source = Image::from_vec_u8(width, height, image.into_raw(), PixelType::U8x3).ok()?;
    let mut small = Image::new(scaled(width), scaled(height), PixelType::U8x3);
    let lanczos = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut small, &lanczos).ok()?;
    RgbImage::from_raw(small.width(), small.height(), small.into_vec())
}
