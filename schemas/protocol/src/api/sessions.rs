//! Who is there: logging in, enrolling devices, and their sessions.

use duxue_document::collections::{BTreeMap, BTreeSet};
use duxue_document::{DeviceId, PersonId, RoundId, SchoolId};
use serde::{Deserialize, Serialize};

/// What a person may do in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 督学: captures surveys of assigned schools.
    Inspector,
    /// 督导负责人: reviews.
    Supervisor,
    /// 教体局: rules on conflicts, county figures.
    Bureau,
    /// Operates accounts, rounds and imports; writes no document.
    Administrator,
}

/// Name and password of a desk user.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// Account name.
    pub name: String,
    /// Password.
    pub password: String,
}

/// What a log-in or enrolment gives.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// Opaque; shown once.
    pub token: String,
    /// Who is logged in.
    pub person: PersonId,
    /// The device, if the session belongs to one.
    pub device: Option<DeviceId>,
    /// When the token stops working.
    pub expires_ms: i64,
    /// The server's receipt key, lower-case hex.
    pub server_key: String,
    /// The server's clock now, for the clock offset.
    pub server_time_ms: i64,
}

/// Asks for a one-time code with which a device joins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewEnrolment {
    /// The inspector's name as shown.
    pub person_name: String,
    /// The inspector's id; made from the name's account if absent.
    pub person: Option<PersonId>,
    /// Rounds and schools that the person is assigned to.
    pub round: RoundId,
    /// The schools.
    pub schools: BTreeSet<SchoolId>,
}

/// The one-time code.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrolment {
    /// 128 random bits as text; works once.
    pub code: String,
    /// Who it is for.
    pub person: PersonId,
    /// When it stops working.
    pub expires_ms: i64,
}

/// A device joins.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrol {
    /// The one-time code.
    pub code: String,
    /// The device's Ed25519 public key, lower-case hex.
    pub public_key: String,
    /// What the owner calls the device.
    pub device_name: String,
}

/// Who is logged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Me {
    /// The person.
    pub person: PersonId,
    /// The name as shown.
    pub name: String,
    /// The device, if the session belongs to one.
    pub device: Option<DeviceId>,
    /// Roles by round.
    pub roles: BTreeMap<RoundId, BTreeSet<Role>>,
}

/// Asks for random bytes to sign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewChallenge {
    /// The device that will sign.
    pub device: DeviceId,
}

/// Random bytes to sign within a minute, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// Lower-case hex.
    pub challenge: String,
}

/// An enrolled device opens its next session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceSession {
    /// The device.
    pub device: DeviceId,
    /// The challenge that it was given.
    pub challenge: String,
    /// Ed25519 over the text `duxue-device-1 <device> <challenge>`,
    /// lower-case hex.
    pub signature: String,
}
