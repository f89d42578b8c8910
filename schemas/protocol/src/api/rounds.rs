//! Rounds, who works where in them, and what a device takes along.

use duxue_document::collections::{BTreeMap, BTreeSet};
use duxue_document::school::{Declared, School};
use duxue_document::{Decimal, DeviceId, JurisdictionCode, PersonId, QuantityId, RoundId, SchoolId};
use serde::{Deserialize, Serialize};

use super::Role;

/// Opens a round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewRound {
    /// Its id.
    pub id: RoundId,
    /// Its name.
    pub name: String,
    /// The county.
    pub jurisdiction: JurisdictionCode,
    /// Standard id with version, such as `cn-youzhi-2017`.
    pub standard: String,
    /// Overlay standards in order.
    #[serde(default)]
    pub overlays: Vec<String>,
    /// Settings.
    #[serde(default)]
    pub settings: RoundSettings,
}

/// Settings of a round that change results; named in every assessment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundSettings {
    /// The date that the assessment speaks of, `YYYY-MM-DD`; decides which
    /// dated reliefs apply.
    pub as_of: String,
    /// Largest difference between two measurements of a quantity or field
    /// that still counts as agreement, by name (`length_m`).
    #[serde(default)]
    pub tolerance: BTreeMap<QuantityId, Decimal>,
    /// Whether entries count only once a supervisor accepted them.
    #[serde(default)]
    pub require_acceptance: bool,
    /// Whether the county's figures are synthetic, shown on every result.
    #[serde(default)]
    pub synthetic: bool,
    /// Whether devices send photos as the camera made them. Otherwise they may
    /// limit the long side first, and keep time, place and camera.
    #[serde(default, skip_serializing_if = "is_false")]
    pub keep_originals: bool,
}

/// What every round says that does not ask for it; its results stay the same
/// bytes.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for RoundSettings {
    fn default() -> Self {
        Self {
            as_of: "2026-09-01".to_owned(),
            tolerance: BTreeMap::new(),
            require_acceptance: false,
            synthetic: false,
            keep_originals: false,
        }
    }
}

/// A round in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoundSummary {
    /// Its id.
    pub id: RoundId,
    /// Its name.
    pub name: String,
    /// The county.
    pub jurisdiction: JurisdictionCode,
    /// Standard id with version.
    pub standard: String,
    /// Overlay standards in order.
    pub overlays: Vec<String>,
    /// Settings.
    pub settings: RoundSettings,
    /// Number of schools.
    pub schools: u32,
}

/// Assigns schools to a person in a role; replaces the earlier assignment of
/// that person and role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assignment {
    /// Who.
    pub person: PersonId,
    /// As what.
    pub role: Role,
    /// Which schools; empty ends the assignment. Ignored for desk roles,
    /// which see the whole county.
    pub schools: BTreeSet<SchoolId>,
    /// Ends the assignment; the only way to end a desk role.
    #[serde(default)]
    pub ended: bool,
}

/// Everything a device needs to work offline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkPacket {
    /// The round.
    pub round: RoundSummary,
    /// The person's roles in it.
    pub roles: BTreeSet<Role>,
    /// The schools that the person may see.
    pub schools: Vec<PacketSchool>,
    /// What the county reported, for desk roles only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub county: Option<Declared>,
    /// Standard files in order, base first, as TOML text.
    pub standards: Vec<String>,
    /// Who each known actor (hex) is.
    pub actors: BTreeMap<String, ActorBinding>,
    /// The server's clock.
    pub server_time_ms: i64,
    /// Journal number that the packet reflects.
    pub journal: u64,
}

/// A school in a work packet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PacketSchool {
    /// The register row.
    pub school: School,
    /// What was reported.
    pub declared: Declared,
    /// Whether the person may write its survey.
    pub assigned: bool,
}

/// Whose changes an actor's changes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorBinding {
    /// The person.
    pub person: PersonId,
    /// The person's name as shown.
    pub person_name: String,
    /// The device, if it came from an enrolled one.
    pub device: Option<DeviceId>,
    /// What its owner calls the device, where the reader works at the round's desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

/// How many changes of a round are outside their documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Held, and nobody decided yet.
    pub held: u64,
    /// Set aside for good.
    pub set_aside: u64,
}
