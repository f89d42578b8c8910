//! The national forms of a round's county, filled in.

use std::sync::Arc;

use duxue_standards::forms::NationalForms;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::policy::Service;

use super::reply::{self, Answer, finish};
use super::schools::apart;
use super::with::{self, Token};

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    warp::path!("api" / "rounds" / String / "forms")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and_then(move |round, app, token| finish(within, forms(round, app, token)))
        .boxed()
}

async fn forms(round: String, app: Arc<App>, token: Token) -> Answer {
    let (_, round) = token.in_round(&app, &round, Service::Desk)?;
    // Both from one state: a form that says it is final was made without conflicts.
    let (assessor, conflicts) =
        app.readmodel.look(&round.row.id, |model| Ok((model.assessor(), model.open_conflicts()))).await?;
    apart(move || reply::json(&NationalForms::new(&assessor, conflicts))).await?
}
