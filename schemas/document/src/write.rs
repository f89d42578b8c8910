//! Writing: claims and decisions, each put whole in one change.
//!
//! Nothing here deletes. In Automerge a delete hides what it saw, and a put
//! silently wins over a concurrent delete; a removal is a claim instead.

use crate::collections::BTreeSet;

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ObjId, ObjType, ReadDoc, ScalarValue};

use crate::changed::Deletes;
use crate::consolidated::fields;
use crate::decision::{Outcome, Ruling, RulingChoice, Subject, Verdict};
use crate::path::ItemKey;
use crate::schema::{self, FieldType};
use crate::{
    Captured, Claim, DecisionId, DocumentKind, EntryPath, OpId, Place, Scalar, Value, genesis, read,
};

/// Why nothing was written. The document is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The document is of another kind, or its genesis is not loaded.
    #[error("the document has no map `{0}` made by its genesis")]
    NoContainer(&'static str),
    /// A claim or decision that states nothing.
    #[error("nothing is stated for `{0}`")]
    Empty(String),
    /// Two claims for one entry in one change: the first would be hidden.
    #[error("`{0}` is stated twice")]
    Twice(EntryPath),
    /// The field's name is used by the claim itself.
    #[error("`{0}` is not a name for a value field")]
    ReservedField(String),
    /// The field holds another type, see [`schema::field_type`].
    #[error("`{0}` needs {1}")]
    WrongType(String, &'static str),
    /// A decision is never edited: another one supersedes it.
    #[error("decision `{0}` exists already")]
    Exists(DecisionId),
    /// There is no such item in the document.
    #[error("there is no item `{0}`")]
    NoItem(ItemKey),
    /// Automerge refused, which it does only for a damaged document.
    #[error("the document cannot be written: {0}")]
    Automerge(#[from] AutomergeError),
}

impl WriteError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoContainer(_) => "write.no_container",
            Self::Empty(_) => "write.empty",
            Self::Twice(_) => "write.twice",
            Self::ReservedField(_) => "write.reserved_field",
            Self::WrongType(..) => "write.wrong_type",
            Self::Exists(_) => "write.exists",
            Self::NoItem(_) => "write.no_item",
            Self::Automerge(_) => "write.automerge",
        }
    }

    /// The message for people: Chinese, then English.
    #[must_use]
    pub fn message(&self) -> (String, String) {
        let zh = match self {
            Self::NoContainer(name) => format!("该文档没有“{name}”部分,可能类型不符或尚未初始化"),
            Self::Empty(what) => format!("“{what}”没有填写内容"),
            Self::Twice(path) => format!("“{path}”在一次保存中出现了两次"),
            Self::ReservedField(name) => format!("“{name}”不能用作数据字段名"),
            Self::WrongType(name, needed) => format!("“{name}”的数据类型不符,应为{}", type_zh(needed)),
            Self::Exists(id) => format!("决定“{id}”已存在;请另作决定取代它"),
            Self::NoItem(item) => format!("没有“{item}”这一项"),
            Self::Automerge(_) => "文档无法写入".to_owned(),
        };
        (zh, self.to_string())
    }
}

fn type_zh(needed: &str) -> &'static str {
    match needed {
        "a number" => "数字",
        "yes or no" => "是或否",
        _ => "文字",
    }
}

/// Writes claims in one change, each as a map put whole: value fields flat,
/// `captured` as a map, `photos` as a list of hashes, `note`. The map of a new
/// item is created. Gives the op that wrote each claim, in the same order;
/// that op is the claim's identity.
///
/// # Errors
/// [`WriteError`]; nothing is written then.
pub fn put_claims(doc: &mut Automerge, claims: &[(EntryPath, Claim)]) -> Result<Vec<OpId>, WriteError> {
    check_claims(claims)?;
    change(doc, |tx| claims.iter().map(|(path, claim)| put_claim(tx, path, claim)).collect())
}

/// Checks claims that are to be written together, whatever the document.
///
/// # Errors
/// [`WriteError`].
pub fn check_claims(claims: &[(EntryPath, Claim)]) -> Result<(), WriteError> {
    let mut seen = BTreeSet::new();
    for (path, claim) in claims {
        check_claim(path, claim)?;
        if !seen.insert(path) {
            return Err(WriteError::Twice(path.clone()));
        }
    }
    Ok(())
}

/// Removes an item: a claim in its field `removed` that names every live op of
/// the item that this document shows now.
///
/// # Errors
/// [`WriteError::NoItem`] where the item is not there.
pub fn remove_item(
    doc: &mut Automerge,
    item: &ItemKey,
    reason: &str,
    captured: &Captured,
) -> Result<OpId, WriteError> {
    let deletes = Deletes::of(DocumentKind::Survey, doc);
    let live = read::live_ops(&read::Source::parts(doc, &deletes), item);
    let saw = live.ok_or_else(|| WriteError::NoItem(item.clone()))?;
    let path = schema::item_path(item, fields::REMOVED).ok_or_else(|| WriteError::NoItem(item.clone()))?;
    let value = schema::value([
        ("removed", Scalar::Bool(true)),
        ("reason", Scalar::Text(reason.to_owned())),
        ("saw", Scalar::Text(join(&saw))),
    ]);
    let claim = Claim { value, captured: captured.clone(), ..Claim::default() };
    change(doc, |tx| put_claim(tx, &path, &claim))
}

/// Appends a verdict to a review document.
///
/// # Errors
/// [`WriteError::Exists`] where the id is taken.
pub fn put_verdict(doc: &mut Automerge, id: &DecisionId, verdict: &Verdict) -> Result<(), WriteError> {
    change(doc, |tx| {
        let map = new_decision(tx, DocumentKind::Review, "verdicts", id)?;
        tx.put(&map, "entry", verdict.entry.to_string())?;
        tx.put(&map, "saw", join(&verdict.saw))?;
        match &verdict.outcome {
            Outcome::Accepted => tx.put(&map, "outcome", "accepted")?,
            Outcome::Returned { reason } => {
                tx.put(&map, "outcome", "returned")?;
                tx.put(&map, "reason", reason.as_str())?;
            }
        }
        tx.put(&map, "supersedes", join(&verdict.supersedes))?;
        put_captured(tx, &map, &verdict.captured)
    })
}

/// Appends a ruling to a ruling document.
///
/// # Errors
/// [`WriteError::Exists`] where the id is taken; [`WriteError::Empty`] for a
/// merge or separation of fewer than two items of one kind.
pub fn put_ruling(doc: &mut Automerge, id: &DecisionId, ruling: &Ruling) -> Result<(), WriteError> {
    check_subject(&ruling.subject)?;
    change(doc, |tx| {
        let map = new_decision(tx, DocumentKind::Ruling, "rulings", id)?;
        put_subject(tx, &map, &ruling.subject)?;
        tx.put(&map, "reason", ruling.reason.as_str())?;
        tx.put(&map, "supersedes", join(&ruling.supersedes))?;
        put_captured(tx, &map, &ruling.captured)
    })
}

/// Runs one transaction; anything but success leaves the document as it was.
fn change<T>(
    doc: &mut Automerge,
    write: impl FnOnce(&mut Transaction<'_>) -> Result<T, WriteError>,
) -> Result<T, WriteError> {
    let mut tx = doc.transaction();
    match write(&mut tx) {
        Ok(done) => {
            tx.commit();
            Ok(done)
        }
        Err(error) => {
            tx.rollback();
            Err(error)
        }
    }
}

fn check_claim(path: &EntryPath, claim: &Claim) -> Result<(), WriteError> {
    if claim.value.is_empty() {
        return Err(WriteError::Empty(path.to_string()));
    }
    check_value(path, &claim.value)
}

fn check_value(path: &EntryPath, value: &Value) -> Result<(), WriteError> {
    for (field, scalar) in value {
        if schema::CLAIM_FIELDS.contains(&field.as_str()) {
            return Err(WriteError::ReservedField(field.to_string()));
        }
        let needed = match (schema::field_type(path, field.as_str()), scalar) {
            (FieldType::Number, Scalar::Number(_))
            | (FieldType::Bool, Scalar::Bool(_))
            | (FieldType::Text, Scalar::Text(_))
            | (FieldType::Unknown, Scalar::Bool(_) | Scalar::Text(_)) => continue,
            (FieldType::Number, _) => "a number",
            (FieldType::Bool, _) => "yes or no",
            // A number in an unknown field would be read back as text.
            (FieldType::Text | FieldType::Unknown, _) => "text",
        };
        return Err(WriteError::WrongType(format!("{path}/{field}"), needed));
    }
    Ok(())
}

fn check_subject(subject: &Subject) -> Result<(), WriteError> {
    match subject {
        Subject::Entry { path, choice: RulingChoice::Set(value), .. } => {
            if value.is_empty() {
                return Err(WriteError::Empty(path.to_string()));
            }
            check_value(path, value)
        }
        Subject::Merge { items } | Subject::Separate { items } => {
            let one_kind = items.iter().map(|item| item.kind).collect::<BTreeSet<_>>().len() == 1;
            if items.len() < 2 || !one_kind {
                return Err(WriteError::Empty(join(items)));
            }
            Ok(())
        }
        Subject::Entry { .. } | Subject::Removal { .. } => Ok(()),
    }
}

fn put_claim(tx: &mut Transaction<'_>, path: &EntryPath, claim: &Claim) -> Result<OpId, WriteError> {
    let (parent, key) = parent_map(tx, path)?;
    let map = tx.put_object(&parent, key, ObjType::Map)?;
    put_value(tx, &map, &claim.value)?;
    put_captured(tx, &map, &claim.captured)?;
    if !claim.photos.is_empty() {
        let photos = tx.put_object(&map, "photos", ObjType::List)?;
        for (index, photo) in claim.photos.iter().enumerate() {
            tx.insert(&photos, index, photo.to_string())?;
        }
    }
    if let Some(note) = &claim.note {
        tx.put(&map, "note", note.as_str())?;
    }
    read::op_id(&map).ok_or_else(|| WriteError::Empty(path.to_string()))
}

/// The map that holds an entry, and the entry's key in it. Creates the map of
/// a new item.
fn parent_map(tx: &mut Transaction<'_>, path: &EntryPath) -> Result<(ObjId, String), WriteError> {
    let (name, key) = schema::container_of(path);
    let container = container(tx, name)?;
    let EntryPath::Item { field, .. } = path else {
        return Ok((container, key));
    };
    // Where a foreign client has put another map or a scalar beside it, the
    // highest map is written to; the reader uses every map.
    let item = tx
        .get_all(&container, key.as_str())?
        .into_iter()
        .rev()
        .find(|(value, _)| value.to_objtype() == Some(ObjType::Map))
        .map(|(_, id)| id);
    let item = match item {
        Some(id) => id,
        None => tx.put_object(&container, key, ObjType::Map)?,
    };
    Ok((item, field.to_string()))
}

/// The container of this name, in whichever kind of document this is.
fn container(tx: &Transaction<'_>, name: &'static str) -> Result<ObjId, WriteError> {
    DocumentKind::ALL
        .into_iter()
        .filter_map(|kind| genesis::container(kind, name))
        .find(|id| tx.object_type(id).is_ok())
        .ok_or(WriteError::NoContainer(name))
}

fn new_decision(
    tx: &mut Transaction<'_>,
    kind: DocumentKind,
    name: &'static str,
    id: &DecisionId,
) -> Result<ObjId, WriteError> {
    let container = genesis::container(kind, name)
        .filter(|container| tx.object_type(container).is_ok())
        .ok_or(WriteError::NoContainer(name))?;
    if tx.get(&container, id.as_str())?.is_some() {
        return Err(WriteError::Exists(id.clone()));
    }
    Ok(tx.put_object(&container, id.as_str(), ObjType::Map)?)
}

fn put_subject(tx: &mut Transaction<'_>, map: &ObjId, subject: &Subject) -> Result<(), WriteError> {
    match subject {
        Subject::Entry { path, choice, saw, verdicts } => {
            tx.put(map, "subject", "entry")?;
            tx.put(map, "path", path.to_string())?;
            match choice {
                RulingChoice::Select(op) => tx.put(map, "select", op.as_str())?,
                RulingChoice::Set(value) => {
                    let set = tx.put_object(map, "set", ObjType::Map)?;
                    put_value(tx, &set, value)?;
                }
            }
            tx.put(map, "saw", join(saw))?;
            tx.put(map, "verdicts", join(verdicts))?;
        }
        Subject::Merge { items } => {
            tx.put(map, "subject", "merge")?;
            tx.put(map, "items", join(items))?;
        }
        Subject::Separate { items } => {
            tx.put(map, "subject", "separate")?;
            tx.put(map, "items", join(items))?;
        }
        Subject::Removal { item, present, saw } => {
            tx.put(map, "subject", "removal")?;
            tx.put(map, "item", item.to_string())?;
            tx.put(map, "present", *present)?;
            tx.put(map, "saw", join(saw))?;
        }
    }
    Ok(())
}

fn put_value(tx: &mut Transaction<'_>, map: &ObjId, value: &Value) -> Result<(), WriteError> {
    for (field, scalar) in value {
        let scalar: ScalarValue = match scalar {
            Scalar::Bool(bool) => (*bool).into(),
            Scalar::Number(number) => number.to_string().into(),
            Scalar::Text(text) => text.as_str().into(),
        };
        tx.put(map, field.as_str(), scalar)?;
    }
    Ok(())
}

fn put_captured(tx: &mut Transaction<'_>, map: &ObjId, captured: &Captured) -> Result<(), WriteError> {
    let id = tx.put_object(map, "captured", ObjType::Map)?;
    tx.put(&id, "device_time_ms", captured.device_time_ms)?;
    if let Some(offset) = captured.clock_offset_ms {
        tx.put(&id, "clock_offset_ms", offset)?;
    }
    tx.put(&id, "boot_id", captured.boot_id.as_str())?;
    tx.put(&id, "counter", ScalarValue::Uint(captured.counter))?;
    if let Some(Place { latitude, longitude, accuracy_m }) = captured.place {
        let place = tx.put_object(&id, "place", ObjType::Map)?;
        tx.put(&place, "latitude", latitude.to_string())?;
        tx.put(&place, "longitude", longitude.to_string())?;
        tx.put(&place, "accuracy_m", accuracy_m.to_string())?;
    }
    Ok(())
}

/// Ids as one text, in order, joined by spaces.
fn join<T: std::fmt::Display>(ids: &BTreeSet<T>) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
