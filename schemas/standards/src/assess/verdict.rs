//! One school's results without their reasons: what the county is made of.
//! [`school::assess`](super::school::assess) gives the same results with
//! figures, gaps and words, which are worked out only for who reads them.

use duxue_document::collections::BTreeSet;

use duxue_document::SchoolId;
use duxue_document::school::{FigureKey, Stage};

use super::indicator::{Judged, judge};
use super::outcome::Levels;
use super::per_pupil::{Pupils, pupils_of};
use super::rule::Scope;
use super::school::rule_levels;
use super::scope::{counted, stages};
use super::unit::{Case, Detail, Unit};
use crate::input::{CountyInput, Review};
use crate::standard::{Level, SchoolRule};

/// One school with its branch sites.
pub(crate) struct Verdict {
    pub id: SchoolId,
    pub stages: Vec<StageVerdict>,
    /// Its own indicators.
    pub indicators: Vec<Judged>,
    pub review: Review,
    /// What it looked at in the county's input.
    looked_at: BTreeSet<FigureKey>,
}

/// One stage of it.
pub(crate) struct StageVerdict {
    pub stage: Stage,
    /// Whether it counts; `None` while that is open.
    pub counts: Option<bool>,
    pub pupils: Pupils,
    /// The school rule.
    pub rule: Option<Levels>,
    pub indicators: Vec<Judged>,
}

impl Verdict {
    /// Decides everything about a unit; `None` for one without campuses.
    pub fn new(unit: &Unit) -> Option<Self> {
        let root = unit.campuses.first()?;
        let mut looked_at = BTreeSet::new();
        let of_stages = stages(unit).into_iter().map(|stage| of_stage(unit, stage, &mut looked_at)).collect();
        let own = unit.standard.indicators.iter().filter(|indicator| indicator.level == Level::School);
        let indicators =
            own.map(|indicator| judge(unit, (Scope::School, indicator, None), &mut looked_at)).collect();
        let id = root.school.id.clone();
        Some(Self { id, stages: of_stages, indicators, review: review(unit), looked_at })
    }

    /// Whether something that it looked at in the county's input is not the
    /// same in another.
    pub fn looked_at_other(&self, before: &CountyInput, after: &CountyInput) -> bool {
        // What was not there at all was not noted.
        let same_keys =
            before.figures.keys().eq(after.figures.keys()) && before.answers.keys().eq(after.answers.keys());
        !same_keys || self.looked_at.iter().any(|key| !before.is_same_in(after, key))
    }
}

/// How much of a school with its sites was looked at.
pub(crate) fn review(unit: &Unit) -> Review {
    let mut review = Review::default();
    for campus in &unit.campuses {
        review.entries += campus.review.entries;
        review.unreviewed += campus.review.unreviewed;
    }
    review
}

fn of_stage(unit: &Unit, stage: Stage, looked_at: &mut BTreeSet<FigureKey>) -> StageVerdict {
    let choice = unit.open_choice();
    let case = Case { unit, choice: &choice, trace: None, detail: Detail::Result };
    let (holds, _) = counted(&case, stage);
    let pupils = pupils_of(&case, stage);
    let counts = (holds.certain || !holds.possible).then_some(holds.certain);
    if !holds.possible {
        return StageVerdict { stage, counts, pupils, rule: None, indicators: Vec::new() };
    }
    let rule = unit.standard.school_rule.as_ref();
    let own = unit.standard.indicators.iter().filter(|indicator| indicator.level == Level::Stage);
    let (mut indicators, mut items) = (Vec::new(), Vec::new());
    for indicator in own {
        let floor = floor(rule, &indicator.id);
        let judged = judge(unit, (Scope::Stage(stage), indicator, floor), looked_at);
        if floor.is_some() {
            items.push(judged.levels);
        }
        indicators.push(judged);
    }
    let rule = rule.map(|rule| rule_levels(unit, stage, rule, &items, Detail::Result).0);
    StageVerdict { stage, counts, pupils, rule, indicators }
}

/// The share of an item's requirement that the school rule still accepts.
pub(crate) fn floor(rule: Option<&SchoolRule>, indicator: &str) -> Option<crate::number::Amount> {
    rule.filter(|rule| rule.items.iter().any(|item| item == indicator)).map(|rule| rule.floor)
}
