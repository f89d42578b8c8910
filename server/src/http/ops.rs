//! For operators: health, readiness, metrics, and the description of all this.

use std::convert::Infallible;
use std::sync::Arc;

use serde::Serialize;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderValue, StatusCode, header};
use warp::reply::Response;

use crate::app::App;
use crate::fault::{self, Fault};
use crate::scrub::Journal;
use crate::transport::Peer;

use super::reply::{self, Answer};
use super::with;

/// The description of the interface, kept beside the code.
pub const OPENAPI: &str = include_str!("../../openapi.yaml");

/// How the server is.
#[derive(Debug, Serialize)]
struct Health {
    /// `ok` or `failing`.
    status: &'static str,
    /// Number of the last durable record.
    journal: u64,
    /// Whether the last write to the store succeeded.
    store: &'static str,
    /// What the last check of the whole journal found: `intact`, `damaged`, or
    /// `unchecked` before the first.
    journal_check: &'static str,
    /// Documents that are open.
    open_documents: usize,
    /// The server's version.
    version: &'static str,
}

/// The routes of this module.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    let health = warp::path!("health")
        .and(warp::get())
        .and(with::app(app))
        .and(peer())
        .map(|app: Arc<App>, peer| reply::shown(health(&app, peer)));
    let ready = warp::path!("ready")
        .and(warp::get())
        .and(with::app(app))
        .and(peer())
        .map(|app: Arc<App>, peer| reply::shown(ready(&app, peer)));
    let metrics = warp::path!("metrics")
        .and(warp::get())
        .and(with::app(app))
        .and(peer())
        .map(|app: Arc<App>, peer| reply::shown(metrics(&app, peer)));
    let openapi = warp::path!("openapi.yaml")
        .and(warp::get())
        .map(|| text(OPENAPI.to_owned(), "application/yaml; charset=utf-8"));
    health.or(ready).unify().or(metrics).unify().or(openapi).unify().boxed()
}

fn peer() -> impl Filter<Extract = (Option<Peer>,), Error = Infallible> + Clone {
    warp::ext::optional()
}

/// How the server is concerns those who run it; a proxy on the same machine
/// must not pass these routes on.
fn local_only(peer: Option<Peer>) -> Result<(), Fault> {
    let local = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
    if local { Ok(()) } else { Err(fault::not_found()) }
}

fn metrics(app: &App, peer: Option<Peer>) -> Answer {
    local_only(peer)?;
    Ok(text(app.metrics(), "text/plain; version=0.0.4"))
}

fn health(app: &App, peer: Option<Peer>) -> Answer {
    local_only(peer)?;
    let works = app.store_works() && app.journal_check.journal() != Journal::Damaged;
    let health = Health {
        status: if works { "ok" } else { "failing" },
        journal: app.store.last().0,
        store: if app.store_works() { "ok" } else { "failing" },
        journal_check: app.journal_check.journal().word(),
        open_documents: app.hub.open_documents(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let status = if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json_with(status, &health)
}

fn ready(app: &App, peer: Option<Peer>) -> Answer {
    local_only(peer)?;
    if app.store_works() { Ok(reply::nothing()) } else { Err(fault::not_ready()) }
}

fn text(body: String, kind: &'static str) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
