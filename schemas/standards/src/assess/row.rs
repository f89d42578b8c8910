//! What one school's stage contributes to a coefficient of variation.

use duxue_document::school::Stage;

use super::per_pupil::{per_pupil, pupils_of};
use super::scope::{Holds, counted, is_for};
use super::unit::{Case, Detail, Unit};
use super::verdict::StageVerdict;
use crate::number::Exact;
use crate::standard::{Condition, Effect, Indicator, Named, Rule, Sum};

/// A row in one possible case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// It does not count.
    Absent,
    /// So many pupils with so much each.
    Known {
        /// Pupils, above zero.
        pupils: i128,
        /// Resource per pupil, or per hundred where the item is.
        each: Exact,
    },
    /// So many pupils, and at least and at most so much each.
    Ranged {
        /// Pupils, above zero.
        pupils: i128,
        /// At least.
        low: Exact,
        /// At most; `None` is unbounded.
        high: Option<Exact>,
    },
    /// The pupils are open, or whether it counts.
    Unknown,
}

/// The possible cases of a row, without and with reliefs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowCases {
    pub strict: Vec<Row>,
    /// Where a relief lets more count.
    pub relief: Option<Vec<Row>>,
}

impl RowCases {
    /// The cases with or without reliefs.
    pub fn at(&self, relief: bool) -> &[Row] {
        self.relief.as_deref().filter(|_| relief).unwrap_or(&self.strict)
    }

    /// The row, if nothing is open about it.
    pub fn settled(&self) -> Option<&Row> {
        match self.strict.as_slice() {
            [row @ (Row::Absent | Row::Known { .. })] => Some(row),
            _ => None,
        }
    }
}

/// The cases of a row for an item of the coefficient.
/// The item is the stage indicator at `position`.
pub(crate) fn row_cases(
    unit: &Unit,
    row_of: &StageVerdict,
    (position, item): (usize, &Indicator),
) -> RowCases {
    let stage = row_of.stage;
    let nothing = RowCases { strict: vec![Row::Absent], relief: None };
    let Some(condition) = item.conditions.first() else { return nothing };
    let Rule::PerPupils { of, per, .. } = &condition.rule else { return nothing };
    let known = as_judged(row_of, position).map(|row| vec![row]);
    let strict = known.unwrap_or_else(|| cases(unit, &|case| row(case, stage, of, *per)));
    let eased = easing(unit, condition);
    let relief = (!eased.is_empty()).then(|| cases(unit, &|case| eased_row(case, stage, (of, *per), &eased)));
    RowCases { relief: relief.filter(|relief| *relief != strict), strict }
}

/// The row as the indicator's own value has it, if nothing about it is open.
fn as_judged(row: &StageVerdict, position: usize) -> Option<Row> {
    let pupils = row.pupils.value().filter(|_| row.counts == Some(true))?;
    let each = row.indicators.get(position)?.value.clone()?;
    Some(Row::Known { pupils, each })
}

fn cases(unit: &Unit, row: &dyn Fn(&Case) -> Row) -> Vec<Row> {
    let trace = std::cell::RefCell::default();
    let choice = unit.open_choice();
    let outer = row(&Case { unit, choice: &choice, trace: Some(&trace), detail: Detail::Result });
    let variables = trace.into_inner().variables;
    if matches!(outer, Row::Absent | Row::Known { .. }) || variables.is_empty() {
        return vec![outer];
    }
    let each = unit.over_combinations(&variables, choice, |choice| {
        row(&Case { unit, choice, trace: None, detail: Detail::Result })
    });
    let mut cases = Vec::new();
    for case in each.unwrap_or_else(|| vec![outer]) {
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    cases
}

fn row(case: &Case, stage: Stage, of: &Sum, per: u32) -> Row {
    let (holds, _) = counted(case, stage);
    if !holds.possible {
        return Row::Absent;
    }
    let Some(pupils) = pupils_of(case, stage).value().filter(|_| holds.certain) else {
        // What it has may still bear on the row: name it.
        per_pupil(case, stage, of);
        return Row::Unknown;
    };
    let value = per_pupil(case, stage, of);
    let per = Exact::quotient(per.into(), 1);
    let low = value.low.times(&per);
    match value.high.map(|high| high.times(&per)) {
        Some(high) if high == low => Row::Known { pupils, each: low },
        high => Row::Ranged { pupils, low, high },
    }
}

type Easing<'a> = (&'a [crate::standard::Who], Vec<Named>);

/// Reliefs in force that let more quantities count.
fn easing<'a>(unit: &Unit, condition: &'a Condition) -> Vec<Easing<'a>> {
    let in_force = condition
        .reliefs
        .iter()
        .filter(|relief| relief.from.as_str() <= unit.as_of && unit.as_of <= relief.until.as_str());
    in_force
        .filter_map(|relief| match &relief.effect {
            Effect::AlsoCount(ids) => Some((relief.who.as_slice(), ids.clone())),
            _ => None,
        })
        .collect()
}

fn eased_row(case: &Case, stage: Stage, (of, per): (&Sum, u32), easing: &[Easing]) -> Row {
    let mut wider = of.clone();
    let mut certain = true;
    for (who, ids) in easing {
        let holds = who.iter().map(|who| is_for(case, who)).reduce(Holds::or);
        if let Some(holds) = holds.filter(|holds| holds.possible) {
            certain &= holds.certain;
            wider.plus.extend(ids.iter().cloned());
        }
    }
    let eased = row(case, stage, &wider, per);
    if certain { eased } else { around(row(case, stage, of, per), eased) }
}

fn around(a: Row, b: Row) -> Row {
    if a == b {
        return a;
    }
    match (bounds(a), bounds(b)) {
        (Some((pupils, low, high)), Some((same, other_low, other_high))) if pupils == same => {
            Row::Ranged { pupils, low: low.min(other_low), high: high.zip(other_high).map(|(a, b)| a.max(b)) }
        }
        _ => Row::Unknown,
    }
}

fn bounds(row: Row) -> Option<(i128, Exact, Option<Exact>)> {
    match row {
        Row::Known { pupils, each } => Some((pupils, each.clone(), Some(each))),
        Row::Ranged { pupils, low, high } => Some((pupils, low, high)),
        Row::Absent | Row::Unknown => None,
    }
}

/// One row around several cases.
pub(crate) fn hull(cases: Vec<Row>) -> Row {
    cases.into_iter().reduce(around).unwrap_or(Row::Unknown)
}
