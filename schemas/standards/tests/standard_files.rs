//! Standard files: the built-in ones are sound, and faulty ones are refused
//! with every error at its line.

mod support;

use std::collections::BTreeSet;

use duxue_standards::standard::{Level, Rule};
use duxue_standards::{Standard, StandardError, builtin};
use support::{standard, youzhi};

const SMALL: &str = r#"id = "small"
version = "1"
zh = "小"
en = "small"
source = "test"

[[dimension]]
id = "D"
zh = "维"
en = "dimension"
clause = "1"

[scope]
clause = "1"
[scope.stages]
primary = ["primary"]

[[quantity]]
id = "pupils"
zh = "学生"
en = "pupils"
unit = { zh = "人", en = "pupils" }
parts = ["primary"]
sources = ["register", "declared"]
clause = "1"

[[indicator]]
id = "X"
dimension = "D"
level = "school"
zh = "规模"
en = "size"
clause = "1"

[[indicator.condition]]
type = "at_most"
of = "pupils"
limit = "2000"
"#;

fn errors(files: &[&str]) -> Vec<StandardError> {
    Standard::load(files).err().unwrap_or_default()
}

#[test]
fn the_built_in_files_are_complete() {
    let national = youzhi();
    let of = |dimension: &str| national.indicators.iter().filter(|i| i.dimension == dimension).count();
    assert_eq!((of("A1"), of("A2"), of("A3"), of("A4"), of("V"), of("E")), (7, 15, 9, 1, 6, 2));
    assert!(
        national
            .indicators
            .iter()
            .all(|i| !i.clause.is_empty() && !i.name.zh.is_empty() && !i.name.en.is_empty())
    );
    let reliefs: Vec<_> = national
        .indicators
        .iter()
        .flat_map(|i| &i.conditions)
        .flat_map(|c| &c.reliefs)
        .map(|relief| (relief.id.as_str(), relief.due_years))
        .collect();
    let expected = ["L3-shared", "L5-dense", "A2-3-built-2016", "A2-3-rural-small", "A2-4-size"];
    assert_eq!(reliefs, expected.map(|id| (id, 3)));
    assert_eq!(standard(&["cn-jiben-2012"]).difference.unwrap().items.len(), 8);
}

#[test]
fn thresholds_are_those_of_the_regulation() {
    let national = youzhi();
    let expected = [
        ("L1", "4.2", "5.3"),
        ("L2", "1", "1"),
        ("L3", "0.9", "0.9"),
        ("L4", "4.5", "5.8"),
        ("L5", "7.5", "10.2"),
        ("L6", "2000", "2500"),
        ("L7", "2.3", "2.4"),
    ];
    for (id, primary, junior) in expected {
        let Rule::PerPupils { at_least, .. } = &national.indicator(id).unwrap().conditions[0].rule else {
            panic!("{id}");
        };
        let found: Vec<_> = at_least.values().map(|limit| limit.value.to_string()).collect();
        assert_eq!(found, [primary, junior], "{id}");
    }
}

#[test]
fn every_error_has_its_line_and_code() {
    assert_eq!(errors(&[SMALL]), []);
    // What is replaced, by what, the error, and the line that it must be at.
    let cases = [
        ("limit = \"2000\"", "limit = 2000", "standard.value", "limit = 2000"),
        ("limit = \"2000\"", "limit = \"-1\"", "standard.value", "limit = "),
        ("limit = \"2000\"", "", "standard.key.missing", "[[indicator.condition]]"),
        ("limit = \"2000\"", "limit = \"2000\"\ncolour = \"red\"", "standard.key.unknown", "colour"),
        ("of = \"pupils\"", "of = \"pupil\"", "standard.reference", "of = "),
        ("dimension = \"D\"", "dimension = \"E\"", "standard.reference", "dimension = "),
        ("type = \"at_most\"", "type = \"score\"", "standard.value", "type = "),
        ("level = \"school\"", "level = \"village\"", "standard.value", "level = "),
        ("en = \"size\"", "en = 5", "standard.type", "en = 5"),
        (
            "[[quantity]]",
            "[[dimension]]\nid = \"D\" # again\nzh = \"\"\nen = \"\"\nclause = \"\"\n\n[[quantity]]",
            "standard.duplicate",
            "again",
        ),
        ("version = \"1\"", "version = ", "standard.syntax", "version"),
        ("id = \"small\"", "id = \"small\"\noverlay_of = \"x\"", "standard.base", "id = "),
    ];
    for (from, to, code, at) in cases {
        let text = SMALL.replacen(from, to, 1);
        let line = text.lines().position(|line| line.contains(at)).unwrap() + 1;
        // A table begins at its head, one line above `again`.
        let slack = usize::from(code == "standard.duplicate");
        let found = errors(&[&text]);
        assert!(
            found
                .iter()
                .any(|error| error.code == code && error.file == 1 && error.line.abs_diff(line) <= slack),
            "{to}: expected {code} at {line}, found {found:#?}"
        );
        assert!(found.iter().all(|error| !error.message_zh.is_empty() && !error.message_en.is_empty()));
    }
}

#[test]
fn all_errors_are_reported_at_once() {
    let faulty = SMALL
        .replace("of = \"pupils\"", "of = \"x\"")
        .replace("en = \"size\"", "")
        .replace("level = \"school\"", "level = 1");
    let codes: BTreeSet<String> = errors(&[&faulty]).into_iter().map(|error| error.code).collect();
    assert!(codes.len() >= 3, "{codes:?}");
}

#[test]
fn overlays_may_be_held_to_be_stricter() {
    let overlay = |change: &str| {
        format!(
            "id = \"o\"\nversion = \"1\"\noverlay_of = \"small\"\nstricter_only = true\nzh = \"o\"\nen = \"o\"\nsource = \"o\"\n{change}"
        )
    };
    let change = |limit: &str| {
        overlay(&format!("[[change]]\nindicator = \"X\"\nlimit = \"{limit}\"\nclause = \"c\"\n"))
    };
    assert_eq!(errors(&[SMALL, &change("1500")]), []);
    let looser = errors(&[SMALL, &change("2400")]);
    assert_eq!((looser[0].code.as_str(), looser[0].file, looser[0].line), ("standard.overlay.looser", 2, 8));
    let other = errors(&[SMALL, &overlay("").replace("overlay_of = \"small\"", "overlay_of = \"large\"")]);
    assert_eq!(other[0].code, "standard.base");
    assert_eq!(errors(&[])[0].code, "standard.base");
}

/// FORMAT.md names every key of the built-in files, every type and every code.
#[test]
fn the_format_is_documented() {
    let path = format!("{}/FORMAT.md", env!("CARGO_MANIFEST_DIR"));
    let format = std::fs::read_to_string(path).unwrap();
    let documented: BTreeSet<&str> = format.split('`').collect();
    for id in builtin::ids() {
        let table: toml::Table = builtin::text(id).unwrap().parse().unwrap();
        let mut keys = BTreeSet::new();
        collect_keys(&toml::Value::Table(table), &mut keys);
        for key in keys {
            let known = documented
                .iter()
                .any(|words| words.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == key));
            assert!(known || is_value_key(&key), "{key} of {id} is not in FORMAT.md");
        }
    }
    for level in [Level::Stage, Level::School, Level::County] {
        assert!(documented.contains(serde_json::to_value(level).unwrap().as_str().unwrap()));
    }
}

/// Keys that are ids of quantities, kinds or parts.
fn is_value_key(key: &str) -> bool {
    let national = youzhi();
    national.quantities.keys().any(|id| id.as_str() == key)
        || serde_json::from_value::<duxue_document::school::SchoolKind>(key.into()).is_ok()
        || serde_json::from_value::<duxue_document::school::Part>(key.into()).is_ok()
}

fn collect_keys(value: &toml::Value, keys: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                keys.insert(key.clone());
                collect_keys(value, keys);
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}
