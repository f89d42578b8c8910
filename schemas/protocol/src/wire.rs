//! The automerge-repo WebSocket protocol, version "1": one CBOR map per
//! binary frame.
//!
//! Follows what the npm packages send, not their README: maps come with
//! 16-bit lengths, absent values as `undefined`, integers above 2^32 as
//! floats, and the metadata under two names. Unknown keys and unknown message
//! types are let through, so that a newer peer keeps working.
//!
//! Only this module and its children know serde_cbor, which is no longer
//! maintained; [`decode`] and [`encode`] are the whole interface. Of outside bytes
//! only the fields of a message are kept, after a walk that has bounded how many
//! items there are: any value would cost fifty times its size.

mod de;
mod preflight;
mod ser;
#[cfg(test)]
mod tests;

use duxue_document::collections::BTreeMap;

use duxue_document::{DocumentId, IdError};

/// The only protocol version that there is.
pub const PROTOCOL_VERSION: &str = "1";

/// What a frame may cost before any of it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole frame. A first upload of a school's documents
    /// measured 2.6 kB per 40 changes; 4 MiB is a thousand times a visit.
    pub frame_bytes: usize,
    /// Bytes of one text: peer ids are 30, heads 50, error messages short.
    pub text_bytes: usize,
    /// Containers inside containers. `newHeads` needs four.
    pub depth: usize,
    /// Keys, values and list members of the whole frame. A desk that follows
    /// every document of a large county sends some two thousand.
    pub items: usize,
}

impl Limits {
    /// What every side can be sent.
    pub const DEFAULT: Self = Self { frame_bytes: 4 << 20, text_bytes: 4096, depth: 8, items: 16_384 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a peer says about itself when it connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Names the peer's store, which outlives its connections.
    pub storage_id: Option<String>,
    /// The peer keeps nothing; its sync state need not be remembered.
    pub is_ephemeral: Option<bool>,
}

/// What another store has of a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageHeads {
    /// Heads as bs58check text.
    pub heads: Vec<String>,
    /// The peer's clock, ms since 1970; trusted for nothing.
    pub timestamp: u64,
}

/// One frame. Ids stay text here; [`document_id`] reads one. Nothing in a
/// frame is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A client's first frame.
    Join {
        /// The client's name for this connection.
        sender_id: String,
        /// About the client.
        metadata: Metadata,
        /// Versions that the client speaks.
        supported_protocol_versions: Vec<String>,
    },
    /// The server's answer to [`Message::Join`].
    Peer {
        /// The server's name.
        sender_id: String,
        /// About the server.
        metadata: Metadata,
        /// The version from now on.
        selected_protocol_version: String,
        /// The client.
        target_id: String,
    },
    /// The sender gives up and closes.
    Error {
        /// Who gives up; some senders leave it out.
        sender_id: Option<String>,
        /// Why, for a log.
        message: String,
        /// Whom it concerns; some senders leave it out.
        target_id: Option<String>,
        /// The document that it is about, as bs58check text. Only our server
        /// says so; others' clients skip a field that they do not know.
        document_id: Option<String>,
    },
    /// The sender goes. The npm packages neither send nor read it.
    Leave {
        /// Who goes.
        sender_id: String,
    },
    /// A sync message from a peer that does not have the document yet.
    Request {
        /// Who asks.
        sender_id: String,
        /// Whom.
        target_id: String,
        /// The document as bs58check text.
        document_id: String,
        /// Automerge's sync message; the npm packages never send an empty one.
        data: Vec<u8>,
    },
    /// A sync message from a peer that has the document.
    Sync {
        /// Who sends.
        sender_id: String,
        /// To whom.
        target_id: String,
        /// The document as bs58check text.
        document_id: String,
        /// Automerge's sync message; the npm packages never send an empty one.
        data: Vec<u8>,
    },
    /// The sender does not have the document, or does not give it.
    DocUnavailable {
        /// Who sends.
        sender_id: String,
        /// To whom.
        target_id: String,
        /// The document as bs58check text.
        document_id: String,
    },
    /// Something for those who have the document open; never stored.
    Ephemeral {
        /// Who said it first; kept when forwarded.
        sender_id: String,
        /// To whom this frame goes.
        target_id: String,
        /// The document as bs58check text.
        document_id: String,
        /// Rises by one with each message of a session; at most 2^53.
        count: u64,
        /// The sender's session.
        session_id: String,
        /// CBOR of the application's own.
        data: Vec<u8>,
    },
    /// Which stores' heads the sender wants to hear of.
    RemoteSubscriptionChange {
        /// Who sends.
        sender_id: String,
        /// To whom.
        target_id: String,
        /// Storage ids that are new.
        add: Vec<String>,
        /// Storage ids that are no longer wanted.
        remove: Vec<String>,
    },
    /// What other stores have.
    RemoteHeadsChanged {
        /// Who sends.
        sender_id: String,
        /// To whom.
        target_id: String,
        /// The document as bs58check text.
        document_id: String,
        /// By storage id.
        new_heads: BTreeMap<String, StorageHeads>,
    },
    /// A well-formed frame of a type that this version does not know. Its
    /// other fields are not kept.
    Unknown {
        /// The type as sent.
        kind: String,
    },
}

/// A frame that is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The frame, one of its texts, its nesting or its number of items is
    /// over the limit.
    #[error("{what} is over the limit of {limit}")]
    OverLimit {
        /// Which limit: the field's name in [`Limits`].
        what: &'static str,
        /// Its value.
        limit: usize,
    },
    /// Not one complete CBOR item.
    #[error("not CBOR at byte {offset}")]
    NotCbor {
        /// Where it stopped making sense.
        offset: usize,
    },
    /// CBOR, but not a message: a field is missing or has another type.
    #[error("not a message: {reason}")]
    NotAMessage {
        /// Names the field.
        reason: String,
    },
}

impl WireError {
    /// Stable code for logs, metrics and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OverLimit { .. } => "wire.over_limit",
            Self::NotCbor { .. } => "wire.not_cbor",
            Self::NotAMessage { .. } => "wire.not_a_message",
        }
    }
}

/// Reads one frame. Allocates no more than the frame's own size and a small
/// constant, whatever the frame declares.
///
/// # Errors
/// [`WireError`]; the connection has nothing sensible to say after one.
pub fn decode(frame: &[u8], limits: &Limits) -> Result<Message, WireError> {
    preflight::check(frame, limits)?;
    de::message(frame)
}

/// Writes one frame as the npm packages and samod read it: definite lengths,
/// byte strings for data, absent fields left out.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    ser::frame(message)
}

/// Reads a frame's document id.
///
/// # Errors
/// [`IdError`] where the text is not bs58check of 16 bytes.
pub fn document_id(text: &str) -> Result<DocumentId, IdError> {
    text.parse()
}
