//! What a server does when it is told to stop.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{County, Running, Said, config, document, folder, local, put};
use duxue_document::DocumentKind::Survey;
use duxue_server::Server;
use duxue_server::store::memory::MemoryStore;
use duxue_server::store::{Store, StoreError};
use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn clients_are_told_that_the_server_restarts_and_come_again() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let county = County::on(Arc::clone(&store), folder()).await;
    let (id, mut doc) = (document(0, Survey), local(Survey, 1));
    let mut client = county.client("first").await;
    client.sync(id, &mut doc).await;
    // One that has not said a word yet is told as well, and not waited for.
    let url = format!("ws://{}/sync", county.server.address);
    let (mut silent, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let County { server, tokens } = county;
    let stopped = tokio::spawn(server.stop());
    assert_eq!(client.hear().await, Said::Error("restart".to_owned()));
    assert_eq!(client.hear().await, Said::Closed(1012, "restart".to_owned()));
    let closed = loop {
        if let Message::Close(frame) = silent.next().await.unwrap().unwrap() {
            break frame.unwrap();
        }
    };
    assert_eq!((u16::from(closed.code), closed.reason.as_str()), (1012, "restart"));
    drop((client, silent));
    stopped.await.unwrap();
    put(&mut doc, "quantities/pupils:primary", "500");
    let county = County { server: Running::on(store, folder()).await, tokens };
    county.client("first").await.sync(id, &mut doc).await;
}

/// A feed whose connection is dropped at the deadline ends in an error.
#[tokio::test]
async fn a_feed_ends_when_the_server_begins_to_stop() {
    let county = County::on(Arc::new(MemoryStore::new()), folder()).await;
    let url = county.server.url("/api/rounds/round-2026/feed");
    let feed = county.server.http.get(&url).bearer_auth(county.token("bureau"));
    let mut feed = feed.send().await.unwrap();
    assert_eq!(feed.status(), 200);
    let stopped = tokio::spawn(county.server.stop());
    while feed.chunk().await.unwrap().is_some() {}
    stopped.await.unwrap();
}

/// What a store writes when it is closed, it writes only when nobody holds it
/// any more.
#[tokio::test]
async fn a_server_that_has_stopped_lets_its_store_go() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let held = Arc::downgrade(&store);
    let county = County::on(store, folder()).await;
    county.client("first").await.sync(document(0, Survey), &mut local(Survey, 1)).await;
    let (status, _) =
        county.server.get(county.token("supervisor"), "/api/rounds/round-2026/assessment").await;
    assert!(status < 500, "{status}");
    county.server.stop().await;
    let gone = async {
        while held.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("nobody holds the store");
}

/// As the command line's other commands do, which serve nobody.
#[tokio::test]
async fn a_server_that_never_ran_lets_its_folder_go() {
    let data = folder();
    let settings = config(&data);
    let server = Server::open(settings.clone()).await.unwrap();
    let taken = Server::open(settings.clone()).await.err().unwrap();
    assert!(taken.to_string().contains(&StoreError::InUse.to_string()), "{taken}");
    server.close().await;
    let again = async {
        while Server::open(settings.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.expect("the folder is free");
}
