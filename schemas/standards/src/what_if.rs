//! What if: the same assessment on changed inputs.

use duxue_document::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use duxue_document::school::{FigureKey, Part, RoomPurpose, Stage};
use duxue_document::{Decimal, QuantityId, SchoolId};

use crate::assess::{Assessment, Assessor, CountyAssessment, Outcome, SchoolAssessment};
use crate::figure::{Figure, SharedFigure, Source, Thing};
use crate::input::{SchoolInput, as_list, list};
use crate::number::Amount;
use crate::standard::Text;

/// One change to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Moves pupils of a stage from one school to another.
    MovePupils {
        /// Where they are.
        from: SchoolId,
        /// Where they would be.
        to: SchoolId,
        /// Their stage.
        stage: Stage,
        /// How many.
        pupils: u32,
    },
    /// Sets a figure of a school, such as new teachers.
    SetQuantity {
        /// The school.
        school: SchoolId,
        /// The figure.
        figure: FigureKey,
        /// Its new value.
        value: Decimal,
    },
    /// Adds to a figure of a school: teachers, pupils, square metres.
    AddQuantity {
        /// The school.
        school: SchoolId,
        /// The figure.
        figure: FigureKey,
        /// How much more.
        value: Decimal,
    },
    /// Adds a room.
    AddRoom {
        /// The school.
        school: SchoolId,
        /// What for.
        purpose: RoomPurpose,
        /// Net area, m²: for music and art rooms.
        net_area_m2: Decimal,
        /// Gross area, m²: adds to the teaching area.
        gross_area_m2: Decimal,
        /// Whether it has networked multimedia.
        multimedia: bool,
    },
    /// Buys teaching equipment.
    BuyEquipment {
        /// The school.
        school: SchoolId,
        /// For how much.
        value_yuan: Decimal,
    },
}

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("change {number}: {message_en} [{code}]")]
pub struct ChangeError {
    /// Which of the changes, counted from 1.
    pub number: usize,
    /// Stable code: `what_if.school`, `what_if.figure`, `what_if.open`, `what_if.negative`,
    /// `what_if.list`.
    pub code: &'static str,
    /// 给人看的说明.
    pub message_zh: &'static str,
    /// The same in English.
    pub message_en: &'static str,
}

type Reason = (&'static str, &'static str, &'static str);

const NO_SCHOOL: Reason = ("what_if.school", "没有这所学校", "there is no such school");
const NO_FIGURE: Reason = ("what_if.figure", "该校没有这个指标量", "the school has no such figure");
const STILL_OPEN: Reason = (
    "what_if.open",
    "该数值缺失或有冲突,不能在其上增减",
    "the figure is missing or in conflict, so nothing can be added to it",
);
const A_LIST: Reason = (
    "what_if.list",
    "这是逐间或逐班的清单,不能增减一个数值;教室请逐间添加",
    "this is a list of rooms or classes, to which no number can be added; add rooms one by one",
);
const NEGATIVE: Reason = ("what_if.negative", "数值不能为负", "the figure would be below zero");

/// A result that the changes alter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The school; absent for the county.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub school: Option<SchoolId>,
    /// `L4/primary`, `rule/junior`, `CV/L2/primary`, `A2-5`, `county`.
    pub result: String,
    /// Before, with its value if it has one.
    pub before: Shown,
    /// After.
    pub after: Shown,
}

/// A result and its value in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The printed value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The assessment before and after, and what differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhatIf {
    /// What was tried.
    pub changes: Vec<Change>,
    /// The county as it is.
    pub before: CountyAssessment,
    /// The assessment with the changes.
    pub after: Assessment,
    /// Every result or value that differs.
    pub differences: Vec<Difference>,
}

/// Tries changes on the schools of an assessor, which stays as it is.
///
/// # Errors
/// The first change that cannot be made.
pub fn what_if(assessor: &Assessor, changes: &[Change]) -> Result<WhatIf, ChangeError> {
    let mut after = assessor.clone();
    for (change, number) in changes.iter().zip(1..) {
        for input in changed(&after, change).map_err(|(code, message_zh, message_en)| ChangeError {
            number,
            code,
            message_zh,
            message_en,
        })? {
            after.set_school(input);
        }
    }
    let (before, after) = (assessor.assessment(), after.assessment());
    let differences = differences(&before, &after);
    Ok(WhatIf { changes: changes.to_vec(), before: before.county, after, differences })
}

fn changed(assessor: &Assessor, change: &Change) -> Result<Vec<SchoolInput>, Reason> {
    let input =
        |id: &SchoolId| assessor.inputs().get(id).map(|input| SchoolInput::clone(input)).ok_or(NO_SCHOOL);
    match change {
        Change::MovePupils { from, to, stage, pupils } => {
            let (mut source, mut target) = (input(from)?, input(to)?);
            let key = figure_key("pupils", stage.part())?;
            add(&mut source, &key, -i128::from(*pupils) * Amount::ONE.parts())?;
            add(&mut target, &key, i128::from(*pupils) * Amount::ONE.parts())?;
            Ok(if from == to { Vec::new() } else { vec![source, target] })
        }
        Change::SetQuantity { school, figure, value } => {
            let mut input = input(school)?;
            set(&mut input, figure, Amount::from(*value))?;
            if let Some(quantity) = assessor.standard().quantities.get(&figure.quantity) {
                as_list(quantity, figure_mut(&mut input, figure)?);
            }
            Ok(vec![input])
        }
        Change::AddQuantity { school, figure, value } => {
            let mut input = input(school)?;
            if assessor.standard().quantities.get(&figure.quantity).and_then(list).is_some() {
                return Err(A_LIST);
            }
            add(&mut input, figure, Amount::from(*value).parts())?;
            Ok(vec![input])
        }
        Change::BuyEquipment { school, value_yuan } => {
            let mut input = input(school)?;
            add(
                &mut input,
                &figure_key("equipment_value_yuan", Part::Whole)?,
                Amount::from(*value_yuan).parts(),
            )?;
            Ok(vec![input])
        }
        Change::AddRoom { school, purpose, net_area_m2, gross_area_m2, multimedia } => {
            let mut input = input(school)?;
            add_room(&mut input, *purpose, (*net_area_m2, *gross_area_m2), *multimedia)?;
            Ok(vec![input])
        }
    }
}

fn add_room(
    input: &mut SchoolInput,
    purpose: RoomPurpose,
    (net, gross): (Decimal, Decimal),
    multimedia: bool,
) -> Result<(), Reason> {
    if net.is_negative() || gross.is_negative() {
        return Err(NEGATIVE);
    }
    let list = match purpose {
        RoomPurpose::Music => Some("music_rooms"),
        RoomPurpose::Art => Some("art_rooms"),
        _ => None,
    };
    if let Some(list) = list {
        let figure = figure_mut(input, &figure_key(list, Part::Whole)?)?;
        figure.fixed.push(Thing::exactly(net.into()));
    }
    let gross = Amount::from(gross).parts();
    if gross > 0 {
        add(input, &figure_key("teaching_area_m2", Part::Whole)?, gross)?;
    }
    if purpose == RoomPurpose::IndoorSports && gross > 0 {
        add(input, &figure_key("indoor_sports_area_m2", Part::Whole)?, gross)?;
    }
    if multimedia {
        add(input, &figure_key("multimedia_rooms", Part::Whole)?, Amount::ONE.parts())?;
    }
    Ok(())
}

fn figure_key(quantity: &str, part: Part) -> Result<FigureKey, Reason> {
    Ok(FigureKey { quantity: QuantityId::new(quantity).map_err(|_| NO_FIGURE)?, part })
}

fn figure_mut<'a>(input: &'a mut SchoolInput, key: &FigureKey) -> Result<&'a mut Figure, Reason> {
    Arc::make_mut(&mut input.figures).get_mut(key).map(Arc::make_mut).ok_or(NO_FIGURE)
}

fn set(input: &mut SchoolInput, key: &FigureKey, value: Amount) -> Result<(), Reason> {
    if value < Amount::ZERO {
        return Err(NEGATIVE);
    }
    *figure_mut(input, key)? = Figure::known(Source::Assumed, value);
    Ok(())
}

fn add(input: &mut SchoolInput, key: &FigureKey, parts: i128) -> Result<(), Reason> {
    let figure: &SharedFigure = input.figures.get(key).ok_or(NO_FIGURE)?;
    let now = figure.total(&[]).value().ok_or(STILL_OPEN)?;
    let value = now.plus_parts(parts).ok_or(NEGATIVE)?;
    set(input, key, value)
}

/// Every result or printed value that differs between two assessments.
#[must_use]
pub fn differences(before: &Assessment, after: &Assessment) -> Vec<Difference> {
    let (mut old, new) = (results(before), results(after));
    let mut all: Vec<Difference> = Vec::new();
    for (place, after) in new {
        let before = old.remove(&place).unwrap_or(Shown { outcome: None, value: None });
        if before != after {
            all.push(Difference { school: place.0, result: place.1, before, after });
        }
    }
    let gone = old.into_iter().map(|((school, result), before)| Difference {
        school,
        result,
        before,
        after: Shown { outcome: None, value: None },
    });
    all.extend(gone);
    all
}

type Place = (Option<SchoolId>, String);

fn results(assessment: &Assessment) -> BTreeMap<Place, Shown> {
    let mut all = BTreeMap::new();
    county_results(&assessment.county, &mut all);
    for school in &assessment.schools {
        school_results(school, &mut all);
    }
    all
}

fn county_results(county: &CountyAssessment, all: &mut BTreeMap<Place, Shown>) {
    let shown = |outcome| Shown { outcome: Some(outcome), value: None };
    all.insert((None, "county".to_owned()), shown(county.outcome));
    for dimension in &county.dimensions {
        all.insert((None, dimension.id.clone()), shown(dimension.outcome));
    }
    for summary in &county.stages {
        for coefficient in &summary.coefficients {
            let place = format!("CV/{}/{}", coefficient.id, summary.stage.part().as_str());
            let value = Some(coefficient.printed.clone());
            all.insert((None, place), Shown { outcome: coefficient.outcome, value });
        }
    }
    for tally in &county.school_indicators {
        all.insert((None, tally.id.clone()), shown(tally.outcome));
    }
    for result in &county.indicators {
        let value = result.value().map(|value| value.printed.clone());
        all.insert((None, result.id.clone()), Shown { outcome: Some(result.outcome), value });
    }
}

pub(crate) fn school_results(school: &SchoolAssessment, all: &mut BTreeMap<Place, Shown>) {
    let place = |id: &str, stage: Option<Stage>| {
        let result = stage.map_or(id.to_owned(), |stage| format!("{id}/{}", stage.part().as_str()));
        (Some(school.school.id.clone()), result)
    };
    for row in &school.stages {
        if let Some(rule) = &row.rule {
            let shown = Shown { outcome: Some(rule.outcome), value: None };
            all.insert(place("rule", Some(row.stage)), shown);
        }
        for result in &row.indicators {
            let value = result.value().map(|value| value.printed.clone());
            all.insert(place(&result.id, Some(row.stage)), Shown { outcome: Some(result.outcome), value });
        }
    }
    for result in &school.indicators {
        let value = result.value().map(|value| value.printed.clone());
        all.insert(place(&result.id, None), Shown { outcome: Some(result.outcome), value });
    }
}

impl Outcome {
    /// The result in words.
    #[must_use]
    pub fn words(self) -> Text {
        match self {
            Self::Met => Text::new("达标", "met"),
            Self::Conditional => Text::new("有条件达标", "conditionally met"),
            Self::NotMet => Text::new("不达标", "not met"),
            Self::Undetermined => Text::new("待定", "undetermined"),
        }
    }
}
