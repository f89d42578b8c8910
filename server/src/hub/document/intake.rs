//! Decides about what has arrived: which changes are taken, which are held.

use std::collections::{HashMap, HashSet};

use automerge::{Change, ChangeHash};
use duxue_document::PersonId;

use crate::hub::rows::{ACTORS, ActorRow, document_key, reason};
use crate::random;
use crate::rounds::Writing;
use crate::store::StoreError;

use super::Document;
use super::plan::{Contribution, Plan};

impl Document {
    /// Decides about what has arrived. `right` says what a person may do with
    /// this document now; `next_held` gives numbers for held items.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn plan(
        &self,
        contributions: Vec<Contribution>,
        right: &dyn Fn(&PersonId) -> Writing,
        next_held: &mut dyn FnMut() -> u64,
        now_ms: i64,
    ) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        let mut fresh: HashMap<Vec<u8>, ActorRow> = HashMap::new();
        let mut seen = HashSet::new();
        let mut held_now = HashSet::new();
        for contribution in contributions {
            let Contribution { session, delivery, write, changes } = contribution;
            let (mut take, mut hold, mut other) = (Vec::new(), Vec::new(), Vec::new());
            let own = |change: &&Change| {
                let owner = self.actors.get(change.actor_id().to_bytes());
                owner.is_some_and(|owner| owner.is(&delivery)) && self.relayed.contains(&change.hash())
            };
            let own: HashSet<ChangeHash> = changes.iter().filter(own).map(Change::hash).collect();
            for change in changes {
                let known = self.knows(&change.hash()) && !own.contains(&change.hash());
                if write == Writing::No || known || !seen.insert(change.hash()) {
                    continue;
                }
                let actor = change.actor_id().to_bytes();
                let owner = self.actors.get(actor).or_else(|| fresh.get(actor)).cloned();
                let owner = owner.unwrap_or_else(|| {
                    let row = ActorRow {
                        actor: random::hex(actor),
                        person: delivery.person.clone(),
                        device: delivery.device.clone(),
                    };
                    fresh.insert(actor.to_vec(), row.clone());
                    row
                });
                // What a session brings whose own right has ended is held even
                // if it names another's actor: actor ids are claims.
                if write == Writing::Ended || right(&owner.person) != Writing::Yes {
                    held_now.insert(change.hash());
                    hold.push(change);
                } else if !owner.is(&delivery) {
                    // Until devices seal their changes nothing else says that
                    // a change is its actor's. One that is only passed on is
                    // taken as soon as the owner brings it.
                    held_now.insert(change.hash());
                    other.push(change);
                } else {
                    take.push(change);
                }
            }
            let outside =
                |d: &ChangeHash| held_now.contains(d) || self.held_hashes.contains(d) && !own.contains(d);
            let (take, depends) = apart(take, outside);
            held_now.extend(depends.iter().map(Change::hash));
            if !take.is_empty() {
                plan.take(self.id, Some(session), Some(&delivery), take, now_ms);
            }
            let held =
                [(hold, reason::RIGHT_ENDED), (other, reason::OTHER_ACTOR), (depends, reason::DEPENDS)];
            for (changes, reason) in held {
                if !changes.is_empty() {
                    plan.hold(self.id, session, next_held(), &delivery, reason, &changes, now_ms)?;
                }
            }
        }
        for (actor, row) in fresh {
            plan.records.push(ACTORS.put(&document_key(&self.id, &actor), &row)?);
            plan.actors.push((actor, row));
        }
        Ok(plan)
    }
}

/// Takes those out that depend on what is outside the document, directly or
/// through others of them; they may come before what they depend on.
fn apart(changes: Vec<Change>, outside: impl Fn(&ChangeHash) -> bool) -> (Vec<Change>, Vec<Change>) {
    let mut dependents: HashMap<ChangeHash, Vec<ChangeHash>> = HashMap::new();
    let mut open = Vec::new();
    for change in &changes {
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
    changes.into_iter().partition(|change| !depending.contains(&change.hash()))
}
