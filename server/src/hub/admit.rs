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

fn take_apart(data: &[u8], limits: &ScanLimits) -> Result<Admitted, Refused> {
    let report =
        scan::scan_sync_message(data, limits, &genesis::reserved).map_err(|error| scanned(&error))?;
    let mut message = Message::decode(data).map_err(|_| refused("sync.malformed"))?;
    message.changes = ChunkList::empty();
    let own = report.changes.into_iter().filter(|change| !change.reserved);
    let changes = own
        .map(|change| Change::from_bytes(change.chunk).map_err(|_| refused("chunk.change")))
        .collect::<Result<Vec<Change>, Refused>>()?;
    Ok(Admitted { message, changes })
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
