//! How much a person may leave in the held area, over all documents.

use std::collections::HashMap;
use std::ops::{Add, AddAssign};
use std::sync::{Mutex, PoisonError};

use duxue_document::PersonId;

use super::count;

/// So much of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Changes.
    pub changes: u64,
    /// Bytes of their chunks.
    pub bytes: u64,
}

impl Amount {
    /// What is left of it without a part of it.
    #[must_use]
    pub fn without(self, part: Self) -> Self {
        Self {
            changes: self.changes.saturating_sub(part.changes),
            bytes: self.bytes.saturating_sub(part.bytes),
        }
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            changes: self.changes.saturating_add(other.changes),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// What each person has delivered that nobody has decided about. Whose actor
/// a change names does not matter: it counts for whoever brings it.
#[derive(Default)]
pub struct Quotas(Mutex<HashMap<PersonId, Amount>>);

impl Quotas {
    /// Takes room for a person.
    ///
    /// # Errors
    /// The name of the setting that has no more of it; then nothing changes.
    pub fn take(&self, person: &PersonId, amount: Amount, limit: Amount) -> Result<(), &'static str> {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = people.get(person).copied().unwrap_or_default() + amount;
        if after.changes > limit.changes {
            return Err("held_changes_per_person");
        }
        if after.bytes > limit.bytes {
            return Err("held_bytes_per_person");
        }
        people.insert(person.clone(), after);
        show(&people);
        Ok(())
    }

    /// Gives room back.
    pub fn give_back(&self, person: &PersonId, amount: Amount) {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = people.get_mut(person) {
            *used = used.without(amount);
            if *used == Amount::default() {
                people.remove(person);
            }
        }
        show(&people);
    }
}

fn show(people: &HashMap<PersonId, Amount>) {
    let all = people.values().fold(Amount::default(), |all, amount| all + *amount);
    let number = |number: u64| count(usize::try_from(number).unwrap_or(usize::MAX));
    metrics::gauge!("duxue_held_changes").set(number(all.changes));
    metrics::gauge!("duxue_held_bytes").set(number(all.bytes));
}
