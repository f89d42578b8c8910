//! Sending much in parts that the server takes.
//!
//! The server refuses a message of too many bytes or operations whole, and a
//! device that was offline for a month may have more than that. So a message
//! that would be too large carries only the first of the changes that the peer
//! lacks; the peer's answer shows that it has them, and the next message
//! carries the next. Changes go in causal order, so that none of a slice waits
//! for one that was not sent.

// Automerge's own, whatever ours is.
use std::collections::BTreeSet;

use automerge::sync::{ChunkList, Message, MessageVersion, State, SyncDoc};
use automerge::{Automerge, Change, ChangeHash, ReadDoc};

/// How much one message may carry; one change goes whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Bytes of the changes as they are sent.
    pub bytes: usize,
    /// Operations.
    pub ops: usize,
    /// Changes.
    pub changes: usize,
}

impl Default for Slice {
    /// Half of what the server takes (4 MiB a frame, 100 000 operations and
    /// 20 000 changes a message), so that what surrounds the changes has room.
    fn default() -> Self {
        Self { bytes: 2 << 20, ops: 50_000, changes: 10_000 }
    }
}

/// The next sync message to a peer, if there is anything to say.
pub fn generate(doc: &Automerge, state: &mut State, most: &Slice) -> Option<Message> {
    let sent_before = state.sent_hashes.clone();
    let mut message = doc.generate_sync_message(state)?;
    if message.changes.is_empty() || fits(doc, &message, most) {
        return Some(message);
    }
    let slice = first(lacking(doc, state, &sent_before), most);
    state.sent_hashes = sent_before;
    state.sent_hashes.extend(slice.iter().map(Change::hash));
    let chunks: Vec<Vec<u8>> = slice.iter().map(|change| change.raw_bytes().to_vec()).collect();
    message.changes = ChunkList::from(chunks);
    // Automerge may have made it a whole document.
    message.version = MessageVersion::V1;
    Some(message)
}

/// Whether a message is surely small enough, which nearly all are. Asked of
/// the whole document's size, which costs nothing to know.
fn fits(doc: &Automerge, message: &Message, most: &Slice) -> bool {
    let bytes: usize = message.changes.iter().map(<[u8]>::len).sum();
    let stats = doc.stats();
    let (ops, changes) = (usize::try_from(stats.num_ops), usize::try_from(stats.num_changes));
    bytes <= most.bytes
        && ops.is_ok_and(|ops| ops <= most.ops)
        && changes.is_ok_and(|changes| changes <= most.changes)
}

/// What the peer lacks and was not sent, in causal order.
fn lacking(doc: &Automerge, state: &State, sent: &BTreeSet<ChangeHash>) -> Vec<Change> {
    let theirs = state.their_heads.iter().flatten().chain(&state.shared_heads).copied();
    let known: Vec<ChangeHash> = theirs.filter(|head| doc.get_change_meta_by_hash(head).is_some()).collect();
    let mut changes = doc.get_changes(&known);
    changes.retain(|change| !sent.contains(&change.hash()));
    changes
}

/// The first changes that one message may carry; at least one.
fn first(mut changes: Vec<Change>, most: &Slice) -> Vec<Change> {
    let (mut bytes, mut ops) = (0_usize, 0_usize);
    let too_much = changes.iter().take(most.changes).position(|change| {
        bytes = bytes.saturating_add(change.raw_bytes().len());
        ops = ops.saturating_add(change.len());
        bytes > most.bytes || ops > most.ops
    });
    changes.truncate(too_much.unwrap_or(most.changes).max(1));
    changes
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{ActorId, ROOT};

    use super::*;

    /// A document of two branches that meet: `changes` of each.
    fn document(changes: usize, ops: usize) -> Automerge {
        let mut ours = Automerge::new().with_actor(ActorId::from([1_u8; 16]));
        let mut theirs = ours.fork().with_actor(ActorId::from([2_u8; 16]));
        for doc in [&mut ours, &mut theirs] {
            for change in 0..changes {
                let mut tx = doc.transaction();
                for op in 0..ops {
                    tx.put(ROOT, format!("key{op}"), format!("{change} 长一点的文字")).unwrap();
                }
                tx.commit();
            }
        }
        ours.merge(&mut theirs).unwrap();
        ours
    }

    /// Lets a document flow to a peer that knows `known` of it. Gives the
    /// peer's document and the size of each message: bytes, ops, changes.
    fn flow(from: &Automerge, mut to: Automerge, most: &Slice) -> (Automerge, Vec<(usize, usize, usize)>) {
        let (mut ours, mut theirs) = (State::new(), State::new());
        let mut sizes = Vec::new();
        // Each round takes a slice: more rounds than changes never end.
        for _ in 0..from.get_changes(&[]).len() + 4 {
            if let Some(message) = generate(from, &mut ours, most) {
                let bytes = message.changes.iter().map(<[u8]>::len).sum();
                let changes: Vec<Change> =
                    message.changes.iter().map(|chunk| Change::from_bytes(chunk.to_vec()).unwrap()).collect();
                let ops = changes.iter().map(Change::len).sum();
                if !changes.is_empty() {
                    sizes.push((bytes, ops, changes.len()));
                }
                to.receive_sync_message(&mut theirs, Message::decode(&message.encode()).unwrap()).unwrap();
                assert!(to.get_missing_deps(&[]).is_empty(), "a slice waits for another");
            }
            match to.generate_sync_message(&mut theirs) {
                Some(message) => from.fork().receive_sync_message(&mut ours, message).unwrap(),
                None => break,
            }
        }
        (to, sizes)
    }

    #[test]
    fn a_large_document_arrives_in_slices_within_the_limits_and_no_change_comes_twice() {
        let doc = document(40, 5);
        let first = doc.get_changes(&[]).remove(0);
        let bytes = first.raw_bytes().len();
        let cases = [
            Slice { bytes: usize::MAX, ops: 23, changes: usize::MAX },
            // All operations but one, since the whole document deflated is small.
            Slice { bytes: 3 * bytes, ops: 399, changes: usize::MAX },
            Slice { bytes: usize::MAX, ops: usize::MAX, changes: 7 },
            Slice { bytes: usize::MAX, ops: 12, changes: 2 },
        ];
        let mut half = Automerge::new();
        half.apply_changes(doc.get_changes(&[]).into_iter().take(30)).unwrap();
        for most in cases {
            for peer in [Automerge::new(), half.fork()] {
                let lacks = doc.get_changes(&peer.get_heads()).len();
                let (there, sizes) = flow(&doc, peer, &most);
                assert_eq!(there.get_heads(), doc.get_heads(), "{most:?}");
                assert!(sizes.len() > 2, "{most:?} {sizes:?}");
                assert_eq!(sizes.iter().map(|(.., changes)| changes).sum::<usize>(), lacks, "{most:?}");
                for (bytes, ops, changes) in sizes {
                    let fits = bytes <= most.bytes && ops <= most.ops && changes <= most.changes;
                    assert!(fits, "{most:?}: {bytes} {ops} {changes}");
                }
            }
        }
    }

    #[test]
    fn one_change_above_the_limit_goes_alone() {
        let doc = document(3, 5);
        let (there, sizes) = flow(&doc, Automerge::new(), &Slice { bytes: 1, ops: 1, changes: 1 });
        assert_eq!(there.get_heads(), doc.get_heads());
        assert_eq!(sizes.len(), 6);
    }
}
