//! Open conflicts, and what the data would be if one were settled.

use crate::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::consolidate::{natural, same_in_item};
use crate::consolidated::{
    ConsolidatedCounty, ConsolidatedSchool, Duplicate, Entry, Item, Removal, ReviewState, ValueState, fields,
};
use crate::path::ItemKey;
use crate::{EntryPath, FieldId, ItemId, OpId, Scalar, Value};

/// Something that is not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Stays the same while the conflict is open: `entry:rooms/01J/size`,
    /// `duplicate:rooms/01J+01K`, `removal:rooms/01J`.
    pub id: String,
    /// What it is about.
    pub subject: ConflictSubject,
}

/// What a conflict is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConflictSubject {
    /// Candidates that differ.
    Entry {
        /// The entry; of a merged item, under its lowest member.
        path: EntryPath,
        /// Whether they differ only within the round's tolerance: a conflict
        /// only if the choice changes a result.
        within_tolerance: bool,
    },
    /// Items that may be the same thing.
    Duplicate {
        /// The items.
        duplicate: Duplicate,
    },
    /// An edit of a removed item.
    Removal {
        /// The item.
        item: ItemKey,
    },
}

/// One way to settle a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "choice", content = "with", rename_all = "snake_case")]
pub enum Choice {
    /// The value of this candidate.
    Candidate(OpId),
    /// This value: one that was ruled, or that a bureau might state.
    Value(Value),
    /// The items are one thing.
    Merge,
    /// The items are different things.
    Separate,
    /// The item is gone.
    Removed,
    /// The item is there.
    Present,
}

impl Conflict {
    fn entry(path: EntryPath, within_tolerance: bool) -> Self {
        Self { id: format!("entry:{path}"), subject: ConflictSubject::Entry { path, within_tolerance } }
    }

    fn duplicate(duplicate: &Duplicate) -> Self {
        let items: Vec<&str> = duplicate.items.iter().map(ItemId::as_str).collect();
        let id = format!("duplicate:{}/{}", duplicate.kind.as_str(), items.join("+"));
        Self { id, subject: ConflictSubject::Duplicate { duplicate: duplicate.clone() } }
    }

    fn removal(item: ItemKey) -> Self {
        Self { id: format!("removal:{item}"), subject: ConflictSubject::Removal { item } }
    }
}

impl ConsolidatedSchool {
    /// Every open conflict: first entries in the order of their paths, then
    /// duplicates, then edits of removed items. Entries of removed items are
    /// not asked about; what a removal says is asked about as a removal only.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let here = self.items.iter().filter(|(_, item)| item.removal != Removal::Removed);
        let of_items = here.flat_map(|(key, item)| {
            item.fields.iter().filter(|(field, _)| field.as_str() != fields::REMOVED).map(|(field, entry)| {
                let (kind, item) = (key.kind, key.item.clone());
                (EntryPath::Item { kind, item, field: field.clone() }, entry)
            })
        });
        let others = self.entries.iter().map(|(path, entry)| (path.clone(), entry));
        let entries = of_items.chain(others).filter_map(|(path, entry)| match entry.value {
            ValueState::Conflicting { .. } => Some(Conflict::entry(path, false)),
            ValueState::WithinTolerance { .. } => Some(Conflict::entry(path, true)),
            _ => None,
        });
        let removals = self
            .items
            .iter()
            .filter(|(_, item)| matches!(item.removal, Removal::EditedAfterRemoval { .. }))
            .map(|(key, _)| Conflict::removal(key.clone()));
        entries.chain(self.duplicates.iter().map(Conflict::duplicate)).chain(removals).collect()
    }

    /// The ways to settle a conflict; none where it is not open here.
    #[must_use]
    pub fn choices(&self, conflict: &Conflict) -> Vec<Choice> {
        match &conflict.subject {
            ConflictSubject::Entry { path, .. } => match self.entry(path) {
                Some(entry) => entry_choices(entry),
                None => Vec::new(),
            },
            ConflictSubject::Duplicate { .. } => vec![Choice::Merge, Choice::Separate],
            ConflictSubject::Removal { .. } => vec![Choice::Removed, Choice::Present],
        }
    }

    /// An entry by its path; of a merged item, under the path of any member.
    #[must_use]
    pub fn entry(&self, path: &EntryPath) -> Option<&Entry> {
        match path {
            EntryPath::Item { field, .. } => self.thing(&path.item()?)?.1.fields.get(field),
            _ => self.entries.get(path),
        }
    }

    /// The thing that an item belongs to.
    #[must_use]
    pub fn thing(&self, item: &ItemKey) -> Option<(&ItemKey, &Item)> {
        self.items.get_key_value(item).or_else(|| {
            self.items.iter().find(|(key, thing)| key.kind == item.kind && thing.members.contains(&item.item))
        })
    }

    /// The data with one conflict settled in this way and all else open. The
    /// candidates stay. A choice that does not fit the conflict changes nothing.
    #[must_use]
    pub fn with_choice(&self, conflict: &Conflict, choice: &Choice) -> Self {
        let mut school = self.clone();
        match (&conflict.subject, choice) {
            (ConflictSubject::Entry { path, .. }, Choice::Candidate(_) | Choice::Value(_)) => {
                school.choose(path, choice);
            }
            (ConflictSubject::Duplicate { duplicate }, Choice::Merge) => school.merge(duplicate),
            (ConflictSubject::Duplicate { duplicate }, Choice::Separate) => {
                school.duplicates.retain(|other| other != duplicate);
            }
            (ConflictSubject::Removal { item }, Choice::Removed) => school.presence(item, Removal::Removed),
            (ConflictSubject::Removal { item }, Choice::Present) => school.presence(item, Removal::Present),
            _ => {}
        }
        school
    }

    fn choose(&mut self, path: &EntryPath, choice: &Choice) {
        let thing = path.item().and_then(|item| self.thing(&item).map(|(key, _)| key.clone()));
        let entry = match (path, &thing) {
            (EntryPath::Item { field, .. }, Some(thing)) => {
                self.items.get_mut(thing).and_then(|item| item.fields.get_mut(field))
            }
            _ => self.entries.get_mut(path),
        };
        let Some(entry) = entry else { return };
        let candidate = match choice {
            Choice::Candidate(op) => entry.candidates.iter().find(|candidate| candidate.op == *op),
            _ => entry.candidates.first(),
        };
        let Some((op, value)) = candidate.map(|candidate| (candidate.op.clone(), candidate.value.clone()))
        else {
            return;
        };
        let value = match choice {
            Choice::Value(value) => value.clone(),
            _ => value,
        };
        entry.value = ValueState::Agreed { op, value: value.clone() };
        match (path, thing) {
            (EntryPath::Section(section), _) => {
                let says = |(field, scalar): (&FieldId, &Scalar)| {
                    field.as_str() == "complete" && *scalar == Scalar::Bool(true)
                };
                let complete = value.iter().any(says);
                let returned = matches!(entry.review, ReviewState::Returned { overruled: false, .. });
                if complete && !returned {
                    self.complete.insert(*section);
                } else {
                    self.complete.remove(section);
                }
            }
            (EntryPath::Item { field, .. }, Some(thing)) if field.as_str() == fields::IDENTITY => {
                self.identify(&thing);
            }
            _ => {}
        }
    }

    /// Takes an item out of the duplicates whose key it no longer may have.
    fn identify(&mut self, thing: &ItemKey) {
        let Some(item) = self.items.get(thing) else { return };
        let keys = natural::keys(item).keys;
        let gone = |duplicate: &Duplicate| !duplicate.key.is_empty() && !keys.contains(&duplicate.key);
        drop_from(&mut self.duplicates, thing, gone);
    }

    fn presence(&mut self, item: &ItemKey, removal: Removal) {
        let Some(thing) = self.thing(item).map(|(key, _)| key.clone()) else { return };
        if removal == Removal::Removed {
            drop_from(&mut self.duplicates, &thing, |_| true);
        }
        if let Some(item) = self.items.get_mut(&thing) {
            item.removal = removal;
        }
    }

    fn merge(&mut self, duplicate: &Duplicate) {
        let mut keys =
            duplicate.items.iter().map(|item| ItemKey { kind: duplicate.kind, item: item.clone() });
        let Some(first) = keys.next() else { return };
        let others: Vec<Item> = keys.filter_map(|key| self.items.remove(&key)).collect();
        let Some(thing) = self.items.get_mut(&first) else { return };
        for other in others {
            join(thing, other);
        }
        self.duplicates.retain(|other| other != duplicate);
        // In other duplicates the merged item stands for all its members.
        for other in self.duplicates.iter_mut().filter(|other| other.kind == duplicate.kind) {
            if other.items.iter().any(|item| duplicate.items.contains(item)) {
                other.items.retain(|item| !duplicate.items.contains(item));
                other.items.insert(first.item.clone());
            }
        }
        self.duplicates.retain(|duplicate| duplicate.items.len() > 1);
        self.duplicates.sort();
    }
}

impl ConsolidatedCounty {
    /// Every entry whose candidates differ, in the order of the paths. It is
    /// settled by writing the entry again.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let differ = |entry: &Entry| matches!(entry.value, ValueState::Conflicting { .. });
        let open = self.entries.iter().filter(|(_, entry)| differ(entry));
        open.map(|(path, _)| Conflict::entry(path.clone(), false)).collect()
    }
}

fn entry_choices(entry: &Entry) -> Vec<Choice> {
    let candidates = entry.candidates.iter().map(|candidate| Choice::Candidate(candidate.op.clone()));
    let values: BTreeSet<&Value> = entry.candidates.iter().map(|candidate| &candidate.value).collect();
    match &entry.value {
        ValueState::WithinTolerance { .. } => candidates.collect(),
        ValueState::Conflicting { ruled_before, contradicting } => {
            let ruled = ruled_before.iter().chain(contradicting).filter(|value| !values.contains(value));
            candidates.chain(ruled.cloned().map(Choice::Value)).collect()
        }
        _ => Vec::new(),
    }
}

fn drop_from(duplicates: &mut Vec<Duplicate>, thing: &ItemKey, from: impl Fn(&Duplicate) -> bool) {
    for duplicate in duplicates.iter_mut().filter(|duplicate| duplicate.kind == thing.kind && from(duplicate))
    {
        duplicate.items.remove(&thing.item);
    }
    duplicates.retain(|duplicate| duplicate.items.len() > 1);
}

/// Joins an item into another. Without the round's rulings and tolerances at
/// hand, entries that are not plainly equal are left in conflict.
fn join(thing: &mut Item, other: Item) {
    thing.members.extend(other.members);
    for (field, entry) in other.fields {
        match thing.fields.remove(&field) {
            None => thing.fields.insert(field, entry),
            Some(own) => {
                let joined = join_entries(&field, own, entry);
                thing.fields.insert(field, joined)
            }
        };
    }
    let removal = std::mem::replace(&mut thing.removal, Removal::Present);
    thing.removal = match (removal, other.removal) {
        (Removal::EditedAfterRemoval { mut unseen }, Removal::EditedAfterRemoval { unseen: more }) => {
            unseen.extend(more);
            Removal::EditedAfterRemoval { unseen }
        }
        (edited @ Removal::EditedAfterRemoval { .. }, _)
        | (_, edited @ Removal::EditedAfterRemoval { .. }) => edited,
        (Removal::Removed, Removal::Removed) => Removal::Removed,
        (Removal::Present, _) | (_, Removal::Present) => Removal::Present,
    };
}

fn join_entries(field: &FieldId, a: Entry, b: Entry) -> Entry {
    if matches!(a.value, ValueState::Missing) && a.candidates.is_empty() {
        return b;
    }
    if matches!(b.value, ValueState::Missing) && b.candidates.is_empty() {
        return a;
    }
    let value = {
        let (own, other) = (a.possible_or_stated(), b.possible_or_stated());
        match (own.as_slice(), other.as_slice()) {
            ([one], [two]) if same_in_item(field, one, two) => a.value.clone(),
            _ => {
                // Ruled values are among what it may turn out to be.
                let contradicting = [&a.value, &b.value].into_iter().flat_map(ruled).cloned().collect();
                ValueState::Conflicting { ruled_before: None, contradicting }
            }
        }
    };
    let mut candidates = a.candidates;
    candidates.extend(b.candidates);
    crate::read::sort(&mut candidates);
    // No verdict saw these candidates together.
    let review = match (a.review, b.review) {
        (awaiting @ ReviewState::Awaiting { .. }, _) | (_, awaiting @ ReviewState::Awaiting { .. }) => {
            awaiting
        }
        _ => ReviewState::Unreviewed,
    };
    Entry { candidates, value, review }
}

fn ruled(state: &ValueState) -> Vec<&Value> {
    match state {
        ValueState::Settled { value, .. } => vec![value],
        ValueState::Conflicting { ruled_before, contradicting } => {
            ruled_before.iter().chain(contradicting).collect()
        }
        _ => Vec::new(),
    }
}

impl Entry {
    /// The values that the entry may have if its review is left aside.
    fn possible_or_stated(&self) -> Vec<&Value> {
        let ruled = ruled(&self.value);
        let stated = match &self.value {
            ValueState::Settled { .. } => Vec::new(),
            _ => self.candidates.iter().map(|candidate| &candidate.value).collect::<Vec<_>>(),
        };
        let all: BTreeSet<&Value> = ruled.into_iter().chain(stated).collect();
        all.into_iter().collect()
    }
}
