//! People, their assignments and their devices.

use duxue_document::collections::BTreeSet;
use duxue_document::{DeviceId, PersonId, RoundId, SchoolId};
use serde::{Deserialize, Serialize};

use super::{Login, Role};

/// Adds a person with an account.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewPerson {
    /// The id; made by the server if absent.
    #[serde(default)]
    pub person: Option<PersonId>,
    /// The name as shown.
    pub name: String,
    /// Name and password for the desk; absent for people who only use devices.
    #[serde(default)]
    pub login: Option<Login>,
    /// Whether the person operates the server.
    #[serde(default)]
    pub administrator: bool,
}

/// A person with an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PersonSummary {
    /// The id.
    pub person: PersonId,
    /// The name as shown.
    pub name: String,
}

/// A person as those who manage people see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// The id.
    pub person: PersonId,
    /// The name as shown.
    pub name: String,
    /// The name for logging in at the desk; shown to administrators only.
    pub login: Option<String>,
    /// Whether the person operates the server.
    pub administrator: bool,
    /// What the person does, where that has not ended.
    pub assignments: Vec<AssignmentView>,
    /// The person's devices, if the caller may give the person one.
    pub devices: Vec<DeviceView>,
}

/// What a person does in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentView {
    /// The round.
    pub round: RoundId,
    /// As what.
    pub role: Role,
    /// The schools; empty for roles that see the county.
    pub schools: BTreeSet<SchoolId>,
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The id.
    pub device: DeviceId,
    /// What its owner calls it.
    pub name: String,
    /// When it joined.
    pub enrolled_ms: i64,
    /// When its right to speak was taken, if it was.
    pub revoked_ms: Option<i64>,
}
