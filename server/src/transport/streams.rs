//! The requests that are open on one HTTP/2 connection: how many, and since
//! when there is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::refused;

/// The open requests of a connection.
pub(super) struct Streams {
    most: usize,
    open: Mutex<Open>,
}

struct Open {
    count: usize,
    begun: bool,
    /// When the last one ended, or the connection began.
    since: Instant,
}

impl Streams {
    /// Of a connection that may have so many at once.
    pub fn new(most: u32) -> Arc<Self> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Arc::new(Self { most, open: Mutex::new(Open { count: 0, begun: false, since: Instant::now() }) })
    }

    /// Counts a request until what is given is dropped. Whatever comes while as
    /// many are open as may be waits at the peer, or the HTTP/2 library refuses
    /// it and says nothing: so that all are taken is what can be counted.
    pub fn open(self: &Arc<Self>) -> Stream {
        let mut open = self.lock();
        (open.count, open.begun) = (open.count + 1, true);
        if open.count >= self.most {
            refused("streams");
        }
        Stream(Arc::clone(self))
    }

    /// Whether there was a request yet.
    pub fn begun(&self) -> bool {
        self.lock().begun
    }

    /// Returns once there was no request for so long.
    pub async fn idle(&self, within: Duration) {
        loop {
            let left = {
                let open = self.lock();
                if open.count == 0 { within.saturating_sub(open.since.elapsed()) } else { within }
            };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open request.
pub(super) struct Stream(Arc<Streams>);

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.0.lock();
        open.count = open.count.saturating_sub(1);
        open.since = Instant::now();
    }
}
