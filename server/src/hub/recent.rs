//! The changes that a document took last, and the exchanges that can go on
//! from them alone.
//!
//! Automerge walks the whole history for each sync message that it takes in,
//! and puts each change together again for each session that gets it. Where
//! many have a document open, most messages are about its last few changes,
//! so these are kept as they came. [`Recent::receive`] and
//! [`Recent::generate`] do to a sync state what Automerge 0.12 does (a test
//! holds them against it), or nothing at all where they would need more than
//! is here; then Automerge is asked.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use automerge::sync::{
    BloomFilter, Capability, ChunkList, Have, Message, MessageFlags, MessageVersion, State,
};
use automerge::{Automerge, Change, ChangeHash, ReadDoc};

/// Changes that are kept. A session that is further behind is rare, and
/// costs no more than it did.
const CHANGES: usize = 64;
/// Bytes of them.
const BYTES: usize = 32 << 10;

/// A change as it came.
struct Known {
    hash: ChangeHash,
    deps: Vec<Dep>,
    chunk: Vec<u8>,
}

struct Dep {
    hash: ChangeHash,
    /// Its place, if it was kept when the change came.
    place: Option<u64>,
}

/// The changes that a document took last.
pub struct Recent {
    /// Heads of all that the document held before the first of `changes`.
    base: BTreeSet<ChangeHash>,
    /// In the order in which they were applied.
    changes: VecDeque<Known>,
    /// The place of each in the order, counted from the first that ever was.
    places: HashMap<ChangeHash, u64>,
    /// The place of the first that is kept.
    first: u64,
    bytes: usize,
    /// The document's heads, sorted as Automerge gives them.
    heads: Vec<ChangeHash>,
    /// Whether a change came that is not behind all that it depends on.
    broken: bool,
}

impl Recent {
    /// Nothing but the document's heads.
    #[must_use]
    pub fn new(doc: &Automerge) -> Self {
        let heads = doc.get_heads();
        Self {
            base: heads.iter().copied().collect(),
            changes: VecDeque::new(),
            places: HashMap::new(),
            first: 0,
            bytes: 0,
            heads,
            broken: false,
        }
    }

    /// Notes changes that are about to be applied. [`Recent::applied`] must
    /// follow.
    pub fn note(&mut self, doc: &Automerge, changes: &[Change]) {
        let bytes: usize = changes.iter().map(|change| change.raw_bytes().len()).sum();
        if changes.len() > CHANGES / 2 || bytes > BYTES / 2 {
            // Of a whole upload nobody gets a part.
            self.broken = true;
            return;
        }
        for change in changes {
            self.broken |= !change.deps().iter().all(|dep| self.has(doc, dep));
            self.push(change);
        }
        while self.changes.len() > CHANGES || self.bytes > BYTES {
            self.forget_first();
        }
    }

    /// To be called after [`Recent::note`], once the changes are applied.
    pub fn applied(&mut self, doc: &Automerge) {
        self.heads = doc.get_heads();
        // Automerge keeps a change that waits for others out of the document,
        // and takes it in when they come. Then these are not all.
        if self.broken || self.heads != self.heads_of_all() {
            *self = Self::new(doc);
        }
    }

    fn push(&mut self, change: &Change) {
        let chunk = change.raw_bytes().to_vec();
        let place = self.first + self.changes.len() as u64;
        if self.places.insert(change.hash(), place).is_some() {
            self.broken = true;
        }
        self.bytes += chunk.len();
        let deps = change.deps().iter().map(|dep| Dep { hash: *dep, place: self.places.get(dep).copied() });
        self.changes.push_back(Known { hash: change.hash(), deps: deps.collect(), chunk });
    }

    fn forget_first(&mut self) {
        let Some(known) = self.changes.pop_front() else { return };
        self.places.remove(&known.hash);
        self.first += 1;
        self.bytes -= known.chunk.len();
        for dep in &known.deps {
            self.base.remove(&dep.hash);
        }
        self.base.insert(known.hash);
    }

    fn heads_of_all(&self) -> Vec<ChangeHash> {
        let mut heads = self.base.clone();
        for known in &self.changes {
            for dep in &known.deps {
                heads.remove(&dep.hash);
            }
            heads.insert(known.hash);
        }
        heads.into_iter().collect()
    }

    fn at(&self, hash: &ChangeHash) -> Option<usize> {
        self.places.get(hash).and_then(|place| self.index(*place))
    }

    fn index(&self, place: u64) -> Option<usize> {
        place.checked_sub(self.first).and_then(|index| usize::try_from(index).ok())
    }

    fn has(&self, doc: &Automerge, hash: &ChangeHash) -> bool {
        self.places.contains_key(hash)
            || self.base.contains(hash)
            || doc.get_change_meta_by_hash(hash).is_some()
    }

    /// Which of the changes these heads are or come after, if they come after
    /// everything that the document held before.
    fn seen_by(&self, heads: &[ChangeHash]) -> Option<Vec<bool>> {
        let mut seen = vec![false; self.changes.len()];
        let mut before: HashSet<&ChangeHash> = HashSet::new();
        for head in heads {
            match self.at(head) {
                Some(at) => seen[at] = true,
                None => before.extend(self.base.get(head)),
            }
        }
        // What a change depends on is before it.
        for (at, known) in self.changes.iter().enumerate().rev() {
            if !seen[at] {
                continue;
            }
            for dep in &known.deps {
                match dep.place.and_then(|place| self.index(place)) {
                    Some(at) => seen[at] = true,
                    None => before.extend(self.base.get(&dep.hash)),
                }
            }
        }
        (before.len() == self.base.len()).then_some(seen)
    }

    /// Takes a message without changes into a sync state. False where that
    /// needs more than is here; then nothing is changed.
    pub fn receive(&self, doc: &Automerge, state: &mut State, message: &Message) -> bool {
        let heads = &message.heads;
        if !message.changes.is_empty() || heads.is_empty() || !heads.iter().all(|head| self.has(doc, head)) {
            return false;
        }
        let seen = if state.sent_hashes.is_empty() {
            Vec::new()
        } else {
            let Some(seen) = self.seen_by(heads) else { return false };
            seen
        };
        state.in_flight = false;
        if let Some(flags) = message.flags {
            let mut capabilities = vec![Capability::MessageV2];
            if flags.contains(MessageFlags::SUPPORTS_SYNC_RESET) {
                capabilities.push(Capability::SyncReset);
            }
            state.their_capabilities = Some(capabilities);
            if flags.contains(MessageFlags::SYNC_RESET) {
                state.sent_hashes.clear();
            }
            state.peer_read_only = flags.contains(MessageFlags::READ_ONLY);
        }
        // Whoever has these heads has everything that came before them.
        state.sent_hashes.retain(|hash| self.at(hash).is_some_and(|at| seen.get(at) == Some(&false)));
        if *heads == self.heads {
            state.last_sent_heads.clone_from(heads);
        }
        state.shared_heads.clone_from(heads);
        state.their_have = Some(message.have.clone());
        state.their_heads = Some(heads.clone());
        state.their_need = Some(message.need.clone());
        true
    }

    /// The message that is due by a sync state: `Some(None)` where none is.
    /// `None` where that needs more than is here; then nothing is changed.
    pub fn generate(&self, doc: &Automerge, state: &mut State) -> Option<Option<Message>> {
        let (theirs, need) = (state.their_heads.as_ref()?, state.their_need.as_ref()?);
        let [have] = state.their_have.as_deref()? else { return None };
        let asks = !need.is_empty() || theirs.is_empty() || state.needs_reset || state.peer_read_only;
        if asks || !theirs.iter().chain(&have.last_sync).all(|hash| self.has(doc, hash)) {
            return None;
        }
        let send = self.to_send(have, &state.sent_hashes)?;
        let all = usize::try_from(doc.stats().num_changes).unwrap_or(usize::MAX);
        if send.len() > all / 3 {
            // Automerge may prefer to send the whole document.
            return None;
        }
        let ours = self.seen_by(&state.shared_heads)?;
        if state.last_sent_heads == self.heads && state.have_responded {
            let settled = *theirs == self.heads || state.read_only;
            if settled && send.is_empty() || state.in_flight {
                return Some(None);
            }
        }
        let unshared: Vec<ChangeHash> = self
            .changes
            .iter()
            .zip(ours)
            .filter(|(_, shared)| !shared)
            .map(|(known, _)| known.hash)
            .collect();
        state.have_responded = true;
        state.last_sent_heads.clone_from(&self.heads);
        state.sent_hashes.extend(send.iter().map(|known| known.hash));
        state.in_flight = true;
        let mut flags = MessageFlags::new();
        flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
        if state.read_only {
            flags.set(MessageFlags::READ_ONLY);
        }
        let second =
            state.their_capabilities.as_ref().is_some_and(|all| all.contains(&Capability::MessageV2));
        let chunks: Vec<Vec<u8>> = match send.as_slice() {
            [] => Vec::new(),
            send if second => vec![send.iter().flat_map(|known| &known.chunk).copied().collect()],
            send => send.iter().map(|known| known.chunk.clone()).collect(),
        };
        Some(Some(Message {
            heads: self.heads.clone(),
            need: Vec::new(),
            have: vec![Have {
                last_sync: state.shared_heads.clone(),
                bloom: BloomFilter::from_hashes(unshared.iter()),
            }],
            changes: ChunkList::from(chunks),
            flags: Some(flags),
            version: if second { MessageVersion::V2 } else { MessageVersion::V1 },
        }))
    }

    /// What a peer with these changes lacks, without what was sent to it.
    fn to_send(&self, have: &Have, sent: &BTreeSet<ChangeHash>) -> Option<Vec<&Known>> {
        let seen = self.seen_by(&have.last_sync)?;
        let mut lacks = vec![false; self.changes.len()];
        let mut send = Vec::new();
        for (at, known) in self.changes.iter().enumerate().filter(|(at, _)| !seen[*at]) {
            // The filter may say that the peer has what it has not, but not
            // what comes after something that it lacks.
            let place = |dep: &Dep| dep.place.and_then(|place| self.index(place));
            let after = |dep: &Dep| place(dep).is_some_and(|at| lacks[at]);
            if !have.bloom.contains_hash(&known.hash) || known.deps.iter().any(after) {
                lacks[at] = true;
                if !sent.contains(&known.hash) {
                    send.push(known);
                }
            }
        }
        Some(send)
    }
}

#[cfg(test)]
mod tests;
