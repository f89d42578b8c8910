//! The owner of one open document: drains what has arrived, commits it as one
//! group, applies it, and only then answers.
//!
//! The phases are the code's order: loading, then ready; flushing is the await
//! of a commit; evicted is the end. Nothing is generated from a document that
//! holds an unflushed change, because changes are applied after the flush.

use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use automerge::sync::Message as SyncMessage;
use automerge::{Change, ChangeHash};
use duxue_document::{DocumentId, PersonId};
use duxue_protocol::wire;
use futures_util::FutureExt;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::clock::now_ms;
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::rounds::{DocumentName, Writing};
use crate::store::{
    Delivery, HELD_CHUNKS, JournalNumber, Record, StoreError, StoredDocument, held_chunks_key,
};

use super::Inner;
use super::admit::Admitted;
use super::compaction::Compaction;
use super::document::{
    Contribution, Document, Failed, Intake, LetIn, Plan, Received, Refusal, Rows, Shared, held_changes,
};
use super::groups::{GROUP_BYTES, bytes, groups};
use super::peer::Peer;
use super::rows::{ACTORS, HELD, SET_ASIDE, held_of};
use super::subscriber::Subscriber;

/// Events taken in at once.
const BATCH: usize = 256;
/// Records of the journal read at once.
const PAGE: usize = 1_024;
/// Operations above which applying leaves the async threads.
const LARGE: usize = 2_000;

/// Something for an open document.
pub enum Event {
    /// A sync message.
    Sync {
        /// The session that sent it.
        peer: Arc<Peer>,
        /// The message, scanned and taken apart.
        admitted: Admitted,
        /// Its bytes count against what may be in flight.
        permit: OwnedSemaphorePermit,
    },
    /// An ephemeral message, to be forwarded.
    Ephemeral {
        /// The session that sent it.
        session: u64,
        /// The message.
        message: wire::Message,
    },
    /// There is room in a session's outbox.
    Room {
        /// The session.
        session: u64,
    },
    /// Someone's rights changed.
    Rights,
    /// A session ended.
    Gone {
        /// The session.
        session: u64,
    },
    /// Someone wants to read.
    Read {
        /// Gets the document, or why it cannot be read.
        answer: oneshot::Sender<Result<Shared, Fault>>,
    },
    /// Someone asks which changes are durable.
    Durable {
        /// The changes.
        hashes: Vec<ChangeHash>,
        /// Gets one word for each.
        answer: oneshot::Sender<Vec<Durable>>,
    },
    /// A supervisor decided about held changes.
    Decide {
        /// The held items.
        numbers: Vec<u64>,
        /// Whether to let them in.
        admit: bool,
        /// Who decides.
        by: PersonId,
        /// Gets the outcome.
        answer: oneshot::Sender<Result<(), Fault>>,
    },
}

/// What is known of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// Applied, with all that it depends on.
    Yes,
    /// Kept outside the document until someone decides.
    Held,
    /// Kept outside the document, as someone decided, or because it depends on
    /// such a change.
    LeftOut,
    /// Kept, but it can never be applied.
    SetAside,
    /// Not here.
    No,
}

/// Runs a document until it is idle without subscribers, or the hub stops.
pub async fn run(hub: Arc<Inner>, name: DocumentName, mut inbox: mpsc::Receiver<Event>) {
    let id = name.id();
    let document = match load(&hub, &name).await {
        Ok(document) => document,
        Err(error) => {
            tracing::error!(document = %id, %error, "a document could not be loaded");
            hub.forget(&id);
            inbox.close();
            while let Some(event) = inbox.recv().await {
                match event {
                    Event::Sync { peer, .. } => peer.close_about(id, 1011, "document.failed"),
                    Event::Read { answer } => {
                        let _ = answer.send(Err(unread(&error)));
                    }
                    _ => {}
                }
            }
            return;
        }
    };
    let mut owner = Owner {
        hub: Arc::clone(&hub),
        id,
        document,
        subscribers: BTreeMap::new(),
        compaction: Compaction::default(),
    };
    // A defect of ours must not leave sessions waiting for ever, nor stop any
    // other document. The next who asks gets the document from the store.
    if AssertUnwindSafe(owner.ready(&mut inbox)).catch_unwind().await.is_err() {
        metrics::counter!("duxue_documents_panicked_total").increment(1);
        tracing::error!(document = %id, "the owner of a document panicked");
        owner.fail();
        hub.abandon(&id, &mut inbox).await;
    }
}

/// What is damaged stays so; anything else may be better the next time.
fn unread(error: &StoreError) -> Fault {
    match error {
        StoreError::Damaged(_) => fault::document_damaged(),
        other => Fault::from(other.clone()),
    }
}

async fn load(hub: &Inner, name: &DocumentName) -> Result<Document, StoreError> {
    let id = name.id();
    let stored = hub.store.load(id).await?;
    let (mut document, mut failed) = build(hub, name, stored).await?;
    if failed.iter().any(|failed| failed.chunk == JournalNumber(0)) {
        tracing::error!(document = %id, "a snapshot cannot be read; the document is built from the journal");
        metrics::counter!("duxue_snapshots_unreadable_total").increment(1);
        (document, failed) = build(hub, name, from_journal(hub, id).await?).await?;
    }
    if !failed.is_empty() {
        keep_aside(hub, &mut document, failed).await?;
    }
    Ok(document)
}

/// Every chunk of a document that the journal holds and that was not set
/// aside. Reads the whole journal.
async fn from_journal(hub: &Inner, id: DocumentId) -> Result<StoredDocument, StoreError> {
    let mut chunks = BTreeMap::new();
    let mut next = JournalNumber(1);
    loop {
        let page = hub.store.records(next, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        let begins = page.first().is_some_and(|(first, _)| *first == next);
        if !begins {
            // Without its beginning the document would be smaller than it was.
            return Err(StoreError::Damaged(format!(
                "the snapshot of {id}, and the journal has no record {}",
                next.0
            )));
        }
        next = JournalNumber(last.0 + 1);
        for (number, record) in page {
            match record {
                Record::Chunk { document, bytes, .. } if document == id => {
                    chunks.insert(number, bytes);
                }
                Record::SetAside { document, chunk, .. } if document == id => {
                    chunks.remove(&chunk);
                }
                _ => {}
            }
        }
    }
    Ok(StoredDocument { snapshot: None, chunks: chunks.into_iter().collect() })
}

async fn build(
    hub: &Inner,
    name: &DocumentName,
    stored: StoredDocument,
) -> Result<(Document, Vec<Failed>), StoreError> {
    let prefix = name.id().0;
    let values = |rows: Vec<(Vec<u8>, _)>| rows.into_iter().map(|(_, row)| row).collect();
    let actors = values(ACTORS.rows(&*hub.store, &prefix).await?);
    let held = HELD.rows(&*hub.store, &held_of(name)).await?.into_iter().map(|(_, row)| row).collect();
    let set_aside = SET_ASIDE.rows(&*hub.store, &prefix).await?.into_iter().map(|(_, row)| row).collect();
    let rows = Rows { actors, held, set_aside };
    let name = name.clone();
    tokio::task::spawn_blocking(move || Document::load(name, &stored, rows))
        .await
        .map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Notes that chunks cannot be applied: who delivered them is in their
/// records.
async fn keep_aside(hub: &Inner, document: &mut Document, mut failed: Vec<Failed>) -> Result<(), StoreError> {
    for failed in failed.iter_mut().filter(|failed| failed.delivery.is_none()) {
        let record = hub.store.records(failed.chunk, 1).await?.pop();
        if let Some((number, Record::Chunk { delivery, .. })) = record
            && number == failed.chunk
        {
            failed.delivery = delivery;
        }
    }
    metrics::counter!("duxue_set_aside_chunks_total").increment(failed.len() as u64);
    hub.store.commit(document.set_aside(&failed, now_ms())?).await?;
    Ok(())
}

struct Owner {
    hub: Arc<Inner>,
    id: DocumentId,
    document: Document,
    subscribers: BTreeMap<u64, Subscriber>,
    compaction: Compaction,
}

fn operations(let_in: &LetIn) -> usize {
    let_in.iter().flat_map(|(_, changes)| changes).map(Change::len).sum()
}

/// A message that waits for its batch to be flushed.
struct Waiting {
    session: u64,
    message: SyncMessage,
    had_changes: bool,
}

impl Owner {
    async fn ready(&mut self, inbox: &mut mpsc::Receiver<Event>) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let idle = tokio::time::timeout(self.hub.limits.idle, inbox.recv_many(&mut batch, BATCH));
            match idle.await {
                Ok(0) => return,
                Ok(_) => {
                    let batch = std::mem::take(&mut batch);
                    if let Err(error) = self.tick(batch).await {
                        // The document in memory may not be what is stored, so
                        // nothing more may be said from it.
                        tracing::error!(document = %self.id, %error, "a document was closed");
                        self.fail();
                        if self.evict(inbox).await {
                            return;
                        }
                        return self.hub.abandon(&self.id, inbox).await;
                    }
                }
                Err(_) if self.subscribers.is_empty() && !self.compaction.is_running() => {
                    if self.evict(inbox).await {
                        return;
                    }
                }
                Err(_) => self.compaction.look(&mut self.document),
            }
        }
    }

    /// The document in memory is not to be trusted: nobody keeps it open.
    fn fail(&mut self) {
        for subscriber in std::mem::take(&mut self.subscribers).into_values() {
            subscriber.peer.close_about(self.id, 1011, "document.failed");
        }
    }

    /// Gives up ownership unless something has arrived meanwhile.
    async fn evict(&mut self, inbox: &mut mpsc::Receiver<Event>) -> bool {
        if !self.hub.forget_if(&self.id, || inbox.is_empty()) {
            return false;
        }
        self.hub.pass_on(&self.id, inbox).await;
        true
    }

    async fn tick(&mut self, batch: Vec<Event>) -> Result<(), StoreError> {
        self.compaction.look(&mut self.document);
        let mut contributions = Vec::new();
        let mut waiting = Vec::new();
        let mut permits = Vec::new();
        let mut decisions = Vec::new();
        let mut questions = Vec::new();
        for event in batch {
            match event {
                Event::Sync { peer, admitted, permit } => {
                    permits.push(permit);
                    self.take_in(&peer, admitted, &mut contributions, &mut waiting);
                }
                Event::Ephemeral { session, message } => self.forward(session, message),
                Event::Room { session } => {
                    if let Some(subscriber) = self.subscribers.get_mut(&session) {
                        subscriber.dirty = true;
                    }
                }
                Event::Rights => {
                    self.subscribers.values_mut().for_each(|subscriber| subscriber.dirty = true);
                }
                Event::Gone { session } => {
                    self.subscribers.remove(&session);
                }
                question @ (Event::Read { .. } | Event::Durable { .. }) => questions.push(question),
                Event::Decide { numbers, admit, by, answer } => decisions.push((numbers, admit, by, answer)),
            }
        }
        self.flush(contributions).await?;
        for (numbers, admit, by, answer) in decisions {
            let outcome = self.decide(&numbers, admit, &by).await?;
            let _ = answer.send(outcome);
        }
        self.settle(waiting).await?;
        self.answer();
        // Last, so that who asks after sending gets to know what became of it.
        for question in questions {
            self.tell(question);
        }
        self.compaction.start(&self.hub, &mut self.document);
        Ok(())
    }

    fn tell(&self, question: Event) {
        match question {
            Event::Read { answer } => {
                let _ = answer.send(Ok(self.document.shared().clone()));
            }
            Event::Durable { hashes, answer } => {
                let _ = answer.send(hashes.iter().map(|hash| self.durable(hash)).collect());
            }
            _ => {}
        }
    }

    fn take_in(
        &mut self,
        peer: &Arc<Peer>,
        admitted: Admitted,
        contributions: &mut Vec<Contribution>,
        waiting: &mut Vec<Waiting>,
    ) {
        let access = self.hub.rounds.access(&peer.caller.person, self.document.name());
        let subscriber =
            self.subscribers.entry(peer.id).or_insert_with(|| Subscriber::new(Arc::clone(peer), access));
        subscriber.set_access(access);
        if !access.any() || peer.is_closed() {
            subscriber.dirty = true;
            return;
        }
        let Admitted { message, changes, had_changes, dropped } = admitted;
        if dropped && access.write != Writing::No {
            // The right came while the message was on its way. A new sync
            // state brings the changes again.
            peer.close(1012, "restart");
            return;
        }
        waiting.push(Waiting { session: peer.id, message, had_changes });
        if !changes.is_empty() {
            let delivery =
                Delivery { person: peer.caller.person.clone(), device: peer.caller.device.clone() };
            contributions.push(Contribution { session: peer.id, delivery, write: access.write, changes });
        }
    }

    /// Commits and applies what has arrived. A store that refuses costs the
    /// senders their connection and nothing else: they come back with a new
    /// sync state and send again.
    async fn flush(&mut self, contributions: Vec<Contribution>) -> Result<(), StoreError> {
        for group in groups(contributions) {
            self.flush_group(group).await?;
        }
        Ok(())
    }

    async fn flush_group(&mut self, contributions: Vec<Contribution>) -> Result<(), StoreError> {
        let mut plan = self.plan(contributions)?;
        for Refusal { session, limit, code } in std::mem::take(&mut plan.refused) {
            refused(limit);
            tracing::warn!(document = %self.id, code, "a delivery was refused");
            self.close(&HashSet::from([session]), 1008, code);
        }
        let followers = self.document.followers(&plan);
        if !followers.is_empty() {
            self.follow(&mut plan, followers).await?;
        }
        if plan.is_empty() {
            return Ok(());
        }
        let senders = plan.sessions.clone();
        if let Err(error) = self.commit(plan).await? {
            tracing::error!(document = %self.id, %error, "changes were refused by the store");
            metrics::counter!("duxue_sync_refused_commits_total").increment(1);
            let reason = if matches!(error, StoreError::Full) { "store.full" } else { "store.failed" };
            self.close(&senders, 1011, reason);
        }
        Ok(())
    }

    fn plan(&self, contributions: Vec<Contribution>) -> Result<Plan, StoreError> {
        #[cfg(test)]
        super::trap::in_plan(contributions.iter().flat_map(|brought| &brought.changes));
        let (hub, name) = (&self.hub, self.document.name());
        let intake = Intake {
            right: &|person| hub.rounds.access(person, name).write,
            next_held: &|| hub.next_held(),
            reserve: &|person, amount| hub.quotas.take(person, amount, hub.limits.held_per_person),
            held_max: hub.limits.held_per_document,
            now_ms: now_ms(),
        };
        let operations = contributions.iter().flat_map(|brought| &brought.changes).map(Change::len).sum();
        heavy(operations, || self.document.plan(contributions, &intake))
    }

    /// Lets in what was held only because it depends on what a plan takes.
    /// What cannot be read stays held, with all that comes after it.
    async fn follow(&self, plan: &mut Plan, numbers: Vec<u64>) -> Result<(), StoreError> {
        let mut let_in = LetIn::new();
        let mut room = GROUP_BYTES;
        for number in numbers {
            match self.held_changes(number).await {
                Ok(changes) => {
                    // What one commit cannot take stays listed, and waits for
                    // nothing but a decision.
                    let Some(left) = room.checked_sub(bytes(&changes)) else { break };
                    room = left;
                    let_in.push((number, changes));
                }
                Err(error) => {
                    tracing::error!(document = %self.id, number, %error, "held changes cannot be read");
                    break;
                }
            }
        }
        heavy(operations(&let_in), || self.document.follow(plan, let_in, now_ms()))
    }

    async fn held_changes(&self, number: u64) -> Result<Vec<Change>, StoreError> {
        let bytes = self.hub.store.row(HELD_CHUNKS, held_chunks_key(&self.id, number)).await?;
        let bytes = bytes.ok_or_else(|| StoreError::Damaged(format!("held changes {number} are gone")))?;
        heavy(bytes.len(), || held_changes(&bytes))
    }

    async fn decide(
        &mut self,
        decided: &[u64],
        admit: bool,
        by: &PersonId,
    ) -> Result<Result<(), Fault>, StoreError> {
        let numbers = match self.document.concerned(decided, admit) {
            Ok(numbers) => numbers,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut let_in = LetIn::new();
        for number in numbers {
            match self.held_changes(number).await {
                Ok(changes) => let_in.push((number, changes)),
                Err(error) => return Ok(Err(Fault::from(error))),
            }
        }
        if self.document.are_of(&let_in, by) {
            return Ok(Err(fault::own_held()));
        }
        let operations = operations(&let_in);
        let changes: Vec<ChangeHash> =
            let_in.iter().flat_map(|(_, changes)| changes).map(Change::hash).collect();
        let plan = heavy(operations, || self.document.decide(decided, admit, by, let_in, now_ms()))?;
        let Some(plan) = plan else { return Ok(Err(fault::held_unusable())) };
        if let Err(error) = self.commit(plan).await? {
            return Ok(Err(Fault::from(error)));
        }
        // Automerge may have refused what the numbers allowed.
        let refused = changes.iter().any(|hash| self.document.has_set_aside(hash));
        Ok(if refused { Err(fault::held_unusable()) } else { Ok(()) })
    }

    /// Flushes a plan and applies it. The inner error is the store's refusal,
    /// after which nothing has changed.
    async fn commit(&mut self, mut plan: Plan) -> Result<Result<(), StoreError>, StoreError> {
        let records = std::mem::take(&mut plan.records);
        let count = records.len() as u64;
        let first = match self.hub.store.commit(records).await {
            Ok(first) => first,
            Err(error) => {
                for (person, amount) in &plan.reserved {
                    self.hub.quotas.give_back(person, *amount);
                }
                return Ok(Err(error));
            }
        };
        for (person, amount) in &plan.released {
            self.hub.quotas.give_back(person, *amount);
        }
        let (changes_document, aside) = (plan.changes_document(), plan.failed(first));
        let last = JournalNumber(first.0 + count - 1);
        let applied = heavy(plan.operations(), || self.document.apply(plan, first));
        if let Err(failed) = applied {
            self.rebuild(&failed).await?;
        }
        if !aside.is_empty() {
            keep_aside(&self.hub, &mut self.document, aside.clone()).await?;
            self.close(&aside.iter().filter_map(|failed| failed.session).collect(), 1011, "change.set_aside");
        }
        metrics::counter!("duxue_sync_commits_total").increment(1);
        for subscriber in self.subscribers.values_mut() {
            subscriber.dirty |= changes_document;
        }
        self.hub.observers.applied(self.document.name(), last, self.document.shared());
        Ok(Ok(()))
    }

    /// After a failure: the document anew from what is stored, without the
    /// chunks that cannot be applied; their senders lose the connection.
    async fn rebuild(&mut self, suspects: &[Failed]) -> Result<(), StoreError> {
        metrics::counter!("duxue_documents_rebuilt_total").increment(1);
        let stored = self.hub.store.load(self.id).await?;
        let kept: HashSet<JournalNumber> = stored.chunks.iter().map(|(number, _)| *number).collect();
        self.document = load(&self.hub, self.document.name()).await?;
        let after = self.hub.store.load(self.id).await?;
        let now: HashSet<JournalNumber> = after.chunks.iter().map(|(number, _)| *number).collect();
        let gone: HashSet<u64> = suspects
            .iter()
            .filter(|failed| kept.contains(&failed.chunk) && !now.contains(&failed.chunk))
            .filter_map(|failed| failed.session)
            .collect();
        self.close(&gone, 1011, "change.set_aside");
        // A sync state is never kept across a rebuilt document.
        for subscriber in self.subscribers.values_mut() {
            *subscriber = Subscriber::new(Arc::clone(&subscriber.peer), subscriber.access());
            subscriber.dirty = true;
        }
        Ok(())
    }

    fn close(&mut self, sessions: &HashSet<u64>, code: u16, reason: &'static str) {
        for session in sessions {
            if let Some(subscriber) = self.subscribers.remove(session) {
                subscriber.peer.close_about(self.id, code, reason);
            }
        }
    }

    /// Tells the sync states what was received, now that it is flushed. Where
    /// Automerge panics, one session ends and this document is rebuilt.
    async fn settle(&mut self, waiting: Vec<Waiting>) -> Result<(), StoreError> {
        let mut panicked = false;
        for Waiting { session, message, had_changes } in waiting {
            let Some(subscriber) = self.subscribers.get_mut(&session) else { continue };
            match self.document.receive(subscriber, message, had_changes) {
                Received::Well => {}
                Received::Malformed => self.close(&HashSet::from([session]), 1008, "sync.malformed"),
                Received::Panicked => {
                    panicked = true;
                    self.close(&HashSet::from([session]), 1011, "sync.panic");
                }
            }
        }
        if panicked { self.rebuild(&[]).await } else { Ok(()) }
    }

    /// At most one message for each subscriber that has one coming and room
    /// for it.
    fn answer(&mut self) {
        let mut gone = Vec::new();
        for (session, subscriber) in self.subscribers.iter_mut().filter(|(_, s)| s.dirty) {
            let access = self.hub.rounds.access(&subscriber.peer.caller.person, self.document.name());
            if subscriber.peer.is_closed() {
                gone.push(*session);
                continue;
            }
            if !access.any() {
                if let Some(place) = subscriber.peer.reserve(self.id) {
                    place.send(self.hub.unavailable(&subscriber.peer, &self.id));
                    gone.push(*session);
                }
                continue;
            }
            subscriber.set_access(access);
            let peer = Arc::clone(&subscriber.peer);
            let Some(place) = peer.reserve(self.id) else { continue };
            match self.document.generate(subscriber) {
                Ok(Some(data)) => place.send(self.hub.sync_frame(&peer, &self.id, data)),
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
    }

    fn forward(&self, session: u64, message: wire::Message) {
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

    fn durable(&self, hash: &ChangeHash) -> Durable {
        if self.document.has(hash) {
            Durable::Yes
        } else if self.document.left_out(hash) {
            Durable::LeftOut
        } else if self.document.holds(hash) {
            Durable::Held
        } else if self.document.has_set_aside(hash) {
            Durable::SetAside
        } else {
            Durable::No
        }
    }
}

/// Runs much work where it does not stop the other tasks of its thread.
pub fn heavy<T>(operations: usize, work: impl FnOnce() -> T) -> T {
    let many_threads = tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if operations > LARGE && many_threads { tokio::task::block_in_place(work) } else { work() }
}
