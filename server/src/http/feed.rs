//! The feed of a round as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::{mpsc, watch};
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};
use warp::{Filter, sse};

use duxue_document::RoundId;

use crate::accounts::Caller;
use crate::app::App;
use crate::clock::now_ms;
use crate::feed::Change;
use crate::policy::Service;
use crate::store::JournalNumber;
use crate::transport::{Stop, Stopping};

use super::reply::{self, Answer};
use super::with::{self, Token};

/// Records before the cursor that are told again: documents are flushed side
/// by side, and an event that came a little late must not be passed by.
const AGAIN: u64 = 64;
/// Events that may wait for a client.
const EVENTS: usize = 64;

/// The route of this module. `stop` is the one that the server runs with.
#[must_use]
pub fn routes(app: &Arc<App>, stop: &Stop) -> BoxedFilter<(Response,)> {
    let stop = stop.clone();
    let last_id = warp::header::optional::<String>("last-event-id").or(warp::any().map(|| None)).unify();
    warp::path!("api" / "rounds" / String / "feed")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and(last_id)
        .and_then(move |round, app, token, last| {
            let answer = feed(round, app, token, last, stop.stopping());
            let answer = answer.unwrap_or_else(|fault| reply::problem(fault.status, &fault.problem));
            async { Ok::<_, Infallible>(answer) }
        })
        .boxed()
}

fn feed(round: String, app: Arc<App>, token: Token, last: Option<String>, stopping: Stopping) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Desk)?;
    let cursor = match last.and_then(|last| last.trim().parse::<u64>().ok()) {
        Some(last) => JournalNumber(last.saturating_sub(AGAIN)),
        None => app.store.last(),
    };
    let round = round.row.id.clone();
    let watch = app.feed.watch(&round);
    let reader = Reader { app, token, caller, round, cursor, watch, waiting: VecDeque::new() };
    let (sender, changes) = mpsc::channel(EVENTS);
    tokio::spawn(reader.run(sender, stopping));
    let events = sse::keep_alive().stream(events(changes));
    Ok(sse::reply(events).into_response())
}

struct Reader {
    app: Arc<App>,
    token: Token,
    caller: Caller,
    round: RoundId,
    cursor: JournalNumber,
    watch: watch::Receiver<u64>,
    waiting: VecDeque<Change>,
}

fn events(
    changes: mpsc::Receiver<Change>,
) -> impl Stream<Item = Result<sse::Event, serde_json::Error>> + Send + Sync {
    stream::unfold(changes, |mut changes| async move {
        let change = changes.recv().await?;
        let event = sse::Event::default().event("change").id(change.journal.to_string()).json_data(&change);
        Some((event, changes))
    })
}

impl Reader {
    /// Passes changes on until the client goes or may no longer read, or the
    /// server stops: whoever follows is to know at once, not at the deadline.
    async fn run(mut self, sender: mpsc::Sender<Change>, mut stopping: Stopping) {
        loop {
            let change = tokio::select! {
                change = self.next() => change,
                () = sender.closed() => None,
                () = stopping.wait() => None,
            };
            let Some(change) = change else { return };
            if sender.send(change).await.is_err() {
                return;
            }
        }
    }

    /// The next change; the end where the session no longer may read.
    async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                self.cursor = self.cursor.max(JournalNumber(change.journal));
                return Some(change);
            }
            self.watch.mark_unchanged();
            let newer = self.app.feed.after(&self.round, self.cursor).await.ok()?;
            if newer.is_empty() {
                self.watch.changed().await.ok()?;
            }
            if !self.may_read() {
                return None;
            }
            self.waiting.extend(newer);
        }
    }

    fn may_read(&self) -> bool {
        let same = self.token.0.as_deref().and_then(|token| self.app.accounts.caller(token, now_ms()));
        let round = self.app.rounds.get(&self.round);
        same.is_some() && round.is_some_and(|round| round.may(&self.caller, Service::Desk))
    }
}
