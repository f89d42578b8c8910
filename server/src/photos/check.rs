//! Reads all photos now and then. A damaged one is set aside, so that it
//! counts as missing and whoever still has it sends it again.

use std::time::Duration;

use duxue_document::PhotoHash;
use serde_json::json;

use crate::audit::{By, event};
use crate::store::StoreError;

use super::blobs::BlobError;
use super::{FINISHING, Photos, rows};

/// What a check of all photos found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Photos whose bytes are those of their names.
    pub whole: u64,
    /// Photos whose bytes are not here, or were set aside now.
    pub lost: u64,
    /// Photos that could not be read now, which says nothing about them.
    pub unread: u64,
}

impl Photos {
    /// Reads a photo and checks its bytes against its name.
    ///
    /// # Errors
    /// [`BlobError::Damaged`] where they do not match.
    pub async fn verify(&self, hash: &PhotoHash) -> Result<(), BlobError> {
        self.blobs.verified(hash).await.map(drop)
    }

    /// Reads every photo, with a pause after each, and sets aside what is
    /// damaged.
    ///
    /// # Errors
    /// What the store says.
    pub async fn check(&self, pause: Duration) -> Result<Checked, StoreError> {
        let mut checked = Checked::default();
        for first in 0..=u8::MAX {
            for hash in rows::photos(&*self.store, &[first]).await? {
                match self.check_one(&hash).await? {
                    Some(true) => checked.whole += 1,
                    Some(false) => checked.lost += 1,
                    None => checked.unread += 1,
                }
                tokio::time::sleep(pause).await;
            }
        }
        Ok(checked)
    }

    /// Whether the photo's bytes are here and right; `None` where they cannot
    /// be read now. Bytes that are wrong are set aside.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn check_one(&self, hash: &PhotoHash) -> Result<Option<bool>, StoreError> {
        match self.verify(hash).await {
            Ok(()) => return Ok(Some(true)),
            Err(BlobError::Missing) => {
                tracing::error!(%hash, "a photo is not in its folder; restore it from a backup");
                return Ok(Some(false));
            }
            Err(BlobError::Damaged(_)) => {}
            Err(error) => {
                tracing::warn!(%error, %hash, "a photo could not be checked");
                return Ok(None);
            }
        }
        // Nobody puts a photo meanwhile: what is set aside must not be the
        // whole one that took the damaged one's place.
        let Ok(_alone) = self.finishing.acquire_many(FINISHING).await else { return Ok(None) };
        if !matches!(self.verify(hash).await, Err(BlobError::Damaged(_))) {
            return Ok(Some(true));
        }
        tracing::error!(%hash, "a photo is damaged and was set aside; restore it from a backup");
        if let Err(error) = self.blobs.set_aside(hash).await {
            tracing::error!(%error, %hash, "a damaged photo could not be set aside");
            return Ok(None);
        }
        let found = event("photo.damaged", &By::Stranger, (self.now)(), [("sha256", json!(hash))]);
        self.store.commit(vec![found]).await?;
        Ok(Some(false))
    }
}
