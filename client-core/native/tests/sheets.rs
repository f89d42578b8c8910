//! What `duxue` refuses before anything is captured: a sheet with a wrong line,
//! and a school that is not one.

mod home;

use home::{SCHOOL, enrolled, said};

const ROOM: &str = r#"{"type":"room","number":"101","purpose":"music","length_m":9.2,"width_m":"8"}"#;

#[test]
fn a_sheet_with_a_wrong_line_is_refused_before_its_first_line_is_captured() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    enrolled(&home, &["r1"]);
    let sheet = folder.path().join("sheet.jsonl");
    let name = sheet.to_str().unwrap();
    let wrong = [
        (r#"{"type":"room","number":"102","purpose":"musik"}"#, "capture.bad_value", "musik"),
        (r#"{"type":"room","number":"102","purpose":"art","length_m":"9"}"#, "capture.bad_value", "width_m"),
        (r#"{"type":"room","purpose":"art"}"#, "capture.bad_value", "number"),
        (r#"{"type":"equipment","count":"3"}"#, "capture.bad_value", "identity"),
        (r#"{"type":"quantity","quantity":"books","value":"-3"}"#, "capture.bad_value", "-3"),
        (
            r#"{"type":"class","stage":"primary","grade":"3","number":"1","pupils":"4.5"}"#,
            "capture.bad_value",
            "4.5",
        ),
        (r#"{"type":"set","entry":"rooms/a/size","colour":"red"}"#, "batch.bad_record", "colour"),
        (
            r#"{"type":"set","entry":"rooms/a/size","height_m":"3","area_m2":"9"}"#,
            "batch.bad_record",
            "height_m",
        ),
        (r#"{"type":"set","entry":"rooms/a/size"}"#, "capture.bad_value", "length_m"),
        (r#"{"type":"quantity","quantity":"books","value":1e2}"#, "batch.bad_record", "1e2"),
        (r#"{"type":"quantity","quantity":"books","value":12345678901234567890}"#, "batch.bad_record", "15"),
        (
            r#"{"type":"room","number":"102","purpose":"art","photos":["none.jpg"]}"#,
            "cli.no_file",
            "none.jpg",
        ),
    ];
    let long =
        format!(r#"{{"type":"room","number":"102","purpose":"art","note":"{}"}}"#, "长".repeat(30_000));
    for (line, code, named) in wrong.into_iter().chain([(long.as_str(), "capture.too_long", "note")]) {
        std::fs::write(&sheet, format!("{ROOM}\n{line}\n")).unwrap();
        let (exit, lines) = said(&home, &["capture", SCHOOL, "--batch", name]);
        let [refused] = lines.as_slice() else { panic!("{line}: {lines:?}") };
        assert_eq!((exit, &refused["problem"]["code"]), (Some(1), &code.into()), "{refused}");
        let detail = refused["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains("line 2") && detail.contains(named), "{detail}");
        let (_, survey) = said(&home, &["survey", SCHOOL]);
        assert_eq!(survey[0]["consolidated"]["items"], serde_json::json!({}), "{line}");
    }
    std::fs::write(&sheet, format!("{ROOM}\n")).unwrap();
    let (exit, lines) = said(&home, &["capture", SCHOOL, "--batch", name]);
    assert_eq!((exit, lines.len(), &lines[0]["saved"]), (Some(0), 1, &true.into()));
}

#[test]
fn nothing_is_captured_where_two_rounds_have_the_school() {
    let folder = tempfile::tempdir().unwrap();
    enrolled(folder.path(), &["r1", "r2"]);
    let capture = ["quantity", "set", SCHOOL, "books", "900"];
    let (exit, lines) = said(folder.path(), &capture);
    assert_eq!((exit, &lines[0]["problem"]["code"]), (Some(1), &"client.ambiguous_round".into()));
    assert_eq!(lines[0]["problem"]["detail"], "--round r1 | --round r2");
    let (exit, lines) = said(folder.path(), &[&["--round", "r2"], &capture[..]].concat());
    assert_eq!((exit, &lines[0]["saved"]), (Some(0), &true.into()));
    for (round, entries) in [("r1", 0), ("r2", 1)] {
        let (_, survey) = said(folder.path(), &["--round", round, "survey", SCHOOL]);
        assert_eq!(survey[0]["consolidated"]["entries"].as_object().unwrap().len(), entries, "{round}");
    }
}
