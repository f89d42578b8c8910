//! Reading documents. It never fails: what does not fit the schema becomes a
//! finding with its path, and the rest is used.

mod claim;
pub(crate) mod decision;
mod deleted;
mod raw;

use crate::collections::{BTreeMap, BTreeSet};

use automerge::{ObjId, Prop, ROOT, ReadDoc};

use crate::changed::Unit;
use crate::consolidated::{Candidate, Finding};
use crate::history::Written;
use crate::path::ItemKey;
use crate::{Claim, DocumentKind, EntryPath, FieldId, OpId, genesis, schema};

pub(crate) use claim::obj_id;
pub(crate) use deleted::deleted;
use raw::{Raw, fields, shorten};
pub(crate) use raw::{Source, op_id, values};

/// Collects what does not fit in one document.
pub(crate) struct Findings {
    kind: Option<DocumentKind>,
    found: BTreeSet<Finding>,
}

impl Findings {
    /// For a document of this kind.
    pub(crate) fn of(kind: DocumentKind) -> Self {
        Self { kind: Some(kind), found: BTreeSet::new() }
    }

    /// Findings that nobody will see, for reading past states.
    pub(crate) fn ignored() -> Self {
        Self { kind: None, found: BTreeSet::new() }
    }

    pub(crate) fn into_set(self) -> BTreeSet<Finding> {
        self.found
    }

    pub(crate) fn add(&mut self, code: &str, path: impl std::fmt::Display, detail: String) {
        if let Some(kind) = self.kind {
            let path = format!("{kind}:{path}");
            self.found.insert(Finding { code: code.to_owned(), path, detail });
        }
    }

    pub(crate) fn add_in(&mut self, code: &str, path: impl std::fmt::Display, key: &str, detail: String) {
        if self.kind.is_some() {
            self.add(code, format_args!("{path}/{}", shorten(key)), detail);
        }
    }
}

/// One entry or item of a document with what does not fit in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Read<T> {
    pub(crate) what: T,
    pub(crate) findings: BTreeSet<Finding>,
}

/// An item's entries, each with its candidates in the order of their ops.
pub(crate) type Fields = BTreeMap<FieldId, Vec<Candidate>>;

/// Every part of a document that holds something or from which something is
/// deleted.
pub(crate) fn units(doc: &Source<'_>, kind: DocumentKind) -> Vec<Unit> {
    let mut units = vec![Unit::Top];
    for name in genesis::containers(kind) {
        if let Some(map) = genesis::container(kind, name) {
            units.extend(fields(doc, &map, None).iter().map(|field| Unit::at(name, &field.key)));
        }
    }
    units.extend(doc.deletes.by_unit.keys().cloned());
    units.sort();
    units.dedup();
    units
}

/// What does not fit in a part of a document that is no item, entry or
/// decision.
pub(crate) fn foreign(doc: &Source<'_>, kind: DocumentKind, unit: &Unit) -> BTreeSet<Finding> {
    match unit {
        Unit::Top => foreign_top(doc, kind),
        Unit::Foreign { container, key } => {
            let mut findings = Findings::of(kind);
            if let Some(map) = genesis::container(kind, container) {
                for (raw, _) in values(doc, &map, key, None) {
                    findings.add_in("document.key", container, key, raw.describe());
                }
            }
            findings.into_set()
        }
        Unit::Item(_) | Unit::Entry(_) | Unit::Decision(_) => BTreeSet::new(),
    }
}

/// Reads one item of a survey; `None` where no value is live under its key.
pub(crate) fn item(doc: &Source<'_>, kind: DocumentKind, key: &ItemKey) -> Option<Read<Fields>> {
    let container = genesis::container(kind, key.kind.as_str())?;
    let live = values(doc, &container, key.item.as_str(), None);
    if live.is_empty() {
        return None;
    }
    let mut findings = Findings::of(kind);
    let mut found = Fields::new();
    let maps = live.iter().filter(|(raw, _)| matches!(raw, Raw::Map(_))).count();
    if maps > 1 {
        findings.add("item.twice", key, format!("{maps} maps"));
    }
    for (raw, _) in &live {
        match raw {
            Raw::Map(map) => item_map(doc, key, map, &mut found, &mut findings),
            other => findings.add("item.not_map", key, other.describe()),
        }
    }
    for candidates in found.values_mut() {
        sort(candidates);
    }
    Some(Read { what: found, findings: findings.into_set() })
}

fn item_map(doc: &Source<'_>, key: &ItemKey, map: &ObjId, found: &mut Fields, findings: &mut Findings) {
    for field in fields(doc, map, None) {
        let path = schema::item_path(key, &field.key);
        let Some((path, id)) = path.zip(FieldId::new(field.key.as_str()).ok()) else {
            findings.add_in("entry.key", key, &field.key, field.raw.describe());
            continue;
        };
        if !schema::knows_entry(key.kind, id.as_str()) {
            findings.add("entry.unknown", &path, field.raw.describe());
        }
        let candidates = found.entry(id).or_default();
        if field.conflict {
            for (raw, op) in values(doc, map, &field.key, None) {
                candidates.extend(candidate(doc, &path, &raw, &op, findings));
            }
        } else {
            candidates.extend(candidate(doc, &path, &field.raw, &field.op, findings));
        }
    }
}

/// Reads one entry that is not a field of an item; `None` where no value is
/// live under its key.
pub(crate) fn entry(doc: &Source<'_>, kind: DocumentKind, path: &EntryPath) -> Option<Read<Vec<Candidate>>> {
    let (name, key) = schema::container_of(path);
    let container = genesis::container(kind, name)?;
    let live = values(doc, &container, &key, None);
    if live.is_empty() {
        return None;
    }
    let mut findings = Findings::of(kind);
    let mut candidates = Vec::new();
    for (raw, op) in &live {
        candidates.extend(candidate(doc, path, raw, op, &mut findings));
    }
    sort(&mut candidates);
    Some(Read { what: candidates, findings: findings.into_set() })
}

fn candidate(
    doc: &Source<'_>,
    path: &EntryPath,
    raw: &Raw,
    op: &ObjId,
    findings: &mut Findings,
) -> Vec<Candidate> {
    match raw {
        Raw::Map(map) => claim::read_claim(doc, path, map, findings),
        Raw::List(_) | Raw::Null | Raw::Other(_) => {
            findings.add("claim.not_map", path, raw.describe());
            Vec::new()
        }
        Raw::Text(_) | Raw::Bool(_) | Raw::Number(_) => {
            claim::read_bare(path, raw, op, findings).into_iter().collect()
        }
    }
}

/// The candidates of any entry.
pub(crate) fn candidates(doc: &Source<'_>, kind: DocumentKind, path: &EntryPath) -> Vec<Candidate> {
    match path {
        EntryPath::Item { field, .. } => path
            .item()
            .and_then(|key| item(doc, kind, &key))
            .and_then(|mut item| item.what.remove(field))
            .unwrap_or_default(),
        _ => entry(doc, kind, path).map(|entry| entry.what).unwrap_or_default(),
    }
}

/// A claim as one change left it; `None` for what is no claim.
pub(crate) fn past_claim(doc: &Source<'_>, path: &EntryPath, written: &Written) -> Option<Claim> {
    if doc.object_type(&written.claim).is_ok() {
        return Some(claim::read_past_claim(doc, path, &written.claim, written.hash));
    }
    let then = values(doc, &written.parent, &written.key, Some(&[written.hash]));
    let (raw, op) = then.into_iter().find(|(_, op)| *op == written.claim)?;
    let candidate = claim::read_bare(path, &raw, &op, &mut Findings::ignored())?;
    Some(Claim { value: candidate.value, ..Claim::default() })
}

/// The value of a claim that need not be live any more, by the op that wrote
/// it; `None` where the op is no claim of such an entry.
pub(crate) fn past_value(doc: &Source<'_>, path: &EntryPath, op: &OpId) -> Option<crate::Value> {
    let id = claim::obj_id(op)?;
    let hash = doc.hash_for_opid(&id)?;
    let place: Vec<Prop> = doc.parents(&id).ok()?.map(|parent| parent.prop).collect();
    let expected = match path {
        EntryPath::Item { kind, field, .. } => (2, field.as_str(), kind.as_str()),
        _ => (1, "", schema::container_of(path).0),
    };
    let is = |prop: Option<&Prop>, name: &str| matches!(prop, Some(Prop::Map(key)) if key == name);
    let (depth, field, container) = expected;
    let fits = place.len() == depth + 1
        && is(place.last(), container)
        && (field.is_empty() || is(place.first(), field));
    let value = fits.then(|| claim::read_past_claim(doc, path, &id, hash).value)?;
    (!value.is_empty()).then_some(value)
}

/// Orders candidates as Automerge orders their ops, each op once.
pub(crate) fn sort(candidates: &mut Vec<Candidate>) {
    candidates.sort_by(|a, b| a.op.order().cmp(&b.op.order()));
    candidates.dedup_by(|a, b| a.op == b.op);
}

/// Every live op of an item, its removals left out; `None` where the item is
/// not there.
pub(crate) fn live_ops(doc: &Source<'_>, key: &ItemKey) -> Option<BTreeSet<OpId>> {
    let fields = item(doc, DocumentKind::Survey, key)?.what;
    Some(edits_of(&fields).cloned().collect())
}

/// The ops of all candidates of an item but its removals.
pub(crate) fn edits_of(fields: &Fields) -> impl Iterator<Item = &OpId> {
    fields
        .iter()
        .filter(|(field, _)| field.as_str() != crate::consolidated::fields::REMOVED)
        .flat_map(|(_, candidates)| candidates.iter().map(|candidate| &candidate.op))
}

/// What is at the top of a document beside the maps of its genesis.
fn foreign_top(doc: &Source<'_>, kind: DocumentKind) -> BTreeSet<Finding> {
    let mut findings = Findings::of(kind);
    if !genesis::holds(doc, kind) {
        findings.add("document.genesis", "", "the document does not hold its first change".to_owned());
    }
    for field in fields(doc, &ROOT, None) {
        let own = genesis::container(kind, &field.key);
        for (raw, op) in values(doc, &ROOT, &field.key, None) {
            if own.as_ref() != Some(&op) {
                findings.add("document.foreign", shorten(&field.key), raw.describe());
            }
        }
    }
    findings.into_set()
}
