//! Claims: what one person stated about an entry at one moment.

use crate::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Decimal, FieldId, PhotoHash};

/// One field of a claim's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Bool(bool),
    /// A number; the field's name says the unit. Compared numerically.
    Number(Decimal),
    /// Text in Unicode.
    Text(String),
}

/// What was stated, by field: a room's size holds `length_m`, `width_m` and
/// `method` together. A single value has the field `value`.
pub type Value = BTreeMap<FieldId, Scalar>;

/// Where a claim was made, as the device saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees north, WGS 84.
    pub latitude: Decimal,
    /// Degrees east, WGS 84.
    pub longitude: Decimal,
    /// Radius of uncertainty in metres.
    pub accuracy_m: Decimal,
}

/// The circumstances of a claim. None of it is trusted for order: a device's
/// clock may be wrong, so what is known about it is recorded beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Device clock, milliseconds since 1970 UTC.
    pub device_time_ms: i64,
    /// Server clock minus device clock at the last contact, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Random name of the device's boot or session; `counter` restarts with it.
    pub boot_id: String,
    /// Increases with each claim of a boot.
    pub counter: u64,
    /// Where, if the device knew.
    pub place: Option<Place>,
}

/// What one person stated about an entry at one moment; put whole in one
/// change and never edited in place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What was stated.
    pub value: Value,
    /// When and where.
    pub captured: Captured,
    /// Photos that support it.
    pub photos: Vec<PhotoHash>,
    /// A remark in the person's words.
    pub note: Option<String>,
}
