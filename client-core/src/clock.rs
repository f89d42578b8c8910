//! Waiting by a clock that people set.
//!
//! What waits is put off until a time of the device's clock. When that clock is
//! set back, the time is suddenly far away; but nobody ever waits longer than
//! the longest wait of that kind, so what is farther away is due.

/// Whether what was put off until `at_ms`, by `longest_ms` at most, is due.
#[must_use]
pub fn is_due(at_ms: i64, now_ms: i64, longest_ms: i64) -> bool {
    let wait = at_ms.saturating_sub(now_ms);
    wait <= 0 || wait > longest_ms
}

#[cfg(test)]
mod tests {
    use super::is_due;

    #[test]
    fn a_wait_that_nobody_ever_makes_is_over() {
        for (at, now, due) in [
            (100, 99, false),
            (100, 100, true),
            (100, 101, true),
            (100, 40, false),
            (100, 39, true),
            (i64::MAX, i64::MIN, true),
        ] {
            assert_eq!(is_due(at, now, 60), due, "{at} at {now}");
        }
    }
}
