//! How much of what has arrived goes into one commit.

use automerge::Change;

use crate::store::{GROUP_BYTES_MAX, GROUP_RECORDS_MAX};

use super::document::Contribution;

/// Bytes of changes in one commit. Rows about them come on top: a hash in a
/// row takes twice what the smallest change does.
const GROUP_BYTES: usize = GROUP_BYTES_MAX / 4;
/// Changes in one commit: each may cost a chunk, a binding and an event.
const GROUP_CHANGES: usize = GROUP_RECORDS_MAX / 4;

/// Bytes of changes as they are kept.
#[must_use]
fn bytes(changes: &[Change]) -> usize {
    changes.iter().map(|change| change.raw_bytes().len()).sum()
}

/// What is left of a commit.
pub struct Room {
    bytes: usize,
    changes: usize,
}

impl Room {
    /// A whole commit.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: GROUP_BYTES, changes: GROUP_CHANGES }
    }

    /// Takes room for changes; whether there was enough.
    pub fn take(&mut self, changes: &[Change]) -> bool {
        let left = self.bytes.checked_sub(bytes(changes)).zip(self.changes.checked_sub(changes.len()));
        if let Some((bytes, changes)) = left {
            *self = Self { bytes, changes };
        }
        left.is_some()
    }
}

/// Deliveries in groups that the store takes in one commit, rows included.
#[must_use]
pub fn groups(contributions: Vec<Contribution>) -> Vec<Vec<Contribution>> {
    let mut groups: Vec<Vec<Contribution>> = Vec::new();
    let (mut room, mut changes_left) = (0, 0);
    for contribution in contributions {
        let (size, count) = (bytes(&contribution.changes), contribution.changes.len());
        if size > room || count > changes_left || groups.is_empty() {
            groups.push(Vec::new());
            (room, changes_left) = (GROUP_BYTES, GROUP_CHANGES);
        }
        room = room.saturating_sub(size);
        changes_left = changes_left.saturating_sub(count);
        if let Some(group) = groups.last_mut() {
            group.push(contribution);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{ActorId, ROOT};
    use duxue_document::{DocumentKind, genesis};

    use crate::rounds::Writing;
    use crate::store::Delivery;

    use super::*;

    fn contribution(session: u64, bytes: usize) -> Contribution {
        let mut doc = genesis::document(DocumentKind::Survey, ActorId::from([1; 16]));
        let mut tx = doc.transaction();
        tx.put(ROOT, "text", "0".repeat(bytes)).expect("puts");
        tx.commit();
        let changes = vec![doc.get_last_local_change().expect("a change")];
        let delivery = Delivery { person: "p".parse().expect("an id"), device: None };
        Contribution { session, delivery, write: Writing::Yes, changes }
    }

    #[test]
    fn deliveries_of_one_tick_are_committed_in_groups_that_the_store_takes() {
        const MIB: usize = 1 << 20;
        let cases: [(&[usize], &[usize]); 4] = [
            (&[1, 1, 1], &[3]),
            (&[7 * MIB, 7 * MIB, 7 * MIB, 7 * MIB, 7 * MIB], &[2, 2, 1]),
            (&[GROUP_BYTES, 1, 1], &[1, 2]),
            (&[], &[]),
        ];
        for (sizes, expected) in cases {
            let brought = (0..).zip(sizes).map(|(session, bytes)| contribution(session, *bytes)).collect();
            let groups = groups(brought);
            assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), expected);
            let order: Vec<u64> = groups.iter().flatten().map(|brought| brought.session).collect();
            assert!(order.is_sorted(), "{order:?}");
        }
    }
}
