//! Who this device is, and which server it trusts.

use serde::{Deserialize, Serialize};

use duxue_document::{DeviceId, PersonId};

/// A log-in with the server's receipt key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The server's address without a slash at the end.
    pub server: String,
    /// Opaque session token.
    pub token: String,
    /// Who is logged in.
    pub person: PersonId,
    /// This device, if it is enrolled.
    pub device: Option<DeviceId>,
    /// When the token ends, by the server's clock.
    pub expires_ms: i64,
    /// The key that receipts must be signed with, lower-case hex.
    pub server_key: String,
    /// Server clock minus device clock at the last contact, ms.
    pub clock_offset_ms: i64,
    /// The device's Ed25519 secret, lower-case hex; absent for desk log-ins.
    pub device_secret: Option<String>,
}

// Token and secret never reach a log.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} at {})", self.person, self.server)
    }
}

impl Identity {
    /// The address of the sync socket.
    #[must_use]
    pub fn socket_url(&self) -> String {
        let base = self
            .server
            .strip_prefix("https://")
            .map(|host| format!("wss://{host}"))
            .or_else(|| self.server.strip_prefix("http://").map(|host| format!("ws://{host}")))
            .unwrap_or_else(|| self.server.clone());
        format!("{base}/sync?token={}", self.token)
    }
}

/// Checks a server's address and cuts the slash at its end.
#[must_use]
pub fn server_address(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/?#@".contains(c));
    plain.then(|| text.to_owned())
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
