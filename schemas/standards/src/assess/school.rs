//! One school: its rows (one for each stage) and its own indicators.

use duxue_document::collections::BTreeMap;

use serde::Serialize;

use duxue_document::SchoolId;
use duxue_document::school::{School, Stage};

use super::indicator::decide;
use super::outcome::{Levels, six_of_seven};
use super::result::{IndicatorResult, Open};
use super::rule::{Scope, read};
use super::scope::{NotCounted, counted, stages};
use super::unit::{Case, Detail, Trace, Unit};
use super::verdict::{floor, review};
use super::{Outcome, per_pupil};
use crate::input::{Alarm, Review, SharedFigures};
use crate::standard::{Level, SchoolRule, Text};

/// The result of the school rule (six of seven) for one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleResult {
    /// The result.
    pub outcome: Outcome,
    /// Items certainly met (with reliefs), and items that may be.
    pub met: (usize, usize),
    /// For 表 II-2 L14: which are met and which reach the floor.
    pub remark: Text,
    /// What is in conflict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<Open>,
}

/// One stage of one school: a row of 表 II-2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageAssessment {
    /// The stage.
    pub stage: Stage,
    /// Whether it counts; `None` while that is open.
    pub counts: Option<bool>,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<NotCounted>,
    /// Pupils of the stage, or the range `120–130`, `≥0`.
    pub pupils: String,
    /// Pupils, at most; for ordering by who is affected.
    #[serde(skip)]
    pub(crate) pupils_most: Option<i128>,
    #[serde(skip)]
    pub(crate) pupils_least: i128,
    /// The school rule; absent if the standard has none or the row does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleResult>,
    /// Indicators of the stage.
    pub indicators: Vec<IndicatorResult>,
}

/// The assessment of one school with its branch sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchoolAssessment {
    /// The register row.
    pub school: School,
    /// Branch sites merged in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<SchoolId>,
    /// Its stages.
    pub stages: Vec<StageAssessment>,
    /// Its own indicators.
    pub indicators: Vec<IndicatorResult>,
    /// Every figure with its source and the entries behind it, by campus.
    pub figures: BTreeMap<SchoolId, SharedFigures>,
    /// What looks wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// How much was looked at.
    pub review: Review,
}

impl SchoolAssessment {
    /// An indicator of a stage, or of the school.
    #[must_use]
    pub fn indicator(&self, id: &str, stage: Option<Stage>) -> Option<&IndicatorResult> {
        let of_stage =
            self.stages.iter().filter(|row| Some(row.stage) == stage).flat_map(|row| &row.indicators);
        let own = self.indicators.iter().filter(|_| stage.is_none());
        of_stage.chain(own).find(|indicator| indicator.id == id)
    }

    /// The row of a stage.
    #[must_use]
    pub fn stage(&self, stage: Stage) -> Option<&StageAssessment> {
        self.stages.iter().find(|row| row.stage == stage)
    }
}

pub(crate) fn assess(unit: &Unit) -> Option<SchoolAssessment> {
    let root = unit.campuses.first()?;
    let own = unit.standard.indicators.iter().filter(|indicator| indicator.level == Level::School);
    Some(SchoolAssessment {
        school: root.school.clone(),
        branches: unit.campuses.iter().skip(1).map(|campus| campus.school.id.clone()).collect(),
        stages: stages(unit).into_iter().map(|stage| of_stage(unit, stage)).collect(),
        indicators: own.map(|indicator| decide(unit, Scope::School, indicator, None)).collect(),
        figures: unit.campuses.iter().map(|c| (c.school.id.clone(), c.figures.clone())).collect(),
        alarms: unit.campuses.iter().flat_map(|campus| campus.alarms.iter().cloned()).collect(),
        review: review(unit),
    })
}

fn of_stage(unit: &Unit, stage: Stage) -> StageAssessment {
    let choice = unit.open_choice();
    let case = Case { unit, choice: &choice, trace: None, detail: Detail::Result };
    let (holds, not_counted) = counted(&case, stage);
    let pupils = per_pupil::pupils_of(&case, stage);
    let rule = unit.standard.school_rule.as_ref();
    let own = unit.standard.indicators.iter().filter(|indicator| indicator.level == Level::Stage);
    let indicators: Vec<IndicatorResult> = if holds.possible {
        own.map(|indicator| decide(unit, Scope::Stage(stage), indicator, floor(rule, &indicator.id)))
            .collect()
    } else {
        Vec::new()
    };
    StageAssessment {
        stage,
        counts: (holds.certain || !holds.possible).then_some(holds.certain),
        not_counted,
        pupils: match pupils.high {
            Some(high) if high == pupils.low => high.to_string(),
            Some(high) => format!("{}–{high}", pupils.low),
            None => format!("≥{}", pupils.low),
        },
        pupils_most: pupils.high,
        pupils_least: pupils.low,
        rule: rule.filter(|_| holds.possible).map(|rule| rule_result(unit, stage, rule, &indicators)),
        indicators,
    }
}

fn rule_result(unit: &Unit, stage: Stage, rule: &SchoolRule, results: &[IndicatorResult]) -> RuleResult {
    let items: Vec<&IndicatorResult> =
        results.iter().filter(|result| rule.items.contains(&result.id)).collect();
    let apart: Vec<Levels> = items.iter().map(|item| item.levels.0).collect();
    let (levels, trace) = rule_levels(unit, stage, rule, &apart, Detail::Reasons);
    let undecided = !levels.is_decided() && items.iter().any(|item| !item.open.is_empty());
    let open = if undecided { trace.open(unit) } else { Vec::new() };
    let passing = |outcome: fn(&&&IndicatorResult) -> bool| items.iter().filter(outcome).count();
    RuleResult {
        outcome: levels.outcome(),
        met: (passing(|item| item.outcome.passes()), passing(|item| item.outcome != Outcome::NotMet)),
        remark: remark(&items),
        open,
    }
}

/// The levels of the school rule: of its items apart, and where that leaves it
/// open of all together, because they share pupils and rooms and are more
/// certain so. Also what that looked at.
pub(crate) fn rule_levels<'a>(
    unit: &Unit<'a>,
    stage: Stage,
    rule: &SchoolRule,
    apart: &[Levels],
    detail: Detail,
) -> (Levels, Trace<'a>) {
    let levels = six_of_seven(apart, rule.met_at_least);
    if levels.is_decided() || !unit.is_open() {
        return (levels, Trace::default());
    }
    let rule_in = |case: &Case| {
        let items = unit.standard.indicators.iter().filter(|indicator| rule.items.contains(&indicator.id));
        let each: Vec<Levels> = items
            .map(|indicator| {
                let conditions = indicator.conditions.iter();
                conditions
                    .map(|condition| read(case, Scope::Stage(stage), condition, Some(rule.floor)).levels)
                    .fold(Levels::MET, Levels::and)
            })
            .collect();
        six_of_seven(&each, rule.met_at_least)
    };
    let (together, _, trace) = unit.decide(detail, rule_in, |levels| *levels);
    (together, trace)
}

fn remark(items: &[&IndicatorResult]) -> Text {
    let ids = |wanted: &dyn Fn(&IndicatorResult) -> bool| {
        items.iter().filter(|item| wanted(item)).map(|item| item.id.as_str()).collect::<Vec<_>>().join("、")
    };
    let met = ids(&|item| item.outcome.passes());
    let floor =
        ids(&|item| !item.outcome.passes() && item.levels.0.strict.low == super::outcome::Grade::Floor);
    Text::new(format!("达标:{met};达到85%:{floor}"), format!("met: {met}; at least 85 %: {floor}"))
}
