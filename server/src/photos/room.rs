//! Room on the disk that photos may take: what is free, less what stays free
//! for measurements, less what running uploads were promised.
//!
//! A file system that is busy may take its time to say what is free, so it is
//! asked on a thread that may wait, and not for every request: what uploads
//! have written since is counted here, and the reserve is more than all else
//! writes in so short a time.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::refused;
use crate::fault::Fault;

use super::faults;
use super::files::{Files, apart};

/// How long what the disk said of its free bytes is good for.
const FRESH: Duration = Duration::from_millis(250);

/// How many bytes are free now; a parameter, so that a disk that fills up can
/// be tested.
pub(super) type Free = Arc<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// The free bytes of the disk that a folder is on.
pub(super) fn of(files: Arc<dyn Files>, folder: PathBuf) -> Free {
    Arc::new(move || files.free_bytes(&folder))
}

pub(super) struct Room {
    files: Arc<dyn Files>,
    free: Free,
    reserve: u64,
    account: Arc<Account>,
    /// Held by whoever asks the disk.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Account(Mutex<Sums>);

#[derive(Default)]
struct Sums {
    /// What the disk said, and when.
    free: u64,
    at: Option<Instant>,
    /// Bytes that uploads wrote since.
    written: u64,
    /// Bytes that running uploads were promised and have not written.
    promised: u64,
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Sums> {
        // Numbers are whole even where a thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub fn new(files: Arc<dyn Files>, free: Free, reserve: u64) -> Self {
        Self { files, free, reserve, account: Arc::default(), looking: tokio::sync::Mutex::default() }
    }

    /// Promises room for so many bytes, if they and all that is promised
    /// leave free what photos are to leave.
    pub async fn promise(&self, bytes: u64) -> Result<Promise, Fault> {
        self.look().await.map_err(|error| faults::io(&error))?;
        let mut sums = self.account.lock();
        let free = sums.free.saturating_sub(sums.written);
        if free < self.reserve.saturating_add(sums.promised).saturating_add(bytes) {
            refused("photo_reserve_bytes");
            return Err(faults::no_room());
        }
        sums.promised += bytes;
        Ok(Promise { account: Arc::clone(&self.account), left: bytes })
    }

    /// Sees to it that what is known of the disk is fresh.
    async fn look(&self) -> io::Result<()> {
        if self.fresh().is_ok() {
            return Ok(());
        }
        let _looking = self.looking.lock().await;
        // Somebody else may have asked meanwhile.
        let Err(before) = self.fresh() else { return Ok(()) };
        let free = Arc::clone(&self.free);
        let found = apart(&self.files, move |_| free()).await?;
        let mut sums = self.account.lock();
        sums.free = found;
        sums.at = Some(Instant::now());
        // The disk knows of what was written before it was asked; what came
        // while it was asked may count twice until it is asked again.
        sums.written = sums.written.saturating_sub(before);
        Ok(())
    }

    /// Whether what is known is fresh; else what was written since.
    fn fresh(&self) -> Result<(), u64> {
        let sums = self.account.lock();
        if sums.at.is_some_and(|at| at.elapsed() < FRESH) { Ok(()) } else { Err(sums.written) }
    }
}

/// Room that an upload has not used yet; dropping it gives the rest back.
pub(super) struct Promise {
    account: Arc<Account>,
    left: u64,
}

impl Promise {
    /// Only so many bytes are still to come; the others are on the disk.
    pub fn written(&mut self, left: u64) {
        let bytes = self.left.saturating_sub(left);
        let mut sums = self.account.lock();
        sums.promised -= bytes;
        sums.written += bytes;
        self.left -= bytes;
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.account.lock().promised -= self.left;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::future::join_all;

    use crate::photos::files::FileSystem;

    use super::*;

    /// A disk with so much free, and how often it was asked.
    fn disk(free: u64, reserve: u64) -> (Arc<AtomicU64>, Arc<AtomicU64>, Room) {
        let (free, asked) = (Arc::new(AtomicU64::new(free)), Arc::new(AtomicU64::new(0)));
        let (bytes, count) = (Arc::clone(&free), Arc::clone(&asked));
        let ask = Arc::new(move || {
            count.fetch_add(1, Ordering::AcqRel);
            Ok(bytes.load(Ordering::Acquire))
        });
        (free, asked, Room::new(Arc::new(FileSystem), ask, reserve))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_promised_and_not_yet_on_the_disk_counts() {
        let (free, _, room) = disk(1_000, 100);
        let mut first = room.promise(500).await.unwrap();
        let fits = async |bytes| room.promise(bytes).await.is_ok();
        assert!(fits(400).await && !fits(401).await, "what a promise that ended had is free again");
        // Written to the disk, which has so much less when it is asked again.
        free.store(700, Ordering::Release);
        first.written(200);
        for _ in 0..2 {
            assert!(fits(400).await && !fits(401).await, "nothing counts twice");
            tokio::time::advance(FRESH).await;
        }
        drop(first);
        assert!(fits(600).await && !fits(601).await);
        assert_eq!(room.account.lock().promised, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_disk_is_asked_once_in_a_while_and_not_for_every_request() {
        let (free, asked, room) = disk(1_000, 100);
        for round in 1..=3 {
            let promises = join_all((0..50).map(|_| room.promise(1))).await;
            assert!(promises.iter().all(Result::is_ok));
            assert_eq!(asked.load(Ordering::Acquire), round);
            tokio::time::advance(FRESH).await;
        }
        // What others have written is seen when it is asked.
        free.store(100, Ordering::Release);
        assert!(room.promise(1).await.is_err());
        free.store(101, Ordering::Release);
        assert!(room.promise(1).await.is_err());
        tokio::time::advance(FRESH).await;
        assert!(room.promise(1).await.is_ok(), "room that was made is found again");
    }
}
