//! Which numbers each actor has used: two changes of one actor with one number
//! can never merge, and Automerge refuses every batch that holds the second.

use std::collections::{HashMap, HashSet};

use automerge::{Automerge, Change, ChangeHash};

use crate::hub::rows::aside;

/// The numbers that actors have used in a document, and the changes that wait
/// in Automerge for what they depend on.
#[derive(Default)]
pub(super) struct Numbers {
    /// The highest number of each actor's applied changes.
    applied: HashMap<Vec<u8>, u64>,
    /// Actors that have named their author, which Automerge takes once.
    authored: HashSet<Vec<u8>>,
    waiting: HashMap<ChangeHash, Waiting>,
    waiting_numbers: HashSet<(Vec<u8>, u64)>,
}

/// A change that waits in Automerge.
struct Waiting {
    number: (Vec<u8>, u64),
    deps: Vec<ChangeHash>,
}

/// What a plan adds before it is applied.
#[derive(Default)]
pub(super) struct Planned {
    numbers: HashSet<(Vec<u8>, u64)>,
    authored: HashSet<Vec<u8>>,
}

/// Changes that can never be applied, with the reason.
pub(super) type Unusable = Vec<(Change, &'static str)>;

/// Changes that can be applied, and those that never can.
pub(super) struct Apart {
    pub take: Vec<Change>,
    pub aside: Unusable,
    /// What `take` adds.
    pub numbers: Planned,
}

fn number(change: &Change) -> (Vec<u8>, u64) {
    (change.actor_id().to_bytes().to_vec(), change.seq())
}

impl Planned {
    /// Takes in what another one has.
    pub fn extend(&mut self, other: Self) {
        self.numbers.extend(other.numbers);
        self.authored.extend(other.authored);
    }

    /// Takes in what changes add.
    pub fn add_all<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) {
        changes.for_each(|change| self.add(change));
    }

    fn add(&mut self, change: &Change) {
        if change.author().is_some() {
            self.authored.insert(change.actor_id().to_bytes().to_vec());
        }
        self.numbers.insert(number(change));
    }
}

impl Numbers {
    /// The numbers that a document's applied changes have used.
    pub fn of(doc: &Automerge) -> Self {
        let mut numbers = Self::default();
        for change in doc.get_changes_meta(&[]) {
            let actor = change.actor.to_bytes();
            if change.author.is_some() && !numbers.authored.contains(actor) {
                numbers.authored.insert(actor.to_vec());
            }
            match numbers.applied.get_mut(actor) {
                Some(last) => *last = change.seq.max(*last),
                None => drop(numbers.applied.insert(actor.to_vec(), change.seq)),
            }
        }
        numbers
    }

    /// Takes changes in that Automerge has; those that are not in the document
    /// wait there.
    pub fn add<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
        there: impl Fn(&ChangeHash) -> bool,
    ) {
        for change in changes {
            let number = number(change);
            if change.author().is_some() {
                self.authored.insert(number.0.clone());
            }
            self.waiting_numbers.insert(number.clone());
            self.waiting.insert(change.hash(), Waiting { number, deps: change.deps().to_vec() });
        }
        let Self { applied, waiting, waiting_numbers, .. } = self;
        waiting.retain(|hash, Waiting { number, .. }| {
            if !there(hash) {
                return true;
            }
            waiting_numbers.remove(number);
            let last = applied.entry(number.0.clone()).or_default();
            *last = number.1.max(*last);
            false
        });
    }

    /// How many changes wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What the waiting changes depend on.
    pub fn all_waiting(&self) -> impl Iterator<Item = &ChangeHash> {
        self.waiting.values().flat_map(|waiting| &waiting.deps)
    }

    /// The waiting changes that no other one depends on.
    pub fn waiting_heads(&self) -> impl Iterator<Item = &ChangeHash> {
        let inner: HashSet<&ChangeHash> = self.all_waiting().collect();
        self.waiting.keys().filter(move |hash| !inner.contains(hash))
    }

    /// What a waiting change waits for, directly or through others that wait.
    pub fn waits_for(&self, hash: &ChangeHash) -> HashSet<ChangeHash> {
        let (mut open, mut found) = (vec![*hash], HashSet::new());
        while let Some(waiting) = open.pop().and_then(|hash| self.waiting.get(&hash)) {
            open.extend(waiting.deps.iter().filter(|dep| found.insert(**dep)));
        }
        found
    }

    /// Whether a change is stored but waits for what it depends on.
    pub fn waits(&self, hash: &ChangeHash) -> bool {
        self.waiting.contains_key(hash)
    }

    /// Takes those out that can never be applied beside what is there and
    /// `planned`, with the reason, and what depends on them or on what is `never`
    /// applied; gives what the rest adds too.
    pub fn apart(
        &self,
        changes: Vec<Change>,
        planned: &Planned,
        never: impl Fn(&ChangeHash) -> bool,
    ) -> Apart {
        let mut numbers = Planned::default();
        let mut unusable = HashMap::new();
        for change in &changes {
            match self.trouble(change, planned).or_else(|| self.trouble(change, &numbers)) {
                Some(reason) => drop(unusable.insert(change.hash(), reason)),
                None => numbers.add(change),
            }
        }
        let (take, aside) = part(changes, unusable, never);
        Apart { take, aside, numbers }
    }

    /// The same of changes that are not to be applied now and add nothing: of
    /// two that bear one number a supervisor may let in either.
    pub fn outside_apart(
        &self,
        changes: Vec<Change>,
        planned: &Planned,
        never: impl Fn(&ChangeHash) -> bool,
    ) -> (Vec<Change>, Unusable) {
        let trouble = |change: &Change| Some((change.hash(), self.trouble(change, planned)?));
        let unusable = changes.iter().filter_map(trouble).collect();
        part(changes, unusable, never)
    }

    fn trouble(&self, change: &Change, planned: &Planned) -> Option<&'static str> {
        let number = number(change);
        if self.applied.get(&number.0).is_some_and(|last| number.1 <= *last)
            || self.waiting_numbers.contains(&number)
            || planned.numbers.contains(&number)
        {
            return Some(aside::NUMBER_USED);
        }
        let named = self.authored.contains(&number.0) || planned.authored.contains(&number.0);
        (named && change.author().is_some()).then_some(aside::AUTHOR_TWICE)
    }
}

/// Parts changes into those that can be applied, and those that are `unusable`
/// or depend on such a one or on what is `never` applied.
fn part(
    changes: Vec<Change>,
    mut unusable: HashMap<ChangeHash, &'static str>,
    never: impl Fn(&ChangeHash) -> bool,
) -> (Vec<Change>, Unusable) {
    let outside = |hash: &ChangeHash| never(hash) || unusable.contains_key(hash);
    for hash in super::intake::depending(&changes, outside) {
        unusable.entry(hash).or_insert(aside::DEPENDS);
    }
    let (mut take, mut aside) = (Vec::new(), Vec::new());
    for change in changes {
        match unusable.get(&change.hash()) {
            Some(reason) => aside.push((change, *reason)),
            None => take.push(change),
        }
    }
    (take, aside)
}
