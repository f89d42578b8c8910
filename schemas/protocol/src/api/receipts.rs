//! What a device asks before it lets go of anything.

use duxue_document::collections::{BTreeMap, BTreeSet};
use duxue_document::{DocumentId, PhotoHash};
use serde::{Deserialize, Serialize};

use crate::receipt::Receipt;

/// Asks what is durable.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ReceiptRequest {
    /// Hex heads by document.
    #[serde(default)]
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Photos.
    #[serde(default)]
    pub photos: BTreeSet<PhotoHash>,
}

/// A receipt for what is durable, and what is not here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptAnswer {
    /// Signed; states only what is durable.
    pub receipt: Receipt,
    /// Heads that the server does not have.
    pub missing_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Heads that are durable but held for a supervisor, by document.
    pub held_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Heads that a supervisor left out. They are durable, and will not be in the
    /// document unless their actor's owner brings them.
    #[serde(default)]
    pub left_out_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Heads that were set aside because they can never be applied, such as a
    /// second change with one actor and number, or one that depends on what was
    /// left out. They are durable, and sending them again changes nothing: who
    /// wrote them states them again in new changes.
    #[serde(default)]
    pub set_aside_heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Photos that the server does not have.
    pub missing_photos: BTreeSet<PhotoHash>,
}
