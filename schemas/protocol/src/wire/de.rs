//! CBOR to messages. The whole frame is read into one flat struct of optional
//! fields, because an internally tagged enum would buffer everything first.

use duxue_document::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::BoolDeserializer;
use serde::de::value::{BorrowedBytesDeserializer, BytesDeserializer, StrDeserializer, StringDeserializer};
use serde::de::value::{F64Deserializer, MapAccessDeserializer, SeqAccessDeserializer, U64Deserializer};
use serde::de::{Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::{Message, Metadata, StorageHeads, WireError};

/// Integers above this do not survive JavaScript.
const MAX_JS_INTEGER: u64 = 1 << 53;

pub(super) fn message(frame: &[u8]) -> Result<Message, WireError> {
    let fields: Fields = serde_cbor::from_slice(frame)
        .map_err(|error| WireError::NotAMessage { reason: error.to_string() })?;
    fields.into_message()
}

/// Every field of every message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    sender_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    target_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    document_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    data: Option<serde_bytes::ByteBuf>,
    #[serde(default, deserialize_with = "lenient")]
    count: Option<JsInteger>,
    #[serde(default, deserialize_with = "lenient")]
    session_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    peer_metadata: Option<MetadataFields>,
    #[serde(default, deserialize_with = "lenient")]
    metadata: Option<MetadataFields>,
    #[serde(default, deserialize_with = "lenient")]
    supported_protocol_versions: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    selected_protocol_version: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    add: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    remove: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    new_heads: Option<BTreeMap<String, StorageHeadsFields>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataFields {
    #[serde(default, deserialize_with = "lenient")]
    storage_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    is_ephemeral: Option<bool>,
}

#[derive(Deserialize)]
struct StorageHeadsFields {
    #[serde(default, deserialize_with = "lenient")]
    heads: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    timestamp: Option<JsInteger>,
}

impl Fields {
    pub(super) fn into_message(self) -> Result<Message, WireError> {
        let metadata = self.peer_metadata.or(self.metadata).map(Metadata::from).unwrap_or_default();
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
                data: required("data", self.data)?.into_vec(),
            },
            "sync" => Message::Sync {
                sender_id: required("senderId", self.sender_id)?,
                target_id: required("targetId", self.target_id)?,
                document_id: required("documentId", self.document_id)?,
                data: required("data", self.data)?.into_vec(),
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
                count: required("count", self.count)?.0,
                session_id: required("sessionId", self.session_id)?,
                data: required("data", self.data)?.into_vec(),
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
                new_heads: required("newHeads", self.new_heads)?
                    .into_iter()
                    .map(|(store, heads)| (store, heads.into()))
                    .collect(),
            },
            _ => Message::Unknown { kind: self.kind },
        })
    }
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError::NotAMessage { reason: format!("no {field}") })
}

impl From<MetadataFields> for Metadata {
    fn from(fields: MetadataFields) -> Self {
        Self { storage_id: fields.storage_id, is_ephemeral: fields.is_ephemeral }
    }
}

impl From<StorageHeadsFields> for StorageHeads {
    fn from(fields: StorageHeadsFields) -> Self {
        Self {
            heads: fields.heads.unwrap_or_default(),
            timestamp: fields.timestamp.map_or(0, |JsInteger(integer)| integer),
        }
    }
}

/// An integer of JavaScript: above 2^32 it comes as a float.
struct JsInteger(u64);

impl<'de> Deserialize<'de> for JsInteger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer;
        impl Visitor<'_> for Integer {
            type Value = JsInteger;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer from 0 to 2^53")
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<JsInteger, E> {
                if value > MAX_JS_INTEGER {
                    return Err(E::custom("an integer above 2^53"));
                }
                Ok(JsInteger(value))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<JsInteger, E> {
                // The cast saturates and drops fractions; casting back shows
                // whether it changed anything, without comparing floats.
                let integer = value as u64;
                if (integer as f64).to_bits() != value.to_bits() {
                    return Err(E::custom("not a whole number"));
                }
                self.visit_u64(integer)
            }
        }
        deserializer.deserialize_any(Integer)
    }
}

/// Reads `null`, `undefined` and nothing as `None`. serde_cbor's own `Option`
/// takes only `null`, and JavaScript sends `undefined`.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Lenient(PhantomData))
}

struct Lenient<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Lenient<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, null or undefined")
    }
    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        let deserializer: BoolDeserializer<E> = value.into_deserializer();
        T::deserialize(deserializer).map(Some)
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let deserializer: U64Deserializer<E> = value.into_deserializer();
        T::deserialize(deserializer).map(Some)
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        let deserializer: F64Deserializer<E> = value.into_deserializer();
        T::deserialize(deserializer).map(Some)
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        let deserializer: StrDeserializer<'_, E> = value.into_deserializer();
        T::deserialize(deserializer).map(Some)
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
        let deserializer: StringDeserializer<E> = value.into_deserializer();
        T::deserialize(deserializer).map(Some)
    }
    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Self::Value, E> {
        T::deserialize(BytesDeserializer::new(value)).map(Some)
    }
    fn visit_borrowed_bytes<E: Error>(self, value: &'de [u8]) -> Result<Self::Value, E> {
        T::deserialize(BorrowedBytesDeserializer::new(value)).map(Some)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        T::deserialize(SeqAccessDeserializer::new(members)).map(Some)
    }
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(Some)
    }
}
