//! What the owner of a document says, after everything that it took is
//! flushed and applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use automerge::ChangeHash;
use automerge::sync::Message as SyncMessage;
use duxue_protocol::wire;
use tokio::time::Instant;

use crate::hub::document::Received;
use crate::hub::pace::{GATHER, pause};
use crate::hub::subscriber::Subscriber;
use crate::store::{Delivery, StoreError};

use super::{Durable, Event, Owner};

/// A message that waits for its batch to be flushed.
pub(super) struct Waiting {
    pub session: u64,
    pub message: SyncMessage,
    pub had_changes: bool,
}

impl Owner {
    /// Tells the sync states what was received, now that it is flushed. Where
    /// Automerge panics, one session ends and this document is rebuilt.
    pub(super) async fn settle(&mut self, waiting: Vec<Waiting>) -> Result<(), StoreError> {
        let mut panicked = false;
        for Waiting { session, message, had_changes } in waiting {
            let Some(subscriber) = self.subscribers.get_mut(&session) else { continue };
            match self.document.receive(subscriber, message, had_changes) {
                Received::Well => {}
                Received::Malformed => self.close(&BTreeSet::from([session]), 1008, "sync.malformed"),
                Received::Panicked => {
                    panicked = true;
                    self.close(&BTreeSet::from([session]), 1011, "sync.panic");
                }
            }
        }
        if panicked { self.rebuild(&[]).await } else { Ok(()) }
    }

    /// At most one message for each subscriber that has one coming and room
    /// for it.
    pub(super) fn answer(&mut self) {
        let mut gone = Vec::new();
        let mut spoke = false;
        self.gathered = None;
        let now = Instant::now();
        let id = self.id.to_string();
        for (session, subscriber) in self.subscribers.iter_mut().filter(|(_, s)| s.dirty) {
            let access = self.hub.rounds.access(&subscriber.peer.caller.person, self.document.name());
            if subscriber.peer.is_closed() {
                gone.push(*session);
                continue;
            }
            if !access.any() {
                if let Some(place) = subscriber.peer.reserve(self.id, 0) {
                    place.send(self.hub.unavailable(&subscriber.peer, &self.id));
                    gone.push(*session);
                }
                continue;
            }
            subscriber.set_access(access);
            if let Some(until) = subscriber.gathers_until().filter(|until| now < *until) {
                self.gathered = Some(self.gathered.map_or(until, |at| at.min(until)));
                continue;
            }
            let peer = Arc::clone(&subscriber.peer);
            let about = if subscriber.is_new() { self.document.bytes() } else { 0 };
            let Some(place) = peer.reserve(self.id, about) else { continue };
            if about > 0 && !peer.may_hold_whole(about, &self.hub.whole) {
                self.gathered = Some(now + GATHER);
                continue;
            }
            match self.document.generate(subscriber) {
                Ok(Some(data)) => {
                    spoke = true;
                    place.send(self.hub.sync_frame(&peer, &id, data));
                }
                Ok(None) => {}
                Err(()) => {
                    peer.close_about(self.id, 1011, "sync.panic");
                    gone.push(*session);
                }
            }
        }
        for session in gone {
            self.subscribers.remove(&session);
        }
        self.pause = None;
        if spoke {
            let since = now.saturating_duration_since(self.spoke);
            self.pause = pause(self.subscribers.len(), since).map(|pause| now + pause);
            self.spoke = now;
        }
    }

    pub(super) fn forward(&self, session: u64, message: wire::Message) {
        let wire::Message::Ephemeral { sender_id, count, session_id, document_id, data, .. } = message else {
            return;
        };
        // Rights may have ended since the last sync message.
        let reads = |subscriber: &Subscriber| {
            self.hub.rounds.access(&subscriber.peer.caller.person, self.document.name()).read
        };
        if !self.subscribers.get(&session).is_some_and(reads) {
            return;
        }
        for (other, subscriber) in &self.subscribers {
            if *other != session && reads(subscriber) {
                subscriber.peer.offer(wire::encode(&wire::Message::Ephemeral {
                    sender_id: sender_id.clone(),
                    target_id: subscriber.peer.sender_id.clone(),
                    document_id: document_id.clone(),
                    count,
                    session_id: session_id.clone(),
                    data: data.clone(),
                }));
            }
        }
    }

    fn durable(&self, hash: &ChangeHash, asks: &Delivery) -> Durable {
        if self.document.has(hash) {
            Durable::Yes
        } else if self.document.is_unheard_of(hash, asks) {
            Durable::No
        } else if self.document.left_out(hash) {
            Durable::LeftOut
        } else if self.document.holds(hash) || self.document.waits_for_held(hash) {
            Durable::Held
        } else if self.document.has_set_aside(hash) || self.document.waits_for_ever(hash) {
            Durable::SetAside
        } else {
            Durable::No
        }
    }

    pub(super) fn tell(&self, question: Event) {
        match question {
            Event::Read { answer } => {
                let _ = answer.send(Ok(self.document.shared().clone()));
            }
            Event::Durable { hashes, asks, answer } => {
                let _ = answer.send(Ok(hashes.iter().map(|hash| self.durable(hash, &asks)).collect()));
            }
            _ => {}
        }
    }
}
