//! One cell at a time: typed values or an error at the cell.

use duxue_document::Decimal;

use super::columns::Measure;
use super::grid::{Cell, Sheet};
use super::problems;
use super::report::{At, Report};
use super::words::{self, NumberError};

/// A row of a sheet, read with errors reported at the cell.
pub(super) struct Row<'a> {
    pub sheet: &'a Sheet,
    pub row: u32,
}

impl Row<'_> {
    pub fn at(&self, column: u32) -> At {
        At { sheet: self.sheet.index, row: self.row, column }
    }

    /// The cell's text; `None` if it is empty, says that there is nothing, or
    /// is not text (which is then reported).
    pub fn text(&self, column: u32, report: &mut Report) -> Option<String> {
        match self.sheet.get(self.row, column)? {
            Cell::Text(text) if words::is_blank(text) => None,
            Cell::Text(text) => Some(text.clone()),
            Cell::Bool(yes) => Some(if *yes { "是" } else { "否" }.to_owned()),
            Cell::FormulaZero => {
                report.warning(self.at(column), problems::FORMULA_ZERO);
                Some("0".to_owned())
            }
            Cell::FormulaEmpty => {
                report.error(self.at(column), problems::FORMULA_EMPTY);
                None
            }
            Cell::Error(what) => {
                report.error(self.at(column), problems::CELL_ERROR.with_detail(what.clone()));
                None
            }
        }
    }

    /// A figure of at least zero in the unit of its quantity.
    pub fn figure(&self, column: u32, measure: Measure, shift: u32, report: &mut Report) -> Option<Decimal> {
        let text = self.text(column, report)?;
        figure(&text, measure, shift, self.at(column), report)
    }

    /// 是 or 否.
    pub fn yes_no(&self, column: u32, report: &mut Report) -> Option<bool> {
        let text = self.text(column, report)?;
        let yes = words::yes_no(&text);
        if yes.is_none() {
            report.error(self.at(column), problems::YES_NO.with_detail(text));
        }
        yes
    }
}

/// Reads a figure from text.
pub(super) fn figure(
    text: &str,
    measure: Measure,
    shift: u32,
    at: At,
    report: &mut Report,
) -> Option<Decimal> {
    let number = match words::number(text, shift) {
        Ok(number) => number,
        Err(error) => {
            let problem = match error {
                NumberError::NotNumber => problems::NOT_NUMBER,
                NumberError::OutOfRange => problems::OUT_OF_RANGE,
            };
            report.error(at, problem.with_detail(shorten(text)));
            return None;
        }
    };
    if number.value.is_negative() {
        report.error(at, problems::NEGATIVE.with_detail(shorten(text)));
        return None;
    }
    if measure == Measure::Count && whole(number.value).is_none_or(|_| number.rounded) {
        report.error(at, problems::NOT_WHOLE.with_detail(shorten(text)));
        return None;
    }
    if number.rounded {
        report.warning(at, problems::ROUNDED.with_detail(number.value.to_string()));
    }
    Some(number.value)
}

/// A decimal that is a whole number of a size that people can count.
pub(super) fn whole(value: Decimal) -> Option<u32> {
    value.to_string().parse().ok()
}

/// Text short enough for a message.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
