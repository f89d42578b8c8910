//! Headers within their limit, with an answer that says so. The libraries have
//! limits of their own behind it, so that there is no more to look at: HTTP/1's
//! is as large, and its refusals are seen when the connection ends; HTTP/2's is
//! twice as large, and nobody is told what it refuses.

use std::convert::Infallible;
use std::task::{Context, Poll};

use duxue_protocol::problem::Problem;
use futures_util::future::{Either, Ready, ready};
use hyper::body::Incoming;
use tower::Service;
use warp::http::{HeaderMap, Request, StatusCode, Uri};

use crate::config::refused;

use super::layers::problem;

/// Refuses requests whose headers have more bytes than this.
#[derive(Clone)]
pub(super) struct Short<S> {
    pub inner: S,
    pub most: usize,
}

impl<S> Service<Request<Incoming>> for Short<S>
where
    S: Service<Request<Incoming>, Response = warp::reply::Response, Error = Infallible>,
{
    type Response = warp::reply::Response;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Self::Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if bytes(request.uri(), request.headers()) <= self.most {
            return Either::Left(self.inner.call(request));
        }
        refused("header_bytes");
        Either::Right(ready(Ok(problem(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            &Problem::new(
                "request.headers",
                "请求头超过大小限制。",
                "The headers are larger than the limit.",
            ),
        ))))
    }
}

/// Bytes of headers as HTTP/1 writes them: `name: value` and the end of a line.
fn bytes(uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    path + fields.sum::<usize>()
}
