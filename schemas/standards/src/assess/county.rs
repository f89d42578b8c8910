//! The county: all dimensions over all schools.

use duxue_document::collections::BTreeSet;

use serde::Serialize;

use duxue_document::SchoolId;
use duxue_document::school::Stage;

use super::outcome::Levels;
use super::result::IndicatorResult;
use super::running::Running;
use super::{CoefficientResult, Outcome};
use crate::input::Review;
use crate::standard::{Level, Standard, Text};

/// How many rows or schools come out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Rows or schools that count (those still open among them).
    pub all: usize,
    /// Met without a relief.
    pub met: usize,
    /// Met with a relief.
    pub conditional: usize,
    /// Not met.
    pub not_met: usize,
    /// Undetermined.
    pub undetermined: usize,
}

impl Tally {
    /// How many come out so.
    pub(crate) fn number_of(&mut self, outcome: Outcome) -> &mut usize {
        match outcome {
            Outcome::Met => &mut self.met,
            Outcome::Conditional => &mut self.conditional,
            Outcome::NotMet => &mut self.not_met,
            Outcome::Undetermined => &mut self.undetermined,
        }
    }

    /// 达标学校总数.
    #[must_use]
    pub fn passing(&self) -> usize {
        self.met + self.conditional
    }
}

/// A tally of one indicator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndicatorTally {
    /// The indicator; `rule` for the school rule.
    pub id: String,
    /// All must be met: the result over all of them.
    pub outcome: Outcome,
    /// How many.
    pub tally: Tally,
    /// Schools that do not meet it.
    pub failing: Vec<SchoolId>,
    #[serde(skip)]
    pub(crate) levels: Levels,
}

/// One stage of the county.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageSummary {
    /// The stage.
    pub stage: Stage,
    /// Rows of 表 II-2 that count.
    pub rows: usize,
    /// Rows of which it is open whether they count.
    pub rows_open: usize,
    /// 表 II-1: by item, and `rule` for the whole.
    pub items: Vec<IndicatorTally>,
    /// 表 III: by item, and `mean`.
    pub coefficients: Vec<CoefficientResult>,
}

/// One dimension of the county.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DimensionResult {
    /// `A1` …
    pub id: String,
    /// Its name.
    pub name: Text,
    /// The result.
    pub outcome: Outcome,
    /// What decides it: `A2-5`, `rule/primary`, `CV/L2/junior`, or `register`
    /// where no school counts. All that is not
    /// met; if there is none, all that is undetermined; else all that is conditional.
    pub because: Vec<String>,
    #[serde(skip)]
    pub(crate) levels: Levels,
}

/// The county's verdict and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountyAssessment {
    /// The result: all dimensions.
    pub outcome: Outcome,
    /// By dimension.
    pub dimensions: Vec<DimensionResult>,
    /// By stage.
    pub stages: Vec<StageSummary>,
    /// Indicators of schools, over all schools.
    pub school_indicators: Vec<IndicatorTally>,
    /// Indicators of the county itself.
    pub indicators: Vec<IndicatorResult>,
    /// What is missing before anything can be said of the schools at all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Text>,
    /// How much was looked at.
    pub review: Review,
}

impl CountyAssessment {
    /// A coefficient of a stage by item, or `mean`.
    #[must_use]
    pub fn coefficient(&self, stage: Stage, item: &str) -> Option<&CoefficientResult> {
        let summary = self.stages.iter().find(|summary| summary.stage == stage)?;
        summary.coefficients.iter().find(|coefficient| coefficient.id == item)
    }

    /// A dimension by id.
    #[must_use]
    pub fn dimension(&self, id: &str) -> Option<&DimensionResult> {
        self.dimensions.iter().find(|dimension| dimension.id == id)
    }

    /// A county or school indicator's result over the county.
    #[must_use]
    pub fn outcome_of(&self, id: &str) -> Option<Outcome> {
        let own =
            self.indicators.iter().find(|indicator| indicator.id == id).map(|indicator| indicator.outcome);
        own.or_else(|| self.school_indicators.iter().find(|tally| tally.id == id).map(|tally| tally.outcome))
    }
}

/// Puts the county together.
pub(crate) fn assess(
    standard: &Standard,
    schools: &Running,
    coefficients: Vec<(Stage, Vec<CoefficientResult>)>,
    indicators: Vec<IndicatorResult>,
) -> CountyAssessment {
    let mut stages: Vec<StageSummary> = coefficients
        .into_iter()
        .map(|(stage, coefficients)| stage_summary(standard, schools, stage, coefficients))
        .collect();
    let of_schools = of_level(standard, Level::School);
    let mut school_indicators: Vec<IndicatorTally> =
        of_schools.map(|(position, id)| schools.of_schools(position, id)).collect();
    let counted = Counted::of(&stages);
    let of_stages = stages.iter_mut().flat_map(|summary| &mut summary.items);
    of_stages.chain(&mut school_indicators).for_each(|tally| counted.hold(tally));
    let mut parts = Parts::default();
    if counted == Counted::None {
        parts.lack_schools(standard);
    }
    parts.collect(standard, &stages, &school_indicators, &indicators);
    let dimensions: Vec<DimensionResult> =
        standard.dimensions.iter().map(|dimension| parts.dimension(&dimension.id, &dimension.name)).collect();
    let all = dimensions.iter().fold(Levels::MET, |all, dimension| all.and(dimension.levels));
    let missing = if counted == Counted::None { vec![register_missing()] } else { Vec::new() };
    let outcome = all.outcome();
    let review = schools.review;
    CountyAssessment { outcome, dimensions, stages, school_indicators, indicators, missing, review }
}

/// Whether any school counts in any stage. "All schools meet it" says nothing
/// of a county without one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    None,
    Possibly,
    Some,
}

impl Counted {
    fn of(stages: &[StageSummary]) -> Self {
        if stages.iter().any(|summary| summary.rows > 0) {
            Self::Some
        } else if stages.iter().any(|summary| summary.rows_open > 0) {
            Self::Possibly
        } else {
            Self::None
        }
    }

    fn hold(self, tally: &mut IndicatorTally) {
        tally.levels = match self {
            Self::Some => return,
            Self::Possibly => tally.levels.and(Levels::UNKNOWN),
            Self::None => Levels::UNKNOWN,
        };
        tally.outcome = tally.levels.outcome();
    }
}

fn register_missing() -> Text {
    Text::new("学校名册:没有计入的学校", "the register of schools: no school in it counts")
}

/// The indicators of a level, each with its place among them.
fn of_level(standard: &Standard, level: Level) -> impl Iterator<Item = (usize, &str)> {
    let own = standard.indicators.iter().filter(move |indicator| indicator.level == level);
    own.map(|indicator| indicator.id.as_str()).enumerate()
}

fn stage_summary(
    standard: &Standard,
    schools: &Running,
    stage: Stage,
    coefficients: Vec<CoefficientResult>,
) -> StageSummary {
    let own = of_level(standard, Level::Stage);
    let mut items: Vec<IndicatorTally> =
        own.map(|(position, id)| schools.of_stage(stage, position, id)).collect();
    items.extend(standard.school_rule.iter().map(|_| schools.rule(stage)));
    let (rows, rows_open) = schools.rows(stage);
    StageSummary { stage, rows, rows_open, items, coefficients }
}

/// What each dimension is made of: name, result.
#[derive(Default)]
struct Parts(Vec<(String, String, Levels)>);

impl Parts {
    /// The dimensions that speak of schools wait for the register.
    fn lack_schools(&mut self, standard: &Standard) {
        let own = standard.indicators.iter().filter(|indicator| indicator.level != Level::County);
        let own = own.map(|indicator| &indicator.dimension);
        let rule = standard.school_rule.iter().map(|rule| &rule.dimension);
        let difference = standard.difference.iter().map(|difference| &difference.dimension);
        let dimensions: BTreeSet<&String> = own.chain(rule).chain(difference).collect();
        let waits = |dimension: &String| (dimension.clone(), "register".to_owned(), Levels::UNKNOWN);
        self.0.extend(dimensions.into_iter().map(waits));
    }

    fn collect(
        &mut self,
        standard: &Standard,
        stages: &[StageSummary],
        school_indicators: &[IndicatorTally],
        indicators: &[IndicatorResult],
    ) {
        let dimension_of = |id: &str| standard.indicator(id).map(|i| i.dimension.clone()).unwrap_or_default();
        let rule = standard.school_rule.as_ref();
        for summary in stages {
            let stage = summary.stage.part().as_str();
            for item in &summary.items {
                let dimension = match rule {
                    Some(rule) if item.id == "rule" => rule.dimension.clone(),
                    Some(rule) if rule.items.contains(&item.id) => continue,
                    _ => dimension_of(&item.id),
                };
                self.0.push((dimension, format!("{}/{stage}", item.id), item.levels));
            }
            let tested = summary.coefficients.iter().filter(|coefficient| coefficient.outcome.is_some());
            for coefficient in tested {
                let dimension = standard.difference.as_ref().map(|d| d.dimension.clone()).unwrap_or_default();
                self.0.push((dimension, format!("CV/{}/{stage}", coefficient.id), coefficient.levels));
            }
        }
        for tally in school_indicators {
            self.0.push((dimension_of(&tally.id), tally.id.clone(), tally.levels));
        }
        for result in indicators {
            self.0.push((dimension_of(&result.id), result.id.clone(), result.levels.0));
        }
    }

    fn dimension(&self, id: &str, name: &Text) -> DimensionResult {
        let own = || self.0.iter().filter(|(dimension, ..)| dimension == id);
        let levels = own().fold(Levels::MET, |all, (.., levels)| all.and(*levels));
        let outcome = levels.outcome();
        let because = [Outcome::NotMet, Outcome::Undetermined, Outcome::Conditional]
            .into_iter()
            .map(|wanted| {
                let such = own().filter(|(.., levels)| levels.outcome() == wanted);
                such.map(|(_, part, _)| part.clone()).collect::<Vec<_>>()
            })
            .find(|parts| !parts.is_empty())
            .unwrap_or_default();
        DimensionResult { id: id.to_owned(), name: name.clone(), outcome, because, levels }
    }
}
