//! What every route needs: bodies within limits, answers as JSON, faults as
//! problems.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use duxue_protocol::problem::Problem;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::http::{HeaderValue, StatusCode, header};
use warp::reply::Response;

use crate::fault::{self, Fault};

/// What a handler gives.
pub type Answer = Result<Response, Fault>;

/// Bytes of a JSON body.
pub const JSON_BYTES: usize = 4 << 20;

/// A JSON answer.
///
/// # Errors
/// An internal fault where the value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> Answer {
    json_with(StatusCode::OK, value)
}

/// A JSON answer with a status.
///
/// # Errors
/// An internal fault where the value cannot be written as JSON.
pub fn json_with<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        fault::internal()
    })?;
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// An answer without a body.
#[must_use]
pub fn nothing() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A problem as an answer.
#[must_use]
pub fn problem(status: StatusCode, problem: &Problem) -> Response {
    // A problem is plain text in a struct; if it cannot be written the status
    // still says enough.
    let mut response = json_with(status, problem).unwrap_or_default();
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// An answer or its problem.
#[must_use]
pub fn shown(answer: Answer) -> Response {
    answer.unwrap_or_else(|fault| problem(fault.status, &fault.problem))
}

/// Runs a handler within the time that a request may take. After path and
/// method have matched nothing rejects, since a rejection would be tried on
/// other routes and shadowed by theirs.
///
/// # Errors
/// Never.
pub async fn finish(within: Duration, handler: impl Future<Output = Answer>) -> Result<Response, Infallible> {
    let answer = tokio::time::timeout(within, handler).await.unwrap_or_else(|_| Err(fault::timeout()));
    Ok(shown(answer))
}

/// A request's body in parts.
pub type Body = Pin<Box<dyn Stream<Item = Result<Vec<u8>, warp::Error>> + Send>>;

/// Reads a body within a limit, whether its length was stated or not.
///
/// # Errors
/// `request.too_large`, or `request.malformed` where the body breaks off.
pub async fn bytes(mut body: Body, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| fault::bad_request())?;
        if bytes.len() + part.len() > limit {
            return Err(fault::too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Reads a JSON body.
///
/// # Errors
/// `request.too_large` or `request.malformed`.
pub async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Fault> {
    let bytes = bytes(body, JSON_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| fault::bad_request().with_detail(error.to_string()))
}
