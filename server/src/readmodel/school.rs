//! One school's consolidated data, kept up to date by changed entry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use automerge::{ActorId, Automerge, ChangeHash};
use duxue_document::changed::Changed;
use duxue_document::conflict::{Conflict, ConflictSubject};
use duxue_document::consolidate::{Consolidator, DecidedBefore, Documents, Settings};
use duxue_document::consolidated::{ConsolidatedSchool, Entry, Finding, ValueState};
use duxue_document::school::{Declared, School};
use duxue_document::{DocumentKind, EntryPath, PhotoHash, genesis};

/// The kinds of documents that a school's consolidated data is made from.
pub const KINDS: [DocumentKind; 3] = [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling];

/// Figures of a school for lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Entries with a value.
    pub entries: u32,
    /// Open conflicts, those within tolerance left out.
    pub conflicts: u32,
    /// Photos that the survey knows.
    pub photos: BTreeSet<PhotoHash>,
}

/// A school in a round.
#[derive(Clone)]
pub struct SchoolModel {
    consolidator: Consolidator,
    heads: BTreeMap<DocumentKind, Vec<ChangeHash>>,
    actors: BTreeMap<DocumentKind, BTreeSet<String>>,
    summary: OnceLock<Summary>,
    unreadable: Option<DocumentKind>,
}

/// The finding of a school of which a document cannot be read.
pub const UNREADABLE: &str = "document.unreadable";

impl SchoolModel {
    /// Consolidates the whole.
    #[must_use]
    pub fn new(school: School, declared: Declared, settings: Settings, documents: Documents<'_>) -> Self {
        let heads = KINDS.into_iter().map(|kind| (kind, of_kind(documents, kind).get_heads())).collect();
        let actors = KINDS.into_iter().map(|kind| (kind, actors(of_kind(documents, kind), &[]))).collect();
        let consolidator = Consolidator::new(school, declared, settings, documents);
        Self { consolidator, heads, actors, summary: OnceLock::new(), unreadable: None }
    }

    /// A school of which a document cannot be read: all of it counts as
    /// missing, what was declared too, because what was seen might contradict
    /// it. So its results, and those that it matters for, are undetermined.
    #[must_use]
    pub fn unreadable(school: School, settings: Settings, kind: DocumentKind) -> Self {
        let empty = KINDS.map(|kind| genesis::document(kind, ActorId::from([0; 16])));
        let [survey, review, ruling] = &empty;
        let mut model =
            Self::new(school, Declared::default(), settings, Documents { survey, review, ruling });
        model.unreadable = Some(kind);
        model
    }

    /// Which document cannot be read, if one.
    #[must_use]
    pub fn is_unreadable(&self) -> Option<DocumentKind> {
        self.unreadable
    }

    /// What did not fit, and the document that cannot be read.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let unreadable = self.unreadable.map(|kind| Finding {
            code: UNREADABLE.to_owned(),
            path: format!("{}:", kind.as_str()),
            detail:
                "文档无法读取，已报告管理员；该校数据暂全部视为缺失。 · The document cannot be read; the \
                     operator was told. Until it can be, everything of the school counts as missing."
                    .to_owned(),
        });
        unreadable.into_iter().chain(self.school().findings.iter().cloned()).collect()
    }

    /// Takes in what has changed in the documents since the last look, and
    /// names the documents that did. The work grows with the changes.
    pub fn update(&mut self, documents: Documents<'_>) -> BTreeSet<DocumentKind> {
        let mut changed = BTreeSet::new();
        for kind in KINDS {
            let doc = of_kind(documents, kind);
            let now = doc.get_heads();
            let before = self.heads.insert(kind, now.clone()).unwrap_or_default();
            if before != now {
                self.consolidator.update(documents, &Changed::since(kind, doc, &before));
                self.actors.entry(kind).or_default().extend(actors(doc, &before));
                self.summary = OnceLock::new();
                changed.insert(kind);
            }
        }
        changed
    }

    /// Puts another register row and other figures in place.
    pub fn set_register(&mut self, school: &School, declared: &Declared) {
        self.consolidator.set_school(school.clone());
        self.consolidator.set_declared(declared.clone());
    }

    /// The consolidated data.
    #[must_use]
    pub fn school(&self) -> &ConsolidatedSchool {
        self.consolidator.school()
    }

    /// Heads of the documents that the data was made from.
    #[must_use]
    pub fn heads(&self) -> &BTreeMap<DocumentKind, Vec<ChangeHash>> {
        &self.heads
    }

    /// Actors (hex) that wrote in the documents at those heads.
    #[must_use]
    pub fn actors(&self) -> &BTreeMap<DocumentKind, BTreeSet<String>> {
        &self.actors
    }

    /// Open conflicts.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.school().conflicts()
    }

    /// What was decided about a conflict's subject and not superseded.
    #[must_use]
    pub fn decided(&self, subject: &ConflictSubject) -> DecidedBefore {
        self.consolidator.decided(subject)
    }

    /// Figures for lists, worked out once after each change.
    pub fn summary(&self) -> &Summary {
        self.summary.get_or_init(|| summarise(self.consolidator.school()))
    }
}

/// Who wrote in a document since these heads, by hex. The actor of the genesis
/// is nobody.
pub fn actors(doc: &Automerge, since: &[ChangeHash]) -> BTreeSet<String> {
    let changes = doc.get_changes_meta(since);
    let actors = changes.iter().map(|change| &change.actor);
    actors
        .filter(|actor| genesis::reserved(actor.to_bytes()).is_none())
        .map(|actor| actor.to_hex_string())
        .collect()
}

fn of_kind(documents: Documents<'_>, kind: DocumentKind) -> &Automerge {
    match kind {
        DocumentKind::Review => documents.review,
        DocumentKind::Ruling => documents.ruling,
        _ => documents.survey,
    }
}

fn summarise(school: &ConsolidatedSchool) -> Summary {
    let of_items = school.items.values().flat_map(|item| item.fields.values());
    let entries = of_items.chain(school.entries.values());
    let open = school.conflicts().into_iter().filter(|conflict| {
        !matches!(conflict.subject, ConflictSubject::Entry { within_tolerance: true, .. })
    });
    let mut summary = Summary { conflicts: number(open.count()), ..Summary::default() };
    for entry in entries {
        summary.entries += u32::from(entry.value != ValueState::Missing);
        summary.photos.extend(photos(entry));
    }
    for (path, entry) in &school.entries {
        // A verdict may stand on a photo whose claim was left out.
        if let EntryPath::Evidence(photo) = path
            && !entry.candidates.is_empty()
        {
            summary.photos.insert(*photo);
        }
    }
    summary
}

fn photos(entry: &Entry) -> impl Iterator<Item = PhotoHash> + '_ {
    entry.candidates.iter().flat_map(|candidate| candidate.photos.iter().copied())
}

/// A count in an answer.
#[must_use]
pub fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use duxue_document::decision::{Outcome, Verdict};
    use duxue_document::{DecisionId, write};

    use crate::test_county::register_row;

    use super::*;

    /// The claim may have been left out, and the verdict stays.
    #[test]
    fn a_photo_that_only_a_verdict_names_is_not_one_of_the_survey() {
        let [survey, mut review, ruling] = KINDS.map(|kind| genesis::document(kind, ActorId::from([1; 16])));
        let verdict = Verdict {
            entry: EntryPath::Evidence(PhotoHash::of(b"a photo")),
            saw: BTreeSet::new(),
            outcome: Outcome::Returned { reason: "看不清".to_owned() },
            supersedes: BTreeSet::new(),
            captured: duxue_document::Captured::default(),
        };
        let id = DecisionId::new("v1").expect("an id");
        write::put_verdict(&mut review, &id, &verdict).expect("a verdict");
        let documents = Documents { survey: &survey, review: &review, ruling: &ruling };
        let model = SchoolModel::new(register_row(0), Declared::default(), Settings::default(), documents);
        assert_eq!(model.summary(), &Summary::default());
    }
}
