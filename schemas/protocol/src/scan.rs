//! Looks into sync messages and chunks before Automerge does.
//!
//! Automerge 0.12 has no limits: a change of 113 bytes can cost it seven
//! seconds and 1.3 GB, and a Bloom filter of three bytes makes it divide by
//! zero. The scan walks over runs without expanding them, so it costs time
//! linear in the bytes received and inflated, and memory linear in the bytes.
//! It is stricter than Automerge: what it takes may still be refused by
//! Automerge, and what it reports is what Automerge would report.
//!
//! Follows the source of automerge 0.12.0 (`storage/`, `sync.rs`). What the
//! scan does not know, such as bundles and columns of later versions, it
//! refuses, because it cannot bound it.

mod change;
mod column;
mod document;
mod envelope;
mod reader;

use duxue_document::collections::BTreeSet;
use std::io::Read;

use automerge::{ActorId, ChangeHash};
use sha2::{Digest, Sha256};

use reader::Reader;

/// What one sync message, or one call, may hold. A limit that a device of
/// ours could reach in a visit would lose its work, so each is far above one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Operations of one change. Confirming a form writes some ten per entry;
    /// an imported equipment list of a large school some thousands.
    pub ops_per_change: u64,
    /// Operations of everything together. Automerge takes about 700 bytes for
    /// each, so this bounds what it can be made to allocate to 70 MB.
    pub ops: u64,
    /// Changes of everything together. A device that was offline for a term
    /// brings some thousands.
    pub changes: u64,
    /// Bytes that deflated changes and columns may inflate to, together.
    pub inflated_bytes: u64,
    /// Actors that one chunk may name.
    pub actors: u64,
    /// Bytes of one actor. Ours have 16.
    pub actor_bytes: u64,
    /// Dependencies of one change: heads that were merged at once.
    pub deps: u64,
    /// Operations that the operations of one chunk may replace, together.
    pub replaced: u64,
    /// Bytes of one key, commit message or mark name. Automerge repeats a key
    /// for each operation of a run.
    pub text_bytes: u64,
    /// Bytes that a change may carry for later versions: the author.
    pub extra_bytes: u64,
    /// Hashes in one list of the envelope: heads, need, last sync.
    pub hashes: u64,
    /// Summaries of what the peer has; every implementation sends one.
    pub haves: u64,
    /// Bytes of one Bloom filter: 10 bits per change that was not yet synced.
    pub bloom_bytes: u64,
}

impl ScanLimits {
    /// What every side can be sent.
    pub const DEFAULT: Self = Self {
        ops_per_change: 20_000,
        ops: 100_000,
        changes: 20_000,
        inflated_bytes: 8 << 20,
        actors: 1_000,
        actor_bytes: 64,
        deps: 1_000,
        replaced: 200_000,
        text_bytes: 1_024,
        extra_bytes: 1_024,
        hashes: 4_096,
        haves: 16,
        bloom_bytes: 64 << 10,
    };
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// For a reserved actor, the hash of the only change that may come from it.
/// Genesis and migrations have such actors (DESIGN §3).
pub type Reserved<'a> = &'a dyn Fn(&[u8]) -> Option<[u8; 32]>;

/// One change, as Automerge will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedChange {
    /// SHA-256 of the change's contents: its identity.
    pub hash: ChangeHash,
    /// Who claims to have written it. Not signed.
    pub actor: ActorId,
    /// The change's number with that actor, from 1.
    pub seq: u64,
    /// The counter of its first operation.
    pub start_op: u64,
    /// The writer's clock; seconds since 1970 by convention, trusted for nothing.
    pub time: i64,
    /// The changes that it was written after.
    pub deps: Vec<ChangeHash>,
    /// How many operations it holds.
    pub ops: u64,
    /// It holds a delete, which nothing of ours writes.
    pub deletes: bool,
    /// It comes from a reserved actor, and is the one change that may.
    pub reserved: bool,
    /// The change as one chunk, so that it can be kept or held by itself. As
    /// received, or made by Automerge where it came in a document chunk.
    pub chunk: Vec<u8>,
}

/// What a message holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanReport {
    /// The sender's heads; empty for bare chunks.
    pub heads: Vec<ChangeHash>,
    /// Every change of every chunk, in order; those of document chunks too.
    pub changes: Vec<ScannedChange>,
    /// Operations of everything together.
    pub ops: u64,
    /// Bytes that were inflated on the way.
    pub inflated_bytes: u64,
}

impl ScanReport {
    /// The actors that the changes come from.
    #[must_use]
    pub fn actors(&self) -> BTreeSet<&ActorId> {
        self.changes.iter().map(|change| &change.actor).collect()
    }
}

/// Why a message is refused. Nothing of it has reached Automerge, except
/// for [`ScanError::Document`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The bytes end before the thing that they begin.
    #[error("cut off in {what}")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// The bytes do not have the form of their kind.
    #[error("malformed {what}")]
    Malformed {
        /// What was being read.
        what: &'static str,
    },
    /// A number is not in its shortest form or too large for its field.
    #[error("bad number in {what}")]
    Number {
        /// What was being read.
        what: &'static str,
    },
    /// More than [`ScanLimits`] allows.
    #[error("{what} is over the limit of {limit}")]
    OverLimit {
        /// The limit's name in [`ScanLimits`].
        what: &'static str,
        /// Its value.
        limit: u64,
    },
    /// A chunk's contents are not those that its checksum was made from.
    #[error("wrong checksum")]
    Checksum,
    /// A chunk type or column that this version does not know.
    #[error("unknown {what}")]
    Unknown {
        /// Which.
        what: &'static str,
    },
    /// A change claims a reserved actor and is not that actor's one change.
    #[error("a reserved actor with another change")]
    ReservedActor,
    /// A document chunk that is within the limits, but that Automerge refuses.
    #[error("Automerge refuses the document chunk")]
    Document,
}

impl ScanError {
    /// Stable code for logs, metrics and *set aside* records.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "scan.truncated",
            Self::Malformed { .. } => "scan.malformed",
            Self::Number { .. } => "scan.number",
            Self::OverLimit { .. } => "scan.over_limit",
            Self::Checksum => "scan.checksum",
            Self::Unknown { .. } => "scan.unknown",
            Self::ReservedActor => "scan.reserved_actor",
            Self::Document => "scan.document",
        }
    }
}

/// Scans an Automerge sync message: the envelope and every chunk in it.
///
/// # Errors
/// [`ScanError`]; the message must not be given to Automerge.
pub fn scan_sync_message(
    bytes: &[u8],
    limits: &ScanLimits,
    reserved: Reserved<'_>,
) -> Result<ScanReport, ScanError> {
    let mut scan = Scan::new(limits, reserved);
    let heads = envelope::scan(bytes, &mut scan)?;
    Ok(ScanReport { heads, ..scan.report })
}

/// Scans a sync message without looking at its changes, for whoever leaves them
/// out. Returns whether it brings any.
///
/// # Errors
/// [`ScanError`]; the message must not be given to Automerge.
pub fn scan_sync_envelope(bytes: &[u8], limits: &ScanLimits) -> Result<bool, ScanError> {
    let mut brings = false;
    envelope::read(bytes, limits, |part| {
        brings |= !part.is_empty();
        Ok(())
    })?;
    Ok(brings)
}

/// Scans chunks that follow each other without anything between them, such
/// as a rescue file or a document that Automerge saved.
///
/// # Errors
/// [`ScanError`]; the chunks must not be given to Automerge.
pub fn scan_chunks(
    bytes: &[u8],
    limits: &ScanLimits,
    reserved: Reserved<'_>,
) -> Result<ScanReport, ScanError> {
    let mut scan = Scan::new(limits, reserved);
    scan.chunks(bytes)?;
    Ok(scan.report)
}

const MAGIC: &[u8] = &[0x85, 0x6f, 0x4a, 0x83];
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;
const COMPRESSED_CHANGE: u8 = 2;
const BUNDLE: u8 = 3;

/// The counters of one scan and the report that it makes.
struct Scan<'a> {
    limits: &'a ScanLimits,
    reserved: Reserved<'a>,
    report: ScanReport,
}

impl<'a> Scan<'a> {
    fn new(limits: &'a ScanLimits, reserved: Reserved<'a>) -> Self {
        Self { limits, reserved, report: ScanReport::default() }
    }

    fn chunks(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let mut reader = Reader::new(bytes, "chunk");
        while !reader.is_empty() {
            self.chunk(&mut reader)?;
        }
        Ok(())
    }

    fn chunk(&mut self, reader: &mut Reader<'_>) -> Result<(), ScanError> {
        let whole = reader.rest();
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(ScanError::Malformed { what: "chunk" });
        }
        let checksum = reader.take(4)?;
        let kind = reader.byte()?;
        let data = reader.length_prefixed()?;
        let chunk = &whole[..whole.len() - reader.rest().len()];
        match kind {
            CHANGE => self.change(checksum, data, chunk),
            COMPRESSED_CHANGE => {
                let inflated = self.inflate(data)?;
                self.change(checksum, &inflated, chunk)
            }
            DOCUMENT => {
                // The hash of the bytes first: what follows is dear.
                let _ = content_hash(DOCUMENT, data, checksum)?;
                document::scan(data, chunk, self)
            }
            BUNDLE => Err(ScanError::Unknown { what: "bundle" }),
            _ => Err(ScanError::Unknown { what: "chunk type" }),
        }
    }

    fn change(&mut self, checksum: &[u8], data: &[u8], chunk: &[u8]) -> Result<(), ScanError> {
        let hash = content_hash(CHANGE, data, checksum)?;
        let mut change = change::scan(data, self.limits)?;
        change.hash = hash;
        change.chunk = chunk.to_vec();
        self.admit(change)
    }

    /// Counts a change and keeps it in the report.
    fn admit(&mut self, mut change: ScannedChange) -> Result<(), ScanError> {
        self.report.ops = within("ops", self.report.ops + change.ops, self.limits.ops)?;
        within("changes", self.report.changes.len() as u64 + 1, self.limits.changes)?;
        if let Some(only) = (self.reserved)(change.actor.to_bytes()) {
            if change.hash.0 != only {
                return Err(ScanError::ReservedActor);
            }
            change.reserved = true;
        }
        self.report.changes.push(change);
        Ok(())
    }

    /// Inflates as far as the limit leaves room.
    fn inflate(&mut self, deflated: &[u8]) -> Result<Vec<u8>, ScanError> {
        let limit = self.limits.inflated_bytes;
        let room = limit - self.report.inflated_bytes;
        let mut decoder = flate2::bufread::DeflateDecoder::new(deflated);
        let mut inflated = Vec::new();
        // One byte more than there is room for shows that it is too much.
        decoder
            .by_ref()
            .take(room + 1)
            .read_to_end(&mut inflated)
            .map_err(|_| ScanError::Malformed { what: "deflated data" })?;
        within("inflated_bytes", self.report.inflated_bytes + inflated.len() as u64, limit)?;
        self.report.inflated_bytes += inflated.len() as u64;
        if decoder.total_in() != deflated.len() as u64 {
            return Err(ScanError::Malformed { what: "deflated data" });
        }
        Ok(inflated)
    }
}

/// `value`, if it is within the limit named `what`.
fn within(what: &'static str, value: u64, limit: u64) -> Result<u64, ScanError> {
    if value > limit { Err(ScanError::OverLimit { what, limit }) } else { Ok(value) }
}

/// The hash of a chunk's type, length and contents, which begins with the
/// chunk's checksum.
fn content_hash(kind: u8, data: &[u8], checksum: &[u8]) -> Result<ChangeHash, ScanError> {
    let mut head = vec![kind];
    reader::push_number(&mut head, data.len() as u64);
    let hash: [u8; 32] = Sha256::new().chain_update(&head).chain_update(data).finalize().into();
    if hash[..4] == *checksum { Ok(ChangeHash(hash)) } else { Err(ScanError::Checksum) }
}
