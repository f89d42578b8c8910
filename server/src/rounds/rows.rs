//! What is stored of rounds.

use std::collections::BTreeSet;

use duxue_document::school::{Declared, School};
use duxue_document::{JurisdictionCode, PersonId, RoundId, SchoolId};
use duxue_protocol::api::{Role, RoundSettings};
use serde::{Deserialize, Serialize};

use crate::rows::{Table, key};

/// Rounds by id.
pub const ROUNDS: Table<RoundRow> = Table::new("rounds");
/// Register rows by round and school.
pub const SCHOOLS: Table<School> = Table::new("schools");
/// Declared figures by round and school.
pub const DECLARED: Table<Declared> = Table::new("declared");
/// The county's declared figures by round.
pub const COUNTY_DECLARED: Table<Declared> = Table::new("county_declared");
/// Assignments by round, person and role.
pub const ASSIGNMENTS: Table<AssignmentRow> = Table::new("assignments");

/// A round without its schools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundRow {
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
}

/// What a person does in a round in one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentRow {
    /// The round.
    pub round: RoundId,
    /// The person.
    pub person: PersonId,
    /// The role.
    pub role: Role,
    /// Whether the role stands; a role that ended keeps its row, because
    /// changes made under it may still arrive.
    pub stands: bool,
    /// The schools now; empty for roles that see the county.
    pub schools: BTreeSet<SchoolId>,
    /// Every school that the person was ever assigned to in this role.
    pub ever: BTreeSet<SchoolId>,
    /// How often the role ended, lost a school, or began at the desk. An
    /// enrolment code that was made before does not enrol any more.
    #[serde(default)]
    pub turns: u64,
}

impl AssignmentRow {
    /// The row's key.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        key(&[self.round.as_str(), self.person.as_str(), role_name(self.role)])
    }
}

/// The role's name in keys and the API.
#[must_use]
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Inspector => "inspector",
        Role::Supervisor => "supervisor",
        Role::Bureau => "bureau",
        Role::Administrator => "administrator",
    }
}
