//! Panics on demand, for tests only: in the places where Automerge could panic
//! on what someone sent, and in one where a defect of ours would.

use automerge::Change;

/// The message of a change on which applying panics.
pub const APPLY: &str = "panic on apply";
/// The message of a change on which deciding about it panics, outside every
/// guard around Automerge.
pub const PLAN: &str = "panic in plan";
/// The `senderId` of a peer whose message panics when it is received.
pub const RECEIVE: &str = "panic on receive";
/// The `senderId` of a peer for whom making a message panics.
pub const GENERATE: &str = "panic on generate";

pub fn on_apply(changes: &[Change]) {
    spring(APPLY, changes.iter().filter_map(|change| change.message().map(AsRef::as_ref)));
}

pub fn in_plan<'a>(changes: impl Iterator<Item = &'a Change>) {
    spring(PLAN, changes.filter_map(|change| change.message().map(AsRef::as_ref)));
}

pub fn on_receive(sender_id: &str) {
    spring(RECEIVE, [sender_id]);
}

pub fn on_generate(sender_id: &str) {
    spring(GENERATE, [sender_id]);
}

fn spring<'a>(trap: &str, found: impl IntoIterator<Item = &'a str>) {
    assert!(!found.into_iter().any(|word| word == trap), "a trap of the tests: {trap}");
}
