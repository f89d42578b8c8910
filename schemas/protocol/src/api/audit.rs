//! What happened, as it happens and afterwards.

use duxue_document::collections::BTreeMap;
use duxue_document::{DocumentKind, RoundId, SchoolId};
use serde::{Deserialize, Serialize};

use super::ActorBinding;

/// Something that happened in a round: the data of a server-sent event whose
/// name is `change` and whose id is the journal number. Delivered at least
/// once; a `reset` means that the reader was away too long and has to read
/// everything again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FeedChange {
    /// Journal number.
    pub journal: u64,
    /// `document`, `held`, `register` or `reset`.
    pub what: String,
    /// The school, if it is about one.
    pub school: Option<SchoolId>,
    /// The kind of the document, if it is about one.
    pub kind: Option<DocumentKind>,
}

/// One thing that was done, from the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    /// Journal number.
    pub journal: u64,
    /// When, by the server's clock.
    pub at_ms: i64,
    /// Stable code: `login`, `login.refused`, `logout`, `person.added`,
    /// `enrolment.code`, `enrolment.refused`, `enrolled`, `device.session`,
    /// `device.revoked`, `assigned`, `round.opened`, `round.imported`, `receipt`,
    /// `photo.hash_mismatch`, `survey.written`, `review.written` (verdicts),
    /// `ruling.written`, `county.written`, `plan.written`, `held`,
    /// `held.admitted`, `held.left`, `set_aside`.
    pub kind: String,
    /// Who did it; absent for strangers and for commands on the server's
    /// machine, which `detail` names by `via`.
    pub by: Option<ActorBinding>,
    /// The round, if it is about one.
    pub round: Option<RoundId>,
    /// The school, if it is about one.
    pub school: Option<SchoolId>,
    /// What it was done to: ids and figures, nothing secret.
    pub detail: BTreeMap<String, serde_json::Value>,
}

/// A part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// In the order of the journal.
    pub rows: Vec<AuditView>,
    /// The last journal number that was looked at; ask after it for the rest.
    pub through: u64,
    /// Whether there is more to look at now.
    pub more: bool,
}
