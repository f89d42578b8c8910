//! Deciding about held changes: they are let in with what waits for them
//! only, or left out.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Change, ChangeHash};
use duxue_document::PersonId;

use crate::fault::{self, Fault};
use crate::hub::admit::changes_of;
use crate::hub::rows::Decision;
use crate::store::{Delivery, StoreError};

use super::Document;
use super::held::hashes;
use super::numbers::{Apart, Planned};
use super::plan::Plan;

/// Held items with their changes, in the order in which they are let in.
pub type LetIn = Vec<(u64, Vec<Change>)>;

impl Document {
    /// The held items whose changes [`Self::decide`] needs: those decided about,
    /// and those that wait for nothing else.
    ///
    /// # Errors
    /// `held.decided` for a number that is not held here, and `held.waits`
    /// where one of them waits for changes that would not come in with it.
    pub fn concerned(&self, decided: &[u64], admit: bool) -> Result<Vec<u64>, Fault> {
        let mut freed: HashSet<ChangeHash> = HashSet::new();
        for number in decided {
            let row = self.held.item(*number).ok_or_else(fault::decided)?;
            freed.extend(hashes(&row.hashes));
        }
        if !admit {
            return Ok(Vec::new());
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
    pub fn are_of(&self, changes: &LetIn, person: &PersonId) -> bool {
        let mut actors = changes.iter().flat_map(|(_, changes)| changes).map(Change::actor_id);
        actors.any(|actor| self.actors.get(actor.to_bytes()).is_some_and(|row| row.person == *person))
    }

    /// Plans what was decided: `let_in` has the changes of all items that
    /// [`Self::concerned`] named. `None` where changes that are to be let in
    /// can never be applied: nothing would be gained, and they would be gone
    /// from the list.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn decide(
        &self,
        decided: &[u64],
        admit: bool,
        by: &PersonId,
        let_in: LetIn,
        now_ms: i64,
    ) -> Result<Option<Plan>, StoreError> {
        let mut plan = Plan::default();
        if !admit {
            for row in decided.iter().filter_map(|number| self.held.item(*number)) {
                let decision = Decision { admitted: false, by: Some(by.clone()), at_ms: now_ms };
                plan.decide(&self.name, row.clone(), decision)?;
            }
            return Ok(Some(plan));
        }
        let whole = self.let_in(&mut plan, let_in, Some((decided, by)), now_ms)?;
        Ok(whole.then_some(plan))
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

    /// Lets in what [`Self::followers`] named; what can never be applied stays
    /// held.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn follow(&self, plan: &mut Plan, let_in: LetIn, now_ms: i64) -> Result<(), StoreError> {
        self.let_in(plan, let_in, None, now_ms).map(|_| ())
    }

    /// Lets items in, each whole or not at all; false where one of those
    /// decided about can never be applied.
    fn let_in(
        &self,
        plan: &mut Plan,
        let_in: LetIn,
        decided: Option<(&[u64], &PersonId)>,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let mut planned = Planned::default();
        planned.add_all(plan.taken.iter().flat_map(|unit| &unit.changes));
        let mut outside = self.set_aside.clone();
        let mut whole = true;
        for (number, mut changes) in let_in {
            let Some(row) = self.held.item(number) else { continue };
            // The record may have changes that went from the item since.
            let still: HashSet<ChangeHash> = hashes(&row.hashes).collect();
            changes.retain(|change| still.contains(&change.hash()));
            let by = decided.filter(|(chosen, _)| chosen.contains(&number)).map(|(_, by)| by.clone());
            let Apart { take, aside, numbers } = self.numbers.apart(changes, &planned, &outside);
            if !aside.is_empty() {
                whole &= by.is_none();
                // What depends on it stays with it.
                outside.extend(take.iter().chain(aside.iter().map(|(change, _)| change)).map(Change::hash));
                continue;
            }
            planned.extend(numbers);
            let delivery = Delivery { person: row.person.clone(), device: row.device.clone() };
            plan.take(self.id, None, &delivery, take, now_ms);
            plan.decide(&self.name, row.clone(), Decision { admitted: true, by, at_ms: now_ms })?;
        }
        Ok(whole)
    }
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
