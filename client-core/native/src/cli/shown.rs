//! What the desk was last shown of each conflict and entry.
//!
//! A ruling or verdict settles exactly what its author saw. Between the list
//! and the decision another candidate or decision may arrive; then the numbers
//! in the list mean something else, and the decision would cover what nobody
//! looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use duxue_client_core::Seen;
use duxue_document::consolidated::{ConsolidatedSchool, Entry, ReviewState, fields};
use duxue_document::{DecisionId, EntryPath, OpId, PersonId, RoundId, SchoolId};
use duxue_protocol::api::{ConflictSubject, ConflictView};
use duxue_protocol::problem::Problem;
use serde::{Deserialize, Serialize};

use super::context::{Failure, parsed};
use super::desk;
use super::rule::{self, Removals};

/// Whom something was shown to, in which round.
pub struct Viewer<'a> {
    pub home: &'a Path,
    pub person: &'a PersonId,
    pub round: &'a RoundId,
}

/// All that was shown, by person, round, school and name.
#[derive(Default, Serialize, Deserialize)]
struct Shown {
    #[serde(default)]
    conflicts: BTreeMap<String, ShownConflict>,
    #[serde(default)]
    entries: BTreeMap<String, ShownEntry>,
    /// The live ops of removed items that were edited, by the conflict's key.
    #[serde(default)]
    removals: BTreeMap<String, BTreeSet<OpId>>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ShownConflict {
    candidates: Vec<Option<OpId>>,
    review: Option<ReviewState>,
    verdicts: BTreeSet<DecisionId>,
    rulings: BTreeSet<DecisionId>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct ShownEntry {
    ops: BTreeSet<OpId>,
    review: ReviewState,
}

impl ShownConflict {
    fn of(conflict: &ConflictView) -> Self {
        Self {
            candidates: conflict.candidates.iter().map(|candidate| candidate.op.clone()).collect(),
            review: conflict.review.clone(),
            verdicts: conflict.verdicts.clone(),
            rulings: conflict.rulings.clone(),
        }
    }
}

impl ShownEntry {
    fn of(entry: &Entry) -> Self {
        let ops = entry.candidates.iter().map(|candidate| candidate.op.clone()).collect();
        Self { ops, review: entry.review.clone() }
    }
}

impl Viewer<'_> {
    fn file(&self) -> PathBuf {
        self.home.join("shown.json")
    }

    /// The beginning of the keys of a school.
    fn school(&self, school: &SchoolId) -> String {
        format!("{} {} {school} ", self.person, self.round)
    }

    fn key(&self, conflict: &ConflictView) -> String {
        self.school(&conflict.school) + &desk::name(&conflict.subject)
    }

    /// A list that cannot be read was not shown: it has to be shown again.
    fn read(&self) -> Shown {
        let bytes = std::fs::read(self.file()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn write(&self, shown: &Shown) -> Result<(), Problem> {
        let failed = |error: String| {
            Problem::new("store.io", "数据目录无法写入", "the home folder cannot be written")
                .with_detail(error)
        };
        let bytes = serde_json::to_vec(shown).map_err(|error| failed(error.to_string()))?;
        std::fs::write(self.file(), bytes).map_err(|error| failed(error.to_string()))
    }

    /// Notes the conflicts that were shown, and the removed items among them.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn remember_conflicts(&self, conflicts: &[ConflictView], items: &Removals) -> Result<(), Problem> {
        let mut shown = self.read();
        let schools: BTreeSet<String> =
            conflicts.iter().map(|conflict| self.school(&conflict.school)).collect();
        let of_these = |key: &String| schools.iter().any(|school| key.starts_with(school));
        shown.conflicts.retain(|key, _| !of_these(key));
        shown.removals.retain(|key, _| !of_these(key));
        for conflict in conflicts {
            let key = self.key(conflict);
            if let (ConflictSubject::Entry { .. }, Some(review)) = (&conflict.subject, &conflict.review) {
                let ops = conflict.candidates.iter().filter_map(|candidate| candidate.op.clone()).collect();
                shown.entries.insert(key.clone(), ShownEntry { ops, review: review.clone() });
            }
            if let ConflictSubject::Removal { item } = &conflict.subject
                && let Some(item) = items.get(&(conflict.school.clone(), item.clone()))
            {
                shown.removals.insert(key.clone(), rule::ops_of(item));
            }
            shown.conflicts.insert(key, ShownConflict::of(conflict));
        }
        self.write(&shown)
    }

    /// Notes the entries of a survey that was shown.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn remember_entries(&self, school: &ConsolidatedSchool) -> Result<(), Problem> {
        let mut shown = self.read();
        let prefix = self.school(&school.school.id);
        shown.entries.retain(|key, _| !key.starts_with(&prefix));
        let in_items = school.items.iter().flat_map(|(key, item)| {
            item.fields.iter().filter(|(field, _)| field.as_str() != fields::REMOVED).map(
                move |(field, entry)| {
                    let path =
                        EntryPath::Item { kind: key.kind, item: key.item.clone(), field: field.clone() };
                    (path, entry)
                },
            )
        });
        let others = school.entries.iter().map(|(path, entry)| (path.clone(), entry));
        shown.entries.extend(
            in_items.chain(others).map(|(path, entry)| (format!("{prefix}{path}"), ShownEntry::of(entry))),
        );
        self.write(&shown)
    }

    /// Whether the conflict is as it was shown.
    ///
    /// # Errors
    /// `desk.not_shown`, `desk.conflict_changed`.
    pub fn check_conflict(&self, conflict: &ConflictView) -> Result<(), Problem> {
        match self.read().conflicts.get(&self.key(conflict)) {
            Some(shown) if *shown == ShownConflict::of(conflict) => Ok(()),
            Some(_) => Err(changed()),
            None => Err(conflict_not_shown()),
        }
    }

    /// Whether a removed item still holds what was shown of it: a ruling on
    /// its removal covers exactly that.
    ///
    /// # Errors
    /// `desk.not_shown`, `desk.conflict_changed`.
    pub fn check_removal(&self, conflict: &ConflictView, now: &BTreeSet<OpId>) -> Result<(), Problem> {
        match self.read().removals.get(&self.key(conflict)) {
            Some(shown) if shown == now => Ok(()),
            Some(_) => Err(changed()),
            None => Err(conflict_not_shown()),
        }
    }

    /// What a verdict on the entry covers, if the entry is as it was shown;
    /// `saw` is what a script names instead. A verdict that it does not name
    /// is not superseded, as nobody looked at it: the two stand side by side.
    ///
    /// # Errors
    /// `desk.not_shown`, `desk.conflict_changed`.
    pub fn check_entry(
        &self,
        school: &SchoolId,
        path: &EntryPath,
        entry: &Entry,
        saw: Option<&Seen>,
    ) -> Result<Seen, Problem> {
        let now = ShownEntry::of(entry);
        let standing = named(&now.review);
        let Some(saw) = saw else {
            let key = format!("{}{path}", self.school(school));
            match self.read().entries.get(&key) {
                Some(shown) if *shown == now => {}
                Some(_) => return Err(changed().with_detail(path.to_string())),
                None => {
                    return Err(Problem::new(
                        "desk.not_shown",
                        "请先用 duxue survey 查看这个条目",
                        "look at this entry with duxue survey first",
                    )
                    .with_detail(path.to_string()));
                }
            }
            return Ok(Seen { ops: now.ops, verdicts: standing });
        };
        if !now.ops.is_subset(&saw.ops) {
            return Err(changed().with_detail(path.to_string()));
        }
        Ok(Seen { ops: now.ops, verdicts: standing.intersection(&saw.verdicts).cloned().collect() })
    }
}

/// What a script says that it saw, by op ids (`counter@actor`) and verdicts'
/// ids; `None` where it says nothing.
pub fn seen_by_script(words: &[String]) -> Result<Option<Seen>, Failure> {
    let mut seen = Seen::default();
    for word in words {
        if word.contains('@') {
            seen.ops.insert(parsed(word)?);
        } else {
            seen.verdicts.insert(parsed(word)?);
        }
    }
    Ok((!words.is_empty()).then_some(seen))
}

/// The verdicts that a review state is made of.
fn named(review: &ReviewState) -> BTreeSet<DecisionId> {
    match review {
        ReviewState::Unreviewed => BTreeSet::new(),
        ReviewState::Awaiting { verdicts }
        | ReviewState::Disputed { verdicts }
        | ReviewState::Accepted { verdicts }
        | ReviewState::Returned { verdicts, .. } => verdicts.clone(),
    }
}

fn conflict_not_shown() -> Problem {
    Problem::new(
        "desk.not_shown",
        "请先用 duxue conflicts 查看这个冲突",
        "look at this conflict with duxue conflicts first",
    )
}

fn changed() -> Problem {
    Problem::new(
        "desk.conflict_changed",
        "您查看之后又有变化：请重新查看（duxue conflicts 或 duxue survey）再决定",
        "it has changed since you looked: look again with duxue conflicts or duxue survey, then decide",
    )
}

#[cfg(test)]
mod tests {
    use duxue_document::consolidated::{Candidate, Item, Removal, ValueState};
    use duxue_document::path::ItemKey;
    use duxue_document::{Captured, Value};
    use duxue_protocol::api::CandidateView;

    use super::*;

    fn conflict(ops: &[&str]) -> ConflictView {
        let candidate = |op: &&str| CandidateView {
            op: Some(op.parse().unwrap()),
            choice: None,
            value: None,
            candidate: None,
            by: None,
            effects: BTreeMap::new(),
        };
        ConflictView {
            id: String::new(),
            school: "1234567890".parse().unwrap(),
            school_name: String::new(),
            subject: ConflictSubject::Entry { path: "answers/A3-6".parse().unwrap() },
            candidates: ops.iter().map(candidate).collect(),
            flips: false,
            folded: false,
            pupils: 0,
            review: Some(ReviewState::Unreviewed),
            verdicts: BTreeSet::new(),
            rulings: BTreeSet::new(),
        }
    }

    fn entry(ops: &[&str], review: ReviewState) -> Entry {
        let candidate = |op: &&str| Candidate {
            op: op.parse().unwrap(),
            value: Value::new(),
            captured: Captured::default(),
            photos: Vec::new(),
            note: None,
        };
        Entry { candidates: ops.iter().map(candidate).collect(), value: ValueState::Missing, review }
    }

    fn code(result: Result<(), Problem>) -> String {
        result.map_or_else(|problem| problem.code.to_string(), |()| "ok".to_owned())
    }

    #[test]
    fn a_ruling_is_refused_unless_the_conflict_is_as_it_was_shown() {
        let home = tempfile::tempdir().unwrap();
        let (li, wang, round) = ("li".parse().unwrap(), "wang".parse().unwrap(), "r1".parse().unwrap());
        let viewer = Viewer { home: home.path(), person: &li, round: &round };
        let seen = conflict(&["1@aa", "1@bb"]);
        assert_eq!(code(viewer.check_conflict(&seen)), "desk.not_shown");
        viewer.remember_conflicts(std::slice::from_ref(&seen), &Removals::new()).unwrap();
        viewer.check_conflict(&seen).unwrap();
        let other = Viewer { person: &wang, ..viewer };
        assert_eq!(code(other.check_conflict(&seen)), "desk.not_shown");
        let verdict = BTreeSet::from(["v1".parse().unwrap()]);
        let changes = [
            conflict(&["1@aa", "1@bb", "2@cc"]),
            ConflictView { verdicts: verdict.clone(), ..seen.clone() },
            ConflictView { rulings: verdict, ..seen.clone() },
            ConflictView { review: None, ..seen },
        ];
        for changed in changes {
            let viewer = Viewer { home: home.path(), person: &li, round: &round };
            assert_eq!(code(viewer.check_conflict(&changed)), "desk.conflict_changed");
        }
    }

    #[test]
    fn a_ruling_on_a_removal_covers_what_was_shown_of_the_item() {
        let home = tempfile::tempdir().unwrap();
        let (li, round) = ("li".parse().unwrap(), "r1".parse().unwrap());
        let viewer = Viewer { home: home.path(), person: &li, round: &round };
        let key: ItemKey = "rooms/r1".parse().unwrap();
        let subject = ConflictSubject::Removal { item: key.clone() };
        let conflict = ConflictView { subject, review: None, ..conflict(&[]) };
        let ops = |texts: &[&str]| texts.iter().map(|op| op.parse().unwrap()).collect::<BTreeSet<OpId>>();
        assert_eq!(code(viewer.check_removal(&conflict, &ops(&["1@aa"]))), "desk.not_shown");
        let item = Item {
            kind: key.kind,
            members: BTreeSet::from([key.item.clone()]),
            fields: BTreeMap::from([
                ("size".parse().unwrap(), entry(&["1@aa", "2@bb"], ReviewState::Unreviewed)),
                ("removed".parse().unwrap(), entry(&["3@cc"], ReviewState::Unreviewed)),
            ]),
            removal: Removal::EditedAfterRemoval { unseen: ops(&["2@bb"]) },
        };
        let shown = Removals::from([((conflict.school.clone(), key), item)]);
        viewer.remember_conflicts(std::slice::from_ref(&conflict), &shown).unwrap();
        viewer.check_removal(&conflict, &ops(&["1@aa", "2@bb", "3@cc"])).unwrap();
        for now in [ops(&["1@aa", "2@bb", "3@cc", "4@dd"]), ops(&["1@aa", "3@cc"])] {
            assert_eq!(code(viewer.check_removal(&conflict, &now)), "desk.conflict_changed");
        }
        viewer.remember_conflicts(std::slice::from_ref(&conflict), &Removals::new()).unwrap();
        assert_eq!(code(viewer.check_removal(&conflict, &ops(&["1@aa"]))), "desk.not_shown");
    }

    #[test]
    fn a_verdict_covers_what_was_shown_of_the_entry_or_what_a_script_names() {
        let home = tempfile::tempdir().unwrap();
        let (li, round) = ("li".parse().unwrap(), "r1".parse().unwrap());
        let viewer = Viewer { home: home.path(), person: &li, round: &round };
        let seen = conflict(&["1@aa"]);
        let path: EntryPath = "answers/A3-6".parse().unwrap();
        let check = |entry: &Entry, saw: &[&str]| {
            let words: Vec<String> = saw.iter().map(|word| (*word).to_owned()).collect();
            let saw = seen_by_script(&words).unwrap();
            viewer.check_entry(&seen.school, &path, entry, saw.as_ref())
        };
        let shown = entry(&["1@aa"], ReviewState::Unreviewed);
        assert_eq!(code(check(&shown, &[]).map(|_| ())), "desk.not_shown");
        viewer.remember_conflicts(std::slice::from_ref(&seen), &Removals::new()).unwrap();
        assert_eq!(check(&shown, &[]).unwrap().ops.len(), 1);
        let grown = entry(&["1@aa", "2@bb"], ReviewState::Unreviewed);
        assert_eq!(code(check(&grown, &[]).map(|_| ())), "desk.conflict_changed");
        assert_eq!(code(check(&grown, &["1@aa"]).map(|_| ())), "desk.conflict_changed");
        assert_eq!(check(&grown, &["1@aa", "2@bb"]).unwrap().ops.len(), 2);
        let both: BTreeSet<DecisionId> = ["v1", "v2"].map(|id| id.parse().unwrap()).into();
        let accepted = entry(&["1@aa"], ReviewState::Accepted { verdicts: both.clone() });
        assert_eq!(code(check(&accepted, &[]).map(|_| ())), "desk.conflict_changed");
        // A script's verdict supersedes the verdicts that it names, and those only.
        for (saw, superseded) in [
            (&["1@aa"][..], &[][..]),
            (&["1@aa", "v2"], &["v2"]),
            (&["1@aa", "v1", "v2", "v3"], &["v1", "v2"]),
        ] {
            let superseded = superseded.iter().map(|id| id.parse().unwrap()).collect();
            assert_eq!(check(&accepted, saw).unwrap().verdicts, superseded, "{saw:?}");
        }
        let view = ConflictView { review: Some(accepted.review.clone()), ..seen.clone() };
        viewer.remember_conflicts(&[view], &Removals::new()).unwrap();
        assert_eq!(check(&accepted, &[]).unwrap().verdicts, both, "all that agree");
    }
}
