//! How many log-ins failed for a name lately. Bounded: of many names the
//! oldest are forgotten first.

use std::collections::HashMap;

/// Failures within the window after which a name has to wait.
const MOST_FAILURES: u32 = 10;
/// The window, in milliseconds.
const WINDOW_MS: i64 = 5 * 60 * 1000;
/// Names remembered.
const MOST_NAMES: usize = 10_000;

/// Refusals within the window that are written to the journal; the rest is
/// only counted, or strangers could fill the disk.
const MOST_NOTED: u32 = 300;

/// Failed log-ins by name, whether or not the name exists.
#[derive(Debug, Default)]
pub struct Attempts {
    failures: HashMap<String, (u32, i64)>,
    noted: (u32, i64),
}

impl Attempts {
    /// Whether the name has to wait.
    #[must_use]
    pub fn blocked(&self, name: &str, now_ms: i64) -> bool {
        self.failures
            .get(name)
            .is_some_and(|(count, since)| *count >= MOST_FAILURES && now_ms - since < WINDOW_MS)
    }

    /// Counts an attempt. It is counted before the password is verified, so
    /// that attempts side by side do not get around the limit.
    pub fn count(&mut self, name: &str, now_ms: i64) {
        if self.failures.len() >= MOST_NAMES && !self.failures.contains_key(name) {
            self.failures.retain(|_, (_, since)| now_ms - *since < WINDOW_MS);
            if self.failures.len() >= MOST_NAMES {
                let oldest =
                    self.failures.iter().min_by_key(|(_, (_, since))| *since).map(|(n, _)| n.clone());
                oldest.and_then(|name| self.failures.remove(&name));
            }
        }
        let entry = self.failures.entry(name.to_owned()).or_insert((0, now_ms));
        if now_ms - entry.1 >= WINDOW_MS {
            *entry = (0, now_ms);
        }
        entry.0 = entry.0.saturating_add(1);
    }

    /// Whether a refusal is still to be written to the journal.
    pub fn note(&mut self, now_ms: i64) -> bool {
        if now_ms - self.noted.1 >= WINDOW_MS {
            self.noted = (0, now_ms);
        }
        self.noted.0 = self.noted.0.saturating_add(1);
        self.noted.0 <= MOST_NOTED
    }

    /// Forgets the failures of a name that logged in.
    pub fn succeeded(&mut self, name: &str) {
        self.failures.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_waits_after_ten_failures_until_the_window_is_over() {
        let mut attempts = Attempts::default();
        for now in 0..10 {
            assert!(!attempts.blocked("a", now));
            attempts.count("a", now);
        }
        assert!(attempts.blocked("a", 10) && !attempts.blocked("b", 10));
        assert!(!attempts.blocked("a", WINDOW_MS));
        attempts.count("a", WINDOW_MS);
        assert!(!attempts.blocked("a", WINDOW_MS));
    }

    #[test]
    fn so_many_refusals_are_noted_in_a_window() {
        let mut attempts = Attempts::default();
        let noted = (0..MOST_NOTED + 5).filter(|_| attempts.note(1)).count();
        assert_eq!(noted, MOST_NOTED as usize);
        assert!(attempts.note(WINDOW_MS + 1));
    }

    #[test]
    fn success_forgets_and_the_table_is_bounded() {
        let mut attempts = Attempts::default();
        for _ in 0..10 {
            attempts.count("a", 0);
        }
        attempts.succeeded("a");
        assert!(!attempts.blocked("a", 0));
        for name in 0..MOST_NAMES + 50 {
            attempts.count(&name.to_string(), 1);
        }
        assert_eq!(attempts.failures.len(), MOST_NAMES);
    }
}
