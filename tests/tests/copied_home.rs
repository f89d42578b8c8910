//! A home folder that was copied and used twice, as a phone that was cloned:
//! what both wrote is in the document.

use std::path::Path;

use duxue_tests::processes::Device;
use duxue_tests::round::{ROUND, Round, password};

const SCHOOL: &str = "9901010012";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

fn capture(device: &Device, sheet: &Path, room: &str) {
    let record = serde_json::json!({
        "type": "room", "number": room, "purpose": "music", "length_m": "9.2", "width_m": "8",
    });
    std::fs::write(sheet, record.to_string()).expect("a sheet");
    let _ = device.run(&["capture", SCHOOL, "--batch", sheet.to_str().expect("a plain path")]);
}

#[test]
fn what_two_copies_of_a_home_wrote_is_in_the_document() {
    let round = Round::open();
    round.inspector("original", &[SCHOOL]);
    let original = round.device("original", &[SCHOOL]);
    let sheet = round.path("sheet.jsonl");
    capture(&original, &sheet, "101");
    let _ = original.run(&["sync"]);
    copy(&round.path("original"), &round.path("copy"));
    let copied = Device::new(round.path("copy"));
    capture(&original, &sheet, "102");
    capture(&copied, &sheet, "103");
    let _ = original.run(&["sync"]);
    // The copy hears that its numbers are taken, and states its room again.
    let _ = copied.attempt(&["sync"]);
    let _ = copied.run(&["sync"]);

    let desk = round.desk("supervisor", "supervisor");
    let rooms = desk.get(&format!("/rounds/{ROUND}/schools/{SCHOOL}"))["consolidated"]["items"].to_string();
    for room in ["101", "102", "103"] {
        assert!(rooms.contains(&format!("\"{room}\"")), "{room}: {rooms}");
    }
    let terminal = Device::new(round.path("terminal"));
    terminal.login(&round.url(), "supervisor", &password("supervisor"));
    let _ = terminal.run(&["packet"]);
    // The copy found out before it sent anything that could not be merged.
    assert_eq!(terminal.value(&["set-aside"]), serde_json::json!([]));
}
