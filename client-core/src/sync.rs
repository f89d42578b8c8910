//! The connection and the exchange of documents over it.
//!
//! Sync messages are made from state whenever a document is on disk as it is
//! in memory, so nothing is queued for sending and nothing can be sent twice
//! or forgotten. The state of the exchange begins anew with each connection.

use std::collections::VecDeque;

use duxue_document::collections::{BTreeMap, BTreeSet};

use automerge::{ChangeHash, sync};

use duxue_document::{DocumentId, DocumentKind};
use duxue_protocol::api::Role;
use duxue_protocol::problem::Problem;
use duxue_protocol::wire::{self, Limits, Message, Metadata};

use crate::clock::is_due;
use crate::command::{Reply, Subject};
use crate::document::{About, LocalDocument, Unusable};
use crate::engine::{Engine, Turn};
use crate::error::CommandError;
use crate::event::{Effect, LinkId, Notice, SecretUrl};
use crate::identity::hex;
use crate::reason;
use crate::reissue::{Clash, Gone};
use crate::store::Acked;

/// A server that says nothing for this long, while something is owed, is taken
/// for dead: a half-open connection is otherwise noticed only by TCP.
const SILENCE_MS: i64 = 30_000;
/// Bytes of a frame that the server may send: one record of its journal, 32 MiB,
/// and the envelope around it.
pub const FRAME_BYTES_MAX: usize = 33 << 20;
/// Frames held for one document while its last change is being stored. A peer
/// sends at most one message before an answer, so more is not a peer of ours.
const INBOX: usize = 64;
const BACKOFF_FIRST_MS: i64 = 1_000;
const BACKOFF_LAST_MS: i64 = 60_000;

/// The state of the one connection.
#[derive(Default)]
pub enum Link {
    /// No connection is wanted.
    #[default]
    Off,
    /// The next attempt is due at `until_ms`.
    Waiting {
        until_ms: i64,
        attempt: u32,
    },
    /// Asked the shell to connect, or said `join` and waits for `peer`.
    Opening {
        link: LinkId,
        attempt: u32,
        since_ms: i64,
        sender: String,
    },
    Open(OpenLink),
}

/// An open connection.
pub struct OpenLink {
    pub link: LinkId,
    sender: String,
    peer: String,
    pub documents: BTreeMap<DocumentId, Exchange>,
    pub heard_ms: i64,
    pub since_ms: i64,
    /// When the last sync message of ours left.
    pub sent_ms: i64,
    /// Attempts before this connection that came to nothing; none once it did.
    attempt: u32,
}

/// The exchange of one document on one connection.
#[derive(Default)]
pub struct Exchange {
    pub state: sync::State,
    inbox: VecDeque<Vec<u8>>,
    /// The server answered for this document.
    pub heard: bool,
    /// The server does not give or take this document.
    pub denied: bool,
    /// Bytes of the last message of ours, if it was not answered yet.
    asked: Option<usize>,
    /// What the server sends of it cannot be used: changes only go out.
    push_only: bool,
    /// Nothing of it moves on this connection any more.
    failed: bool,
}

/// Whether nothing came for too long.
fn is_silent(since_ms: i64, now_ms: i64) -> bool {
    is_due(since_ms + SILENCE_MS + 1, now_ms, SILENCE_MS + 1)
}

impl Link {
    /// Whether documents can be exchanged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether the server said that it has all of a document of ours.
    pub(crate) fn has_ours(&self, local: &LocalDocument) -> bool {
        let Self::Open(open) = self else { return false };
        let theirs = open.documents.get(&local.id()).and_then(|exchange| exchange.state.their_heads.as_ref());
        theirs.is_some_and(|theirs| local.heads().iter().all(|head| theirs.contains(head)))
    }

    fn attempt(&self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Open(open) => open.attempt,
            Self::Waiting { attempt, .. } | Self::Opening { attempt, .. } => *attempt,
        }
    }

    fn id(&self) -> Option<LinkId> {
        match self {
            Self::Opening { link, .. } => Some(*link),
            Self::Open(open) => Some(open.link),
            Self::Off | Self::Waiting { .. } => None,
        }
    }
}

impl Exchange {
    /// Whether nothing more can come of it, as far as this connection knows:
    /// both sides have the same, or we have theirs and a receipt on this
    /// connection, `acked`, says where each of ours is. The server is silent
    /// about what it holds, so its heads alone would never say so.
    fn is_even(&self, local: &LocalDocument, acked: Option<&Acked>) -> bool {
        if self.failed || self.denied || self.state.is_peer_read_only() && self.heard {
            return true;
        }
        if !self.heard || !self.inbox.is_empty() || local.is_busy() {
            return false;
        }
        let theirs = self.state.their_heads.as_deref().unwrap_or_default();
        if self.push_only && !local.about.own {
            return true;
        }
        let theirs_are_here =
            self.push_only || theirs.iter().all(|head| local.doc.get_change_meta_by_hash(head).is_some());
        let ours_are_there = |head: &ChangeHash| {
            theirs.contains(head) || acked.is_some_and(|acked| acked.settles(&hex(&head.0)))
        };
        theirs_are_here && local.heads().iter().all(ours_are_there)
    }
}

impl Exchange {
    /// Takes a message. What is in it may be unusable: then it is told once,
    /// and our own work still goes out, as far as the rest of it allows.
    fn take(&mut self, local: &mut LocalDocument, data: &[u8]) -> Result<(), Unusable> {
        if self.push_only {
            self.failed |= local.receive_heads(&mut self.state, data).is_err();
            return Ok(());
        }
        let Err(error) = local.receive(&mut self.state, data) else { return Ok(()) };
        self.push_only = true;
        let unread = local.receive_heads(&mut self.state, data).is_err();
        self.failed = unread || matches!(error, Unusable::Clash { .. });
        Err(error)
    }

    /// The next message, if there is anything to say.
    fn say(&mut self, local: &LocalDocument) -> Option<Vec<u8>> {
        let message = local.generate(&mut self.state)?;
        // Heads that never become equal would be told to and fro for ever.
        if self.push_only && message.changes.is_empty() {
            return None;
        }
        let data = message.encode();
        self.asked = Some(data.len());
        Some(data)
    }
}

impl Engine {
    pub(crate) fn go_online(&mut self, wanted: bool, turn: &mut Turn) -> Result<Reply, CommandError> {
        if wanted && self.identity.is_none() {
            return Err(CommandError::NotLoggedIn);
        }
        self.online = wanted;
        self.settled = false;
        let again = self.refusals.forget();
        self.dirty.extend(again);
        if wanted {
            self.receipt_round.ask_about_held(&self.acked);
            if matches!(self.link, Link::Off | Link::Waiting { .. }) {
                self.link = Link::Waiting { until_ms: turn.now_ms, attempt: 0 };
            }
        } else {
            self.close_link(turn);
            self.link = Link::Off;
        }
        Ok(Reply::Done)
    }

    pub(crate) fn connected(&mut self, link: LinkId, turn: &mut Turn) {
        let Link::Opening { link: ours, sender, .. } = &self.link else { return };
        if *ours != link {
            return;
        }
        let join = Message::Join {
            sender_id: sender.clone(),
            metadata: Metadata { storage_id: None, is_ephemeral: Some(true) },
            supported_protocol_versions: vec![wire::PROTOCOL_VERSION.to_owned()],
        };
        turn.effects.push(Effect::SendFrame { link, bytes: wire::encode(&join) });
    }

    pub(crate) fn disconnected(&mut self, link: LinkId, reason: Problem, turn: &mut Turn) {
        if self.link.id() == Some(link) {
            self.back_off(reason, turn);
        }
    }

    pub(crate) fn frame(&mut self, link: LinkId, bytes: &[u8], turn: &mut Turn) {
        if self.link.id() != Some(link) {
            return;
        }
        if let Link::Open(open) = &mut self.link {
            open.heard_ms = turn.now_ms;
        }
        match wire::decode(bytes, &Limits { frame_bytes: FRAME_BYTES_MAX, ..Limits::default() }) {
            Ok(message) => self.message(message, turn),
            Err(error) => {
                let problem = reason::BAD_FRAME.with_detail(error.code());
                turn.notice(Notice::Trouble { problem: problem.clone() });
                self.close_link(turn);
                self.back_off(problem, turn);
            }
        }
    }

    fn message(&mut self, message: Message, turn: &mut Turn) {
        match message {
            Message::Peer { sender_id, .. } => self.joined(sender_id, turn),
            Message::Error { message, document_id, .. } => {
                if reason::is_about_a_document(&message) {
                    self.refused(document_id.as_deref(), reason::of_server(&message), turn);
                }
                self.close_link(turn);
                self.back_off(reason::of_server(&message), turn);
                if message.starts_with("session.") {
                    self.session_ended(None, turn);
                }
            }
            Message::Sync { document_id, data, .. } | Message::Request { document_id, data, .. } => {
                let Ok(id) = document_id.parse::<DocumentId>() else { return };
                let Link::Open(open) = &mut self.link else { return };
                // Documents that we do not hold are not ours to take.
                if !self.documents.contains_key(&id) {
                    return;
                }
                let exchange = open.documents.entry(id).or_default();
                if exchange.failed {
                    return;
                }
                exchange.asked = None;
                if exchange.inbox.len() >= INBOX {
                    exchange.failed = true;
                    exchange.inbox.clear();
                    self.set_aside(id, reason::BAD_MESSAGE.with_detail("too many messages"), turn);
                    return;
                }
                exchange.inbox.push_back(data);
                self.dirty.insert(id);
            }
            Message::DocUnavailable { document_id, .. } => {
                let Ok(id) = document_id.parse::<DocumentId>() else { return };
                let Link::Open(open) = &mut self.link else { return };
                if !self.documents.contains_key(&id) {
                    return;
                }
                let exchange = open.documents.entry(id).or_default();
                exchange.denied = true;
                exchange.heard = true;
                exchange.asked = None;
                self.dirty.insert(id);
            }
            Message::Join { .. }
            | Message::Leave { .. }
            | Message::Ephemeral { .. }
            | Message::RemoteSubscriptionChange { .. }
            | Message::RemoteHeadsChanged { .. }
            | Message::Unknown { .. } => {}
        }
    }

    fn joined(&mut self, peer: String, turn: &mut Turn) {
        let Link::Opening { link, sender, attempt, .. } = &self.link else { return };
        self.link = Link::Open(OpenLink {
            link: *link,
            sender: sender.clone(),
            peer,
            documents: BTreeMap::new(),
            heard_ms: turn.now_ms,
            since_ms: turn.now_ms,
            sent_ms: turn.now_ms,
            attempt: *attempt,
        });
        let subscribed = self.subscribed();
        self.dirty.extend(subscribed);
        self.receipt_round.begin();
        self.clashes.values_mut().for_each(Clash::begin);
        self.settled = false;
        turn.notice(Notice::Online);
    }

    /// The documents that this device keeps in sync: what it wrote, what was
    /// opened, for an inspector everything about the assigned schools, and for
    /// the bureau the county's own figures, in which its people write together.
    pub(crate) fn subscribed(&mut self) -> Vec<DocumentId> {
        let assigned: Vec<Subject> = self
            .packets
            .values()
            .filter(|packet| packet.packet.roles.contains(&Role::Inspector))
            .flat_map(|packet| {
                packet.packet.schools.iter().filter(|school| school.assigned).map(|school| Subject {
                    round: packet.packet.round.id.clone(),
                    school: school.school.id.clone(),
                })
            })
            .collect();
        for subject in &assigned {
            for kind in [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling] {
                let id = self.document_mut(About::of(subject, kind)).id();
                self.open.insert(id);
            }
        }
        let bureau = self.packets.values().filter(|packet| packet.packet.roles.contains(&Role::Bureau));
        let counties: Vec<About> = bureau.map(|packet| About::county(&packet.packet.round.id)).collect();
        for about in counties {
            let id = self.document_mut(about).id();
            self.open.insert(id);
        }
        let own = self.documents.values().filter(|local| local.about.own).map(LocalDocument::id);
        own.chain(self.open.iter().copied()).collect()
    }

    pub(crate) fn pump_link(&mut self, turn: &mut Turn) {
        self.advance_link(turn);
        let Link::Open(open) = &mut self.link else { return };
        let mut trouble = Vec::new();
        let mut again = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(local) = self.documents.get_mut(&id) else { continue };
            let exchange = open.documents.entry(id).or_default();
            if exchange.failed || self.refusals.problem(&id).is_some() && !exchange.push_only {
                again.extend(local.is_busy().then_some(id));
                continue;
            }
            // Inbox and outbox wait until memory is on disk.
            while !local.is_busy() {
                let Some(data) = exchange.inbox.pop_front() else { break };
                // What waits for this to be written again is asked about now.
                if !exchange.heard && self.acked.get(&id).is_some_and(Acked::has_gone) {
                    self.receipt_round.ask_now(turn.now_ms);
                }
                exchange.heard = true;
                if let Err(error) = exchange.take(local, &data) {
                    trouble.push((id, error));
                }
            }
            if local.is_busy() {
                again.push(id);
                continue;
            }
            if exchange.denied || exchange.failed {
                continue;
            }
            if let Some(data) = exchange.say(local) {
                let message = Message::Sync {
                    sender_id: open.sender.clone(),
                    target_id: open.peer.clone(),
                    document_id: id.to_string(),
                    data,
                };
                turn.effects.push(Effect::SendFrame { link: open.link, bytes: wire::encode(&message) });
                open.sent_ms = turn.now_ms;
            }
        }
        self.dirty.extend(again);
        for (document, error) in trouble {
            if self.unusable(document, error, turn) {
                return;
            }
        }
        // Received changes are written at once, not at the next event.
        self.pump_received(turn);
        if self.is_even() {
            self.refusals.all_well();
            self.count_as_well();
        }
    }

    /// The connection came to something: the next wait begins small again.
    pub(crate) fn count_as_well(&mut self) {
        if let Link::Open(open) = &mut self.link {
            open.attempt = 0;
        }
    }

    /// The server refused something of a document and ends the connection. It
    /// names the document, except where it did not read the frame for its
    /// size: then it is the largest on its way.
    fn refused(&mut self, named: Option<&str>, problem: Problem, turn: &mut Turn) {
        let Link::Open(open) = &self.link else { return };
        let document = match named {
            Some(named) => named.parse().ok().filter(|id| self.documents.contains_key(id)),
            None => open
                .documents
                .iter()
                .filter(|(_, exchange)| exchange.asked.is_some())
                .max_by_key(|(_, exchange)| exchange.asked)
                .map(|(id, _)| *id),
        };
        if let Some(document) = document {
            self.set_aside(document, problem, turn);
        }
    }

    /// Leaves a document in peace for a while.
    fn set_aside(&mut self, document: DocumentId, problem: Problem, turn: &mut Turn) {
        turn.notice(Notice::Trouble { problem: problem.clone() });
        self.refusals.note(document, problem, turn.now_ms);
        self.settled = false;
    }

    /// Does what can be done about a message that cannot be used. Returns
    /// whether the connection had to end for it.
    fn unusable(&mut self, document: DocumentId, error: Unusable, turn: &mut Turn) -> bool {
        let detail = match error {
            Unusable::Clash { seq, actor } => {
                let detail = format!("duplicate seq {seq} of {actor}");
                // What a supervisor left out and goes with it is not stated again.
                let known = self.acked.get(&document).map(Acked::gone).unwrap_or_default();
                let gone = Gone { clash: Some((actor, seq)), ..known };
                // What others wrote is theirs to state. It is not dropped here
                // before the server has it.
                let others = self.lost_of_others(&document, &gone);
                if others.is_empty() && self.write_again(document, &gone, turn) {
                    self.begin_anew(reason::WRITTEN_AGAIN, turn);
                    return true;
                }
                // Who only reads cannot bring it anything.
                let about = self.documents.get(&document).map(|local| local.about.clone());
                let brings = about.is_some_and(|about| about.own || self.may_write(&about).is_ok());
                if !brings && self.documents.get_mut(&document).is_some_and(LocalDocument::take_again) {
                    self.dirty.insert(document);
                    self.begin_anew(reason::TAKEN_AGAIN, turn);
                    return true;
                }
                if !others.is_empty() && brings {
                    self.bring(document, Clash { of: gone.clash, open: others, kept: BTreeSet::new() });
                    self.set_aside(document, reason::CLASH.with_detail(detail), turn);
                    return false;
                }
                detail
            }
            Unusable::Other(detail) => detail,
        };
        self.set_aside(document, reason::BAD_MESSAGE.with_detail(detail), turn);
        false
    }

    /// Brings the server what goes with a clash. Once a receipt says where all of
    /// it is, the document is written again without it.
    fn bring(&mut self, document: DocumentId, clash: Clash) {
        let (Link::Open(open), Some(local)) = (&mut self.link, self.documents.get_mut(&document)) else {
            return;
        };
        local.make_own();
        if let Some(exchange) = open.documents.get_mut(&document) {
            exchange.failed = exchange.state.their_heads.is_none();
        }
        self.clashes.insert(document, clash);
        self.dirty.insert(document);
        self.receipt_round.ask_about(document);
    }

    /// A document is another than it was, so that the exchange begins anew.
    pub(crate) fn begin_anew(&mut self, why: Problem, turn: &mut Turn) {
        turn.notice(Notice::Trouble { problem: why.clone() });
        self.close_link(turn);
        self.back_off(why, turn);
    }

    /// What a document has that the server's has not, where the server has said
    /// what it has; changes by hash.
    pub(crate) fn outside(&self, local: &LocalDocument) -> BTreeSet<ChangeHash> {
        let Link::Open(open) = &self.link else { return BTreeSet::new() };
        let theirs = open.documents.get(&local.id()).and_then(|exchange| exchange.state.their_heads.as_ref());
        theirs.map(|heads| local.after(heads)).unwrap_or_default()
    }

    fn pump_received(&mut self, turn: &mut Turn) {
        for id in self.dirty.iter().copied().collect::<Vec<_>>() {
            let Some(local) = self.documents.get_mut(&id) else { continue };
            if let Some((puts, deletes)) = local.next_write(turn.now_ms) {
                self.write(puts, deletes, crate::engine::Pending::Document(id), turn);
            }
        }
    }

    fn advance_link(&mut self, turn: &mut Turn) {
        let due = self.refusals.due(turn.now_ms);
        self.dirty.extend(due);
        match &self.link {
            Link::Waiting { until_ms, attempt }
                if is_due(*until_ms, turn.now_ms, BACKOFF_LAST_MS) && self.online =>
            {
                let (Some(identity), attempt) = (&self.identity, *attempt) else { return };
                let url = SecretUrl(identity.socket_url());
                let name =
                    identity.device.as_ref().map_or(identity.person.as_str(), |device| device.as_str());
                let sender = format!("{name}-{}", crate::identity::hex(&turn.random::<6>()));
                let link = LinkId(self.fresh());
                self.link = Link::Opening { link, attempt, since_ms: turn.now_ms, sender };
                turn.effects.push(Effect::Connect { link, url });
            }
            Link::Opening { since_ms, .. } if is_silent(*since_ms, turn.now_ms) => {
                self.close_link(turn);
                self.back_off(reason::NO_ANSWER, turn);
            }
            Link::Open(open)
                if is_silent(open.heard_ms.max(open.sent_ms), turn.now_ms) && !self.is_even() =>
            {
                self.close_link(turn);
                self.back_off(reason::SILENCE, turn);
            }
            _ => {}
        }
    }

    /// Whether every subscribed document is the same here and on the server.
    pub(crate) fn is_even(&self) -> bool {
        let Link::Open(open) = &self.link else { return false };
        let own = self.documents.values().filter(|local| local.about.own).map(LocalDocument::id);
        own.chain(self.open.iter().copied()).all(|id| {
            let (Some(local), Some(exchange)) = (self.documents.get(&id), open.documents.get(&id)) else {
                return false;
            };
            let asked = self.receipt_round.is_answered(&id);
            self.refusals.problem(&id).is_some() && !exchange.push_only
                || exchange.is_even(local, self.acked.get(&id).filter(|_| asked))
        })
    }

    /// A reason to hope came up: the wait is over.
    pub(crate) fn reconnect_now(&mut self, turn: &Turn) {
        if let Link::Waiting { until_ms, .. } = &mut self.link {
            *until_ms = turn.now_ms;
        }
    }

    /// Ends the connection, and opens another where one is wanted.
    pub(crate) fn open_link_anew(&mut self, turn: &mut Turn) {
        self.close_link(turn);
        self.link = if self.online { Link::Waiting { until_ms: turn.now_ms, attempt: 0 } } else { Link::Off };
    }

    fn close_link(&mut self, turn: &mut Turn) {
        if let Some(link) = self.link.id() {
            turn.effects.push(Effect::Close { link });
        }
    }

    fn back_off(&mut self, reason: Problem, turn: &mut Turn) {
        let attempt = self.link.attempt().saturating_add(1);
        let most = (BACKOFF_FIRST_MS << (attempt - 1).min(10)).min(BACKOFF_LAST_MS);
        // Half fixed, half random, so that a restarted server does not meet
        // everyone in the same second.
        let jitter = i64::from(turn.rng.next_u32()) % (most / 2 + 1);
        let until_ms = turn.now_ms + most / 2 + jitter;
        self.settled = false;
        self.link = if self.online { Link::Waiting { until_ms, attempt } } else { Link::Off };
        let retry_ms = self.online.then_some(until_ms);
        turn.notice(Notice::Offline { reason, retry_ms });
    }

    pub(crate) fn link_timer(&self) -> Option<i64> {
        match &self.link {
            Link::Off => None,
            Link::Waiting { until_ms, .. } => Some(*until_ms),
            Link::Opening { since_ms, .. } => Some(since_ms + SILENCE_MS + 1),
            Link::Open(_) if self.is_even() => self.refusals.timer(),
            Link::Open(open) => {
                let silence = open.heard_ms.max(open.sent_ms) + SILENCE_MS + 1;
                Some(self.refusals.timer().map_or(silence, |again| again.min(silence)))
            }
        }
    }
}
