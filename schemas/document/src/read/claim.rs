//! Claims as they are found.

use automerge::{ActorId, ChangeHash, ObjId};

use super::Findings;
use super::raw::{At, Field, Raw, Source, elements, fields, op_id, shorten};
use crate::consolidated::Candidate;
use crate::schema::{self, FieldType};
use crate::{Captured, Claim, EntryPath, FieldId, OpId, PhotoHash, Place, Scalar, Value};

/// More edits of one claim than this are not read one by one; a claim of ours
/// is never edited at all.
const MAX_EDITS: usize = 16;

/// A claim as it is in the document at one moment.
struct Found {
    claim: Claim,
    /// The ops of everything inside the claim's map.
    inner: Vec<ObjId>,
}

/// Reads the live claim whose map is `map`.
///
/// A claim is put whole and never edited, so everything in its map comes from
/// the change that put it. Where another change has edited it, what was put
/// and what each edit made of it are all candidates.
pub(super) fn read_claim(
    doc: &Source<'_>,
    path: &EntryPath,
    map: &ObjId,
    findings: &mut Findings,
) -> Vec<Candidate> {
    let found = read_at(doc, path, map, None, findings);
    let edits = edits(doc, map, &found.inner);
    if edits.is_empty() {
        return candidate(map, found.claim).into_iter().collect();
    }
    findings.add("claim.edited", path, format!("{} edits after it was put", edits.len()));
    let put = doc.hash_for_opid(map).map(|hash| (hash, map.clone()));
    put.into_iter()
        .chain(edits.into_iter().take(MAX_EDITS))
        .filter_map(|(hash, op)| {
            // What does not fit in an earlier state is not a finding of today.
            let then = read_at(doc, path, map, Some(&[hash]), &mut Findings::ignored());
            candidate(&op, then.claim)
        })
        .collect()
}

/// Reads the claim whose map is `map` as it was when `hash` was made.
pub(super) fn read_past_claim(doc: &Source<'_>, path: &EntryPath, map: &ObjId, hash: ChangeHash) -> Claim {
    read_at(doc, path, map, Some(&[hash]), &mut Findings::ignored()).claim
}

/// A candidate from a bare scalar where a claim is expected: it has the field
/// `value` and nothing is known of its circumstances.
pub(super) fn read_bare(
    path: &EntryPath,
    raw: &Raw,
    op: &ObjId,
    findings: &mut Findings,
) -> Option<Candidate> {
    findings.add("claim.bare", path, raw.describe());
    let field = match path {
        EntryPath::Section(_) => "complete",
        _ => "value",
    };
    let claim = Claim { value: bare_value(path, field, raw, findings), ..Claim::default() };
    candidate(op, claim)
}

fn bare_value(path: &EntryPath, field: &str, raw: &Raw, findings: &mut Findings) -> Value {
    let scalar = scalar(path, field, raw, findings);
    FieldId::new(field).ok().zip(scalar).into_iter().collect()
}

fn candidate(op: &ObjId, claim: Claim) -> Option<Candidate> {
    let Claim { value, captured, photos, note } = claim;
    Some(Candidate { op: op_id(op)?, value, captured, photos, note })
}

/// The changes that edited a claim after it was put, or deleted something in
/// it, each with its highest op there, in the order of these ops.
pub(super) fn edits(doc: &Source<'_>, map: &ObjId, inner: &[ObjId]) -> Vec<(ChangeHash, ObjId)> {
    let ObjId::Id(_, actor, _) = map else { return Vec::new() };
    let same_actor = |op: &ObjId| matches!(op, ObjId::Id(_, other, _) if other == actor);
    let deletes = op_id(map).and_then(|op| doc.deletes.inside.get(&op)).into_iter().flatten();
    let deletes: Vec<ObjId> = deletes.filter_map(obj_id).collect();
    let inner = || inner.iter().chain(&deletes);
    // An actor's counters only grow, so if its highest op here is in the
    // change that put the claim, then all of them are.
    let highest = inner().max_by_key(|op| op_order(op));
    let untouched = inner().all(same_actor) && highest.is_none_or(|op| doc.same_change(op, map));
    if untouched {
        return Vec::new();
    }
    let put = doc.hash_for_opid(map);
    let mut edits: Vec<(ChangeHash, ObjId)> = Vec::new();
    for op in inner() {
        let Some(hash) = doc.hash_for_opid(op).filter(|hash| Some(*hash) != put) else { continue };
        match edits.iter_mut().find(|(other, _)| *other == hash) {
            Some((_, last)) if op_order(last) < op_order(op) => *last = op.clone(),
            Some(_) => {}
            None => edits.push((hash, op.clone())),
        }
    }
    edits.sort_by(|a, b| op_order(&a.1).cmp(&op_order(&b.1)));
    edits
}

/// An op as Automerge names it.
pub(crate) fn obj_id(op: &OpId) -> Option<ObjId> {
    let bytes: Option<Vec<u8>> = op
        .actor()
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    Some(ObjId::Id(op.counter(), ActorId::from(bytes?), 0))
}

fn op_order(id: &ObjId) -> (u64, &[u8]) {
    match id {
        ObjId::Root => (0, &[]),
        ObjId::Id(counter, actor, _) => (*counter, actor.to_bytes()),
    }
}

fn read_at(doc: &Source<'_>, path: &EntryPath, map: &ObjId, at: At<'_>, findings: &mut Findings) -> Found {
    let mut claim = Claim::default();
    let mut inner = Vec::new();
    let mut has_captured = false;
    for field in fields(doc, map, at) {
        all_ops(doc, map, &field, at, &mut inner);
        match field.key.as_str() {
            "captured" => {
                has_captured = true;
                claim.captured = captured(doc, path, &field.raw, at, &mut inner, findings);
            }
            "photos" => claim.photos = photos(doc, path, &field.raw, at, &mut inner, findings),
            "note" => match field.raw.text() {
                Some(text) => claim.note = Some(text.to_owned()),
                None => findings.add_in("claim.note", path, "note", field.raw.describe()),
            },
            name => {
                let Ok(id) = FieldId::new(name) else {
                    findings.add_in("claim.field_name", path, name, field.raw.describe());
                    continue;
                };
                if let Some(scalar) = scalar(path, name, &field.raw, findings) {
                    claim.value.insert(id, scalar);
                }
            }
        }
    }
    if !has_captured {
        findings.add("claim.captured", path, "missing".to_owned());
    }
    if claim.value.is_empty() {
        findings.add("claim.empty", path, "no value".to_owned());
    }
    Found { claim, inner }
}

/// Collects the ops of a field; more than one where edits were concurrent.
pub(super) fn all_ops(doc: &Source<'_>, map: &ObjId, field: &Field, at: At<'_>, ops: &mut Vec<ObjId>) {
    if field.conflict {
        ops.extend(super::raw::values(doc, map, &field.key, at).into_iter().map(|(_, op)| op));
    } else {
        ops.push(field.op.clone());
    }
}

/// A value field. What has another type than the field's is kept as text
/// where it can be, so that people see it; rules ask for the type they need.
pub(super) fn scalar(path: &EntryPath, field: &str, raw: &Raw, findings: &mut Findings) -> Option<Scalar> {
    let wanted = schema::field_type(path, field);
    let kept = match raw {
        Raw::Bool(bool) => Scalar::Bool(*bool),
        Raw::Text(text) => Scalar::Text(text.clone()),
        Raw::Number(text) => Scalar::Text(text.clone()),
        Raw::Map(_) | Raw::List(_) | Raw::Null | Raw::Other(_) => {
            findings.add_in("claim.type", path, field, raw.describe());
            return None;
        }
    };
    match (wanted, &kept) {
        (FieldType::Number, _) => match raw.decimal() {
            Some(decimal) => return Some(Scalar::Number(decimal)),
            None => findings.add_in("claim.number", path, field, raw.describe()),
        },
        (FieldType::Bool, Scalar::Bool(_)) | (FieldType::Text, Scalar::Text(_)) => {}
        (FieldType::Bool | FieldType::Text, _) => findings.add_in("claim.type", path, field, raw.describe()),
        (FieldType::Unknown, _) if matches!(path, EntryPath::Evidence(_)) => {}
        (FieldType::Unknown, _) => findings.add_in("claim.field", path, field, raw.describe()),
    }
    Some(kept)
}

pub(super) fn captured(
    doc: &Source<'_>,
    path: &impl std::fmt::Display,
    raw: &Raw,
    at: At<'_>,
    ops: &mut Vec<ObjId>,
    findings: &mut Findings,
) -> Captured {
    let mut captured = Captured::default();
    let Raw::Map(map) = raw else {
        findings.add_in("claim.captured", path, "captured", raw.describe());
        return captured;
    };
    for field in fields(doc, map, at) {
        all_ops(doc, map, &field, at, ops);
        let fits = match field.key.as_str() {
            "device_time_ms" => set(&mut captured.device_time_ms, field.raw.integer()),
            "clock_offset_ms" => set(&mut captured.clock_offset_ms, field.raw.integer().map(Some)),
            "boot_id" => set(&mut captured.boot_id, field.raw.text().map(str::to_owned)),
            "counter" => {
                let counter = field.raw.integer().and_then(|counter| u64::try_from(counter).ok());
                set(&mut captured.counter, counter)
            }
            "place" => set(&mut captured.place, place(doc, &field.raw, at, ops).map(Some)),
            _ => false,
        };
        if !fits {
            findings.add_in("claim.captured", path, &field.key, field.raw.describe());
        }
    }
    captured
}

/// Puts a value where there is one; says whether there was.
fn set<T>(target: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *target = value;
            true
        }
        None => false,
    }
}

fn place(doc: &Source<'_>, raw: &Raw, at: At<'_>, ops: &mut Vec<ObjId>) -> Option<Place> {
    let Raw::Map(map) = raw else { return None };
    let (mut latitude, mut longitude, mut accuracy_m) = (None, None, None);
    for field in fields(doc, map, at) {
        all_ops(doc, map, &field, at, ops);
        match field.key.as_str() {
            "latitude" => latitude = field.raw.decimal(),
            "longitude" => longitude = field.raw.decimal(),
            "accuracy_m" => accuracy_m = field.raw.decimal(),
            _ => {}
        }
    }
    Some(Place { latitude: latitude?, longitude: longitude?, accuracy_m: accuracy_m? })
}

fn photos(
    doc: &Source<'_>,
    path: &EntryPath,
    raw: &Raw,
    at: At<'_>,
    ops: &mut Vec<ObjId>,
    findings: &mut Findings,
) -> Vec<PhotoHash> {
    let Raw::List(list) = raw else {
        findings.add_in("claim.photos", path, "photos", raw.describe());
        return Vec::new();
    };
    let mut photos = Vec::new();
    for (raw, op) in elements(doc, list, at) {
        ops.push(op);
        match raw.text().and_then(|text| text.parse().ok()) {
            Some(photo) => photos.push(photo),
            None => findings.add_in("claim.photos", path, "photos", shorten(&raw.describe())),
        }
    }
    photos
}
