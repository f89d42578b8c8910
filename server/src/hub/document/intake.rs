//! Decides about what has arrived: which changes are taken, which are held,
//! and which deliveries are refused whole.

use std::collections::{BTreeMap, HashMap, HashSet};

use automerge::{Change, ChangeHash};
use duxue_document::PersonId;

use crate::hub::DocumentMax;
use crate::hub::quota::Amount;
use crate::hub::rows::{ACTORS, ActorRow, HeldRow, document_key, reason};
use crate::random;
use crate::rounds::Writing;
use crate::store::{Delivery, StoreError};

use super::Document;
use super::build::hash_from_hex;
use super::numbers::{Apart, Planned, Unusable};
use super::plan::{Contribution, Plan, Refusal};
use super::size::Size;

/// What deciding depends on beside the document.
pub struct Intake<'a> {
    /// What a person may do with this document now.
    pub right: &'a dyn Fn(&PersonId) -> Writing,
    /// Gives numbers for held items.
    pub next_held: &'a dyn Fn() -> u64,
    /// Takes room for held changes in a person's quota, or names the limit that
    /// has not enough.
    pub reserve: &'a dyn Fn(&PersonId, Amount) -> Result<(), &'static str>,
    /// Whether a person may have so many bytes more written.
    pub may_write: &'a dyn Fn(&PersonId, u64) -> bool,
    /// Whether so many more changes of a person may be set aside.
    pub may_set_aside: &'a dyn Fn(&PersonId, u64) -> bool,
    /// What may be held of one document.
    pub held_max: Amount,
    /// What the document may be.
    pub document_max: DocumentMax,
    /// Server clock.
    pub now_ms: i64,
}

/// What the contributions before have done.
#[derive(Default)]
struct Before {
    fresh: HashMap<Vec<u8>, ActorRow>,
    seen: HashSet<ChangeHash>,
    held: HashSet<ChangeHash>,
    held_amount: Amount,
    numbers: Planned,
    grown: Growth,
}

/// By how much taken changes make a document grow.
#[derive(Default, Clone)]
struct Growth {
    size: Size,
    bytes: usize,
    /// The heads that it has once everything has come that is waited for;
    /// nothing before anything is taken.
    heads: HashSet<ChangeHash>,
    /// Changes that have to wait for what they depend on.
    waiting: usize,
}

/// One contribution, sorted.
struct Sorted {
    take: Vec<Change>,
    aside: Unusable,
    numbers: Planned,
    hold: [(Vec<Change>, &'static str); 3],
    fresh: HashMap<Vec<u8>, ActorRow>,
    /// Changes that were held for being relayed and that their owner brought.
    own: HashSet<ChangeHash>,
    /// Whether some of what is taken waits for what it depends on.
    waits: bool,
    /// Whether it repeats what another one of the same batch has brought, and
    /// shares its fate.
    repeats: bool,
}

impl Sorted {
    fn held(&self) -> impl Iterator<Item = &Change> {
        self.hold.iter().flat_map(|(changes, _)| changes)
    }

    /// Bytes of all its changes.
    fn bytes(&self) -> u64 {
        let aside = self.aside.iter().map(|(change, _)| change);
        amount(self.take.iter().chain(self.held()).chain(aside)).bytes
    }
}

fn amount<'a>(changes: impl Iterator<Item = &'a Change>) -> Amount {
    let one = |change: &Change| Amount { changes: 1, bytes: change.raw_bytes().len() as u64 };
    changes.map(one).fold(Amount::default(), |all, one| all + one)
}

impl Document {
    /// Decides about what has arrived.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn plan(&self, contributions: Vec<Contribution>, intake: &Intake<'_>) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        let mut mover = None;
        let mut before = Before::default();
        for Contribution { session, delivery, write, changes } in contributions {
            if write == Writing::No {
                continue;
            }
            let mut sorted = self.sort(changes, &delivery, write, intake, &before);
            let bytes = sorted.bytes();
            let planned = plan.written.get(&delivery.person).copied().unwrap_or(0);
            if bytes > 0 && !(intake.may_write)(&delivery.person, planned.saturating_add(bytes)) {
                let (limit, code) = ("journal_bytes_per_person", "journal.person_full");
                plan.refused.push(Refusal { session, limit, code });
                continue;
            }
            let aside = sorted.aside.len() as u64;
            let planned = plan.set_aside_for(&delivery.person);
            if aside > 0 && !(intake.may_set_aside)(&delivery.person, planned.saturating_add(aside)) {
                let (limit, code) = ("set_aside_changes_per_person", "journal.person_full");
                plan.refused.push(Refusal { session, limit, code });
                continue;
            }
            match self.grown(&sorted, intake, &before) {
                Ok(grown) => {
                    sorted.waits = grown.waiting > before.grown.waiting;
                    before.grown = grown;
                }
                Err((limit, code)) => {
                    plan.refused.push(Refusal { session, limit, code });
                    continue;
                }
            }
            match self.room(&sorted, &delivery.person, intake, &before) {
                Ok(held) => {
                    before.held_amount += held;
                    plan.reserved.push((delivery.person.clone(), held));
                }
                Err((limit, code)) => {
                    plan.refused.push(Refusal { session, limit, code });
                    continue;
                }
            }
            let aside = sorted.aside.iter().map(|(change, _)| change);
            before.seen.extend(sorted.take.iter().chain(aside).chain(sorted.held()).map(Change::hash));
            before.held.extend(sorted.held().map(Change::hash));
            before.fresh.extend(sorted.fresh.clone());
            before.numbers.extend(std::mem::take(&mut sorted.numbers));
            let records = plan.records.len();
            let moved = plan.moved.len();
            self.add(&mut plan, sorted, session, &delivery, intake, &before)?;
            plan.count(&delivery.person, records);
            if plan.moved.len() > moved {
                mover = Some(delivery.person);
            }
        }
        for (actor, row) in before.fresh {
            let records = plan.records.len();
            plan.records.push(ACTORS.put(&document_key(&self.id, &actor), &row)?);
            plan.count(&row.person, records);
            plan.actors.push((actor, row));
        }
        let (moved, records) = (plan.moved.clone(), plan.records.len());
        for row in self.held.items_of(&moved) {
            let stays = |hash: &&String| hash_from_hex(hash).is_none_or(|hash| !moved.contains(&hash));
            let left = row.hashes.iter().filter(stays).cloned().collect();
            plan.shrink(&self.name, row, left)?;
        }
        // Each change that its owner brings by itself writes the rest of the item anew.
        if let Some(mover) = mover {
            plan.count(&mover, records);
        }
        Ok(plan)
    }

    /// Sorts a contribution by what becomes of its changes.
    fn sort(
        &self,
        changes: Vec<Change>,
        delivery: &Delivery,
        write: Writing,
        intake: &Intake<'_>,
        before: &Before,
    ) -> Sorted {
        let (mut take, mut hold, mut relayed) = (Vec::new(), Vec::new(), HashSet::new());
        let (mut seen, mut own) = (HashSet::new(), HashSet::new());
        let mut fresh: HashMap<Vec<u8>, ActorRow> = HashMap::new();
        let mut repeats = false;
        for change in changes {
            let (hash, actor) = (change.hash(), change.actor_id().to_bytes());
            let brought_by_owner = self.held.is_relayed(&hash)
                && !self.has_set_aside(&hash)
                && self.actors.get(actor).is_some_and(|owner| owner.is(delivery));
            let known = self.knows(&hash) && !brought_by_owner;
            let came_with_others = before.seen.contains(&hash);
            repeats |= came_with_others;
            if known || came_with_others || !seen.insert(hash) {
                continue;
            }
            if brought_by_owner {
                own.insert(hash);
            }
            let owner =
                self.actors.get(actor).or_else(|| before.fresh.get(actor)).or_else(|| fresh.get(actor));
            let owner = owner.cloned().unwrap_or_else(|| {
                let (person, device) = (delivery.person.clone(), delivery.device.clone());
                let row = ActorRow { actor: random::hex(actor), person, device };
                fresh.insert(actor.to_vec(), row.clone());
                row
            });
            if !owner.is(delivery) {
                // Until devices seal their changes nothing else says that a
                // change is its actor's. One that is only passed on is taken
                // as soon as the owner brings it, or held as the owner's.
                relayed.insert(hash);
                hold.push(change);
            } else if write == Writing::Ended || (intake.right)(&owner.person) != Writing::Yes {
                hold.push(change);
            } else {
                take.push(change);
            }
        }
        let never = |hash: &ChangeHash| self.is_never_applied(hash) && !own.contains(hash);
        // What can never be applied is not for a supervisor to decide about. What
        // was left out because another passed it on may still come from its owner.
        let hopeless = |hash: &ChangeHash| never(hash) && !self.held.is_relayed(hash);
        let (hold, mut aside) = self.numbers.outside_apart(hold, &before.numbers, hopeless);
        let hopeless: HashSet<ChangeHash> = aside.iter().map(|(change, _)| change.hash()).collect();
        let held: HashSet<ChangeHash> = hold.iter().map(Change::hash).collect();
        let outside = |hash: &ChangeHash| {
            held.contains(hash)
                || before.held.contains(hash)
                || self.held.is_undecided(hash) && !own.contains(hash)
        };
        let (take, depends) = apart(take, outside);
        let never = |hash: &ChangeHash| never(hash) || hopeless.contains(hash);
        let Apart { take, aside: more, numbers } = self.numbers.apart(take, &before.numbers, never);
        aside.extend(more);
        let (other, hold) = hold.into_iter().partition(|change| relayed.contains(&change.hash()));
        let hold = [(hold, reason::RIGHT_ENDED), (other, reason::OTHER_ACTOR), (depends, reason::DEPENDS)];
        Sorted { take, aside, numbers, hold, fresh, own, waits: false, repeats }
    }

    /// How much the document has grown once these are taken, or the limit that
    /// it would be over.
    fn grown(
        &self,
        sorted: &Sorted,
        intake: &Intake<'_>,
        before: &Before,
    ) -> Result<Growth, (&'static str, &'static str)> {
        let (take, most) = (&sorted.take, intake.document_max);
        let mut grown = before.grown.clone();
        if self.actors.len() + before.fresh.len() + sorted.fresh.len() > most.actors {
            return Err(("document_actors", "document.full"));
        }
        if take.is_empty() {
            return Ok(grown);
        }
        let own: HashSet<ChangeHash> = take.iter().map(Change::hash).collect();
        let there = |hash: &ChangeHash| own.contains(hash) || before.seen.contains(hash) || self.has(hash);
        for change in take {
            grown.size.add(change);
            grown.bytes += change.raw_bytes().len();
        }
        if !take.iter().flat_map(Change::deps).all(there) {
            grown.waiting += depending(take, |dep| !there(dep)).len();
        }
        if grown.heads.is_empty() {
            grown.heads = self.heads_to_come();
        }
        grown.heads.extend(own);
        for dep in take.iter().flat_map(Change::deps) {
            grown.heads.remove(dep);
        }
        if self.size.operations + grown.size.operations > most.operations {
            return Err(("document_operations", "document.full"));
        }
        if self.size.changes + grown.size.changes > most.changes {
            return Err(("document_changes", "document.full"));
        }
        if self.bytes() + grown.bytes > most.bytes {
            return Err(("document_bytes", "document.full"));
        }
        if self.numbers.waiting() + grown.waiting > most.waiting {
            return Err(("document_waiting_changes", "document.waits"));
        }
        if grown.heads.len() > most.heads {
            return Err(("document_heads", "document.heads"));
        }
        Ok(grown)
    }

    /// The heads that the document has once everything has come that is waited
    /// for.
    fn heads_to_come(&self) -> HashSet<ChangeHash> {
        let mut heads: HashSet<ChangeHash> = self.doc.read().get_heads().into_iter().collect();
        if self.numbers.waiting() > 0 {
            heads.extend(self.numbers.waiting_heads());
            for dep in self.numbers.all_waiting() {
                heads.remove(dep);
            }
        }
        heads
    }

    /// Takes room for what a contribution would have held, or names the limit
    /// that it is over.
    fn room(
        &self,
        sorted: &Sorted,
        person: &PersonId,
        intake: &Intake<'_>,
        before: &Before,
    ) -> Result<Amount, (&'static str, &'static str)> {
        let held = amount(sorted.held());
        if held == Amount::default() {
            return Ok(held);
        }
        let of_document = self.held.amount() + before.held_amount + held;
        if of_document.changes > intake.held_max.changes {
            return Err(("held_changes_per_document", "held.document_full"));
        }
        if of_document.bytes > intake.held_max.bytes {
            return Err(("held_bytes_per_document", "held.document_full"));
        }
        (intake.reserve)(person, held).map_err(|limit| (limit, "held.person_full"))?;
        Ok(held)
    }

    fn add(
        &self,
        plan: &mut Plan,
        sorted: Sorted,
        session: u64,
        delivery: &Delivery,
        intake: &Intake<'_>,
        before: &Before,
    ) -> Result<(), StoreError> {
        plan.moved.extend(&sorted.own);
        if sorted.repeats {
            plan.sessions.insert(session);
        }
        // What waits gets chunks of its own: it may have to be set aside.
        let (now, later) = if sorted.waits {
            let there = sorted.take.iter().map(Change::hash).collect::<HashSet<_>>();
            apart(sorted.take, |dep| !there.contains(dep) && !self.has(dep) && !before.seen.contains(dep))
        } else {
            (sorted.take, Vec::new())
        };
        for changes in [now, later] {
            plan.take(self.id, Some(session), delivery, changes, intake.now_ms);
        }
        plan.keep_aside(self.id, Some(session), delivery, sorted.aside, intake.now_ms);
        for (changes, reason) in sorted.hold {
            if changes.is_empty() {
                continue;
            }
            let own: HashSet<ChangeHash> = changes.iter().map(Change::hash).collect();
            let outside: HashSet<ChangeHash> = changes
                .iter()
                .flat_map(|change| change.deps().iter().copied())
                .filter(|dep| {
                    !own.contains(dep) && (self.held.is_undecided(dep) || before.held.contains(dep))
                })
                .collect();
            let row = HeldRow {
                number: (intake.next_held)(),
                document: self.id,
                person: delivery.person.clone(),
                device: delivery.device.clone(),
                reason: reason.to_owned(),
                received_ms: intake.now_ms,
                hashes: Vec::new(),
                actors: actors_of(reason, &changes),
                waits_for: outside.iter().map(|hash| random::hex(&hash.0)).collect(),
                bytes: 0,
                decision: None,
            };
            plan.sessions.insert(session);
            plan.hold(&self.name, row, &changes)?;
        }
        Ok(())
    }
}

/// Whose changes these are, where only their owner may still bring them.
fn actors_of(held_for: &str, changes: &[Change]) -> BTreeMap<String, String> {
    let relayed = changes.iter().filter(|_| held_for == reason::OTHER_ACTOR);
    relayed.map(|change| (random::hex(&change.hash().0), random::hex(change.actor_id().to_bytes()))).collect()
}

/// Takes those out that depend on what is outside the document.
fn apart(changes: Vec<Change>, outside: impl Fn(&ChangeHash) -> bool) -> (Vec<Change>, Vec<Change>) {
    let depending = depending(&changes, outside);
    changes.into_iter().partition(|change| !depending.contains(&change.hash()))
}

/// Those that depend on what is outside the document, directly or through
/// others of them; they may come before what they depend on.
pub(super) fn depending(changes: &[Change], outside: impl Fn(&ChangeHash) -> bool) -> HashSet<ChangeHash> {
    let mut dependents: HashMap<ChangeHash, Vec<ChangeHash>> = HashMap::new();
    let mut open = Vec::new();
    for change in changes {
        for dep in change.deps() {
            dependents.entry(*dep).or_default().push(change.hash());
            if outside(dep) {
                open.push(change.hash());
            }
        }
    }
    let mut depending = HashSet::new();
    while let Some(hash) = open.pop() {
        if depending.insert(hash) {
            open.extend(dependents.get(&hash).into_iter().flatten());
        }
    }
    depending
}
