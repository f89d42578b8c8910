//! What a document remembers of the changes that are kept outside it. Their
//! bytes stay in the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use automerge::ChangeHash;

use crate::hub::quota::Amount;
use crate::hub::rows::{HeldRow, reason};
use crate::random;
use crate::store::Delivery;

use super::build::{hash_from_hex, hex_bytes};

/// A change that someone else than its actor's owner brought.
struct Relayed {
    by: Delivery,
    /// The actor, if the row says.
    actor: Option<Vec<u8>>,
}

/// The held changes of one document.
#[derive(Default)]
pub(super) struct Held {
    /// Items that nobody has decided about.
    items: BTreeMap<u64, HeldRow>,
    /// The item that each of their changes is in.
    places: HashMap<ChangeHash, u64>,
    /// Changes that were left out. They stay known, so that they are not held
    /// again.
    left_out: HashSet<ChangeHash>,
    /// Changes that someone else than their actor's owner brought, and who did:
    /// the owner may still bring them.
    relayed: HashMap<ChangeHash, Relayed>,
    amount: Amount,
}

impl Held {
    /// What waits for a decision.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Whether a change is held, or was left out.
    pub fn contains(&self, hash: &ChangeHash) -> bool {
        self.places.contains_key(hash) || self.left_out.contains(hash)
    }

    /// Whether a change is held and nobody has decided about it.
    pub fn is_undecided(&self, hash: &ChangeHash) -> bool {
        self.places.contains_key(hash)
    }

    /// Whether a supervisor left a change out.
    pub fn is_left_out(&self, hash: &ChangeHash) -> bool {
        self.left_out.contains(hash)
    }

    /// The numbers of the items that an item waits for and that are not let in
    /// together with it.
    pub fn waits(&self, number: u64, together: &HashSet<ChangeHash>) -> Vec<String> {
        let waits_for = self.items.get(&number).into_iter().flat_map(|row| hashes(&row.waits_for));
        let outside = waits_for.filter(|hash| !together.contains(hash));
        let numbers: BTreeSet<u64> = outside.filter_map(|hash| self.places.get(&hash).copied()).collect();
        numbers.iter().map(ToString::to_string).collect()
    }

    /// The undecided items beside `decided` that wait for those, directly or
    /// through others.
    pub fn waiting_for(&self, decided: &[u64]) -> Vec<u64> {
        let mut dependents: HashMap<u64, BTreeSet<u64>> = HashMap::new();
        for row in self.items.values() {
            for place in hashes(&row.waits_for).filter_map(|hash| self.places.get(&hash)) {
                dependents.entry(*place).or_default().insert(row.number);
            }
        }
        let (mut open, mut found) = (decided.to_vec(), BTreeSet::new());
        while let Some(number) = open.pop() {
            let next = dependents.remove(&number).into_iter().flatten();
            open.extend(next.filter(|next| !decided.contains(next) && found.insert(*next)));
        }
        found.into_iter().collect()
    }

    /// Whether only someone else than its actor's owner has brought a change.
    pub fn is_relayed(&self, hash: &ChangeHash) -> bool {
        self.relayed.contains_key(hash)
    }

    /// Whether a change is here only because someone else than who asks
    /// brought it, who is not its actor's owner either.
    pub fn is_relayed_by_another(&self, hash: &ChangeHash, asks: &Delivery) -> bool {
        self.relayed.get(hash).is_some_and(|relayed| relayed.by != *asks)
    }

    /// The actor of a change that someone else than its owner brought.
    pub fn relayed_actor(&self, hash: &ChangeHash) -> Option<&[u8]> {
        self.relayed.get(hash)?.actor.as_deref()
    }

    /// An item that nobody has decided about.
    pub fn item(&self, number: u64) -> Option<&HeldRow> {
        self.items.get(&number)
    }

    /// The undecided items that these changes are in.
    pub fn items_of(&self, changes: &HashSet<ChangeHash>) -> impl Iterator<Item = &HeldRow> {
        let numbers: BTreeSet<u64> =
            changes.iter().filter_map(|hash| self.places.get(hash).copied()).collect();
        numbers.into_iter().filter_map(|number| self.items.get(&number))
    }

    /// Takes a row in, as stored.
    pub fn insert(&mut self, row: HeldRow) {
        let hashes: Vec<ChangeHash> = hashes(&row.hashes).collect();
        let decision = row.decision.as_ref().map(|decision| decision.admitted);
        if decision == Some(true) {
            return;
        }
        if row.reason == reason::OTHER_ACTOR {
            let by = Delivery { person: row.person.clone(), device: row.device.clone() };
            let actor = |hash: &ChangeHash| hex_bytes(row.actors.get(&random::hex(&hash.0))?);
            let relayed = |hash| (hash, Relayed { by: by.clone(), actor: actor(&hash) });
            self.relayed.extend(hashes.iter().copied().map(relayed));
        }
        if decision == Some(false) {
            self.left_out.extend(hashes);
            return;
        }
        self.remove(row.number);
        self.amount += row.amount();
        self.places.extend(hashes.into_iter().map(|hash| (hash, row.number)));
        self.items.insert(row.number, row);
    }

    /// Forgets an undecided item and its changes.
    pub fn remove(&mut self, number: u64) {
        if let Some(row) = self.items.remove(&number) {
            self.amount = self.amount.without(row.amount());
            for hash in hashes(&row.hashes) {
                if self.places.get(&hash) == Some(&number) {
                    self.places.remove(&hash);
                }
            }
        }
    }

    /// Forgets changes that are in the document now, or held anew.
    pub fn forget<'a>(&mut self, changes: impl IntoIterator<Item = &'a ChangeHash>) {
        for hash in changes {
            self.places.remove(hash);
            self.left_out.remove(hash);
            self.relayed.remove(hash);
        }
    }

    /// Forgets what was left out and is in the document all the same, because
    /// its owner brought it.
    pub fn forget_left_out(&mut self, is_there: impl Fn(&ChangeHash) -> bool) {
        let there: Vec<ChangeHash> = self.left_out.iter().filter(|hash| is_there(hash)).copied().collect();
        self.forget(&there);
    }

    /// The items that were held only because they depend on others, and that
    /// have nothing to wait for once `freed` are in the document, each after
    /// those that it depends on. `held_now` is about to be held.
    pub fn followers(&self, freed: &HashSet<ChangeHash>, held_now: &HashSet<ChangeHash>) -> Vec<u64> {
        if !freed.iter().any(|hash| self.contains(hash)) {
            return Vec::new();
        }
        let still_held =
            |hash: &ChangeHash| held_now.contains(hash) || self.is_undecided(hash) && !freed.contains(hash);
        let mut open: HashMap<u64, usize> = HashMap::new();
        let mut dependents: HashMap<ChangeHash, Vec<u64>> = HashMap::new();
        let mut ready = Vec::new();
        for row in self.items.values().filter(|row| row.reason == reason::DEPENDS) {
            if hashes(&row.hashes).any(|hash| freed.contains(&hash)) {
                continue;
            }
            let waits: HashSet<ChangeHash> = hashes(&row.waits_for).filter(still_held).collect();
            if waits.is_empty() {
                ready.push(row.number);
            }
            open.insert(row.number, waits.len());
            for hash in waits {
                dependents.entry(hash).or_default().push(row.number);
            }
        }
        let mut order = Vec::new();
        while let Some(number) = ready.pop() {
            order.push(number);
            let Some(row) = self.items.get(&number) else { continue };
            for waiting in hashes(&row.hashes).filter_map(|hash| dependents.remove(&hash)).flatten() {
                if let Some(left) = open.get_mut(&waiting) {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        ready.push(waiting);
                    }
                }
            }
        }
        order
    }
}

/// Hashes as rows have them.
pub(super) fn hashes(texts: &[String]) -> impl Iterator<Item = ChangeHash> {
    texts.iter().filter_map(|text| hash_from_hex(text))
}
