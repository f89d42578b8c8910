//! The one reading: survey, verdicts, rulings and declared figures meet here,
//! and nothing downstream reads a raw document (DESIGN §2.4, §4).

mod agree;
mod consolidator;
mod county;
mod decisions;
mod entry;
mod groups;
pub(crate) mod natural;
mod removal;
mod tally;

use crate::collections::BTreeMap;

use automerge::Automerge;
use serde::{Deserialize, Serialize};

use crate::consolidated::ConsolidatedSchool;
use crate::school::{Declared, School};
use crate::{Decimal, QuantityId};

pub(crate) use agree::same_in_item;
pub use consolidator::{Consolidator, DecidedBefore, Documents};
pub use county::consolidate_county;

/// What a round decides about reading its surveys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// By how much candidates may differ and still agree, in the unit of the
    /// name: a quantity's id, a measure such as `length_m`, or an entry such
    /// as `pupils` (see [`Settings::tolerance_of`]). The difference of the
    /// highest and the lowest candidate counts; exactly the tolerance is within it.
    #[serde(default)]
    pub tolerance: BTreeMap<QuantityId, Decimal>,
    /// Whether an entry counts only once a supervisor has accepted it. Asked
    /// of values; not of removals and of marks that a section is complete.
    #[serde(default)]
    pub require_acceptance: bool,
}

/// Consolidates one school in a round. Never fails: what does not fit is a
/// finding. The same documents, in whatever order their changes arrived, give
/// the same.
///
/// [`Consolidator`] does the same incrementally; this function is the law that
/// it must equal.
#[must_use]
pub fn consolidate(
    school: &School,
    declared: &Declared,
    settings: &Settings,
    survey: &Automerge,
    review: &Automerge,
    ruling: &Automerge,
) -> ConsolidatedSchool {
    let documents = Documents { survey, review, ruling };
    Consolidator::new(school.clone(), declared.clone(), settings.clone(), documents).into_school()
}
