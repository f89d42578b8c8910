//! CBOR to messages. One visitor takes all that a frame holds: serde_cbor's
//! whole parser is there once more for every type that it reads, and was a
//! sixteenth of what a phone downloads. The fields are read from what it took,
//! and unknown ones are passed over without being kept.

use duxue_document::collections::BTreeMap;
use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Message, Metadata, StorageHeads, WireError};

/// Integers above this do not survive JavaScript.
const MAX_JS_INTEGER: u64 = 1 << 53;

/// Every field of every message.
const FIELDS: [&str; 15] = [
    "type",
    "senderId",
    "targetId",
    "documentId",
    "data",
    "count",
    "sessionId",
    "message",
    "peerMetadata",
    "metadata",
    "supportedProtocolVersions",
    "selectedProtocolVersion",
    "add",
    "remove",
    "newHeads",
];

pub(super) fn message(frame: &[u8]) -> Result<Message, WireError> {
    let read = serde_cbor::from_slice(frame);
    let Read(message) = read.map_err(|error| WireError::NotAMessage { reason: error.to_string() })?;
    message
}

/// What a frame says, typed; that of other messages too, which must fit as well.
struct Fields {
    kind: String,
    sender_id: Option<String>,
    target_id: Option<String>,
    document_id: Option<String>,
    data: Option<Vec<u8>>,
    count: Option<u64>,
    session_id: Option<String>,
    message: Option<String>,
    peer_metadata: Option<Metadata>,
    metadata: Option<Metadata>,
    supported_protocol_versions: Option<Vec<String>>,
    selected_protocol_version: Option<String>,
    add: Option<Vec<String>>,
    remove: Option<Vec<String>>,
    new_heads: Option<BTreeMap<String, StorageHeads>>,
}

impl Fields {
    fn read(mut named: Named<'_>) -> Result<Self, WireError> {
        Ok(Self {
            kind: required("type", named.text("type")?)?,
            sender_id: named.text("senderId")?,
            target_id: named.text("targetId")?,
            document_id: named.text("documentId")?,
            data: named.bytes("data")?,
            count: named.integer("count")?,
            session_id: named.text("sessionId")?,
            message: named.text("message")?,
            peer_metadata: named.metadata("peerMetadata")?,
            metadata: named.metadata("metadata")?,
            supported_protocol_versions: named.texts("supportedProtocolVersions")?,
            selected_protocol_version: named.text("selectedProtocolVersion")?,
            add: named.texts("add")?,
            remove: named.texts("remove")?,
            new_heads: named.new_heads()?,
        })
    }

    fn into_message(self) -> Result<Message, WireError> {
        let metadata = self.peer_metadata.or(self.metadata).unwrap_or_default();
        Ok(match self.kind.as_str() {
            "join" => Message::Join {
                sender_id: required("senderId", self.sender_id)?,
                metadata,
                supported_protocol_versions: self.supported_protocol_versions.unwrap_or_default(),
            },
            "peer" => Message::Peer {
                sender_id: required("senderId", self.sender_id)?,
                metadata,
                selected_protocol_version: required(
                    "selectedProtocolVersion",
                    self.selected_protocol_version,
                )?,
                target_id: required("targetId", self.target_id)?,
            },
            "error" => Message::Error {
                sender_id: self.sender_id,
                message: self.message.unwrap_or_default(),
                target_id: self.target_id,
                document_id: self.document_id,
            },
            "leave" => Message::Leave { sender_id: required("senderId", self.sender_id)? },
            "request" => Message::Request {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                document_id: required("documentId", self.document_id)?,
                data: required("data", self.data)?,
            },
            "sync" => Message::Sync {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                document_id: required("documentId", self.document_id)?,
                data: required("data", self.data)?,
            },
            "doc-unavailable" => Message::DocUnavailable {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                document_id: required("documentId", self.document_id)?,
            },
            "ephemeral" => Message::Ephemeral {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                document_id: required("documentId", self.document_id)?,
                count: required("count", self.count)?,
                session_id: required("sessionId", self.session_id)?,
                data: required("data", self.data)?,
            },
            "remote-subscription-change" => Message::RemoteSubscriptionChange {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                add: self.add.unwrap_or_default(),
                remove: self.remove.unwrap_or_default(),
            },
            "remote-heads-changed" => Message::RemoteHeadsChanged {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                document_id: required("documentId", self.document_id)?,
                new_heads: required("newHeads", self.new_heads)?,
            },
            _ => Message::Unknown { kind: self.kind },
        })
    }
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::NotAMessage { reason: format!("no {field}") })
}

fn wrong(field: &str, wanted: &str) -> WireError {
    WireError::NotAMessage { reason: format!("{field} is not {wanted}") }
}

/// The fields of a map.
struct Named<'de>(Vec<(Cow<'de, str>, Item<'de>)>);

impl<'de> Named<'de> {
    /// A field, which must not be there twice. `null`, `undefined` and nothing
    /// are the same: JavaScript sends each.
    fn take(&mut self, field: &str) -> Result<Item<'de>, WireError> {
        let mut found = None;
        for (name, item) in &mut self.0 {
            if name == field && found.replace(std::mem::replace(item, Item::Nothing)).is_some() {
                return Err(WireError::NotAMessage { reason: format!("{field} is there twice") });
            }
        }
        Ok(found.unwrap_or(Item::Nothing))
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, WireError> {
        match self.take(field)? {
            Item::Nothing => Ok(None),
            item => item.text(field).map(Some),
        }
    }

    fn texts(&mut self, field: &str) -> Result<Option<Vec<String>>, WireError> {
        match self.take(field)? {
            Item::Nothing => Ok(None),
            Item::List(members) => {
                members.into_iter().map(|member| member.text(field)).collect::<Result<_, _>>().map(Some)
            }
            _ => Err(wrong(field, "a list of texts")),
        }
    }

    fn bytes(&mut self, field: &str) -> Result<Option<Vec<u8>>, WireError> {
        let wrong = || wrong(field, "bytes");
        match self.take(field)? {
            Item::Nothing => Ok(None),
            Item::Bytes(bytes) => Ok(Some(bytes.into_owned())),
            Item::Text(text) => Ok(Some(text.into_owned().into_bytes())),
            // An array of JavaScript.
            Item::List(members) => members
                .into_iter()
                .map(|member| match member {
                    Item::Integer(byte) => u8::try_from(byte).map_err(|_| wrong()),
                    _ => Err(wrong()),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            _ => Err(wrong()),
        }
    }

    /// An integer of JavaScript: above 2^32 it comes as a float.
    fn integer(&mut self, field: &str) -> Result<Option<u64>, WireError> {
        let integer = match self.take(field)? {
            Item::Nothing => return Ok(None),
            Item::Integer(integer) => Some(integer),
            Item::Float(float) => {
                // The cast saturates and drops fractions; casting back shows
                // whether it changed anything, without comparing floats.
                let integer = float as u64;
                ((integer as f64).to_bits() == float.to_bits()).then_some(integer)
            }
            _ => None,
        };
        let integer = integer.filter(|integer| *integer <= MAX_JS_INTEGER);
        integer.map(Some).ok_or_else(|| wrong(field, "an integer from 0 to 2^53"))
    }

    fn metadata(&mut self, field: &str) -> Result<Option<Metadata>, WireError> {
        let mut named = match self.take(field)? {
            Item::Nothing => return Ok(None),
            item => item.map(field)?,
        };
        let is_ephemeral = match named.take("isEphemeral")? {
            Item::Nothing => None,
            Item::Bool(is) => Some(is),
            _ => return Err(wrong("isEphemeral", "yes or no")),
        };
        Ok(Some(Metadata { storage_id: named.text("storageId")?, is_ephemeral }))
    }

    fn new_heads(&mut self) -> Result<Option<BTreeMap<String, StorageHeads>>, WireError> {
        let Named(stores) = match self.take("newHeads")? {
            Item::Nothing => return Ok(None),
            item => item.map("newHeads")?,
        };
        let heads = |(store, item): (Cow<'de, str>, Item<'de>)| {
            let mut named = item.map("newHeads")?;
            let heads = StorageHeads {
                heads: named.texts("heads")?.unwrap_or_default(),
                timestamp: named.integer("timestamp")?.unwrap_or_default(),
            };
            Ok((store.into_owned(), heads))
        };
        stores.into_iter().map(heads).collect::<Result<_, _>>().map(Some)
    }
}

/// What stands in a field.
enum Item<'de> {
    /// `null`, `undefined`, or something that was passed over.
    Nothing,
    Bool(bool),
    Integer(u64),
    Float(f64),
    Text(Cow<'de, str>),
    Bytes(Cow<'de, [u8]>),
    List(Vec<Self>),
    Map(Named<'de>),
    /// What no field is: a negative integer.
    Other,
}

impl<'de> Item<'de> {
    fn text(self, field: &str) -> Result<String, WireError> {
        match self {
            Self::Text(text) => Ok(text.into_owned()),
            Self::Bytes(bytes) => {
                String::from_utf8(bytes.into_owned()).map_err(|_| wrong(field, "text in UTF-8"))
            }
            _ => Err(wrong(field, "text")),
        }
    }

    fn map(self, field: &str) -> Result<Named<'de>, WireError> {
        match self {
            Self::Map(named) => Ok(named),
            _ => Err(wrong(field, "a map")),
        }
    }
}

/// A frame's message, or why it is none.
pub(super) struct Read(pub Result<Message, WireError>);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Take::Known.deserialize(deserializer)? {
            Item::Map(named) => Ok(Self(Fields::read(named).and_then(Fields::into_message))),
            _ => Err(D::Error::custom("not a map")),
        }
    }
}

/// How much of an item is kept. The walk before has bounded how much there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    /// Of a map the fields that a message can have.
    Known,
    Whole,
    Nothing,
}

impl<'de> DeserializeSeed<'de> for Take {
    type Value = Item<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Item<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Take {
    /// The item, if it is kept. Made only then: a text may have to be copied.
    fn keep<'de>(self, item: impl FnOnce() -> Item<'de>) -> Item<'de> {
        if self == Self::Whole { item() } else { Item::Nothing }
    }
}

impl<'de> Visitor<'de> for Take {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }
    fn visit_none<E>(self) -> Result<Item<'de>, E> {
        Ok(Item::Nothing)
    }
    fn visit_unit<E>(self) -> Result<Item<'de>, E> {
        Ok(Item::Nothing)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Bool(value)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Integer(value)))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Other))
    }
    fn visit_i128<E>(self, _: i128) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Other))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Float(value)))
    }
    fn visit_str<E>(self, value: &str) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Text(Cow::Owned(value.to_owned()))))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Text(Cow::Borrowed(value))))
    }
    fn visit_bytes<E>(self, value: &[u8]) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Bytes(Cow::Owned(value.to_owned()))))
    }
    fn visit_borrowed_bytes<E>(self, value: &'de [u8]) -> Result<Item<'de>, E> {
        Ok(self.keep(|| Item::Bytes(Cow::Borrowed(value))))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Item<'de>, A::Error> {
        let inside = if self == Self::Whole { self } else { Self::Nothing };
        let mut list = Vec::new();
        while let Some(member) = members.next_element_seed(inside)? {
            if inside == Self::Whole {
                list.push(member);
            }
        }
        Ok(self.keep(|| Item::List(list)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Item<'de>, A::Error> {
        let name = if self == Self::Nothing { self } else { Self::Whole };
        let mut named = Vec::new();
        while let Some(name) = entries.next_key_seed(name)? {
            let known = match name {
                Item::Text(name) if self == Self::Whole || FIELDS.contains(&&*name) => Some(name),
                _ => None,
            };
            let value = entries.next_value_seed(if known.is_some() { Self::Whole } else { Self::Nothing })?;
            named.extend(known.map(|known| (known, value)));
        }
        Ok(if self == Self::Nothing { Item::Nothing } else { Item::Map(Named(named)) })
    }
}
