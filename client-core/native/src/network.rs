//! HTTP and WebSocket for the driver.

use std::time::Duration;

use duxue_client_core::error::unreachable;
use duxue_client_core::{
    CLOSED, Event, FRAME_BYTES_MAX, HttpAnswer, HttpBody, HttpError, HttpRequest, LinkId,
};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

const CONNECT: Duration = Duration::from_secs(15);
/// A request that moves no byte for this long has failed.
const READ: Duration = Duration::from_secs(60);

/// Whether a token may be sent to this address: encrypted, or this machine, or
/// the user insists.
#[must_use]
pub fn is_allowed(url: &str, insecure: bool) -> bool {
    if insecure || url.starts_with("https://") || url.starts_with("wss://") {
        return true;
    }
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("ws://")) else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The HTTP client that every command shares.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

/// Sends one request of the engine; `part` is the photo's part, if it has one.
///
/// # Errors
/// Why no answer came, for people.
pub async fn send(
    client: &reqwest::Client,
    request: HttpRequest,
    part: Option<Vec<u8>>,
) -> Result<HttpAnswer, HttpError> {
    let method = reqwest::Method::from_bytes(request.method.as_bytes())
        .map_err(|error| no_answer(error.to_string()))?;
    let mut builder = client.request(method, &request.url);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    builder = match request.body {
        HttpBody::Empty => builder,
        HttpBody::Json(text) => builder.header("content-type", "application/json").body(text),
        HttpBody::Photo { .. } => builder.body(part.unwrap_or_default()),
    };
    let answer = builder.send().await.map_err(|error| no_answer(plain(&error)))?;
    let status = answer.status().as_u16();
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let body = answer.bytes().await.map_err(|error| no_answer(plain(&error)))?.to_vec();
    Ok(HttpAnswer { status, headers, body })
}

fn no_answer(detail: String) -> HttpError {
    HttpError::NoAnswer(unreachable(detail))
}

/// The innermost cause, without the address, which may hold a token.
fn plain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Runs one connection until it ends; reports everything as events.
pub async fn socket(
    link: LinkId,
    url: String,
    mut outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
    events: mpsc::UnboundedSender<Event>,
) {
    let reason = match run_socket(link, &url, &mut outgoing, &events).await {
        Ok(()) => CLOSED,
        Err(reason) => unreachable(reason),
    };
    // Nobody listens any more only when the program ends.
    let _ = events.send(Event::Disconnected { link, reason });
}

async fn run_socket(
    link: LinkId,
    url: &str,
    outgoing: &mut mpsc::UnboundedReceiver<Vec<u8>>,
    events: &mpsc::UnboundedSender<Event>,
) -> Result<(), String> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let connecting = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
    let (stream, _) = tokio::time::timeout(CONNECT, connecting)
        .await
        .map_err(|_| "timed out".to_owned())?
        .map_err(|error| error.to_string())?;
    let (mut sink, mut frames) = stream.split();
    let _ = events.send(Event::Connected { link });
    loop {
        tokio::select! {
            frame = outgoing.recv() => match frame {
                Some(bytes) => sink.send(Message::Binary(bytes.into())).await.map_err(|error| error.to_string())?,
                None => {
                    let _ = sink.close().await;
                    return Ok(());
                }
            },
            frame = frames.next() => match frame {
                Some(Ok(Message::Binary(bytes))) => {
                    let _ = events.send(Event::Frame { link, bytes: bytes.to_vec() });
                }
                // Pings are answered by the library when the socket is polled.
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
            },
        }
    }
}
