//! One session's view of one document: Automerge's sync state, and whether a
//! message is due. Messages are made from the state when there is room, never
//! queued.

use std::sync::Arc;

use automerge::Automerge;
use automerge::sync::{Message, State, SyncDoc};
use tokio::time::Instant;

use crate::rounds::{Access, Writing};

use super::pace::GATHER;
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
    /// When changes were sent that the peer has not answered yet.
    unanswered: Option<Instant>,
    /// The last message without changes, as sent.
    last_empty: Option<Vec<u8>>,
    /// Whether the peer brought changes that no message since has acknowledged.
    owed: bool,
}

impl Subscriber {
    /// A new subscriber; its sync state starts from nothing with each
    /// connection.
    #[must_use]
    pub fn new(peer: Arc<Peer>, access: Access) -> Self {
        let state = if access.write == Writing::No { State::new_read_only() } else { State::new() };
        Self { peer, dirty: false, access, state, unanswered: None, last_empty: None, owed: false }
    }

    /// What the session may do.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether nothing is known of what the peer has, so that the next message
    /// may hold the whole document.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.state.shared_heads.is_empty()
    }

    /// Until when a message should wait for the peer's answer to the last one,
    /// so that what comes meanwhile goes out together.
    #[must_use]
    pub fn gathers_until(&self) -> Option<Instant> {
        self.unanswered.map(|since| since + GATHER)
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
        self.unanswered = None;
        let sent = self.state.last_sent_heads.clone();
        if !recent.receive(doc, &mut self.state, &message) {
            doc.receive_sync_message(&mut self.state, message)?;
        }
        self.owed |= had_changes;
        if self.owed {
            // Automerge takes a message without changes from a peer with our
            // heads as word that nothing needs to be said. But this one, or one
            // before it, had changes, and silence is not an acknowledgement.
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
        self.owed = false;
        let empty = message.changes.is_empty();
        let bytes = message.encode();
        if !empty {
            self.last_empty = None;
            self.unanswered = Some(Instant::now());
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

#[cfg(test)]
mod tests {
    use automerge::ActorId;
    use automerge::transaction::Transactable;
    use duxue_document::{DocumentKind, genesis};

    use crate::accounts::Caller;
    use crate::config::Limits;

    use super::*;

    fn edit(doc: &mut Automerge, value: i64) {
        let mut transaction = doc.transaction();
        transaction.put(automerge::ROOT, "x", value).expect("puts");
        transaction.commit();
    }

    fn subscriber() -> (Subscriber, impl Sized) {
        let person = "p".parse().expect("an id");
        let caller = Caller { person, device: None, administrator: false, expires_ms: 0 };
        let (peer, frames) = Peer::new(1, caller, "peer".to_owned(), &Limits::default().hub());
        let access = Access { read: true, write: Writing::Yes };
        (Subscriber::new(Arc::new(peer), access), frames)
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_is_acknowledged_though_the_peer_says_first_that_both_have_all() {
        let (mut subscriber, _frames) = subscriber();
        let mut ours = genesis::document(DocumentKind::Survey, ActorId::from([1; 16]));
        let mut theirs = genesis::document(DocumentKind::Survey, ActorId::from([2; 16]));
        let mut state = State::new();
        let hear = |theirs: &mut Automerge, state: &mut State, bytes: Option<Vec<u8>>| {
            let message = bytes.map(|bytes| Message::decode(&bytes).expect("a message"));
            message.map(|message| theirs.receive_sync_message(state, message).expect("taken")).is_some()
        };
        for _ in 0..3 {
            let recent = Recent::new(&ours);
            if let Some(word) = theirs.generate_sync_message(&mut state) {
                subscriber.receive(&mut ours, &recent, word, false).expect("taken");
            }
            let answer = subscriber.generate(&ours, &recent);
            hear(&mut theirs, &mut state, answer);
        }
        // Both write; each message is on its way before the other's has come.
        edit(&mut ours, 1);
        edit(&mut theirs, 2);
        let sent = subscriber.generate(&ours, &Recent::new(&ours));
        let mut brings = theirs.generate_sync_message(&mut state).expect("a change");
        assert!(hear(&mut theirs, &mut state, sent));
        let has_all = theirs.generate_sync_message(&mut state).expect("an answer");
        assert!(has_all.changes.is_empty());
        // The server takes both before it answers.
        brings.changes = Vec::<Vec<u8>>::new().into();
        ours.merge(&mut theirs).expect("merges");
        let recent = Recent::new(&ours);
        for (message, had_changes) in [(brings, true), (has_all, false)] {
            subscriber.receive(&mut ours, &recent, message, had_changes).expect("taken");
        }
        let said = subscriber.generate(&ours, &recent);
        assert!(hear(&mut theirs, &mut state, said), "silence is no acknowledgement");
        assert_eq!(state.their_heads, Some(ours.get_heads()));
        assert!(subscriber.generate(&ours, &recent).is_none(), "once");
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_gathered_for_a_peer_until_it_has_answered_the_last() {
        let (mut subscriber, _frames) = subscriber();
        let mut ours = genesis::document(DocumentKind::Survey, ActorId::from([1; 16]));
        let (mut theirs, mut state) = (ours.clone(), State::new());
        // The peer's first word, and what it answers to each message.
        let mut sent = None;
        for round in 0..3 {
            if round > 0 {
                edit(&mut ours, round);
                let recent = Recent::new(&ours);
                sent = subscriber.generate(&ours, &recent);
                assert_eq!(subscriber.gathers_until(), Some(Instant::now() + GATHER));
            }
            if let Some(bytes) = sent.take() {
                let message = Message::decode(&bytes).expect("a message");
                theirs.receive_sync_message(&mut state, message).expect("taken");
            }
            let answer = theirs.generate_sync_message(&mut state).expect("an answer");
            let recent = Recent::new(&ours);
            subscriber.receive(&mut ours, &recent, answer, false).expect("taken");
            assert_eq!(subscriber.gathers_until(), None, "it has answered");
            sent = subscriber.generate(&ours, &recent);
            assert_eq!(subscriber.gathers_until(), None, "heads alone need no answer");
        }
    }
}
