//! The one reading of survey, verdicts, rulings and declared figures that
//! everything downstream uses (DESIGN §2.4, §4). Plain data.

use crate::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::path::{ItemKey, ItemKind, Section};
use crate::school::{Declared, School};
use crate::{Captured, DecisionId, EntryPath, ItemId, OpId, PhotoHash, Value};

/// One live claim in an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The operation that wrote it; its identity. The actor part leads to
    /// device and person through the round's actor bindings.
    pub op: OpId,
    /// What was stated.
    pub value: Value,
    /// When and where.
    pub captured: Captured,
    /// Photos that support it.
    pub photos: Vec<PhotoHash>,
    /// A remark in the person's words.
    pub note: Option<String>,
}

/// What an entry's candidates come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ValueState {
    /// No candidate.
    Missing,
    /// All candidates are equal; `op` is the lowest.
    Agreed {
        /// The candidate used.
        op: OpId,
        /// Its value.
        value: Value,
    },
    /// Candidates differ within the round's tolerance. The lowest op's value
    /// is used unless the choice changes a result; then it is a conflict.
    WithinTolerance {
        /// The candidate used where the choice does not matter.
        op: OpId,
        /// Its value.
        value: Value,
    },
    /// Candidates differ, or standing decisions contradict each other.
    Conflicting {
        /// The value of a ruling that no longer covers all candidates.
        ruled_before: Option<Value>,
        /// The values of standing rulings that contradict each other and that
        /// nothing supersedes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        contradicting: Vec<Value>,
    },
    /// A standing ruling says which value holds.
    Settled {
        /// The ruling.
        ruling: DecisionId,
        /// The ruled value.
        value: Value,
        /// The candidate selected, if the ruling selected one.
        op: Option<OpId>,
    },
}

/// What supervisors said of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ReviewState {
    /// No verdict on the present candidates; the value counts.
    Unreviewed,
    /// The round requires acceptance and there is none, or the verdicts
    /// differ: counts as missing.
    Awaiting {
        /// Verdicts that hold and differ; empty where there is none.
        verdicts: BTreeSet<DecisionId>,
    },
    /// Accepted as it stands.
    Accepted {
        /// The verdicts that hold, all of which accept.
        verdicts: BTreeSet<DecisionId>,
    },
    /// Sent back; counts as missing unless a later ruling names the verdicts.
    Returned {
        /// The verdicts that hold, all of which return.
        verdicts: BTreeSet<DecisionId>,
        /// Why, in the words of the first of them.
        reason: String,
        /// Whether a standing ruling names each of them, so that the value counts.
        overruled: bool,
    },
    /// Verdicts that differ and that nothing supersedes.
    Disputed {
        /// All of them.
        verdicts: BTreeSet<DecisionId>,
    },
}

/// One entry with both of its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Live claims in the order of their op ids.
    pub candidates: Vec<Candidate>,
    /// What they come to.
    pub value: ValueState,
    /// What supervisors said.
    pub review: ReviewState,
}

impl Entry {
    /// Whether the entry counts as missing in an assessment: no value,
    /// returned and not overruled, or not accepted where the round requires
    /// that.
    #[must_use]
    pub fn counts_as_missing(&self) -> bool {
        matches!(self.value, ValueState::Missing)
            || matches!(
                self.review,
                ReviewState::Returned { overruled: false, .. } | ReviewState::Awaiting { .. }
            )
    }

    /// Every value that the entry may turn out to have, the preferred first,
    /// each once; empty where it counts as missing. Ruled values are among
    /// them even where no ruling stands, since the bureau may rule so again.
    #[must_use]
    pub fn possible_values(&self) -> Vec<&Value> {
        if self.counts_as_missing() {
            return Vec::new();
        }
        let candidates = self.candidates.iter().map(|candidate| &candidate.value);
        let all: Vec<&Value> = match &self.value {
            ValueState::Missing => Vec::new(),
            ValueState::Agreed { value, .. } | ValueState::Settled { value, .. } => vec![value],
            ValueState::WithinTolerance { .. } => candidates.collect(),
            ValueState::Conflicting { ruled_before, contradicting } => {
                candidates.chain(ruled_before).chain(contradicting).collect()
            }
        };
        let mut each = Vec::with_capacity(all.len());
        for value in all {
            if !each.contains(&value) {
                each.push(value);
            }
        }
        each
    }
}

/// One thing in the school: an item, or several that a merge ruling joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The map it is in.
    pub kind: ItemKind,
    /// The items joined into this one, the lowest first; it gives the id.
    pub members: BTreeSet<ItemId>,
    /// The item's entries by field, with the candidates of all members.
    pub fields: BTreeMap<crate::FieldId, Entry>,
    /// Whether and how the item was removed.
    pub removal: Removal,
}

/// Whether an item is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Removal {
    /// It counts.
    Present,
    /// It was removed and does not count.
    Removed,
    /// An edit that the removal did not see: a conflict, open either way.
    EditedAfterRemoval {
        /// The live ops that the removal did not name.
        unseen: BTreeSet<OpId>,
    },
}

/// Items that share a natural key and so may be the same thing, or that some
/// rulings merge and others separate (then without a key).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Duplicate {
    /// The map they are in.
    pub kind: ItemKind,
    /// What they share, for people: `教学楼 / 101 / music`.
    pub key: String,
    /// The items (each the lowest member of its merge group).
    pub items: BTreeSet<ItemId>,
    /// Whether some of them share the key only in a candidate of an identity
    /// that is still in conflict.
    #[serde(default)]
    pub possible: bool,
}

/// Something in a document that does not fit; the rest is used (DESIGN §2.8).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code such as `claim.number`.
    pub code: String,
    /// Where in which document: `survey:rooms/01J/size/length_m`.
    pub path: String,
    /// What is there, shortened, for people.
    pub detail: String,
}

/// The consolidated data of one school in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsolidatedSchool {
    /// The register row.
    pub school: School,
    /// What was reported.
    pub declared: Declared,
    /// Rooms, classes, grounds and equipment, merges applied.
    pub items: BTreeMap<ItemKey, Item>,
    /// Entries that are not fields of items: quantities, answers, sections,
    /// evidence.
    pub entries: BTreeMap<EntryPath, Entry>,
    /// Sections that an inspector marked complete.
    pub complete: BTreeSet<Section>,
    /// Possible duplicates that no ruling has answered.
    pub duplicates: Vec<Duplicate>,
    /// What does not fit.
    pub findings: Vec<Finding>,
}

/// The consolidated data of a county in a round: its own figures and answers,
/// not those of its schools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsolidatedCounty {
    /// What was reported.
    pub declared: Declared,
    /// Quantities and answers. A conflict here is settled by writing again.
    pub entries: BTreeMap<EntryPath, Entry>,
    /// What does not fit.
    pub findings: Vec<Finding>,
}

/// The names of item fields, and of the value fields inside them.
///
/// | item | field | value fields |
/// |---|---|---|
/// | classes | `identity` | `stage` (`primary`, `junior`), `grade`, `number` |
/// | classes | `pupils` | `value` (pupils) |
/// | rooms | `identity` | `building`, `number`, `purpose` ([`crate::school::RoomPurpose`] in snake case), optional `stage` |
/// | rooms | `size` | `length_m` and `width_m`, or `area_m2` (net); `method` |
/// | rooms | `multimedia` | `value` (bool): 网络多媒体教室 |
/// | grounds | `identity` | `kind` (`outdoor`, `rooftop`, `basement`, `leased`), `name` |
/// | grounds | `size` | `length_m` and `width_m`, or `area_m2` |
/// | equipment | `identity` | `code` (catalogue), `room`, `name` |
/// | equipment | `count` | `value` (pieces) |
/// | equipment | `unit_value` | `value_yuan` (账面原值 of one piece) |
/// | any | `removed` | `removed` (bool), `reason`, `saw` (op ids joined by spaces) |
///
/// Entries outside items have the value field `value` (number for quantities,
/// bool for answers, `complete` bool for sections).
pub mod fields {
    /// Who or what an item is.
    pub const IDENTITY: &str = "identity";
    /// Length and width, or area.
    pub const SIZE: &str = "size";
    /// Pupils in a class.
    pub const PUPILS: &str = "pupils";
    /// Networked multimedia.
    pub const MULTIMEDIA: &str = "multimedia";
    /// Pieces of equipment.
    pub const COUNT: &str = "count";
    /// Book value of a piece of equipment.
    pub const UNIT_VALUE: &str = "unit_value";
    /// Removal with its reason.
    pub const REMOVED: &str = "removed";
}
