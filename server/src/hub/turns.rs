//! Whose messages are worked on: everybody's, and of one person never so many
//! that the others have to wait for them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::refused;

/// What one person's sessions share.
#[derive(Debug, Clone)]
pub struct Share {
    /// One message at a time is taken apart, if that is much work.
    apart: Arc<Semaphore>,
    bytes: Bytes,
    received: Bytes,
}

impl Share {
    /// So many bytes in flight, and as many that are received and wait.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let own = || Bytes::new("in_flight_bytes_per_person", bytes);
        Self { apart: Arc::new(Semaphore::new(1)), bytes: own(), received: own() }
    }

    /// Bytes that are in flight.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.bytes.in_use()
    }
}

/// So many bytes, for whoever comes first.
#[derive(Debug, Clone)]
struct Bytes {
    /// The setting that says how many.
    limit: &'static str,
    free: Arc<Semaphore>,
    most: usize,
}

impl Bytes {
    fn new(limit: &'static str, most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { limit, free: Arc::new(Semaphore::new(most)), most }
    }

    fn in_use(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }

    /// Takes so many of a person's own, and then of all. What is over the share
    /// by itself takes all of that, so that each gets its turn.
    async fn take(&self, own: &Self, weight: usize) -> Option<InFlight> {
        let weight = weight.clamp(1, own.most.min(self.most).max(1));
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        Some(InFlight([own.wait(weight).await?, self.wait(weight).await?]))
    }

    /// Waits for so many; that it has to is counted.
    async fn wait(&self, weight: u32) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_many_owned(weight) {
            return Some(permit);
        }
        refused(self.limit);
        Arc::clone(&self.free).acquire_many_owned(weight).await.ok()
    }
}

/// What all sessions share.
#[derive(Debug)]
pub struct Turns {
    apart: Arc<Semaphore>,
    bytes: Bytes,
    received: Bytes,
}

/// A message's place among those that are taken apart.
pub struct Apart(#[expect(dead_code, reason = "held, not read")] [OwnedSemaphorePermit; 2]);

/// The bytes of a message that is worked on, or received.
pub struct InFlight(#[expect(dead_code, reason = "held, not read")] [OwnedSemaphorePermit; 2]);

impl Turns {
    /// So many bytes in flight, and no more messages taken apart at once than
    /// would be if each were as large as it may be; so many received.
    #[must_use]
    pub fn new(bytes: usize, largest: usize, received: usize) -> Self {
        let apart = (bytes / largest.max(1)).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            apart: Arc::new(Semaphore::new(apart)),
            bytes: Bytes::new("in_flight_bytes", bytes),
            received: Bytes::new("received_bytes", received),
        }
    }

    /// Bytes that are in flight.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.bytes.in_use()
    }

    /// Bytes of large messages that are received and not taken in.
    #[must_use]
    pub fn received_in_use(&self) -> usize {
        self.received.in_use()
    }

    /// Waits for a turn to take a large message apart; first for one of the
    /// person's own, so that who waits for oneself takes nobody else's place.
    /// `None` once the hub stops.
    pub async fn apart(&self, share: &Share) -> Option<Apart> {
        let own = Arc::clone(&share.apart).acquire_owned().await.ok()?;
        let turn = Arc::clone(&self.apart).acquire_owned().await.ok()?;
        Some(Apart([own, turn]))
    }

    /// Waits until a message of so many bytes may be in flight. `None` once the
    /// hub stops.
    pub async fn in_flight(&self, share: &Share, weight: usize) -> Option<InFlight> {
        self.bytes.take(&share.bytes, weight).await
    }

    /// Waits until a message of so many bytes may be received. It keeps them
    /// until it is in flight, and nothing that is in flight waits for them.
    /// `None` once the hub stops.
    pub async fn received(&self, share: &Share, bytes: usize) -> Option<InFlight> {
        self.received.take(&share.received, bytes).await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use crate::config::counted::Counted;

    use super::*;

    #[test]
    fn one_person_never_takes_what_others_need() {
        let turns = Turns::new(100, 25, 100);
        let (one, other) = (Share::new(30), Share::new(30));
        let now = |share: &Share, weight| turns.in_flight(share, weight).now_or_never().flatten();
        let first = now(&one, 25).expect("there is room");
        let counted = Counted::new();
        assert!(now(&one, 10).is_none(), "over one's own");
        assert_eq!(counted.refused("in_flight_bytes_per_person"), 1, "it has to wait");
        let second = now(&other, 1_000).expect("as much as one may have");
        assert_eq!((one.in_use(), other.in_use(), turns.in_use()), (25, 30, 55));
        drop((first, second));
        assert!(now(&one, 30).is_some());
        assert_eq!(turns.in_use(), 0);

        let apart = |share: &Share| turns.apart(share).now_or_never().flatten();
        let first = apart(&one).expect("a turn");
        assert!(apart(&one).is_none() && apart(&other).is_some());
        drop(first);
        assert!(apart(&one).is_some());
    }
}
