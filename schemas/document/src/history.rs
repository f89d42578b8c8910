//! Everything that was ever stated about an entry.

use crate::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, ChangeHash, ObjId, Prop, ReadDoc, legacy};
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
    /// The ops that took its place: claims of people who had seen it, or
    /// deletions of foreign clients. Empty where it is live, and where the map
    /// that it was in is gone.
    pub superseded_by: BTreeSet<OpId>,
    /// The claim as it was then.
    pub claim: Claim,
}

/// Every claim ever put in an entry of a survey or county document, in the
/// order of the ops, whether or not later claims, removals or deletions hide it.
///
/// Cost: a walk through the whole history, linear in its operations, and for
/// each claim found a reading of the document as it was then, so that the work
/// is (operations) + (claims of the entry × changes). For the sheet of one
/// entry, not for every edit.
#[must_use]
pub fn history_of_entry(doc: &Automerge, kind: DocumentKind, path: &EntryPath) -> Vec<PastClaim> {
    let deletes = Deletes::of(kind, doc);
    let source = Source::parts(doc, &deletes);
    let live: BTreeSet<OpId> = read::candidates(&source, kind, path).into_iter().map(|c| c.op).collect();
    let History { wrote, superseded } = walk(doc, kind, path);
    let mut past: Vec<PastClaim> = wrote
        .into_iter()
        .filter_map(|written| {
            let op = op_id(&written.op)?;
            let claim = read::past_claim(&source, path, &written)?;
            let superseded_by = op_id(&written.claim).and_then(|claim| superseded.get(&claim).cloned());
            let live = live.contains(&op);
            let hash = written.hash.to_string();
            Some(PastClaim { live, op, hash, superseded_by: superseded_by.unwrap_or_default(), claim })
        })
        .collect();
    past.sort_by(|a, b| a.op.order().cmp(&b.op.order()));
    past
}

/// What was in an entry before the change that put this claim there, in the
/// order of the ops: what the claim took the place of.
///
/// Cost: the claims found and the way to them, whatever the document's size.
#[must_use]
pub fn before(doc: &Automerge, path: &EntryPath, claim: &OpId) -> Vec<(OpId, Claim)> {
    place_of(doc, claim)
        .map(|(parent, key, deps)| {
            let deletes = Deletes::default();
            let source = Source::parts(doc, &deletes);
            let live = doc.get_all_at(&parent, key.as_str(), &deps).unwrap_or_default();
            let claim_of = |(_, claim): (_, ObjId)| {
                let hash = doc.hash_for_opid(&claim)?;
                let (parent, key, op) = (parent.clone(), key.clone(), claim.clone());
                let name = op_id(&claim)?;
                Some((name, read::past_claim(&source, path, &Written { parent, key, claim, op, hash })?))
            };
            live.into_iter().filter_map(claim_of).collect()
        })
        .unwrap_or_default()
}

/// The map and key that a claim was put at, and what its change stands on.
fn place_of(doc: &Automerge, claim: &OpId) -> Option<(ObjId, String, Vec<ChangeHash>)> {
    let id = read::obj_id(claim)?;
    let change = doc.get_change_meta_by_hash(&doc.hash_for_opid(&id)?)?;
    let parent = doc.parents(&id).ok()?.next()?;
    match parent.prop {
        Prop::Map(key) => Some((parent.obj, key, change.deps)),
        Prop::Seq(_) => None,
    }
}

/// A claim that took the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The entry.
    pub path: EntryPath,
    /// The claim that is live.
    pub by: OpId,
    /// A claim that it replaced, directly or through others.
    pub old: OpId,
}

/// The claims that live candidates of a survey have replaced, each with all
/// that those had replaced before: whoever states a value twice has replaced
/// the same as whoever states it once.
///
/// Cost: one walk through the whole history and a reading of the entries
/// found, whatever their number.
#[must_use]
pub fn replaced(survey: &Automerge) -> Vec<Replaced> {
    const KIND: DocumentKind = DocumentKind::Survey;
    let mut places = Places::new(KIND, survey);
    let mut found: BTreeMap<EntryPath, Vec<(OpId, OpId)>> = BTreeMap::new();
    for change in survey.get_changes(&[]) {
        each_op(&change, |id, op| {
            if op.pred.is_empty() || matches!(op.action, legacy::OpType::Delete) {
                return;
            }
            let place = places.of(&op.obj);
            let keys = place.keys.iter().map(String::as_str).chain(key(&op));
            // Deeper keys are inside a claim, and are no entry's.
            let path = keys.collect::<Vec<_>>().join("/").parse::<EntryPath>().ok();
            let (Some(path), Some(by)) = (path, op_id(&id)) else { return };
            let old = op.pred.iter().filter_map(|old| op_id(&ObjId::Id(old.0, old.1.clone(), 0)));
            found.entry(path).or_default().extend(old.map(|old| (by.clone(), old)));
        });
    }
    let deletes = Deletes::of(KIND, survey);
    let source = Source::parts(survey, &deletes);
    let of_entry = |(path, pairs): (EntryPath, Vec<(OpId, OpId)>)| {
        let live: BTreeSet<OpId> = read::candidates(&source, KIND, &path).into_iter().map(|c| c.op).collect();
        let mut before: BTreeMap<OpId, Vec<OpId>> = BTreeMap::new();
        for (by, old) in pairs {
            before.entry(by).or_default().push(old);
        }
        let of_claim = |by: OpId| {
            let path = path.clone();
            earlier(&before, &by).into_iter().map(move |old| Replaced {
                path: path.clone(),
                by: by.clone(),
                old,
            })
        };
        live.into_iter().flat_map(of_claim).collect::<Vec<_>>()
    };
    found.into_iter().flat_map(of_entry).collect()
}

/// Everything that led to a claim, however many steps back.
fn earlier(before: &BTreeMap<OpId, Vec<OpId>>, claim: &OpId) -> BTreeSet<OpId> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&OpId> = before.get(claim).into_iter().flatten().collect();
    while let Some(op) = next.pop() {
        if found.insert(op.clone()) {
            next.extend(before.get(op).into_iter().flatten());
        }
    }
    found
}

/// What a walk through the history finds of one entry.
#[derive(Default)]
struct History {
    /// Every putting and editing of a claim.
    wrote: Vec<Written>,
    /// The ops that were put or deleted over each claim.
    superseded: BTreeMap<OpId, BTreeSet<OpId>>,
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

fn walk(doc: &Automerge, kind: DocumentKind, path: &EntryPath) -> History {
    let (container, first) = schema::container_of(path);
    let mut keys = vec![container.to_owned(), first];
    if let EntryPath::Item { field, .. } = path {
        keys.push(field.to_string());
    }
    let mut places = Places::new(kind, doc);
    let mut wrote: BTreeMap<(usize, OpId), Written> = BTreeMap::new();
    let mut superseded: BTreeMap<OpId, BTreeSet<OpId>> = BTreeMap::new();
    for (number, change) in doc.get_changes(&[]).iter().enumerate() {
        each_op(change, |id, op| {
            let Some((parent, claim)) = claim_of(places.of(&op.obj), &op, &id, &keys) else { return };
            let Some(name) = op_id(&claim) else { return };
            if claim == id {
                for old in op.pred.iter().filter_map(|old| op_id(&ObjId::Id(old.0, old.1.clone(), 0))) {
                    superseded.entry(old).or_default().insert(name.clone());
                }
                if matches!(op.action, legacy::OpType::Delete) {
                    return;
                }
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
    History { wrote: wrote.into_values().collect(), superseded }
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
