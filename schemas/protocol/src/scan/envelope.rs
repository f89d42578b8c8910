//! The sync message around the chunks.

use automerge::ChangeHash;

use super::reader::Reader;
use super::{Scan, ScanError, ScanLimits, within};

/// Changes one by one, or the whole document as one chunk; the scan treats
/// both alike.
const VERSIONS: [u8; 2] = [0x42, 0x43];

/// What a Bloom filter of automerge's own has is 10 and 7. A filter with no
/// bits makes Automerge divide by zero, and one with 2^32 probes makes it
/// reserve 16 GiB.
const MAX_BLOOM_PARAMETER: u64 = 32;

/// Flags that there may ever be; two bytes today.
const MAX_FLAG_BYTES: usize = 16;

/// Scans the message and gives the sender's heads.
pub(super) fn scan(bytes: &[u8], scan: &mut Scan<'_>) -> Result<Vec<ChangeHash>, ScanError> {
    // Automerge joins the parts before it looks for chunks; each being whole by
    // itself gives the same chunks.
    read(bytes, scan.limits, |part| scan.chunks(part))
}

/// Reads the message and gives each part of its changes to `changes`.
pub(super) fn read(
    bytes: &[u8],
    limits: &ScanLimits,
    mut changes: impl FnMut(&[u8]) -> Result<(), ScanError>,
) -> Result<Vec<ChangeHash>, ScanError> {
    let mut reader = Reader::new(bytes, "sync message");
    if !VERSIONS.contains(&reader.byte()?) {
        return Err(ScanError::Unknown { what: "sync message type" });
    }
    let heads = reader.hashes("hashes", limits.hashes)?;
    reader.hashes("hashes", limits.hashes)?;

    let haves = reader.number()?;
    for _ in 0..within("haves", haves, limits.haves)? {
        reader.hashes("hashes", limits.hashes)?;
        bloom(reader.length_prefixed()?, limits.bloom_bytes)?;
    }

    let parts = reader.number()?;
    for _ in 0..within("changes", parts, limits.changes)? {
        changes(reader.length_prefixed()?)?;
    }

    // Older peers send no flags, or one byte.
    if !reader.is_empty() && (reader.length_prefixed()?.len() > MAX_FLAG_BYTES || !reader.is_empty()) {
        return Err(reader.malformed());
    }
    Ok(heads)
}

fn bloom(bytes: &[u8], limit: u64) -> Result<(), ScanError> {
    within("bloom_bytes", bytes.len() as u64, limit)?;
    let mut reader = Reader::new(bytes, "Bloom filter");
    if reader.is_empty() {
        return Ok(());
    }
    let entries = reader.number()?;
    let (bits_per_entry, probes) = (reader.number()?, reader.number()?);
    let parameters = 1..=MAX_BLOOM_PARAMETER;
    let bits = entries.checked_mul(bits_per_entry).ok_or_else(|| reader.number_error())?;
    let exact = bits.div_ceil(8) == reader.rest().len() as u64;
    if entries == 0 || !parameters.contains(&bits_per_entry) || !parameters.contains(&probes) || !exact {
        return Err(reader.malformed());
    }
    Ok(())
}
