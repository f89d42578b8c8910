//! One document on this device: Automerge in memory, chunks in the store.
//!
//! A change is applied in memory at once and is *unsaved* until its chunk is on
//! disk. While anything is unsaved the document is neither sent nor received:
//! if a change left the device before it was on disk, a crash would let the
//! same actor and sequence number be used twice, and such changes never merge.

use std::collections::VecDeque;

use duxue_document::collections::{BTreeMap, BTreeSet};

use automerge::sync::SyncDoc;
use automerge::{ActorId, Automerge, AutomergeError, Change, ChangeHash, ReadDoc};
use serde::{Deserialize, Serialize};

use duxue_document::{Claim, DocumentId, DocumentKind, EntryPath, PhotoHash, RoundId, SchoolId, genesis};
use duxue_protocol::scan::{self, ScanLimits};

use crate::clock::is_due;
use crate::command::{Reply, Subject};
use crate::event::{CommandId, Key};
use crate::reissue::{Gone, Own};
use crate::{keys, reissue, slices};

/// What a sync message of the server may hold. Wider than what the server
/// takes from us: the document of a whole round comes in one message. Automerge
/// takes about 700 bytes an operation, so this bounds it to 280 MB.
const INCOMING: ScanLimits = ScanLimits {
    ops_per_change: 20_000,
    ops: 400_000,
    changes: 100_000,
    inflated_bytes: 128 << 20,
    actors: 10_000,
    actor_bytes: 64,
    deps: 1_000,
    replaced: 800_000,
    text_bytes: 1_024,
    extra_bytes: 1_024,
    hashes: 16_384,
    haves: 16,
    bloom_bytes: 512 << 10,
};

/// A write that failed is tried again after twice as many seconds as it failed
/// times, and after this at the latest.
const RETRY_STEP_MS: i64 = 2_000;
const RETRY_LAST_MS: i64 = 30_000;

/// Chunks are joined into a snapshot when they outgrow it and this.
const COMPACT_ABOVE: usize = 16 * 1024;

/// What a document is about; stored beside its chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The round.
    pub round: RoundId,
    /// The school; absent for the county document.
    pub school: Option<SchoolId>,
    /// The kind.
    pub kind: DocumentKind,
    /// Whether this device has written into it, under whatever actor.
    pub own: bool,
}

impl About {
    /// The document of a kind about a school.
    #[must_use]
    pub fn of(subject: &Subject, kind: DocumentKind) -> Self {
        Self { round: subject.round.clone(), school: Some(subject.school.clone()), kind, own: false }
    }

    /// The document of the county's own figures.
    #[must_use]
    pub fn county(round: &RoundId) -> Self {
        Self { round: round.clone(), school: None, kind: DocumentKind::County, own: false }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        let subject = self.school.as_ref().map_or(self.round.as_str(), SchoolId::as_str);
        DocumentId::derive(&self.round, subject, self.kind)
    }
}

/// What to put and what to delete, all or nothing.
type Batch = (crate::engine::Puts, Vec<Key>);

/// Puts that belong together, with the replies that wait for them.
struct Unsaved {
    puts: Vec<(Key, Vec<u8>)>,
    deletes: Vec<Key>,
    replies: Vec<(CommandId, Reply)>,
    /// Whether a command was already told that this is not on disk.
    late: bool,
}

/// One document on this device.
pub struct LocalDocument {
    pub about: About,
    pub doc: Automerge,
    /// Whether the document's actor may write: it belongs to this device,
    /// person and store incarnation.
    pub actor_ready: bool,
    /// Whether the store's [`About`] says what ours says.
    pub about_stored: bool,
    /// Number of unsaved entries that the running write covers.
    writing: Option<usize>,
    unsaved: VecDeque<Unsaved>,
    /// When a failed write is tried again.
    pub retry_ms: Option<i64>,
    failures: u32,
    chunks: BTreeMap<Key, usize>,
    snapshot: Option<(Key, usize)>,
    /// Something stored could not be read: nothing of it is ever deleted.
    pub damaged: bool,
    compacting: Option<Compaction>,
}

struct Compaction {
    snapshot: (Key, usize),
    replaces: Vec<Key>,
    put_done: bool,
}

/// Why a sync message cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// The server has another change with the actor and sequence number of one
    /// of ours.
    Clash {
        /// The sequence number.
        seq: u64,
        /// The actor.
        actor: ActorId,
    },
    /// What Automerge says.
    Other(String),
}

/// What became of a finished write.
pub struct WriteDone {
    /// Commands to answer.
    pub replies: Vec<(CommandId, Reply)>,
    /// Whether some of it had been reported as not saved.
    pub late: bool,
}

impl LocalDocument {
    /// The document as every device has it before anyone wrote. The actor is a
    /// place holder; see [`Self::set_actor`].
    #[must_use]
    pub fn new(about: About) -> Self {
        let doc = genesis::document(about.kind, ActorId::from(&[0xff_u8; 16][..]));
        Self {
            about,
            doc,
            actor_ready: false,
            about_stored: false,
            writing: None,
            unsaved: VecDeque::new(),
            retry_ms: None,
            failures: 0,
            chunks: BTreeMap::new(),
            snapshot: None,
            damaged: false,
            compacting: None,
        }
    }

    /// Takes what the store holds: keys below `doc/<id>/`.
    pub fn load(&mut self, rows: Vec<(Key, Vec<u8>)>) {
        let mut all = Vec::new();
        let mut each = Vec::new();
        for (key, bytes) in rows {
            let Some((_, name)) = key.rsplit_once('/') else { continue };
            if name != PhotoHash::of(&bytes).to_string() {
                self.damaged = true;
                continue;
            }
            all.extend_from_slice(&bytes);
            each.push((key.clone(), bytes.clone()));
            if key.contains("/snapshot/") {
                // Two snapshots are left when the program ended between writing
                // the new and deleting the old. Both are read, and the next one
                // written replaces both.
                if let Some((old, length)) = self.snapshot.replace((key, bytes.len())) {
                    self.chunks.insert(old, length);
                }
            } else {
                self.chunks.insert(key, bytes.len());
            }
        }
        if !all.is_empty() && self.doc.load_incremental(&all).is_err() {
            self.damaged = true;
            // One bad chunk must not hide the good ones after it.
            for (key, bytes) in each {
                if self.doc.load_incremental(&bytes).is_err() {
                    self.chunks.remove(&key);
                    self.snapshot.take_if(|(snapshot, _)| *snapshot == key);
                }
            }
        }
        if !self.doc.get_missing_deps(&[]).is_empty() {
            self.damaged = true;
        }
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        self.about.id()
    }

    /// From now on this device writes under `actor`.
    pub fn set_actor(&mut self, actor: &[u8; 16]) {
        self.doc.set_actor(ActorId::from(&actor[..]));
        self.actor_ready = true;
    }

    /// Whether memory is ahead of the store.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// Current heads.
    #[must_use]
    pub fn heads(&self) -> Vec<ChangeHash> {
        let mut heads = self.doc.get_heads();
        heads.sort_unstable();
        heads
    }

    /// Queues everything that came after `before` for the store, with further
    /// puts that belong to it. Returns whether there was anything.
    pub fn save_after(
        &mut self,
        before: &[ChangeHash],
        mut puts: Vec<(Key, Vec<u8>)>,
        reply: Option<(CommandId, Reply)>,
    ) -> bool {
        let bytes = self.doc.save_after(before);
        if bytes.is_empty() && puts.is_empty() && reply.is_none() {
            return false;
        }
        if !self.about_stored {
            self.about_stored = true;
            puts.push((keys::about(&self.id()), crate::engine::json(&self.about)));
        }
        if !bytes.is_empty() {
            let key = keys::chunk(&self.id(), &bytes);
            self.chunks.insert(key.clone(), bytes.len());
            puts.push((key, bytes));
        }
        let replies = reply.into_iter().collect();
        self.unsaved.push_back(Unsaved { puts, deletes: Vec::new(), replies, late: false });
        true
    }

    /// What came after these heads; nothing where one of them is not here.
    #[must_use]
    pub fn after(&self, heads: &[ChangeHash]) -> BTreeSet<ChangeHash> {
        if heads.iter().any(|head| self.doc.get_change_meta_by_hash(head).is_none()) {
            return BTreeSet::new();
        }
        self.doc.get_changes_meta(heads).into_iter().map(|change| change.hash).collect()
    }

    /// Whether nothing of it is being stored, so that it can be replaced.
    pub fn can_be_written_again(&self) -> bool {
        !self.is_busy() && self.compacting.is_none()
    }

    /// Goes on with a document that states again, under a new actor, what it
    /// cannot keep of our changes; `puts` belong to it. What the store holds now
    /// is kept aside. Returns whether it was done: not while something else is
    /// being stored.
    pub fn write_again(
        &mut self,
        gone: &Gone,
        own: Own<'_>,
        actor: &[u8; 16],
        puts: Vec<(Key, Vec<u8>)>,
    ) -> bool {
        if !self.can_be_written_again() {
            return false;
        }
        let again = reissue::again(&self.doc, self.about.kind, gone, own, ActorId::from(&actor[..]));
        let Ok(new) = again else { return false };
        self.replace(new, puts);
        self.actor_ready = true;
        true
    }

    /// Begins anew with a document that this device has not written, so that the
    /// server gives all of it again. What the store holds now is kept aside. Returns
    /// whether it was done: not while something else is being stored.
    pub fn take_again(&mut self) -> bool {
        if self.about.own || self.damaged || !self.can_be_written_again() {
            return false;
        }
        self.replace(crate::views::empty(self.about.kind), Vec::new());
        self.actor_ready = false;
        true
    }

    /// Puts another document in this one's place, here and in the store.
    fn replace(&mut self, new: Automerge, mut puts: crate::engine::Puts) {
        let aside = self.doc.save();
        puts.push((keys::aside(&self.id(), &aside), aside));
        self.doc = new;
        let bytes = self.doc.save();
        let key = keys::snapshot(&self.id(), &bytes);
        let old = std::mem::take(&mut self.chunks).into_keys();
        let old = old.chain(self.snapshot.replace((key.clone(), bytes.len())).map(|(key, _)| key));
        let deletes = old.filter(|old| *old != key).collect();
        puts.push((key, bytes));
        self.unsaved.push_back(Unsaved { puts, deletes, replies: Vec::new(), late: false });
    }

    /// The changes that it loses with what is gone, in causal order.
    pub fn lost(&self, gone: &Gone) -> Vec<Change> {
        reissue::lost(&self.doc, gone)
    }

    /// What changes of it stated, in their order.
    pub fn stated(&self, changes: &[Change]) -> Vec<(EntryPath, Claim)> {
        reissue::stated(&self.doc, self.about.kind, changes)
    }

    /// Counts it as this device's to bring to the server.
    pub fn make_own(&mut self) {
        if !self.about.own {
            self.about.own = true;
            self.about_stored = false;
        }
    }

    /// The puts and deletes of the next write, if one is due. Everything unsaved goes in
    /// one batch, in order: a later change must not be on disk without an
    /// earlier one.
    pub fn next_write(&mut self, now_ms: i64) -> Option<Batch> {
        let later = self.retry_ms.is_some_and(|at| !is_due(at, now_ms, RETRY_LAST_MS));
        if self.writing.is_some() || self.unsaved.is_empty() || later {
            return None;
        }
        self.retry_ms = None;
        self.writing = Some(self.unsaved.len());
        let puts = self.unsaved.iter().flat_map(|unsaved| unsaved.puts.iter().cloned()).collect();
        let deletes = self.unsaved.iter().flat_map(|unsaved| unsaved.deletes.iter().cloned()).collect();
        Some((puts, deletes))
    }

    /// The running write is on disk.
    pub fn write_done(&mut self) -> WriteDone {
        self.failures = 0;
        let count = self.writing.take().unwrap_or(0);
        let mut done = WriteDone { replies: Vec::new(), late: false };
        for unsaved in self.unsaved.drain(..count) {
            done.late |= unsaved.late;
            done.replies.extend(unsaved.replies);
        }
        done
    }

    /// The running write failed; what it held stays, and is tried again.
    /// Returns the commands that must hear that they are not saved.
    pub fn write_failed(&mut self, now_ms: i64) -> Vec<CommandId> {
        self.writing = None;
        self.failures = self.failures.saturating_add(1);
        self.retry_ms = Some(now_ms + (RETRY_STEP_MS * i64::from(self.failures)).min(RETRY_LAST_MS));
        let mut told = Vec::new();
        for unsaved in &mut self.unsaved {
            if !unsaved.replies.is_empty() {
                unsaved.late = true;
            }
            told.extend(unsaved.replies.drain(..).map(|(id, _)| id));
        }
        told
    }

    /// What is in memory and not on disk, in the order in which it happened:
    /// keys with the bytes to put, or with nothing where they go.
    pub fn unsaved(&self) -> impl Iterator<Item = (Key, Option<Vec<u8>>)> + '_ {
        self.unsaved.iter().flat_map(|unsaved| {
            let puts = unsaved.puts.iter().map(|(key, bytes)| (key.clone(), Some(bytes.clone())));
            puts.chain(unsaved.deletes.iter().map(|key| (key.clone(), None)))
        })
    }

    /// The snapshot to write if the chunks have outgrown the last one.
    pub fn start_compaction(&mut self) -> Option<(Key, Vec<u8>)> {
        if self.damaged || self.is_busy() || self.compacting.is_some() {
            return None;
        }
        let chunks: usize = self.chunks.values().sum();
        let snapshot = self.snapshot.as_ref().map_or(0, |(_, length)| *length);
        if chunks < COMPACT_ABOVE.max(snapshot) {
            return None;
        }
        let bytes = self.doc.save();
        let key = keys::snapshot(&self.id(), &bytes);
        let replaces = self
            .chunks
            .keys()
            .cloned()
            .chain(self.snapshot.as_ref().map(|(old, _)| old.clone()))
            .filter(|old| *old != key)
            .collect();
        self.compacting =
            Some(Compaction { snapshot: (key.clone(), bytes.len()), replaces, put_done: false });
        Some((key, bytes))
    }

    /// A step of the compaction ended. Returns what may be deleted now: only
    /// after the snapshot is durable.
    pub fn compaction_step(&mut self, succeeded: bool) -> Option<Vec<Key>> {
        let compaction = self.compacting.as_mut()?;
        if !succeeded || compaction.put_done {
            self.compacting = None;
            return None;
        }
        compaction.put_done = true;
        let deletes = compaction.replaces.clone();
        for key in &deletes {
            self.chunks.remove(key);
        }
        self.snapshot = Some(compaction.snapshot.clone());
        Some(deletes)
    }

    /// The next sync message for a peer, if there is anything to say: at most
    /// a slice of what the peer lacks.
    pub fn generate(&self, state: &mut automerge::sync::State) -> Option<automerge::sync::Message> {
        slices::generate(&self.doc, state, &slices::Slice::default())
    }

    /// Takes a sync message and queues what it brought for the store. Returns
    /// whether the document changed. A message that would cost Automerge too
    /// much is refused before Automerge sees it.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn receive(&mut self, state: &mut automerge::sync::State, bytes: &[u8]) -> Result<bool, Unusable> {
        let other = |error: &dyn std::fmt::Display| Unusable::Other(error.to_string());
        scan::scan_sync_message(bytes, &INCOMING, &genesis::reserved)
            .map_err(|error| Unusable::Other(format!("{}: {error}", error.code())))?;
        let message = automerge::sync::Message::decode(bytes).map_err(|error| other(&error))?;
        let before = self.doc.get_heads();
        self.doc.receive_sync_message(state, message).map_err(|error| match error {
            AutomergeError::DuplicateSeqNumber(seq, actor) => Unusable::Clash { seq, actor },
            error => other(&error),
        })?;
        if self.doc.get_heads() == before {
            return Ok(false);
        }
        Ok(self.save_after(&before, Vec::new(), None))
    }

    /// Takes what a sync message says of the peer's state and none of the
    /// changes that it brings, which cannot be used.
    ///
    /// # Errors
    /// [`Unusable`] where the rest of it cannot be used either.
    pub fn receive_heads(
        &mut self,
        state: &mut automerge::sync::State,
        bytes: &[u8],
    ) -> Result<(), Unusable> {
        let other = |error: &dyn std::fmt::Display| Unusable::Other(error.to_string());
        let mut message = automerge::sync::Message::decode(bytes).map_err(|error| other(&error))?;
        message.changes = automerge::sync::ChunkList::empty();
        message.version = automerge::sync::MessageVersion::V1;
        let rest = message.encode();
        scan::scan_sync_message(&rest, &INCOMING, &genesis::reserved)
            .map_err(|error| Unusable::Other(format!("{}: {error}", error.code())))?;
        let message = automerge::sync::Message::decode(&rest).map_err(|error| other(&error))?;
        self.doc.receive_sync_message(state, message).map_err(|error| other(&error))
    }
}
