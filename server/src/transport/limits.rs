//! What a stranger may cost before anyone has looked at what they send.

use std::time::Duration;

use crate::config;

/// Between HTTP/2 pings, and for the answer to one: no limit of a peer's, and
/// nothing that an operator would change.
pub(crate) const HTTP2_PING: Duration = Duration::from_secs(20);
/// Bytes of a body below which compressing it is not worth a header.
pub(crate) const COMPRESS_ABOVE: u64 = 1_024;

/// Limits of the HTTP side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, open WebSockets among them. More wait in the
    /// system's queue. A county has some 300 people; each browser holds a few.
    pub connections: usize,
    /// Connections at once from one address (IPv6: one /64), this machine and
    /// proxies that the settings name apart; more are closed at once.
    pub connections_per_address: usize,
    /// Requests worked on at once, over all connections; more are refused.
    pub requests: usize,
    /// The same for requests without a token that stands, which take none of
    /// the others' places.
    pub stranger_requests: usize,
    /// Bytes of the body of such a request.
    pub stranger_body_bytes: usize,
    /// For the body of such a request.
    pub stranger_body: Duration,
    /// How long a peer may take nothing of an answer.
    pub send: Duration,
    /// For the TLS handshake: three round trips on a bad mobile line.
    pub tls_handshake: Duration,
    /// For a request's headers, and how long a connection may be idle between
    /// requests. Without it a client that sends a byte a minute keeps its slot.
    pub headers: Duration,
    /// Bytes of a request's headers, and of hyper's read buffer.
    pub header_bytes: usize,
    /// Between HTTP/2 pings; finds phones that went away without a word.
    pub ping_every: Duration,
    /// For the answer to an HTTP/2 ping.
    pub ping_answer: Duration,
    /// Requests at once on one HTTP/2 connection; a page loads some twenty.
    pub streams: u32,
    /// Bodies below this are sent as they are; a packet holds no less.
    pub compress_above: u64,
    /// For running requests and sockets to end after the server was told to
    /// stop; then they are dropped. Service managers wait 30 to 90 seconds.
    pub stop: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        config::Limits::default().transport()
    }
}

/// Limits of one WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketLimits {
    /// Bytes of one message, in however many frames. The same as a frame of
    /// the sync protocol may have.
    pub message_bytes: usize,
    /// Bytes of one frame; peers send each message in one.
    pub frame_bytes: usize,
    /// Resident for each socket from its first read, so it decides what an
    /// idle client costs; tungstenite's own choice is 128 KiB.
    pub read_buffer_bytes: usize,
    /// Bytes that wait to be written before sending fails. Messages are sent in
    /// parts, so a slow reader holds one part here and the rest of one message
    /// beside it; what comes after waits in the session, which can compute it
    /// again.
    pub write_buffer_bytes: usize,
    /// Bytes of a message of someone without a token that stands.
    pub stranger_bytes: usize,
}

impl Default for SocketLimits {
    fn default() -> Self {
        config::Limits::default().socket()
    }
}
