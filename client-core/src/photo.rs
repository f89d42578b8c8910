//! Photos on their way to the server.

use serde::{Deserialize, Serialize};

use duxue_document::PhotoHash;
use duxue_protocol::problem::Problem;

use crate::command::Subject;

/// Bytes sent per request: small enough to lose little on a bad network, big
/// enough that the round trips do not dominate on a good one.
pub const PART_BYTES: u64 = 512 * 1024;

/// A photo that this device took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoRecord {
    /// Its hash and only name.
    pub photo: PhotoHash,
    /// Number of bytes.
    pub length: u64,
    /// Media type.
    pub media: String,
    /// The school whose survey it belongs to.
    pub subject: Subject,
    /// How far it is.
    pub state: PhotoState,
}

/// How far a photo is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PhotoState {
    /// Nothing was sent.
    Waiting,
    /// An upload is open on the server.
    Uploading {
        /// Its address.
        url: String,
        /// Bytes that the server said it has.
        sent: u64,
    },
    /// The server has all bytes; no receipt yet.
    Sent,
    /// A verified receipt covers it.
    Receipted {
        /// Server time of the receipt.
        at_ms: i64,
    },
    /// A receipt covers it and the local copy is gone.
    Freed {
        /// Server time of the receipt.
        at_ms: i64,
    },
    /// The server refused it for good; the local copy stays.
    Stuck {
        /// Why.
        problem: Problem,
    },
}

impl PhotoRecord {
    /// Bytes that are still to be sent.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        match &self.state {
            PhotoState::Waiting | PhotoState::Stuck { .. } => self.length,
            PhotoState::Uploading { sent, .. } => self.length.saturating_sub(*sent),
            PhotoState::Sent | PhotoState::Receipted { .. } | PhotoState::Freed { .. } => 0,
        }
    }

    /// Whether an upload can go on.
    #[must_use]
    pub fn wants_upload(&self) -> bool {
        matches!(self.state, PhotoState::Waiting | PhotoState::Uploading { .. })
    }
}

/// What an answer of the upload server means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadStep {
    /// The server has this many bytes at this address.
    At {
        /// The upload's address.
        url: String,
        /// Bytes there.
        sent: u64,
    },
    /// Ask again what the server has.
    AskOffset,
    /// The upload is gone; begin again.
    Restart,
    /// The server's trouble; try later.
    Later,
    /// Log in again.
    LoginNeeded,
    /// Refused for good.
    Refused(Problem),
}

/// Whether a status can get better by itself.
fn by_status(status: u16, body: &[u8]) -> UploadStep {
    match status {
        401 => UploadStep::LoginNeeded,
        404 | 410 => UploadStep::Restart,
        // 460: checksum mismatch; 423: another request holds the upload.
        409 | 423 | 460 => UploadStep::AskOffset,
        408 | 425 | 429 | 500..=599 => UploadStep::Later,
        _ => UploadStep::Refused(refusal(status, body)),
    }
}

/// The server's own words if it gave any.
pub fn refusal(status: u16, body: &[u8]) -> Problem {
    duxue_protocol::json::read(body).unwrap_or_else(|_| {
        Problem::new("server.refused", "服务器拒绝了请求", "the server refused the request")
            .with_detail(format!("HTTP {status}"))
    })
}

/// Reads the answer to creating an upload. `server` is the address that the
/// token may be sent to: an upload elsewhere is not followed.
#[must_use]
pub fn created(server: &str, answer: &crate::HttpAnswer) -> UploadStep {
    if answer.status != 201 && answer.status != 200 {
        // A missing address when creating is the server's business, not an
        // upload that went away.
        return match by_status(answer.status, &answer.body) {
            UploadStep::Restart => UploadStep::Refused(refusal(answer.status, &answer.body)),
            UploadStep::AskOffset => UploadStep::Later,
            step => step,
        };
    }
    let location = answer.headers.get("location").map(String::as_str).unwrap_or_default();
    let url = if location.starts_with('/') { format!("{server}{location}") } else { location.to_owned() };
    if !url.strip_prefix(server).is_some_and(|rest| rest.starts_with('/')) {
        return UploadStep::Later;
    }
    UploadStep::At { url, sent: offset(answer).unwrap_or(0) }
}

/// Reads the answer to HEAD or PATCH of the upload at `url`.
#[must_use]
pub fn progressed(url: &str, answer: &crate::HttpAnswer) -> UploadStep {
    match (answer.status, offset(answer)) {
        (200 | 204, Some(sent)) => UploadStep::At { url: url.to_owned(), sent },
        (200 | 204, None) => UploadStep::Later,
        _ => by_status(answer.status, &answer.body),
    }
}

fn offset(answer: &crate::HttpAnswer) -> Option<u64> {
    answer.headers.get("upload-offset")?.parse().ok()
}

/// tus metadata: each value in base64.
#[must_use]
pub fn metadata(record: &PhotoRecord) -> String {
    let photo = record.photo.to_string();
    [
        ("sha256", photo.as_str()),
        ("round", record.subject.round.as_str()),
        ("school", record.subject.school.as_str()),
        ("filetype", record.media.as_str()),
    ]
    .map(|(name, value)| format!("{name} {}", base64(value.as_bytes())))
    .join(",")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
