//! What a frame's sync message must pass before any document sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::sync::{ChunkList, Message};
use automerge::{Automerge, Change};
use duxue_document::genesis;
use duxue_protocol::scan::{self, ScanError, ScanLimits};

/// A sync message without its changes, and the changes.
pub struct Admitted {
    /// Heads, needs and what the peer has.
    pub message: Message,
    /// The changes in the order they came, genesis left out.
    pub changes: Vec<Change>,
    /// Whether it brought changes.
    pub had_changes: bool,
    /// Whether they were dropped because the session may only read.
    pub dropped: bool,
}

impl Admitted {
    /// Bytes of its changes as they are kept: inflated, and each by itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.changes.iter().map(|change| change.raw_bytes().len()).sum()
    }

    /// Bytes that it takes of what may be in flight, having come as `data`.
    #[must_use]
    pub fn weight(&self, data: usize) -> usize {
        data.max(self.bytes())
    }
}

/// A sync message that no document may see.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused: {code}")]
pub struct Refused {
    /// Stable code.
    pub code: &'static str,
    /// The limit's name in [`ScanLimits`], where the message was over one.
    pub limit: Option<&'static str>,
}

const fn refused(code: &'static str) -> Refused {
    Refused { code, limit: None }
}

fn scanned(error: &ScanError) -> Refused {
    let limit = match error {
        ScanError::OverLimit { what, .. } => Some(*what),
        _ => None,
    };
    Refused { code: error.code(), limit }
}

/// Scans a sync message within the limits and takes it apart. Costs work in
/// proportion to what the scan allows, whatever the bytes declare.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn admit(data: &[u8], limits: &ScanLimits) -> Result<Admitted, Refused> {
    catch_unwind(AssertUnwindSafe(|| take_apart(data, limits))).unwrap_or(Err(refused("sync.panic")))
}

/// Bytes of a message above which it is not tried as a small one.
const SMALL_DATA: usize = 64 << 10;
/// What a small message may inflate to: less than a millisecond's work.
const SMALL_INFLATED: u64 = 256 << 10;
/// Operations of a small message, as many as are applied on the async threads.
const SMALL_OPERATIONS: u64 = 2_000;

/// The same for what is little work, which is found out with as little;
/// `None` for everything else, what is to be refused among it.
#[must_use]
pub fn admit_small(data: &[u8], limits: &ScanLimits) -> Option<Admitted> {
    if data.len() > SMALL_DATA {
        return None;
    }
    let small = ScanLimits {
        ops: limits.ops.min(SMALL_OPERATIONS),
        ops_per_change: limits.ops_per_change.min(SMALL_OPERATIONS),
        replaced: limits.replaced.min(SMALL_OPERATIONS),
        inflated_bytes: limits.inflated_bytes.min(SMALL_INFLATED),
        ..*limits
    };
    admit(data, &small).ok()
}

/// The same for a session that may only read: nothing of its changes is looked
/// at or inflated.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn admit_without_changes(data: &[u8], limits: &ScanLimits) -> Result<Admitted, Refused> {
    catch_unwind(AssertUnwindSafe(|| {
        let had_changes = scan::scan_sync_envelope(data, limits).map_err(|error| scanned(&error))?;
        let mut message = Message::decode(data).map_err(|_| refused("sync.malformed"))?;
        message.changes = ChunkList::empty();
        Ok(Admitted { message, changes: Vec::new(), had_changes, dropped: had_changes })
    }))
    .unwrap_or(Err(refused("sync.panic")))
}

fn take_apart(data: &[u8], limits: &ScanLimits) -> Result<Admitted, Refused> {
    let report =
        scan::scan_sync_message(data, limits, &genesis::reserved).map_err(|error| scanned(&error))?;
    let mut message = Message::decode(data).map_err(|_| refused("sync.malformed"))?;
    message.changes = ChunkList::empty();
    let own = report.changes.into_iter().filter(|change| !change.reserved);
    let changes = own
        .map(|change| Change::from_bytes(change.chunk).map_err(|_| refused("chunk.change")))
        .collect::<Result<Vec<Change>, Refused>>()?;
    let had_changes = !changes.is_empty();
    let admitted = Admitted { message, changes, had_changes, dropped: false };
    // Changes out of a document chunk repeat what the chunk names once.
    if admitted.bytes() as u64 > limits.inflated_bytes {
        return Err(Refused { code: "scan.over_limit", limit: Some("inflated_bytes") });
    }
    Ok(admitted)
}

/// The changes of a stored run of chunks.
///
/// # Errors
/// [`Refused`] where the bytes are not whole chunks.
pub fn changes_of(bytes: &[u8], changes: &mut Vec<Change>) -> Result<(), Refused> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (kind, length) = chunk_header(rest).ok_or(refused("chunk.malformed"))?;
        let (chunk, after) = rest.split_at_checked(length).ok_or(refused("chunk.truncated"))?;
        rest = after;
        match kind {
            DOCUMENT => {
                let doc = Automerge::load(chunk).map_err(|_| refused("chunk.document"))?;
                changes.extend(doc.get_changes(&[]));
            }
            CHANGE | COMPRESSED => {
                changes.push(Change::from_bytes(chunk.to_vec()).map_err(|_| refused("chunk.change"))?);
            }
            _ => return Err(refused("chunk.kind")),
        }
    }
    Ok(())
}

/// The document of a snapshot, if it begins with one, which is much less work
/// than its changes one by one; what comes behind it goes to `changes`.
///
/// # Errors
/// [`Refused`] where the bytes are not whole chunks.
pub fn snapshot_of(bytes: &[u8], changes: &mut Vec<Change>) -> Result<Option<Automerge>, Refused> {
    let (kind, length) = chunk_header(bytes).ok_or(refused("chunk.malformed"))?;
    if kind != DOCUMENT {
        changes_of(bytes, changes)?;
        return Ok(None);
    }
    let (chunk, waiting) = bytes.split_at_checked(length).ok_or(refused("chunk.truncated"))?;
    let doc = Automerge::load(chunk).map_err(|_| refused("chunk.document"))?;
    changes_of(waiting, changes)?;
    Ok(Some(doc))
}

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
const DOCUMENT: u8 = 0;
const CHANGE: u8 = 1;
const COMPRESSED: u8 = 2;

/// A chunk's kind and its length with the header: magic, four bytes of
/// checksum, kind, LEB128 length of what follows.
fn chunk_header(bytes: &[u8]) -> Option<(u8, usize)> {
    let kind = *bytes.get(8)?;
    if bytes.get(..4)? != MAGIC {
        return None;
    }
    let mut length: usize = 0;
    for (index, byte) in bytes.get(9..)?.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return length.checked_add(9 + index + 1).map(|length| (kind, length));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{ActorId, ROOT, sync::MessageVersion};
    use duxue_document::DocumentKind;

    use super::*;

    /// A sync message with one change of so many bytes, which deflates well.
    fn message(bytes: usize) -> Vec<u8> {
        let mut doc = genesis::document(DocumentKind::Survey, ActorId::from([1; 16]));
        let mut tx = doc.transaction();
        tx.put(ROOT, "text", "0".repeat(bytes)).expect("puts");
        tx.commit();
        let mut change = doc.get_last_local_change().expect("a change");
        let message = Message {
            heads: doc.get_heads(),
            need: Vec::new(),
            have: Vec::new(),
            changes: ChunkList::from(vec![change.bytes().to_vec()]),
            flags: None,
            version: MessageVersion::V1,
        };
        message.encode()
    }

    #[test]
    fn what_is_in_flight_is_counted_inflated_and_nothing_for_a_reader() {
        let limits = ScanLimits::default();
        let data = message(1 << 20);
        assert!(data.len() < 10_000, "{}", data.len());
        assert!(admit_small(&data, &limits).is_none(), "what it inflates to counts, not what came");
        let admitted = admit(&data, &limits).expect("within the limits");
        assert!(admitted.weight(data.len()) > 1 << 20);
        let read = admit_without_changes(&data, &limits).expect("an envelope");
        assert!(read.dropped && read.had_changes && read.changes.is_empty());
        assert_eq!(read.weight(data.len()), data.len());
        assert_eq!(read.message.heads, admitted.message.heads);
    }

    /// A reader's changes are not looked at, so what they would cost is not
    /// spent, and what is wrong with them is nobody's business.
    #[test]
    fn of_a_reader_only_the_envelope_is_scanned() {
        let limits = ScanLimits { inflated_bytes: 1_000, ..ScanLimits::default() };
        let data = message(1 << 20);
        assert!(admit(&data, &limits).is_err());
        assert!(admit_without_changes(&data, &limits).is_ok_and(|read| read.had_changes));
        let none = ScanLimits { hashes: 0, ..ScanLimits::default() };
        assert!(admit_without_changes(&data, &none).is_err(), "heads are looked at");
    }

    #[test]
    fn an_edit_is_small() {
        let data = message(1_000);
        assert!(admit_small(&data, &ScanLimits::default()).is_some_and(|admitted| admitted.had_changes));
        let tight = ScanLimits { inflated_bytes: 10, ..ScanLimits::default() };
        assert!(admit_small(&data, &tight).is_none(), "no limit is widened");
    }

    #[test]
    fn one_message_never_makes_a_record_that_the_store_refuses() {
        let limits = ScanLimits::default();
        assert!(limits.inflated_bytes * 2 < crate::store::RECORD_BYTES_MAX as u64);
        let most = usize::try_from(limits.inflated_bytes).expect("fits");
        assert!(admit(&message(most - 1_000), &limits).is_ok());
        let refused = admit(&message(most), &limits).err().expect("over the limit");
        assert_eq!((refused.code, refused.limit), ("scan.over_limit", Some("inflated_bytes")));
    }
}
