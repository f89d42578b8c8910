//! Messages to CBOR.

use duxue_document::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_bytes::Bytes;

use super::{Message, Metadata, StorageHeads};

/// A message as one CBOR map.
pub(super) struct Frame<'a>(pub &'a Message);

#[expect(clippy::disallowed_methods, reason = "this is serde_cbor's module for the wire")]
pub(super) fn frame(message: &Message) -> Vec<u8> {
    // Serialising into memory fails only for a map without a known length,
    // and every map here is collected before it is written.
    serde_cbor::to_vec(&Frame(message)).unwrap_or_default()
}

/// The fields of a map, collected first because serde_cbor writes the
/// indefinite form, which samod refuses, when the length is not known.
#[derive(Default)]
struct Fields<'a>(Vec<(&'static str, Field<'a>)>);

enum Field<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Flag(bool),
    Integer(u64),
    Texts(&'a [String]),
    Metadata(&'a Metadata),
    NewHeads(&'a BTreeMap<String, StorageHeads>),
}

impl<'a> Fields<'a> {
    fn of(kind: &'a str) -> Self {
        Self(vec![("type", Field::Text(kind))])
    }

    fn with(mut self, key: &'static str, field: Field<'a>) -> Self {
        self.0.push((key, field));
        self
    }

    fn text(self, key: &'static str, text: &'a str) -> Self {
        self.with(key, Field::Text(text))
    }

    fn some_text(self, key: &'static str, text: Option<&'a String>) -> Self {
        match text {
            Some(text) => self.text(key, text),
            None => self,
        }
    }

    fn some_texts(self, key: &'static str, texts: &'a [String]) -> Self {
        if texts.is_empty() { self } else { self.with(key, Field::Texts(texts)) }
    }

    fn between(self, sender_id: &'a str, target_id: &'a str) -> Self {
        self.text("senderId", sender_id).text("targetId", target_id)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, field) in &self.0 {
            map.serialize_entry(key, field)?;
        }
        map.end()
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => Bytes::new(bytes).serialize(serializer),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Integer(integer) => JsInteger(*integer).serialize(serializer),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Metadata(metadata) => metadata_fields(metadata).serialize(serializer),
            Self::NewHeads(stores) => {
                let mut map = serializer.serialize_map(Some(stores.len()))?;
                for (store, heads) in *stores {
                    map.serialize_entry(store, &storage_heads_fields(heads))?;
                }
                map.end()
            }
        }
    }
}

/// An integer as JavaScript writes it: a 64-bit CBOR integer would reach it
/// as a `BigInt`, which does not mix with numbers.
struct JsInteger(u64);

impl Serialize for JsInteger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u32::try_from(self.0) {
            Ok(small) => serializer.serialize_u32(small),
            Err(_) => serializer.serialize_f64(self.0 as f64),
        }
    }
}

fn metadata_fields(metadata: &Metadata) -> Fields<'_> {
    let fields = Fields::default().some_text("storageId", metadata.storage_id.as_ref());
    match metadata.is_ephemeral {
        Some(flag) => fields.with("isEphemeral", Field::Flag(flag)),
        None => fields,
    }
}

fn storage_heads_fields(heads: &StorageHeads) -> Fields<'_> {
    Fields::default()
        .with("heads", Field::Texts(&heads.heads))
        .with("timestamp", Field::Integer(heads.timestamp))
}

impl Serialize for Frame<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fields(self.0).serialize(serializer)
    }
}

fn fields(message: &Message) -> Fields<'_> {
    match message {
        Message::Join { sender_id, metadata, supported_protocol_versions } => Fields::of("join")
            .text("senderId", sender_id)
            .with("peerMetadata", Field::Metadata(metadata))
            .with("supportedProtocolVersions", Field::Texts(supported_protocol_versions)),
        Message::Peer { sender_id, metadata, selected_protocol_version, target_id } => Fields::of("peer")
            .between(sender_id, target_id)
            .with("peerMetadata", Field::Metadata(metadata))
            .text("selectedProtocolVersion", selected_protocol_version),
        Message::Error { sender_id, message, target_id, document_id } => Fields::of("error")
            .some_text("senderId", sender_id.as_ref())
            .text("message", message)
            .some_text("targetId", target_id.as_ref())
            .some_text("documentId", document_id.as_ref()),
        Message::Leave { sender_id } => Fields::of("leave").text("senderId", sender_id),
        Message::Request { sender_id, target_id, document_id, data } => {
            sync_fields("request", sender_id, target_id, document_id, data)
        }
        Message::Sync { sender_id, target_id, document_id, data } => {
            sync_fields("sync", sender_id, target_id, document_id, data)
        }
        Message::DocUnavailable { sender_id, target_id, document_id } => {
            Fields::of("doc-unavailable").between(sender_id, target_id).text("documentId", document_id)
        }
        Message::Ephemeral { sender_id, target_id, document_id, count, session_id, data } => {
            sync_fields("ephemeral", sender_id, target_id, document_id, data)
                .with("count", Field::Integer(*count))
                .text("sessionId", session_id)
        }
        Message::RemoteSubscriptionChange { sender_id, target_id, add, remove } => {
            Fields::of("remote-subscription-change")
                .between(sender_id, target_id)
                .some_texts("add", add)
                .some_texts("remove", remove)
        }
        Message::RemoteHeadsChanged { sender_id, target_id, document_id, new_heads } => {
            Fields::of("remote-heads-changed")
                .between(sender_id, target_id)
                .text("documentId", document_id)
                .with("newHeads", Field::NewHeads(new_heads))
        }
        Message::Unknown { kind } => Fields::of(kind),
    }
}

fn sync_fields<'a>(
    kind: &'a str,
    sender_id: &'a str,
    target_id: &'a str,
    document_id: &'a str,
    data: &'a [u8],
) -> Fields<'a> {
    Fields::of(kind)
        .between(sender_id, target_id)
        .text("documentId", document_id)
        .with("data", Field::Bytes(data))
}
