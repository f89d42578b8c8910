//! Which parts of a document a change touches.

use std::collections::{BTreeSet, HashMap};

use automerge::{Automerge, Change, ChangeHash, ObjId, Prop, ReadDoc, legacy};

use crate::path::{ItemKey, ItemKind};
use crate::{DecisionId, DocumentKind, EntryPath, genesis};

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
        let mut units = BTreeSet::new();
        for change in changes {
            for op in change.decode().operations {
                let key = match &op.key {
                    legacy::Key::Map(key) => Some(key.as_str()),
                    legacy::Key::Seq(_) => None,
                };
                units.insert(places.unit(&op.obj, key));
            }
        }
        Self { kind, units }
    }

    /// What changed since the document had these heads.
    #[must_use]
    pub fn since(kind: DocumentKind, doc: &Automerge, before: &[ChangeHash]) -> Self {
        Self::by(kind, doc, &doc.get_changes(before))
    }
}

/// Where objects are in a document.
struct Places<'a> {
    kind: DocumentKind,
    doc: &'a Automerge,
    /// Looked up by object, never iterated: the order of a hash map is random.
    of: HashMap<legacy::ObjectId, Vec<String>>,
}

impl Places<'_> {
    /// The unit that holds the key `key` of this object.
    fn unit(&mut self, obj: &legacy::ObjectId, key: Option<&str>) -> Unit {
        let doc = self.doc;
        let kind = self.kind;
        let path = self.of.entry(obj.clone()).or_insert_with(|| path(doc, kind, obj));
        let mut keys = path.iter().map(String::as_str).chain(key);
        match (keys.next(), keys.next()) {
            (Some(container), Some(key)) if !container.is_empty() => Unit::at(container, key),
            _ => Unit::Top,
        }
    }
}

/// The keys on the way from the root to an object, its container first. Empty
/// where it is not in a container of the genesis.
fn path(doc: &Automerge, kind: DocumentKind, obj: &legacy::ObjectId) -> Vec<String> {
    let legacy::ObjectId::Id(legacy::OpId(counter, actor)) = obj else { return Vec::new() };
    let mut id = ObjId::Id(*counter, actor.clone(), 0);
    let mut keys = Vec::new();
    let Ok(parents) = doc.parents(&id) else { return Vec::new() };
    for parent in parents {
        // Two elements of a list are in the same unit; their place is no key.
        keys.push(match parent.prop {
            Prop::Map(key) => key,
            Prop::Seq(_) => String::new(),
        });
        if parent.obj == ObjId::Root {
            let own = keys.last().and_then(|name| genesis::container(kind, name));
            if own.as_ref() != Some(&id) {
                return Vec::new();
            }
        }
        id = parent.obj;
    }
    keys.reverse();
    keys
}
