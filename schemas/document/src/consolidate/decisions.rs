//! Decisions by what they are about, and which of them are superseded.

use crate::collections::{BTreeMap, BTreeSet};

use crate::decision::{Ruling, Subject, Verdict};
use crate::path::ItemKey;
use crate::read::Read;
use crate::{DecisionId, EntryPath, FieldId};

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Entry(EntryPath),
    /// Merges, separations and removals.
    Item(ItemKey),
}

pub(super) trait Decision {
    fn supersedes(&self) -> &BTreeSet<DecisionId>;
    fn targets(&self) -> Vec<Target>;
}

impl Decision for Verdict {
    fn supersedes(&self) -> &BTreeSet<DecisionId> {
        &self.supersedes
    }

    fn targets(&self) -> Vec<Target> {
        vec![Target::Entry(self.entry.clone())]
    }
}

impl Decision for Ruling {
    fn supersedes(&self) -> &BTreeSet<DecisionId> {
        &self.supersedes
    }

    fn targets(&self) -> Vec<Target> {
        match &self.subject {
            Subject::Entry { path, .. } => vec![Target::Entry(path.clone())],
            Subject::Merge { items } | Subject::Separate { items } => {
                items.iter().cloned().map(Target::Item).collect()
            }
            Subject::Removal { item, .. } => vec![Target::Item(item.clone())],
        }
    }
}

/// All decisions of one document.
#[derive(Debug, Clone)]
pub(super) struct Decisions<D> {
    by_id: BTreeMap<DecisionId, Read<Option<D>>>,
    by_target: BTreeMap<Target, BTreeSet<DecisionId>>,
    /// The decisions that supersede each one.
    superseding: BTreeMap<DecisionId, BTreeSet<DecisionId>>,
}

impl<D> Default for Decisions<D> {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_target: BTreeMap::new(), superseding: BTreeMap::new() }
    }
}

impl<D: Decision> Decisions<D> {
    /// Puts, replaces or takes away what is read under an id. Gives what was
    /// read there before, and the targets whose decisions may now be others.
    pub(super) fn set(
        &mut self,
        id: &DecisionId,
        read: Option<Read<Option<D>>>,
    ) -> (Option<Read<Option<D>>>, BTreeSet<Target>) {
        let mut touched = BTreeSet::new();
        let before = self.by_id.remove(id);
        if let Some(old) = before.as_ref().and_then(|read| read.what.as_ref()) {
            touched.extend(self.touched_by(old));
            for target in old.targets() {
                take(&mut self.by_target, &target, id);
            }
            for superseded in old.supersedes() {
                take(&mut self.superseding, superseded, id);
            }
        }
        let Some(read) = read else { return (before, touched) };
        if let Some(new) = &read.what {
            touched.extend(self.touched_by(new));
            for target in new.targets() {
                self.by_target.entry(target).or_default().insert(id.clone());
            }
            // A decision that names itself does not take itself back.
            for superseded in new.supersedes().iter().filter(|superseded| *superseded != id) {
                self.superseding.entry(superseded.clone()).or_default().insert(id.clone());
            }
        }
        self.by_id.insert(id.clone(), read);
        (before, touched)
    }

    /// What may change when this decision comes or goes: its own targets and
    /// those of the decisions that it supersedes.
    fn touched_by(&self, decision: &D) -> BTreeSet<Target> {
        let superseded = decision
            .supersedes()
            .iter()
            .filter_map(|id| self.by_id.get(id))
            .filter_map(|read| read.what.as_ref());
        std::iter::once(decision).chain(superseded).flat_map(Decision::targets).collect()
    }

    /// The decisions about a target that nothing supersedes, by id.
    pub(super) fn active(&self, target: &Target) -> impl Iterator<Item = (&DecisionId, &D)> {
        self.by_target
            .get(target)
            .into_iter()
            .flatten()
            .filter(|id| !self.superseding.contains_key(*id))
            .filter_map(|id| self.by_id.get_key_value(id))
            .filter_map(|(id, read)| Some((id, read.what.as_ref()?)))
    }

    /// The entries of an item that some decision is about.
    pub(super) fn entries_of(&self, item: &ItemKey) -> impl Iterator<Item = &EntryPath> {
        // The lowest of all field names: names are not empty, and no character
        // of a name is lower than this one.
        let lowest = FieldId::new("-").ok();
        let from = lowest.map(|field| EntryPath::Item { kind: item.kind, item: item.item.clone(), field });
        let item = item.clone();
        from.into_iter()
            .flat_map(|from| self.by_target.range(Target::Entry(from)..))
            .map_while(|(target, _)| match target {
                Target::Entry(path) => Some(path),
                Target::Item(_) => None,
            })
            .take_while(move |path| path.item().as_ref() == Some(&item))
    }
}

fn take<K: Ord + Clone>(index: &mut BTreeMap<K, BTreeSet<DecisionId>>, key: &K, id: &DecisionId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
