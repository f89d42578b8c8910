//! The national forms, as the server fills them in. They are read as JSON, as
//! assessments are.

use duxue_protocol::problem::Problem;
use serde_json::Value;

use super::context::{Context, Failure};
use super::desk::get;
use super::out::Out;
use super::result::{list, text};

pub async fn forms(cx: &Context, wanted: Option<&str>, csv: bool) -> Result<(), Failure> {
    let round = cx.round()?;
    let mut found: Value = get(cx, &format!("/api/rounds/{}/forms", round.id)).await?;
    if let Some(wanted) = wanted {
        only(&mut found, wanted)?;
    }
    if csv {
        cx.out.raw(&as_csv(&cx.out, &found));
        return Ok(());
    }
    cx.out.json(&found);
    cx.synthetic(&round.id);
    status(&cx.out, &found);
    for form in list(&found["forms"]) {
        show(&cx.out, form);
    }
    Ok(())
}

/// Leaves the form that is asked for.
fn only(found: &mut Value, wanted: &str) -> Result<(), Problem> {
    let known: Vec<String> =
        list(&found["forms"]).filter_map(|form| form["id"].as_str()).map(str::to_owned).collect();
    if !known.iter().any(|id| id.eq_ignore_ascii_case(wanted)) {
        return Err(
            Problem::new("cli.no_form", "没有这张表", "there is no such form").with_detail(known.join(" "))
        );
    }
    if let Some(forms) = found["forms"].as_array_mut() {
        forms.retain(|form| form["id"].as_str().is_some_and(|id| id.eq_ignore_ascii_case(wanted)));
    }
    Ok(())
}

fn status(out: &Out, found: &Value) {
    let as_of = found["made_from"]["as_of"].as_str().unwrap_or_default();
    if found["final"] == Value::Bool(true) {
        out.line(
            format!("定稿：没有待定单元格和冲突（{as_of}）"),
            format!("final: nothing is open ({as_of})"),
        );
    } else {
        let (cells, conflicts) = (&found["open_cells"], &found["open_conflicts"]);
        out.line(
            format!("未定稿：待定单元格 {cells} 个，未裁决的冲突 {conflicts} 个（{as_of}）"),
            format!("not final: {cells} open cells, {conflicts} open conflicts ({as_of})"),
        );
    }
}

/// A cell in the chosen language.
fn printed<'c>(out: &Out, cell: &'c Value) -> &'c str {
    let chinese = cell["printed"].as_str().unwrap_or_default();
    out.say(chinese, cell["en"].as_str().unwrap_or(chinese))
}

fn show(out: &Out, form: &Value) {
    out.line(format!("\n{}", text(out, &form["name"])), format!("\n{}", text(out, &form["name"])));
    let columns: Vec<(&str, &str)> = list(&form["columns"])
        .map(|column| {
            let name = |language: &str| column["name"][language].as_str().unwrap_or_default();
            (name("zh"), name("en"))
        })
        .collect();
    let cell = |cell: &Value| {
        let open = if cell["open"].is_object() { " ?" } else { "" };
        format!("{}{open}", printed(out, cell)).trim().to_owned()
    };
    out.table(&columns, list(&form["rows"]).map(|row| list(row).map(cell).collect()).collect());
    for note in list(&form["notes"]) {
        out.line(text(out, note), text(out, note));
    }
    why(out, form);
}

/// What is behind the question marks, each once.
fn why(out: &Out, form: &Value) {
    let mut said = Vec::new();
    let opens = list(&form["rows"]).flat_map(list).map(|cell| &cell["open"]);
    for reason in opens.flat_map(|open| list(&open["reasons"])) {
        let school = reason["school_name"].as_str().map(|name| format!("{name} ")).unwrap_or_default();
        let line = format!("? {school}{}", text(out, &reason["text"]));
        if !said.contains(&line) {
            out.line(&line, &line);
            said.push(line);
        }
    }
}

/// The forms as CSV, one after another with an empty line between; text that a
/// spreadsheet would take for a formula is kept a text.
fn as_csv(out: &Out, found: &Value) -> String {
    let mut writer =
        csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let mut line = |cells: Vec<String>| {
        // Writing to memory does not fail.
        let _ = writer.write_record(cells.iter().map(|cell| harmless(cell)));
    };
    let forms: Vec<&Value> = list(&found["forms"]).collect();
    for form in &forms {
        if forms.len() > 1 {
            line(vec![text(out, &form["name"]).to_owned()]);
        }
        line(list(&form["columns"]).map(|column| text(out, &column["name"]).to_owned()).collect());
        for row in list(&form["rows"]) {
            line(list(row).map(|cell| printed(out, cell).to_owned()).collect());
        }
    }
    let bytes = writer.into_inner().unwrap_or_default();
    // The mark makes spreadsheets read Chinese right.
    format!("\u{feff}{}", String::from_utf8_lossy(&bytes))
}

fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::args::Lang;
    use super::*;

    fn found() -> Value {
        let form = |id: &str, cells: Value| {
            json!({ "id": id, "name": { "zh": format!("表{id}"), "en": format!("Form {id}") },
                "columns": [{ "name": { "zh": "学校,名称", "en": "school" } }, { "name": { "zh": "结果", "en": "result" } }],
                "rows": [cells] })
        };
        json!({ "forms": [
            form("I", json!([{ "printed": "=1+1" }, { "printed": "达标", "en": "met" }])),
            form("II-2", json!([{ "printed": "甲" }, { "printed": "", "open": { "reasons": [] } }])),
        ] })
    }

    #[test]
    fn one_form_is_a_table_and_text_is_never_a_formula() {
        let mut one = found();
        only(&mut one, "i").unwrap();
        let csv = as_csv(&Out::new(false, Lang::Zh), &one);
        assert_eq!(csv, "\u{feff}\"学校,名称\",结果\r\n'=1+1,达标\r\n");
        assert_eq!(as_csv(&Out::new(false, Lang::En), &one), "\u{feff}school,result\r\n'=1+1,met\r\n");
    }

    #[test]
    fn several_forms_follow_one_another_under_their_names() {
        let csv = as_csv(&Out::new(false, Lang::En), &found());
        assert!(csv.contains("Form I\r\nschool,result\r\n"), "{csv}");
        assert!(csv.ends_with("Form II-2\r\nschool,result\r\n甲,\r\n"), "{csv}");
    }

    #[test]
    fn a_form_that_is_not_there_is_refused_with_those_that_are() {
        let problem = only(&mut found(), "VII").unwrap_err();
        assert_eq!(problem.code, "cli.no_form");
        assert_eq!(problem.detail.as_deref(), Some("I II-2"));
    }
}
