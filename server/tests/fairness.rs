//! One person's work beside another's. In a process of its own, because it
//! reads the metrics.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use automerge::ChangeHash;
use automerge::sync::{ChunkList, Message, MessageVersion};
use common::{Client, County, Faulty, Running, document, folder, local};
use duxue_document::DocumentKind::{Review, Survey};
use duxue_server::Server;
use duxue_server::config::Limits;
use duxue_server::store::Store;

/// Bytes in flight, as the metrics say.
async fn in_flight(county: &County) -> u64 {
    let (_, text) = county.server.get("", "/metrics").await;
    let text = text.as_str().unwrap().to_owned();
    let line = "duxue_limit_in_use{limit=\"in_flight_bytes\"}";
    text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn one_persons_messages_that_wait_let_others_pass() {
    let store = Arc::new(Faulty::default());
    let data = folder();
    let county = County::on(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&data)).await;
    let County { server, tokens } = county;
    server.stop().await;
    let limits = Limits { in_flight_bytes: 1_000, in_flight_bytes_per_person: 400, ..Limits::default() };
    let config = duxue_server::Config { limits, ..common::config(&data) };
    let server = Server::on(config, Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let county = County { server: Running::run(server, data).await, tokens };

    // What somebody sends to this document is worked on for ever.
    let stuck = document(0, Survey);
    *store.hanging.lock().unwrap() = Some(stuck);
    let message = Message {
        heads: (0..10).map(|head| ChangeHash([head; 32])).collect(),
        need: Vec::new(),
        have: Vec::new(),
        changes: ChunkList::empty(),
        flags: None,
        version: MessageVersion::V1,
    };
    let data = message.encode();
    assert!((320..400).contains(&data.len()), "one fits into the share, three into the whole");
    let mut sockets = Vec::new();
    for tab in 0..4 {
        let peer = format!("tab-{tab}");
        let mut client = Client::connect(county.server.address, county.token("first"), &peer).await;
        client.say(stuck, data.clone()).await;
        sockets.push(client);
    }
    while in_flight(&county).await < 320 {
        tokio::task::yield_now().await;
    }
    // Another person opens another document.
    county.client("supervisor").await.sync(document(1, Review), &mut local(Review, 8)).await;
    drop(sockets);
}
