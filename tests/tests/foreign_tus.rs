//! The real tus-js-client against our server: an upload that is cut in the
//! middle goes on in another process where it was, and gets its receipt.

use duxue_tests::link::Link;
use duxue_tests::node::upload;
use duxue_tests::processes::Api;
use duxue_tests::round::{ROUND, Round, password};
use serde_json::json;

const SCHOOL: &str = "9901010012";

#[test]
fn a_photo_that_is_cut_in_the_middle_is_resumed_and_receipted() {
    let round = Round::open();
    round.inspector("anna", &[SCHOOL]);
    let api = Api::login(&round.url(), "anna", &password("anna"));
    let link = Link::open();
    link.lead_to(Some(round.address()));
    let file = round.path("county/photos/iphone-6-plus.jpg");
    let bytes = std::fs::metadata(&file).expect("the photo").len();
    let details = json!({
        "server": link.url(), "token": api.token(), "file": file, "round": ROUND, "school": SCHOOL,
        "remember": round.path("uploads.json"),
    });

    let before_cut = bytes / 2;
    link.cut_after(i64::try_from(before_cut).expect("a small photo"));
    let cut = upload(&details);
    assert!(cut.is_err(), "the link was cut: {cut:?}");
    link.mend();
    let _ = link.take_bytes_up();
    let done = upload(&details).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(done["resumed"], true);
    let again = link.take_bytes_up();
    assert!(again < bytes, "{again} bytes went up after {before_cut} of {bytes} had: not resumed");

    let sha256 = done["sha256"].as_str().expect("a hash");
    let answer = api.post("/receipts", &json!({ "photos": [sha256] }));
    assert_eq!(answer["missing_photos"], json!([]));
    let statement = answer["receipt"]["statement"].as_str().expect("a statement");
    let statement: serde_json::Value = serde_json::from_str(statement).expect("JSON");
    assert_eq!(statement["photos"], json!([sha256]));

    // What is here already is answered with its offset, where the client
    // finds that it is done.
    let mut details = details;
    details["remember"] = json!(round.path("another-device.json"));
    let known = upload(&details).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(known["sha256"], sha256);
}

#[test]
fn a_photo_for_a_school_of_others_is_refused() {
    let round = Round::open();
    round.inspector("anna", &[SCHOOL]);
    let api = Api::login(&round.url(), "anna", &password("anna"));
    let details = json!({
        "server": round.url(), "token": api.token(), "file": round.path("county/photos/lumia-820.jpg"),
        "round": ROUND, "school": "9901010024", "remember": round.path("uploads.json"),
    });
    let refused = upload(&details).expect_err("not the school of the inspector");
    assert!(refused.contains("404") && refused.contains("not_found"), "{refused}");
}
