//! What held changes would say, read from a copy of their document. Nothing
//! here changes the document or the journal.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Automerge, Change, ChangeHash, ReadDoc};

use crate::fault::{self, Fault};
use crate::rounds::DocumentName;
use crate::store::{HELD_CHUNKS, held_chunks_key};

use super::Hub;
use super::document::held_changes;
use super::rows::HeldRow;

/// A document as it would be with held changes.
pub struct Preview {
    /// The copy, with the item's changes and those that they wait for, as far
    /// as they fit.
    pub document: Automerge,
    /// The item's changes that are in the copy.
    pub here: Vec<Change>,
    /// The item's changes that do not fit: what they depend on is not here, or
    /// Automerge refuses them.
    pub loose: Vec<Change>,
}

impl Hub {
    /// The document of an undecided item with the item's changes in it.
    ///
    /// # Errors
    /// `held.decided` for an item that is not held any more, or what the store
    /// says.
    pub async fn preview(&self, name: &DocumentName, number: u64) -> Result<Preview, Fault> {
        let rows = self.held(&name.round).await?.into_iter();
        let rows = rows.filter(|row| row.document == name.id() && row.decision.is_none());
        let rows: HashMap<u64, HeldRow> = rows.map(|row| (row.number, row)).collect();
        let own = rows.get(&number).ok_or_else(fault::decided)?;
        let own = self.changes_of_item(name, own).await?;
        let mut others = Vec::new();
        for other in waited_for(&rows, number) {
            // What cannot be read is missing, and is said to be.
            others.extend(self.changes_of_item(name, other).await.unwrap_or_default());
        }
        let document = self.read(name).await?.read().clone();
        tokio::task::spawn_blocking(move || lay_over(document, others, own))
            .await
            .map_err(|_| fault::internal())
    }

    async fn changes_of_item(&self, name: &DocumentName, row: &HeldRow) -> Result<Vec<Change>, Fault> {
        let bytes = self.0.store.row(HELD_CHUNKS, held_chunks_key(&name.id(), row.number)).await?;
        let bytes = bytes.ok_or_else(fault::decided)?;
        let still: HashSet<String> = row.hashes.iter().cloned().collect();
        let read = tokio::task::spawn_blocking(move || held_changes(&bytes));
        let mut changes = read.await.map_err(|_| fault::internal())??;
        changes.retain(|change| still.contains(&change.hash().to_string()));
        Ok(changes)
    }
}

/// The undecided items that an item waits for, directly or through others.
fn waited_for(rows: &HashMap<u64, HeldRow>, number: u64) -> Vec<&HeldRow> {
    let places: HashMap<&str, &HeldRow> =
        rows.values().flat_map(|row| row.hashes.iter().map(move |hash| (hash.as_str(), row))).collect();
    let mut seen = HashSet::from([number]);
    let mut open: Vec<&HeldRow> = rows.get(&number).into_iter().collect();
    let mut found = Vec::new();
    while let Some(row) = open.pop() {
        for next in row.waits_for.iter().filter_map(|hash| places.get(hash.as_str())) {
            if seen.insert(next.number) {
                found.push(*next);
                open.push(next);
            }
        }
    }
    found
}

/// With all of them where that works, else with the item's own, else without.
fn lay_over(document: Automerge, others: Vec<Change>, own: Vec<Change>) -> Preview {
    let all = others.into_iter().chain(own.clone()).collect();
    let laid = with(&document, all).or_else(|| with(&document, own.clone()));
    let document = laid.unwrap_or(document);
    let is_here = |hash: &ChangeHash| document.get_change_by_hash(hash).is_some();
    let (here, loose) = own.into_iter().partition(|change| is_here(&change.hash()));
    Preview { document, here, loose }
}

/// A copy with these changes; `None` where Automerge does not take them.
fn with(document: &Automerge, changes: Vec<Change>) -> Option<Automerge> {
    let mut copy = document.clone();
    // Automerge may panic at what a stranger wrote; the copy is dropped then.
    let applied = catch_unwind(AssertUnwindSafe(|| copy.apply_changes(changes)));
    matches!(applied, Ok(Ok(()))).then_some(copy)
}
