//! What is stored of people, devices, sessions and codes.

use std::collections::BTreeSet;

use duxue_document::{DeviceId, PersonId, RoundId, SchoolId};
use serde::{Deserialize, Serialize};

use crate::rows::Table;

/// People by id.
pub const PEOPLE: Table<Person> = Table::new("people");
/// Devices by id.
pub const DEVICES: Table<Device> = Table::new("devices");
/// Sessions by SHA-256 of the token.
pub const SESSIONS: Table<SessionRow> = Table::new("sessions");
/// Enrolment codes by SHA-256 of the code.
pub const CODES: Table<Code> = Table::new("codes");

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The id.
    pub id: PersonId,
    /// The name as shown.
    pub name: String,
    /// The name for logging in, if the person has a password.
    pub login: Option<String>,
    /// The password's PHC string.
    pub password: Option<String>,
    /// Whether the person operates the server.
    pub administrator: bool,
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The id.
    pub id: DeviceId,
    /// Whose it is.
    pub person: PersonId,
    /// What the owner calls it.
    pub name: String,
    /// Ed25519, lower-case hex.
    pub public_key: String,
    /// Server clock.
    pub enrolled_ms: i64,
    /// When its right to speak was taken, server clock.
    #[serde(default)]
    pub revoked_ms: Option<i64>,
}

/// A session; the token itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Whose.
    pub person: PersonId,
    /// The device, if it is enrolled.
    pub device: Option<DeviceId>,
    /// Server clock.
    pub expires_ms: i64,
}

/// A one-time code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// For whom.
    pub person: PersonId,
    /// For which round.
    pub round: RoundId,
    /// For which schools.
    pub schools: BTreeSet<SchoolId>,
    /// Who made it.
    #[serde(default)]
    pub by: Option<PersonId>,
    /// The turns of the person's assignments when it was made.
    #[serde(default)]
    pub turns: u64,
    /// Server clock.
    pub expires_ms: i64,
}
