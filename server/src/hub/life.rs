//! Whether a socket still lives. A phone that went away says nothing; a phone
//! on a slow line says nothing either while a large message is on its way, so
//! silence is measured against what the line had to carry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::transport::Progress;

/// Bytes that the slowest line of use carries in a second: a mobile phone at
/// the edge of its cell. What is slower is taken for dead.
const SLOWEST: u64 = 8 << 10;
/// Bytes in a second that a socket takes of what is sent to it, and brings of a
/// large message that has room, which others wait for: the slowest mobile
/// network does better.
pub const LEAST: u64 = 512;
/// Bytes that the system keeps for a socket at most; more cannot stand between
/// a ping and its answer.
const IN_SYSTEM: u64 = 4 << 20;

/// What the two halves of a session know of their socket.
pub struct Life {
    progress: Arc<Progress>,
    /// A frame is being worked on, so nothing is read.
    busy: AtomicBool,
}

impl Life {
    /// Of a socket whose connection counts into `progress`.
    #[must_use]
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { progress, busy: AtomicBool::new(false) }
    }

    /// Notes a message from the peer.
    pub fn heard(&self) {
        self.progress.add_read(1);
    }

    /// Notes whether a frame is being worked on.
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// Notes that the last message is taken in.
    pub fn taken(&self) {
        self.progress.release();
    }

    /// Bytes that the system took so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.progress.written()
    }
}

/// What the pings of a socket have found.
#[derive(Default)]
pub struct Pings {
    read: u64,
    /// Bytes written when the peer was heard last.
    written: u64,
    silent: u64,
    asked: bool,
    /// Whether a large message was coming at the last look.
    coming: bool,
}

impl Pings {
    /// Whether the socket is dead, `seconds` after the last look. If not, a
    /// ping is due.
    pub fn dead(&mut self, life: &Life, seconds: u64) -> bool {
        let (read, written) = (life.progress.read(), life.progress.written());
        let coming = life.progress.holds();
        let least = if coming && self.coming { LEAST * seconds } else { 1 };
        let heard = read.saturating_sub(self.read) >= least;
        let busy = life.busy.load(Ordering::Relaxed) | life.progress.waited();
        if heard || busy || !self.asked {
            *self = Self { read, written, silent: 0, asked: true, coming };
            return false;
        }
        self.silent = self.silent.saturating_add(seconds);
        let on_its_way = written.saturating_sub(self.written).min(IN_SYSTEM);
        self.silent >= seconds.saturating_add(on_its_way / SLOWEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens between two pings, five seconds apart.
    enum Between {
        Nothing,
        Read(u64),
        Written(u64),
        Busy,
        /// A large message that has room brought so many bytes.
        Coming(u64),
        /// It waited for room.
        Waiting,
    }
    use Between::{Busy, Coming, Nothing, Read, Waiting, Written};

    #[test]
    fn silence_is_measured_against_what_the_line_had_to_carry() {
        // Whether it is taken for dead at the last look, and not before.
        let cases: [(&str, Vec<Between>, bool); 11] = [
            ("an open socket", vec![Nothing], false),
            ("no answer to the first ping", vec![Nothing, Nothing], true),
            ("a part of a message", vec![Nothing, Read(1), Read(1), Read(1)], false),
            (
                "two mebibytes on a slow line",
                (0..50).map(|n| Written(if n == 1 { 2 << 20 } else { 2 })).collect(),
                false,
            ),
            (
                "the same, for too long",
                (0..54).map(|n| Written(if n == 1 { 2 << 20 } else { 0 })).collect(),
                true,
            ),
            ("pings alone are no life", vec![Written(2), Written(2)], true),
            ("a frame being worked on", vec![Nothing, Busy, Busy, Busy], false),
            (
                "a large message",
                vec![Nothing, Coming(5 * LEAST), Coming(5 * LEAST), Coming(5 * LEAST)],
                false,
            ),
            ("one that keeps its room for nothing", vec![Nothing, Coming(1), Coming(5 * LEAST - 1)], true),
            ("one that waits for room", vec![Nothing, Waiting, Waiting, Waiting], false),
            ("one that has just got room", vec![Nothing, Waiting, Coming(1)], false),
        ];
        for (case, between, expected) in cases {
            let life = Life::new(Arc::new(Progress::default()));
            let mut pings = Pings::default();
            let last = between.len() - 1;
            for (look, what) in between.into_iter().enumerate() {
                life.set_busy(false);
                life.taken();
                life.progress.set_waits(false);
                match what {
                    Nothing => {}
                    Coming(bytes) => {
                        life.progress.hold(Box::new(()));
                        life.progress.add_read(bytes);
                    }
                    Waiting => life.progress.set_waits(true),
                    Read(bytes) => life.progress.add_read(bytes),
                    Written(bytes) => life.progress.add_written(bytes),
                    Busy => life.set_busy(true),
                }
                assert_eq!(pings.dead(&life, 5), expected && look == last, "{case}, look {look}");
            }
        }
    }
}
