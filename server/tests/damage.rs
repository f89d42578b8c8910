//! What is stored and cannot be read, for a moment or for good.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{County, Faulty, Running, Said, document, entries, folder, heads, local, put};
use duxue_document::DocumentKind::Survey;
use duxue_protocol::api::ReceiptAnswer;
use duxue_server::store::Store;

const PUPILS: &str = "quantities/pupils:primary";

/// A county on a store that can fail, with a survey that has a snapshot and a
/// chunk after it.
async fn county() -> (Arc<Faulty>, County, automerge::Automerge) {
    let store = Arc::new(Faulty::default());
    let county = County::on(Arc::clone(&store) as Arc<dyn Store>, folder()).await;
    let (id, mut doc) = (document(0, Survey), local(Survey, 1));
    let mut client = county.client("first").await;
    put(&mut doc, PUPILS, "500");
    client.sync(id, &mut doc).await;
    store.inner.compact(id, doc.save(), store.last()).await.unwrap();
    put(&mut doc, PUPILS, "501");
    client.sync(id, &mut doc).await;
    assert!(store.inner.load(id).await.unwrap().snapshot.is_some());
    (store, county, doc)
}

/// The same store under another server.
async fn again(store: &Arc<Faulty>, county: County) -> County {
    let County { server, tokens } = county;
    server.stop().await;
    let server = Running::on(Arc::clone(store) as Arc<dyn Store>, folder()).await;
    County { server, tokens }
}

#[tokio::test]
async fn a_document_whose_snapshot_is_damaged_is_built_from_the_journal() {
    let (store, county, doc) = county().await;
    *store.flipped.lock().unwrap() = Some(document(0, Survey));
    let county = again(&store, county).await;
    assert_eq!(entries(&county).await[PUPILS]["value"]["value"]["value"], "501");
    let mut copy = local(Survey, 2);
    county.client("second").await.sync(document(0, Survey), &mut copy).await;
    assert_eq!(copy.get_heads(), doc.get_heads(), "all of it");
}

#[tokio::test]
async fn an_error_that_goes_away_is_not_called_unreadable() {
    let (store, county, _) = county().await;
    let county = again(&store, county).await;
    store.failing.store(2, Ordering::SeqCst);
    let now = entries(&county).await;
    assert_eq!(now[PUPILS]["value"]["value"]["value"], "501", "{now}");
    assert_eq!(store.failing.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn who_syncs_is_told_which_document_cannot_be_loaded_and_goes_on_with_others() {
    let (store, county, _) = county().await;
    let county = again(&store, county).await;
    *store.damaged.lock().unwrap() = Some(document(0, Survey));
    let mut client = county.client("first").await;
    client.speak(document(0, Survey), &local(Survey, 3)).await;
    assert_eq!(client.hear().await, Said::Error("document.failed".to_owned()));
    assert_eq!(client.about, Some(document(0, Survey)));
    county.client("first").await.sync(document(1, Survey), &mut local(Survey, 4)).await;
}

#[tokio::test]
async fn a_document_that_cannot_be_loaded_denies_nobody_the_receipt_for_the_others() {
    let (store, county, doc) = county().await;
    let (damaged, whole) = (document(0, Survey), document(1, Survey));
    let mut other = local(Survey, 5);
    put(&mut other, PUPILS, "300");
    county.client("first").await.sync(whole, &mut other).await;
    let county = again(&store, county).await;
    *store.damaged.lock().unwrap() = Some(damaged);
    let asked = serde_json::json!({
        "heads": { damaged.to_string(): heads(&doc), whole.to_string(): heads(&other) },
    });
    let (status, answer) = county.server.post(county.token("first"), "/api/receipts", &asked).await;
    assert_eq!(status, 200, "{answer}");
    let receipt: ReceiptAnswer = serde_json::from_value(answer).unwrap();
    let said = receipt.receipt.verify(&receipt.receipt.public_key).unwrap();
    assert_eq!(said.heads, BTreeMap::from([(whole, heads(&other))]));
    assert_eq!(receipt.missing_heads, BTreeMap::from([(damaged, heads(&doc))]));
}
