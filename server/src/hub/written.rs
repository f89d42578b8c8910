//! How much each person has had written into the journal lately. Changes that
//! repeat themselves come compressed and are kept inflated: without a bound one
//! person fills the disk at little cost. Sessions, and changes that are set
//! aside, are counted the same way, each as one, by themselves: who may write
//! no more today still comes in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duxue_document::PersonId;
use tokio::time::Instant;

/// In which a whole limit comes back.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What counts, and when that was worked out.
struct Share {
    bytes: u64,
    at: Instant,
}

impl Share {
    /// What still counts now: a limit's bytes are forgotten in a day, evenly.
    fn now(&self, limit: u64) -> u64 {
        let back = u128::from(limit) * self.at.elapsed().as_millis() / DAY.as_millis();
        self.bytes.saturating_sub(u64::try_from(back).unwrap_or(u64::MAX))
    }
}

/// The shares of all people. Asked before and counted after the flush, so that
/// what is written at once may go beyond the limit together by as much as one
/// person may have in flight, and by the rows that this writes.
pub struct Written {
    limit: u64,
    people: Mutex<HashMap<PersonId, Share>>,
}

impl Written {
    /// Nobody has written anything.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, people: Mutex::default() }
    }

    fn people(&self) -> MutexGuard<'_, HashMap<PersonId, Share>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a person may have so much more written.
    #[must_use]
    pub fn allows(&self, person: &PersonId, bytes: u64) -> bool {
        let counted = self.people().get(person).map_or(0, |share| share.now(self.limit));
        counted.saturating_add(bytes) <= self.limit
    }

    /// Counts what was written for a person.
    pub fn add(&self, person: &PersonId, bytes: u64) {
        let mut people = self.people();
        let counted = people.get(person).map_or(0, |share| share.now(self.limit));
        people.insert(person.clone(), Share { bytes: counted.saturating_add(bytes), at: Instant::now() });
    }

    /// The most that anyone has written; forgets those of whom nothing counts.
    pub fn most(&self) -> u64 {
        let mut people = self.people();
        people.retain(|_, share| share.now(self.limit) > 0);
        people.values().map(|share| share.now(self.limit)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_comes_back_evenly_within_a_day() {
        let (li, wang) = (PersonId::new("li").expect("an id"), PersonId::new("wang").expect("an id"));
        let written = Written::new(2_400);
        assert!(written.allows(&li, 2_400) && !written.allows(&li, 2_401));
        written.add(&li, 2_400);
        assert!(!written.allows(&li, 1) && written.allows(&wang, 2_400), "each has a share");
        tokio::time::advance(DAY / 24).await;
        assert!(written.allows(&li, 100) && !written.allows(&li, 101));
        written.add(&li, 100);
        assert_eq!(written.most(), 2_400);
        tokio::time::advance(DAY / 2).await;
        assert_eq!(written.most(), 1_200);
        tokio::time::advance(DAY).await;
        assert_eq!((written.most(), written.people().len()), (0, 0));
        assert!(written.allows(&li, 2_400));
    }
}
