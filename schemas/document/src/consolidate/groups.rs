//! Which items are one thing, by the rulings that merge and separate.

use crate::collections::BTreeSet;

use super::decisions::{Decisions, Target};
use crate::decision::{Ruling, Subject};
use crate::path::ItemKey;

/// The items that merge rulings join with this one, directly or through
/// others, whether or not they are in the survey.
pub(super) fn joined(rulings: &Decisions<Ruling>, item: &ItemKey) -> BTreeSet<ItemKey> {
    let mut joined = BTreeSet::new();
    let mut open = vec![item.clone()];
    while let Some(item) = open.pop() {
        if joined.contains(&item) {
            continue;
        }
        for (_, ruling) in rulings.active(&Target::Item(item.clone())) {
            if let Subject::Merge { items } = &ruling.subject {
                open.extend(items.iter().filter(|other| !joined.contains(*other)).cloned());
            }
        }
        joined.insert(item);
    }
    joined
}

/// The items that rulings say are different from this one.
pub(super) fn separated(rulings: &Decisions<Ruling>, item: &ItemKey) -> BTreeSet<ItemKey> {
    rulings
        .active(&Target::Item(item.clone()))
        .filter_map(|(_, ruling)| match &ruling.subject {
            Subject::Separate { items } => Some(items),
            _ => None,
        })
        .flatten()
        .filter(|other| *other != item)
        .cloned()
        .collect()
}

/// Whether some ruling separates what others join. Such items stay apart, and
/// the question stays open, until one of the rulings is superseded.
pub(super) fn contested(rulings: &Decisions<Ruling>, joined: &BTreeSet<ItemKey>) -> bool {
    joined.len() > 1
        && joined.iter().any(|item| separated(rulings, item).iter().any(|other| joined.contains(other)))
}
