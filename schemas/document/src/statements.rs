//! What changes state, one by one: for whoever decides about changes before
//! they are in a document.

use crate::collections::BTreeMap;

use automerge::{Automerge, Change, ChangeHash, ScalarValue, legacy};

use crate::changed::{Deletes, Places, each_op, key};
use crate::history::Written;
use crate::path::ItemKind;
use crate::read::{self, Source, op_id};
use crate::{Claim, DocumentKind, EntryPath, OpId};

/// A claim that a change states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The op that wrote it.
    pub op: OpId,
    /// The change that holds it.
    pub change: ChangeHash,
    /// The entry.
    pub path: EntryPath,
    /// What is stated.
    pub claim: Claim,
}

/// A value in a change that cannot be placed in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The change that holds it.
    pub change: ChangeHash,
    /// The key under which it is put, such as `length_m`.
    pub field: String,
    /// The value as text.
    pub value: String,
}

/// The claims that these changes put in entries, in the order of their ops.
/// The document must hold the changes already.
///
/// Cost: the operations of the changes, and a reading of the document as it
/// was then for each claim.
#[must_use]
pub fn statements(doc: &Automerge, kind: DocumentKind, changes: &[Change]) -> Vec<Statement> {
    let mut places = Places::new(kind, doc);
    let mut wrote: BTreeMap<(usize, OpId), (EntryPath, Written)> = BTreeMap::new();
    for (number, change) in changes.iter().enumerate() {
        each_op(change, |id, op| {
            let place = places.of(&op.obj);
            let Some((container, rest)) = place.keys.split_first() else { return };
            // Keys from the container to the entry.
            let depth = if container.parse::<ItemKind>().is_ok() { 3 } else { 2 };
            let keys: Vec<&str> =
                [container].into_iter().chain(rest).map(String::as_str).chain(key(&op)).collect();
            let Some(Ok(path)) = keys.get(..depth).map(|keys| keys.join("/").parse::<EntryPath>()) else {
                return;
            };
            let puts = keys.len() == depth && place.keys.len() < depth;
            let claim = if puts { Some(id.clone()) } else { place.objects.get(depth - 1).cloned() };
            let (Some(claim), Some(parent)) = (claim, place.objects.get(depth - 2).cloned()) else { return };
            let Some(name) = op_id(&claim) else { return };
            if puts && matches!(op.action, legacy::OpType::Delete) {
                return;
            }
            let (key, hash) = (keys.get(depth - 1).copied().unwrap_or_default().to_owned(), change.hash());
            let entry = wrote.entry((number, name));
            let (_, written) = entry.or_insert((path, Written { parent, key, claim, op: id.clone(), hash }));
            // An edit of a claim that is there is named by its last op.
            if written.op != written.claim {
                written.op = id;
            }
        });
    }
    let deletes = Deletes::of(kind, doc);
    let source = Source::parts(doc, &deletes);
    let read = |(path, written): (EntryPath, Written)| {
        let claim = read::past_claim(&source, &path, &written)?;
        Some(Statement { op: op_id(&written.op)?, change: written.hash, path, claim })
    };
    wrote.into_values().filter_map(read).collect()
}

/// The values in changes that are in no document, by their keys alone: what can
/// be read of them without what they depend on.
#[must_use]
pub fn fragments(changes: &[Change]) -> Vec<Fragment> {
    let mut found = Vec::new();
    for change in changes {
        each_op(change, |_, op| {
            let (Some(field), legacy::OpType::Put(value)) = (key(&op), &op.action) else { return };
            let value = match value {
                ScalarValue::Str(text) => text.to_string(),
                ScalarValue::Int(number) => number.to_string(),
                ScalarValue::Uint(number) => number.to_string(),
                ScalarValue::Boolean(value) => value.to_string(),
                _ => return,
            };
            found.push(Fragment { change: change.hash(), field: field.to_owned(), value });
        });
    }
    found
}
