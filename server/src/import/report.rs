//! Collects what is wrong, cell by cell.

use duxue_protocol::api::CellError;
use duxue_protocol::problem::Problem;

use super::grid::address;
use super::problems;

/// More errors than anyone reads; the rest is cut off and said so.
const MAX_LISTED: usize = 1_000;

/// A place in a sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub sheet: usize,
    pub row: u32,
    pub column: u32,
}

/// Errors and warnings of one file.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub errors: Vec<CellError>,
    pub warnings: Vec<CellError>,
    /// The sheets' names, by index.
    pub sheets: Vec<String>,
}

impl Report {
    fn name(&self, sheet: usize) -> String {
        self.sheets.get(sheet).cloned().unwrap_or_default()
    }

    pub fn error(&mut self, at: At, problem: Problem) {
        let sheet = self.name(at.sheet);
        push(&mut self.errors, sheet, address(at.row, at.column), problem);
    }

    pub fn warning(&mut self, at: At, problem: Problem) {
        let sheet = self.name(at.sheet);
        push(&mut self.warnings, sheet, address(at.row, at.column), problem);
    }

    /// An error of a whole sheet.
    pub fn sheet_error(&mut self, sheet: usize, problem: Problem) {
        let sheet = self.name(sheet);
        push(&mut self.errors, sheet, String::new(), problem);
    }

    /// A warning about a whole row, or the whole sheet.
    pub fn row_warning(&mut self, sheet: usize, row: Option<u32>, problem: Problem) {
        let sheet = self.name(sheet);
        let cell = row.map(|row| (row + 1).to_string()).unwrap_or_default();
        push(&mut self.warnings, sheet, cell, problem);
    }

    /// An error of the file itself.
    pub fn file_error(&mut self, problem: Problem) {
        push(&mut self.errors, String::new(), String::new(), problem);
    }
}

fn push(list: &mut Vec<CellError>, sheet: String, cell: String, problem: Problem) {
    let problem = match list.len() {
        n if n < MAX_LISTED => problem,
        MAX_LISTED => problems::TOO_MANY_ERRORS,
        _ => return,
    };
    list.push(CellError { sheet, cell, problem });
}
