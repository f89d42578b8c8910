//! What is stored about documents beside their chunks.

use duxue_document::{DeviceId, DocumentId, PersonId};
use serde::{Deserialize, Serialize};

use crate::rows::Table;
use crate::store::Delivery;

/// Whose an actor's changes are, by document and actor.
pub const ACTORS: Table<ActorRow> = Table::new("actors");
/// Changes kept outside a document, by document and number.
pub const HELD: Table<HeldRow> = Table::new("held");
/// Changes that Automerge could not apply, by document and hash.
pub const SET_ASIDE: Table<SetAsideRow> = Table::new("set_aside");

/// The person and device that first delivered an actor's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorRow {
    /// The actor, lower-case hex.
    pub actor: String,
    /// The person.
    pub person: PersonId,
    /// The device, if it is enrolled.
    pub device: Option<DeviceId>,
}

impl ActorRow {
    /// Whether the delivery is by the person and device that the actor is
    /// bound to.
    #[must_use]
    pub fn is(&self, delivery: &Delivery) -> bool {
        self.person == delivery.person && self.device == delivery.device
    }
}

/// Why changes are held.
pub mod reason {
    /// The right to write had ended when they arrived.
    pub const RIGHT_ENDED: &str = "right_ended";
    /// They name an actor that is bound to another person or device.
    pub const OTHER_ACTOR: &str = "other_actor";
    /// They depend on changes that are held.
    pub const DEPENDS: &str = "depends";
}

/// What was decided about held changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether they were let into the document.
    pub admitted: bool,
    /// Who decided; absent where they followed what they depend on.
    pub by: Option<PersonId>,
    /// Server clock.
    pub at_ms: i64,
}

/// Changes kept outside their document until someone decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Names them in the interface.
    pub number: u64,
    /// Where they belong.
    pub document: DocumentId,
    /// Who delivered them.
    pub person: PersonId,
    /// With which device.
    pub device: Option<DeviceId>,
    /// A code of [`reason`].
    pub reason: String,
    /// Server clock.
    pub received_ms: i64,
    /// Change hashes, lower-case hex.
    pub hashes: Vec<String>,
    /// The chunks in base64.
    pub chunks: String,
    /// What was decided, if anything.
    pub decision: Option<Decision>,
}

/// A change that Automerge could not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAsideRow {
    /// The change's hash, lower-case hex.
    pub hash: String,
    /// The record that holds it.
    pub journal: u64,
    /// Stable code.
    pub reason: String,
}

/// The key of a row about a document.
#[must_use]
pub fn document_key(document: &DocumentId, rest: &[u8]) -> Vec<u8> {
    [document.0.as_slice(), rest].concat()
}
