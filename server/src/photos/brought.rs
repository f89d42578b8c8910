//! How much each person has brought in each round, so that nobody fills the
//! disk alone. A photo counts for whoever brought its bytes first.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use duxue_document::{PersonId, RoundId};

use crate::config::refused;

use super::Settings;

/// So much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Amount {
    pub photos: u64,
    pub bytes: u64,
}

/// By person and round.
#[derive(Default)]
pub(super) struct Brought(Mutex<HashMap<(PersonId, RoundId), Amount>>);

impl Brought {
    /// Counts a photo that is durable.
    pub fn add(&self, person: &PersonId, round: &RoundId, bytes: u64) {
        let mut all = self.lock();
        let amount = all.entry((person.clone(), round.clone())).or_default();
        amount.photos += 1;
        amount.bytes = amount.bytes.saturating_add(bytes);
    }

    /// Whether a person may bring one more photo; names and counts the limit
    /// where not. What is on its way is bounded by the limits of uploads.
    pub fn has_room(&self, person: &PersonId, round: &RoundId, bytes: u64, settings: &Settings) -> bool {
        let amount = self.lock().get(&(person.clone(), round.clone())).copied().unwrap_or_default();
        let over = if amount.photos >= settings.photos_per_person {
            "photos_per_person"
        } else if amount.bytes.saturating_add(bytes) > settings.bytes_per_person {
            "photo_bytes_per_person"
        } else {
            return true;
        };
        refused(over);
        false
    }

    /// The most that anyone has brought, for the metrics.
    pub fn most(&self) -> Amount {
        self.lock().values().fold(Amount::default(), |most, amount| Amount {
            photos: most.photos.max(amount.photos),
            bytes: most.bytes.max(amount.bytes),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(PersonId, RoundId), Amount>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
