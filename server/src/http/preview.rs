//! What held changes say, for whoever decides about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::Change as Written;
use duxue_document::statements::{fragments, statements};
use duxue_document::{DocumentKind, decision};
use duxue_protocol::api::{ActorBinding, Decision, HeldPreview, HeldStatement, HeldWords};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::fault;
use crate::hub::preview::Preview;
use crate::policy::Service;

use super::reply::{self, Answer, finish};
use super::with::{self, Query, Token};

/// So many statements at once: as much as anyone reads before asking for more.
const PAGE: usize = 50;

/// The route of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    warp::path!("api" / "rounds" / String / "held" / u64)
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .and_then(move |round, number, app, token, query| {
            finish(within, preview(round, number, app, token, query))
        })
        .boxed()
}

async fn preview(round: String, number: u64, app: Arc<App>, token: Token, query: Query) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Held)?;
    let from: usize = match query.get("from") {
        Some(from) => from.parse().map_err(|_| fault::bad_request().with_detail("from"))?,
        None => 0,
    };
    let held = app.hub.held(&round.row.id).await?;
    let row = held.into_iter().find(|row| row.number == number).ok_or_else(fault::not_found)?;
    let name = app.rounds.document(&row.document).filter(|name| name.round == round.row.id);
    let name = name.ok_or_else(fault::not_found)?;
    let preview = app.hub.preview(&name, number).await?;
    let actors = app.evidence_actors(&caller, &round, [name.clone()].into_iter()).await?;
    let loose = preview.loose.len() as u64;
    let read = tokio::task::spawn_blocking(move || read(&preview, name.kind, &actors));
    let all = read.await.map_err(|_| fault::internal())?;
    let total = all.len() as u64;
    let statements = all.into_iter().skip(from).take(PAGE).collect();
    reply::json(&HeldPreview { number, total, loose, statements })
}

fn read(
    preview: &Preview,
    kind: DocumentKind,
    actors: &BTreeMap<String, ActorBinding>,
) -> Vec<HeldStatement> {
    let changes: BTreeMap<String, &Written> =
        preview.here.iter().chain(&preview.loose).map(|change| (change.hash().to_string(), change)).collect();
    let by = |change: &str| {
        let actor = changes.get(change).map(|change| change.actor_id().to_hex_string());
        actor.and_then(|actor| actors.get(&actor).cloned())
    };
    let statement = |change: String, words| HeldStatement { by: by(&change), change, words };
    let claims = statements(&preview.document, kind, &preview.here).into_iter().map(|stated| {
        let words = HeldWords::Claim { path: stated.path, op: stated.op, claim: stated.claim };
        statement(stated.change.to_string(), words)
    });
    let decided = decisions(preview, kind)
        .into_iter()
        .map(|(change, decision)| statement(change, HeldWords::Decision { decision }));
    let loose = fragments(&preview.loose).into_iter().map(|fragment| {
        let words = HeldWords::Fragment { field: fragment.field, value: fragment.value };
        statement(fragment.change.to_string(), words)
    });
    claims.chain(decided).chain(loose).collect()
}

/// The verdicts and rulings that are in the held changes, with their changes.
fn decisions(preview: &Preview, kind: DocumentKind) -> Vec<(String, Decision)> {
    let document = &preview.document;
    let all: Vec<_> = match kind {
        DocumentKind::Review => {
            decision::verdicts(document).into_iter().map(|(id, one)| (id, Decision::Verdict(one))).collect()
        }
        DocumentKind::Ruling => {
            decision::rulings(document).into_iter().map(|(id, one)| (id, Decision::Ruling(one))).collect()
        }
        _ => return Vec::new(),
    };
    let ops = decision::ops(document, kind);
    let change_of = |actor: &str, counter: u64| {
        preview.here.iter().find(|change| {
            change.actor_id().to_hex_string() == actor
                && (change.start_op().get()..=change.max_op()).contains(&counter)
        })
    };
    let held = |(id, decision)| {
        let op = ops.get(&id)?;
        Some((change_of(op.actor(), op.counter())?.hash().to_string(), decision))
    };
    all.into_iter().filter_map(held).collect()
}
