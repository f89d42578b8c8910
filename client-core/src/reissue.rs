//! Writing own work again under another actor.
//!
//! A home folder that was put back to an earlier state may have continued an
//! actor whose later changes the server has already. Two changes with the same
//! actor and sequence number never merge, so what this device wrote since
//! could never be sent. The same is true of what was written after a change
//! that a supervisor left out. The document is built again without those
//! changes, and what the own ones of them stated is stated again in new
//! changes. Nobody states again what somebody else has seen.

use duxue_document::collections::{BTreeMap, BTreeSet};

use automerge::{ActorId, Automerge, Change, ChangeHash};

use duxue_document::changed::{Changed, Unit};
use duxue_document::consolidated::fields;
use duxue_document::write::{self, WriteError};
use duxue_document::{Claim, DecisionId, DocumentKind, EntryPath, OpId, Scalar, decision, genesis, history};

/// The changes that a document cannot keep; what builds on them goes with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gone {
    /// Those of an actor from a sequence number on: the server has others.
    pub clash: Option<(ActorId, u64)>,
    /// What the server keeps and can never apply.
    pub set_aside: BTreeSet<ChangeHash>,
    /// What a supervisor left out: it is not stated again.
    pub left_out: BTreeSet<ChangeHash>,
}

impl Gone {
    fn has(&self, change: &Change) -> bool {
        let (hash, clash) = (change.hash(), self.clash.as_ref());
        clash.is_some_and(|(actor, seq)| change.actor_id() == actor && change.seq() >= *seq)
            || self.set_aside.contains(&hash)
            || self.left_out.contains(&hash)
    }
}

/// A document that is to be written again once the server has all that others
/// wrote of what goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clash {
    /// The actor, and the first of its numbers that was used twice.
    pub of: Option<(ActorId, u64)>,
    /// What of others the server may not have.
    pub open: BTreeSet<ChangeHash>,
    /// What of others a receipt on this connection said that it keeps.
    pub kept: BTreeSet<ChangeHash>,
}

impl Clash {
    /// A new connection: the server may have been put back to a backup.
    pub fn begin(&mut self) {
        self.open.extend(std::mem::take(&mut self.kept));
    }
}

/// Whose work an actor's changes are: whether they are the own ones.
pub type Own<'a> = &'a dyn Fn(&ActorId) -> bool;

/// The document under `actor` without what is gone, and with what was stated
/// there, or on top of it, by the own actors stated again.
///
/// # Errors
/// Where a document cannot be written; the old one is untouched.
pub fn again(
    old: &Automerge,
    kind: DocumentKind,
    gone: &Gone,
    own: Own<'_>,
    actor: ActorId,
) -> Result<Automerge, WriteError> {
    let (kept, dropped) = split(old, gone);
    let (dropped, not_again): (Vec<Change>, Vec<Change>) = dropped
        .into_iter()
        .partition(|change| own(change.actor_id()) && !gone.left_out.contains(&change.hash()));
    let mut new = genesis::document(kind, actor);
    new.apply_changes(kept)?;
    let mut stated = claims(old, kind, &dropped);
    let mut renamed = BTreeMap::new();
    for change in &dropped {
        let Some(mut claims) = stated.remove(&change.hash().to_string()) else { continue };
        for (_, path, claim) in &mut claims {
            rename(path, claim, &renamed);
        }
        let again: Vec<(EntryPath, Claim)> =
            claims.iter().map(|(_, path, claim)| (path.clone(), claim.clone())).collect();
        let ops = write::put_claims(&mut new, &again)?;
        renamed.extend(claims.into_iter().map(|(op, ..)| op).zip(ops));
    }
    decide(old, kind, &not_again, &mut new)?;
    Ok(new)
}

/// The changes that a document loses with what is gone, in causal order.
#[must_use]
pub fn lost(old: &Automerge, gone: &Gone) -> Vec<Change> {
    split(old, gone).1
}

/// What changes stated in a document, in their order.
#[must_use]
pub fn stated(old: &Automerge, kind: DocumentKind, changes: &[Change]) -> Vec<(EntryPath, Claim)> {
    let mut stated = claims(old, kind, changes);
    let of = |change: &Change| stated.remove(&change.hash().to_string()).unwrap_or_default();
    changes.iter().flat_map(of).map(|(_, path, claim)| (path, claim)).collect()
}

/// What can stay, and what cannot, each in causal order.
fn split(old: &Automerge, gone: &Gone) -> (Vec<Change>, Vec<Change>) {
    let mut lost: BTreeSet<ChangeHash> = BTreeSet::new();
    old.get_changes(&[]).into_iter().partition(|change| {
        let goes = gone.has(change) || change.deps().iter().any(|hash| lost.contains(hash));
        if goes {
            lost.insert(change.hash());
        }
        !goes
    })
}

type Stated = BTreeMap<String, Vec<(OpId, EntryPath, Claim)>>;

/// The claims of these changes, by the change's hash in hex.
fn claims(old: &Automerge, kind: DocumentKind, dropped: &[Change]) -> Stated {
    let ours: BTreeSet<String> = dropped.iter().map(|change| change.hash().to_string()).collect();
    let mut found = Stated::new();
    for path in Changed::by(kind, old, dropped).units.iter().flat_map(|unit| entries(old, unit)) {
        for past in history::history_of_entry(old, kind, &path) {
            if ours.contains(&past.hash) {
                found.entry(past.hash).or_default().push((past.op, path.clone(), past.claim));
            }
        }
    }
    found
}

fn entries(doc: &Automerge, unit: &Unit) -> BTreeSet<EntryPath> {
    match unit {
        Unit::Entry(path) => BTreeSet::from([path.clone()]),
        Unit::Item(item) => history::entries_of_item(doc, item),
        Unit::Decision(_) | Unit::Foreign { .. } | Unit::Top => BTreeSet::new(),
    }
}

/// A removal names the ops that its author saw, some of which are new now.
fn rename(path: &EntryPath, claim: &mut Claim, renamed: &BTreeMap<OpId, OpId>) {
    let EntryPath::Item { field, .. } = path else { return };
    if field.as_str() != fields::REMOVED {
        return;
    }
    for (name, scalar) in &mut claim.value {
        let Scalar::Text(text) = scalar else { continue };
        if name.as_str() != "saw" {
            continue;
        }
        let new = |word: &str| {
            let renamed = word.parse::<OpId>().ok().and_then(|op| renamed.get(&op));
            renamed.map_or_else(|| word.to_owned(), ToString::to_string)
        };
        *text = text.split(' ').map(new).collect::<Vec<_>>().join(" ");
    }
}

/// Verdicts and rulings have names of their own: those that are missing are
/// put again as they were, but for those of changes that are not stated again.
fn decide(
    old: &Automerge,
    kind: DocumentKind,
    not_again: &[Change],
    new: &mut Automerge,
) -> Result<(), WriteError> {
    let touched = Changed::by(kind, old, not_again).units;
    let out = |id: &DecisionId| touched.contains(&Unit::Decision(id.clone()));
    match kind {
        DocumentKind::Review => {
            let known = decision::verdicts(new);
            for (id, verdict) in decision::verdicts(old) {
                if !known.contains_key(&id) && !out(&id) {
                    write::put_verdict(new, &id, &verdict)?;
                }
            }
        }
        DocumentKind::Ruling => {
            let known = decision::rulings(new);
            for (id, ruling) in decision::rulings(old) {
                if !known.contains_key(&id) && !out(&id) {
                    write::put_ruling(new, &id, &ruling)?;
                }
            }
        }
        DocumentKind::Survey | DocumentKind::County | DocumentKind::Plan => {}
    }
    Ok(())
}
