//! Real processes, ended by force again and again in the middle of a batch:
//! everything that was reported as saved is there, and nothing is there twice.

mod home;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use duxue_client::store::Store;

use home::{SCHOOL, duxue, enrolled};

#[test]
fn what_was_reported_as_saved_survives_kill_9_and_a_batch_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    enrolled(&home, &["r1"]);
    let sheet = folder.path().join("sheet.jsonl");
    let lines = 120;
    let text: String = (0..lines)
        .map(|n| format!("{{\"type\":\"equipment\",\"code\":\"{n}\",\"name\":\"n\",\"count\":\"{n}\"}}\n"))
        .collect();
    std::fs::write(&sheet, text).unwrap();

    let mut reported = BTreeSet::new();
    let mut runs = 0;
    loop {
        runs += 1;
        let mut child = duxue(&home)
            .args(["capture", SCHOOL, "--batch"])
            .arg(&sheet)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Each run is ended after another number of reports; the program is
        // then anywhere in the next record.
        let wanted = 3 + runs * 7 % 23;
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in output.by_ref().map_while(Result::ok).take(wanted) {
            let said: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(said["saved"], true, "{said}");
            reported.insert(said["item"].as_str().unwrap().to_owned());
            seen += 1;
        }
        child.kill().unwrap();
        // What it still reported before the kill was saved too; the last line may be torn.
        for line in output.map_while(Result::ok) {
            if let Ok(said) = serde_json::from_str::<serde_json::Value>(&line) {
                reported.insert(said["item"].as_str().unwrap().to_owned());
            }
        }
        child.wait().unwrap();
        if seen < wanted {
            break;
        }
    }
    assert!(runs > 4, "the batch was cut off {runs} times");

    let output = duxue(&home).args(["survey", SCHOOL]).output().unwrap();
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = view["consolidated"]["items"].as_object().unwrap();
    let here: BTreeSet<String> =
        items.keys().filter_map(|key| key.strip_prefix("equipment/")).map(str::to_owned).collect();
    let lost: Vec<&String> = reported.difference(&here).collect();
    assert!(lost.is_empty(), "reported as saved and lost: {lost:?}");
    assert_eq!(here.len(), lines, "every line once, none twice");
}

#[test]
fn a_second_program_is_told_that_the_home_folder_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    enrolled(folder.path(), &["r1"]);
    let _open = Store::open(folder.path()).unwrap();
    let output = duxue(folder.path()).arg("schools").output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["problem"]["code"], "store.locked");
}

#[test]
fn a_token_is_not_sent_over_an_open_network() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        duxue(folder.path()).args(["enrol", "--server", "http://192.0.2.1", "--code", "c"]).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &said["problem"]["code"]), (Some(1), &"network.insecure".into()));
}
