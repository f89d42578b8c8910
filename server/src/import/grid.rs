//! Workbooks and text files as plain grids of cells, within limits.
//!
//! The reader never builds a dense range from what a file claims: a sheet
//! with one cell in the last row and column would ask for gigabytes. Inflated
//! sizes are counted while inflating, because the sizes that a zip directory
//! states may lie.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, DataRef, Reader, Xlsx};

use duxue_protocol::problem::Problem;

use crate::config::{self, refused};

use super::problems;

/// Parts too small to be judged by their ratio.
const SMALL_PART_BYTES: u64 = 1 << 20;

/// What a file may cost. The reasons stand in the settings' section `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Bytes of all parts of a workbook together, inflated.
    pub inflated_bytes: u64,
    /// Inflated to compressed size of one part.
    pub ratio: u64,
    /// Parts of a workbook.
    pub parts: usize,
    /// Sheets of a workbook.
    pub sheets: usize,
    /// Rows of a sheet.
    pub rows: u32,
    /// Columns of a sheet.
    pub columns: u32,
    /// Cells with something in them, over all sheets.
    pub cells: usize,
    /// Characters of a cell.
    pub cell_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        config::Limits::default().import()
    }
}

/// What is over a limit, by the limit's name in the settings.
fn too_big(limit: &'static str, detail: impl Into<String>) -> Problem {
    refused(limit);
    problems::TOO_BIG.with_detail(format!("{} ({limit})", detail.into()))
}

/// What a cell holds. An empty cell is absent from the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Text, or a number in plain decimal notation.
    Text(String),
    /// 是 or 否 as the spreadsheet's own type.
    Bool(bool),
    /// `#N/A` and its like, or a date where none is asked for.
    Error(String),
    /// A formula whose result was never stored.
    FormulaEmpty,
    /// A formula whose stored result is zero, which some writers put there
    /// in place of a result.
    FormulaZero,
}

/// One sheet; rows and columns count from 0.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Place in the workbook.
    pub index: usize,
    pub name: String,
    pub cells: BTreeMap<u32, BTreeMap<u32, Cell>>,
}

impl Sheet {
    pub fn get(&self, row: u32, column: u32) -> Option<&Cell> {
        self.cells.get(&row)?.get(&column)
    }

    /// A cell's text, trimmed; empty for anything else.
    pub fn text(&self, row: u32, column: u32) -> &str {
        match self.get(row, column) {
            Some(Cell::Text(text)) => text,
            _ => "",
        }
    }
}

/// A cell's address as a spreadsheet shows it: `C12`.
pub(super) fn address(row: u32, column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column;
    loop {
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or(0)));
        if rest < 26 {
            break;
        }
        rest = rest / 26 - 1;
    }
    letters.iter().rev().collect::<String>() + &(row + 1).to_string()
}

/// Reads a file by its content: XLSX is a zip archive, anything else is
/// taken as CSV text.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Sheet>, Problem> {
    if bytes.len() > limits.bytes {
        return Err(too_big("import_bytes", format!("> {}", limits.bytes)));
    }
    if bytes.starts_with(b"PK") {
        check_zip(bytes, limits)?;
        // The file comes from outside, and a panic in a parser must not take
        // the request's task with it.
        catch_unwind(AssertUnwindSafe(|| read_xlsx(bytes, limits)))
            .unwrap_or_else(|_| Err(problems::NOT_READABLE.with_detail("the parser failed")))
    } else if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        Err(problems::NOT_READABLE.with_detail(
            "旧版 .xls 或加密文件，请另存为 .xlsx / an old .xls or an encrypted file; save it as .xlsx",
        ))
    } else {
        read_csv(bytes, limits).map(|sheet| vec![sheet])
    }
}

/// The limit that a cell is over, if it is.
fn over(row: u32, column: u32, budget: usize, limits: &Limits) -> Option<&'static str> {
    let over = [
        (row >= limits.rows, "import_rows"),
        (column >= limits.columns, "import_columns"),
        (budget == 0, "import_cells"),
    ];
    over.into_iter().find(|(over, _)| *over).map(|(_, name)| name)
}

fn check_zip(bytes: &[u8], limits: &Limits) -> Result<(), Problem> {
    let unreadable = |error: zip::result::ZipError| problems::NOT_READABLE.with_detail(error.to_string());
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    if archive.len() > limits.parts {
        return Err(too_big("import_parts", format!("> {}", limits.parts)));
    }
    let mut total = 0;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(unreadable)?;
        let allowed = part.compressed_size().saturating_mul(limits.ratio).max(SMALL_PART_BYTES);
        let limit = allowed.min(limits.inflated_bytes - total);
        let inflated = std::io::copy(&mut part.take(limit + 1), &mut std::io::sink())
            .map_err(|error| problems::NOT_READABLE.with_detail(error.to_string()))?;
        if inflated > limit {
            let over = if limit == allowed { "import_ratio" } else { "import_inflated_bytes" };
            return Err(too_big(over, "解压后过大 / too big when inflated"));
        }
        total += inflated;
    }
    Ok(())
}

fn read_xlsx(bytes: &[u8], limits: &Limits) -> Result<Vec<Sheet>, Problem> {
    let unreadable = |error: calamine::XlsxError| problems::NOT_READABLE.with_detail(error.to_string());
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(unreadable)?;
    let names = workbook.sheet_names();
    if names.len() > limits.sheets {
        return Err(too_big("import_sheets", format!("> {}", limits.sheets)));
    }
    let mut budget = limits.cells;
    let mut sheets = Vec::new();
    for name in names {
        let mut sheet = Sheet { index: sheets.len(), name: name.clone(), ..Sheet::default() };
        // Chart sheets have no cells and give an error here.
        let Ok(mut cells) = workbook.worksheet_cells_reader(&name) else { continue };
        while let Some(record) = cells.next_cell_with_formula_metadata().map_err(unreadable)? {
            let (row, column) = record.pos;
            let Some(cell) = xlsx_cell(&record.value, record.formula.is_some(), limits) else { continue };
            if let Some(over) = over(row, column, budget, limits) {
                return Err(too_big(over, format!("{name}!{}", address(row, column))));
            }
            budget -= 1;
            sheet.cells.entry(row).or_default().insert(column, cell);
        }
        sheets.push(sheet);
    }
    Ok(sheets)
}

fn xlsx_cell(value: &DataRef<'_>, formula: bool, limits: &Limits) -> Option<Cell> {
    let cell = match Data::from(value.clone()) {
        Data::Empty if formula => return Some(Cell::FormulaEmpty),
        Data::Empty => return None,
        Data::Int(number) => Cell::Text(number.to_string()),
        Data::Float(number) => Cell::Text(plain_float(number)),
        Data::Bool(yes) => Cell::Bool(yes),
        Data::Error(error) => Cell::Error(error.to_string()),
        Data::DateTime(_) | Data::DateTimeIso(_) | Data::DurationIso(_) => {
            Cell::Error("日期 / a date".to_owned())
        }
        Data::String(text) => return text_cell(&text, limits),
    };
    if formula && cell == Cell::Text("0".to_owned()) { Some(Cell::FormulaZero) } else { Some(cell) }
}

/// Text without the blanks around it, and without the apostrophe that our
/// own export puts before `=`, `+`, `-` and `@`.
fn text_cell(text: &str, limits: &Limits) -> Option<Cell> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let text = match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => text,
    };
    if text.is_empty() {
        return None;
    }
    if text.chars().count() > limits.cell_chars {
        refused("import_cell_chars");
        return Some(Cell::Error(format!("> {} characters", limits.cell_chars)));
    }
    Some(Cell::Text(text.to_owned()))
}

/// A stored number as the spreadsheet shows it: at most fifteen significant
/// digits, which hides the binary noise of `0.1 + 0.2`, and no exponent.
fn plain_float(number: f64) -> String {
    let scientific = format!("{number:.14e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let Ok(exponent) = exponent.parse::<i32>() else { return scientific };
    let negative = mantissa.starts_with('-');
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    if !(-20..=20).contains(&exponent) {
        return scientific;
    }
    let point = exponent + 1;
    let mut plain = String::new();
    if negative {
        plain.push('-');
    }
    let length = i32::try_from(digits.len()).unwrap_or(0);
    if point <= 0 {
        plain.push_str("0.");
        (point..0).for_each(|_| plain.push('0'));
        plain.push_str(digits);
    } else if point >= length {
        plain.push_str(digits);
        (length..point).for_each(|_| plain.push('0'));
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        plain.push_str(whole);
        plain.push('.');
        plain.push_str(fraction);
    }
    plain
}

fn read_csv(bytes: &[u8], limits: &Limits) -> Result<Sheet, Problem> {
    let mut text = decode(bytes)?.replace("\r\n", "\n").replace('\r', "\n");
    text.push('\n');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut sheet = Sheet::default();
    let mut record = csv::StringRecord::new();
    let mut budget = limits.cells;
    let mut line_breaks_in_fields = 0;
    while reader.read_record(&mut record).map_err(|e| problems::NOT_READABLE.with_detail(e.to_string()))? {
        line_breaks_in_fields += record.iter().map(|field| field.matches('\n').count()).sum::<usize>();
        // The reader skips empty lines without counting them as records, but a
        // spreadsheet shows them as rows; so the row comes from the line.
        let lines = usize::try_from(reader.position().line()).unwrap_or(usize::MAX);
        let row = u32::try_from(lines.saturating_sub(2 + line_breaks_in_fields)).unwrap_or(u32::MAX);
        for (column, field) in (0..).zip(record.iter()) {
            let Some(cell) = text_cell(field, limits) else { continue };
            if let Some(over) = over(row, column, budget, limits) {
                return Err(too_big(over, address(row, column)));
            }
            budget -= 1;
            sheet.cells.entry(row).or_default().insert(column, cell);
        }
    }
    Ok(sheet)
}

fn decode(bytes: &[u8]) -> Result<String, Problem> {
    if let Some((encoding, skip)) = encoding_rs::Encoding::for_bom(bytes) {
        let (text, failed) = encoding.decode_without_bom_handling(&bytes[skip..]);
        return if failed { Err(problems::ENCODING) } else { Ok(text.into_owned()) };
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    // Excel in China writes CSV in GBK, which GB 18030 contains.
    let (text, failed) = encoding_rs::GB18030.decode_without_bom_handling(bytes);
    if failed { Err(problems::ENCODING) } else { Ok(text.into_owned()) }
}

/// Comma, or tab or semicolon where the first lines have more of those.
fn delimiter(text: &str) -> u8 {
    let head: String = text.lines().take(20).collect();
    let count = |byte: u8| head.bytes().filter(|b| *b == byte).count();
    [b',', b'\t', b';'].into_iter().rev().max_by_key(|byte| count(*byte)).unwrap_or(b',')
}
