//! What the store knows of photos. Values are JSON; keys begin with the
//! photo's hash.

use std::collections::BTreeSet;

use duxue_document::{Decimal, DeviceId, PersonId, PhotoHash, RoundId, SchoolId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::{Record, Store, StoreError};

const PHOTOS: &str = "photos";
const LINKS: &str = "photo_links";
const FACTS: &str = "photo_facts";

/// A photo whose bytes are durable: how it first came here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoRow {
    /// Bytes.
    pub length: u64,
    /// By content, never by what the sender says.
    pub media_type: String,
    /// Who sent it first.
    pub person: PersonId,
    /// From which device.
    pub device: Option<DeviceId>,
    /// Server clock, ms since 1970 UTC.
    pub received_ms: i64,
    /// The round it was first sent for.
    pub round: RoundId,
    /// The school.
    pub school: SchoolId,
}

/// A school that a photo was sent for. The same photo may be sent for
/// several; each link is kept, because a re-used photo is a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRow {
    /// The round.
    pub round: RoundId,
    /// The school.
    pub school: SchoolId,
    /// Who.
    pub person: PersonId,
    /// From which device.
    pub device: Option<DeviceId>,
    /// Server clock, ms since 1970 UTC.
    pub received_ms: i64,
}

/// What could be derived from a photo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoFacts {
    /// Whether there is a thumbnail.
    pub derivation: Derivation,
    /// What the photo says of itself; claims, not proof.
    pub claims: Claims,
}

/// Whether a photo could be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Derivation {
    /// A thumbnail is there.
    Done {
        /// Of the original as stored, in pixels.
        width: u32,
        /// Of the original as stored, in pixels.
        height: u32,
    },
    /// A kind that is kept but not decoded here, such as HEIC.
    Opaque,
    /// Damaged, or beyond the limits. The original is kept.
    Undecodable {
        /// Stable code: `truncated`, `too_large`, `malformed`.
        reason: String,
    },
}

/// What EXIF says: easily forged, so shown beside the server's own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `YYYY-MM-DD HH:MM:SS` by the camera's clock, of no stated zone.
    pub taken: Option<String>,
    /// EXIF orientation, 1 to 8.
    pub orientation: Option<u32>,
    /// Degrees north.
    pub latitude: Option<Decimal>,
    /// Degrees east.
    pub longitude: Option<Decimal>,
}

fn put<V: Serialize>(table: &str, key: Vec<u8>, value: &V) -> Result<Record, StoreError> {
    let value = serde_json::to_vec(value).map_err(|error| StoreError::Damaged(error.to_string()))?;
    Ok(Record::Row { table: table.to_owned(), key, value: Some(value.into()) })
}

fn read<V: DeserializeOwned>(table: &str, value: &[u8]) -> Result<V, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Damaged(format!("a row of {table}: {error}")))
}

pub(super) fn put_photo(hash: &PhotoHash, row: &PhotoRow) -> Result<Record, StoreError> {
    put(PHOTOS, hash.0.to_vec(), row)
}

pub(super) fn put_link(hash: &PhotoHash, row: &LinkRow) -> Result<Record, StoreError> {
    let key =
        [hash.0.as_slice(), row.round.as_str().as_bytes(), b"\0", row.school.as_str().as_bytes()].concat();
    put(LINKS, key, row)
}

pub(super) fn put_facts(hash: &PhotoHash, row: &PhotoFacts) -> Result<Record, StoreError> {
    put(FACTS, hash.0.to_vec(), row)
}

pub(super) async fn photo(store: &dyn Store, hash: &PhotoHash) -> Result<Option<PhotoRow>, StoreError> {
    store.row(PHOTOS, hash.0.to_vec()).await?.map(|value| read(PHOTOS, &value)).transpose()
}

pub(super) async fn facts(store: &dyn Store, hash: &PhotoHash) -> Result<Option<PhotoFacts>, StoreError> {
    store.row(FACTS, hash.0.to_vec()).await?.map(|value| read(FACTS, &value)).transpose()
}

pub(super) async fn links(store: &dyn Store, hash: &PhotoHash) -> Result<Vec<LinkRow>, StoreError> {
    let rows = store.rows(LINKS, hash.0.to_vec()).await?;
    rows.iter().map(|(_, value)| read(LINKS, value)).collect()
}

/// The photos without facts: what is still to be derived.
pub(super) async fn backlog(store: &dyn Store) -> Result<Vec<PhotoHash>, StoreError> {
    let done: BTreeSet<Vec<u8>> =
        store.rows(FACTS, Vec::new()).await?.into_iter().map(|(key, _)| key).collect();
    let photos = store.rows(PHOTOS, Vec::new()).await?.into_iter().map(|(key, _)| key);
    Ok(photos
        .filter(|key| !done.contains(key))
        .filter_map(|key| Some(PhotoHash(key.try_into().ok()?)))
        .collect())
}
