//! How many log-ins failed lately, by name and by where they came from.
//! Bounded: of many the oldest are forgotten first.
//!
//! Somebody who guesses at a name must not lock its owner out. So a name waits
//! only at the address from which it failed; and where it failed so often over
//! all addresses that many guess at once, each address has a single try, which
//! is enough for the right password.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::config::refused;
use crate::transport::Source;

/// How many failures there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// With one name from one address before it has to wait.
    pub failures: u32,
    /// With one name from all addresses before each has a single try.
    pub of_name: u32,
    /// After so many milliseconds failures are forgotten.
    pub window_ms: i64,
    /// Names and addresses that are remembered.
    pub remembered: usize,
    /// Refusals within the window that are written to the journal.
    pub noted: u32,
}

/// Failed log-ins, whether or not the names exist.
#[derive(Debug)]
pub struct Attempts {
    limits: Limits,
    by_address: Failures<(String, Source)>,
    by_name: Failures<String>,
    noted: (u32, i64),
}

impl Attempts {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, by_address: Failures::new(), by_name: Failures::new(), noted: (0, 0) }
    }

    /// The limit that makes the name wait at this address, if one does.
    #[must_use]
    pub fn blocked(&self, name: &str, source: Source, now_ms: i64) -> Option<&'static str> {
        let window = self.limits.window_ms;
        let failed = self.by_address.count(&(name.to_owned(), source), now_ms, window);
        let guessed_at = self.by_name.count(&name.to_owned(), now_ms, window) >= self.limits.of_name;
        if failed >= self.limits.failures {
            Some("login_failures")
        } else if guessed_at && failed >= 1 {
            Some("login_failures_per_name")
        } else {
            None
        }
    }

    /// Counts an attempt. It is counted before the password is verified, so
    /// that attempts side by side do not get around the limit.
    pub fn count(&mut self, name: &str, source: Source, now_ms: i64) {
        let (window, most) = (self.limits.window_ms, self.limits.remembered);
        self.by_address.add((name.to_owned(), source), now_ms, window, most);
        self.by_name.add(name.to_owned(), now_ms, window, most);
    }

    /// Whether a refusal is still to be written to the journal.
    pub fn note(&mut self, now_ms: i64) -> bool {
        if now_ms - self.noted.1 >= self.limits.window_ms {
            self.noted = (0, now_ms);
        }
        self.noted.0 = self.noted.0.saturating_add(1);
        let noted = self.noted.0 <= self.limits.noted;
        if !noted {
            refused("login_refusals_noted");
        }
        noted
    }

    /// Forgets the failures at an address whose owner logged in: they were
    /// slips. What others tried elsewhere still counts.
    pub fn succeeded(&mut self, name: &str, source: Source) {
        let slips = self.by_address.remove(&(name.to_owned(), source));
        self.by_name.take_back(&name.to_owned(), slips);
    }
}

/// Failures by key, and the keys by when their window began.
#[derive(Debug)]
struct Failures<K> {
    counts: HashMap<K, (u32, i64)>,
    since: BTreeSet<(i64, K)>,
}

impl<K: Clone + Eq + Hash + Ord> Failures<K> {
    fn new() -> Self {
        Self { counts: HashMap::new(), since: BTreeSet::new() }
    }

    fn count(&self, key: &K, now_ms: i64, window_ms: i64) -> u32 {
        self.counts.get(key).filter(|(_, since)| now_ms - since < window_ms).map_or(0, |(count, _)| *count)
    }

    fn add(&mut self, key: K, now_ms: i64, window_ms: i64, most: usize) {
        if self.count(&key, now_ms, window_ms) == 0 {
            self.remove(&key);
            if self.counts.len() >= most
                && let Some((_, oldest)) = self.since.pop_first()
            {
                self.counts.remove(&oldest);
                refused("login_names");
            }
            self.since.insert((now_ms, key.clone()));
        }
        let (count, _) = self.counts.entry(key).or_insert((0, now_ms));
        *count = count.saturating_add(1);
    }

    fn remove(&mut self, key: &K) -> u32 {
        let Some((count, since)) = self.counts.remove(key) else { return 0 };
        self.since.remove(&(since, key.clone()));
        count
    }

    fn take_back(&mut self, key: &K, count: u32) {
        if let Some((counted, _)) = self.counts.get_mut(key) {
            *counted = counted.saturating_sub(count).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::counted::Counted;

    use super::*;

    const LIMITS: Limits =
        Limits { failures: 10, of_name: 100, window_ms: 300_000, remembered: 500, noted: 300 };

    fn source(last: u32) -> Source {
        Source::of(std::net::Ipv4Addr::from_bits(last).into())
    }

    #[test]
    fn a_name_waits_where_it_failed_ten_times_until_the_window_is_over() {
        let mut attempts = Attempts::new(LIMITS);
        let (here, there) = (source(1), source(2));
        for now in 0..10 {
            assert_eq!(attempts.blocked("a", here, now), None);
            attempts.count("a", here, now);
        }
        assert_eq!(attempts.blocked("a", here, 10), Some("login_failures"));
        assert_eq!((attempts.blocked("b", here, 10), attempts.blocked("a", there, 10)), (None, None));
        assert_eq!(attempts.blocked("a", here, LIMITS.window_ms), None);
        attempts.count("a", here, LIMITS.window_ms);
        assert_eq!(attempts.blocked("a", here, LIMITS.window_ms), None);
    }

    #[test]
    fn a_name_that_many_guess_at_has_one_try_at_each_address() {
        let mut attempts = Attempts::new(LIMITS);
        for guess in 0..LIMITS.of_name {
            attempts.count("a", source(guess), 0);
        }
        let guessed = Some("login_failures_per_name");
        assert_eq!(attempts.blocked("a", source(5), 0), guessed, "who failed once waits");
        assert_eq!(attempts.blocked("a", source(1_000), 0), None, "its owner has a try");
        attempts.count("a", source(1_000), 0);
        assert_eq!(attempts.blocked("a", source(1_000), 0), guessed);
        assert_eq!(attempts.blocked("b", source(5), 0), None);
    }

    #[test]
    fn so_many_refusals_are_noted_in_a_window() {
        let counted = Counted::new();
        let mut attempts = Attempts::new(LIMITS);
        let noted = (0..LIMITS.noted + 5).filter(|_| attempts.note(1)).count();
        assert_eq!(noted, LIMITS.noted as usize);
        assert_eq!(counted.refused("login_refusals_noted"), 5);
        assert!(attempts.note(LIMITS.window_ms + 1));
    }

    #[test]
    fn success_forgets_slips_and_the_table_is_bounded() {
        let mut attempts = Attempts::new(LIMITS);
        for _ in 0..10 {
            attempts.count("a", source(1), 0);
        }
        attempts.succeeded("a", source(1));
        assert_eq!(attempts.blocked("a", source(1), 0), None);
        let counted = Counted::new();
        for name in 0..600 {
            attempts.count(&name.to_string(), source(1), 1);
        }
        assert_eq!((attempts.by_address.counts.len(), attempts.by_address.since.len()), (500, 500));
        assert_eq!((attempts.by_name.counts.len(), attempts.by_name.since.len()), (500, 500));
        // One name was there, and each is remembered by itself and with its address.
        assert_eq!(counted.refused("login_names"), 100 + 101);
    }
}
