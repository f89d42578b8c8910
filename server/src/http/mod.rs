//! The HTTP interface: one module for each group of routes.

pub mod accounts;
pub mod audit;
pub mod decisions;
pub mod evidence;
pub mod feed;
pub mod forms;
pub mod ops;
pub mod people;
pub mod photos;
pub mod preview;
pub mod reply;
pub mod rounds;
pub mod schools;
pub mod sync;
pub mod web;
pub mod with;

use std::convert::Infallible;
use std::sync::Arc;

use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::app::App;
use crate::clock::now_ms;
use crate::fault;
use crate::transport::{Known, Stop, Trust};

/// What the transport is to know of those who connect.
#[must_use]
pub fn trust(app: &Arc<App>) -> Trust {
    let proxies = app.proxies.clone();
    let app = Arc::clone(app);
    let known: Known = Arc::new(move |headers, uri| {
        let header = headers.get("authorization").and_then(|value| with::bearer(value.to_str().ok()?));
        // Sockets of browsers have it in the query.
        let query = with::Query(uri.query().unwrap_or_default().to_owned());
        let token = header.or_else(|| query.get("token").filter(|_| uri.path() == "/sync"));
        token.is_some_and(|token| app.accounts.caller(token, now_ms()).is_some())
    });
    Trust { proxies, known }
}

/// Every route. Whatever no route takes is answered with a problem.
#[must_use]
pub fn routes(app: &Arc<App>, stop: &Stop) -> BoxedFilter<(Response,)> {
    sync::routes(app, stop)
        .or(accounts::routes(app))
        .unify()
        .or(people::routes(app))
        .unify()
        .or(audit::routes(app))
        .unify()
        .or(rounds::routes(app))
        .unify()
        .or(preview::routes(app))
        .unify()
        .or(schools::routes(app))
        .unify()
        .or(forms::routes(app))
        .unify()
        .or(decisions::routes(app))
        .unify()
        .or(evidence::routes(app))
        .unify()
        .or(photos::routes(app))
        .unify()
        .or(feed::routes(app, stop))
        .unify()
        .or(ops::routes(app))
        .unify()
        .or(web::routes(app))
        .unify()
        .recover(recover)
        .unify()
        .boxed()
}

/// What no route took.
async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    let fault = if rejection.is_not_found() {
        fault::not_found()
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        fault::method()
    } else if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
        fault::too_large()
    } else if rejection.find::<warp::reject::LengthRequired>().is_some() {
        fault::length_required()
    } else if rejection.find::<warp::reject::UnsupportedMediaType>().is_some() {
        fault::media_type()
    } else {
        fault::bad_request()
    };
    Ok(reply::problem(fault.status, &fault.problem))
}
