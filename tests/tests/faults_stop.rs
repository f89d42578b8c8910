//! What a server acknowledged before it was stopped is missed if its journal
//! is shorter later.

use std::path::{Path, PathBuf};

use duxue_server::{Config, Server};
use duxue_tests::folder;
use duxue_tests::processes::Api;
use duxue_tests::round::{Round, password};

const SCHOOL: &str = "9901010012";

/// Opens a data folder as a server that starts does; what it says if it refuses.
fn open(data: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let config = Config { data: data.to_owned(), ..Config::default() };
    runtime.block_on(Server::open(config)).map(drop).map_err(|error| error.to_string())
}

fn last_segment(data: &Path) -> PathBuf {
    let names = folder::files(&data.join("store/journal"));
    data.join("store/journal").join(names.last().expect("a segment"))
}

#[test]
fn a_journal_that_is_shorter_than_at_a_clean_stop_is_damaged_and_not_torn() {
    let mut round = Round::open();
    round.inspector("somebody", &[SCHOOL]);
    // Acknowledged in the last moment: the index follows the journal within a
    // second, and has to be written at the stop.
    let _ = Api::login(&round.url(), "somebody", &password("somebody"));
    round.stop();
    let data = round.path("server");
    let whole = std::fs::read(last_segment(&data)).expect("a segment");
    for cut in [1, 40, 1_000, whole.len() / 2, whole.len() - 1, whole.len()] {
        let copy = tempfile::tempdir().expect("a folder");
        folder::copy(&data, copy.path());
        let segment = last_segment(copy.path());
        std::fs::write(&segment, &whole[..whole.len() - cut]).expect("a shorter segment");
        let said = open(copy.path()).expect_err("acknowledged records are missing");
        assert!(said.contains("segment") || said.contains("was acknowledged"), "{cut} bytes: {said}");
        assert!(said.contains("the index holds record"), "{cut} bytes: {said}");
        assert_eq!(std::fs::read(&segment).expect("a segment").len(), whole.len() - cut, "as it was found");
    }
    std::fs::remove_file(last_segment(&data)).expect("removed");
    let said = open(&data).expect_err("a segment is missing");
    assert!(said.contains("was acknowledged"), "{said}");
}
