//! What the desk reads: schools, conflicts, assessments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use duxue_document::DocumentId;
use duxue_protocol::api::{SchoolRow, SchoolView};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::policy::Service;
use crate::random;
use crate::readmodel::school::{SchoolModel, Summary, number};
use crate::rounds::{DocumentName, Round};

use super::reply::{self, Answer, finish};
use super::with::{self, Token};

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
    list.or(school).unify().boxed()
}

async fn list(round: String, app: Arc<App>, token: Token) -> Answer {
    let (caller, round) = token.in_round(&app, &round, Service::Schools)?;
    let summaries = app
        .readmodel
        .look(&round.row.id, |model| {
            let schools = model.schools().iter_mut();
            let seen = schools.filter(|(id, _)| round.may_for(&caller, Service::Schools, id));
            Ok(seen.map(|(id, school)| (id.clone(), school.summary().clone(), counts(school))).collect::<Vec<_>>())
        })
        .await?;
    let mut rows = Vec::with_capacity(summaries.len());
    for (id, summary, (sections_complete, findings)) in summaries {
        let Summary { entries, conflicts, photos } = summary;
        let known = number(photos.len());
        let (here, _) = app.photos_here(photos).await?;
        let Some((school, _)) = round.schools.get(&id) else { continue };
        rows.push(SchoolRow {
            school: school.clone(),
            documents: round.school_documents(&id).map(|name| (name.kind, name.id())).collect(),
            sections_complete,
            entries,
            conflicts,
            findings,
            photos: known,
            photos_here: number(here.len()),
        });
    }
    reply::json(&rows)
}

fn counts(school: &SchoolModel) -> (u32, u32) {
    (number(school.school().complete.len()), number(school.school().findings.len()))
}

async fn school_view(round: String, school: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round, id) = token.in_school(&app, &round, &school, Service::School)?;
    let actors = app.actors(round.school_documents(&id)).await?;
    let (consolidated, heads) = app
        .readmodel
        .look(&round.row.id, |model| {
            let school = model.school(&id)?;
            Ok((school.school().clone(), heads(&round, school)))
        })
        .await?;
    reply::json(&SchoolView { consolidated, heads, actors })
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
