//! The sync hub: sessions on one side, one owner task for each open document
//! on the other. Nothing here walks over connections × documents.

pub mod admit;
mod compaction;
pub mod document;
mod groups;
mod life;
mod pace;
mod peer;
pub mod preview;
pub mod quota;
mod recent;
pub mod rows;
pub mod session;
pub mod subscriber;
pub mod task;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trap;
pub mod turns;
pub mod written;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use automerge::ChangeHash;
use duxue_document::{DocumentId, PersonId, RoundId};
use duxue_protocol::scan::ScanLimits;
use duxue_protocol::wire::{self, Limits};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{in_use, refused};
use crate::fault::{self, Fault};
use crate::rounds::{DocumentName, Rounds};
use crate::store::{Delivery, JournalNumber, Store, StoreError};

use document::Shared;
use peer::Peer;
use quota::{Amount, Quotas};
use rows::{HELD, HeldRow, SET_ASIDE, SetAsideRow, held_of_round};
use task::{Durable, Event};
use turns::{Share, Turns};
use written::Written;

/// Between two looks whether everything has ended.
const STOPPING: Duration = Duration::from_millis(50);

/// What the hub takes from outside.
#[derive(Debug, Clone)]
pub struct HubLimits {
    /// Of a frame, before anything is decoded.
    pub wire: Limits,
    /// Of a sync message, before Automerge sees it.
    pub scan: ScanLimits,
    /// Sessions of one person at once.
    pub sessions_per_person: usize,
    /// Documents that one connection may subscribe to.
    pub documents: usize,
    /// Events that may wait for one document.
    pub events: usize,
    /// Bytes of sync messages that are being worked on, inflated.
    pub in_flight: usize,
    /// Bytes of documents that may wait whole for all sockets.
    pub outbound_all: usize,
    /// Bytes of large sync messages that are received and not worked on.
    pub received: usize,
    /// The part of each that one person may take.
    pub in_flight_per_person: usize,
    /// Bytes of a `senderId`.
    pub sender_bytes: usize,
    /// How long a socket may take nothing of a frame.
    pub send: Duration,
    /// Frames that may wait for one socket.
    pub outbound_frames: usize,
    /// Bytes that may wait for one socket before no more are computed.
    pub outbound_bytes: usize,
    /// Bytes of an ephemeral message.
    pub ephemeral_bytes: usize,
    /// Ephemeral messages of a connection in a second.
    pub ephemeral_rate: u32,
    /// How long an idle document without subscribers stays open.
    pub idle: Duration,
    /// Between two pings; a socket that is silent for two of them ends.
    pub ping: Duration,
    /// For the join after the upgrade.
    pub handshake: Duration,
    /// What one document may be.
    pub of_document: DocumentMax,
    /// Bytes that one person may have written into the journal in a day.
    pub journal_per_person: u64,
    /// Changes of one person that may be set aside in a day.
    pub set_aside_per_person: u64,
    /// What one person may leave in the held area.
    pub held_per_person: Amount,
    /// What may be held of one document.
    pub held_per_document: Amount,
}

/// What one document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentMax {
    /// Operations, deletions too.
    pub operations: usize,
    /// Changes.
    pub changes: usize,
    /// Actors.
    pub actors: usize,
    /// Heads.
    pub heads: usize,
    /// Bytes, as stored.
    pub bytes: usize,
    /// Changes that wait for what they depend on.
    pub waiting: usize,
}

/// Hears of every batch that was applied.
pub trait Observer: Send + Sync + 'static {
    /// `document` holds everything up to `journal` now. Must not wait.
    fn applied(&self, name: &DocumentName, journal: JournalNumber, document: &Shared);
}

/// Everyone who hears of applied batches.
pub struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    fn applied(&self, name: &DocumentName, journal: JournalNumber, document: &Shared) {
        for observer in &self.0 {
            observer.applied(name, journal, document);
        }
    }
}

/// What all sessions and documents share.
pub struct Inner {
    store: Arc<dyn Store>,
    rounds: Arc<Rounds>,
    limits: HubLimits,
    observers: Observers,
    server_id: String,
    open: Mutex<HashMap<DocumentId, mpsc::Sender<Event>>>,
    /// The sessions, to look at what waits for each.
    peers: Mutex<HashMap<u64, Weak<Peer>>>,
    /// How many sessions each person has, and what these share.
    people: Mutex<HashMap<PersonId, (usize, Share)>>,
    turns: Turns,
    /// Bytes of documents that may wait whole for their readers.
    whole: Arc<Semaphore>,
    quotas: Quotas,
    written: Written,
    /// Changes that were set aside, counted the same way.
    set_aside: Written,
    next_session: AtomicU64,
    next_held: AtomicU64,
    sessions: CancellationToken,
    tasks: TaskTracker,
}

/// The hub; clones share it.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// A hub that lives as long as others hold it: what it tells of its documents
/// must not keep it, and the store with it, in memory.
#[derive(Clone)]
pub struct WeakHub(Weak<Inner>);

impl WeakHub {
    /// The hub, if there still is one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl Hub {
    /// This hub, for what it holds itself.
    #[must_use]
    pub fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    /// A hub over a store. `server_id` is the server's `senderId`.
    ///
    /// # Errors
    /// What the store says.
    pub async fn new(
        store: Arc<dyn Store>,
        rounds: Arc<Rounds>,
        limits: HubLimits,
        observers: Vec<Arc<dyn Observer>>,
        server_id: String,
    ) -> Result<Self, StoreError> {
        let held = HELD.rows(&*store, b"").await?;
        // Above every number that a row or a record has had: a decision must
        // not meet another item than the one it was made about.
        let last = held.iter().map(|(_, row)| row.number).max().unwrap_or(0).max(store.last().0);
        let quotas = Quotas::default();
        for (_, row) in held.into_iter().filter(|(_, row)| row.decision.is_none()) {
            let all = Amount { changes: u64::MAX, bytes: u64::MAX };
            let _ = quotas.take(&row.person, row.amount(), all);
        }
        let largest = usize::try_from(limits.scan.inflated_bytes).unwrap_or(usize::MAX);
        let turns = Turns::new(limits.in_flight, largest, limits.received);
        let whole = Arc::new(Semaphore::new(limits.outbound_all.min(Semaphore::MAX_PERMITS)));
        let written = Written::new(limits.journal_per_person);
        let set_aside = Written::new(limits.set_aside_per_person);
        Ok(Self(Arc::new(Inner {
            store,
            rounds,
            limits,
            observers: Observers(observers),
            server_id,
            open: Mutex::default(),
            peers: Mutex::default(),
            people: Mutex::default(),
            turns,
            whole,
            quotas,
            written,
            set_aside,
            next_session: AtomicU64::new(1),
            next_held: AtomicU64::new(last + 1),
            sessions: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })))
    }

    /// A document for reading; it holds only what is flushed.
    ///
    /// # Errors
    /// `document.damaged` where it cannot be built from what is stored, or
    /// what the store says, which may be better the next time.
    pub async fn read(&self, name: &DocumentName) -> Result<Shared, Fault> {
        let (answer, reading) = oneshot::channel();
        self.0.send(name, Event::Read { answer }).await;
        reading.await.map_err(|_| fault::store_failed())?
    }

    /// Which of these changes are durable, as far as who asks is concerned.
    ///
    /// # Errors
    /// `document.damaged` or `store.failed` where the document cannot be loaded.
    pub async fn durable(
        &self,
        name: &DocumentName,
        hashes: Vec<ChangeHash>,
        asks: Delivery,
    ) -> Result<Vec<Durable>, Fault> {
        let (answer, words) = oneshot::channel();
        self.0.send(name, Event::Durable { hashes, asks, answer }).await;
        words.await.map_err(|_| fault::store_failed())?
    }

    /// Every held item of a round, decided ones too.
    ///
    /// # Errors
    /// What the store says.
    pub async fn held(&self, round: &RoundId) -> Result<Vec<HeldRow>, Fault> {
        let rows = HELD.rows(&*self.0.store, &held_of_round(round)).await?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The changes of a round that were set aside, with their documents.
    ///
    /// # Errors
    /// What the store says.
    pub async fn set_aside(&self, round: &RoundId) -> Result<Vec<(DocumentName, SetAsideRow)>, Fault> {
        let rows = SET_ASIDE.rows(&*self.0.store, b"").await?;
        let of_round = rows.into_iter().filter_map(|(key, row)| {
            let document = DocumentId(key.get(..16)?.try_into().ok()?);
            let name = self.0.rounds.document(&document).filter(|name| name.round == *round)?;
            Some((name, row))
        });
        Ok(of_round.collect())
    }

    /// Lets held changes in or leaves them out.
    ///
    /// # Errors
    /// `held.decided`, `held.own`, `held.waits`, or what the store says.
    pub async fn decide(
        &self,
        name: &DocumentName,
        number: u64,
        admit: bool,
        by: &PersonId,
    ) -> Result<u64, Fault> {
        self.decide_together(name, vec![number], admit, by).await
    }

    /// Lets several items of one document in or leaves them out, as one
    /// decision. Gives the number of changes that can never be applied for it
    /// and were set aside.
    ///
    /// # Errors
    /// As [`Self::decide`]; then nothing was decided.
    pub async fn decide_together(
        &self,
        name: &DocumentName,
        numbers: Vec<u64>,
        admit: bool,
        by: &PersonId,
    ) -> Result<u64, Fault> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(name, Event::Decide { numbers, admit, by: by.clone(), answer }).await;
        outcome.await.map_err(|_| fault::store_failed())?
    }

    /// Tells the open documents of a round that rights changed: who may no
    /// longer read them is told so, and not only with the next edit.
    pub async fn rights_changed(&self, round: &RoundId) {
        let of_round = |id: &&DocumentId| self.0.rounds.document(id).is_some_and(|name| name.round == *round);
        // In an order of its own, so that a simulation runs the same way again.
        let open: BTreeSet<DocumentId> = self.0.lock().keys().filter(of_round).copied().collect();
        for document in open {
            self.0.send_if_open(&document, Event::Rights).await;
        }
    }

    /// Counts something small that is about to be written for a person, beside
    /// changes.
    ///
    /// # Errors
    /// `journal.person_full` where the person has had as much written as
    /// anyone may.
    pub fn count_written(&self, person: &PersonId, bytes: u64) -> Result<(), Fault> {
        if !self.0.written.allows(person, bytes) {
            refused("journal_bytes_per_person");
            return Err(fault::journal_person_full());
        }
        self.0.written.add(person, bytes);
        Ok(())
    }

    /// Documents that are open now.
    #[must_use]
    pub fn open_documents(&self) -> usize {
        self.0.lock().len()
    }

    /// Shows in the metrics what is in use of the limits here.
    pub fn show_use(&self) {
        let hub = &*self.0;
        in_use("in_flight_bytes", hub.turns.in_use());
        in_use("received_bytes", hub.turns.received_in_use());
        in_use("journal_bytes_per_person", usize::try_from(hub.written.most()).unwrap_or(usize::MAX));
        in_use("set_aside_changes_per_person", usize::try_from(hub.set_aside.most()).unwrap_or(usize::MAX));
        let waits = |inbox: &mpsc::Sender<Event>| inbox.max_capacity() - inbox.capacity();
        in_use("document_events", hub.lock().values().map(waits).max().unwrap_or(0));
        let peers: Vec<Arc<Peer>> = {
            let peers = hub.peers.lock().unwrap_or_else(PoisonError::into_inner);
            peers.values().filter_map(Weak::upgrade).collect()
        };
        let most = |of: fn(&Peer) -> usize| peers.iter().map(|peer| of(peer)).max().unwrap_or(0);
        in_use("outbound_frames", most(Peer::queued_frames));
        in_use("outbound_bytes", most(Peer::queued));
        in_use(
            "outbound_bytes_in_all",
            hub.limits.outbound_all.saturating_sub(hub.whole.available_permits()),
        );
        metrics::gauge!("duxue_sync_outbound_bytes").set(count(peers.iter().map(|peer| peer.queued()).sum()));
        let people = hub.people.lock().unwrap_or_else(PoisonError::into_inner);
        in_use("connections_per_person", people.values().map(|(sessions, _)| *sessions).max().unwrap_or(0));
        let shares = people.values().map(|(_, share)| share.in_use());
        in_use("in_flight_bytes_per_person", shares.max().unwrap_or(0));
    }

    /// Ends every session and waits until every document has written what it
    /// took.
    pub async fn stop(&self) {
        self.0.sessions.cancel();
        self.0.tasks.close();
        loop {
            // Without senders a document ends once its inbox is empty. A
            // session that is ending may have opened one more.
            self.0.lock().clear();
            if tokio::time::timeout(STOPPING, self.0.tasks.wait()).await.is_ok() {
                return;
            }
        }
    }
}

impl Inner {
    /// Gives an event to the document's owner, which is started if need be.
    async fn send(self: &Arc<Self>, name: &DocumentName, event: Event) {
        let mut event = event;
        loop {
            let inbox = self.inbox(name);
            match hand(&inbox, event).await {
                Ok(()) => return,
                // The owner has ended since; another one takes over.
                Err(returned) => event = returned,
            }
            self.forget_same(&name.id(), &inbox);
        }
    }

    /// Gives an event to the document's owner if there is one.
    async fn send_if_open(&self, document: &DocumentId, event: Event) {
        let inbox = self.lock().get(document).cloned();
        if let Some(inbox) = inbox {
            let _ = hand(&inbox, event).await;
        }
    }

    fn inbox(self: &Arc<Self>, name: &DocumentName) -> mpsc::Sender<Event> {
        let mut open = self.lock();
        if let Some(inbox) = open.get(&name.id()) {
            return inbox.clone();
        }
        let (inbox, events) = mpsc::channel(self.limits.events);
        open.insert(name.id(), inbox.clone());
        metrics::gauge!("duxue_open_documents").set(count(open.len()));
        self.tasks.spawn(task::run(Arc::clone(self), name.clone(), events));
        inbox
    }

    /// Takes a document off the list if `idle` holds while nobody can send.
    fn forget_if(&self, document: &DocumentId, idle: impl FnOnce() -> bool) -> bool {
        let mut open = self.lock();
        if !idle() {
            return false;
        }
        open.remove(document);
        metrics::gauge!("duxue_open_documents").set(count(open.len()));
        true
    }

    fn forget(&self, document: &DocumentId) {
        self.forget_if(document, || true);
    }

    fn forget_same(&self, document: &DocumentId, inbox: &mpsc::Sender<Event>) {
        let mut open = self.lock();
        if open.get(document).is_some_and(|current| current.same_channel(inbox)) {
            open.remove(document);
        }
    }

    /// Hands what arrived after the last look to the document's next owner.
    async fn pass_on(self: &Arc<Self>, document: &DocumentId, inbox: &mut mpsc::Receiver<Event>) {
        inbox.close();
        while let Some(event) = inbox.recv().await {
            if let Some(name) = self.rounds.document(document) {
                self.send(&name, event).await;
            }
        }
    }

    /// Ends a document that failed; what had arrived is answered by closing.
    async fn abandon(&self, document: &DocumentId, inbox: &mut mpsc::Receiver<Event>) {
        self.forget(document);
        inbox.close();
        while let Some(event) = inbox.recv().await {
            if let Event::Sync { peer, .. } = event {
                peer.close_about(*document, 1011, "document.failed");
            }
        }
    }

    fn next_held(&self) -> u64 {
        self.next_held.fetch_add(1, Ordering::Relaxed)
    }

    fn sync_frame(&self, peer: &Peer, document: &str, data: Vec<u8>) -> Vec<u8> {
        wire::encode(&wire::Message::Sync {
            sender_id: self.server_id.clone(),
            target_id: peer.sender_id.clone(),
            document_id: document.to_owned(),
            data,
        })
    }

    fn unavailable(&self, peer: &Peer, document: &DocumentId) -> Vec<u8> {
        self.unavailable_text(peer, document.to_string())
    }

    fn unavailable_text(&self, peer: &Peer, document_id: String) -> Vec<u8> {
        wire::encode(&wire::Message::DocUnavailable {
            sender_id: self.server_id.clone(),
            target_id: peer.sender_id.clone(),
            document_id,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DocumentId, mpsc::Sender<Event>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an event to a document's owner, waiting for room; gives it back where
/// the owner has ended.
async fn hand(inbox: &mpsc::Sender<Event>, event: Event) -> Result<(), Event> {
    match inbox.try_send(event) {
        Ok(()) => Ok(()),
        Err(mpsc::error::TrySendError::Closed(event)) => Err(event),
        Err(mpsc::error::TrySendError::Full(event)) => {
            refused("document_events");
            // Boxed, because every idle session has room for what this waits with.
            let sent = Box::pin(inbox.send(event)).await;
            sent.map_err(|mpsc::error::SendError(event)| event)
        }
    }
}

/// A count as metrics take it.
#[must_use]
pub fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
