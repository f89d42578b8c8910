//! One person's work beside another's. In a process of its own, because it
//! reads the metrics.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use automerge::ChangeHash;
use automerge::sync::{ChunkList, Message, MessageVersion};
use common::{Client, County, Faulty, Running, document, folder, local};
use duxue_document::DocumentId;
use duxue_document::DocumentKind::{Review, Survey};
use duxue_server::Server;
use duxue_server::config::Limits;
use duxue_server::store::Store;

/// How much of a limit is in use, as the metrics say.
async fn in_use(county: &County, limit: &str) -> u64 {
    let (_, text) = county.server.get("", "/metrics").await;
    let text = text.as_str().unwrap().to_owned();
    let line = format!("duxue_limit_in_use{{limit=\"{limit}\"}}");
    text.lines().find_map(|found| found.strip_prefix(&*line)?.trim().parse().ok()).unwrap_or(0)
}

/// The tests look at the same metrics.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A county within these limits, and a document of it: what is sent to this is
/// worked on for ever.
async fn stalled(limits: Limits) -> (County, DocumentId) {
    let store = Arc::new(Faulty::default());
    let data = folder();
    let county = County::on(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&data)).await;
    let County { server, tokens } = county;
    server.stop().await;
    let config = duxue_server::Config { limits, ..common::config(&data) };
    let server = Server::on(config, Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let stuck = document(0, Survey);
    *store.hanging.lock().unwrap() = Some(stuck);
    (County { server: Running::run(server, data).await, tokens }, stuck)
}

/// A right message with so many hashes.
fn message(hashes: u16) -> Vec<u8> {
    let hash = |number: u16| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        ChangeHash(hash)
    };
    let message = Message {
        heads: (0..hashes).map(hash).collect(),
        need: Vec::new(),
        have: Vec::new(),
        changes: ChunkList::empty(),
        flags: None,
        version: MessageVersion::V1,
    };
    message.encode()
}

#[tokio::test]
async fn one_persons_messages_that_wait_let_others_pass() {
    let _alone = ALONE.lock().await;
    let limits = Limits { in_flight_bytes: 1_000, in_flight_bytes_per_person: 400, ..Limits::default() };
    let (county, stuck) = stalled(limits).await;
    let data = message(10);
    assert!((320..400).contains(&data.len()), "one fits into the share, three into the whole");
    let mut sockets = Vec::new();
    for tab in 0..4 {
        let peer = format!("tab-{tab}");
        let mut client = Client::connect(county.server.address, county.token("first"), &peer).await;
        client.say(stuck, data.clone()).await;
        sockets.push(client);
    }
    while in_use(&county, "in_flight_bytes").await < 320 {
        tokio::task::yield_now().await;
    }
    // Another person opens another document.
    county.client("supervisor").await.sync(document(1, Review), &mut local(Review, 8)).await;
    drop(sockets);
}

/// Many sockets bring large messages for a document whose owner is stalled:
/// those that are received are bounded in all and for each person, the others
/// stay in the system, and everybody else goes on.
#[tokio::test]
async fn large_messages_that_wait_are_bounded_over_all_sockets() {
    let _alone = ALONE.lock().await;
    let data = message(2_000);
    let one = data.len() as u64;
    assert!((64_000..65_000).contains(&one));
    // Of one person one message is in flight, one is received, and one has no
    // room; of all, two are received, and a third has no room.
    let limits = Limits {
        in_flight_bytes_per_person: one * 3 / 2,
        received_bytes: one * 5 / 2,
        ping_seconds: 2,
        ..Limits::default()
    };
    let (county, stuck) = stalled(limits).await;
    let mut sockets = Vec::new();
    for name in ["first", "second", "bureau"] {
        for tab in 0..8 {
            let peer = format!("{name}-{tab}");
            let mut client = Client::connect(county.server.address, county.token(name), &peer).await;
            client.say(stuck, data.clone()).await;
            sockets.push(client);
        }
    }
    let received = async || in_use(&county, "received_bytes").await;
    let mut most = 0;
    while most < 2 * one {
        most = most.max(received().await);
    }
    // Whose messages are small is not concerned.
    county.client("supervisor").await.sync(document(1, Review), &mut local(Review, 8)).await;
    most = most.max(received().await);
    assert!(most <= one * 5 / 2, "{most} bytes");
    // Who goes makes room, although nobody reads what it had sent.
    drop(sockets);
    while received().await > 0 {
        tokio::task::yield_now().await;
    }
}
