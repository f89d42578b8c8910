//! Deciding about held changes: they are let in with what waits for them
//! only, or left out.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::{Change, ChangeHash};
use duxue_document::PersonId;

use crate::hub::admit::changes_of;
use crate::hub::rows::Decision;
use crate::store::{Delivery, StoreError};

use super::Document;
use super::held::hashes;
use super::plan::Plan;

/// Held items with their changes, in the order in which they are let in.
pub type LetIn = Vec<(u64, Vec<Change>)>;

impl Document {
    /// The held items whose changes [`Self::decide`] needs; `None` for a number
    /// that is not held here.
    #[must_use]
    pub fn concerned(&self, number: u64, admit: bool) -> Option<Vec<u64>> {
        let row = self.held.item(number)?;
        if !admit {
            return Some(Vec::new());
        }
        let freed: HashSet<ChangeHash> = hashes(&row.hashes).collect();
        let mut numbers = vec![number];
        numbers
            .extend(self.held.followers(&freed, &HashSet::new()).into_iter().filter(|next| *next != number));
        Some(numbers)
    }

    /// Whether one of these changes is in the name of an actor of a person.
    #[must_use]
    pub fn are_of(&self, changes: &LetIn, person: &PersonId) -> bool {
        let mut actors = changes.iter().flat_map(|(_, changes)| changes).map(Change::actor_id);
        actors.any(|actor| self.actors.get(actor.to_bytes()).is_some_and(|row| row.person == *person))
    }

    /// Plans what was decided: `let_in` has the changes of all items that
    /// [`Self::concerned`] named.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a row cannot be written as JSON.
    pub fn decide(
        &self,
        number: u64,
        admit: bool,
        by: &PersonId,
        let_in: LetIn,
        now_ms: i64,
    ) -> Result<Plan, StoreError> {
        let mut plan = Plan::default();
        if !admit {
            if let Some(row) = self.held.item(number) {
                let decision = Decision { admitted: false, by: Some(by.clone()), at_ms: now_ms };
                plan.decide(&self.name, row.clone(), decision)?;
            }
            return Ok(plan);
        }
        self.let_in(&mut plan, let_in, Some((number, by)), now_ms)?;
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
    pub fn follow(&self, plan: &mut Plan, let_in: LetIn, now_ms: i64) -> Result<(), StoreError> {
        self.let_in(plan, let_in, None, now_ms)
    }

    fn let_in(
        &self,
        plan: &mut Plan,
        let_in: LetIn,
        decided: Option<(u64, &PersonId)>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        for (number, mut changes) in let_in {
            let Some(row) = self.held.item(number) else { continue };
            // The record may have changes that went from the item since.
            let still: HashSet<ChangeHash> = hashes(&row.hashes).collect();
            changes.retain(|change| still.contains(&change.hash()));
            let delivery = Delivery { person: row.person.clone(), device: row.device.clone() };
            plan.take(self.id, None, Some(&delivery), changes, now_ms);
            let by = decided.filter(|(chosen, _)| *chosen == number).map(|(_, by)| by.clone());
            plan.decide(&self.name, row.clone(), Decision { admitted: true, by, at_ms: now_ms })?;
        }
        Ok(())
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
