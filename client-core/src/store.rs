//! Small records of the client's store.

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duxue_document::{Claim, DeviceId, DocumentId, EntryPath, PersonId, RoundId, SchoolId};

use crate::reissue::Gone;

/// The version of the store's layout. A store with a higher one is refused,
/// since an older program could not keep what it does not know.
pub const FORMAT: u32 = 1;

/// What the store says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Layout version.
    pub format: u32,
    /// Where the store was when it was last opened; see [`crate::StoreInfo::stamp`].
    pub stamp: String,
    /// 16 random bytes in hex; new when the store was copied or restored.
    pub incarnation: String,
}

/// The actor under which this device writes a document. Valid only for the
/// same incarnation, person and device: an actor with the same sequence number
/// and another change can never merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRecord {
    /// 16 random bytes in hex.
    pub actor: String,
    /// The store incarnation.
    pub incarnation: String,
    /// The person.
    pub person: PersonId,
    /// The device.
    pub device: Option<DeviceId>,
}

/// What a verified receipt says of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// Heads (hex) that are durable on the server.
    pub heads: BTreeSet<String>,
    /// Heads (hex) that are durable but held for a supervisor.
    pub held: BTreeSet<String>,
    /// Heads (hex) that are durable and that a supervisor left out.
    #[serde(default)]
    pub left_out: BTreeSet<String>,
    /// Heads (hex) that are durable and can never be applied.
    #[serde(default)]
    pub set_aside: BTreeSet<String>,
    /// Server time of the receipt.
    pub at_ms: i64,
}

impl Acked {
    /// Whether the receipt says where a head (hex) is.
    #[must_use]
    pub fn settles(&self, head: &str) -> bool {
        self.heads.contains(head) || self.is_outside(head)
    }

    /// Whether a head (hex) is durable, but not in the server's document.
    #[must_use]
    pub fn is_outside(&self, head: &str) -> bool {
        [&self.held, &self.left_out, &self.set_aside].into_iter().any(|known| known.contains(head))
    }

    /// Whether anything is outside the server's document for good.
    #[must_use]
    pub fn has_gone(&self) -> bool {
        !self.left_out.is_empty() || !self.set_aside.is_empty()
    }

    /// What has gone, as far as this receipt was about it.
    #[must_use]
    pub(crate) fn gone(&self) -> Gone {
        let hashes = |texts: &BTreeSet<String>| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Gone { clash: None, set_aside: hashes(&self.set_aside), left_out: hashes(&self.left_out) }
    }
}

/// What a supervisor left out of this device's work in one document, or what
/// went with that and only its author could state again, who was not logged in.
/// The changes are gone from the document; what they stated stays readable here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Who stated it.
    pub person: PersonId,
    /// The round.
    pub round: RoundId,
    /// The school; absent for the county document.
    pub school: Option<SchoolId>,
    /// Server time of the receipt that said so.
    pub at_ms: i64,
    /// What was stated, in the order in which it was written.
    pub claims: Vec<(EntryPath, Claim)>,
}

/// By document.
pub type AckedTable = BTreeMap<DocumentId, Acked>;
