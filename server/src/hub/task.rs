//! The owner of one open document: drains what has arrived, commits it as one
//! group, applies it, and only then answers.
//!
//! The phases are the code's order: loading, then ready; flushing is the await
//! of a commit; evicted is the end. Nothing is generated from a document that
//! holds an unflushed change, because changes are applied after the flush.

mod answer;
mod event;
mod load;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use automerge::{Change, ChangeHash};
use duxue_document::{DocumentId, PersonId};
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::clock::now_ms;
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::heavy::heavy;
use crate::rounds::{DocumentName, Writing};
use crate::store::{Delivery, HELD_CHUNKS, JournalNumber, StoreError, held_chunks_key};

use super::Inner;
use super::admit::Admitted;
use super::compaction::Compaction;
use super::document::{Contribution, Document, Failed, Intake, Items, Plan, Refusal, held_changes};
use super::groups::{Room, groups};
use super::peer::Peer;
use super::subscriber::Subscriber;

use answer::Waiting;
use load::{keep_aside, load};

pub use event::{Durable, Event};

/// Events taken in at once.
const BATCH: usize = 256;

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
                    Event::Durable { answer, .. } => {
                        let _ = answer.send(Err(unread(&error)));
                    }
                    Event::Decide { answer, .. } => {
                        let _ = answer.send(Err(unread(&error)));
                    }
                    // Nobody waits for an answer to these.
                    Event::Ephemeral { .. } | Event::Room { .. } | Event::Rights | Event::Gone { .. } => {}
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
        gathered: None,
        spoke: Instant::now(),
        pause: None,
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

struct Owner {
    hub: Arc<Inner>,
    id: DocumentId,
    document: Document,
    subscribers: BTreeMap<u64, Subscriber>,
    /// When a subscriber gets what was gathered for it, at the latest.
    gathered: Option<Instant>,
    /// When the document spoke last.
    spoke: Instant,
    /// Until when it listens before it speaks again.
    pause: Option<Instant>,
    compaction: Compaction,
}

fn operations(let_in: &Items) -> usize {
    let_in.iter().flat_map(|(_, changes)| changes).map(Change::len).sum()
}

impl Owner {
    async fn ready(&mut self, inbox: &mut mpsc::Receiver<Event>) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            if let Some(pause) = self.pause {
                tokio::time::sleep_until(pause).await;
            }
            let idle = Instant::now() + self.hub.limits.idle;
            let until = self.gathered.map_or(idle, |at| at.min(idle));
            match timeout_at(until, inbox.recv_many(&mut batch, BATCH)).await {
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
                Err(_) if until < idle => self.answer(),
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
            self.close(&BTreeSet::from([session]), 1008, code);
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
            may_write: &|person, bytes| hub.written.allows(person, bytes),
            may_set_aside: &|person, changes| hub.set_aside.allows(person, changes),
            held_max: hub.limits.held_per_document,
            document_max: hub.limits.of_document,
            now_ms: now_ms(),
        };
        let operations = contributions.iter().flat_map(|brought| &brought.changes).map(Change::len).sum();
        heavy(operations, || self.document.plan(contributions, &intake))
    }

    /// Lets in what was held only because it depends on what a plan takes.
    /// What cannot be read stays held, with all that comes after it.
    async fn follow(&self, plan: &mut Plan, numbers: Vec<u64>) -> Result<(), StoreError> {
        let mut let_in = Items::new();
        let mut room = Room::new();
        for number in numbers {
            match self.held_changes(number).await {
                Ok(changes) => {
                    // What one commit cannot take stays listed, and waits for
                    // nothing but a decision.
                    if !room.take(&changes) {
                        break;
                    }
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
    ) -> Result<Result<u64, Fault>, StoreError> {
        let numbers = match self.document.concerned(decided, admit) {
            Ok(numbers) => numbers,
            Err(fault) => return Ok(Err(fault)),
        };
        let (mut items, mut room) = (Items::new(), Room::new());
        for number in numbers {
            let changes = match self.held_changes(number).await {
                Ok(changes) => changes,
                Err(error) => return Ok(Err(Fault::from(error))),
            };
            // One item by itself was taken in one commit when it came.
            if !room.take(&changes) && !items.is_empty() {
                // Nothing that one item needs follows it: what does stays
                // listed, and waits for nothing but a decision.
                if admit && decided.len() == 1 {
                    break;
                }
                return Ok(Err(fault::held_too_much()));
            }
            items.push((number, changes));
        }
        if admit && self.document.are_of(&items, by) {
            return Ok(Err(fault::own_held()));
        }
        let changes: Vec<ChangeHash> =
            items.iter().flat_map(|(_, changes)| changes).map(Change::hash).collect();
        let plan = heavy(operations(&items), || self.document.decide(decided, admit, by, items, now_ms()))?;
        if let Err(error) = self.commit(plan).await? {
            return Ok(Err(Fault::from(error)));
        }
        // Counted now: Automerge may have refused what the numbers allowed.
        Ok(Ok(changes.iter().filter(|hash| self.document.has_set_aside(hash)).count() as u64))
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
        for (person, bytes) in &plan.written {
            self.hub.written.add(person, *bytes);
        }
        for (person, changes) in plan.set_aside() {
            self.hub.set_aside.add(person, changes);
        }
        let gone = plan.has_gone();
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
        if gone && self.document.has_dead() {
            // What has come before is set aside at a load.
            self.rebuild(&[]).await?;
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
        let gone: BTreeSet<u64> = suspects
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

    fn close(&mut self, sessions: &BTreeSet<u64>, code: u16, reason: &'static str) {
        for session in sessions {
            if let Some(subscriber) = self.subscribers.remove(session) {
                subscriber.peer.close_about(self.id, code, reason);
            }
        }
    }
}
