//! The last step of an upload: hash, bytes, row, and only then the answer.

use serde_json::json;

use crate::audit::{By, event};
use crate::fault::Fault;

use super::blobs::{BlobError, Seen};
use super::rows::{self, LinkRow, PhotoRow};
use super::staging::{Info, Upload};
use super::{Photos, faults};

/// What an event about a photo takes in the journal, some more than it has.
const EVENT_BYTES: u64 = 512;

impl From<BlobError> for Fault {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "photo storage failed");
        match error {
            BlobError::Missing => crate::fault::not_found(),
            BlobError::Damaged(_) => faults::damaged(),
            BlobError::Full => faults::disk_full(),
            BlobError::Io(_) => faults::disk(),
        }
    }
}

/// Why an upload that has all its bytes is no photo yet.
pub(super) enum Unfinished {
    /// They are not the declared photo, and are set aside.
    Refused(Fault),
    /// The disk or the store failed; another try may not.
    Waits(Fault),
}

impl<E: Into<Fault>> From<E> for Unfinished {
    fn from(error: E) -> Self {
        Self::Waits(error.into())
    }
}

impl Photos {
    /// Makes an upload that has all its bytes, flushed, a photo; without reading
    /// them, if they were seen to have the right hash. Can be repeated after
    /// a crash at any point: each step finds what the last run did.
    pub(super) async fn finish(&self, upload: &Upload, seen: Option<Seen>) -> Result<(), Unfinished> {
        let _turn = self.finishing.acquire().await.map_err(|_| faults::disk())?;
        let hash = upload.info.hash;
        let media_type = match self.blobs.adopt(&hash, &self.staging.part(upload), seen).await {
            Ok(media_type) => media_type,
            Err(BlobError::Damaged(_)) => return Err(Unfinished::Refused(self.refuse(upload).await?)),
            Err(error) => return Err(error.into()),
        };
        self.acknowledge(&upload.info, media_type, true).await?;
        self.staging.complete(upload).await;
        self.queue.push(hash);
        Ok(())
    }

    /// Links a photo that is here to the school of an upload.
    pub(super) async fn link(&self, info: &Info, media_type: &str) -> Result<(), Fault> {
        self.acknowledge(info, media_type, false).await
    }

    /// Commits the photo's row, if it is the first of its hash, and the link
    /// to the school, with what the audit log says of it: bytes that came, or
    /// a photo that is used for another school.
    async fn acknowledge(&self, info: &Info, media_type: &str, came: bool) -> Result<(), Fault> {
        let received_ms = (self.now)();
        let mut records = Vec::new();
        let is_new = rows::photo(&*self.store, &info.hash).await?.is_none();
        if is_new {
            let row = PhotoRow {
                length: info.length,
                media_type: media_type.to_owned(),
                person: info.person.clone(),
                device: info.device.clone(),
                received_ms,
                round: info.round.clone(),
                school: info.school.clone(),
            };
            records.push(rows::put_photo(&info.hash, &row)?);
        }
        let links = rows::links(&*self.store, &info.hash).await?;
        if !links.iter().any(|link| link.round == info.round && link.school == info.school) {
            let row = LinkRow {
                round: info.round.clone(),
                school: info.school.clone(),
                person: info.person.clone(),
                device: info.device.clone(),
                received_ms,
            };
            records.push(rows::put_link(&info.hash, &row)?);
        }
        if came || !records.is_empty() {
            if records.is_empty() {
                // The quota of photos bounds what is new; these bytes were here.
                (self.count)(&info.person, EVENT_BYTES)?;
            }
            let kind = if came { "photo.received" } else { "photo.linked" };
            let by = By::Person(info.person.clone(), info.device.clone());
            let details = [
                ("round", json!(info.round)),
                ("school", json!(info.school)),
                ("sha256", json!(info.hash)),
                ("length", json!(info.length)),
            ];
            records.push(event(kind, &by, received_ms, details));
            self.store.commit(records).await?;
        }
        if is_new {
            self.brought.add(&info.person, &info.round, info.length);
        }
        Ok(())
    }

    /// The bytes are not the declared photo: they are set aside, it is
    /// recorded, and the client starts again. They wait in the upload while the
    /// person has had as much recorded as anyone may.
    async fn refuse(&self, upload: &Upload) -> Result<Fault, Fault> {
        let info = &upload.info;
        let by = By::Person(info.person.clone(), info.device.clone());
        let details = [
            ("round", json!(info.round)),
            ("school", json!(info.school)),
            ("upload", json!(info.id)),
            ("declared", json!(info.hash)),
            ("length", json!(info.length)),
        ];
        (self.count)(&info.person, EVENT_BYTES)?;
        let event = event("photo.hash_mismatch", &by, (self.now)(), details);
        self.store.commit(vec![event]).await?;
        self.staging.set_aside(upload, &self.settings).await.map_err(|error| faults::io(&error))?;
        Ok(faults::hash())
    }
}
