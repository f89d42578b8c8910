//! Which parts of a document a change touches.

use std::collections::HashMap;

use crate::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, Change, ChangeHash, ObjId, Prop, ReadDoc, legacy};

use crate::path::{ItemKey, ItemKind};
use crate::read::op_id;
use crate::{DecisionId, DocumentKind, EntryPath, OpId, genesis};

/// The part of a document that is read at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// An item with its entries.
    Item(ItemKey),
    /// An entry outside items.
    Entry(EntryPath),
    /// A verdict or ruling.
    Decision(DecisionId),
    /// A key in a container that is none of the above.
    Foreign {
        /// The container.
        container: String,
        /// The key in it.
        key: String,
    },
    /// The keys beside the containers.
    Top,
}

impl Unit {
    /// What is under this key of a document's container.
    pub(crate) fn at(container: &str, key: &str) -> Self {
        let foreign = || Self::Foreign { container: container.to_owned(), key: key.to_owned() };
        if let Ok(kind) = container.parse::<ItemKind>() {
            return key.parse().map_or_else(|_| foreign(), |item| Self::Item(ItemKey { kind, item }));
        }
        match container {
            "verdicts" | "rulings" => key.parse().map_or_else(|_| foreign(), Self::Decision),
            _ => format!("{container}/{key}").parse().map_or_else(|_| foreign(), Self::Entry),
        }
    }
}

/// What changed in one document: the parts to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The document.
    pub kind: DocumentKind,
    /// Its changed parts.
    pub units: BTreeSet<Unit>,
    /// Deletions among the changes, which only foreign clients write.
    pub(crate) deletes: Vec<Delete>,
}

/// A deletion in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delete {
    pub(crate) op: OpId,
    /// The part of the document that it is in.
    pub(crate) unit: Unit,
    /// The claim or decision that it is inside of.
    pub(crate) inside: Option<OpId>,
    /// The object from which something is deleted.
    pub(crate) object: ObjId,
    /// The keys from the unit to what is deleted, for people.
    pub(crate) keys: Vec<String>,
    /// The key deleted; none for an element of a list or text.
    pub(crate) key: Option<String>,
    /// The ops whose values are deleted.
    pub(crate) gone: Vec<ObjId>,
}

impl Changed {
    /// What these changes touch, all of which the document must hold already.
    /// The work grows with the changes and not with the document.
    ///
    /// Patches are not enough for this: Automerge reports no patch for a value
    /// that loses against a concurrent one, and such a value is a candidate.
    #[must_use]
    pub fn by(kind: DocumentKind, doc: &Automerge, changes: &[Change]) -> Self {
        let mut places = Places { kind, doc, of: HashMap::new() };
        let mut changed = Self { kind, units: BTreeSet::new(), deletes: Vec::new() };
        for change in changes {
            each_op(change, |id, op| {
                let unit = places.unit(&op);
                if matches!(op.action, legacy::OpType::Delete) {
                    changed.deletes.extend(places.delete(id, &op, unit.clone()));
                }
                changed.units.insert(unit);
            });
        }
        changed
    }

    /// What changed since the document had these heads.
    #[must_use]
    pub fn since(kind: DocumentKind, doc: &Automerge, before: &[ChangeHash]) -> Self {
        Self::by(kind, doc, &doc.get_changes(before))
    }
}

/// Calls for every operation of a change, with its id.
pub(crate) fn each_op(change: &Change, mut call: impl FnMut(ObjId, legacy::Op)) {
    let actor = change.actor_id();
    for (counter, op) in (change.start_op().get()..).zip(change.decode().operations) {
        call(ObjId::Id(counter, actor.clone(), 0), op);
    }
}

/// Where objects are in a document.
pub(crate) struct Places<'a> {
    kind: DocumentKind,
    doc: &'a Automerge,
    /// Looked up by object, never iterated: the order of a hash map is random.
    of: HashMap<legacy::ObjectId, Place>,
}

/// The way from a container of the genesis to an object; empty for objects
/// that are elsewhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The keys, the container's first. Elements of lists have none.
    pub(crate) keys: Vec<String>,
    /// The objects under these keys.
    pub(crate) objects: Vec<ObjId>,
}

impl Place {
    /// The claim's or decision's map that the object is or is inside of.
    pub(crate) fn inside(&self) -> Option<&ObjId> {
        let of_item = self.keys.first()?.parse::<ItemKind>().is_ok();
        self.objects.get(if of_item { 2 } else { 1 })
    }
}

impl<'a> Places<'a> {
    pub(crate) fn new(kind: DocumentKind, doc: &'a Automerge) -> Self {
        Self { kind, doc, of: HashMap::new() }
    }

    pub(crate) fn of(&mut self, object: &legacy::ObjectId) -> &Place {
        self.of.entry(object.clone()).or_insert_with(|| place(self.doc, self.kind, object))
    }

    fn unit(&mut self, op: &legacy::Op) -> Unit {
        let place = self.of(&op.obj);
        let mut keys = place.keys.iter().map(String::as_str).chain(key(op));
        match (place.keys.is_empty(), keys.next(), keys.next()) {
            (false, Some(container), Some(key)) => Unit::at(container, key),
            _ => Unit::Top,
        }
    }

    fn delete(&mut self, id: ObjId, op: &legacy::Op, unit: Unit) -> Option<Delete> {
        let place = self.of(&op.obj);
        let gone = op.pred.iter().map(|id| ObjId::Id(id.0, id.1.clone(), 0)).collect();
        Some(Delete {
            op: op_id(&id)?,
            unit,
            inside: place.inside().and_then(op_id),
            object: object_id(&op.obj),
            keys: place.keys.iter().map(String::as_str).chain(key(op)).map(str::to_owned).collect(),
            key: key(op).map(str::to_owned),
            gone,
        })
    }
}

pub(crate) fn key(op: &legacy::Op) -> Option<&str> {
    match &op.key {
        legacy::Key::Map(key) => Some(key.as_str()),
        legacy::Key::Seq(_) => None,
    }
}

pub(crate) fn object_id(object: &legacy::ObjectId) -> ObjId {
    match object {
        legacy::ObjectId::Root => ObjId::Root,
        legacy::ObjectId::Id(legacy::OpId(counter, actor)) => ObjId::Id(*counter, actor.clone(), 0),
    }
}

fn place(doc: &Automerge, kind: DocumentKind, object: &legacy::ObjectId) -> Place {
    let mut id = object_id(object);
    let Ok(parents) = doc.parents(&id) else { return Place::default() };
    let mut place = Place::default();
    for parent in parents {
        place.keys.push(match parent.prop {
            Prop::Map(key) => key,
            Prop::Seq(_) => String::new(),
        });
        place.objects.push(id);
        id = parent.obj;
    }
    place.keys.reverse();
    place.objects.reverse();
    let own = place.keys.first().and_then(|name| genesis::container(kind, name));
    if own.is_some() && own.as_ref() == place.objects.first() { place } else { Place::default() }
}

/// The deletions of a document, by where they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletes {
    pub(crate) by_unit: BTreeMap<Unit, BTreeMap<OpId, Delete>>,
    /// The deletions inside each claim or decision.
    pub(crate) inside: BTreeMap<OpId, BTreeSet<OpId>>,
}

impl Deletes {
    /// All deletions of a document. Costs a walk through its history only
    /// where there are any: an operation that deletes has a number but is not
    /// kept, so the numbers tell.
    pub(crate) fn of(kind: DocumentKind, doc: &Automerge) -> Self {
        let mut deletes = Self::default();
        let metas = doc.get_changes_meta(&[]);
        let numbers = metas.iter().fold(0_u64, |sum, meta| {
            sum.saturating_add(meta.max_op.saturating_add(1).saturating_sub(meta.start_op))
        });
        if numbers != doc.stats().num_ops {
            deletes.add(Changed::since(kind, doc, &[]).deletes);
        }
        deletes
    }

    pub(crate) fn add(&mut self, more: impl IntoIterator<Item = Delete>) {
        for delete in more {
            if let Some(inside) = &delete.inside {
                self.inside.entry(inside.clone()).or_default().insert(delete.op.clone());
            }
            self.by_unit.entry(delete.unit.clone()).or_default().insert(delete.op.clone(), delete);
        }
    }
}
