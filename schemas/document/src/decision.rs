//! Verdicts and rulings: what supervisors and bureaus decide.
//!
//! A decision is appended under a random id and put whole; it is never edited.
//! It is taken back or changed by a later decision that supersedes it.

use crate::collections::{BTreeMap, BTreeSet};

use automerge::Automerge;
use serde::{Deserialize, Serialize};

use crate::changed::{Deletes, Unit};
use crate::path::ItemKey;
use crate::{Captured, DecisionId, DocumentKind, EntryPath, OpId, Value, genesis, read};

/// A supervisor's word on an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The entry.
    pub entry: EntryPath,
    /// The candidates that the supervisor saw: the verdict holds only while
    /// these and no others are live.
    pub saw: BTreeSet<OpId>,
    /// Accepted or sent back.
    pub outcome: Outcome,
    /// Verdicts that this one replaces.
    #[serde(default)]
    pub supersedes: BTreeSet<DecisionId>,
    /// When and where.
    #[serde(default)]
    pub captured: Captured,
}

/// What a supervisor decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// 采信
    Accepted,
    /// 退回
    Returned {
        /// Why, in the supervisor's words.
        reason: String,
    },
}

/// A bureau's decision on a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// What it is about and what it says.
    pub subject: Subject,
    /// Why, in the bureau's words.
    pub reason: String,
    /// Rulings that this one replaces.
    #[serde(default)]
    pub supersedes: BTreeSet<DecisionId>,
    /// When and where.
    #[serde(default)]
    pub captured: Captured,
}

/// What a ruling is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subject", rename_all = "snake_case")]
pub enum Subject {
    /// Which value of an entry stands.
    Entry {
        /// The entry.
        path: EntryPath,
        /// The value.
        choice: RulingChoice,
        /// The candidates that the bureau saw. The ruling stands while all
        /// live candidates are among them.
        saw: BTreeSet<OpId>,
        /// Verdicts that the ruling overrules: a returned entry counts again.
        #[serde(default)]
        verdicts: BTreeSet<DecisionId>,
    },
    /// These items are one thing.
    Merge {
        /// At least two items of one kind.
        items: BTreeSet<ItemKey>,
    },
    /// These items are different things although they look alike.
    Separate {
        /// At least two items of one kind.
        items: BTreeSet<ItemKey>,
    },
    /// Whether an item is there, after a removal that did not see an edit.
    Removal {
        /// The item.
        item: ItemKey,
        /// True where it counts.
        present: bool,
        /// The live ops of the item that the bureau saw, its removals included.
        saw: BTreeSet<OpId>,
    },
}

/// The value that a ruling gives to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "choice", content = "with", rename_all = "snake_case")]
pub enum RulingChoice {
    /// The value of this candidate.
    Select(OpId),
    /// A value that the bureau states itself.
    Set(Value),
}

/// Every verdict of a review document that can be used, superseded or not.
#[must_use]
pub fn verdicts(review: &Automerge) -> BTreeMap<DecisionId, Verdict> {
    let deletes = Deletes::of(DocumentKind::Review, review);
    let review = read::Source::whole(review, &deletes);
    let verdict = |id: &DecisionId| read::decision::verdict(&review, id)?.what;
    ids(&review, DocumentKind::Review).filter_map(|id| Some((id.clone(), verdict(&id)?))).collect()
}

/// Every ruling of a ruling document that can be used, superseded or not.
#[must_use]
pub fn rulings(ruling: &Automerge) -> BTreeMap<DecisionId, Ruling> {
    let deletes = Deletes::of(DocumentKind::Ruling, ruling);
    let ruling = read::Source::whole(ruling, &deletes);
    let read = |id: &DecisionId| read::decision::ruling(&ruling, id)?.what;
    ids(&ruling, DocumentKind::Ruling).filter_map(|id| Some((id.clone(), read(&id)?))).collect()
}

/// The op that put each decision of a review or ruling document: its actor
/// leads to who decided. What was put twice under one id has none.
#[must_use]
pub fn ops(doc: &Automerge, kind: DocumentKind) -> BTreeMap<DecisionId, OpId> {
    let container = match kind {
        DocumentKind::Review => "verdicts",
        DocumentKind::Ruling => "rulings",
        _ => return BTreeMap::new(),
    };
    let Some(map) = genesis::container(kind, container) else { return BTreeMap::new() };
    let deletes = Deletes::of(kind, doc);
    let source = read::Source::whole(doc, &deletes);
    let put = |id: DecisionId| match read::values(&source, &map, id.as_str(), None).as_slice() {
        [(_, op)] => Some((id, read::op_id(op)?)),
        _ => None,
    };
    ids(&source, kind).filter_map(put).collect()
}

fn ids(doc: &read::Source<'_>, kind: DocumentKind) -> impl Iterator<Item = DecisionId> {
    read::units(doc, kind).into_iter().filter_map(|unit| match unit {
        Unit::Decision(id) => Some(id),
        _ => None,
    })
}
