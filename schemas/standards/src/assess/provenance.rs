//! What an assessment was made from (DESIGN §2.7).

use duxue_document::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use duxue_document::DocumentId;

use super::county::CountyAssessment;
use super::school::SchoolAssessment;
use crate::standard::{FileHash, Standard};

/// The version of the rules in this crate. It changes with every change that
/// could change a result or its bytes.
pub const ENGINE_VERSION: &str = "3";

/// What the caller made the inputs from. Hashes are SHA-256 in lower-case hex;
/// [`hash`] makes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The round.
    #[serde(default)]
    pub round: String,
    /// Heads (hex) of the documents.
    #[serde(default)]
    pub documents: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Of the declared figures of county and schools.
    #[serde(default)]
    pub declared: String,
    /// Of the school register.
    #[serde(default)]
    pub register: String,
    /// Of the actor bindings.
    #[serde(default)]
    pub actor_bindings: String,
    /// Of the round's settings.
    #[serde(default)]
    pub settings: String,
    /// Whether the figures are synthetic.
    #[serde(default)]
    pub synthetic: bool,
}

/// Everything that an assessment was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// [`ENGINE_VERSION`].
    pub engine: String,
    /// The standard's files, base first.
    pub standard: Vec<FileHash>,
    /// The date that the assessment speaks of.
    pub as_of: String,
    /// What the inputs were made from.
    pub inputs: Provenance,
}

impl MadeFrom {
    pub(super) fn new(standard: &Standard, as_of: &str, provenance: &Provenance) -> Self {
        Self {
            engine: ENGINE_VERSION.to_owned(),
            standard: standard.files.clone(),
            as_of: as_of.to_owned(),
            inputs: provenance.clone(),
        }
    }
}

/// SHA-256 of the JSON form of anything, in lower-case hex.
#[must_use]
pub fn hash(what: &impl Serialize) -> String {
    // Writing to memory fails only for maps whose keys are not text; none is.
    let bytes = serde_json::to_vec(what).unwrap_or_default();
    sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The assessment of a round. Its JSON form is the same bytes for the same
/// inputs and engine version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// What it was made from.
    pub made_from: MadeFrom,
    /// The county.
    pub county: CountyAssessment,
    /// The schools, by id.
    pub schools: Vec<Arc<SchoolAssessment>>,
}

impl Assessment {
    /// The JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        // As in `hash`: every map key is text.
        serde_json::to_string(self).unwrap_or_default()
    }
}
