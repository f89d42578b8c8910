//! Request bodies in parts, headers, and answers.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::StreamExt;
use warp::Filter;
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;

use crate::fault::Fault;
use crate::http::{reply, with};

pub(super) use reply::Body;
pub(super) use with::body;

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
    with::bearer(text(headers, "authorization")?)
}

/// A fault as an answer with a problem body.
pub(super) fn problem(fault: &Fault) -> Response {
    reply::problem(fault.status, &fault.problem)
}

/// Puts a header whose value is made of digits, tokens and base64 only.
pub(super) fn put(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
