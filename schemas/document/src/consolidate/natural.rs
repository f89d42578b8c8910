//! Natural keys: what makes two items look like the same thing.

use crate::collections::{BTreeMap, BTreeSet};

use crate::consolidated::{Duplicate, Item, Removal, ValueState, fields};
use crate::path::{ItemKey, ItemKind};
use crate::{Scalar, Value};

/// The natural keys of an item. There are several where its identity is still
/// in conflict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) keys: BTreeSet<String>,
    /// Whether the identity is certain.
    pub(crate) certain: bool,
}

/// The natural keys of an item; none for an item that was removed or whose
/// identity does not count or is incomplete.
pub(crate) fn keys(item: &Item) -> Keys {
    let identity = item.fields.iter().find(|(field, _)| field.as_str() == fields::IDENTITY).map(|(_, e)| e);
    let Some(identity) = identity.filter(|_| item.removal != Removal::Removed) else {
        return Keys::default();
    };
    let keys: BTreeSet<String> =
        identity.possible_values().into_iter().filter_map(|value| natural_key(item.kind, value)).collect();
    let certain = matches!(identity.value, ValueState::Agreed { .. } | ValueState::Settled { .. });
    Keys { keys, certain }
}

/// The natural key of an identity, for people too: `教学楼 / 101 / music`.
///
/// Class: stage, grade, number. Room: building (may be blank in a school of
/// one building), number, purpose. Ground: kind, name. Equipment: catalogue
/// code, room (may be blank). Upper and lower case, full-width forms and
/// surrounding space make no difference.
pub(crate) fn natural_key(kind: ItemKind, identity: &Value) -> Option<String> {
    let (needed, optional): (&[&str], &[&str]) = match kind {
        ItemKind::Classes => (&["stage", "grade", "number"], &[]),
        ItemKind::Rooms => (&["building", "number", "purpose"], &["building"]),
        ItemKind::Grounds => (&["kind", "name"], &[]),
        ItemKind::Equipment => (&["code", "room"], &["room"]),
    };
    let parts: Option<Vec<String>> = needed
        .iter()
        .map(|name| {
            let part = part(identity, name);
            (!part.is_empty() || optional.contains(name)).then_some(part)
        })
        .collect();
    Some(parts?.join(" / "))
}

fn part(identity: &Value, name: &str) -> String {
    let scalar = identity.iter().find(|(field, _)| field.as_str() == name).map(|(_, scalar)| scalar);
    match scalar {
        Some(Scalar::Text(text)) => normalised(text),
        Some(Scalar::Number(number)) => number.to_string(),
        Some(Scalar::Bool(_)) | None => String::new(),
    }
}

/// Full-width forms to ASCII, lower case, single spaces between words.
fn normalised(text: &str) -> String {
    let half: String = text
        .chars()
        .map(|c| match c {
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
            '\u{3000}' => ' ',
            _ => c,
        })
        .flat_map(char::to_lowercase)
        .collect();
    half.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Items by natural key.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_key: BTreeMap<(ItemKind, String), BTreeMap<ItemKey, bool>>,
    by_item: BTreeMap<ItemKey, Keys>,
}

impl Index {
    /// Puts the keys of an item in place of those it had. Gives the keys whose
    /// items changed.
    pub(super) fn set(&mut self, item: &ItemKey, keys: Keys) -> BTreeSet<(ItemKind, String)> {
        let before = self.by_item.remove(item).unwrap_or_default();
        if before == keys {
            if !keys.keys.is_empty() {
                self.by_item.insert(item.clone(), keys);
            }
            return BTreeSet::new();
        }
        let mut touched = BTreeSet::new();
        for key in before.keys {
            let key = (item.kind, key);
            if let Some(items) = self.by_key.get_mut(&key) {
                items.remove(item);
                if items.is_empty() {
                    self.by_key.remove(&key);
                }
            }
            touched.insert(key);
        }
        for key in &keys.keys {
            let key = (item.kind, key.clone());
            self.by_key.entry(key.clone()).or_default().insert(item.clone(), keys.certain);
            touched.insert(key);
        }
        if !keys.keys.is_empty() {
            self.by_item.insert(item.clone(), keys);
        }
        touched
    }

    /// The duplicate that a key shows: the items that share it, but for those
    /// that `apart` says differ from all the others.
    pub(super) fn duplicate(
        &self,
        (kind, key): &(ItemKind, String),
        apart: impl Fn(&ItemKey) -> BTreeSet<ItemKey>,
    ) -> Option<Duplicate> {
        let sharing = self.by_key.get(&(*kind, key.clone()))?;
        let open: BTreeMap<&ItemKey, bool> = sharing
            .iter()
            .filter(|(item, _)| {
                let apart = apart(item);
                sharing.len() > 1 + apart.iter().filter(|other| sharing.contains_key(*other)).count()
            })
            .map(|(item, certain)| (item, *certain))
            .collect();
        (open.len() > 1).then(|| Duplicate {
            kind: *kind,
            key: key.clone(),
            items: open.keys().map(|item| item.item.clone()).collect(),
            possible: open.values().any(|certain| !certain),
        })
    }
}
