//! Request bodies in parts, and answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;
use warp::{Buf, Filter, Rejection};

use crate::fault::Fault;

/// A request's body in parts.
pub(super) type Body = Pin<Box<dyn Stream<Item = Result<Vec<u8>, warp::Error>> + Send>>;

/// The body, of any length: whoever reads it counts.
pub(super) fn body() -> impl Filter<Extract = (Body,), Error = Rejection> + Clone {
    warp::body::stream().map(|parts| -> Body { Box::pin(vectors(parts)) })
}

fn vectors<B: Buf>(
    parts: impl Stream<Item = Result<B, warp::Error>> + Send,
) -> impl Stream<Item = Result<Vec<u8>, warp::Error>> + Send {
    parts.map(|part| {
        part.map(|mut part| {
            let mut bytes = vec![0; part.remaining()];
            part.copy_to_slice(&mut bytes);
            bytes
        })
    })
}

/// Reads a bounded rest of a refused body: an HTTP/2 client that is still
/// sending would otherwise see its stream reset and not the answer.
pub(super) async fn drain(mut body: Body) {
    const LIMIT: usize = 1 << 20;
    let read = async {
        let mut seen = 0;
        while let Some(Ok(part)) = body.next().await {
            seen += part.len();
            if seen > LIMIT {
                break;
            }
        }
    };
    // Who sends slowly does not get the courtesy.
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
}

/// All headers; never rejects.
pub(super) fn headers() -> impl Filter<Extract = (HeaderMap,), Error = Infallible> + Clone {
    warp::header::headers_cloned()
}

/// A header as text; `None` if it is missing or not text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The token of `Authorization: Bearer`.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    text(headers, "authorization")?.strip_prefix("Bearer ").map(str::trim)
}

/// A fault as an answer with a problem body.
pub(super) fn problem(fault: &Fault) -> Response {
    let mut response = Response::new(serde_json::to_vec(&fault.problem).unwrap_or_default().into());
    *response.status_mut() = fault.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Puts a header whose value is made of digits, tokens and base64 only.
pub(super) fn put(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
