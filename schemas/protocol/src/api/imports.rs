//! Registers that are imported, and what is wrong in their cells.

use serde::{Deserialize, Serialize};

/// The errors and the effect of an import.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ImportReport {
    /// Whether anything was written.
    pub written: bool,
    /// Schools read.
    pub schools: u32,
    /// Figures read.
    pub figures: u32,
    /// What is wrong; nothing is written if there is any.
    pub errors: Vec<CellError>,
    /// What looks wrong but is accepted.
    pub warnings: Vec<CellError>,
}

/// A workbook to fill in for an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportTemplate {
    /// Schools, the county's own figures, and the explanations, which an import
    /// passes over.
    pub sheets: Vec<TemplateSheet>,
}

/// One sheet of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSheet {
    /// Its name.
    pub name: String,
    /// Rows of texts; the first is the head.
    pub rows: Vec<Vec<String>>,
}

/// Something wrong in one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellError {
    /// Sheet name, empty for CSV.
    pub sheet: String,
    /// Cell as `C12`, or a row as `12`.
    pub cell: String,
    /// The problem.
    pub problem: crate::problem::Problem,
}
