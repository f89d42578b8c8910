//! Whose messages are worked on: everybody's, and of one person never so many
//! that the others have to wait for them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one person's sessions share.
#[derive(Debug, Clone)]
pub struct Share {
    /// One message at a time is taken apart, if that is much work.
    apart: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    most: usize,
}

impl Share {
    /// So many bytes in flight.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { apart: Arc::new(Semaphore::new(1)), bytes: Arc::new(Semaphore::new(bytes)), most: bytes }
    }

    /// Bytes that are in flight.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.most - self.bytes.available_permits()
    }
}

/// What all sessions share.
#[derive(Debug)]
pub struct Turns {
    apart: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    most: usize,
}

/// A message's place among those that are taken apart.
pub struct Apart(#[expect(dead_code, reason = "held, not read")] [OwnedSemaphorePermit; 2]);

/// The bytes of a message that is worked on.
pub struct InFlight(#[expect(dead_code, reason = "held, not read")] [OwnedSemaphorePermit; 2]);

impl Turns {
    /// So many bytes in flight, and no more messages taken apart at once than
    /// would be if each were as large as it may be.
    #[must_use]
    pub fn new(bytes: usize, largest: usize) -> Self {
        let apart = (bytes / largest.max(1)).clamp(1, Semaphore::MAX_PERMITS);
        Self { apart: Arc::new(Semaphore::new(apart)), bytes: Arc::new(Semaphore::new(bytes)), most: bytes }
    }

    /// Bytes that are in flight.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.most.saturating_sub(self.bytes.available_permits())
    }

    /// Waits for a turn to take a large message apart; first for one of the
    /// person's own, so that who waits for oneself takes nobody else's place.
    /// `None` once the hub stops.
    pub async fn apart(&self, share: &Share) -> Option<Apart> {
        let own = Arc::clone(&share.apart).acquire_owned().await.ok()?;
        let turn = Arc::clone(&self.apart).acquire_owned().await.ok()?;
        Some(Apart([own, turn]))
    }

    /// Waits until a message of so many bytes may be in flight. One that is
    /// over the share by itself takes all of that, so that each gets its turn.
    /// `None` once the hub stops.
    pub async fn in_flight(&self, share: &Share, weight: usize) -> Option<InFlight> {
        let most = share.most.min(self.most).max(1);
        let weight = u32::try_from(weight.clamp(1, most)).unwrap_or(u32::MAX);
        let own = Arc::clone(&share.bytes).acquire_many_owned(weight).await.ok()?;
        let turn = Arc::clone(&self.bytes).acquire_many_owned(weight).await.ok()?;
        Some(InFlight([own, turn]))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_person_never_takes_what_others_need() {
        let turns = Turns::new(100, 25);
        let (one, other) = (Share::new(30), Share::new(30));
        let now = |share: &Share, weight| turns.in_flight(share, weight).now_or_never().flatten();
        let first = now(&one, 25).expect("there is room");
        assert!(now(&one, 10).is_none(), "over one's own");
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
