//! One session's view of one document: Automerge's sync state, and whether a
//! message is due. Messages are made from the state when there is room, never
//! queued.

use std::sync::Arc;

use automerge::Automerge;
use automerge::sync::{Message, State, SyncDoc};

use crate::rounds::{Access, Writing};

use super::peer::Peer;
use super::recent::Recent;

/// A subscriber of a document.
pub struct Subscriber {
    /// The session.
    pub peer: Arc<Peer>,
    /// Whether a message may be due.
    pub dirty: bool,
    access: Access,
    state: State,
    /// The last message without changes, as sent.
    last_empty: Option<Vec<u8>>,
}

impl Subscriber {
    /// A new subscriber; its sync state starts from nothing with each
    /// connection.
    #[must_use]
    pub fn new(peer: Arc<Peer>, access: Access) -> Self {
        let state = if access.write == Writing::No { State::new_read_only() } else { State::new() };
        Self { peer, dirty: false, access, state, last_empty: None }
    }

    /// What the session may do.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Notes that rights changed.
    pub fn set_access(&mut self, access: Access) {
        if access != self.access {
            self.access = access;
            self.state.set_read_only(access.write == Writing::No);
            self.last_empty = None;
            self.dirty = true;
        }
    }

    /// Takes in a message whose changes, if it had any, were dealt with
    /// before: applied, held or ignored.
    ///
    /// # Errors
    /// Automerge's, for a message that makes no sense.
    pub fn receive(
        &mut self,
        doc: &mut Automerge,
        recent: &Recent,
        message: Message,
        had_changes: bool,
    ) -> Result<(), automerge::AutomergeError> {
        #[cfg(test)]
        super::trap::on_receive(&self.peer.sender_id);
        let sent = self.state.last_sent_heads.clone();
        if !recent.receive(doc, &mut self.state, &message) {
            doc.receive_sync_message(&mut self.state, message)?;
        }
        if had_changes {
            // Automerge takes a message without changes from a peer with our
            // heads as word that nothing needs to be said. But this one had
            // changes, and silence is not an acknowledgement.
            self.state.last_sent_heads = sent;
            self.last_empty = None;
        }
        self.dirty = true;
        Ok(())
    }

    /// The message that is due, if one is.
    pub fn generate(&mut self, doc: &Automerge, recent: &Recent) -> Option<Vec<u8>> {
        #[cfg(test)]
        super::trap::on_generate(&self.peer.sender_id);
        self.dirty = false;
        if !self.access.read {
            // Whoever may not read gets heads, so that the exchange can come
            // to its end, but no changes.
            self.state.peer_read_only = true;
        }
        let message = match recent.generate(doc, &mut self.state) {
            Some(message) => message?,
            None => doc.generate_sync_message(&mut self.state)?,
        };
        let empty = message.changes.is_empty();
        let bytes = message.encode();
        if !empty {
            self.last_empty = None;
            return Some(bytes);
        }
        // Where the peer has what is held or set aside, heads never become
        // equal, and both sides would say the same for ever.
        if self.last_empty.as_ref() == Some(&bytes) {
            return None;
        }
        self.last_empty = Some(bytes.clone());
        Some(bytes)
    }
}
