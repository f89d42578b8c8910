//! What is stored about documents beside their chunks.

use std::collections::BTreeMap;

use duxue_document::{DeviceId, DocumentId, PersonId, RoundId};
use serde::{Deserialize, Serialize};

use crate::rounds::DocumentName;
use crate::rows::Table;
use crate::store::Delivery;

use super::quota::Amount;

/// Whose an actor's changes are, by document and actor.
pub const ACTORS: Table<ActorRow> = Table::new("actors");
/// Changes kept outside a document, by round, document and number; see
/// [`held_key`]. Their chunks stand in the journal only.
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
    /// Hashes of the changes that are still held, lower-case hex. Those that
    /// their actor's owner has brought since are gone.
    pub hashes: Vec<String>,
    /// The actors, lower-case hex, of changes that someone else than their
    /// owner brought, by hash. Rows of earlier versions do not say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actors: BTreeMap<String, String>,
    /// Hashes of held changes outside this item that its changes depend on.
    pub waits_for: Vec<String>,
    /// Bytes of the chunks in the journal record.
    pub bytes: u64,
    /// What was decided, if anything.
    pub decision: Option<Decision>,
}

/// Why changes are set aside, where Automerge need not be asked.
pub mod aside {
    /// Their actor has another change with the same number.
    pub const NUMBER_USED: &str = "change.number_used";
    /// Their actor has named its author before.
    pub const AUTHOR_TWICE: &str = "change.author_twice";
    /// They depend on changes that were set aside.
    pub const DEPENDS: &str = "change.depends";
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
    /// Who delivered it, if the record says.
    pub delivery: Option<Delivery>,
    /// When it was set aside, by the server's clock.
    pub at_ms: i64,
}

impl HeldRow {
    /// What it takes of a quota.
    #[must_use]
    pub fn amount(&self) -> Amount {
        Amount { changes: self.hashes.len() as u64, bytes: self.bytes }
    }
}

/// What the keys of a round's held changes begin with.
#[must_use]
pub fn held_of_round(round: &RoundId) -> Vec<u8> {
    [round.as_str().as_bytes(), &[0]].concat()
}

/// What the keys of a document's held changes begin with.
#[must_use]
pub fn held_of(name: &DocumentName) -> Vec<u8> {
    [held_of_round(&name.round), name.id().0.to_vec()].concat()
}

/// The key of held changes.
#[must_use]
pub fn held_key(name: &DocumentName, number: u64) -> Vec<u8> {
    [held_of(name), number.to_be_bytes().to_vec()].concat()
}

/// The key of a row about a document.
#[must_use]
pub fn document_key(document: &DocumentId, rest: &[u8]) -> Vec<u8> {
    [document.0.as_slice(), rest].concat()
}
