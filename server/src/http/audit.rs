//! The audit log, for those who operate the server.

use std::sync::Arc;

use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::App;
use crate::audit;
use crate::fault;
use crate::store::JournalNumber;

use super::accounts::administrator;
use super::reply::{self, Answer, finish};
use super::with::{self, Query, Token};

/// The route of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let within = app.request_time();
    warp::path!("api" / "audit")
        .and(warp::get())
        .and(with::app(app))
        .and(with::token())
        .and(with::query())
        .and_then(move |app, token, query| finish(within, log(app, token, query)))
        .boxed()
}

async fn log(app: Arc<App>, token: Token, query: Query) -> Answer {
    administrator(&app, &token)?;
    let after = number(&query, "after")?.unwrap_or(0);
    let limit = number(&query, "limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(audit::MOST_ROWS).clamp(1, audit::MOST_ROWS);
    reply::json(&audit::after(&app, JournalNumber(after), limit).await?)
}

fn number(query: &Query, name: &'static str) -> Result<Option<u64>, fault::Fault> {
    query.get(name).map(str::parse).transpose().map_err(|_| fault::bad_request().with_detail(name))
}
