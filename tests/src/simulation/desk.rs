//! What supervisors and bureaus do: they judge and rule on what their screen
//! shows, which may be old by the time it arrives.

use std::collections::{BTreeMap, BTreeSet};

use duxue_client_core::{Command, Seen};
use duxue_document::consolidated::{ConsolidatedSchool, Entry, Item, Removal, ReviewState};
use duxue_document::decision::{Outcome, RulingChoice, Subject};
use duxue_document::path::ItemKey;
use duxue_document::{DecisionId, EntryPath, OpId};
use duxue_protocol::api::Role;

use super::prototype::subject;
use super::work::value;
use super::world::World;

/// Every entry of a school: those of its items and the others.
fn entries(shown: &ConsolidatedSchool) -> Vec<(EntryPath, &Entry)> {
    let fields = shown.items.iter().flat_map(|(ItemKey { kind, item }, what)| {
        let path = |field: &duxue_document::FieldId| EntryPath::Item {
            kind: *kind,
            item: item.clone(),
            field: field.clone(),
        };
        what.fields.iter().map(move |(field, entry)| (path(field), entry))
    });
    fields.chain(shown.entries.iter().map(|(path, entry)| (path.clone(), entry))).collect()
}

fn ops(entry: &Entry) -> impl Iterator<Item = OpId> {
    entry.candidates.iter().map(|candidate| candidate.op.clone())
}

fn seen(entry: &Entry) -> Seen {
    Seen { ops: ops(entry).collect(), verdicts: verdicts(entry) }
}

/// The verdicts that hold.
fn verdicts(entry: &Entry) -> BTreeSet<DecisionId> {
    match &entry.review {
        ReviewState::Unreviewed => BTreeSet::new(),
        ReviewState::Awaiting { verdicts }
        | ReviewState::Accepted { verdicts }
        | ReviewState::Returned { verdicts, .. }
        | ReviewState::Disputed { verdicts } => verdicts.clone(),
    }
}

impl World {
    /// Someone at a desk does something. What is returned and what is ruled has
    /// a marker for a reason.
    pub(super) fn work_at_desk(&mut self, device: usize, role: Role) {
        if self.chance(100) {
            let wanted = self.chance(600);
            self.command(device, Command::Online { wanted });
            return;
        }
        // A screen that has nothing to show yet.
        let Ok(survey) = self.devices[device].engine.survey(&subject()) else { return };
        let (shown, marker) = (survey.consolidated, self.new_marker());
        let decision = match role {
            Role::Supervisor if self.chance(300) => return self.accept(device, &shown),
            Role::Supervisor => self.return_some(&shown, marker),
            _ => self.rule(&shown, marker),
        };
        if let Some(decision) = decision {
            self.capture(device, marker, decision);
        }
    }

    /// Accepts an entry, which leaves no words to look for.
    fn accept(&mut self, device: usize, shown: &ConsolidatedSchool) {
        let all = entries(shown);
        let Some((path, entry)) = all.get(self.below(all.len())) else { return };
        let entries = BTreeMap::from([(path.clone(), seen(entry))]);
        self.command(device, Command::Judge { subject: subject(), entries, outcome: Outcome::Accepted });
    }

    /// Returns one entry, or several.
    fn return_some(&mut self, shown: &ConsolidatedSchool, marker: u64) -> Option<Command> {
        let all = entries(shown);
        let mut judged = BTreeMap::new();
        for _ in 0..=self.below(3) {
            let (path, entry) = all.get(self.below(all.len()))?;
            judged.insert(path.clone(), seen(entry));
        }
        Some(Command::Judge {
            subject: subject(),
            entries: judged,
            outcome: Outcome::Returned { reason: marker.to_string() },
        })
    }

    /// Settles an entry, says that two items are one or are not, or whether one
    /// is there.
    fn rule(&mut self, shown: &ConsolidatedSchool, marker: u64) -> Option<Command> {
        let about = match self.below(4) {
            0 => self.one_or_two(shown)?,
            1 => self.there_or_not(shown)?,
            _ => self.settled(shown, marker)?,
        };
        let reason = marker.to_string();
        Some(Command::Rule { subject: subject(), about, rulings: BTreeSet::new(), reason })
    }

    fn settled(&mut self, shown: &ConsolidatedSchool, marker: u64) -> Option<Subject> {
        let all = entries(shown);
        let contested: Vec<_> = all.iter().filter(|(_, entry)| entry.candidates.len() > 1).collect();
        let (path, entry) = contested.get(self.below(contested.len()))?;
        let saw: BTreeSet<OpId> = ops(entry).collect();
        let own = matches!(path, EntryPath::Quantity(_)) && self.chance(300);
        let choice = if own {
            RulingChoice::Set(value(marker))
        } else {
            RulingChoice::Select(saw.iter().nth(self.below(saw.len()))?.clone())
        };
        Some(Subject::Entry { path: path.clone(), choice, saw, verdicts: verdicts(entry) })
    }

    fn one_or_two(&mut self, shown: &ConsolidatedSchool) -> Option<Subject> {
        let keys: Vec<&ItemKey> = shown.items.keys().collect();
        let one = *keys.get(self.below(keys.len()))?;
        let alike: Vec<&ItemKey> =
            keys.into_iter().filter(|key| key.kind == one.kind && *key != one).collect();
        let other = *alike.get(self.below(alike.len()))?;
        let items = BTreeSet::from([one.clone(), other.clone()]);
        Some(if self.chance(600) { Subject::Merge { items } } else { Subject::Separate { items } })
    }

    fn there_or_not(&mut self, shown: &ConsolidatedSchool) -> Option<Subject> {
        let gone = |item: &Item| !matches!(item.removal, Removal::Present);
        let edited: Vec<(&ItemKey, &Item)> = shown.items.iter().filter(|(_, item)| gone(item)).collect();
        let (key, item) = *edited.get(self.below(edited.len()))?;
        let saw = item.fields.values().flat_map(ops).collect();
        Some(Subject::Removal { item: key.clone(), present: self.chance(500), saw })
    }
}
