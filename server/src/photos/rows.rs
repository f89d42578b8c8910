//! What the store knows of photos. Values are JSON; keys begin with the
//! photo's hash.

use std::collections::BTreeSet;

use duxue_document::{Decimal, DeviceId, PersonId, PhotoHash, RoundId, SchoolId};
use serde::{Deserialize, Serialize};

use crate::rows::Table;
use crate::store::{Record, Store, StoreError};

const PHOTOS: Table<PhotoRow> = Table::new("photos");
const LINKS: Table<LinkRow> = Table::new("photo_links");
const FACTS: Table<PhotoFacts> = Table::new("photo_facts");
const ATTEMPTS: Table<Attempts> = Table::new("photo_attempts");

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
    pub claims: Exif,
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
        /// Stable code: `truncated`, `too_large`, `malformed`, or `gave_up`
        /// where no attempt came back.
        reason: String,
    },
}

impl Derivation {
    /// Whether a thumbnail was made.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// Attempts to decode a photo that did not come back, or not yet: the server
/// may have ended with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Attempts {
    began: u32,
}

/// What EXIF says: easily forged, so shown beside the server's own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exif {
    /// `YYYY-MM-DD HH:MM:SS` by the camera's clock, of no stated zone.
    pub taken: Option<String>,
    /// EXIF orientation, 1 to 8.
    pub orientation: Option<u32>,
    /// Degrees north.
    pub latitude: Option<Decimal>,
    /// Degrees east.
    pub longitude: Option<Decimal>,
}

pub(super) fn put_photo(hash: &PhotoHash, row: &PhotoRow) -> Result<Record, StoreError> {
    PHOTOS.put(&hash.0, row)
}

pub(super) fn put_link(hash: &PhotoHash, row: &LinkRow) -> Result<Record, StoreError> {
    let key =
        [hash.0.as_slice(), row.round.as_str().as_bytes(), b"\0", row.school.as_str().as_bytes()].concat();
    LINKS.put(&key, row)
}

pub(super) fn put_facts(hash: &PhotoHash, row: &PhotoFacts) -> Result<Record, StoreError> {
    FACTS.put(&hash.0, row)
}

pub(super) fn put_attempts(hash: &PhotoHash, began: u32) -> Result<Record, StoreError> {
    ATTEMPTS.put(&hash.0, &Attempts { began })
}

pub(super) fn remove_attempts(hash: &PhotoHash) -> Record {
    ATTEMPTS.remove(&hash.0)
}

/// Attempts to decode a photo that are not known to have come back.
pub(super) async fn attempts(store: &dyn Store, hash: &PhotoHash) -> Result<u32, StoreError> {
    Ok(ATTEMPTS.row(store, &hash.0).await?.map_or(0, |attempts| attempts.began))
}

pub(super) async fn photo(store: &dyn Store, hash: &PhotoHash) -> Result<Option<PhotoRow>, StoreError> {
    PHOTOS.row(store, &hash.0).await
}

pub(super) async fn facts(store: &dyn Store, hash: &PhotoHash) -> Result<Option<PhotoFacts>, StoreError> {
    FACTS.row(store, &hash.0).await
}

pub(super) async fn links(store: &dyn Store, hash: &PhotoHash) -> Result<Vec<LinkRow>, StoreError> {
    Ok(LINKS.rows(store, &hash.0).await?.into_iter().map(|(_, row)| row).collect())
}

/// Every photo's row.
pub(super) async fn all(store: &dyn Store) -> Result<Vec<PhotoRow>, StoreError> {
    Ok(PHOTOS.rows(store, b"").await?.into_iter().map(|(_, row)| row).collect())
}

/// The photos whose hash begins so.
pub(super) async fn photos(store: &dyn Store, prefix: &[u8]) -> Result<Vec<PhotoHash>, StoreError> {
    let rows = store.rows(PHOTOS.name(), prefix.to_vec()).await?;
    Ok(rows.into_iter().filter_map(|(key, _)| Some(PhotoHash(key.try_into().ok()?))).collect())
}

/// The photos without facts: what is still to be derived. Those with an
/// attempt that did not come back are last, so that the others are done if it
/// ends the server again.
pub(super) async fn backlog(store: &dyn Store) -> Result<Vec<PhotoHash>, StoreError> {
    let done = store.rows(FACTS.name(), Vec::new()).await?;
    let done: BTreeSet<Vec<u8>> = done.into_iter().map(|(key, _)| key).collect();
    let photos = photos(store, &[]).await?;
    let tried = store.rows(ATTEMPTS.name(), Vec::new()).await?;
    let tried: BTreeSet<Vec<u8>> = tried.into_iter().map(|(key, _)| key).collect();
    let open = photos.into_iter().filter(|hash| !done.contains(hash.0.as_slice()));
    let (last, first): (Vec<_>, Vec<_>) = open.partition(|hash| tried.contains(hash.0.as_slice()));
    Ok([first, last].concat())
}
