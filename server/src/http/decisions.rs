//! Verdicts and rulings of a round with who decided: what stands, and what
//! later decisions took the place of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::{Automerge, ChangeHash};
use duxue_document::{DecisionId, DocumentKind, SchoolId, decision, genesis};
use duxue_protocol::api::{ActorBinding, Decision, DecisionView};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::fault;
use crate::policy::Service;
use crate::rounds::DocumentName;

use super::reply::{self, Answer, finish};
use super::with::{self, Query, Token};

/// The route of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    warp::path!("api" / "rounds" / String / "decisions")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .and_then(move |round, app, token, query| finish(within, decisions(round, app, token, query)))
        .boxed()
}

async fn decisions(round: String, app: Arc<App>, token: Token, query: Query) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Desk)?;
    let school: Option<SchoolId> = match query.get("school") {
        Some(school) => Some(school.parse().map_err(|_| fault::bad_request().with_detail("school"))?),
        None => None,
    };
    let written = app
        .readmodel
        .look(&round.row.id, |model| {
            let asked = |id: &SchoolId| school.as_ref().is_none_or(|school| school == id);
            let schools = model.schools().iter().filter(|(id, _)| asked(id));
            let kinds = schools.flat_map(|(id, school)| {
                school
                    .heads()
                    .iter()
                    .filter(|(kind, heads)| has_decisions(**kind, heads))
                    .map(|(kind, _)| (id.clone(), *kind))
            });
            Ok(kinds.collect::<Vec<_>>())
        })
        .await?;
    let mut views = Vec::new();
    for (school, kind) in written {
        let name = DocumentName { round: round.row.id.clone(), school: Some(school.clone()), kind };
        // A copy: the document's owner waits for whoever reads the document itself.
        let document = app.hub.read(&name).await?.read().clone();
        let actors = app.actors([name].into_iter()).await?;
        let found = tokio::task::spawn_blocking(move || of_document(&document, kind, &school, &actors));
        views.extend(found.await.map_err(|_| fault::internal())?);
    }
    reply::json(&views)
}

/// Whether something was written in a document of decisions.
fn has_decisions(kind: DocumentKind, heads: &[ChangeHash]) -> bool {
    let untouched = ChangeHash(genesis::hash(kind));
    matches!(kind, DocumentKind::Review | DocumentKind::Ruling) && heads.iter().any(|head| *head != untouched)
}

fn of_document(
    document: &Automerge,
    kind: DocumentKind,
    school: &SchoolId,
    actors: &BTreeMap<String, ActorBinding>,
) -> Vec<DecisionView> {
    let mut found: BTreeMap<DecisionId, (Decision, BTreeSet<DecisionId>)> = BTreeMap::new();
    if kind == DocumentKind::Review {
        for (id, verdict) in decision::verdicts(document) {
            let supersedes = verdict.supersedes.clone();
            found.insert(id, (Decision::Verdict(verdict), supersedes));
        }
    } else {
        for (id, ruling) in decision::rulings(document) {
            let supersedes = ruling.supersedes.clone();
            found.insert(id, (Decision::Ruling(ruling), supersedes));
        }
    }
    let mut superseded: BTreeMap<DecisionId, BTreeSet<DecisionId>> = BTreeMap::new();
    for (id, (_, supersedes)) in &found {
        for old in supersedes {
            superseded.entry(old.clone()).or_default().insert(id.clone());
        }
    }
    let ops = decision::ops(document, kind);
    let view = |(id, (decision, _)): (DecisionId, (Decision, _))| DecisionView {
        by: ops.get(&id).and_then(|op| actors.get(op.actor()).cloned()),
        superseded_by: superseded.remove(&id).unwrap_or_default(),
        school: school.clone(),
        decision,
        id,
    };
    found.into_iter().map(view).collect()
}
