//! Changes that are kept outside the document until someone decides.

use std::collections::HashSet;

use automerge::{Change, ChangeHash};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use duxue_document::PersonId;

use crate::hub::admit::changes_of;
use crate::hub::rows::{Decision, HeldRow, reason};
use crate::store::{Delivery, StoreError};

use super::Document;
use super::build::hash_from_hex;
use super::plan::Plan;

impl Document {
    /// Plans to let held changes in, with those that were held only because
    /// they depend on them; or to leave them out.
    ///
    /// # Errors
    /// `Ok(None)` for a number that is not held here;
    /// [`StoreError::Damaged`] where a row cannot be read or written.
    pub fn decide(
        &self,
        number: u64,
        admit: bool,
        by: &PersonId,
        now_ms: i64,
    ) -> Result<Option<Plan>, StoreError> {
        let Some(row) = self.held.get(&number) else { return Ok(None) };
        let mut plan = Plan::default();
        let decision = Decision { admitted: admit, by: Some(by.clone()), at_ms: now_ms };
        if !admit {
            plan.decide(self.id, row.clone(), decision)?;
            return Ok(Some(plan));
        }
        let mut still_held = self.held_hashes.clone();
        self.let_in(&mut plan, row, decision, &mut still_held, now_ms)?;
        let follows = Decision { admitted: true, by: None, at_ms: now_ms };
        loop {
            let planned: HashSet<u64> = plan.decided.iter().map(|row| row.number).collect();
            let mut next = None;
            for row in self.held.values() {
                if row.reason == reason::DEPENDS && !planned.contains(&row.number) {
                    let own: HashSet<ChangeHash> =
                        row.hashes.iter().filter_map(|h| hash_from_hex(h)).collect();
                    let waits = row_changes(row)?
                        .iter()
                        .flat_map(|change| change.deps().to_vec())
                        .any(|dep| still_held.contains(&dep) && !own.contains(&dep));
                    if !waits {
                        next = Some(row);
                        break;
                    }
                }
            }
            let Some(row) = next else { return Ok(Some(plan)) };
            self.let_in(&mut plan, row, follows.clone(), &mut still_held, now_ms)?;
        }
    }

    fn let_in(
        &self,
        plan: &mut Plan,
        row: &HeldRow,
        decision: Decision,
        still_held: &mut HashSet<ChangeHash>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let changes = row_changes(row)?;
        for change in &changes {
            still_held.remove(&change.hash());
        }
        let delivery = Delivery { person: row.person.clone(), device: row.device.clone() };
        plan.take(self.id, None, Some(&delivery), changes, now_ms);
        plan.decide(self.id, row.clone(), decision)
    }

    /// Whether a change is durable but held.
    #[must_use]
    pub fn holds(&self, hash: &ChangeHash) -> bool {
        self.held_hashes.contains(hash)
    }

    pub(super) fn no_longer_held(&mut self, hashes: &[ChangeHash]) {
        for hash in hashes {
            self.held_hashes.remove(hash);
            self.relayed.remove(hash);
        }
    }

    pub(super) fn remember_held(&mut self, row: HeldRow) {
        let hashes = row.hashes.iter().filter_map(|hash| hash_from_hex(hash));
        if row.reason == reason::OTHER_ACTOR {
            self.relayed.extend(hashes.clone());
        }
        match &row.decision {
            // What was left out stays known, so that it is not held again.
            None => {
                self.held_hashes.extend(hashes);
                self.held.insert(row.number, row);
            }
            Some(decision) if decision.admitted => {
                for hash in hashes {
                    self.held_hashes.remove(&hash);
                }
            }
            Some(_) => self.held_hashes.extend(hashes),
        }
    }
}

fn row_changes(row: &HeldRow) -> Result<Vec<Change>, StoreError> {
    let damaged = || StoreError::Damaged(format!("held item {}", row.number));
    let bytes = BASE64.decode(&row.chunks).map_err(|_| damaged())?;
    let mut changes = Vec::new();
    changes_of(&bytes, &mut changes).map_err(|_| damaged())?;
    Ok(changes)
}
