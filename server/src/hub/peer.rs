//! A connected session as documents see it: a bounded way out, and a way to
//! close it. A slow reader costs no memory: what does not fit is not queued,
//! the document is asked again when there is room.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use duxue_document::DocumentId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::accounts::Caller;

/// Frames that may wait for a socket.
pub const OUTBOX_FRAMES: usize = 8;

/// Why the server closes a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The WebSocket close code.
    pub code: u16,
    /// Stable code, sent as automerge-repo's `error` before the close.
    pub reason: &'static str,
}

/// A connected session.
pub struct Peer {
    /// Unique in this process.
    pub id: u64,
    /// Who speaks.
    pub caller: Caller,
    /// The `senderId` of its join.
    pub sender_id: String,
    outbox: mpsc::Sender<Vec<u8>>,
    blocked: Mutex<BTreeSet<DocumentId>>,
    closing: OnceLock<Closing>,
    closed: CancellationToken,
}

impl Peer {
    /// A peer and the end of its outbox that the socket reads.
    #[must_use]
    pub fn new(id: u64, caller: Caller, sender_id: String) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (outbox, frames) = mpsc::channel(OUTBOX_FRAMES);
        let peer = Self {
            id,
            caller,
            sender_id,
            outbox,
            blocked: Mutex::default(),
            closing: OnceLock::new(),
            closed: CancellationToken::new(),
        };
        (peer, frames)
    }

    /// A place in the outbox. Without one, the document is remembered and
    /// gets [`Peer::unblocked`] once there is room.
    pub fn reserve(&self, document: DocumentId) -> Option<mpsc::Permit<'_, Vec<u8>>> {
        if let Ok(permit) = self.outbox.try_reserve() {
            return Some(permit);
        }
        self.lock().insert(document);
        // The socket may have made room before it could see the entry.
        let permit = self.outbox.try_reserve().ok()?;
        self.lock().remove(&document);
        Some(permit)
    }

    /// Sends what may be lost, such as ephemeral messages.
    pub fn offer(&self, frame: Vec<u8>) {
        let _ = self.outbox.try_send(frame);
    }

    /// Sends what must not be lost, waiting for room; for the session itself.
    pub async fn send(&self, frame: Vec<u8>) {
        let _ = self.outbox.send(frame).await;
    }

    /// A document that waits for room, taken off the list.
    pub fn unblocked(&self) -> Option<DocumentId> {
        self.lock().pop_first()
    }

    /// Closes the socket; the first reason counts.
    pub fn close(&self, code: u16, reason: &'static str) {
        let _ = self.closing.set(Closing { code, reason });
        self.closed.cancel();
    }

    /// Done when the socket is to be closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Whether the socket is to be closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Why the socket is closed, if the server has a reason.
    #[must_use]
    pub fn closing(&self) -> Option<Closing> {
        self.closing.get().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<DocumentId>> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
