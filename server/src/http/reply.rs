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

use crate::app::App;
use crate::config::refused;
use crate::fault::{self, Fault};

/// What a handler gives.
pub type Answer = Result<Response, Fault>;

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

/// Answers with what a handler gives within the time that a request may take.
/// After path and method have matched nothing rejects, since a rejection would
/// be tried on other routes and shadowed by theirs.
///
/// The handler runs in a task of its own, to its end: when time is up or the
/// connection dies, the server drops the request's future in the middle, and
/// what the store has taken must still become visible in memory.
///
/// # Errors
/// Never.
pub async fn finish(
    within: Duration,
    handler: impl Future<Output = Answer> + Send + 'static,
) -> Result<Response, Infallible> {
    let answer = match tokio::time::timeout(within, tokio::spawn(handler)).await {
        Ok(Ok(answer)) => answer,
        // The panic hook reported it.
        Ok(Err(_)) => Err(fault::internal()),
        Err(_) => Err(fault::timeout()),
    };
    Ok(shown(answer))
}

/// A request's body in parts.
pub type Body = Pin<Box<dyn Stream<Item = Result<Vec<u8>, warp::Error>> + Send>>;

/// Reads a body within a limit, whether its length was stated or not. `name`
/// is the limit's name, and all of it has to come `within` a time: a handler
/// outlives its request, and a byte now and then is no sign of life.
///
/// # Errors
/// `request.too_large`, `request.timeout`, or `request.malformed` where the
/// body breaks off.
pub async fn bytes(body: Body, limit: usize, name: &'static str, within: Duration) -> Result<Vec<u8>, Fault> {
    tokio::time::timeout(within, all_of(body, limit, name)).await.map_err(|_| {
        refused("request_seconds");
        fault::timeout()
    })?
}

async fn all_of(mut body: Body, limit: usize, name: &'static str) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| fault::bad_request())?;
        if bytes.len() + part.len() > limit {
            refused(name);
            return Err(fault::too_large().with_detail(format!("{name} = {limit}")));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Reads a JSON body.
///
/// # Errors
/// `request.too_large` or `request.malformed`.
pub async fn read<T: DeserializeOwned>(app: &App, body: Body) -> Result<T, Fault> {
    read_within(body, app.bodies().json, "json_bytes", app.request_time()).await
}

/// Reads a JSON body of someone who has not shown yet who they are.
///
/// # Errors
/// `request.too_large` or `request.malformed`.
pub async fn read_small<T: DeserializeOwned>(app: &App, body: Body) -> Result<T, Fault> {
    read_within(body, app.bodies().stranger, "stranger_json_bytes", app.request_time()).await
}

async fn read_within<T: DeserializeOwned>(
    body: Body,
    limit: usize,
    name: &'static str,
    within: Duration,
) -> Result<T, Fault> {
    let bytes = bytes(body, limit, name, within).await?;
    serde_json::from_slice(&bytes).map_err(|error| fault::bad_request().with_detail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use crate::config::counted::Counted;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_a_byte_at_a_time_ends_with_the_time_of_a_request() {
        let second = Duration::from_secs(1);
        let bytes_at = |every: Duration, count: usize| -> Body {
            let parts = futures_util::stream::iter(0..count).then(move |_| async move {
                // polls: the clock is paused, so nobody waits.
                tokio::time::sleep(every).await;
                Ok(vec![b' '])
            });
            Box::pin(parts)
        };
        let read = async |every, count| bytes(bytes_at(every, count), 100, "json_bytes", 10 * second).await;
        let counted = Counted::new();
        assert_eq!(read(second, 9).await.map(|bytes| bytes.len()), Ok(9));
        assert_eq!(counted.refused("request_seconds"), 0);
        assert_eq!(read(second, 99).await.map_err(|fault| fault.status), Err(StatusCode::REQUEST_TIMEOUT));
        assert_eq!((counted.refused("request_seconds"), counted.refused("json_bytes")), (1, 0));
        assert_eq!(
            read(second / 100, 101).await.map_err(|fault| fault.status),
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        );
        assert_eq!((counted.refused("request_seconds"), counted.refused("json_bytes")), (1, 1));
    }

    #[tokio::test]
    async fn a_handler_runs_to_its_end_when_nobody_waits_for_it() {
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let handler = async move {
            let _ = wait.await;
            let _ = done.send(());
            Ok(nothing())
        };
        let answer = finish(Duration::ZERO, handler).await;
        assert_eq!(answer.map(|answer| answer.status()), Ok(StatusCode::REQUEST_TIMEOUT));
        drop(go);
        assert_eq!(ended.await, Ok(()));
    }
}
