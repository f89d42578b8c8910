//! Room on the disk that photos may take: what is free, less what stays free
//! for measurements, less what running uploads were promised.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::config::refused;
use crate::fault::Fault;

use super::faults;
use super::files::{Files, apart};

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
    promised: Arc<AtomicU64>,
    /// Held from the look at the disk to the promise.
    asking: Mutex<()>,
}

impl Room {
    pub fn new(files: Arc<dyn Files>, free: Free, reserve: u64) -> Self {
        Self { files, free, reserve, promised: Arc::default(), asking: Mutex::default() }
    }

    /// Promises room for so many bytes, if they and all that is promised
    /// leave free what photos are to leave.
    pub async fn promise(&self, bytes: u64) -> Result<Promise, Fault> {
        let _alone = self.asking.lock().await;
        let free = Arc::clone(&self.free);
        let free = apart(&self.files, move |_| free()).await.map_err(|error| faults::io(&error))?;
        let taken = self.reserve.saturating_add(self.promised.load(Ordering::Acquire));
        if free < taken.saturating_add(bytes) {
            refused("photo_reserve_bytes");
            return Err(faults::no_room());
        }
        self.promised.fetch_add(bytes, Ordering::AcqRel);
        Ok(Promise { promised: Arc::clone(&self.promised), left: AtomicU64::new(bytes) })
    }
}

/// Room that an upload has not used yet; dropping it gives the rest back.
pub(super) struct Promise {
    promised: Arc<AtomicU64>,
    left: AtomicU64,
}

impl Promise {
    /// Only so many bytes are still to come; the others are on the disk, which
    /// counts them itself.
    pub fn shrink(&self, left: u64) {
        let before = self.left.fetch_min(left, Ordering::AcqRel);
        self.promised.fetch_sub(before.saturating_sub(left), Ordering::AcqRel);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photos::files::FileSystem;

    #[tokio::test]
    async fn what_is_promised_and_not_yet_on_the_disk_counts() {
        let free = Arc::new(AtomicU64::new(1_000));
        let disk = Arc::clone(&free);
        let room = Room::new(Arc::new(FileSystem), Arc::new(move || Ok(disk.load(Ordering::Acquire))), 100);
        let first = room.promise(500).await.unwrap();
        let fits = async |bytes| room.promise(bytes).await.is_ok();
        assert!(fits(400).await && !fits(401).await, "what a promise that ended had is free again");
        // Written to the disk, which has so much less.
        free.store(700, Ordering::Release);
        first.shrink(200);
        assert!(fits(400).await && !fits(401).await, "nothing counts twice");
        drop(first);
        assert!(fits(600).await && !fits(601).await);
        assert_eq!(room.promised.load(Ordering::Acquire), 0);
    }
}
