//! The upgrade to a WebSocket. warp's own cannot set the size of the read
//! buffer, which would make every idle client cost 128 KiB.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use duxue_protocol::problem::Problem;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use warp::Filter;
use warp::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use warp::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use warp::reply::Response;

use super::frames::Frames;
use super::layers::{Slot, problem};
use super::parts::Parts;
use super::progress::{Counted, Progress};
use super::{SocketLimits, Stop, Stopping};

/// An open WebSocket.
pub type Socket = Parts<WebSocketStream<Connection>>;

/// Boxed, because each future that it goes through would have room for a copy:
/// a connection that is idle costs 15 kB instead of 17.
type Connection = Box<Frames<Counted<TokioIo<Upgraded>>>>;

/// The version of the WebSocket protocol; there is no other.
const VERSION: &str = "13";

/// Extracts what is needed to answer an upgrade; never rejects, so that a
/// plain request to the path is answered with the reason by [`Upgrade::run`].
/// `stop` is the same that [`super::serve`] gets.
pub fn ws(stop: Stop, limits: SocketLimits) -> impl Filter<Extract = (Upgrade,), Error = Infallible> + Clone {
    warp::method()
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::ext::optional::<Slot>())
        .map(move |method: Method, headers: HeaderMap, upgrade: Option<OnUpgrade>, slot| Upgrade {
            request: upgrade.zip(accept_key(&method, &headers)),
            slot,
            stop: stop.clone(),
            limits,
        })
}

/// A request that may become a WebSocket.
pub struct Upgrade {
    /// The connection to take over and the answer to the client's key, if the
    /// request is a right one.
    request: Option<(OnUpgrade, HeaderValue)>,
    slot: Option<Slot>,
    stop: Stop,
    limits: SocketLimits,
}

impl Upgrade {
    /// Takes no larger messages than this, whatever else the limits say.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Self {
        self.limits.message_bytes = self.limits.message_bytes.min(bytes);
        self.limits.frame_bytes = self.limits.frame_bytes.min(bytes);
        self
    }

    /// Answers the upgrade and runs `session` on the socket, in a task that
    /// the server waits for when it stops. `session` has until the deadline
    /// after [`Stopping::wait`] returns, to say so and to close.
    pub fn run<F, S>(self, session: S) -> Response
    where
        S: FnOnce(Socket, Arc<Progress>, Stopping) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let Some((upgrade, accept)) = self.request else {
            return not_an_upgrade();
        };
        let (slot, limits, stopping) = (self.slot, self.limits, self.stop.stopping());
        self.stop.spawn(async move {
            match upgrade.await {
                Ok(connection) => {
                    let progress = Arc::new(Progress::default());
                    let connection = Counted::new(TokioIo::new(connection), Arc::clone(&progress));
                    let most = limits.message_bytes.min(limits.frame_bytes);
                    let connection = Box::new(Frames::new(connection, Arc::clone(&progress), most));
                    Box::pin(session(open(connection, limits).await, progress, stopping)).await;
                }
                Err(error) => tracing::debug!(%error, "the upgrade was not completed"),
            }
            drop(slot);
        });
        switching(accept)
    }
}

async fn open(connection: Connection, limits: SocketLimits) -> Socket {
    let config = WebSocketConfig::default()
        .read_buffer_size(limits.read_buffer_bytes)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.write_buffer_bytes.max(1))
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(limits.frame_bytes));
    Parts::new(WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await)
}

/// The answer to the client's key, if the request is an upgrade to a WebSocket.
fn accept_key(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = *method == Method::GET
        && lists(headers, &CONNECTION, "upgrade")
        && lists(headers, &UPGRADE, "websocket")
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == VERSION);
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| upgrade)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

/// Whether a header that is a list of words has this one.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
}

fn switching(accept: HeaderValue) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn not_an_upgrade() -> Response {
    let mut response = problem(
        StatusCode::UPGRADE_REQUIRED,
        &Problem::new(
            "socket.upgrade_required",
            "此地址只接受 WebSocket 连接。",
            "This address takes WebSocket connections only.",
        ),
    );
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    response
}
