//! The bytes of a segment file.
//!
//! ```text
//! header   magic 8 | format u32 | first number u64 | chain before it 32 | crc32c u32
//! frame*   length u32 | crc32c u32 | payload        the crc is over length and payload
//! seal     a frame whose payload is the last number and the chain after it
//! ```
//!
//! Integers are big-endian. One frame holds one record; a group ends with the
//! record that says that no other of it follows.

use crate::store::codec::{self, ChainHash, ENVELOPE_BYTES_MAX, Envelope, FORMAT, Payload, RecordHash, Seal};
use crate::store::{JournalNumber, RECORD_BYTES_MAX, StoreError};

const MAGIC: [u8; 8] = *b"DUXUEJNL";
/// Length of the header.
pub(super) const HEADER_BYTES: usize = 56;
/// Length of a frame's length and checksum.
pub(super) const FRAME_HEAD_BYTES: usize = 8;
/// Length of the frame that seals a segment.
pub(super) const SEAL_BYTES: usize = FRAME_HEAD_BYTES + 51;
const PAYLOAD_BYTES_MAX: usize = RECORD_BYTES_MAX + ENVELOPE_BYTES_MAX;

/// The journal up to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last record.
    pub last: JournalNumber,
    /// The chain after it.
    pub chain: ChainHash,
}

impl Head {
    /// A journal without records.
    pub const START: Self = Self { last: JournalNumber(0), chain: ChainHash::START };

    /// The number of the next record.
    #[must_use]
    pub fn next(self) -> JournalNumber {
        JournalNumber(self.last.0 + 1)
    }
}

/// The name of the segment that begins with a record.
pub(super) fn file_name(first: JournalNumber) -> String {
    format!("{:020}.seg", first.0)
}

/// The first number of the segment of this name, if it is one's name.
pub(super) fn first_of_name(name: &str) -> Option<JournalNumber> {
    let digits = name.strip_suffix(".seg")?;
    let number = digits.parse().ok().map(JournalNumber)?;
    (file_name(number) == name).then_some(number)
}

/// Writes the header of the segment that continues after `before`.
pub(super) fn header(before: Head) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_be_bytes());
    bytes[12..20].copy_from_slice(&before.next().0.to_be_bytes());
    bytes[20..52].copy_from_slice(&before.chain.0);
    let crc = crc32c::crc32c(&bytes[..52]);
    bytes[52..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Reads a header: what stands before the segment.
///
/// # Errors
/// [`StoreError::Newer`] for a whole header of a later format;
/// [`StoreError::Damaged`] naming the segment for anything else that is none.
pub(super) fn read_header(name: &str, bytes: &[u8]) -> Result<Head, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("segment {name}, offset 0: {what}"));
    let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(damaged("the header is cut off"));
    };
    if bytes[..8] != MAGIC {
        return Err(damaged("this is no segment of a journal"));
    }
    // Every format has these 56 bytes, or a flipped bit would be a later one.
    let format = u32_at(bytes, 8);
    if u32_at(bytes, 52) != crc32c::crc32c(&bytes[..52]) || format == 0 {
        return Err(damaged("the header's checksum is wrong"));
    }
    if format > FORMAT {
        return Err(StoreError::Newer(format));
    }
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[12..20]);
    let mut chain = [0; 32];
    chain.copy_from_slice(&bytes[20..52]);
    match u64::from_be_bytes(first).checked_sub(1) {
        Some(last) => Ok(Head { last: JournalNumber(last), chain: ChainHash(chain) }),
        None => Err(damaged("a segment that begins with record 0")),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_be_bytes(*four))
}

/// Appends a frame to a buffer.
pub(super) fn put_frame(buffer: &mut Vec<u8>, payload: &Payload<'_>) -> Result<(), StoreError> {
    let payload = codec::encode(payload).map_err(|error| StoreError::Refused(error.to_string()))?;
    let length = u32::try_from(payload.len()).map_err(|error| StoreError::Refused(error.to_string()))?;
    let length = length.to_be_bytes();
    buffer.extend_from_slice(&length);
    buffer.extend_from_slice(&checksum(&length, &payload).to_be_bytes());
    buffer.extend_from_slice(&payload);
    Ok(())
}

fn checksum(length: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(length), payload)
}

/// The length of the whole frame whose first bytes these are.
pub(super) fn frame_length(head: [u8; FRAME_HEAD_BYTES]) -> Option<usize> {
    let length = u32_at(&head, 0) as usize;
    (length <= PAYLOAD_BYTES_MAX).then_some(FRAME_HEAD_BYTES + length)
}

/// The payload of the frame at the beginning of the bytes, and the frame's
/// length; `None` if no whole and sound frame stands there.
pub(super) fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let length = frame_length(*bytes.first_chunk()?)?;
    let payload = bytes.get(FRAME_HEAD_BYTES..length)?;
    (u32_at(bytes, 4) == checksum(&bytes[..4], payload)).then_some((payload, length))
}

/// The seal at the end of a segment's bytes.
pub(super) fn seal_at_end(bytes: &[u8]) -> Option<Head> {
    let start = bytes.len().checked_sub(SEAL_BYTES)?;
    let (payload, length) = frame(&bytes[start..])?;
    match codec::decode_payload(payload) {
        Ok(Payload::Seal(seal)) if length == SEAL_BYTES => {
            Some(Head { last: seal.last(), chain: seal.chain })
        }
        _ => None,
    }
}

/// The seal of a segment that ends with `head`.
pub(super) fn seal(head: Head) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(SEAL_BYTES);
    put_frame(&mut bytes, &Payload::Seal(Seal::new(head.last, head.chain)))?;
    Ok(bytes)
}

/// One sound record found by [`scan`].
pub(super) struct Found<'a> {
    /// Its number.
    pub number: JournalNumber,
    /// Where its frame begins in the segment.
    pub offset: usize,
    /// The encoded record.
    pub record: &'a [u8],
}

/// What a scan came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// The head after the last whole group.
    pub head: Head,
    /// The offset after the last whole group.
    pub end: usize,
    /// Why the scan ended.
    pub stop: Stop,
}

/// Why a scan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// After a whole group, at the end of the bytes.
    End,
    /// At the seal, which is the end of the bytes.
    Sealed,
    /// At bytes that are no whole frame, or in the middle of a group: a torn
    /// write, if this is where writing was.
    Torn {
        /// Where the broken frame begins.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// At a sound frame that contradicts what stands before it: never a torn
    /// write.
    Wrong {
        /// Where the frame begins.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// Follows the frames of a segment, from after its header to the end of the
/// bytes, checking every checksum, number and link of the chain. `found` is
/// given every sound record, also those of a group that turns out not whole.
pub(super) fn scan<'a>(bytes: &'a [u8], before: Head, mut found: impl FnMut(Found<'a>)) -> Scan {
    let mut scan = Scan { head: before, end: HEADER_BYTES, stop: Stop::End };
    let (mut head, mut offset, mut rest) = (before, HEADER_BYTES, 0);
    while offset < bytes.len() {
        let Some((payload, length)) = frame(&bytes[offset..]) else {
            scan.stop = Stop::Torn { offset, what: "a frame is cut off or its checksum is wrong" };
            return scan;
        };
        let checked = match codec::decode_payload(payload) {
            Err(_) => Err("the payload cannot be decoded"),
            Ok(Payload::Seal(seal)) => {
                scan.stop = check_seal(&seal, head, rest, offset, offset + length == bytes.len());
                return scan;
            }
            Ok(Payload::Record(envelope)) => {
                check_envelope(&envelope, head, rest, scan.head.last).map(|()| envelope)
            }
        };
        let envelope = match checked {
            Ok(envelope) => envelope,
            Err(what) => {
                scan.stop = Stop::Wrong { offset, what };
                return scan;
            }
        };
        found(Found { number: envelope.number, offset, record: envelope.record });
        let chain = head.chain.next(envelope.number, envelope.rest, &RecordHash::of(envelope.record));
        head = Head { last: envelope.number, chain };
        rest = envelope.rest;
        offset += length;
        if rest == 0 {
            (scan.head, scan.end) = (head, offset);
        }
    }
    if rest != 0 {
        scan.stop = Stop::Torn { offset, what: "the last group is not whole" };
    }
    scan
}

fn check_envelope(
    envelope: &Envelope<'_>,
    head: Head,
    rest: u32,
    whole: JournalNumber,
) -> Result<(), &'static str> {
    if envelope.number != head.next() {
        Err("a record's number does not follow")
    } else if envelope.previous != head.chain {
        Err("the hash chain is broken")
    } else if rest != 0 && envelope.rest != rest - 1 {
        Err("a group is broken off by another")
    } else if envelope.flushed > whole {
        Err("a record claims that later ones were flushed")
    } else {
        Ok(())
    }
}

fn check_seal(seal: &Seal, head: Head, rest: u32, offset: usize, at_end: bool) -> Stop {
    let what = if seal.last() != head.last || seal.chain != head.chain || rest != 0 {
        "the seal is of another content"
    } else if !at_end {
        "something stands after the seal"
    } else {
        return Stop::Sealed;
    };
    Stop::Wrong { offset, what }
}

/// Looks, after a broken place, for a frame that attests that `number` was
/// flushed when the frame was written. If there is one the place is damage and
/// not a torn write.
pub(super) fn attests_flushed(after: &[u8], number: JournalNumber) -> bool {
    let attests = |at: usize| match frame(&after[at..]).map(|(payload, _)| codec::decode_payload(payload)) {
        Some(Ok(Payload::Record(envelope))) => envelope.flushed >= number,
        Some(Ok(Payload::Seal(seal))) => seal.last() >= number,
        _ => false,
    };
    (1..after.len().saturating_sub(FRAME_HEAD_BYTES)).filter(|at| may_begin_frame(&after[*at..])).any(attests)
}

/// Whether a frame's payload could begin here: both kinds are a CBOR map of
/// one entry whose key is one letter. Checked first because a checksum of
/// every place would be quadratic.
fn may_begin_frame(bytes: &[u8]) -> bool {
    matches!(bytes.get(FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + 3), Some([0xa1, 0x61, b'R' | b'S']))
}

/// Every sound record in the bytes, wherever it stands; broken places between
/// them are given as (offset, length).
pub(super) fn salvage<'a>(bytes: &'a [u8], mut found: impl FnMut(Found<'a>)) -> Vec<(usize, usize)> {
    let (mut broken, mut offset) = (Vec::new(), HEADER_BYTES.min(bytes.len()));
    while offset < bytes.len() {
        match frame(&bytes[offset..]).map(|(payload, length)| (codec::decode_payload(payload), length)) {
            Some((Ok(Payload::Record(envelope)), length)) => {
                found(Found { number: envelope.number, offset, record: envelope.record });
                offset += length;
            }
            Some((Ok(Payload::Seal(_)), length)) => offset += length,
            _ => {
                let skipped = (offset + 1..bytes.len())
                    .find(|at| may_begin_frame(&bytes[*at..]) && frame(&bytes[*at..]).is_some())
                    .unwrap_or(bytes.len());
                broken.push((offset, skipped - offset));
                offset = skipped;
            }
        }
    }
    broken
}
