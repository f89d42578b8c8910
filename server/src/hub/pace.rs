//! When a document speaks to those who have it open: at once where it is
//! quiet, and in fewer and larger messages where it is busy.
//!
//! Each message costs whoever gets it a walk over the history and an answer.
//! Ten clients that edit one document as fast as they can got five messages
//! for each edit without this, and get little more than one with it.

use std::time::Duration;

/// How long changes wait for a peer that has not answered the last that it
/// got. automerge-repo answers only every 100 ms, and shall not wait for that.
pub const GATHER: Duration = Duration::from_millis(20);

/// How long a document listens before it speaks again, for each subscriber:
/// they answer one after the other, and what they say is taken in at once.
const LISTENS: Duration = Duration::from_micros(400);
/// The longest that it listens.
const LISTENS_MOST: Duration = Duration::from_millis(20);
/// What is shorter is not worth a timer.
const LISTENS_LEAST: Duration = Duration::from_millis(1);

/// A document that has not spoken for so many times what it would listen is
/// quiet: whoever edits next is not kept waiting for answers that say nothing.
const QUIET: u32 = 4;

/// How long a document with so many subscribers listens after it has spoken,
/// if the time before that since it had spoken last was so short.
#[must_use]
pub fn pause(subscribers: usize, since: Duration) -> Option<Duration> {
    let subscribers = u32::try_from(subscribers).unwrap_or(u32::MAX);
    let pause = LISTENS_MOST.min(LISTENS.saturating_mul(subscribers));
    (pause >= LISTENS_LEAST && since < pause * QUIET).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_have_a_busy_document_open_the_longer_it_listens_within_bounds() {
        let cases = [
            (0, 0, None),
            (2, 0, None),
            (3, 0, Some(1_200)),
            (10, 0, Some(4_000)),
            (10, 15_999, Some(4_000)),
            (10, 16_000, None),
            (10_000, 0, Some(20_000)),
            (10_000, 80_000, None),
        ];
        for (subscribers, since, micros) in cases {
            let pause = pause(subscribers, Duration::from_micros(since));
            assert_eq!(pause, micros.map(Duration::from_micros), "{subscribers} {since}");
        }
    }
}
