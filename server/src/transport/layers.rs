//! What wraps the filters: who asks, panics, compression.

use std::any::Any;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use duxue_protocol::problem::Problem;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tower::{Service, ServiceBuilder};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use warp::http::{Request, Response, StatusCode};
use warp::reply::Reply;

use super::address::Place;
use super::connection::Shared;
use super::headers::Short;
use super::turns::Bounded;

/// Who is at the other end of the connection: `warp::ext::get::<Peer>()`.
/// `warp::addr::remote()` gives nothing here. Behind a proxy it is the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The connection's place under the limits. A WebSocket takes it along, so
/// that it counts as long as it is open.
#[derive(Clone)]
pub(super) struct Slot(
    #[expect(dead_code, reason = "held, not read")] pub Arc<(OwnedSemaphorePermit, Place)>,
);

/// The filters of one connection as hyper calls them.
pub(super) fn service(
    shared: Arc<Shared>,
    peer: Peer,
    slot: Slot,
) -> impl Service<
    Request<Incoming>,
    Response = Response<
        impl hyper::body::Body<Data = impl warp::Buf + Send, Error = impl Into<BoxError>> + Send + 'static,
    >,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send {
    let (turns, header_bytes) = (Arc::clone(&shared.turns), shared.limits.header_bytes);
    ServiceBuilder::new()
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(slot.clone());
            request
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(CompressionLayer::new().quality(LEVEL).compress_when(worth_it(shared.limits.compress_above)))
        .layer_fn(move |inner| Short { inner, most: header_bytes })
        .layer_fn(move |inner| Bounded { inner, turns: Arc::clone(&turns) })
        .service(warp::service(shared.routes.clone()))
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The default of both gzip and brotli takes a core for tens of milliseconds
/// per answer; this gives nearly the same size.
const LEVEL: CompressionLevel = CompressionLevel::Precise(4);

/// What does not shrink, or must not wait until there is enough to shrink.
fn worth_it(above: u64) -> impl Predicate {
    SizeAbove::new(above)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::SSE)
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("application/pdf"))
        .and(NotForContentType::const_new("application/zip"))
        .and(NotForContentType::const_new("application/vnd.openxmlformats-officedocument"))
}

/// The answer where a handler panicked. What it said goes to the log only.
fn panicked(panic: Box<dyn Any + Send>) -> warp::reply::Response {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?");
    tracing::error!(panic = said, "a handler panicked");
    problem(
        StatusCode::INTERNAL_SERVER_ERROR,
        &Problem::new(
            "server.panic",
            "服务器内部错误，已记录；其他功能不受影响。",
            "An internal error; it was recorded, and nothing else is affected.",
        ),
    )
}

/// A problem as an answer.
pub(super) fn problem(status: StatusCode, problem: &Problem) -> warp::reply::Response {
    warp::reply::with_status(warp::reply::json(problem), status).into_response()
}
