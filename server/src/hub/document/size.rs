//! How large a document is by all that was ever done in it. What Automerge
//! counts is what is left: a deletion is no operation there, and fifty
//! thousand changes without operations are two hundred bytes when saved and
//! thirty megabytes when loaded.

use automerge::{Automerge, Change};

/// Everything that was ever done in a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Changes.
    pub changes: usize,
    /// Their operations, deletions too.
    pub operations: usize,
}

impl Size {
    /// Of the changes that a document has applied.
    pub fn of(doc: &Automerge) -> Self {
        let mut size = Self::default();
        for change in doc.get_changes_meta(&[]) {
            let operations = (change.max_op + 1).saturating_sub(change.start_op);
            size.changes += 1;
            size.operations =
                size.operations.saturating_add(usize::try_from(operations).unwrap_or(usize::MAX));
        }
        size
    }

    /// Takes a change in.
    pub fn add(&mut self, change: &Change) {
        self.changes += 1;
        self.operations = self.operations.saturating_add(change.len());
    }
}
