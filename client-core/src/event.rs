//! What enters the engine and what it asks of the shell around it.
//!
//! Everything is plain data. Effects that answer carry an id; the shell
//! reports the outcome, failure included, as an event with the same id.

use duxue_document::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use duxue_document::{DocumentId, PhotoHash};
use duxue_protocol::problem::Problem;

use crate::command::{Command, Reply};

macro_rules! counter_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);
    };
}

counter_id!(
    /// Names a storage task; made by the engine.
    StorageId
);
counter_id!(
    /// Names an HTTP request; made by the engine.
    HttpId
);
counter_id!(
    /// Names one connection; made by the engine. Events of an older one are ignored.
    LinkId
);
counter_id!(
    /// Names a command; made by the shell.
    CommandId
);

/// A key of the client's store: words joined by `/`.
pub type Key = String;

/// What happened.
pub enum Event {
    /// The store is open; the first event.
    Start(StoreInfo),
    /// A storage task ended.
    Stored {
        /// Which.
        id: StorageId,
        /// How.
        result: Result<StorageAnswer, StorageError>,
    },
    /// A connection was opened.
    Connected {
        /// Which.
        link: LinkId,
    },
    /// A frame arrived.
    Frame {
        /// On which connection.
        link: LinkId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// A connection ended or could not be opened.
    Disconnected {
        /// Which.
        link: LinkId,
        /// Why.
        reason: Problem,
    },
    /// An HTTP request ended.
    Http {
        /// Which.
        id: HttpId,
        /// The answer, or why none came.
        result: Result<HttpAnswer, HttpError>,
    },
    /// The time of [`Effect::SetTimer`] has come.
    Timer,
    /// The user wants something.
    Command {
        /// Named by the shell; the reply carries it.
        id: CommandId,
        /// What.
        command: Command,
    },
}

/// What the shell knows about the store that it opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreInfo {
    /// Names this physical store: changes when the store is copied, or restored
    /// in place or elsewhere (native: machine, device and inode of the lock
    /// file, and the life that marks inside and outside the records share).
    pub stamp: String,
    /// Whether nobody else can have the store open.
    pub exclusive: bool,
}

/// What storage should do. Each write is one atomic batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageTask {
    /// Reads every key that starts with the prefix.
    LoadRange {
        /// The prefix.
        prefix: Key,
    },
    /// Puts and deletes, all or nothing. It has happened when it is on disk,
    /// flushed. Deleting a key that is not there succeeds.
    Write {
        /// What to put.
        puts: Vec<(Key, Vec<u8>)>,
        /// What to delete.
        deletes: Vec<Key>,
    },
}

/// How a storage task ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageAnswer {
    /// What was found.
    Range {
        /// The keys that can be read, in order, each with its bytes.
        rows: Vec<(Key, Vec<u8>)>,
        /// The keys whose bytes are there and cannot be read. They are left as
        /// they are.
        unreadable: Vec<Key>,
    },
    /// The batch is durable.
    Written,
}

/// How storage fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No room.
    #[error("the disk is full")]
    Full,
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Where the bytes of a request come from.
#[derive(Clone, PartialEq, Eq)]
pub enum HttpBody {
    /// No body.
    Empty,
    /// JSON text.
    Json(String),
    /// A part of a stored photo, read by the shell.
    Photo {
        /// Which photo.
        photo: PhotoHash,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u64,
    },
}

/// A request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST`, `HEAD` or `PATCH`.
    pub method: &'static str,
    /// The whole address.
    pub url: String,
    /// Headers; may hold the token.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: HttpBody,
}

// A token is in the headers, and may be in the address: never in a log.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url.split('?').next().unwrap_or_default())
    }
}

/// An answer of any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// None came; the request may have been heard. Better luck later.
    NoAnswer(Problem),
    /// The photo cannot be read on this device: nothing was sent, and trying
    /// again by itself would not help.
    PhotoUnreadable(Problem),
}

impl HttpError {
    /// What to tell people.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        match self {
            Self::NoAnswer(problem) | Self::PhotoUnreadable(problem) => problem,
        }
    }
}

/// What the shell should do.
#[derive(Debug)]
pub enum Effect {
    /// Uses the store; answered by [`Event::Stored`].
    Storage {
        /// Names the task.
        id: StorageId,
        /// What to do.
        task: StorageTask,
    },
    /// Opens a WebSocket; answered by [`Event::Connected`] or [`Event::Disconnected`].
    Connect {
        /// Names the connection.
        link: LinkId,
        /// Where.
        url: SecretUrl,
    },
    /// Sends a binary frame; nothing answers.
    SendFrame {
        /// On which connection.
        link: LinkId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// Closes a connection; answered by nothing that matters.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Sends a request; answered by [`Event::Http`].
    Http {
        /// Names the request.
        id: HttpId,
        /// What to send.
        request: HttpRequest,
    },
    /// Wants [`Event::Timer`] at this time; replaces the earlier wish.
    SetTimer {
        /// By the clock that `handle` is given.
        at_ms: i64,
    },
    /// Deletes the local copy of a photo, which a receipt covers.
    FreePhoto {
        /// Which.
        photo: PhotoHash,
    },
    /// Answers a command. What it reports as saved is on disk.
    Reply {
        /// The command.
        id: CommandId,
        /// Its result.
        result: Result<Reply, Problem>,
    },
    /// Something that the user may want to see.
    Notice(Notice),
}

/// An address that holds a token.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(pub String);

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.split('?').next().unwrap_or_default())
    }
}

/// Something that happened by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// Everything stored was read; queries and commands work.
    Ready,
    /// The store cannot be used; nothing works.
    Broken {
        /// Why.
        problem: Problem,
    },
    /// A document changed.
    Changed {
        /// Which.
        document: DocumentId,
    },
    /// The connection is up.
    Online,
    /// The connection is down.
    Offline {
        /// Why.
        reason: Problem,
        /// When it is tried again, if it is.
        retry_ms: Option<i64>,
    },
    /// The server does not accept the log-in any more.
    LoginNeeded,
    /// What could not be stored is stored now.
    SavedLate {
        /// The document.
        document: DocumentId,
    },
    /// A photo moved.
    Photo {
        /// Which.
        photo: PhotoHash,
        /// Bytes that the server has.
        sent: u64,
        /// Bytes in all.
        length: u64,
    },
    /// Nothing more can be exchanged now: all that could be sent was, and
    /// receipts were asked for.
    Settled {
        /// Whether nothing waits any more.
        clean: bool,
    },
    /// Something was refused or does not hold.
    Trouble {
        /// What.
        problem: Problem,
    },
}
