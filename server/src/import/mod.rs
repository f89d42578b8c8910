//! Reads the school register and declared figures from XLSX and CSV.
//!
//! [`parse`] is a pure function from bytes to typed rows or to errors by
//! cell; it writes nothing and knows nothing of the store. Whoever calls it
//! writes all of a [`Parsed`] or, if there is any error, nothing.
//!
//! **Layout.** The school sheet has one row a school, or one row a school and
//! stage with a column 学段 as in 表 II-2. Columns come in any order under a
//! header of one or several rows, merged or not. Figures by stage carry the
//! stage in the header: `小学在校生数`, `在校生数（初中）`, or a group 初中 over
//! 在校生数. Money columns name their unit, 元 or 万元. `音乐教室面积` and
//! `美术教室面积` list single areas such as `96;73.5`, `小学各班人数` lists class
//! sizes; 无 is an empty list. A header may also be a figure key such as
//! `pupils:primary`, or begin with a checklist item such as `A3-3`. The county
//! sheet has one item a row: 填报项目, 单位, 填报值.
//!
//! An empty cell is missing and never 0. A formula counts with the result
//! that the file stores. An unknown column with data is an error: a misspelt
//! header would otherwise turn a whole column into missing figures unseen.

mod cells;
mod checks;
mod columns;
mod county;
mod draft;
mod grid;
mod headers;
mod kinds;
mod problems;
mod report;
mod schools;
pub mod template;
#[cfg(test)]
mod tests;
mod words;
pub mod write;

use duxue_document::JurisdictionCode;
use duxue_document::school::{Declared, School};
use duxue_protocol::api::{CellError, ImportReport};

pub use grid::Limits;

/// What a file says, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The register with each school's figures, in the order of the file.
    /// Only to be written if there are no errors.
    pub schools: Vec<(School, Declared)>,
    /// The county's figures, if the file has a county sheet.
    pub county: Option<Declared>,
    /// What is wrong, by cell.
    pub errors: Vec<CellError>,
    /// What looks wrong but is accepted.
    pub warnings: Vec<CellError>,
}

impl Parsed {
    /// The answer to the person who sent the file.
    #[must_use]
    pub fn report(&self, written: bool) -> ImportReport {
        let schools = self.schools.iter().map(|(_, declared)| declared);
        let figures: usize = schools.chain(self.county.as_ref()).map(|declared| declared.figures.len()).sum();
        ImportReport {
            written,
            schools: u32::try_from(self.schools.len()).unwrap_or(u32::MAX),
            figures: u32::try_from(figures).unwrap_or(u32::MAX),
            errors: self.errors.clone(),
            warnings: self.warnings.clone(),
        }
    }
}

/// Reads a workbook (XLSX) or a text file (CSV in UTF-8, UTF-16 or GB 18030)
/// for the county `county`. `filename` names the sheet of a CSV file in the
/// errors; the format is told from the content.
///
/// Never panics and never takes more than a bounded amount of memory; whatever
/// is wrong is in [`Parsed::errors`].
#[must_use]
pub fn parse(bytes: &[u8], filename: &str, county: &JurisdictionCode, limits: &Limits) -> Parsed {
    let mut report = report::Report::default();
    let sheets = match grid::read(bytes, limits) {
        Ok(sheets) => sheets,
        Err(problem) => {
            report.sheets = vec![filename.to_owned()];
            report.file_error(problem);
            return Parsed { errors: report.errors, ..Parsed::default() };
        }
    };
    report.sheets = sheets.iter().map(|sheet| sheet.name.clone()).collect();
    let mut drafts = Vec::new();
    let mut county_figures = None;
    let mut found = false;
    for sheet in &sheets {
        if let Some(header) = headers::find(sheet, &mut report) {
            found = true;
            schools::read(sheet, &header, county, &mut drafts, &mut report);
        } else if let Some(declared) = county::read(sheet, &mut report) {
            found = true;
            // A sheet nobody filled in says nothing, and empties nothing that is known.
            if !declared.figures.is_empty() || !declared.answers.is_empty() {
                merge_county(&mut county_figures, declared, sheet.index, &mut report);
            }
        } else if !sheet.cells.is_empty() && sheet.name != template::NOTES {
            report.row_warning(sheet.index, None, problems::SHEET_IGNORED.with_detail(sheet.name.clone()));
        }
    }
    if !found {
        report.file_error(problems::NO_SCHOOLS.with_detail(cells::shorten(filename)));
    }
    for draft in &mut drafts {
        draft::settle(draft, &mut report);
        checks::school(draft, &mut report);
    }
    checks::parents(&drafts, &mut report);
    Parsed {
        schools: drafts.into_iter().map(draft::Draft::finish).collect(),
        county: county_figures,
        errors: report.errors,
        warnings: report.warnings,
    }
}

/// A workbook has one county sheet; a second is an error rather than a guess.
fn merge_county(known: &mut Option<Declared>, new: Declared, sheet: usize, report: &mut report::Report) {
    if known.is_some() {
        report.sheet_error(sheet, problems::COUNTY_ITEM_DUPLICATE);
    } else {
        *known = Some(new);
    }
}
