//! A connected session as documents see it: a bounded way out, and a way to
//! close it. A slow reader costs no memory: what does not fit is not queued,
//! the document is asked again when there is room.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use duxue_document::DocumentId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::accounts::Caller;
use crate::config::refused;

use super::HubLimits;

/// Why the server closes a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The WebSocket close code.
    pub code: u16,
    /// Stable code, sent as automerge-repo's `error` before the close.
    pub reason: &'static str,
    /// The document that it is about, so that the peer can go on with all
    /// others.
    pub document: Option<DocumentId>,
}

/// Room for one frame in a peer's outbox.
pub struct Place<'a> {
    peer: &'a Peer,
    permit: Option<mpsc::Permit<'a, Vec<u8>>>,
    /// Bytes that were counted for the frame before it was there.
    about: usize,
}

impl Place<'_> {
    /// Fills the place.
    pub fn send(mut self, frame: Vec<u8>) {
        self.peer.queued.fetch_add(frame.len(), Ordering::AcqRel);
        if let Some(permit) = self.permit.take() {
            permit.send(frame);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.peer.queued.fetch_sub(self.about, Ordering::AcqRel);
        if self.permit.is_some() {
            // Nothing came of it, and others may have been turned away for it.
            self.peer.release_whole();
            self.peer.freed.notify_one();
        }
    }
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
    /// Bytes in the outbox, and of the frame that the socket is sending.
    queued: AtomicUsize,
    queued_max: usize,
    freed: Notify,
    /// What the document that waits whole takes of all that may wait so.
    whole: Mutex<Option<OwnedSemaphorePermit>>,
    blocked: Mutex<BTreeSet<DocumentId>>,
    closing: OnceLock<Closing>,
    closed: CancellationToken,
}

impl Peer {
    /// A peer and the end of its outbox that the socket reads, within the
    /// limits of what may wait for it.
    #[must_use]
    pub fn new(
        id: u64,
        caller: Caller,
        sender_id: String,
        limits: &HubLimits,
    ) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (outbox, frames) = mpsc::channel(limits.outbound_frames);
        let peer = Self {
            id,
            caller,
            sender_id,
            outbox,
            queued: AtomicUsize::new(0),
            queued_max: limits.outbound_bytes,
            freed: Notify::new(),
            whole: Mutex::default(),
            blocked: Mutex::default(),
            closing: OnceLock::new(),
            closed: CancellationToken::new(),
        };
        (peer, frames)
    }

    /// A place in the outbox for a frame of about so many bytes. Without one, the
    /// document is remembered and gets [`Peer::unblocked`] once there is room.
    pub fn reserve(&self, document: DocumentId, about: usize) -> Option<Place<'_>> {
        if let Some(place) = self.place(about) {
            return Some(place);
        }
        self.lock().insert(document);
        // The socket may have made room before it could see the entry.
        let place = self.place(about)?;
        self.lock().remove(&document);
        Some(place)
    }

    fn place(&self, about: usize) -> Option<Place<'_>> {
        let room = |queued| (queued < self.queued_max).then_some(queued + about);
        let over = if self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_err() {
            "outbound_bytes"
        } else if let Ok(permit) = self.outbox.try_reserve() {
            return Some(Place { peer: self, permit: Some(permit), about });
        } else {
            self.queued.fetch_sub(about, Ordering::AcqRel);
            "outbound_frames"
        };
        refused(over);
        None
    }

    /// Whether a document of so many bytes may wait whole for this peer, beside
    /// those that wait for all others. It needs a place of its own first.
    pub fn may_hold_whole(&self, bytes: usize, all: &Arc<Semaphore>) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let permit = Arc::clone(all).try_acquire_many_owned(bytes).ok();
        let may = permit.is_some();
        if may {
            *self.whole.lock().unwrap_or_else(PoisonError::into_inner) = permit;
        } else {
            refused("outbound_bytes_in_all");
        }
        may
    }

    fn release_whole(&self) {
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Sends what may be lost, such as ephemeral messages.
    pub fn offer(&self, frame: Vec<u8>) {
        if let Some(place) = self.place(frame.len()) {
            place.send(frame);
        }
    }

    /// Sends what must not be lost, waiting for room; for the session itself.
    pub async fn send(&self, frame: Vec<u8>) {
        if let Ok(permit) = self.outbox.reserve().await {
            Place { peer: self, permit: Some(permit), about: 0 }.send(frame);
        }
    }

    /// Notes that the socket has taken a frame of so many bytes.
    pub fn sent(&self, bytes: usize) {
        let before = self.queued.fetch_sub(bytes, Ordering::AcqRel);
        if before - bytes < self.queued_max {
            self.release_whole();
        }
    }

    /// Bytes that wait for the socket.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    /// Frames that wait for the socket.
    #[must_use]
    pub fn queued_frames(&self) -> usize {
        self.outbox.max_capacity() - self.outbox.capacity()
    }

    /// Done when room was given back without a frame.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// A document that waits for room, taken off the list.
    pub fn unblocked(&self) -> Option<DocumentId> {
        self.lock().pop_first()
    }

    /// Closes the socket; the first reason counts.
    pub fn close(&self, code: u16, reason: &'static str) {
        self.end(Closing { code, reason, document: None });
    }

    /// Closes the socket for something about one document.
    pub fn close_about(&self, document: DocumentId, code: u16, reason: &'static str) {
        self.end(Closing { code, reason, document: Some(document) });
    }

    /// Closes the socket; the first reason counts.
    pub fn end(&self, closing: Closing) {
        let _ = self.closing.set(closing);
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

#[cfg(test)]
mod tests {
    use crate::config::Limits;
    use crate::config::counted::Counted;

    use super::*;

    fn peer(limits: &Limits) -> (Peer, mpsc::Receiver<Vec<u8>>) {
        let person = "p".parse().expect("an id");
        let caller = Caller { person, device: None, administrator: false, expires_ms: 0 };
        Peer::new(1, caller, "peer".to_owned(), &limits.hub())
    }

    #[test]
    fn what_waits_for_a_socket_that_does_not_read_is_bounded_in_frames_and_bytes() {
        let document = DocumentId([1; 16]);
        for (limits, frames, bytes) in [
            (Limits { outbound_frames: 3, ..Limits::default() }, 3, 30),
            (Limits { outbound_bytes: 25, ..Limits::default() }, 3, 30),
        ] {
            let counted = Counted::new();
            let (peer, mut socket) = peer(&limits);
            let mut sent = 0;
            for _ in 0..2_000 {
                if let Some(place) = peer.reserve(document, 10) {
                    place.send(vec![0; 10]);
                    sent += 1;
                }
                peer.offer(vec![0; 10]);
            }
            assert!(sent <= frames && peer.queued() == bytes, "{sent} {}", peer.queued());
            let over = counted.refused("outbound_frames") + counted.refused("outbound_bytes");
            assert!(over >= 1_990, "{over}");
            assert_eq!(peer.unblocked(), Some(document), "asked again when there is room");
            assert_eq!(peer.unblocked(), None, "once");
            while let Ok(frame) = socket.try_recv() {
                peer.sent(frame.len());
            }
            assert_eq!(peer.queued(), 0);
            assert!(peer.reserve(document, 10).is_some());
        }
    }

    #[tokio::test]
    async fn a_large_message_is_counted_before_it_is_there() {
        let (one, other) = (DocumentId([1; 16]), DocumentId([2; 16]));
        let (peer, _socket) = peer(&Limits::default());
        let large = peer.reserve(one, 24 << 20).expect("a place");
        assert!(peer.reserve(other, 24 << 20).is_none(), "two at once would be 48 MiB");
        drop(large);
        peer.freed().await;
        assert_eq!(peer.unblocked(), Some(other), "asked again when nothing came of the first");
        assert!(peer.reserve(other, 24 << 20).is_some());
        assert_eq!(peer.queued(), 0);
    }

    #[test]
    fn whole_documents_that_wait_for_slow_readers_are_bounded_over_all() {
        let limits = Limits::default();
        let ((one, mut socket), (other, _socket)) = (peer(&limits), peer(&limits));
        let (document, all) = (DocumentId([1; 16]), Arc::new(Semaphore::new(3_000_000)));
        let large = one.reserve(document, 2_000_000).expect("a place");
        assert!(one.may_hold_whole(2_000_000, &all));
        large.send(vec![0; 2_000_000]);
        let second = other.reserve(document, 2_000_000).expect("a place of its own");
        assert!(!other.may_hold_whole(2_000_000, &all), "there is not enough for two");
        drop(second);
        one.sent(socket.try_recv().expect("the frame").len());
        assert!(other.may_hold_whole(2_000_000, &all), "once the first is sent");
    }

    #[test]
    fn documents_that_wait_whole_are_bounded_over_all_sockets_and_counted() {
        let counted = Counted::new();
        let limits = Limits::default();
        let [(one, _one), (other, _other), (third, _third)] = [(), (), ()].map(|()| peer(&limits));
        let all = Arc::new(Semaphore::new(100));
        assert!(one.may_hold_whole(60, &all) && other.may_hold_whole(40, &all));
        assert_eq!(counted.refused("outbound_bytes_in_all"), 0);
        assert!(!third.may_hold_whole(1, &all));
        assert_eq!(counted.refused("outbound_bytes_in_all"), 1);
        drop(other);
        assert!(third.may_hold_whole(40, &all), "who goes makes room");
        assert_eq!(counted.refused("outbound_bytes_in_all"), 1);
    }
}
