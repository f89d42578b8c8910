//! Two raw automerge clients and a whole server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{County, ROUND, document, local, put};
use duxue_document::DocumentKind::Survey;

#[tokio::test]
async fn two_inspectors_edit_one_survey_and_converge() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut a, mut b) = (county.client("first").await, county.client("second").await);
    let (mut of_a, mut of_b) = (local(Survey, 1), local(Survey, 2));
    put(&mut of_a, "quantities/pupils:primary", "500");
    put(&mut of_b, "quantities/pupils:primary", "510");
    put(&mut of_b, "quantities/books:whole", "9000");
    a.sync(id, &mut of_a).await;
    b.sync(id, &mut of_b).await;
    let both = of_b.get_heads();
    a.until(id, &mut of_a, |doc| doc.get_heads() == both).await;
    let (status, view) =
        county.server.get(county.token("supervisor"), &format!("/api/rounds/{ROUND}/schools/3601000001")).await;
    assert_eq!(status, 200, "{view}");
    let entry = &view["consolidated"]["entries"]["quantities/pupils:primary"];
    assert_eq!(entry["value"]["state"], "conflicting", "{view}");
    assert_eq!(entry["candidates"].as_array().map(Vec::len), Some(2));
    assert_eq!(view["actors"].as_object().map(serde_json::Map::len), Some(2));
}
