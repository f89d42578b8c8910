//! One connection, from the socket to its last answer.

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
use super::stuck::{Handed, Patient, Watch};
use super::turns::Turns;
use super::{Limits, Stopping};

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
            Err(_) => tracing::debug!(?peer, "TLS handshake took too long"),
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
            .max_buf_size(limits.header_bytes)
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
        log_end(peer, ended);
    }

    async fn http2(self, stream: impl Stream, mut stopping: Stopping) {
        let Self { peer, slot, shared } = self;
        let limits = shared.limits;
        let watch = Arc::new(Watch::default());
        let watched = Arc::clone(&watch);
        let service = ServiceBuilder::new()
            .map_response(move |answer: Response<_>| answer.map(|body| Handed::new(body, &watched)))
            .service(layers::service(shared, peer, slot));
        let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
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
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stuck.as_mut() => return,
            () = stopping.wait() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        log_end(peer, ended);
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Strangers end connections badly all the time; only who looks for it sees it.
fn log_end(peer: Peer, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(?peer, %error, "connection ended");
    }
}
