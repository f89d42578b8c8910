//! Walks over a frame's CBOR heads before anything is decoded. Costs one step
//! per item and no memory, so that no declared length, depth or count can
//! make the decoder do more than the limits allow.

use super::{Limits, WireError};

/// Depth that the walk can hold; a larger limit counts as this.
const MAX_DEPTH: usize = 32;

const MAJOR_BYTES: u8 = 2;
const MAJOR_TEXT: u8 = 3;
const MAJOR_ARRAY: u8 = 4;
const MAJOR_MAP: u8 = 5;
const MAJOR_TAG: u8 = 6;
const BREAK: u8 = 0xff;

/// A container that is still open.
#[derive(Clone, Copy)]
enum Open {
    /// That many items are still to come.
    Definite(u64),
    /// Items until a break.
    Indefinite,
    /// Parts of one string until a break; all of this major type.
    Parts { major: u8, bytes: usize },
}

/// What one head says.
struct Head {
    major: u8,
    /// The argument; `None` for an indefinite length.
    argument: Option<u64>,
}

struct Walk<'a> {
    frame: &'a [u8],
    at: usize,
    open: [Open; MAX_DEPTH],
    depth: usize,
    items: usize,
    limits: &'a Limits,
}

/// Checks that `frame` is exactly one CBOR item within `limits`.
pub(super) fn check(frame: &[u8], limits: &Limits) -> Result<(), WireError> {
    if frame.len() > limits.frame_bytes {
        return Err(WireError::OverLimit { what: "frame_bytes", limit: limits.frame_bytes });
    }
    let mut walk = Walk { frame, at: 0, open: [Open::Indefinite; MAX_DEPTH], depth: 0, items: 0, limits };
    walk.item()?;
    while walk.depth > 0 {
        walk.step()?;
    }
    if walk.at == frame.len() { Ok(()) } else { Err(walk.broken()) }
}

impl Walk<'_> {
    fn broken(&self) -> WireError {
        WireError::NotCbor { offset: self.at }
    }

    /// Closes the innermost container if it is complete, or reads its next item.
    fn step(&mut self) -> Result<(), WireError> {
        let innermost = self.depth - 1;
        let container = self.open[innermost];
        if self.ends(container) {
            self.depth = innermost;
            return Ok(());
        }
        match container {
            Open::Definite(left) => {
                self.open[innermost] = Open::Definite(left - 1);
                self.item()?;
            }
            Open::Indefinite => self.item()?,
            Open::Parts { major, bytes } => {
                let head = self.head()?;
                let Some(length) = head.argument.filter(|_| head.major == major) else {
                    return Err(self.broken());
                };
                let length = self.skip(length)?;
                self.open[innermost] = Open::Parts { major, bytes: bytes + length };
                self.check_text(major, bytes + length)?;
                self.count()?;
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<(), WireError> {
        self.count()?;
        let head = self.head()?;
        match (head.major, head.argument) {
            (MAJOR_BYTES | MAJOR_TEXT, Some(length)) => {
                let length = self.skip(length)?;
                self.check_text(head.major, length)
            }
            (MAJOR_BYTES | MAJOR_TEXT, None) => self.enter(Open::Parts { major: head.major, bytes: 0 }),
            (MAJOR_ARRAY, Some(length)) => self.enter(Open::Definite(length)),
            (MAJOR_MAP, Some(length)) => match length.checked_mul(2) {
                Some(items) => self.enter(Open::Definite(items)),
                None => Err(self.broken()),
            },
            (MAJOR_ARRAY | MAJOR_MAP, None) => self.enter(Open::Indefinite),
            (MAJOR_TAG, Some(_)) => self.enter(Open::Definite(1)),
            (_, Some(_)) => Ok(()),
            (_, None) => Err(self.broken()),
        }
    }

    fn count(&mut self) -> Result<(), WireError> {
        self.items += 1;
        if self.items > self.limits.items {
            return Err(WireError::OverLimit { what: "items", limit: self.limits.items });
        }
        Ok(())
    }

    fn enter(&mut self, container: Open) -> Result<(), WireError> {
        let limit = self.limits.depth.min(MAX_DEPTH);
        if self.depth == limit {
            return Err(WireError::OverLimit { what: "depth", limit });
        }
        self.open[self.depth] = container;
        self.depth += 1;
        Ok(())
    }

    fn check_text(&self, major: u8, length: usize) -> Result<(), WireError> {
        if major == MAJOR_TEXT && length > self.limits.text_bytes {
            return Err(WireError::OverLimit { what: "text_bytes", limit: self.limits.text_bytes });
        }
        Ok(())
    }

    /// Whether `container` is complete here; passes over the break if it has one.
    fn ends(&mut self, container: Open) -> bool {
        if let Open::Definite(left) = container {
            return left == 0;
        }
        let found = self.frame.get(self.at) == Some(&BREAK);
        self.at += usize::from(found);
        found
    }

    /// Passes over `length` bytes, which must be there.
    fn skip(&mut self, length: u64) -> Result<usize, WireError> {
        let left = self.frame.len() - self.at;
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                self.at += length;
                Ok(length)
            }
            _ => Err(self.broken()),
        }
    }

    fn head(&mut self) -> Result<Head, WireError> {
        let first = *self.frame.get(self.at).ok_or_else(|| self.broken())?;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument_bytes = match info {
            0..=23 => 0,
            24..=27 => 1_usize << (info - 24),
            31 => 0,
            _ => return Err(self.broken()),
        };
        let start = self.at + 1;
        let Some(bytes) = self.frame.get(start..start + argument_bytes) else {
            return Err(self.broken());
        };
        self.at = start + argument_bytes;
        let argument = match info {
            31 => None,
            0..=23 => Some(u64::from(info)),
            _ => Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))),
        };
        Ok(Head { major, argument })
    }
}
