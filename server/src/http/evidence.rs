//! What lies behind a value: all that was ever stated about an entry, and the
//! county's own figures with what in them does not agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duxue_document::conflict::{Conflict, ConflictSubject};
use duxue_document::consolidated::ConsolidatedCounty;
use duxue_document::history::history_of_entry;
use duxue_document::{DocumentKind, EntryPath};
use duxue_protocol::api::{ActorBinding, CandidateView, CountyConflictView, CountyView, EntryHistory};
use duxue_standards::assess::Assessor;
use percent_encoding::percent_decode_str;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::fault;
use crate::policy::Service;
use crate::readmodel::conflicts::county_effects;
use crate::rounds::DocumentName;

use super::reply::{self, Answer, finish};
use super::with::{self, Token};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    let history =
        warp::path!("api" / "rounds" / String / "schools" / String / "entries" / String / "history")
            .and(warp::get())
            .and(with::app(app))
            .and(with::token())
            .and_then(move |round, school, path, app, token| {
                finish(within, history(round, school, path, app, token))
            });
    let county = warp::path!("api" / "rounds" / String / "county")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, county(round, app, token)));
    history.or(county).unify().boxed()
}

/// `path` is one segment of the address, percent-encoded.
async fn history(round: String, school: String, path: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round, id) = token.in_school(&app, &round, &school, Service::School)?;
    let path: EntryPath = percent_decode_str(&path)
        .decode_utf8()
        .ok()
        .and_then(|path| path.parse().ok())
        .ok_or_else(|| fault::bad_request().with_detail("path"))?;
    let name = DocumentName { round: round.row.id.clone(), school: Some(id), kind: DocumentKind::Survey };
    // A copy, because the walk through the history is long and the document's
    // owner waits for whoever reads the document itself.
    let survey = app.hub.read(&name).await?.read().clone();
    let asked = path.clone();
    let claims = tokio::task::spawn_blocking(move || history_of_entry(&survey, DocumentKind::Survey, &asked))
        .await
        .map_err(|_| fault::internal())?;
    let written: BTreeSet<&str> = claims
        .iter()
        .flat_map(|past| past.superseded_by.iter().chain([&past.op]))
        .map(|op| op.actor())
        .collect();
    let mut actors = app.actors([name].into_iter()).await?;
    actors.retain(|actor, _| written.contains(actor.as_str()));
    reply::json(&EntryHistory { path, claims, actors })
}

async fn county(round: String, app: Arc<App>, token: Token) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Desk)?;
    let name = DocumentName { round: round.row.id.clone(), school: None, kind: DocumentKind::County };
    let (consolidated, mut heads, assessor) = app
        .readmodel
        .look(&round.row.id, |model| Ok((model.county()?, model.document_heads(), model.assessor())))
        .await?;
    heads.retain(|document, _| *document == name.id());
    let actors = app.evidence_actors(&caller, &round, [name].into_iter()).await?;
    // The whole county is assessed for each candidate.
    let view = tokio::task::spawn_blocking(move || {
        let found = consolidated.conflicts();
        let conflicts = found.iter().filter_map(|conflict| view(&assessor, &consolidated, conflict, &actors));
        let conflicts = conflicts.collect();
        CountyView { consolidated: (*consolidated).clone(), conflicts, heads, actors }
    });
    reply::json(&view.await.map_err(|_| fault::internal())?)
}

fn view(
    assessor: &Assessor,
    county: &ConsolidatedCounty,
    conflict: &Conflict,
    actors: &BTreeMap<String, ActorBinding>,
) -> Option<CountyConflictView> {
    let ConflictSubject::Entry { path, .. } = &conflict.subject else { return None };
    let (effects, flips) = county_effects(assessor, county, path);
    let candidates = county.entries.get(path)?.candidates.iter().zip(effects);
    let candidates = candidates.map(|(candidate, effects)| CandidateView {
        op: Some(candidate.op.clone()),
        choice: None,
        value: None,
        candidate: Some(candidate.clone()),
        by: actors.get(candidate.op.actor()).cloned(),
        effects,
    });
    let candidates = candidates.collect();
    Some(CountyConflictView { id: conflict.id.clone(), path: path.clone(), candidates, flips })
}
