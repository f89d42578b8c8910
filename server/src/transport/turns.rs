//! Who is worked for: requests take a turn, and those of strangers have a
//! share of their own, so that they can take nobody else's.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use duxue_protocol::problem::Problem;
use futures_util::future::BoxFuture;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::Service;
use warp::http::{HeaderMap, Request, StatusCode, Uri};

use crate::config::refused;

use super::Limits;
use super::layers::problem;

/// Whether a request carries a token that stands.
pub type Known = Arc<dyn Fn(&HeaderMap, &Uri) -> bool + Send + Sync>;

/// Bytes of a refused body that are read and dropped, for a client that is
/// still sending would see its connection end and not the answer.
const DRAINED: usize = 1 << 20;
/// For as long at most; who sends slowly does not get the courtesy.
const DRAINING: Duration = Duration::from_secs(2);

/// The turns of all connections.
pub(super) struct Turns {
    known: Known,
    requests: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// Bodies of strangers that are waited for; each is small.
    bodies: Arc<Semaphore>,
    body_bytes: usize,
    body_seconds: Duration,
}

impl Turns {
    pub fn new(limits: &Limits, known: Known) -> Arc<Self> {
        Arc::new(Self {
            known,
            requests: Arc::new(Semaphore::new(limits.requests)),
            strangers: Arc::new(Semaphore::new(limits.stranger_requests)),
            bodies: Arc::new(Semaphore::new(limits.connections)),
            body_bytes: limits.stranger_body_bytes,
            body_seconds: limits.stranger_body,
        })
    }

    /// Reads what a stranger sends, before there is a turn for it: one byte
    /// more than may be, so that whoever reads it sees that it is too much.
    async fn body(&self, mut body: Incoming) -> Result<Bytes, warp::reply::Response> {
        let Ok(_place) = Arc::clone(&self.bodies).try_acquire_owned() else {
            refused("connections");
            return Err(busy());
        };
        let most = self.body_bytes + 1;
        let small = body.size_hint().lower() < most as u64;
        let within = if small { self.body_seconds } else { DRAINING };
        let (mut kept, mut seen) = (Vec::new(), 0);
        let read = async {
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let Ok(data) = frame.map_err(|_| ())?.into_data() else { continue };
                kept.extend_from_slice(data.get(..data.len().min(most - kept.len())).unwrap_or_default());
                seen += data.len();
                if seen > DRAINED {
                    break;
                }
            }
            Ok::<(), ()>(())
        };
        match timeout(within, read).await {
            Err(_) if small => {
                refused("stranger_seconds");
                return Err(late());
            }
            // What broke off was not all of it.
            Ok(Err(())) => return Err(late()),
            _ => {}
        }
        if !small {
            // However much of it came.
            kept.resize(most, 0);
        }
        Ok(kept.into())
    }
}

/// Gives requests their turns. One that is answered later, such as a WebSocket
/// or a stream, has it until its answer begins.
#[derive(Clone)]
pub(super) struct Bounded<S> {
    pub inner: S,
    pub turns: Arc<Turns>,
}

impl<S> Service<Request<Incoming>> for Bounded<S>
where
    S: Service<Request<Incoming>, Response = warp::reply::Response, Error = Infallible>,
    S: Service<Request<Whole>, Response = warp::reply::Response, Error = Infallible>,
    S: Clone + Send + 'static,
    <S as Service<Request<Incoming>>>::Future: Send + 'static,
    <S as Service<Request<Whole>>>::Future: Send + 'static,
{
    type Response = warp::reply::Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Filters are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let (mut inner, turns) = (self.inner.clone(), Arc::clone(&self.turns));
        Box::pin(async move {
            if (turns.known)(request.headers(), request.uri()) {
                let Some(_turn) = turn(&turns.requests, "requests") else { return Ok(busy()) };
                return inner.call(request).await;
            }
            let (parts, body) = request.into_parts();
            let body = if body.is_end_stream() {
                Bytes::new()
            } else {
                match turns.body(body).await {
                    Ok(body) => body,
                    Err(answer) => return Ok(answer),
                }
            };
            let Some(_turn) = turn(&turns.strangers, "stranger_requests") else { return Ok(busy()) };
            inner.call(Request::from_parts(parts, Whole(Some(body)))).await
        })
    }
}

fn turn(of: &Arc<Semaphore>, limit: &'static str) -> Option<OwnedSemaphorePermit> {
    let turn = Arc::clone(of).try_acquire_owned().ok();
    if turn.is_none() {
        refused(limit);
    }
    turn
}

/// A body that is here.
pub(super) struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

fn busy() -> warp::reply::Response {
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        &Problem::new(
            "requests.too_many",
            "服务器正忙，请稍后重试。",
            "The server is busy; try again in a moment.",
        ),
    )
}

fn late() -> warp::reply::Response {
    let fault = crate::fault::timeout();
    problem(fault.status, &fault.problem)
}
