//! The two states of an entry (DESIGN §4).

mod common;

use common::*;
use duxue_document::consolidated::{ReviewState, ValueState};

const SIZE: &str = "rooms/r1/size";

#[test]
fn a_claim_is_read_as_it_was_put() {
    let mut scene = Scene::new();
    let op = put(&mut scene.survey, SIZE, "length_m=7.2 width_m=6 method=tape");
    let entry = scene.entry(SIZE);
    assert_eq!(entry.candidates.len(), 1);
    assert_eq!(entry.candidates[0].op, op);
    assert_eq!(entry.candidates[0].value, value("length_m=7.2 width_m=6 method=tape"));
    assert_eq!(entry.candidates[0].captured, captured(1));
    assert!(matches!(entry.value, ValueState::Agreed { .. }));
    assert_eq!(entry.review, ReviewState::Unreviewed);
    assert_eq!(findings(&scene.see()), []);
}
