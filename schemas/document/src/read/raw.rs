//! Values as Automerge holds them, whoever wrote them and however.

use std::collections::HashMap;
use std::ops::Deref;

use automerge::iter::{DocItem, ListRangeItem, MapRangeItem};
use automerge::{
    ActorId, Automerge, ChangeHash, ObjId, ObjType, ReadDoc, ScalarValue, ScalarValueRef, Value, ValueRef,
};

use crate::changed::Deletes;
use crate::{Decimal, OpId};

/// A value of any type. Text objects and scalar strings are both text, since
/// JavaScript clients write the one and Rust clients the other.
#[derive(Debug, Clone)]
pub(crate) enum Raw {
    Map(ObjId),
    List(ObjId),
    Text(String),
    Bool(bool),
    /// A number as it is written; a float keeps its shortest decimal form.
    Number(String),
    Null,
    /// Bytes, counters, timestamps and what later versions may invent.
    Other(String),
}

impl Raw {
    /// The value as text for a finding.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Map(_) => "a map".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Text(text) => format!("\"{}\"", shorten(text)),
            Self::Bool(bool) => bool.to_string(),
            Self::Number(number) => shorten(number),
            Self::Null => "null".to_owned(),
            Self::Other(what) => shorten(what),
        }
    }

    /// The value where a number is expected. Floats count only without a
    /// fraction: what 0.1 means is the writer's rounding, not a measurement.
    pub(crate) fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) if !number.contains('.') => number.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Number(text) | Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn object(doc: &Automerge, at: At<'_>, kind: ObjType, id: &ObjId) -> Self {
        match kind {
            ObjType::Map | ObjType::Table => Self::Map(id.clone()),
            ObjType::List => Self::List(id.clone()),
            ObjType::Text => {
                let text = match at {
                    None => doc.text(id),
                    Some(heads) => doc.text_at(id, heads),
                };
                Self::Text(text.unwrap_or_default())
            }
        }
    }

    fn scalar(scalar: &ScalarValue) -> Self {
        match scalar {
            ScalarValue::Str(text) => Self::Text(text.to_string()),
            ScalarValue::Int(int) => Self::Number(int.to_string()),
            ScalarValue::Uint(uint) => Self::Number(uint.to_string()),
            // Rust prints a float in its shortest exact form without exponent.
            ScalarValue::F64(float) => Self::Number(float.to_string()),
            ScalarValue::Boolean(bool) => Self::Bool(*bool),
            ScalarValue::Null => Self::Null,
            ScalarValue::Bytes(bytes) => Self::Other(format!("{} bytes", bytes.len())),
            ScalarValue::Counter(counter) => Self::Other(format!("counter {}", i64::from(counter))),
            ScalarValue::Timestamp(time) => Self::Other(format!("timestamp {time}")),
            ScalarValue::Unknown { type_code, .. } => Self::Other(format!("type {type_code}")),
        }
    }
}

/// A document to read from.
pub(crate) struct Source<'a> {
    doc: &'a Automerge,
    /// What is deleted in it.
    pub(super) deletes: &'a Deletes,
    /// What one walk through the whole has found, by object. Finding each
    /// object by itself costs ten times as much. Looked up, never iterated: the
    /// order of a hash map is random.
    walked: HashMap<ObjId, Walked>,
    /// The last op of each change by actor, ascending, where everything is
    /// read; never iterated: looked up by actor.
    last_ops: HashMap<ActorId, Vec<u64>>,
}

#[derive(Default)]
struct Walked {
    fields: Vec<Field>,
    elements: Vec<(Raw, ObjId)>,
}

impl Deref for Source<'_> {
    type Target = Automerge;
    fn deref(&self) -> &Automerge {
        self.doc
    }
}

impl<'a> Source<'a> {
    /// For reading a few parts.
    pub(crate) fn parts(doc: &'a Automerge, deletes: &'a Deletes) -> Self {
        Self { doc, deletes, walked: HashMap::new(), last_ops: HashMap::new() }
    }

    /// For reading everything.
    pub(crate) fn whole(doc: &'a Automerge, deletes: &'a Deletes) -> Self {
        let mut walked: HashMap<ObjId, Walked> = HashMap::new();
        let mut last: Option<(ObjId, Walked)> = None;
        for found in doc.iter() {
            if last.as_ref().is_none_or(|(object, _)| *object != *found.obj) {
                walked.extend(last.replace(((*found.obj).clone(), Walked::default())));
            }
            let Some((_, object)) = &mut last else { continue };
            match found.item {
                DocItem::Map(item) => object.fields.push(field(doc, None, item)),
                DocItem::List(item) => object.elements.push(element(doc, None, &item)),
                DocItem::Text(_) => {}
            }
        }
        walked.extend(last);
        let mut last_ops: HashMap<ActorId, Vec<u64>> = HashMap::new();
        for meta in doc.get_changes_meta(&[]) {
            last_ops.entry(meta.actor.into_owned()).or_default().push(meta.max_op);
        }
        last_ops.values_mut().for_each(|ops| ops.sort_unstable());
        Self { doc, deletes, walked, last_ops }
    }

    /// Whether two ops of one actor are in the same change.
    pub(super) fn same_change(&self, a: &ObjId, b: &ObjId) -> bool {
        let (ObjId::Id(a_counter, actor, _), ObjId::Id(b_counter, _, _)) = (a, b) else { return false };
        match self.last_ops.get(actor) {
            // The change of an op is the first that ends with it or after it.
            Some(ops) => {
                let change = |counter: &u64| ops.partition_point(|last| last < counter);
                change(a_counter) == change(b_counter)
            }
            None => self.doc.hash_for_opid(a) == self.doc.hash_for_opid(b),
        }
    }

    fn walked(&self, object: &ObjId, at: At<'_>) -> Option<&Walked> {
        at.is_none().then(|| self.walked.get(object)).flatten()
    }
}

/// The heads at which to read; `None` is now.
pub(crate) type At<'a> = Option<&'a [ChangeHash]>;

/// All values of one key that are live, in the order of their ops.
pub(crate) fn values(doc: &Source<'_>, map: &ObjId, key: &str, at: At<'_>) -> Vec<(Raw, ObjId)> {
    if let Some(walked) = doc.walked(map, at)
        && let Ok(place) = walked.fields.binary_search_by(|field| field.key.as_str().cmp(key))
        && let field = &walked.fields[place]
        && !field.conflict
    {
        return vec![(field.raw.clone(), field.op.clone())];
    }
    let all = match at {
        None => doc.get_all(map, key),
        Some(heads) => doc.get_all_at(map, key, heads),
    };
    let raw = |(value, id): (Value<'_>, ObjId)| {
        let raw = match &value {
            Value::Object(kind) => Raw::object(doc, at, *kind, &id),
            Value::Scalar(scalar) => Raw::scalar(scalar),
        };
        (raw, id)
    };
    all.unwrap_or_default().into_iter().map(raw).collect()
}

/// One key of a map: the value that Automerge shows, and whether there are
/// others beside it.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) raw: Raw,
    pub(crate) op: ObjId,
    pub(crate) conflict: bool,
}

/// The fields of a map, in the order of their keys.
pub(crate) fn fields(doc: &Source<'_>, map: &ObjId, at: At<'_>) -> Vec<Field> {
    match (doc.walked(map, at), at) {
        (Some(walked), _) => walked.fields.clone(),
        (None, None) => doc.map_range(map, ..).map(|item| field(doc, at, item)).collect(),
        (None, Some(heads)) => doc.map_range_at(map, .., heads).map(|item| field(doc, at, item)).collect(),
    }
}

/// The elements of a list with the ops that wrote them.
pub(crate) fn elements(doc: &Source<'_>, list: &ObjId, at: At<'_>) -> Vec<(Raw, ObjId)> {
    match (doc.walked(list, at), at) {
        (Some(walked), _) => walked.elements.clone(),
        (None, None) => doc.list_range(list, ..).map(|item| element(doc, at, &item)).collect(),
        (None, Some(heads)) => {
            doc.list_range_at(list, .., heads).map(|item| element(doc, at, &item)).collect()
        }
    }
}

fn field(doc: &Automerge, at: At<'_>, item: MapRangeItem<'_>) -> Field {
    let op = item.id();
    let raw = value_ref(doc, at, &item.value, &op);
    Field { key: item.key.into_owned(), raw, op, conflict: item.conflict }
}

fn element(doc: &Automerge, at: At<'_>, item: &ListRangeItem<'_>) -> (Raw, ObjId) {
    let op = item.id();
    (value_ref(doc, at, &item.value, &op), op)
}

fn value_ref(doc: &Automerge, at: At<'_>, value: &ValueRef<'_>, op: &ObjId) -> Raw {
    match value {
        ValueRef::Object(kind) => Raw::object(doc, at, *kind, op),
        ValueRef::Scalar(ScalarValueRef::Str(text)) => Raw::Text(text.to_string()),
        ValueRef::Scalar(_) => match value.clone().into_value() {
            Value::Scalar(scalar) => Raw::scalar(&scalar),
            Value::Object(kind) => Raw::object(doc, at, kind, op),
        },
    }
}

/// An Automerge op as the identity of a claim; `None` for the root.
pub(crate) fn op_id(id: &ObjId) -> Option<OpId> {
    match id {
        ObjId::Root => None,
        ObjId::Id(..) => OpId::new(id.to_string()).ok(),
    }
}

/// At most 80 characters, for a finding.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 80;
    match text.char_indices().nth(LIMIT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
