//! Deciding about held changes: they are let in with what waits for them
//! only, or left out. What can never be applied then is set aside, so that
//! nothing waits for ever: whoever captured it hears so, and states it again.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Change, ChangeHash};
use duxue_document::PersonId;

use crate::fault::{self, Fault};
use crate::hub::admit::changes_of;
use crate::hub::rows::{Decision, HeldRow, aside};
use crate::store::{Delivery, StoreError};

use super::Document;
use super::build::hash_from_hex;
use super::held::hashes;
use super::intake::depending;
use super::numbers::{Apart, Planned};
use super::plan::Plan;

/// Held items with their changes, in the order in which they are let in.
pub type Items = Vec<(u64, Vec<Change>)>;

impl Document {
    /// The held items whose changes [`Self::decide`] needs: for letting in those
    /// decided about and those that wait for nothing else, for leaving out
    /// those that wait for them.
    ///
    /// # Errors
    /// `held.decided` for a number that is not held here, and `held.waits`
    /// where one of them waits for held changes that would not come in with it.
    pub fn concerned(&self, decided: &[u64], admit: bool) -> Result<Vec<u64>, Fault> {
        let mut freed: HashSet<ChangeHash> = HashSet::new();
        for number in decided {
            let row = self.held.item(*number).ok_or_else(fault::decided)?;
            freed.extend(hashes(&row.hashes));
        }
        if !admit {
            return Ok(self.held.waiting_for(decided));
        }
        let mut numbers = decided.to_vec();
        let followers = self.held.followers(&freed, &HashSet::new());
        numbers.extend(followers.into_iter().filter(|next| !decided.contains(next)));
        let rows = numbers.iter().filter_map(|number| self.held.item(*number));
        freed.extend(rows.flat_map(|row| hashes(&row.hashes)));
        for number in decided {
            let waits = self.held.waits(*number, &freed);
            if !waits.is_empty() {
                return Err(fault::held_waits().with_detail(waits.join(", ")));
            }
        }
        Ok(numbers)
    }

    /// Whether one of these changes is in the name of an actor of a person.
    #[must_use]
    pub fn are_of(&self, changes: &Items, person: &PersonId) -> bool {
        let mut actors = changes.iter().flat_map(|(_, changes)| changes).map(Change::actor_id);
        actors.any(|actor| self.actors.get(actor.to_bytes()).is_some_and(|row| row.person == *person))
    }

    /// Plans what was decided; `changes` has those of all items that
    /// [`Self::concerned`] named.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn decide(
        &self,
        decided: &[u64],
        admit: bool,
        by: &PersonId,
        changes: Items,
        now_ms: i64,
    ) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        if admit {
            self.let_in(&mut plan, changes, Some((decided, by)), now_ms)?;
        } else {
            self.leave_out(&mut plan, decided, by, changes, now_ms)?;
        }
        Ok(plan)
    }

    /// The held items that have nothing to wait for once a plan is applied.
    #[must_use]
    pub fn followers(&self, plan: &Plan) -> Vec<u64> {
        if plan.moved.is_empty() {
            return Vec::new();
        }
        let held_now = plan.held.iter().flat_map(|row| hashes(&row.hashes)).collect();
        self.held.followers(&plan.taken_hashes(), &held_now)
    }

    /// Lets in what [`Self::followers`] named.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn follow(&self, plan: &mut Plan, let_in: Items, now_ms: i64) -> Result<(), StoreError> {
        self.let_in(plan, let_in, None, now_ms)
    }

    /// Lets items in. What can never be applied is set aside with what depends
    /// on it; items may depend on one another, so all are sorted at once.
    fn let_in(
        &self,
        plan: &mut Plan,
        let_in: Items,
        decided: Option<(&[u64], &PersonId)>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut planned = Planned::default();
        planned.add_all(plan.taken.iter().flat_map(|unit| &unit.changes));
        let (rows, places, changes) = self.still_held(let_in);
        let never = |hash: &ChangeHash| self.is_never_applied(hash);
        let Apart { take, aside, .. } = self.numbers.apart(changes, &planned, never);
        let mut sorted: Vec<Sorted> = rows.iter().map(|_| Sorted::default()).collect();
        for change in take {
            sorted[places[&change.hash()]].take.push(change);
        }
        for (change, reason) in aside {
            sorted[places[&change.hash()]].aside.push((change, reason));
        }
        for (row, Sorted { take, aside }) in rows.into_iter().zip(sorted) {
            let by = decided.filter(|(chosen, _)| chosen.contains(&row.number)).map(|(_, by)| by.clone());
            let delivery = delivery(row);
            plan.take(self.id, None, &delivery, take, now_ms);
            plan.keep_aside(self.id, None, &delivery, aside, now_ms);
            plan.decide(&self.name, row.clone(), Decision { admitted: true, by, at_ms: now_ms })?;
        }
        Ok(())
    }

    /// Leaves items out, and sets aside what depends on them in `waiting`.
    fn leave_out(
        &self,
        plan: &mut Plan,
        decided: &[u64],
        by: &PersonId,
        waiting: Items,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut out: HashSet<ChangeHash> = HashSet::new();
        for row in decided.iter().filter_map(|number| self.held.item(*number)) {
            out.extend(hashes(&row.hashes));
            let decision = Decision { admitted: false, by: Some(by.clone()), at_ms: now_ms };
            plan.decide(&self.name, row.clone(), decision)?;
        }
        let (rows, places, changes) = self.still_held(waiting);
        let never = depending(&changes, |hash| out.contains(hash) || self.is_never_applied(hash));
        let mut aside: Vec<Vec<(Change, &'static str)>> = rows.iter().map(|_| Vec::new()).collect();
        for change in changes.into_iter().filter(|change| never.contains(&change.hash())) {
            aside[places[&change.hash()]].push((change, aside::DEPENDS));
        }
        for (row, aside) in rows.into_iter().zip(aside).filter(|(_, aside)| !aside.is_empty()) {
            plan.keep_aside(self.id, None, &delivery(row), aside, now_ms);
            let stays = |hash: &&String| hash_from_hex(hash).is_none_or(|hash| !never.contains(&hash));
            plan.shrink(&self.name, row, row.hashes.iter().filter(stays).cloned().collect())?;
        }
        plan.moved.extend(never);
        Ok(())
    }

    /// The rows of items, the place among them of each change that is still in
    /// one, and these changes. Records may have changes that went since.
    fn still_held(&self, items: Items) -> (Vec<&HeldRow>, HashMap<ChangeHash, usize>, Vec<Change>) {
        let (mut rows, mut places, mut all) = (Vec::new(), HashMap::new(), Vec::new());
        for (number, mut changes) in items {
            let Some(row) = self.held.item(number) else { continue };
            let still: HashSet<ChangeHash> = hashes(&row.hashes).collect();
            changes.retain(|change| still.contains(&change.hash()));
            places.extend(changes.iter().map(|change| (change.hash(), rows.len())));
            rows.push(row);
            all.extend(changes);
        }
        (rows, places, all)
    }
}

/// The changes of one item.
#[derive(Default)]
struct Sorted {
    take: Vec<Change>,
    /// With the reason.
    aside: Vec<(Change, &'static str)>,
}

fn delivery(row: &HeldRow) -> Delivery {
    Delivery { person: row.person.clone(), device: row.device.clone() }
}

/// The changes of a held record.
///
/// # Errors
/// [`StoreError::Damaged`] where Automerge cannot read them.
pub fn held_changes(bytes: &[u8]) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    match catch_unwind(AssertUnwindSafe(|| changes_of(bytes, &mut changes))) {
        Ok(Ok(())) => Ok(changes),
        _ => Err(StoreError::Damaged("held changes".to_owned())),
    }
}
