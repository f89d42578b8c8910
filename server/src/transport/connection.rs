//! One connection, from the socket to its last answer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceBuilder;
use warp::filters::BoxedFilter;
use warp::http::Response;

use super::address::Places;
use super::layers::{self, Peer, Slot};
use super::streams::{self, Streams};
use super::stuck::{Handed, Patient, Watch};
use super::turns::Turns;
use super::{Limits, Stopping};
use crate::config::refused;

/// The smallest read buffer that hyper takes.
const LEAST_BUFFER: usize = 8 << 10;
/// Bytes of an answer that wait for an HTTP/2 window.
const SEND_BUFFER: usize = 64 << 10;

/// What all connections have in common.
pub(super) struct Shared {
    pub routes: BoxedFilter<(warp::reply::Response,)>,
    pub tls: Option<TlsAcceptor>,
    pub limits: Limits,
    pub turns: Arc<Turns>,
    pub places: Arc<Places>,
}

/// An accepted connection.
pub(super) struct Connection {
    pub stream: TcpStream,
    pub peer: Peer,
    pub slot: Slot,
    pub shared: Arc<Shared>,
}

/// Everything but the stream.
struct Rest {
    peer: Peer,
    slot: Slot,
    shared: Arc<Shared>,
}

impl Connection {
    /// Serves the connection until it ends, or until its running request is
    /// answered once the server stops.
    pub async fn run(self, mut stopping: Stopping) {
        let Self { stream, peer, slot, shared } = self;
        // Small sync frames must not wait for the acknowledgement of others.
        let _ = stream.set_nodelay(true);
        let stream = Patient::new(stream, shared.limits.send);
        let rest = Rest { peer, slot, shared: Arc::clone(&shared) };
        let Some(tls) = &shared.tls else {
            return rest.http1(stream, stopping).await;
        };
        let handshake = tokio::select! {
            handshake = timeout(shared.limits.tls_handshake, tls.accept(stream)) => handshake,
            () = stopping.wait() => return,
        };
        match handshake {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                rest.http2(stream, stopping).await;
            }
            Ok(Ok(stream)) => rest.http1(stream, stopping).await,
            Ok(Err(error)) => tracing::debug!(?peer, %error, "TLS handshake failed"),
            Err(_) => {
                refused("tls_seconds");
                tracing::debug!(?peer, "TLS handshake took too long");
            }
        }
    }
}

impl Rest {
    async fn http1(self, stream: impl Stream, mut stopping: Stopping) {
        let Self { peer, slot, shared } = self;
        let limits = shared.limits;
        let service = layers::service(shared, peer, slot);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopping.wait() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // hyper says nowhere else what a request was over.
        match &ended {
            Err(error) if error.is_parse_too_large() => refused("header_bytes"),
            Err(error) if error.is_timeout() => refused("header_seconds"),
            _ => {}
        }
        log_end(peer, ended);
    }

    async fn http2(self, stream: impl Stream, mut stopping: Stopping) {
        let Self { peer, slot, shared } = self;
        let limits = shared.limits;
        let (watch, streams) = (Arc::new(Watch::default()), Streams::new(limits.streams));
        let (watched, opened) = (Arc::clone(&watch), Arc::clone(&streams));
        let service = ServiceBuilder::new()
            .map_future(move |answer| answered(answer, opened.open(), Arc::clone(&watched)))
            .service(layers::service(shared, peer, slot));
        // Beyond what we refuse with a reason.
        let header_bytes = u32::try_from(limits.header_bytes.saturating_mul(2)).unwrap_or(u32::MAX);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(limits.ping_every)
            .keep_alive_timeout(limits.ping_answer)
            .max_concurrent_streams(limits.streams)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(header_bytes)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let mut stuck = pin!(watch.stuck(limits.send));
        tokio::select! {
            ended = connection.as_mut() => return log_end(peer, ended),
            () = stuck.as_mut() => return,
            () = streams.idle(limits.headers) => refused("header_seconds"),
            () = stopping.wait() => {}
        }
        // hyper waits for ever for the first word of a peer, and would now.
        if !streams.begun() {
            return;
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => log_end(peer, ended),
            () = stuck => {}
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// An answer that is watched, and whose request is counted, until it is taken.
async fn answered<B, E>(
    answer: impl Future<Output = Result<Response<B>, E>>,
    stream: streams::Stream,
    watch: Arc<Watch>,
) -> Result<Response<Handed<B>>, E> {
    Ok(answer.await?.map(|body| Handed::new(body, &watch, stream)))
}

/// Strangers end connections badly all the time; only who looks for it sees it.
fn log_end(peer: Peer, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(?peer, %error, "connection ended");
    }
}
