//! The national declaration forms 表Ⅰ–Ⅵ as a county files them: heads, rows,
//! notes and rounding are those of the forms.
//!
//! A cell that is not one value yet is empty or a range, and says what is
//! missing or in conflict; it is never 0 for want of a figure.

mod basics;
mod cell;
mod differences;
mod head;
mod items;
mod official;
mod passing;
mod reasons;
mod resources;
mod satisfaction;
mod sums;

use serde::Serialize;

use crate::assess::{Assessor, MadeFrom};
use crate::input::Review;
use crate::standard::Text;

pub use cell::{Cell, Open};
pub use head::{Column, Head};
pub use reasons::Reason;

use head::Branch;
use reasons::Known;

/// One form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Form {
    /// `I`, `II-1`, `II-2`, `III`, `IV`, `V`, `VI`.
    pub id: &'static str,
    /// Its number and title as printed: `表Ⅲ 县域义务教育校际均衡情况`.
    pub name: Text,
    /// The lines of its head, with what spans several lines or columns.
    pub head: Vec<Vec<Head>>,
    /// One for each column.
    pub columns: Vec<Column>,
    /// In so many columns from the left, a cell that repeats the one above is
    /// one with it.
    pub grouped: usize,
    /// Rows of as many cells as columns.
    pub rows: Vec<Vec<Cell>>,
    /// The notes below it, filled in.
    pub notes: Vec<Text>,
    /// How many of its cells are open.
    pub open_cells: usize,
}

impl Form {
    fn new(id: &'static str, name: Text, branches: Vec<Branch>, rows: Vec<Vec<Cell>>) -> Self {
        let (head, columns) = head::lines(&branches);
        let open_cells = rows.iter().flatten().filter(|cell| cell.open.is_some()).count();
        Self { id, name, head, columns, grouped: 0, rows, notes: Vec::new(), open_cells }
    }

    fn grouped(mut self, columns: usize) -> Self {
        self.grouped = columns;
        self
    }

    fn note(mut self, zh: impl Into<String>, en: impl Into<String>) -> Self {
        self.notes.push(Text::new(zh, en));
        self
    }
}

/// All forms, with what they were made from and whether they are final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NationalForms {
    /// What they were made from.
    pub made_from: MadeFrom,
    /// Whether no cell and no conflict is open.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Conflicts that nobody has ruled on, whether or not a cell depends on them.
    pub open_conflicts: usize,
    /// Open cells in all forms.
    pub open_cells: usize,
    /// How much of what counts a supervisor has looked at.
    pub review: Review,
    /// The forms in their order; none if the standard is not that of the forms.
    pub forms: Vec<Form>,
}

impl NationalForms {
    /// The forms of a round as it is now, with so many open conflicts.
    #[must_use]
    pub fn new(assessor: &Assessor, open_conflicts: usize) -> Self {
        let forms = forms(assessor);
        let open_cells = forms.iter().map(|form| form.open_cells).sum();
        Self {
            made_from: assessor.made_from(),
            is_final: open_cells == 0 && open_conflicts == 0 && !forms.is_empty(),
            open_conflicts,
            open_cells,
            review: assessor.county().review,
            forms,
        }
    }
}

/// The forms. They belong to the standard with the school rule (教督〔2017〕6号);
/// others have none.
#[must_use]
pub fn forms(assessor: &Assessor) -> Vec<Form> {
    let standard = assessor.standard();
    if standard.school_rule.is_none() {
        return Vec::new();
    }
    let known = Known::new(assessor);
    let county = assessor.county();
    let schools = resources::Schools::read(&known);
    let mut all = vec![
        basics::basics(&known),
        passing::pass_counts(&known, &schools),
        resources::schools(&known, &schools),
        differences::differences(&known, &county, &schools),
    ];
    let has = |dimension: &str| standard.dimensions.iter().any(|one| one.id == dimension);
    if has("A2") {
        all.push(items::government(&known, &county));
    }
    if has("A3") {
        all.push(items::quality(&known, &county));
    }
    if has("A4") {
        all.push(satisfaction::satisfaction(&known));
    }
    all
}
