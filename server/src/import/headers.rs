//! Finds the header of a sheet: one row or several, merged or not, anywhere
//! near the top, with the columns in any order.

use std::collections::BTreeMap;

use super::columns::{self, Attribute, HeaderError, Target};
use super::grid::Sheet;
use super::problems;
use super::report::{At, Report};
use super::words::{self, Title};

/// Rows in which the header may begin.
const SEARCHED_ROWS: usize = 40;
/// Header rows below the one with the school id.
const MAX_LOWER_ROWS: u32 = 3;

/// The columns of the school sheet.
#[derive(Debug)]
pub(super) struct Header {
    /// What each column means, with the row of its lowest title.
    pub columns: BTreeMap<u32, (Target, u32)>,
    /// The first row below the header.
    pub first_data_row: u32,
}

impl Header {
    pub fn attribute(&self, wanted: Attribute) -> Option<u32> {
        self.columns.iter().find_map(|(column, (target, _))| match target {
            Target::Attribute(found) if *found == wanted => Some(*column),
            _ => None,
        })
    }
}

/// Reads the header; `None` if the sheet has no column of school ids.
pub(super) fn find(sheet: &Sheet, report: &mut Report) -> Option<Header> {
    let (id_row, id_column) = id_cell(sheet)?;
    let rows = header_rows(sheet, id_row, id_column);
    let last = rows.last().copied().unwrap_or(id_row);
    let first_data_row = if is_code_row(sheet, last + 1) { last + 2 } else { last + 1 };
    let filled = fill_right(sheet, &rows);
    let mut header = Header { columns: BTreeMap::new(), first_data_row };
    let width = rows.iter().filter_map(|row| sheet.cells.get(row)?.keys().next_back()).max().copied()?;
    for column in 0..=width {
        let stack: Vec<(u32, &str)> =
            rows.iter().filter_map(|row| Some((*row, filled.get(&(*row, column))?.as_str()))).collect();
        let Some((row, leaf)) = stack.last().copied() else { continue };
        let at = At { sheet: sheet.index, row, column };
        match resolve(&stack) {
            Ok(target) => {
                header.columns.insert(column, (target, row));
            }
            // A title over nothing is not worth an error.
            Err(_) if is_empty_below(sheet, first_data_row, column) => {}
            Err(error) => report.error(at, header_problem(error, leaf)),
        }
    }
    report_duplicates(sheet.index, &header, report);
    Some(header)
}

fn header_problem(error: HeaderError, leaf: &str) -> duxue_protocol::problem::Problem {
    let problem = match error {
        HeaderError::Unknown => problems::HEADER_UNKNOWN,
        HeaderError::UnitMissing => problems::UNIT_MISSING,
        HeaderError::UnitWrong => problems::UNIT_WRONG,
    };
    problem.with_detail(leaf.chars().take(60).collect::<String>())
}

fn id_cell(sheet: &Sheet) -> Option<(u32, u32)> {
    for (row, cells) in sheet.cells.iter().take(SEARCHED_ROWS) {
        for column in cells.keys() {
            let Title { key, part: None, .. } = words::title(sheet.text(*row, *column)) else { continue };
            if matches!(columns::resolve(&key, None, None), Ok(Target::Attribute(Attribute::Id))) {
                return Some((*row, *column));
            }
        }
    }
    None
}

/// The header's rows: the one with the id; a row of stages (小学, 初中) above
/// it; and text below it as long as the id's cell stays empty.
fn header_rows(sheet: &Sheet, id_row: u32, id_column: u32) -> Vec<u32> {
    let mut rows = Vec::new();
    if let Some(above) = id_row.checked_sub(1) {
        let mut columns = sheet.cells.get(&above).into_iter().flat_map(BTreeMap::keys);
        if columns.any(|column| is_stage_group(sheet.text(above, *column))) {
            rows.push(above);
        }
    }
    rows.push(id_row);
    for row in id_row + 1..=id_row + MAX_LOWER_ROWS {
        let Some(cells) = sheet.cells.get(&row) else { break };
        let numeric = cells.keys().any(|column| words::number(sheet.text(row, *column), 0).is_ok());
        if sheet.get(row, id_column).is_some() || numeric || is_code_row(sheet, row) {
            break;
        }
        rows.push(row);
    }
    rows
}

fn is_stage_group(text: &str) -> bool {
    let title = words::title(text);
    title.part.is_some() && title.key.is_empty()
}

/// The line `L1 L2 L3 …` of the national forms.
fn is_code_row(sheet: &Sheet, row: u32) -> bool {
    let Some(cells) = sheet.cells.get(&row) else { return false };
    let is_code = |column: &u32| {
        sheet
            .text(row, *column)
            .strip_prefix('L')
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    !cells.is_empty() && cells.keys().all(is_code)
}

fn is_empty_below(sheet: &Sheet, first: u32, column: u32) -> bool {
    !sheet.cells.range(first..).any(|(_, cells)| cells.contains_key(&column))
}

/// The header's texts with a group's title repeated over all its columns. A
/// merged cell holds its text in the first column only, as does a CSV file;
/// an empty title belongs to the group on its left if both have titles below.
fn fill_right(sheet: &Sheet, rows: &[u32]) -> BTreeMap<(u32, u32), String> {
    let mut filled = BTreeMap::new();
    let width =
        rows.iter().filter_map(|row| sheet.cells.get(row)?.keys().next_back()).max().copied().unwrap_or(0);
    for (index, row) in rows.iter().enumerate() {
        let titled_below =
            |column: u32| rows[index + 1..].iter().any(|lower| !sheet.text(*lower, column).is_empty());
        for column in 0..=width {
            let own = sheet.text(*row, column);
            let text = if !own.is_empty() {
                own.to_owned()
            } else if let Some(left) =
                column.checked_sub(1).filter(|left| titled_below(column) && titled_below(*left))
            {
                let Some(text) = filled.get(&(*row, left)).cloned() else { continue };
                text
            } else {
                continue;
            };
            filled.insert((*row, column), text);
        }
    }
    filled
}

/// The meaning of a column from its titles, top to bottom. The longest run
/// of titles that means something wins: 音乐教室 over 面积 is more than 面积.
fn resolve(stack: &[(u32, &str)]) -> Result<Target, HeaderError> {
    let leaf = stack.last().map_or("", |(_, text)| text);
    if let Some(target) = columns::resolve_code(leaf) {
        return Ok(target);
    }
    let titles: Vec<Title> = stack.iter().map(|(_, text)| words::title(text)).collect();
    let unit = titles.iter().rev().find_map(|title| title.unit);
    let part = titles.iter().rev().find_map(|title| title.part);
    let mut keys: Vec<&str> =
        titles.iter().map(|title| title.key.as_str()).filter(|key| !key.is_empty()).collect();
    keys.dedup();
    let mut error = HeaderError::Unknown;
    for start in 0..keys.len() {
        match columns::resolve(&keys[start..].concat(), unit, part) {
            Ok(target) => return Ok(target),
            Err(HeaderError::Unknown) => {}
            Err(specific) => error = specific,
        }
    }
    Err(error)
}

fn report_duplicates(sheet: usize, header: &Header, report: &mut Report) {
    let mut seen = BTreeMap::new();
    for (column, (target, row)) in &header.columns {
        if matches!(target, Target::Ignored) {
            continue;
        }
        if let Some(first) = seen.insert(identity(target), *column) {
            report.error(
                At { sheet, row: *row, column: *column },
                problems::HEADER_DUPLICATE.with_detail(super::grid::address(*row, first)),
            );
        }
    }
}

fn identity(target: &Target) -> String {
    match target {
        Target::Figure { quantity, part, .. } => format!("{} {part:?}", quantity.id),
        other => format!("{other:?}"),
    }
}
