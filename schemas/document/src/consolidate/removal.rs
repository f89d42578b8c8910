//! Whether an item is still there.

use crate::collections::BTreeSet;

use crate::consolidated::{Candidate, Entry, Removal, ReviewState, ValueState, fields};
use crate::read::{Fields, edits_of};
use crate::{FieldId, OpId, Scalar, Value};

/// A ruling on the presence of an item that nothing supersedes.
pub(super) struct RemovalRuling<'a> {
    pub(super) present: bool,
    pub(super) saw: &'a BTreeSet<OpId>,
}

/// One of the items joined into one.
pub(super) struct Member<'a> {
    pub(super) fields: &'a Fields,
    pub(super) rulings: Vec<RemovalRuling<'a>>,
}

/// Works out whether a thing that is one or several joined items is there. It
/// is removed when every member is; `entry` is its entry `removed`.
pub(super) fn removal(members: &[Member<'_>], entry: Option<&Entry>) -> Removal {
    let all: BTreeSet<OpId> = members.iter().flat_map(|member| live(member.fields)).collect();
    let rulings: Vec<&RemovalRuling<'_>> = members.iter().flat_map(|member| &member.rulings).collect();
    if let Some(ruled) = standing(&rulings, &all) {
        return ruled;
    }
    let mut unseen = BTreeSet::new();
    let mut present = false;
    for member in members {
        match of_member(member, entry) {
            Removal::Present => present = true,
            Removal::Removed => {}
            Removal::EditedAfterRemoval { unseen: more } => unseen.extend(more),
        }
    }
    match (unseen.is_empty(), present) {
        (false, _) => Removal::EditedAfterRemoval { unseen },
        (true, true) => Removal::Present,
        (true, false) => Removal::Removed,
    }
}

fn of_member(member: &Member<'_>, entry: Option<&Entry>) -> Removal {
    let live = live(member.fields);
    let rulings: Vec<&RemovalRuling<'_>> = member.rulings.iter().collect();
    if let Some(ruled) = standing(&rulings, &live) {
        return ruled;
    }
    let claimed = claimed(member.fields, entry);
    let claimed_present = matches!(claimed, Removal::Present);
    // A ruling that did not see everything leaves the question open again
    // where the claims now say something else.
    let contradicted = rulings.iter().find(|ruling| ruling.present != claimed_present);
    match (claimed, contradicted) {
        (Removal::EditedAfterRemoval { unseen }, _) => Removal::EditedAfterRemoval { unseen },
        (_, Some(ruling)) => {
            Removal::EditedAfterRemoval { unseen: live.difference(ruling.saw).cloned().collect() }
        }
        (claimed, None) => claimed,
    }
}

/// What rulings that saw every live op say; nothing if there are none, and
/// open if they contradict each other.
fn standing(rulings: &[&RemovalRuling<'_>], live: &BTreeSet<OpId>) -> Option<Removal> {
    let mut says = rulings.iter().filter(|ruling| live.is_subset(ruling.saw)).map(|ruling| ruling.present);
    let first = says.next()?;
    if says.any(|present| present != first) {
        return Some(Removal::EditedAfterRemoval { unseen: live.clone() });
    }
    Some(if first { Removal::Present } else { Removal::Removed })
}

/// What the claims say: removed where every live op is named by a removal.
fn claimed(found: &Fields, entry: Option<&Entry>) -> Removal {
    let settled = entry.and_then(|entry| match &entry.value {
        ValueState::Settled { value, .. } => Some(says_removed(value)),
        _ => None,
    });
    // A removal that a supervisor sent back counts as not made.
    let returned =
        entry.is_some_and(|entry| matches!(entry.review, ReviewState::Returned { overruled: false, .. }));
    let (removals, restorals): (Vec<&Candidate>, Vec<&Candidate>) =
        removals_of(found).partition(|candidate| says_removed(&candidate.value));
    if removals.is_empty() && settled != Some(true) || settled == Some(false) || returned {
        return Removal::Present;
    }
    let named: BTreeSet<OpId> = removals.iter().flat_map(|candidate| named(&candidate.value)).collect();
    let restoring = restorals.iter().map(|candidate| &candidate.op).filter(|_| settled.is_none());
    let unseen: BTreeSet<OpId> =
        edits_of(found).chain(restoring).filter(|op| !named.contains(op)).cloned().collect();
    if unseen.is_empty() { Removal::Removed } else { Removal::EditedAfterRemoval { unseen } }
}

/// Every live op of an item, its removals included.
fn live(found: &Fields) -> BTreeSet<OpId> {
    edits_of(found).chain(removals_of(found).map(|candidate| &candidate.op)).cloned().collect()
}

fn removals_of(found: &Fields) -> impl Iterator<Item = &Candidate> {
    found.iter().filter(|(field, _)| field.as_str() == fields::REMOVED).flat_map(|(_, candidates)| candidates)
}

fn says_removed(value: &Value) -> bool {
    scalar(value, "removed") == Some(&Scalar::Bool(true))
}

/// The ops that a removal names.
fn named(value: &Value) -> BTreeSet<OpId> {
    match scalar(value, "saw") {
        Some(Scalar::Text(text)) => text.split_whitespace().filter_map(|op| op.parse().ok()).collect(),
        _ => BTreeSet::new(),
    }
}

fn scalar<'a>(value: &'a Value, field: &str) -> Option<&'a Scalar> {
    value.iter().find(|(name, _)| FieldId::as_str(name) == field).map(|(_, scalar)| scalar)
}
