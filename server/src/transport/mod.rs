//! From a listening socket to warp's filters and back, with limits.
//!
//! warp 0.4's own server has no TLS, no limit on connections and no timeout
//! for headers, so the accept loop is ours: a slot for each connection → TLS
//! → HTTP/1.1 or HTTP/2, as ALPN agreed → a few layers → the filters. Plain
//! connections speak HTTP/1.1 only: hyper-util's guess of the version waits
//! without a timeout for its first bytes.
//!
//! A connection whose peer takes nothing of an answer ends. What is
//! deliberately absent: a timeout for request bodies of people (a photo over
//! a bad line may take hours; the upload handler decides), and pings (the
//! session that owns a socket knows when it last heard from its peer).

mod address;
mod connection;
mod files;
mod frames;
mod headers;
mod layers;
mod limits;
mod listen;
mod parts;
mod progress;
mod stop;
mod streams;
mod stuck;
#[cfg(test)]
mod tests;
mod tls;
mod turns;
mod ws;

pub use address::Source;
pub use files::allow as allow_files;
pub use layers::Peer;
pub(crate) use limits::{COMPRESS_ABOVE, HTTP2_PING};
pub use limits::{Limits, SocketLimits};
pub use listen::{Trust, listen, serve};
pub use progress::{Ask, Progress, Room};
pub use stop::{Ended, Stop, Stopping};
pub use tls::tls;
pub use turns::Known;
pub use ws::{Socket, Upgrade, ws};

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use duxue_protocol::problem::Problem;

/// Why the server cannot listen. Each is for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The address is taken, or not one of this machine, or needs privileges.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address as configured.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate or key file cannot be read or holds none.
    #[error("cannot use {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Key and certificate do not belong together, or the key is of an
    /// unknown kind.
    #[error("cannot use the certificate with this key: {source}")]
    Tls {
        /// What rustls says.
        source: tokio_rustls::rustls::Error,
    },
}

impl TransportError {
    /// The error for the operator.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let problem = match self {
            Self::Bind { .. } => Problem::new(
                "transport.bind",
                "无法监听所配置的地址。",
                "Cannot listen on the configured address.",
            ),
            Self::Certificate { .. } => Problem::new(
                "transport.certificate",
                "无法读取证书或私钥文件。",
                "Cannot read the certificate or key file.",
            ),
            Self::Tls { .. } => Problem::new(
                "transport.tls",
                "证书与私钥不匹配，或私钥类型不受支持。",
                "The certificate and the key do not fit together.",
            ),
        };
        problem.with_detail(self.to_string())
    }
}
