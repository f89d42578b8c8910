//! Room on the disk that photos may take: what is free, less what stays free
//! for measurements, less what running uploads were promised.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::refused;
use crate::fault::Fault;

use super::faults;
use super::files::Files;

/// How many bytes are free now; a parameter, so that a disk that fills up can
/// be tested.
pub(super) type Free = Arc<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// The free bytes of the disk that a folder is on.
pub(super) fn of(files: Arc<dyn Files>, folder: PathBuf) -> Free {
    Arc::new(move || files.free_bytes(&folder))
}

pub(super) struct Room {
    free: Free,
    reserve: u64,
    promised: Arc<Promised>,
}

/// Bytes that running uploads were promised and have not written.
#[derive(Default)]
struct Promised(Mutex<u64>);

impl Promised {
    fn lock(&self) -> MutexGuard<'_, u64> {
        // A number is whole even where a thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub fn new(free: Free, reserve: u64) -> Self {
        Self { free, reserve, promised: Arc::default() }
    }

    /// Promises room for so many bytes, if they and all that is promised
    /// leave free what photos are to leave. A local file system knows by heart
    /// what is free, so nobody waits for a disk here.
    pub fn promise(&self, bytes: u64) -> Result<Promise, Fault> {
        let mut promised = self.promised.lock();
        let free = (self.free)().map_err(|error| faults::io(&error))?;
        if free < self.reserve.saturating_add(*promised).saturating_add(bytes) {
            refused("photo_reserve_bytes");
            return Err(faults::no_room());
        }
        *promised += bytes;
        Ok(Promise { promised: Arc::clone(&self.promised), left: bytes })
    }
}

/// Room that an upload has not used yet; dropping it gives the rest back.
pub(super) struct Promise {
    promised: Arc<Promised>,
    left: u64,
}

impl Promise {
    /// Only so many bytes are still to come; the others are on the disk, which
    /// counts them itself.
    pub fn shrink(&mut self, left: u64) {
        *self.promised.lock() -= self.left.saturating_sub(left);
        self.left = self.left.min(left);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_is_promised_and_not_yet_on_the_disk_counts() {
        let free = Arc::new(AtomicU64::new(1_000));
        let disk = Arc::clone(&free);
        let room = Room::new(Arc::new(move || Ok(disk.load(Ordering::Acquire))), 100);
        let mut first = room.promise(500).unwrap();
        let fits = |bytes| room.promise(bytes).is_ok();
        assert!(fits(400) && !fits(401), "what a promise that ended had is free again");
        // Written to the disk, which has so much less.
        free.store(700, Ordering::Release);
        first.shrink(200);
        assert!(fits(400) && !fits(401), "nothing counts twice");
        drop(first);
        assert!(fits(600) && !fits(601));
        assert_eq!(*room.promised.lock(), 0);
    }
}
