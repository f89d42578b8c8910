//! Reads the whole journal and all photos now and then, so that damage is found
//! while there still are backups without it, and not when the record or the
//! photo is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::app::App;
use crate::photos::Checked;
use crate::store::{JournalNumber, Store, StoreError};

/// Between two checks.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Records read at a time.
const PAGE: usize = 64;
/// Between two pages or photos, so that a check leaves the disk to those who wait for it.
const PAUSE: Duration = Duration::from_millis(20);

/// What the last check found.
#[derive(Debug, Default)]
pub struct Found(AtomicU8);

/// What is known of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// The first check since the start has not ended.
    Unchecked,
    /// Every record could be read.
    Intact,
    /// A record could not be read.
    Damaged,
}

impl Found {
    /// What the last check found.
    #[must_use]
    pub fn journal(&self) -> Journal {
        match self.0.load(Ordering::Relaxed) {
            0 => Journal::Unchecked,
            1 => Journal::Intact,
            _ => Journal::Damaged,
        }
    }

    fn set(&self, intact: bool) {
        self.0.store(if intact { 1 } else { 2 }, Ordering::Relaxed);
        metrics::gauge!("duxue_journal_intact").set(if intact { 1.0 } else { 0.0 });
    }
}

impl Journal {
    /// The word in the server's health.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Intact => "intact",
            Self::Damaged => "damaged",
        }
    }
}

/// Checks at the start and every day. Runs until it is dropped.
pub async fn keep_checking(app: Arc<App>) {
    let mut days = tokio::time::interval(EVERY);
    loop {
        days.tick().await;
        match check(&*app.store).await {
            Ok(records) => {
                app.journal_check.set(true);
                tracing::info!(records, "the journal was read and is intact");
            }
            Err(error @ StoreError::Damaged(_)) => {
                app.journal_check.set(false);
                tracing::error!(%error, "the journal is damaged; restore it from a backup");
            }
            // That the disk fails now says nothing about what is on it.
            Err(error) => tracing::warn!(%error, "the journal could not be checked"),
        }
        metrics::counter!("duxue_journal_checks_total").increment(1);
        match app.photos.check(PAUSE).await {
            Ok(Checked { whole, lost, unread }) => {
                metrics::gauge!("duxue_photos_lost").set(f64::from(u32::try_from(lost).unwrap_or(u32::MAX)));
                tracing::info!(whole, lost, unread, "the photos were read");
            }
            Err(error) => tracing::warn!(%error, "the photos could not be checked"),
        }
    }
}

/// Reads every record that is durable now, and gives their number. Each is
/// held against its checksum, and each sealed segment against the chain when it
/// is read for the first time since the start.
///
/// # Errors
/// The first that cannot be read.
pub async fn check(store: &dyn Store) -> Result<u64, StoreError> {
    let last = store.last();
    let mut next = JournalNumber(1);
    while next <= last {
        let page = store.records(next, PAGE).await?;
        let Some((read, _)) = page.last() else {
            return Err(StoreError::Damaged(format!("record {} is not there", next.0)));
        };
        next = JournalNumber(read.0 + 1);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(last.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{By, event};
    use crate::store::embedded::EmbeddedStore;

    #[tokio::test(start_paused = true)]
    async fn a_flipped_bit_in_any_record_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = EmbeddedStore::open(folder.path()).expect("opens");
        for number in 0..200 {
            let record = event("login", &By::Stranger, number, []);
            store.commit(vec![record]).await.expect("committed");
        }
        assert_eq!(check(&store).await.expect("intact"), 200);
        let segment = walk(folder.path()).into_iter().find(|path| path.to_string_lossy().contains("journal"));
        let segment = segment.expect("a segment");
        let whole = std::fs::read(&segment).expect("read");
        for at in [whole.len() / 3, whole.len() / 2, whole.len() - 20] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&segment, bytes).expect("written");
            assert!(check(&store).await.is_err(), "a bit at {at} of {}", whole.len());
        }
        std::fs::write(&segment, whole).expect("written");
        assert_eq!(check(&store).await.expect("intact again"), 200);
    }

    fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries =
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }
}
