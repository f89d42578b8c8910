//! 表Ⅲ: county means with two decimals, coefficients of variation with three.

use duxue_document::school::Stage;

use super::Form;
use super::cell::{Cell, Shown};
use super::head::Branch;
use super::reasons::{Known, Reason};
use super::resources::{Schools, heads, items, stage_label};
use crate::assess::{CoefficientResult, CountyAssessment};
use crate::standard::Text;

pub(super) fn differences(known: &Known, county: &CountyAssessment, schools: &Schools) -> Form {
    let ids: Vec<&str> = items(known.standard).map(|item| item.id.as_str()).collect();
    let mut rows = Vec::new();
    for stage in Stage::ALL {
        let of_stage = Stages { known, schools, stage };
        let means = ids.iter().enumerate().map(|(place, id)| {
            let mean = county.coefficient(stage, id).and_then(|found| found.county_mean.as_ref());
            of_stage.cell(Some(place), mean.map(|range| range.printed.as_str()))
        });
        rows.push(line(stage, "全县平均值", "county mean", means.chain([Cell::nothing()])));
        let coefficients =
            ids.iter().enumerate().map(|(place, id)| (Some(place), *id)).chain([(None, "mean")]);
        let coefficients = coefficients.map(|(place, id)| {
            let found = county.coefficient(stage, id);
            let cell = of_stage.cell(place, found.map(|found| found.printed.as_str()));
            Cell { note: found.and_then(hidden), ..cell }
        });
        rows.push(line(stage, "差异系数", "coefficient of variation", coefficients));
    }
    let name = Text::new("表Ⅲ 县域义务教育校际均衡情况", "Form Ⅲ Differences between schools");
    let head = heads(known.standard, Branch::figures("综合", "mean of all"));
    Form::new("III", name, head, rows).grouped(1).note(
        "注:全县平均值保留两位小数,差异系数保留三位小数。",
        "Note: county means have two decimals, coefficients three.",
    )
}

fn line(stage: Stage, zh: &str, en: &str, cells: impl Iterator<Item = Cell>) -> Vec<Cell> {
    [stage_label(stage), Cell::said(Text::new(zh, en))].into_iter().chain(cells).collect()
}

/// One stage of the county.
struct Stages<'a> {
    known: &'a Known<'a>,
    schools: &'a Schools,
    stage: Stage,
}

impl Stages<'_> {
    /// What is printed for the item at a place, or for the mean of all items.
    fn cell(&self, place: Option<usize>, printed: Option<&str>) -> Cell {
        if self.schools.is_empty() {
            return Cell::unknown(|| vec![self.known.no_register()]);
        }
        if self.schools.of(self.stage).next().is_none() {
            return Cell::nothing();
        }
        let Some(printed) = printed else { return Cell::unknown(|| self.reasons(place)) };
        Cell::shown(Shown::of_printed(printed), || self.reasons(place))
    }

    /// What leaves the rows of an item open; of every item for their mean.
    fn reasons(&self, place: Option<usize>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for row in self.schools.of(self.stage) {
            let item = place.and_then(|place| row.items.get(place)).and_then(|(_, cell)| cell.open.as_ref());
            let named = item.into_iter().chain(&row.pupils.open);
            reasons.extend(named.flat_map(|open| open.reasons.iter().cloned()));
            if place.is_none() {
                reasons.extend(row.reasons());
            }
            reasons.extend(row.doubts());
        }
        reasons
    }
}

/// Where rounding hides on which side of the limit the coefficient is.
fn hidden(found: &CoefficientResult) -> Option<Text> {
    let flag = found.rounding.first()?;
    let (zh, en) = if flag.would_be_met { ("不达标", "not met") } else { ("达标", "met") };
    Some(Text::new(
        format!("印作{},限值{};精确值{},{zh}", flag.rounded, flag.limit, found.six_decimals),
        format!(
            "printed {}, limit {}; the exact value is {}, {en}",
            flag.rounded, flag.limit, found.six_decimals
        ),
    ))
}
