//! A session whose token or right ends while it floods the server ends with it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use automerge::ReadDoc;
use automerge::sync::{ChunkList, Message as Sync, MessageVersion};
use common::ended::refusals;
use common::{County, Said, document, local, put};
use duxue_document::DocumentKind::Survey;
use duxue_protocol::wire::{self, Message as Wire, Metadata};
use duxue_server::clock::now_ms;
use duxue_server::config::Limits;
use duxue_server::hub::session::Admission;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite::{Error, Message};

fn join(peer: &str) -> Wire {
    Wire::Join {
        sender_id: peer.to_owned(),
        metadata: Metadata::default(),
        supported_protocol_versions: vec!["1".to_owned()],
    }
}

fn frame(message: &Wire) -> Message {
    Message::Binary(wire::encode(message).into())
}

/// Changes to one survey, each on top of the one before, without end.
fn changes(peer: &'static str) -> impl Iterator<Item = Message> {
    let mut doc = local(Survey, 1);
    (0_u64..).map(move |value| {
        put(&mut doc, "quantities/pupils:primary", &value.to_string());
        let heads = doc.get_heads();
        let change = doc.get_change_by_hash(&heads[0]).unwrap();
        let data = Sync {
            heads: Vec::new(),
            need: Vec::new(),
            have: Vec::new(),
            changes: ChunkList::from(vec![change.raw_bytes().to_vec()]),
            flags: None,
            version: MessageVersion::V1,
        };
        frame(&Wire::Sync {
            sender_id: peer.to_owned(),
            target_id: "server".to_owned(),
            document_id: document(0, Survey).to_string(),
            data: data.encode(),
        })
    })
}

/// Floods the server as `first` until it closes; the reason that it gives. What
/// ends is done once the flood has come so far.
async fn flood(county: &County, ends: impl AsyncFnOnce()) -> Said {
    let url = format!("ws://{}/sync?token={}", county.server.address, county.token("first"));
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let (mut sink, mut stream) = socket.split();
    let (sent, mut far) = tokio::sync::watch::channel(0);
    let sending = tokio::spawn(async move {
        sink.send(frame(&join("flood"))).await.unwrap();
        for message in changes("flood") {
            if sink.send(message).await.is_err() {
                return;
            }
            sent.send_modify(|count| *count += 1);
        }
    });
    let reading = tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Close(Some(frame)) = message {
                return Said::Closed(frame.code.into(), frame.reason.to_string());
            }
        }
        Said::Gone
    });
    far.wait_for(|count| *count >= 50).await.unwrap();
    ends().await;
    let said =
        tokio::time::timeout(Duration::from_secs(120), reading).await.expect("the server closes").unwrap();
    sending.abort();
    said
}

#[tokio::test]
async fn a_flood_ends_with_its_session() {
    let limits = || Limits { ping_seconds: 1, ..Limits::default() };
    let missing = Said::Closed(1008, "session.missing".to_owned());

    let county = County::within(limits()).await;
    let log_out = async || {
        let request = county.server.http.delete(county.server.url("/api/session"));
        assert_eq!(common::answer(request.bearer_auth(county.token("first"))).await.0, 204);
    };
    assert_eq!(flood(&county, log_out).await, missing, "a log-out");

    let county = County::within(limits()).await;
    let revoke = async || {
        let device = county.tokens["first"].device.clone().unwrap();
        let request = county.server.http.delete(county.server.url(&format!("/api/devices/{device}")));
        assert_eq!(common::answer(request.bearer_auth(county.token("admin"))).await.0, 204);
    };
    assert_eq!(flood(&county, revoke).await, missing, "a device that is lost");
}

/// What still comes is kept for a decision, as far as anyone may leave such.
#[tokio::test]
async fn a_flood_ends_with_its_right() {
    let county = County::within(Limits { held_changes_per_person: 100, ..Limits::default() }).await;
    let refused = refusals(&county, "held_changes_per_person").await;
    let said = flood(&county, async || county.assign("first", &[]).await).await;
    assert_eq!(said, Said::Closed(1008, "held.person_full".to_owned()));
    assert!(refusals(&county, "held_changes_per_person").await > refused);
}

/// A socket that brings a frame whenever it is asked and takes none.
struct Stuck {
    frames: Box<dyn Iterator<Item = Message> + Send + Unpin>,
    read: Arc<AtomicU64>,
    turn: bool,
}

impl Stream for Stuck {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.turn = !self.turn;
        if self.turn {
            // Others have their turns in between.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.read.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(self.frames.next().map(Ok))
    }
}

impl Sink<Message> for Stuck {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), Error> {
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Pending
    }
}

/// Lets everything run that can, and then the clock.
async fn pass(time: Duration) {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(time).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Whoever reads nothing is not heard for longer.
#[tokio::test]
async fn a_flood_that_takes_no_answer_ends_with_its_session() {
    let county = County::within(Limits { send_seconds: 3_600, ..Limits::default() }).await;
    let ping = Duration::from_secs(Limits::default().ping_seconds);
    let (token, app) = (county.token("first").to_owned(), Arc::clone(&county.server.app));
    let caller = app.accounts.caller(&token, now_ms()).unwrap();
    let admission = Admission::Caller { caller: caller.clone(), token: token.clone() };
    let ephemeral = frame(&Wire::Ephemeral {
        sender_id: "stuck".to_owned(),
        target_id: "server".to_owned(),
        document_id: document(0, Survey).to_string(),
        count: 1,
        session_id: "s".to_owned(),
        data: vec![1],
    });
    let frames = std::iter::once(frame(&join("stuck"))).chain(std::iter::repeat(ephemeral));
    let read = Arc::new(AtomicU64::new(0));
    let socket = Stuck { frames: Box::new(frames), read: Arc::clone(&read), turn: false };
    tokio::time::pause();
    let (hub, accounts) = (app.hub.clone(), Arc::clone(&app.accounts));
    let session = tokio::spawn(async move {
        hub.session(admission, accounts, socket, Arc::default(), std::future::pending()).await;
    });
    // It is heard for as long as its token stands.
    let mut before = 0;
    for _ in 0..4 {
        pass(ping / 2).await;
        let now = read.load(Ordering::SeqCst);
        assert!(now > before, "{now} frames");
        before = now;
    }
    app.accounts.logout(&token, &caller, now_ms()).await.unwrap();
    pass(ping).await;
    let then = read.load(Ordering::SeqCst);
    for _ in 0..10 {
        pass(ping).await;
    }
    assert_eq!(read.load(Ordering::SeqCst), then, "nothing more is read");
    session.abort();
}
