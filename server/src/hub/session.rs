//! One WebSocket: the handshake, frames to documents, frames to the socket,
//! keep-alive, and an end that says why.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use duxue_document::{DocumentId, PersonId};
use duxue_protocol::wire::{self, Message as Wire, Metadata, PROTOCOL_VERSION, WireError};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::accounts::{Accounts, Caller};
use crate::clock::now_ms;
use crate::config::{refused, refused_within};
use crate::heavy::heavy;
use crate::rounds::{DocumentName, Writing};
use crate::transport::{Ask, Progress, Room};

use super::admit::{Admitted, Refused, admit, admit_small, admit_without_changes};
use super::life::{LEAST, Life, Pings};
use super::peer::{Closing, Peer};
use super::task::Event;
use super::turns::{Apart, Share};
use super::{Hub, Inner, count};

/// A WebSocket on which a session runs.
pub trait Socket:
    Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + 'static
{
}
impl<S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + 'static> Socket for S {}

/// Who a socket belongs to.
pub enum Admission {
    /// A valid token.
    Caller {
        /// Who speaks.
        caller: Caller,
        /// The token, to see whether it still stands.
        token: String,
    },
    /// No valid token: the client is told, then closed. An upgrade that is
    /// refused with a status would end the process of a Node client.
    Stranger,
}

enum End {
    /// The client went, or the socket failed.
    Quiet,
    /// The server closes.
    Close(Closing),
}

/// The server stops, and most likely starts again.
const RESTART: Closing = Closing { code: 1012, reason: "restart", document: None };

/// The server closes, with a close code and a stable code.
fn close(code: u16, reason: &'static str) -> End {
    End::Close(Closing { code, reason, document: None })
}

impl Hub {
    /// Runs a session until its socket ends, or the server stops. `progress`
    /// is what the socket's connection carries; where it does not count, whole
    /// messages do.
    pub async fn session(
        &self,
        admission: Admission,
        accounts: Arc<Accounts>,
        socket: impl Socket,
        progress: Arc<Progress>,
        stopping: impl Future<Output = ()> + Send,
    ) {
        let hub = Arc::clone(&self.0);
        let work = run(Arc::clone(&hub), admission, accounts, socket, progress, stopping);
        hub.tasks.track_future(Box::pin(work)).await;
    }
}

/// Runs a session. What it does now and then is boxed: thousands wait for
/// their next frame, and each future is as large as the largest within it.
async fn run(
    hub: Arc<Inner>,
    admission: Admission,
    accounts: Arc<Accounts>,
    socket: impl Socket,
    progress: Arc<Progress>,
    stopping: impl Future<Output = ()> + Send,
) {
    if let Admission::Caller { caller, .. } = &admission {
        progress.bound(room(&hub, &caller.person));
    }
    let (mut sink, mut stream) = socket.split();
    // Boxed, because the first word is waited for once and the stop always.
    let mut stopping = Box::pin(stopping);
    let first = match &admission {
        Admission::Caller { .. } => "frame_bytes",
        Admission::Stranger => "stranger_frame_bytes",
    };
    let joining = Box::pin(timeout(hub.limits.handshake, join(&hub, &mut stream, first)));
    let joined = tokio::select! {
        biased;
        joined = joining => joined,
        () = &mut stopping => return refuse(&hub, &mut sink, None, RESTART).await,
    };
    let joined = match joined {
        Ok(Ok(sender_id)) => sender_id,
        Ok(Err(End::Close(closing))) => return refuse(&hub, &mut sink, None, closing).await,
        Ok(Err(End::Quiet)) => return,
        Err(_) => {
            refused("join_seconds");
            return refuse(&hub, &mut sink, None, stranger("join.timeout")).await;
        }
    };
    let Admission::Caller { caller, token } = admission else {
        return refuse(&hub, &mut sink, Some(joined), stranger("session.missing")).await;
    };
    let place = match Place::take(&hub, &caller) {
        Ok(place) => place,
        Err(reason) => return refuse(&hub, &mut sink, Some(joined), stranger(reason)).await,
    };
    let id = hub.next_session.fetch_add(1, Ordering::Relaxed);
    let (peer, frames) = Peer::new(id, caller, joined, &hub.limits);
    let peer = Arc::new(peer);
    hub.peers.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::downgrade(&peer));
    let life = Arc::new(Life::new(progress));
    metrics::gauge!("duxue_sync_sessions").increment(1.0);
    peer.offer(wire::encode(&Wire::Peer {
        sender_id: hub.server_id.clone(),
        metadata: Metadata { storage_id: None, is_ephemeral: Some(false) },
        selected_protocol_version: PROTOCOL_VERSION.to_owned(),
        target_id: peer.sender_id.clone(),
    }));
    let revoked = Box::pin(revoked(accounts, token, hub.limits.ping));
    let work = write(Arc::clone(&hub), Arc::clone(&peer), frames, sink, Arc::clone(&life), revoked);
    let writer = hub.tasks.spawn(work);
    let mut session = Session {
        hub: Arc::clone(&hub),
        peer: Arc::clone(&peer),
        documents: BTreeSet::new(),
        ephemeral: Bucket::new(),
        share: place.share.clone(),
    };
    tokio::select! {
        biased;
        () = peer.closed() => {}
        () = hub.sessions.cancelled() => peer.end(RESTART),
        () = stopping => peer.end(RESTART),
        end = session.read(&mut stream, &life) => match end {
            End::Quiet => peer.close(1000, ""),
            End::Close(closing) => peer.end(closing),
        }
    }
    let _ = writer.await;
    hub.peers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    for document in session.documents {
        hub.send_if_open(&document, Event::Gone { session: id }).await;
    }
    metrics::gauge!("duxue_sync_sessions").decrement(1.0);
}

/// How large messages of a person wait for room. Who has no session yet has
/// none for them: a first word is small.
fn room(hub: &Arc<Inner>, person: &PersonId) -> Ask {
    let (hub, person) = (Arc::clone(hub), person.clone());
    Box::new(move |bytes| {
        let hub = Arc::clone(&hub);
        let share = {
            let people = hub.people.lock().unwrap_or_else(PoisonError::into_inner);
            people.get(&person).map(|(_, share)| share.clone())
        };
        Box::pin(async move {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            let room = match share {
                Some(share) => hub.turns.received(&share, bytes).await,
                None => None,
            };
            match room {
                Some(room) => Box::new(room) as Room,
                None => std::future::pending().await,
            }
        })
    })
}

/// Waits for the client's first frame. `largest` is the limit of its bytes.
async fn join<S: Stream<Item = Result<Message, Error>> + Unpin>(
    hub: &Inner,
    stream: &mut S,
    largest: &'static str,
) -> Result<String, End> {
    loop {
        let frame = match stream.next().await {
            Some(Ok(Message::Binary(frame))) => frame,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Text(_))) => return Err(close(1003, "frame.text")),
            Some(Err(Error::Capacity(_))) => return Err(too_large(largest)),
            _ => return Err(End::Quiet),
        };
        return match wire::decode(&frame, &hub.limits.wire) {
            Ok(Wire::Join { sender_id, supported_protocol_versions, .. }) => {
                // npm clients of early versions send no list at all.
                let known = supported_protocol_versions.iter().any(|version| version == PROTOCOL_VERSION);
                if !known && !supported_protocol_versions.is_empty() {
                    return Err(close(1002, "join.version"));
                }
                if sender_id.len() > hub.limits.sender_bytes {
                    refused("sender_bytes");
                    return Err(close(1008, "join.sender"));
                }
                let fits = !sender_id.is_empty() && sender_id != hub.server_id;
                if fits { Ok(sender_id) } else { Err(close(1008, "join.sender")) }
            }
            Ok(_) => Err(close(1008, "join.missing")),
            Err(error) => Err(malformed(&error)),
        };
    }
}

async fn refuse<S: Sink<Message, Error = Error> + Unpin>(
    hub: &Inner,
    sink: &mut S,
    target_id: Option<String>,
    closing: Closing,
) {
    metrics::counter!("duxue_sync_refused_sessions_total", "reason" => closing.reason).increment(1);
    let _ = timeout(hub.limits.send, Box::pin(say_why(hub, sink, target_id, closing))).await;
}

/// Why someone who has not come in yet is sent away.
fn stranger(reason: &'static str) -> Closing {
    Closing { code: 1008, reason, document: None }
}

/// automerge-repo's `error`, then a close frame.
async fn say_why<S: Sink<Message, Error = Error> + Unpin>(
    hub: &Inner,
    sink: &mut S,
    target_id: Option<String>,
    Closing { code, reason, document }: Closing,
) -> Result<(), Error> {
    if !reason.is_empty() {
        let error = Wire::Error {
            sender_id: Some(hub.server_id.clone()),
            message: reason.to_owned(),
            target_id: Some(target_id.unwrap_or_default()),
            document_id: document.map(|document| document.to_string()),
        };
        sink.send(Message::Binary(wire::encode(&error).into())).await?;
    }
    sink.send(Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))).await?;
    sink.close().await
}

/// Returns once a token no longer stands, looking as often as sockets are
/// pinged: whoever takes no answers is not heard for longer.
async fn revoked(accounts: Arc<Accounts>, token: String, every: Duration) {
    while accounts.caller(&token, now_ms()).is_some() {
        tokio::time::sleep(every).await;
    }
}

/// Writes frames to the socket, pings it, and ends it when it is dead or its
/// token was `revoked`.
async fn write<S: Sink<Message, Error = Error> + Unpin>(
    hub: Arc<Inner>,
    peer: Arc<Peer>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    mut sink: S,
    life: Arc<Life>,
    mut revoked: Pin<Box<impl Future<Output = ()>>>,
) {
    let mut ping = tokio::time::interval_at(Instant::now() + hub.limits.ping, hub.limits.ping);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pings = Pings::default();
    loop {
        let mut bytes = 0;
        let message = tokio::select! {
            biased;
            () = peer.closed() => break,
            () = &mut revoked => {
                peer.close(1008, "session.missing");
                break;
            }
            () = peer.freed() => None,
            // Before the frames: they may never end.
            _ = ping.tick() => {
                if pings.dead(&life, hub.limits.ping.as_secs()) {
                    refused("ping_seconds");
                    peer.close(1001, "ping.unanswered");
                    continue;
                }
                Some(Message::Ping(Vec::new().into()))
            }
            frame = frames.recv() => match frame {
                Some(frame) => {
                    bytes = frame.len();
                    Some(Message::Binary(frame.into()))
                }
                None => break,
            },
        };
        if let Some(message) = message {
            let sent = tokio::select! {
                biased;
                sent = send(&mut sink, message, &life, hub.limits.send) => sent,
                () = &mut revoked => {
                    peer.close(1008, "session.missing");
                    break;
                }
                () = peer.closed() => break,
            };
            if !sent {
                refused("send_seconds");
                peer.close(1001, "");
                return;
            }
            peer.sent(bytes);
        }
        while let Some(document) = peer.unblocked() {
            hub.send_if_open(&document, Event::Room { session: peer.id }).await;
        }
    }
    let closing = peer.closing().unwrap_or(Closing { code: 1000, reason: "", document: None });
    let goodbye = say_why(&hub, &mut sink, Some(peer.sender_id.clone()), closing);
    let _ = timeout(hub.limits.send, Box::pin(goodbye)).await;
}

/// Sends a message for as long as the socket takes enough of it.
async fn send<S: Sink<Message, Error = Error> + Unpin>(
    sink: &mut S,
    message: Message,
    life: &Life,
    within: Duration,
) -> bool {
    let mut sending = std::pin::pin!(sink.send(message));
    loop {
        let before = life.written();
        match timeout(within, sending.as_mut()).await {
            Ok(sent) => return sent.is_ok(),
            Err(_) if life.written() - before < within.as_secs() * LEAST => return false,
            Err(_) => {}
        }
    }
}

/// What reading a socket needs.
struct Session {
    hub: Arc<Inner>,
    peer: Arc<Peer>,
    /// In an order of its own, so that a simulation runs the same way again.
    documents: BTreeSet<DocumentId>,
    ephemeral: Bucket,
    share: Share,
}

impl Session {
    async fn read<S: Stream<Item = Result<Message, Error>> + Unpin>(
        &mut self,
        stream: &mut S,
        life: &Life,
    ) -> End {
        loop {
            let message = match stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(Error::Capacity(_))) => return too_large("frame_bytes"),
                Some(Err(_)) | None => return End::Quiet,
            };
            life.heard();
            let frame = match message {
                Message::Binary(frame) => frame,
                Message::Text(_) => return close(1003, "frame.text"),
                Message::Close(_) => return End::Quiet,
                _ => continue,
            };
            metrics::counter!("duxue_sync_received_bytes_total").increment(frame.len() as u64);
            life.set_busy(true);
            let outcome = Box::pin(self.frame(frame)).await;
            life.taken();
            life.set_busy(false);
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    async fn frame(&mut self, frame: Bytes) -> Result<(), End> {
        let message = wire::decode(&frame, &self.hub.limits.wire).map_err(|error| malformed(&error))?;
        // What may wait now is in memory once.
        drop(frame);
        match message {
            Wire::Sync { sender_id, document_id, data, .. }
            | Wire::Request { sender_id, document_id, data, .. } => {
                if sender_id != self.peer.sender_id {
                    return Ok(());
                }
                self.sync(document_id, data).await
            }
            Wire::Ephemeral { ref sender_id, ref document_id, ref data, .. } => {
                let document = wire::document_id(document_id).ok().filter(|id| self.documents.contains(id));
                let own = *sender_id == self.peer.sender_id;
                let Some(document) = document.filter(|_| own) else { return Ok(()) };
                // What is over a limit is dropped: these messages may be lost.
                if data.len() > self.hub.limits.ephemeral_bytes {
                    refused("ephemeral_bytes");
                } else if !self.ephemeral.take(self.hub.limits.ephemeral_rate) {
                    refused("ephemeral_per_second");
                } else {
                    let event = Event::Ephemeral { session: self.peer.id, message };
                    self.hub.send_if_open(&document, event).await;
                }
                Ok(())
            }
            Wire::Leave { .. } => Err(End::Quiet),
            Wire::Join { .. } => Err(close(1008, "join.again")),
            // Gossip about other stores' heads is an offer that this server
            // does not make use of; unknown types may come from newer clients.
            _ => Ok(()),
        }
    }

    async fn sync(&mut self, document_id: String, data: Vec<u8>) -> Result<(), End> {
        let name = wire::document_id(&document_id).ok().and_then(|id| self.hub.rounds.document(&id));
        let name = name.filter(|name| self.hub.rounds.access(&self.peer.caller.person, name).any());
        let Some(name) = name else {
            let answer = self.hub.unavailable_text(&self.peer, document_id);
            self.peer.send(answer).await;
            return Ok(());
        };
        if self.documents.len() >= self.hub.limits.documents && !self.documents.contains(&name.id()) {
            refused("documents_per_connection");
            return Err(close(1008, "documents.too_many"));
        }
        self.documents.insert(name.id());
        let admitted = self.admit(&name, &data).await.ok_or(End::Quiet)?.map_err(|why| {
            metrics::counter!("duxue_sync_refused_messages_total", "reason" => why.code).increment(1);
            refused_within("scan_", why.limit.unwrap_or_default());
            tracing::warn!(document = %name.id(), code = why.code, limit = why.limit, "a sync message was refused");
            End::Close(Closing { code: 1008, reason: why.code, document: Some(name.id()) })
        })?;
        let (admitted, apart) = admitted;
        let weight = admitted.weight(data.len());
        let permit = self.hub.turns.in_flight(&self.share, weight).await.ok_or(End::Quiet)?;
        drop(apart);
        self.hub.send(&name, Event::Sync { peer: Arc::clone(&self.peer), admitted, permit }).await;
        Ok(())
    }

    /// Takes a message apart. What it inflates to and how much work it is are
    /// known only by trying, so it is tried as a small one first; one that is
    /// not leaves the async threads, and waits for its turn. `None` once the
    /// hub stops.
    async fn admit(
        &self,
        name: &DocumentName,
        data: &[u8],
    ) -> Option<Result<(Admitted, Option<Apart>), Refused>> {
        let limits = &self.hub.limits.scan;
        if self.hub.rounds.access(&self.peer.caller.person, name).write == Writing::No {
            return Some(admit_without_changes(data, limits).map(|admitted| (admitted, None)));
        }
        if let Some(admitted) = admit_small(data, limits) {
            return Some(Ok((admitted, None)));
        }
        let apart = self.hub.turns.apart(&self.share).await?;
        Some(heavy(usize::MAX, || admit(data, limits)).map(|admitted| (admitted, Some(apart))))
    }
}

fn too_large(limit: &'static str) -> End {
    refused(limit);
    close(1009, "frame.too_large")
}

fn malformed(error: &WireError) -> End {
    if let WireError::OverLimit { what, .. } = error {
        refused_within("frame_", what.trim_start_matches("frame_"));
    }
    close(1008, error.code())
}

/// A person's place among the sessions. A `senderId` takes no place: peers see
/// those of others, so whoever could hold one could lock its owner out.
struct Place {
    hub: Arc<Inner>,
    person: PersonId,
    share: Share,
}

impl Place {
    fn take(hub: &Arc<Inner>, caller: &Caller) -> Result<Self, &'static str> {
        let mut people = hub.people.lock().unwrap_or_else(PoisonError::into_inner);
        let (sessions, share) = people
            .entry(caller.person.clone())
            .or_insert_with(|| (0, Share::new(hub.limits.in_flight_per_person)));
        if *sessions >= hub.limits.sessions_per_person {
            refused("connections_per_person");
            return Err("connections.too_many");
        }
        *sessions += 1;
        let share = share.clone();
        metrics::gauge!("duxue_sync_people").set(count(people.len()));
        Ok(Self { hub: Arc::clone(hub), person: caller.person.clone(), share })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut people = self.hub.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sessions, _)) = people.get_mut(&self.person) {
            *sessions -= 1;
            if *sessions == 0 {
                people.remove(&self.person);
            }
        }
    }
}

/// So many in a second.
struct Bucket {
    since: Instant,
    taken: u32,
}

impl Bucket {
    fn new() -> Self {
        Self { since: Instant::now(), taken: 0 }
    }

    fn take(&mut self, rate: u32) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        self.taken += 1;
        self.taken <= rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of the future that a function makes.
    fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_waits_for_the_next_frame_of_an_idle_client_is_small() {
        type Run = (Arc<Inner>, Admission, Arc<Accounts>, crate::transport::Socket, Arc<Progress>);
        let reading = size(|(hub, admission, accounts, socket, progress): Run| {
            run(hub, admission, accounts, socket, progress, std::future::pending())
        });
        type Write = (Arc<Inner>, Arc<Peer>, mpsc::Receiver<Vec<u8>>, Arc<Life>);
        type Half = futures_util::stream::SplitSink<crate::transport::Socket, Message>;
        let writing = size(|((hub, peer, frames, life), sink): (Write, Half)| {
            write(hub, peer, frames, sink, life, Box::pin(std::future::pending()))
        });
        assert!(reading <= 2_048 && writing <= 1_536, "{reading} {writing}");
    }
}
