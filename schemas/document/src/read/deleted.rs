//! What foreign clients have deleted. Nothing of ours deletes.

use crate::collections::BTreeSet;

use automerge::ObjId;

use super::raw::{Raw, Source, fields, shorten, values};
use super::{Findings, claim};
use crate::changed::{Delete, Unit};
use crate::consolidated::Finding;
use crate::schema;
use crate::{DocumentKind, EntryPath, Scalar, Value};

/// More deletions than this in one part of a document are counted, not shown.
const MAX_SHOWN: usize = 64;

/// The deletions in one part of a document, each with the values that were
/// there, read back from history.
pub(crate) fn deleted(doc: &Source<'_>, kind: DocumentKind, unit: &Unit) -> BTreeSet<Finding> {
    let mut findings = Findings::of(kind);
    let Some(deletes) = doc.deletes.by_unit.get(unit) else { return findings.into_set() };
    for delete in deletes.values().take(MAX_SHOWN) {
        let path = shortened(&delete.keys);
        let code = code(unit, delete);
        for value in gone(doc, unit, delete) {
            findings.add(code, &path, value);
        }
    }
    if deletes.len() > MAX_SHOWN {
        let path = deletes.values().next().map(|delete| shortened(&delete.keys)).unwrap_or_default();
        findings.add("document.deleted_more", path, format!("{} deletions", deletes.len()));
    }
    findings.into_set()
}

fn code(unit: &Unit, delete: &Delete) -> &'static str {
    match (unit, &delete.inside) {
        (Unit::Top | Unit::Foreign { .. }, _) => "document.deleted",
        (Unit::Decision(_), _) => "decision.deleted",
        (_, Some(_)) => "claim.deleted",
        (Unit::Item(_), None) if delete.keys.len() == 2 => "item.deleted",
        _ => "entry.deleted",
    }
}

fn shortened(keys: &[String]) -> String {
    keys.iter().map(|key| shorten(key)).collect::<Vec<_>>().join("/")
}

/// The values that a deletion hides, in words.
fn gone(doc: &Source<'_>, unit: &Unit, delete: &Delete) -> Vec<String> {
    let Some(key) = &delete.key else { return vec!["an element of a list or text".to_owned()] };
    let mut gone = Vec::new();
    for op in &delete.gone {
        let Some(hash) = doc.hash_for_opid(op) else { continue };
        let then = values(doc, &delete.object, key, Some(&[hash]));
        let Some((raw, map)) = then.into_iter().find(|(_, other)| other == op) else { continue };
        match (&raw, entry_path(unit, delete)) {
            (Raw::Map(_), Some(path)) if delete.inside.is_none() => {
                gone.push(words(&claim::read_past_claim(doc, &path, &map, hash).value));
            }
            (Raw::Map(item), None) if matches!(unit, Unit::Item(_)) && delete.inside.is_none() => {
                gone.push(item_words(doc, unit, item));
            }
            _ => gone.push(raw.describe()),
        }
    }
    gone
}

/// What an item held in the end, though it is hidden now.
fn item_words(doc: &Source<'_>, unit: &Unit, item: &ObjId) -> String {
    let Unit::Item(key) = unit else { return String::new() };
    let words: Vec<String> = fields(doc, item, None)
        .into_iter()
        .filter_map(|field| {
            let path = schema::item_path(key, &field.key)?;
            let Raw::Map(map) = &field.raw else {
                return Some(format!("{}: {}", field.key, field.raw.describe()));
            };
            let hash = doc.hash_for_opid(map)?;
            let value = claim::read_past_claim(doc, &path, map, hash).value;
            Some(format!("{}: {}", field.key, words(&value)))
        })
        .collect();
    words.join("; ")
}

/// The entry that is deleted, if it is an entry.
fn entry_path(unit: &Unit, delete: &Delete) -> Option<EntryPath> {
    match unit {
        Unit::Entry(path) => Some(path.clone()),
        Unit::Item(item) => schema::item_path(item, delete.keys.get(2)?),
        _ => None,
    }
}

fn words(value: &Value) -> String {
    let words: Vec<String> = value
        .iter()
        .map(|(field, scalar)| match scalar {
            Scalar::Bool(bool) => format!("{field}={bool}"),
            Scalar::Number(number) => format!("{field}={number}"),
            Scalar::Text(text) => format!("{field}={}", shorten(text)),
        })
        .collect();
    words.join(" ")
}
