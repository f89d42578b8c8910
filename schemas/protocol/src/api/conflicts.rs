//! Conflicts, and what each candidate would do to the assessment.

use duxue_document::collections::{BTreeMap, BTreeSet};
use duxue_document::consolidated::ReviewState;
use duxue_document::{DecisionId, EntryPath, OpId, SchoolId, Value};
use serde::{Deserialize, Serialize};

use super::ActorBinding;

/// An open conflict with what each way to settle it would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConflictView {
    /// Stays the same while the conflict is open.
    #[serde(default)]
    pub id: String,
    /// The school.
    pub school: SchoolId,
    /// The school's name.
    pub school_name: String,
    /// What is in conflict.
    pub subject: ConflictSubject,
    /// The candidates with who made them.
    pub candidates: Vec<CandidateView>,
    /// Whether some choice changes a met / not met.
    pub flips: bool,
    /// Whether no choice changes any result, whatever else is open.
    #[serde(default)]
    pub folded: bool,
    /// Pupils in the stages that it may affect.
    pub pupils: u32,
    /// What supervisors said of the entry, if it is about one.
    #[serde(default)]
    pub review: Option<ReviewState>,
    /// Verdicts that hold for the entry's present candidates and that nothing
    /// supersedes; a ruling names them.
    #[serde(default)]
    pub verdicts: BTreeSet<DecisionId>,
    /// Rulings about the subject that nothing supersedes; the next ruling
    /// supersedes them, or it would contradict them.
    #[serde(default)]
    pub rulings: BTreeSet<DecisionId>,
}

/// What is in conflict.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ConflictSubject {
    /// Candidates that differ.
    Entry {
        /// Where.
        path: EntryPath,
    },
    /// Two items that may be the same thing.
    Duplicate {
        /// The items.
        duplicate: duxue_document::consolidated::Duplicate,
    },
    /// An edit of a removed item.
    Removal {
        /// The item.
        item: duxue_document::path::ItemKey,
    },
}

/// One way to settle a conflict.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CandidateView {
    /// The candidate's op.
    pub op: Option<OpId>,
    /// The choice in a word where there is no op: `merge`, `separate`,
    /// `removed`, `present`, `ruled_before`.
    pub choice: Option<String>,
    /// The value of `ruled_before`.
    #[serde(default)]
    pub value: Option<Value>,
    /// The candidate itself.
    pub candidate: Option<duxue_document::consolidated::Candidate>,
    /// Who made it.
    pub by: Option<ActorBinding>,
    /// What the assessment would be with this candidate fixed and all else
    /// open: indicator (`L4/primary`) to result in words, only where it
    /// differs between candidates.
    pub effects: BTreeMap<String, String>,
}
