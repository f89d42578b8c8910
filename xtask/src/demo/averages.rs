//! Published averages that the county's figures are drawn around.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::process::{Failure, Outcome};

/// Means, deviations and shares by name.
pub struct Averages(BTreeMap<&'static str, f64>);

impl Averages {
    pub(super) fn read(text: &'static str) -> Outcome<Self> {
        let mut values = BTreeMap::new();
        for row in super::rows(text).skip(1) {
            let [name, value] = row[..] else { return Err(Failure(format!("averages.csv: {row:?}"))) };
            let value =
                value.parse().map_err(|_| Failure(format!("averages.csv: {name} is not a number")))?;
            values.insert(name, value);
        }
        Ok(Self(values))
    }

    /// How far above its requirement a school stands in an item, as a factor:
    /// most of them a little, few of them far, as wide as the published
    /// deviation. Schools below are deliberate cases, not chance.
    pub(super) fn above(&self, item: &str, random: &mut ChaCha8Rng) -> Outcome<f64> {
        let relative = self.get(&format!("{item}_deviation"))? / self.get(&format!("{item}_mean"))?;
        Ok(1.02 + 0.8 * relative * deviate(random).abs())
    }

    pub(super) fn get(&self, name: &str) -> Outcome<f64> {
        self.0.get(name).copied().ok_or_else(|| Failure(format!("averages.csv has no {name}")))
    }
}

/// A number between 0 and 1.
pub(super) fn uniform(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / f64::from(u32::MAX)
}

/// A whole number from `low` to `high`, both included.
pub(super) fn between(random: &mut ChaCha8Rng, low: u64, high: u64) -> u64 {
    low + u64::from(random.next_u32()) % (high - low + 1)
}

/// A deviate of mean 0 and deviation 1: the sum of twelve, less six.
fn deviate(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| uniform(random)).sum::<f64>() - 6.0
}

/// Rounds up to a whole number; figures here are far below 2⁵³.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
pub(super) fn up(value: f64) -> u64 {
    value.ceil() as u64
}

/// A count as a factor.
#[expect(clippy::cast_precision_loss, reason = "far below 2⁵³")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}
