//! Field sheets as JSON lines or CSV.

use std::collections::BTreeMap;
use std::path::Path;

use duxue_protocol::problem::Problem;
use serde_json::value::RawValue;

use super::batch::{Record, bad};

/// Reads a whole sheet, so that a wrong line is known before anything is
/// captured. JSON lines if the first character is `{`, else CSV with a header.
///
/// # Errors
/// The first wrong line, with its number.
pub fn read(text: &str) -> Result<Vec<(usize, Record)>, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') { json_lines(text) } else { csv_rows(text) }
}

fn json_lines(text: &str) -> Result<Vec<(usize, Record)>, Problem> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let at = |problem: Problem| at_line(index + 1, problem);
            let map: BTreeMap<String, &RawValue> =
                serde_json::from_str(line).map_err(|error| at(bad(error.to_string())))?;
            Ok((index + 1, from_json(map).map_err(at)?))
        })
        .collect()
}

/// Numbers are taken as they are written: a float in between would alter long
/// ones without a word.
fn from_json(map: BTreeMap<String, &RawValue>) -> Result<Record, Problem> {
    let mut record = Record::default();
    for (key, raw) in map {
        let wrong = |_| bad(key.clone());
        match (key.as_str(), raw.get()) {
            ("type", text) => record.kind = serde_json::from_str(text).map_err(wrong)?,
            ("note", text) => record.note = serde_json::from_str(text).map_err(wrong)?,
            (_, "null") => {}
            ("photos", text) => record.photos = serde_json::from_str(text).map_err(wrong)?,
            ("entries", text) if text.starts_with('[') => {
                let entries: Vec<String> = serde_json::from_str(text).map_err(wrong)?;
                record.put("entries", Some(entries.join(" ")));
            }
            (_, text @ ("true" | "false")) => record.put(&key, Some(text.to_owned())),
            (_, text) if text.starts_with('"') => {
                record.put(&key, Some(serde_json::from_str(text).map_err(wrong)?));
            }
            (_, text) if is_plain(text) => record.put(&key, Some(text.to_owned())),
            (_, text) => return Err(bad(format!("{key} = {text}"))),
        }
    }
    Ok(record)
}

/// Whether JSON text is a number without an exponent.
fn is_plain(json: &str) -> bool {
    json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'.')
}

fn csv_rows(text: &str) -> Result<Vec<(usize, Record)>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
    if !header.iter().any(|name| name == "type") {
        return Err(bad("type: 缺这一列 / column missing".to_owned()));
    }
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| bad(error.to_string()))?;
        let line = row.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        let mut record = Record::default();
        for (name, cell) in header.iter().zip(&row).filter(|(_, cell)| !cell.is_empty()) {
            match name {
                "type" => cell.clone_into(&mut record.kind),
                "note" => record.note = Some(cell.to_owned()),
                "photos" => record.photos = cell.split(';').map(|file| file.trim().to_owned()).collect(),
                _ => record.put(name, Some(cell.to_owned())),
            }
        }
        records.push((line, record));
    }
    Ok(records)
}

/// The same problem with the line that it is on.
pub fn at_line(line: usize, problem: Problem) -> Problem {
    let detail = problem.detail.clone().unwrap_or_default();
    problem.with_detail(format!("第 {line} 行 / line {line}: {detail}"))
}

/// Photos are named beside the sheet.
pub fn beside(sheet: Option<&Path>, file: &str) -> std::path::PathBuf {
    sheet.and_then(Path::parent).unwrap_or_else(|| Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_and_csv_come_to_the_same_records() {
        let json = r#"{"type":"room","number":"101","purpose":"music","length_m":9.2,"width_m":"8","note":"窗边"}

{"type":"quantity","quantity":"pupils","part":"primary","value":812,"photos":["a.jpg","b.jpg"]}"#;
        let csv = "\u{feff}type,number,purpose,length_m,width_m,quantity,part,value,photos,note\n\
                   room,101,music,9.2,8,,,,,窗边\n\
                   quantity,,,,,pupils,primary,812,a.jpg; b.jpg,\n";
        let from_json: Vec<Record> = read(json).unwrap().into_iter().map(|(_, record)| record).collect();
        let from_csv: Vec<Record> = read(csv).unwrap().into_iter().map(|(_, record)| record).collect();
        assert_eq!(from_json, from_csv);
    }

    #[test]
    fn a_sheet_that_cannot_be_read_is_refused_with_the_line() {
        let problem = read("{\"type\":\"room\"}\n{oops").unwrap_err();
        assert!(problem.detail.unwrap().contains("line 2"));
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let cases = [
            ("3", Ok("3")),
            ("9.20", Ok("9.20")),
            ("1234.56", Ok("1234.56")),
            ("12345678901234567890123", Ok("12345678901234567890123")),
            ("0.1000000000000000055511151231257827", Ok("0.1000000000000000055511151231257827")),
            ("-0", Ok("-0")),
            ("1e2", Err("1e2")),
            ("1E2", Err("1E2")),
            ("[1]", Err("value")),
            ("{}", Err("value")),
        ];
        for (number, expected) in cases {
            let line = format!(r#"{{"type":"quantity","quantity":"books","value":{number}}}"#);
            let read = read(&line);
            match (&read, expected) {
                (Ok(records), Ok(text)) => {
                    let mut record = Record::of("quantity", Vec::new(), None);
                    record.put("quantity", Some("books".to_owned()));
                    record.put("value", Some(text.to_owned()));
                    assert_eq!(records[0].1, record, "{number}");
                }
                (Err(problem), Err(named)) => {
                    assert!(problem.detail.as_deref().unwrap_or_default().contains(named), "{problem:?}");
                }
                _ => panic!("{number}: {read:?}"),
            }
        }
    }
}
