//! Receipts: asking what is durable, checking the answer, acting on it.
//!
//! After each connection everything that this device holds is asked about
//! again, so that a server which was restored from an old backup hears what it
//! lacks: what it calls missing waits to be sent once more. That goes for freed
//! photos too; one whose bytes have gone from here as well is shown as stuck.

use duxue_document::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;
use duxue_document::{DocumentId, PhotoHash};
use duxue_protocol::api::{ReceiptAnswer, ReceiptRequest};
use duxue_protocol::problem::Problem;
use duxue_protocol::receipt::{Receipt, Statement};

use crate::account::Errand;
use crate::clock::is_due;
use crate::document::LocalDocument;
use crate::engine::{Engine, Pending, Turn, json};
use crate::event::{Effect, HttpAnswer, HttpBody, HttpError, HttpRequest, Key, Notice};
use crate::identity::hex;
use crate::keys;
use crate::photo::{PhotoRecord, PhotoState};
use crate::reason;
use crate::reissue::Gone;
use crate::store::{Acked, AckedTable};
use crate::sync::Link;

/// A peer that has everything may stay silent; after this the receipt decides.
const QUIET_MS: i64 = 1_500;
const AGAIN_FIRST_MS: i64 = 2_000;
const AGAIN_LAST_MS: i64 = 120_000;

/// Changes of one document that one receipt is asked about, beside its heads.
const OUTSIDE_ASKED: usize = 5_000;
/// Heads and changes, of one document at least, and photos that one receipt is
/// asked about; more are asked about in turn. The server takes 20 000 in all.
const PAGE_OF_HASHES: usize = 10_000;
const PAGE_OF_PHOTOS: usize = 5_000;

/// What a receipt is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    heads: BTreeMap<DocumentId, BTreeSet<String>>,
    photos: BTreeSet<PhotoHash>,
}

impl Claimed {
    fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.photos.is_empty()
    }

    /// What of it is not in `other`, and what is about the documents `again`.
    fn without(mut self, other: &Self, again: &BTreeSet<DocumentId>) -> Self {
        self.heads
            .retain(|document, heads| again.contains(document) || other.heads.get(document) != Some(heads));
        self.photos.retain(|photo| !other.photos.contains(photo));
        self
    }

    /// The first part of it.
    fn page(mut self) -> Self {
        let mut hashes = 0;
        let fits = self.heads.values().take_while(|heads| {
            hashes += heads.len();
            hashes <= PAGE_OF_HASHES
        });
        let documents = fits.count().max(1);
        if let Some(after) = self.heads.keys().nth(documents).copied() {
            self.heads.split_off(&after);
        }
        if let Some(after) = self.photos.iter().nth(PAGE_OF_PHOTOS).copied() {
            self.photos.split_off(&after);
        }
        self
    }
}

/// The asking on one connection.
#[derive(Default)]
pub struct ReceiptRound {
    /// Counts the connections, so that an answer from before the last one is
    /// not taken for what the server has now.
    number: u64,
    running: bool,
    /// What the answers were about, but for documents that lacked something.
    answered: Claimed,
    /// Documents to ask about once more, though an answer was about them.
    again: BTreeSet<DocumentId>,
    /// Whether the last answer lacked something.
    incomplete: bool,
    failures: u32,
    not_before_ms: i64,
}

impl ReceiptRound {
    /// A new connection: nothing is known of this server's state.
    pub fn begin(&mut self) {
        *self = Self { number: self.number + 1, ..Self::default() };
    }

    /// Whether the server was asked about a document on this connection.
    pub fn is_answered(&self, document: &DocumentId) -> bool {
        self.answered.heads.contains_key(document)
    }

    /// Waits no longer until the next question.
    pub fn ask_now(&mut self, now_ms: i64) {
        self.failures = 0;
        self.not_before_ms = now_ms;
    }

    /// Asks about a document, whatever was answered about it before.
    pub fn ask_about(&mut self, document: DocumentId) {
        self.again.insert(document);
    }

    /// Somebody wants to know now: what was held may have been decided on
    /// since, and no sync message says so.
    pub fn ask_about_held(&mut self, acked: &AckedTable) {
        let held = acked.iter().filter(|(_, known)| !known.held.is_empty());
        self.again.extend(held.map(|(document, _)| *document));
    }

    /// Whether a receipt on this connection covers a photo.
    fn covers(&self, photo: &PhotoHash) -> bool {
        self.answered.photos.contains(photo)
    }
}

impl Engine {
    /// Everything of ours that should be durable on the server.
    fn claimed(&self) -> Claimed {
        let own = self.documents.values().filter(|local| local.about.own);
        let heads = own.map(|local| (local.id(), self.asked_of(local))).collect();
        let photos = self
            .photos
            .values()
            .filter(|record| self.should_be_there(record))
            .map(|record| record.photo)
            .collect();
        Claimed { heads, photos }
    }

    /// Whether the server has said that it has all of a photo. A freed one is
    /// asked about by those who are still assigned to its school.
    fn should_be_there(&self, record: &PhotoRecord) -> bool {
        match record.state {
            PhotoState::Sent | PhotoState::Receipted { .. } => true,
            PhotoState::Freed { .. } => {
                self.packet_school(&record.subject).is_ok_and(|(_, school)| school.assigned)
            }
            PhotoState::Waiting | PhotoState::Uploading { .. } | PhotoState::Stuck { .. } => false,
        }
    }

    /// What of that no receipt on this connection was about, or only one that
    /// another has to follow.
    fn unasked(&self) -> Claimed {
        let ReceiptRound { answered, again, .. } = &self.receipt_round;
        let let_in = answered.heads.keys().filter(|document| self.was_let_in(document));
        let again = again.iter().chain(let_in).copied().collect();
        self.claimed().without(answered, &again)
    }

    /// Whether the last receipt called something held that the server's
    /// document has by now. Where it is all that the server has let in, nothing
    /// else of the document changes here.
    fn was_let_in(&self, document: &DocumentId) -> bool {
        let Link::Open(open) = &self.link else { return false };
        let held = self.acked.get(document).map(|acked| &acked.held).filter(|held| !held.is_empty());
        let theirs = open.documents.get(document).and_then(|exchange| exchange.state.their_heads.as_ref());
        held.zip(theirs).is_some_and(|(held, theirs)| theirs.iter().any(|head| held.contains(&hex(&head.0))))
    }

    /// Whether some of a document has gone and it cannot be written again yet:
    /// the server has not said what it has of it, which decides what is stated
    /// again, or the store is not done with it.
    fn waits_to_be_written_again(&self, document: &DocumentId) -> bool {
        let Link::Open(open) = &self.link else { return false };
        let heard = open.documents.get(document).is_some_and(|exchange| exchange.heard);
        let is_free = self.documents.get(document).is_some_and(LocalDocument::can_be_written_again);
        if self.clashes.contains_key(document) {
            return true;
        }
        // One that was refused is read again when it is tried again.
        let refused = self.refusals.problem(document).is_some();
        self.acked.get(document).is_some_and(Acked::has_gone) && !refused && !(heard && is_free)
    }

    /// The heads of a document, and once some of it has gone each change whose
    /// fate decides what is stated again: what others wrote of it, where that
    /// is waited for, or else what the server's document lacks.
    fn asked_of(&self, local: &LocalDocument) -> BTreeSet<String> {
        let mut asked = heads_of(local);
        if let Some(clash) = self.clashes.get(&local.id()) {
            asked.extend(clash.open.iter().take(OUTSIDE_ASKED).map(|hash| hex(&hash.0)));
        } else if self.acked.get(&local.id()).is_some_and(Acked::has_gone) {
            asked.extend(self.outside(local).into_iter().take(OUTSIDE_ASKED).map(|hash| hex(&hash.0)));
        }
        asked
    }

    fn receipt_due(&self) -> Option<i64> {
        let Link::Open(open) = &self.link else { return None };
        if self.receipt_round.running
            || self.documents.values().any(|local| local.about.own && local.is_busy())
        {
            return None;
        }
        if self.unasked().is_empty() {
            return None;
        }
        // A photo on its way will need another receipt in a moment: ask then.
        let quiet = if self.is_even() { 0 } else { open.sent_ms.max(open.heard_ms) + QUIET_MS };
        Some(quiet.max(self.receipt_round.not_before_ms))
    }

    pub(crate) fn receipt_timer(&self) -> Option<i64> {
        self.receipt_due()
    }

    pub(crate) fn pump_receipts(&mut self, turn: &mut Turn) {
        let due = self.receipt_due().is_some_and(|at| is_due(at, turn.now_ms, AGAIN_LAST_MS));
        let Some(identity) = self.identity.as_ref().filter(|_| due) else { return };
        let claimed = self.unasked().page();
        let body = ReceiptRequest { heads: claimed.heads.clone(), photos: claimed.photos.clone() };
        let request = HttpRequest {
            method: "POST",
            url: format!("{}/api/receipts", identity.server),
            headers: vec![("authorization", format!("Bearer {}", identity.token))],
            body: HttpBody::Json(String::from_utf8(json(&body)).unwrap_or_default()),
        };
        self.receipt_round.running = true;
        self.http(request, Errand::Receipt { claimed, round: self.receipt_round.number }, turn);
    }

    pub(crate) fn receipt_answered(
        &mut self,
        claimed: Claimed,
        round: u64,
        result: Result<HttpAnswer, HttpError>,
        turn: &mut Turn,
    ) {
        // The server may have been put back to a backup since: all of it is
        // asked about again on this connection.
        if round != self.receipt_round.number {
            return;
        }
        self.receipt_round.running = false;
        let answer = match result {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) if answer.status == 401 => {
                self.session_ended(None, turn);
                return self.ask_again(turn);
            }
            Ok(answer) => {
                turn.notice(Notice::Trouble { problem: crate::photo::refusal(answer.status, &answer.body) });
                return self.ask_again(turn);
            }
            Err(_) => return self.ask_again(turn),
        };
        let key = self.identity.as_ref().map(|identity| identity.server_key.clone()).unwrap_or_default();
        let verified = duxue_protocol::json::read::<ReceiptAnswer>(&answer.body)
            .map_err(|error| error.to_string())
            .and_then(|read| {
                read.receipt.verify(&key).map(|said| (read, said)).map_err(|error| error.to_string())
            });
        match verified {
            Ok((read, said)) => self.take_receipt(claimed, &read, &said, turn),
            Err(reason) => {
                let problem = Problem::new(
                    "receipt.invalid",
                    "服务器的回执无效：照片不会从本机删除",
                    "the server's receipt does not hold: no photo is freed",
                );
                turn.notice(Notice::Trouble { problem: problem.with_detail(reason) });
                self.ask_again(turn);
            }
        }
    }

    fn ask_again(&mut self, turn: &mut Turn) {
        self.receipt_round.failures = self.receipt_round.failures.saturating_add(1);
        let wait = (AGAIN_FIRST_MS << (self.receipt_round.failures - 1).min(8)).min(AGAIN_LAST_MS);
        let jitter = i64::from(turn.rng.next_u32()) % (wait / 2 + 1);
        self.receipt_round.not_before_ms = turn.now_ms + wait / 2 + jitter;
    }

    fn take_receipt(&mut self, claimed: Claimed, answer: &ReceiptAnswer, said: &Statement, turn: &mut Turn) {
        if let Some(identity) = &mut self.identity {
            identity.clock_offset_ms = said.server_time_ms - turn.now_ms;
        }
        let mut puts = Vec::new();
        let of = |heads: &BTreeMap<DocumentId, BTreeSet<String>>, document: &DocumentId| {
            heads.get(document).cloned().unwrap_or_default()
        };
        for (document, heads) in &claimed.heads {
            let stated = said.heads.get(document).cloned().unwrap_or_default();
            let acked = Acked {
                heads: heads.intersection(&stated).cloned().collect(),
                held: of(&answer.held_heads, document),
                left_out: of(&answer.left_out_heads, document),
                set_aside: of(&answer.set_aside_heads, document),
                at_ms: said.server_time_ms,
            };
            self.acked.insert(*document, acked);
        }
        let anew = self.state_again(&claimed, turn);
        puts.push((keys::ACKED.to_owned(), json(&self.acked)));
        for photo in &claimed.photos {
            let Some(record) = self.photos.get_mut(photo) else { continue };
            // Only the signed statement counts, whatever the answer around it says.
            let covered = said.photos.contains(photo);
            let state = match record.state {
                // Covered from the first time on, and a mark as freed stays.
                PhotoState::Receipted { .. } | PhotoState::Freed { .. } if covered => continue,
                _ if covered => PhotoState::Receipted { at_ms: said.server_time_ms },
                // Freed or not: if the bytes are still here they are sent
                // again, and if not the upload says so and is stuck.
                _ => PhotoState::Waiting,
            };
            if record.state != state {
                record.state = state;
                puts.push((keys::photo(photo), json(record)));
            }
        }
        let key = keys::receipt(said.server_time_ms, &answer.receipt.signature);
        puts.push((key.clone(), json(&answer.receipt)));
        self.receipts.insert(key, answer.receipt.clone());
        let superseded = self.forget_superseded();
        self.write(puts, superseded, Pending::Record(None), turn);

        self.receipt_round.again.retain(|document| !claimed.heads.contains_key(document));
        let lacks = |document: &DocumentId, heads: &BTreeSet<String>| {
            let acked = self.acked.get(document);
            self.was_let_in(document)
                || self.waits_to_be_written_again(document)
                || heads.iter().any(|head| !acked.is_some_and(|acked| acked.settles(head)))
        };
        let asked = claimed.heads.len();
        let settled: Vec<_> =
            claimed.heads.into_iter().filter(|(document, heads)| !lacks(document, heads)).collect();
        let heads_missing = settled.len() < asked;
        self.receipt_round.answered.heads.extend(settled);
        // What came while the receipt was under way was not asked about.
        let mut photos = self.claimed().photos;
        photos.retain(|photo| claimed.photos.contains(photo));
        self.receipt_round.answered.photos.extend(photos);
        self.receipt_round.incomplete = heads_missing;
        if heads_missing {
            self.ask_again(turn);
        } else {
            self.receipt_round.failures = 0;
            self.count_as_well();
        }
        self.settled = false;
        if let Some(why) = anew {
            self.begin_anew(why, turn);
        }
    }

    /// Builds those documents again of which some has gone, where the receipt
    /// was about all that the server's document lacks. Returns why, if it did.
    fn state_again(&mut self, claimed: &Claimed, turn: &mut Turn) -> Option<Problem> {
        self.note_what_is_kept(claimed);
        let gone = self.acked.iter().filter(|(_, acked)| acked.has_gone());
        let mut documents: BTreeMap<DocumentId, Gone> = gone.map(|(id, acked)| (*id, acked.gone())).collect();
        for (document, clash) in &self.clashes {
            documents.entry(*document).or_default().clash.clone_from(&clash.of);
        }
        let mut anew = None;
        for (document, gone) in documents {
            let (Some(local), Some(asked)) = (self.documents.get(&document), claimed.heads.get(&document))
            else {
                continue;
            };
            let covered = match self.clashes.get(&document) {
                Some(clash) => clash.open.is_empty(),
                None => {
                    let outside = self.outside(local);
                    let asked = |hash: &ChangeHash| asked.contains(&hex(&hash.0));
                    !outside.is_empty() && outside.iter().take(OUTSIDE_ASKED).all(asked)
                }
            };
            if !covered || !self.write_again(document, &gone, turn) {
                continue;
            }
            let Some(acked) = self.acked.get_mut(&document) else { continue };
            let left_out = !acked.left_out.is_empty();
            *acked = Acked { at_ms: acked.at_ms, ..Acked::default() };
            anew = anew.filter(|_| !left_out).or(Some(if left_out {
                reason::LEFT_OUT
            } else {
                reason::STATED_AGAIN
            }));
        }
        anew
    }

    /// Notes what the server keeps of what others wrote and goes with a clash.
    /// Where its document has some of that, another backup was put back, and
    /// the clash is none any more.
    fn note_what_is_kept(&mut self, claimed: &Claimed) {
        let acked = &self.acked;
        self.clashes.retain(|document, clash| {
            let Some(acked) = acked.get(document).filter(|_| claimed.heads.contains_key(document)) else {
                return true;
            };
            let (kept, open) =
                std::mem::take(&mut clash.open).into_iter().partition(|hash| acked.is_outside(&hex(&hash.0)));
            clash.kept.extend::<BTreeSet<ChangeHash>>(kept);
            clash.open = open;
            !clash.open.iter().any(|hash| acked.heads.contains(&hex(&hash.0)))
        });
    }

    /// Forgets the receipts that cover no photo of this device which a later one
    /// does not cover, and gives their keys. The last one says where every
    /// document is.
    fn forget_superseded(&mut self) -> Vec<Key> {
        let mut covered: BTreeSet<PhotoHash> = BTreeSet::new();
        let mut superseded = Vec::new();
        let last = self.receipts.keys().next_back().cloned();
        for (key, receipt) in self.receipts.iter().rev() {
            let said = duxue_protocol::json::read::<Statement>(receipt.statement.as_bytes());
            let photos = said.map(|said| said.photos).unwrap_or_default();
            let ours = photos.into_iter().filter(|photo| self.photos.contains_key(photo));
            let adds = ours.filter(|photo| covered.insert(*photo)).count() > 0;
            if !adds && Some(key) != last.as_ref() {
                superseded.push(key.clone());
            }
        }
        self.receipts.retain(|key, _| !superseded.contains(key));
        superseded
    }

    /// A stored receipt, verified again, that covers a photo, if the server has
    /// said on this connection too that it is durable: the server that gave an
    /// older receipt may have been put back to a backup since.
    pub(crate) fn covering_receipt(&self, photo: &PhotoHash) -> Option<(&Key, &Receipt)> {
        let identity = self.identity.as_ref().filter(|_| self.link.is_open())?;
        if !self.receipt_round.covers(photo) {
            return None;
        }
        self.receipts.iter().rev().find(|(_, receipt)| {
            receipt.verify(&identity.server_key).is_ok_and(|said| said.photos.contains(photo))
        })
    }

    /// Tells once when nothing more can be exchanged for now.
    pub(crate) fn report_settled(&mut self, turn: &mut Turn) {
        if self.settled || !self.link.is_open() || !self.pending.is_empty() || !self.errands.is_empty() {
            return;
        }
        let uploads_wait =
            !self.uploads.paused && self.photos.values().any(crate::photo::PhotoRecord::wants_upload);
        let asked = self.receipt_round.incomplete || self.unasked().is_empty();
        if uploads_wait || !asked || !self.heard_all() {
            return;
        }
        self.settled = true;
        turn.effects.push(Effect::Notice(Notice::Settled { clean: self.outbox().items.is_empty() }));
    }

    /// Whether the server spoke about every subscribed document, or had its time.
    fn heard_all(&self) -> bool {
        let Link::Open(_) = &self.link else { return false };
        self.is_even() || !self.receipt_round.answered.is_empty() || self.receipt_round.incomplete
    }
}

/// The heads of a document as text.
pub(crate) fn heads_of(local: &LocalDocument) -> BTreeSet<String> {
    local.heads().iter().map(|head| hex(&head.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_stays_below_what_the_server_takes() {
        let document = |number: u8| DocumentId([number; 16]);
        let of = |count: usize| (0..count).map(|hash| format!("{hash:064}")).collect::<BTreeSet<_>>();
        for (counts, asked) in [
            (vec![4_000, 6_000, 1], vec![4_000, 6_000]),
            (vec![6_000, 6_000, 6_000], vec![6_000]),
            (vec![12_000, 1], vec![12_000]),
            (vec![1], vec![1]),
            (vec![], vec![]),
        ] {
            let heads = (0u8..).zip(&counts).map(|(number, count)| (document(number), of(*count)));
            let page = Claimed { heads: heads.collect(), photos: BTreeSet::new() }.page();
            let sizes: Vec<usize> = page.heads.values().map(BTreeSet::len).collect();
            assert_eq!(sizes, asked, "{counts:?}");
        }
    }
}
