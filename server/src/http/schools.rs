//! What the desk reads: schools, conflicts, assessments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::Automerge;
use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::{DocumentId, DocumentKind, EntryPath, OpId, PhotoHash, SchoolId, history};
use duxue_protocol::api::{ActorBinding, ConflictView, SchoolRow, SchoolView};
use duxue_protocol::problem::Problem;
use duxue_standards::assess::{MadeFrom, SchoolAssessment};
use duxue_standards::what_if::{self, Change};
use serde::{Deserialize, Serialize};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::app::App;
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::policy::Service;
use crate::random;
use crate::readmodel::school::{SchoolModel, Summary, number};
use crate::rounds::{DocumentName, Round};

use super::reply::{self, Answer, Body, finish};
use super::with::{self, Query, Token};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    let list = warp::path!("api" / "rounds" / String / "schools")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, list(round, app, token)));
    let school = warp::path!("api" / "rounds" / String / "schools" / String)
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, school, app, token| finish(within, school_view(round, school, app, token)));
    let conflicts = warp::path!("api" / "rounds" / String / "conflicts")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .and_then(move |round, app, token, query| finish(within, conflicts(round, app, token, query)));
    let school_assessment = warp::path!("api" / "rounds" / String / "schools" / String / "assessment")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, school, app, token| {
            finish(within, school_assessment(round, school, app, token))
        });
    let assessment = warp::path!("api" / "rounds" / String / "assessment")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, assessment(round, app, token)));
    let what_if = warp::path!("api" / "rounds" / String / "what-if")
        .and(warp::post())
        .and(with::app(app))
        .and(with::token())
        .and(with::body())
        .and_then(move |round, app, token, body| finish(within, what_if(round, app, token, body)));
    list.or(school)
        .unify()
        .or(conflicts)
        .unify()
        .or(school_assessment)
        .unify()
        .or(assessment)
        .unify()
        .or(what_if)
        .unify()
        .boxed()
}

async fn list(round: String, app: Arc<App>, token: Token) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Schools)?;
    let summaries = app
        .readmodel
        .look(&round.row.id, |model| {
            let schools = model.schools().iter();
            let seen = schools.filter(|(id, _)| round.may_for(&caller, Service::Schools, id));
            Ok(seen
                .map(|(id, school)| (id.clone(), school.summary().clone(), counts(school)))
                .collect::<Vec<_>>())
        })
        .await?;
    let photos: BTreeSet<PhotoHash> =
        summaries.iter().flat_map(|(_, summary, _)| summary.photos.iter().copied()).collect();
    let (arrived, _) = app.photos_here(&caller, photos).await;
    let mut rows = Vec::with_capacity(summaries.len());
    for (id, summary, (sections_complete, findings)) in summaries {
        let Summary { entries, conflicts, photos } = summary;
        let Some((school, _)) = round.schools.get(&id) else { continue };
        rows.push(SchoolRow {
            school: school.clone(),
            documents: round.school_documents(&id).map(|name| (name.kind, name.id())).collect(),
            sections_complete,
            entries,
            conflicts,
            findings,
            photos: number(photos.len()),
            photos_here: number(photos.intersection(&arrived).count()),
        });
    }
    reply::json(&rows)
}

fn counts(school: &SchoolModel) -> (u32, u32) {
    (number(school.school().complete.len()), number(school.findings().len()))
}

async fn school_view(round: String, school: String, app: Arc<App>, token: Token) -> Answer {
    let (caller, round, id) = token.in_school(&app, &round, &school, Service::School)?;
    let (consolidated, heads) = app
        .readmodel
        .look(&round.row.id, |model| {
            let school = model.school(&id)?;
            let consolidated = ConsolidatedSchool { findings: school.findings(), ..school.school().clone() };
            Ok((consolidated, heads(&round, school)))
        })
        .await?;
    // After the documents: whoever wrote in them is bound by then.
    let actors = app.evidence_actors(&caller, &round, round.school_documents(&id)).await?;
    let name = DocumentName { round: round.row.id.clone(), school: Some(id), kind: DocumentKind::Survey };
    // A copy, because the walk through the history is long and the document's
    // owner waits for whoever reads the document itself.
    // One that cannot be read is among the findings.
    let survey = app.hub.read(&name).await.ok().map(|survey| survey.read().clone());
    let view = apart(move || {
        let survey = survey.as_ref();
        let replaced =
            survey.map(|survey| replaced_others(survey, &consolidated, &actors)).unwrap_or_default();
        SchoolView { consolidated, heads, actors, replaced }
    });
    reply::json(&view.await?)
}

/// The entries in which a candidate of this reading took the place of another
/// person's claim. An actor that nobody is known for is somebody else.
fn replaced_others(
    survey: &Automerge,
    read: &ConsolidatedSchool,
    actors: &BTreeMap<String, ActorBinding>,
) -> BTreeSet<EntryPath> {
    let person = |op: &OpId| actors.get(op.actor()).map(|binding| &binding.person);
    let others =
        |a: &OpId, b: &OpId| a.actor() != b.actor() && (person(a).is_none() || person(a) != person(b));
    let is_candidate = |path: &EntryPath, op: &OpId| {
        read.entry(path).is_some_and(|entry| entry.candidates.iter().any(|candidate| candidate.op == *op))
    };
    let replaced = history::replaced(survey).into_iter();
    replaced
        .filter(|found| is_candidate(&found.path, &found.by) && others(&found.by, &found.old))
        .map(|found| found.path)
        .collect()
}

/// Heads in hex by document.
fn heads(round: &Round, school: &SchoolModel) -> BTreeMap<DocumentId, BTreeSet<String>> {
    let id = &school.school().school.id;
    let named = |kind| DocumentName { round: round.row.id.clone(), school: Some(id.clone()), kind }.id();
    school
        .heads()
        .iter()
        .map(|(kind, heads)| (named(*kind), heads.iter().map(|head| random::hex(&head.0)).collect()))
        .collect()
}

async fn conflicts(round: String, app: Arc<App>, token: Token, query: Query) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Desk)?;
    let school: Option<SchoolId> = match query.get("school") {
        Some(school) => Some(school.parse().map_err(|_| fault::bad_request().with_detail("school"))?),
        None => None,
    };
    let found = app.readmodel.conflicts(&round.row.id).await?;
    let mut views: Vec<ConflictView> = found
        .iter()
        .filter(|view| school.as_ref().is_none_or(|school| view.school == *school))
        .cloned()
        .collect();
    let schools: BTreeSet<SchoolId> = views.iter().map(|view| view.school.clone()).collect();
    let documents = schools.iter().flat_map(|school| round.school_documents(school));
    let actors = app.evidence_actors(&caller, &round, documents).await?;
    for candidate in views.iter_mut().flat_map(|view| &mut view.candidates) {
        candidate.by = candidate.op.as_ref().and_then(|op| actors.get(op.actor()).cloned());
    }
    reply::json(&views)
}

/// A school's assessment with what it was made from.
#[derive(Serialize)]
struct SchoolResult<'a> {
    made_from: MadeFrom,
    #[serde(flatten)]
    assessment: &'a SchoolAssessment,
}

async fn school_assessment(round: String, school: String, app: Arc<App>, token: Token) -> Answer {
    let (caller, round, id) = token.in_school(&app, &round, &school, Service::School)?;
    // A branch site is assessed as a part of its parent with all its sites.
    if !round.unit(&id).all(|campus| round.may_for(&caller, Service::School, campus)) {
        return Err(fault::not_found());
    }
    let assessor = app.readmodel.look(&round.row.id, |model| Ok(model.assessor())).await?;
    let assessment = assessor.school(&id).ok_or_else(fault::not_found)?;
    let mut made_from = assessor.made_from();
    // What the school's own result depends on; an inspector need not learn
    // which other documents there are.
    let own: BTreeSet<DocumentId> = round.school_documents(&id).map(|name| name.id()).collect();
    made_from.inputs.documents.retain(|document, _| own.contains(document));
    reply::json(&SchoolResult { made_from, assessment })
}

async fn assessment(round: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Desk)?;
    let assessor = app.readmodel.look(&round.row.id, |model| Ok(model.assessor())).await?;
    apart(move || reply::json(&assessor.assessment())).await?
}

/// Changes to try: a list, or an object with the list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Changes {
    List(Vec<Change>),
    Object { changes: Vec<Change> },
}

async fn what_if(round: String, app: Arc<App>, token: Token, body: Body) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Desk)?;
    let (Changes::List(changes) | Changes::Object { changes }) = reply::read(&app, body).await?;
    if changes.len() > app.bodies().changes {
        refused("what_if_changes");
        return Err(fault::invalid().with_detail("changes"));
    }
    let assessor = app.readmodel.look(&round.row.id, |model| Ok(model.assessor())).await?;
    apart(move || match what_if::what_if(&assessor, &changes) {
        Ok(result) => reply::json(&result),
        Err(error) => {
            let problem = Problem::new(error.code, error.message_zh, error.message_en);
            let problem = problem.with_detail(format!("changes[{}]", error.number - 1));
            Ok(reply::problem(StatusCode::UNPROCESSABLE_ENTITY, &problem))
        }
    })
    .await?
}

/// Runs much work where nobody else waits for it.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| fault::internal())
}
