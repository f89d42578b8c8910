//! What a round knows of a school and of the county.

use duxue_document::collections::{BTreeMap, BTreeSet};
use duxue_document::consolidated::{ConsolidatedCounty, ConsolidatedSchool};
use duxue_document::decision::{Ruling, Verdict};
use duxue_document::history::PastClaim;
use duxue_document::school::School;
use duxue_document::{DecisionId, DocumentId, DocumentKind, EntryPath, SchoolId};
use serde::{Deserialize, Serialize};

use super::{ActorBinding, CandidateView};

/// A school in the desk's list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchoolRow {
    /// The register row.
    pub school: School,
    /// Its documents' ids by kind.
    pub documents: BTreeMap<DocumentKind, DocumentId>,
    /// Sections marked complete, of six.
    pub sections_complete: u32,
    /// Entries with a value.
    pub entries: u32,
    /// Open conflicts.
    pub conflicts: u32,
    /// Findings.
    pub findings: u32,
    /// Photos known from the survey, and how many of them arrived.
    pub photos: u32,
    /// Photos whose originals are here.
    pub photos_here: u32,
}

/// The consolidated survey of a school.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchoolView {
    /// The one reading.
    pub consolidated: ConsolidatedSchool,
    /// Heads (hex) of the documents it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Who each actor (hex) in it is.
    pub actors: BTreeMap<String, ActorBinding>,
    /// Entries in which a live claim took the place of another person's; the
    /// entry's history shows the claim that it replaced.
    #[serde(default)]
    pub replaced: BTreeSet<EntryPath>,
}

/// The county's own figures and answers, and what in them is in conflict. A
/// conflict is settled by writing the entry again, not by a ruling.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CountyView {
    /// The one reading.
    pub consolidated: ConsolidatedCounty,
    /// Its entries whose candidates differ, in the order of their paths.
    pub conflicts: Vec<CountyConflictView>,
    /// Heads (hex) of the document it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Who each actor (hex) in it is.
    pub actors: BTreeMap<String, ActorBinding>,
}

/// An entry of the county document whose candidates differ.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CountyConflictView {
    /// Stays the same while the conflict is open: `entry:quantities/…`.
    pub id: String,
    /// Where.
    pub path: EntryPath,
    /// The candidates in the order of their ops, with who made them. The
    /// effects may be empty.
    pub candidates: Vec<CandidateView>,
    /// Whether some choice changes a met / not met.
    #[serde(default)]
    pub flips: bool,
}

/// Everything that was ever stated about one entry of a survey.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntryHistory {
    /// The entry.
    pub path: EntryPath,
    /// Every claim, in the order of the ops, whether or not it is a candidate
    /// now.
    pub claims: Vec<PastClaim>,
    /// Who each actor (hex) in it is.
    pub actors: BTreeMap<String, ActorBinding>,
}

/// A verdict or ruling, whether or not it still stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionView {
    /// Its id.
    pub id: DecisionId,
    /// The school.
    pub school: SchoolId,
    /// Who decided, where the actor is known.
    pub by: Option<ActorBinding>,
    /// The decisions that took its place.
    pub superseded_by: BTreeSet<DecisionId>,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A supervisor's word on an entry.
    Verdict(Verdict),
    /// A bureau's decision on a conflict.
    Ruling(Ruling),
}
