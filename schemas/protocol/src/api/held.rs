//! Changes that wait for a supervisor, and those that were set aside.

use duxue_document::collections::BTreeSet;
use duxue_document::{Claim, DocumentId, DocumentKind, EntryPath, OpId, SchoolId};
use serde::{Deserialize, Serialize};

use super::{ActorBinding, Decision, Role};

/// Changes that are durable but kept outside their document until someone
/// decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldView {
    /// Names the item.
    pub number: u64,
    /// The document that the changes belong to.
    pub document: DocumentId,
    /// Its kind.
    pub kind: DocumentKind,
    /// Its school.
    pub school: Option<SchoolId>,
    /// Who delivered them.
    pub by: ActorBinding,
    /// Why they are held: `right_ended`, `other_actor` where they name an
    /// actor that is bound to another person or device, or `depends` on others
    /// that are.
    pub reason: String,
    /// When they arrived.
    pub received_ms: i64,
    /// Hashes (hex) of the changes.
    pub hashes: Vec<String>,
    /// The decision, if there is one: whether they were admitted.
    pub admitted: Option<bool>,
    /// Who of the round may decide; of these nobody about what they brought or
    /// wrote themselves. Empty once it is decided.
    #[serde(default)]
    pub released_by: Vec<Role>,
}

/// What held changes say, read from a copy of their document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldPreview {
    /// Names the item.
    pub number: u64,
    /// How many statements there are in all.
    pub total: u64,
    /// Changes that do not fit into the document as it is, because what they
    /// depend on is not here: of these only fragments can be read.
    pub loose: u64,
    /// Those from the one asked for on, as many as are answered at once.
    pub statements: Vec<HeldStatement>,
}

/// One thing that a held change says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldStatement {
    /// The hash (hex) of the change.
    pub change: String,
    /// Whose the change's actor is, where it is known.
    pub by: Option<ActorBinding>,
    /// What it says.
    #[serde(flatten)]
    pub words: HeldWords,
}

/// What a held change says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case")]
pub enum HeldWords {
    /// A claim about an entry.
    Claim {
        /// The entry.
        path: EntryPath,
        /// The op that wrote it.
        op: OpId,
        /// What is stated.
        claim: Claim,
    },
    /// A verdict or ruling.
    Decision {
        /// What is decided.
        decision: Decision,
    },
    /// A value of a change that does not fit.
    Fragment {
        /// The key under which it is put.
        field: String,
        /// The value as text.
        value: String,
    },
}

/// A change that is durable but can never be applied. Nobody can admit it: the
/// person who captured it states it again, on a device whose copy is sound.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetAsideView {
    /// The change's hash (hex).
    pub hash: String,
    /// The document that it belongs to.
    pub document: DocumentId,
    /// Its kind.
    pub kind: DocumentKind,
    /// Its school.
    pub school: Option<SchoolId>,
    /// Who delivered it; absent where only the chunk is known.
    pub by: Option<ActorBinding>,
    /// Why: `change.number_used` where its actor has another change with the
    /// same number, as after a store was copied or restored;
    /// `change.author_twice`; `change.depends` on one that was set aside;
    /// `chunk.not_applicable` and `chunk.panic` from Automerge.
    pub reason: String,
    /// When it was set aside.
    pub received_ms: i64,
    /// The journal number of the record that holds it.
    pub journal: u64,
    /// Who may let it in: nobody.
    #[serde(default)]
    pub released_by: Vec<Role>,
    /// What happens in place of that.
    #[serde(default)]
    pub instead: Instead,
}

/// What happens where nobody can let a change in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instead {
    /// The device of whoever wrote it states again, in new changes, what still
    /// holds of it. Another client's author has to see to that.
    #[default]
    StatedAgain,
}

/// A supervisor's decision on held changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldDecision {
    /// Whether the changes go into the document.
    pub admit: bool,
    /// Other items of the same document that the decision is about too: those
    /// that wait for one another can only be let in together.
    #[serde(default)]
    pub with: BTreeSet<u64>,
}

/// What became of a decision on held changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldDecided {
    /// How many changes can never be applied and were set aside: another change
    /// of their actor has their number, or they depend on what was left out.
    /// The device that wrote them states them again.
    pub set_aside: u64,
}
