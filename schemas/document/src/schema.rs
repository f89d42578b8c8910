//! Which entries and value fields there are, and what each holds. The table
//! is in [`crate::consolidated::fields`].

use crate::consolidated::fields;
use crate::path::{ItemKey, ItemKind};
use crate::{EntryPath, FieldId, Scalar, Value};

/// What a value field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// A decimal number in the unit that the name says.
    Number,
    /// Yes or no.
    Bool,
    /// Text.
    Text,
    /// A field that is not in the table; read as it is found.
    Unknown,
}

/// Fields of a claim that are not part of its value.
pub const CLAIM_FIELDS: [&str; 3] = ["captured", "photos", "note"];

/// Value fields that say how a value was found and not what it is. Candidates
/// that differ only in these agree.
pub(crate) const CIRCUMSTANCE_FIELDS: [&str; 1] = ["method"];

/// What the value field `field` of the entry at `path` holds.
///
/// In a field whose name ends with a unit (`_m`, `_m2`, `_yuan`) it is always
/// a number.
#[must_use]
pub fn field_type(path: &EntryPath, field: &str) -> FieldType {
    use FieldType::{Bool, Number, Text, Unknown};
    if ["_m", "_m2", "_yuan"].iter().any(|unit| field.ends_with(unit)) {
        return Number;
    }
    match path {
        EntryPath::Item { kind, field: entry, .. } => match (*kind, entry.as_str(), field) {
            (_, fields::REMOVED, "removed") | (ItemKind::Rooms, fields::MULTIMEDIA, "value") => Bool,
            (ItemKind::Classes, fields::IDENTITY, "grade")
            | (ItemKind::Classes, fields::PUPILS, "value")
            | (ItemKind::Equipment, fields::COUNT, "value") => Number,
            (_, fields::REMOVED, "reason" | "saw")
            | (ItemKind::Classes, fields::IDENTITY, "stage" | "number")
            | (ItemKind::Rooms, fields::IDENTITY, "building" | "number" | "purpose" | "stage")
            | (ItemKind::Grounds, fields::IDENTITY, "kind" | "name")
            | (ItemKind::Equipment, fields::IDENTITY, "code" | "room" | "name")
            | (ItemKind::Rooms | ItemKind::Grounds, fields::SIZE, "method") => Text,
            _ => Unknown,
        },
        EntryPath::Quantity(_) if field == "value" => Number,
        EntryPath::Answer(_) if field == "value" => Bool,
        EntryPath::Section(_) if field == "complete" => Bool,
        EntryPath::Quantity(_) | EntryPath::Answer(_) | EntryPath::Section(_) | EntryPath::Evidence(_) => {
            Unknown
        }
    }
}

/// Whether items of this kind have an entry of this name.
pub(crate) fn knows_entry(kind: ItemKind, entry: &str) -> bool {
    match entry {
        fields::IDENTITY | fields::REMOVED => true,
        fields::SIZE => matches!(kind, ItemKind::Rooms | ItemKind::Grounds),
        fields::MULTIMEDIA => kind == ItemKind::Rooms,
        fields::PUPILS => kind == ItemKind::Classes,
        fields::COUNT | fields::UNIT_VALUE => kind == ItemKind::Equipment,
        _ => false,
    }
}

/// The top-level map that an entry is in, and its key there (an item's key for
/// fields of items).
pub(crate) fn container_of(path: &EntryPath) -> (&'static str, String) {
    match path {
        EntryPath::Item { kind, item, .. } => (kind.as_str(), item.to_string()),
        EntryPath::Quantity(key) => ("quantities", key.to_string()),
        EntryPath::Answer(question) => ("answers", question.to_string()),
        EntryPath::Section(section) => ("sections", section.as_str().to_owned()),
        EntryPath::Evidence(photo) => ("evidence", photo.to_string()),
    }
}

/// The path of an item's entry; `None` where the name is not a field's name.
pub(crate) fn item_path(item: &ItemKey, field: &str) -> Option<EntryPath> {
    let field = FieldId::new(field).ok()?;
    Some(EntryPath::Item { kind: item.kind, item: item.item.clone(), field })
}

/// A value from literal field names; names that are no field names are left out.
pub(crate) fn value<const N: usize>(fields: [(&str, Scalar); N]) -> Value {
    fields.into_iter().filter_map(|(name, scalar)| Some((FieldId::new(name).ok()?, scalar))).collect()
}
