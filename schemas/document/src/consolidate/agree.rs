//! When candidates agree.

use crate::collections::{BTreeMap, BTreeSet};

use super::Settings;
use crate::consolidated::fields;
use crate::schema::CIRCUMSTANCE_FIELDS;
use crate::{Decimal, EntryPath, FieldId, QuantityId, Scalar, Value};

/// How far values are from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// The same, numbers compared numerically.
    Equal,
    /// Different only in numbers, by no more than the round's tolerance.
    Within,
    /// Different.
    Differ,
}

/// Compares the values of an entry's candidates. There is no order in it, so
/// any order of candidates gives the same.
pub(crate) fn agreement<'a>(
    path: &EntryPath,
    values: impl Iterator<Item = &'a Value>,
    settings: &Settings,
) -> Agreement {
    let stated: BTreeSet<BTreeMap<&FieldId, &Scalar>> =
        values.map(|value| statement(is_removal(path), value)).collect();
    if stated.len() < 2 {
        return Agreement::Equal;
    }
    let names: BTreeSet<Vec<&FieldId>> = stated.iter().map(|value| value.keys().copied().collect()).collect();
    let one_shape = names.len() == 1;
    let within = names.iter().flatten().all(|field| {
        let scalars: BTreeSet<&Scalar> =
            stated.iter().filter_map(|value| value.get(field).copied()).collect();
        scalars.len() == 1 || spread_within(&scalars, settings.tolerance_of(path, field))
    });
    if one_shape && within { Agreement::Within } else { Agreement::Differ }
}

/// Whether two values state the same.
pub(crate) fn same(path: &EntryPath, a: &Value, b: &Value) -> bool {
    statement(is_removal(path), a) == statement(is_removal(path), b)
}

/// Whether two values of an item's field state the same.
pub(crate) fn same_in_item(field: &FieldId, a: &Value, b: &Value) -> bool {
    let removal = field.as_str() == fields::REMOVED;
    statement(removal, a) == statement(removal, b)
}

fn is_removal(path: &EntryPath) -> bool {
    matches!(path, EntryPath::Item { field, .. } if field.as_str() == fields::REMOVED)
}

/// The part of a value that is compared: not how it was found, and of a
/// removal only whether the item is there.
fn statement(removal: bool, value: &Value) -> BTreeMap<&FieldId, &Scalar> {
    value
        .iter()
        .filter(|(field, _)| {
            let name = field.as_str();
            !CIRCUMSTANCE_FIELDS.contains(&name) && (!removal || name == "removed")
        })
        .collect()
}

/// Whether all scalars are numbers that lie within `tolerance` of each other.
fn spread_within(scalars: &BTreeSet<&Scalar>, tolerance: Option<Decimal>) -> bool {
    let numbers: Option<Vec<Decimal>> = scalars
        .iter()
        .map(|scalar| match scalar {
            Scalar::Number(number) => Some(*number),
            Scalar::Bool(_) | Scalar::Text(_) => None,
        })
        .collect();
    let Some((numbers, tolerance)) = numbers.zip(tolerance) else { return false };
    let (Some(lowest), Some(highest)) = (numbers.iter().min(), numbers.iter().max()) else { return false };
    highest.to_rational() - lowest.to_rational() <= tolerance.to_rational()
}

impl Settings {
    /// The tolerance for one value field of an entry, in the field's unit.
    ///
    /// It is kept under the name that says what is measured: the quantity's id
    /// for a quantity, the value field's name where it names a measure
    /// (`length_m`), and the entry's name where the field is just `value`
    /// (`pupils`, `count`). Nothing under that name means no tolerance.
    #[must_use]
    pub fn tolerance_of(&self, path: &EntryPath, field: &FieldId) -> Option<Decimal> {
        let name = match path {
            EntryPath::Quantity(key) if field.as_str() == "value" => key.quantity.clone(),
            EntryPath::Item { field: entry, .. } if field.as_str() == "value" => {
                QuantityId::new(entry.as_str()).ok()?
            }
            _ => QuantityId::new(field.as_str()).ok()?,
        };
        self.tolerance.get(&name).copied()
    }
}
