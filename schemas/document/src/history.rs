//! Everything that was ever stated about an entry.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ChangeHash, ObjId, ReadDoc, legacy};
use serde::{Deserialize, Serialize};

use crate::changed::{Deletes, Place, Places, each_op, key};
use crate::path::ItemKey;
use crate::read::{self, Source, op_id};
use crate::{Claim, DocumentKind, EntryPath, OpId};
use crate::{genesis, schema};

/// A claim that was put in an entry at some time, or what a foreign client's
/// edit made of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastClaim {
    /// The op that wrote it; its identity as a candidate.
    pub op: OpId,
    /// The hash of the change that holds it, in hex: with the op's actor it
    /// leads to the record of its arrival.
    pub hash: String,
    /// Whether it is a candidate now.
    pub live: bool,
    /// The claim as it was then.
    pub claim: Claim,
}

/// Every claim ever put in an entry of a survey or county document, in the
/// order of the ops, whether or not later claims, removals or deletions hide it.
///
/// Walks through the whole history: for the evidence sheet of one entry, not
/// for every edit.
#[must_use]
pub fn history(doc: &Automerge, kind: DocumentKind, path: &EntryPath) -> Vec<PastClaim> {
    let deletes = Deletes::of(kind, doc);
    let source = Source::parts(doc, &deletes);
    let live: Vec<OpId> = read::candidates(&source, kind, path).into_iter().map(|c| c.op).collect();
    let mut past: Vec<PastClaim> = wrote(doc, kind, path)
        .into_iter()
        .filter_map(|written| {
            let op = op_id(&written.op)?;
            let claim = read::past_claim(&source, path, &written)?;
            Some(PastClaim { live: live.contains(&op), op, hash: written.hash.to_string(), claim })
        })
        .collect();
    past.sort_by(|a, b| a.op.order().cmp(&b.op.order()));
    past
}

/// A change's last word on a claim.
pub(crate) struct Written {
    /// The map that holds the entry, and the entry's key there.
    pub(crate) parent: ObjId,
    pub(crate) key: String,
    /// The claim's op, and the op of this change that is its identity.
    pub(crate) claim: ObjId,
    pub(crate) op: ObjId,
    pub(crate) hash: ChangeHash,
}

/// Every putting and editing of a claim in this entry.
fn wrote(doc: &Automerge, kind: DocumentKind, path: &EntryPath) -> Vec<Written> {
    let (container, first) = schema::container_of(path);
    let mut keys = vec![container.to_owned(), first];
    if let EntryPath::Item { field, .. } = path {
        keys.push(field.to_string());
    }
    let mut places = Places::new(kind, doc);
    let mut wrote: BTreeMap<(usize, OpId), Written> = BTreeMap::new();
    for (number, change) in doc.get_changes(&[]).iter().enumerate() {
        each_op(change, |id, op| {
            let Some((parent, claim)) = claim_of(places.of(&op.obj), &op, &id, &keys) else { return };
            let Some(name) = op_id(&claim) else { return };
            if claim == id && matches!(op.action, legacy::OpType::Delete) {
                return;
            }
            let key = keys.last().cloned().unwrap_or_default();
            let hash = change.hash();
            let written =
                wrote.entry((number, name)).or_insert(Written { parent, key, claim, op: id.clone(), hash });
            // An edit is named by its last op; what comes inside a claim with
            // the change that puts it is that claim.
            if written.op != written.claim {
                written.op = id;
            }
        });
    }
    wrote.into_values().collect()
}

/// The claim of the entry under `keys` that an operation puts, edits or
/// deletes, with the map that the claim is in.
fn claim_of(place: &Place, op: &legacy::Op, id: &ObjId, keys: &[String]) -> Option<(ObjId, ObjId)> {
    let (last, above) = keys.split_last()?;
    if place.keys == above && key(op) == Some(last) {
        return Some((place.objects.last()?.clone(), id.clone()));
    }
    let inside = place.keys.starts_with(keys);
    inside.then(|| {
        Some((place.objects.get(above.len() - 1)?.clone(), place.objects.get(above.len())?.clone()))
    })?
}

/// The entries that an item of a survey has or had, in every map that was put
/// under its id.
#[must_use]
pub fn entries_of_item(doc: &Automerge, item: &ItemKey) -> BTreeSet<EntryPath> {
    let Some(items) = genesis::container(DocumentKind::Survey, item.kind.as_str()) else {
        return BTreeSet::new();
    };
    let maps = doc.get_all(&items, item.item.as_str()).unwrap_or_default();
    let fields = maps.into_iter().flat_map(|(_, map)| doc.keys(&map).collect::<Vec<_>>());
    let path = |field: String| {
        Some(EntryPath::Item { kind: item.kind, item: item.item.clone(), field: field.parse().ok()? })
    };
    fields.filter_map(path).collect()
}
