//! The assessment: a standard on the consolidated data of a round.

mod assessor;
mod coefficient;
mod county;
mod difference;
mod indicator;
mod outcome;
mod over_schools;
mod per_pupil;
mod provenance;
mod result;
mod row;
mod rule;
mod running;
mod school;
mod scope;
mod unit;
mod verdict;

pub use assessor::Assessor;
pub use county::{CountyAssessment, DimensionResult, IndicatorTally, StageSummary, Tally};
pub use difference::CoefficientResult;
pub use outcome::Outcome;
pub(crate) use over_schools::summed;
pub use provenance::{Assessment, ENGINE_VERSION, MadeFrom, Provenance, hash};
pub use result::{ConditionResult, IndicatorResult, Lacking, Missing, Open, Range, ReliefUse, RoundingFlag};
pub use school::{RuleResult, SchoolAssessment, StageAssessment};
pub use scope::NotCounted;
pub(crate) use unit::what_to_capture;

use crate::input::SchoolInput;
use crate::standard::Standard;

/// Assesses one school by itself: the preview on the inspector's phone. Branch
/// sites and county figures are not known here; what needs them is undetermined.
/// `as_of` is `YYYY-MM-DD`.
#[must_use]
pub fn school(standard: &Standard, input: &SchoolInput, as_of: &str) -> SchoolAssessment {
    let unit = unit::Unit::new(standard, vec![input], None, &unit::no_schools, as_of);
    match school::assess(&unit) {
        Some(assessment) => assessment,
        None => unreachable!("the unit has the one campus it was given"),
    }
}
