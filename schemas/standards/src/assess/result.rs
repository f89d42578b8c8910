//! What an assessment says of one indicator.

use duxue_document::collections::BTreeSet;

use serde::Serialize;

use super::Outcome;
use crate::figure::{FigureRef, Gap, Subject};
use crate::number::Exact;
use crate::standard::Text;

/// A value, or the range in which it lies while something is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Smallest possible.
    pub low: Exact,
    /// Largest possible; `None` is unbounded.
    pub high: Option<Exact>,
    /// As printed on the form, rounded half away from zero: `4.50`, or
    /// `4.20–4.50`, `≥4.20` while open.
    pub printed: String,
}

impl Range {
    /// Prints with so many decimals, multiplied by `times`.
    #[must_use]
    pub fn new(low: Exact, high: Option<Exact>, times: u32, decimals: u32) -> Self {
        let scale = Exact::quotient(times.into(), 1);
        let print = |value: &Exact| value.times(&scale).printed(decimals);
        let printed = match &high {
            Some(high) if *high == low => print(&low),
            Some(high) => format!("{}–{}", print(&low), print(high)),
            None => format!("≥{}", print(&low)),
        };
        Self { low, high, printed }
    }

    /// The value, if there is only one.
    #[must_use]
    pub fn value(&self) -> Option<&Exact> {
        self.high.as_ref().filter(|high| **high == self.low)
    }
}

/// A case in which comparing the printed value would give another result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoundingFlag {
    /// Decimals at which it happens.
    pub decimals: u32,
    /// The rounded value.
    pub rounded: String,
    /// What it was held against.
    pub limit: String,
    /// What the rounded value would give; the exact value gives the opposite.
    pub would_be_met: bool,
}

/// What is lacking, in the unit that someone can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lacking {
    /// The smallest amount that may do, a decimal.
    pub least: String,
    /// The amount that does in every case, where that is more; absent where
    /// no amount is known to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<String>,
    /// The unit.
    pub unit: Text,
    /// The whole sentence: `差57.3平方米…` / `57.3 m² … short`.
    pub text: Text,
}

/// A relief that makes the difference, and when the full requirement is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReliefUse {
    /// The relief.
    pub id: String,
    /// Its words.
    pub name: Text,
    /// Where it stands.
    pub clause: String,
    /// Years after recognition.
    pub due_years: u16,
    /// The due date, were the county recognised on the as-of date.
    pub due: String,
}

/// One condition of an indicator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionResult {
    /// What it asks, where the indicator has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The result.
    pub outcome: Outcome,
    /// The value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Range>,
    /// The requirement as written: `4.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<String>,
    /// What is lacking to the full requirement.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking: Vec<Lacking>,
    /// What is lacking to the floor (85 %).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacking_to_floor: Vec<Lacking>,
    /// Rounding that would change it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounding: Vec<RoundingFlag>,
    /// The reliefs that it needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reliefs: Vec<ReliefUse>,
}

/// Something not known that bears on a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Missing {
    /// What.
    pub figure: FigureRef,
    /// Why.
    pub gaps: BTreeSet<Gap>,
    /// For people: what to capture.
    pub text: Text,
}

/// An open conflict that bears on a result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Open {
    /// The school; empty for the county's document.
    pub school: String,
    /// The conflict.
    pub subject: Subject,
}

/// One indicator of one stage of a school, of a school, or of the county.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndicatorResult {
    /// The indicator.
    pub id: String,
    /// The result.
    pub outcome: Outcome,
    /// Its conditions; all must hold.
    pub conditions: Vec<ConditionResult>,
    /// The figures behind it.
    pub figures: Vec<FigureRef>,
    /// What is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// What is in conflict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Open>,
    /// For the school rule; not shown.
    #[serde(skip)]
    pub(crate) levels: Standing,
}

/// Levels kept beside a result, for what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing(pub(super) super::outcome::Levels);

impl IndicatorResult {
    /// The value of an indicator with one condition.
    #[must_use]
    pub fn value(&self) -> Option<&Range> {
        self.conditions.first().and_then(|condition| condition.value.as_ref())
    }

    /// Whether it certainly reaches the floor that the school rule accepts.
    pub(crate) fn reaches_floor(&self) -> bool {
        self.levels.0.strict.low >= super::outcome::Grade::Floor
    }
}
