//! An open document out of the store.

use std::collections::BTreeMap;

use duxue_document::DocumentId;

use crate::clock::now_ms;
use crate::heavy::elsewhere;
use crate::hub::Inner;
use crate::hub::document::{Document, Failed, Rows};
use crate::hub::rows::{ACTORS, HELD, SET_ASIDE, held_of};
use crate::rounds::DocumentName;
use crate::store::{JournalNumber, Record, StoreError, StoredDocument};

/// Records of the journal read at once.
const PAGE: usize = 1_024;

/// A document as it is stored. What cannot be applied is set aside.
pub(super) async fn load(hub: &Inner, name: &DocumentName) -> Result<Document, StoreError> {
    let id = name.id();
    let stored = hub.store.load(id).await?;
    let (mut document, mut failed) = build(hub, name, stored).await?;
    if failed.iter().any(|failed| failed.chunk == JournalNumber(0)) {
        tracing::error!(document = %id, "a snapshot cannot be read; the document is built from the journal");
        metrics::counter!("duxue_snapshots_unreadable_total").increment(1);
        (document, failed) = build(hub, name, from_journal(hub, id).await?).await?;
    }
    if !failed.is_empty() {
        match keep_aside(hub, &mut document, failed).await {
            // The next load finds them again; reading must go on meanwhile.
            Err(StoreError::Full) => {
                tracing::warn!(document = %id, "the disk is too full to note what is set aside");
            }
            other => other?,
        }
    }
    Ok(document)
}

/// Every chunk of a document that the journal holds and that was not set
/// aside. Reads the whole journal.
async fn from_journal(hub: &Inner, id: DocumentId) -> Result<StoredDocument, StoreError> {
    let mut chunks = BTreeMap::new();
    let mut next = JournalNumber(1);
    loop {
        let page = hub.store.records(next, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        let begins = page.first().is_some_and(|(first, _)| *first == next);
        if !begins {
            // Without its beginning the document would be smaller than it was.
            return Err(StoreError::Damaged(format!(
                "the snapshot of {id}, and the journal has no record {}",
                next.0
            )));
        }
        next = JournalNumber(last.0 + 1);
        for (number, record) in page {
            match record {
                Record::Chunk { document, bytes, .. } if document == id => {
                    chunks.insert(number, bytes);
                }
                Record::SetAside { document, chunk, .. } if document == id => {
                    chunks.remove(&chunk);
                }
                _ => {}
            }
        }
    }
    Ok(StoredDocument { snapshot: None, chunks: chunks.into_iter().collect() })
}

async fn build(
    hub: &Inner,
    name: &DocumentName,
    stored: StoredDocument,
) -> Result<(Document, Vec<Failed>), StoreError> {
    let prefix = name.id().0;
    let values = |rows: Vec<(Vec<u8>, _)>| rows.into_iter().map(|(_, row)| row).collect();
    let actors = values(ACTORS.rows(&*hub.store, &prefix).await?);
    let held = HELD.rows(&*hub.store, &held_of(name)).await?.into_iter().map(|(_, row)| row).collect();
    let set_aside = SET_ASIDE.rows(&*hub.store, &prefix).await?.into_iter().map(|(_, row)| row).collect();
    let rows = Rows { actors, held, set_aside };
    let name = name.clone();
    elsewhere(move || Document::load(name, &stored, rows))
        .await
        .map_err(|error| StoreError::Damaged(error.to_string()))
}

/// Notes that chunks cannot be applied: who delivered them is in their
/// records.
pub(super) async fn keep_aside(
    hub: &Inner,
    document: &mut Document,
    mut failed: Vec<Failed>,
) -> Result<(), StoreError> {
    for failed in failed.iter_mut().filter(|failed| failed.delivery.is_none()) {
        let record = hub.store.records(failed.chunk, 1).await?.pop();
        if let Some((number, Record::Chunk { delivery, .. })) = record
            && number == failed.chunk
        {
            failed.delivery = delivery;
        }
    }
    metrics::counter!("duxue_set_aside_chunks_total").increment(failed.len() as u64);
    hub.store.commit(document.set_aside(&failed, now_ms())?).await?;
    Ok(())
}
