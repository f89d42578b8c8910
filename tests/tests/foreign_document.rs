//! docs/sync.md says what the code does: its samples are run, its examples
//! are right, and it leaves no code out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use duxue_document::{DocumentId, DocumentKind, RoundId, genesis};
use duxue_server::config::Limits;
use duxue_tests::node::Node;
use serde_json::json;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document() -> String {
    read("docs/sync.md")
}

/// Rows of tables whose first two cells are code, or a word and code.
fn rows(text: &str) -> Vec<(String, String)> {
    let cell = |cell: &str| cell.trim().trim_matches('`').to_owned();
    text.lines()
        .filter(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            Some((cell(cells.next()?), cell(cells.next()?)))
        })
        .collect()
}

#[test]
fn every_sample_is_a_part_of_the_clients_that_the_tests_run() {
    let sources: Vec<String> =
        ["duxue.mjs", "upload.mjs"].iter().map(|file| read(Path::new("tests/foreign").join(file))).collect();
    let text = document();
    let samples: Vec<&str> =
        text.split("```js\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(samples.len() >= 6, "{} samples", samples.len());
    for sample in samples {
        assert!(sources.iter().any(|source| source.contains(sample)), "no client has\n{sample}");
    }
}

#[test]
fn the_ids_are_those_of_the_code_and_of_the_sample() {
    let rows = rows(&document());
    let round = "2026-autumn";
    let mut node = Node::open(json!({ "server": "http://127.0.0.1:1", "token": "none" }));
    for kind in DocumentKind::ALL {
        let subject = if kind == DocumentKind::County { round } else { "9901010012" };
        let name = format!("{round}/{subject}/{kind}");
        let id = DocumentId::derive(&RoundId::new(round).expect("an id"), subject, kind).to_string();
        assert!(rows.contains(&(name.clone(), id.clone())), "{name} is {id}");
        let sample = node.call("id", json!({ "round": round, "subject": subject, "kind": kind.as_str() }));
        assert_eq!(sample, id, "{name}");
    }
}

#[test]
fn the_first_changes_are_those_of_the_code() {
    let rows = rows(&document());
    for kind in DocumentKind::ALL {
        let bytes: String = genesis::chunk(kind).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(rows.contains(&(kind.to_string(), bytes.clone())), "{kind} begins with {bytes}");
    }
}

/// Every code that a session can close with, and every finding, is named.
#[test]
fn no_code_is_left_out() {
    let text = document();
    let folders = [
        (
            "server/src/hub",
            &["join", "frame", "sync", "store", "document", "documents", "change", "ping", "session"][..],
        ),
        ("schemas/protocol/src", &["wire", "scan"]),
        ("schemas/document/src/read", &["claim", "entry", "item", "document", "decision"]),
    ];
    let mut missing = Vec::new();
    for (folder, subjects) in folders {
        for source in sources(&root().join(folder)) {
            for code in codes(&source, subjects) {
                if !text.contains(&format!("`{code}`")) && !missing.contains(&code) {
                    missing.push(code);
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "docs/sync.md does not name these");
}

/// The limits that a client can be over have the names and the defaults of the
/// settings.
#[test]
fn the_limits_are_those_of_the_settings() {
    let settings: BTreeMap<&str, u64> = Limits::default().all().into_iter().collect();
    let text = document();
    let table = text.split("| setting |").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
    let mut named = BTreeSet::new();
    for row in table.lines().filter_map(|row| row.strip_prefix("| `")) {
        let mut cells = row.split(" | ");
        let (names, defaults) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let mut said = quantities(defaults).into_iter();
        for name in names.split('`').step_by(2).filter(|name| !name.is_empty()) {
            let value = settings.get(name).unwrap_or_else(|| panic!("there is no setting {name}"));
            assert!(
                said.any(|said| said == *value),
                "{name} is {value}, and not in {defaults:?} in its place"
            );
            assert!(named.insert(name), "{name} is there twice");
        }
    }
    let ours = [
        "frame_",
        "scan_",
        "held_",
        "ephemeral_",
        "upload",
        "documents_per_",
        "connections",
        "header_",
        "tls_",
        "streams",
        "document_",
        "photo",
        "in_flight_",
        "received_",
        "outbound_",
        "stranger_",
    ];
    // Of the server itself: how much waits for one document, and how long one
    // that nobody has open stays.
    let not_a_clients = ["document_events", "document_idle_seconds"];
    for name in settings.keys().filter(|name| ours.iter().any(|prefix| name.starts_with(prefix))) {
        assert_eq!(named.contains(name), !not_a_clients.contains(name), "docs/sync.md names {name}");
    }
}

/// The numbers in a text in their order, with their units: `4 MiB`, `20 000`,
/// `100 million`.
fn quantities(text: &str) -> Vec<u64> {
    let words: Vec<&str> = text.split([' ', ',', ';']).collect();
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let mut found: Vec<u64> = Vec::new();
    let mut goes_on = false;
    for word in words {
        let unit = match word {
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "million" => Some(1_000_000),
            _ => None,
        };
        let group = digits(word) && word.len() == 3 && goes_on;
        if let (Some(unit), true, Some(last)) = (unit, goes_on, found.last_mut()) {
            *last *= unit;
        } else if let (true, Some(last)) = (group, found.last_mut()) {
            *last = *last * 1_000 + word.parse::<u64>().expect("three digits");
        } else if digits(word) {
            found.push(word.parse().expect("a number"));
        }
        goes_on = digits(word);
    }
    found
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for (text, expected) in [
        ("4 MiB", vec![4 << 20]),
        ("4 096 bytes of one text, 8 deep, 16 384 items", vec![4_096, 8, 16_384]),
        ("12 000, 100 million, 400 MiB for all", vec![12_000, 100_000_000, 400 << 20]),
        ("10 s, 5 s", vec![10, 5]),
        ("as many", vec![]),
    ] {
        assert_eq!(quantities(text), expected, "{text}");
    }
}

fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths
        .flat_map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match path.extension() {
                _ if path.is_dir() => sources(&path),
                Some(end) if end == "rs" && name != "tests.rs" => vec![read(&path)],
                _ => Vec::new(),
            }
        })
        .collect()
}

/// String literals of the form `subject.word`.
fn codes(source: &str, subjects: &[&str]) -> Vec<String> {
    let is_code = |text: &&str| {
        text.split_once('.').is_some_and(|(subject, word)| {
            let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            subjects.contains(&subject) && plain
        })
    };
    source.split('"').filter(is_code).map(str::to_owned).collect()
}
