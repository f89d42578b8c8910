//! When a document is written again without what it cannot keep, and what
//! becomes of the work of each who wrote on this device.

use automerge::{ActorId, Change, ChangeHash};
use duxue_document::collections::{BTreeMap, BTreeSet};
use duxue_document::{DocumentId, PersonId};

use crate::engine::{Engine, Turn, json};
use crate::event::Key;
use crate::identity::hex;
use crate::keys;
use crate::reissue::Gone;
use crate::store::LeftOut;

impl Engine {
    /// States again, under a new actor, what the person stated in a document that
    /// it cannot keep. Not while something of anybody else would go with it
    /// that the server has not said it keeps; then that is asked about.
    pub(crate) fn write_again(&mut self, document: DocumentId, gone: &Gone, turn: &mut Turn) -> bool {
        let (Some(identity), Some(local)) = (self.identity.clone(), self.documents.get(&document)) else {
            return false;
        };
        if !local.can_be_written_again() {
            return false;
        }
        let lost = local.lost(gone);
        let unsafe_yet = self.not_kept(&document, &lost, &identity.person);
        if !unsafe_yet.is_empty() {
            self.clashes.entry(document).or_default().open = unsafe_yet;
            return false;
        }
        let records = self.records_of_lost(&document, gone, &lost, &identity.person);
        let known = self.actors.get(&document).cloned();
        let (actor, mut puts) = self.new_actor(document, &identity, turn);
        puts.extend(records.iter().map(|(key, record)| (key.clone(), json(record))));
        let local = self.documents.get_mut(&document);
        let done = {
            let own = own_of(&self.own_actors, &identity.person);
            local.is_some_and(|local| local.write_again(gone, &own, &actor, puts))
        };
        if done {
            self.left_out.extend(records);
            self.clashes.remove(&document);
            self.dirty.insert(document);
        } else {
            self.own_actors.remove(&hex(&actor));
            match known {
                Some(record) => self.actors.insert(document, record),
                None => self.actors.remove(&document),
            };
        }
        done
    }

    /// Which of these changes are of others than a person, and not known to be
    /// kept by the server.
    fn not_kept(&self, document: &DocumentId, lost: &[Change], person: &PersonId) -> BTreeSet<ChangeHash> {
        let own = own_of(&self.own_actors, person);
        let (acked, clash) = (self.acked.get(document), self.clashes.get(document));
        let is_kept = |hash: &ChangeHash| {
            acked.is_some_and(|acked| acked.is_outside(&hex(&hash.0)))
                || clash.is_some_and(|clash| clash.kept.contains(hash))
        };
        let others = lost.iter().filter(|change| !own(change.actor_id())).map(Change::hash);
        others.filter(|hash| !is_kept(hash)).collect()
    }

    /// What of other people a document loses with what is gone.
    pub(crate) fn lost_of_others(&self, document: &DocumentId, gone: &Gone) -> BTreeSet<ChangeHash> {
        let (Some(local), Some(identity)) = (self.documents.get(document), &self.identity) else {
            return BTreeSet::new();
        };
        let own = own_of(&self.own_actors, &identity.person);
        let lost = local.lost(gone).into_iter();
        lost.filter(|change| !own(change.actor_id())).map(|change| change.hash()).collect()
    }

    /// What is not stated again of the work of each who wrote on this device:
    /// what a supervisor left out, and of others than `person` all of it.
    fn records_of_lost(
        &self,
        document: &DocumentId,
        gone: &Gone,
        lost: &[Change],
        person: &PersonId,
    ) -> Vec<(Key, LeftOut)> {
        let (Some(local), Some(acked)) = (self.documents.get(document), self.acked.get(document)) else {
            return Vec::new();
        };
        let (about, at_ms) = (&local.about, acked.at_ms);
        let people: BTreeSet<&PersonId> = self.own_actors.values().collect();
        let record = |author: &PersonId| {
            let own = own_of(&self.own_actors, author);
            let told = |change: &&Change| {
                own(change.actor_id()) && (author != person || gone.left_out.contains(&change.hash()))
            };
            let changes: Vec<Change> = lost.iter().filter(told).cloned().collect();
            let (round, school) = (about.round.clone(), about.school.clone());
            let claims = local.stated(&changes);
            LeftOut { person: author.clone(), round, school, at_ms, claims }
        };
        let records = people.into_iter().map(record).filter(|record| !record.claims.is_empty());
        records.map(|record| (keys::left_out(at_ms, document, &record.person), record)).collect()
    }
}

/// Whether an actor is one of a person's on this device.
fn own_of<'a>(
    actors: &'a BTreeMap<String, PersonId>,
    person: &'a PersonId,
) -> impl Fn(&ActorId) -> bool + 'a {
    |actor| actors.get(&actor.to_hex_string()) == Some(person)
}
