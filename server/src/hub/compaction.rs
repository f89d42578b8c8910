//! Snapshots, made in the background when the chunks of a document outgrow the
//! last one.

use std::sync::Arc;

use automerge::Automerge;
use tokio::sync::oneshot;

use crate::heavy::elsewhere;

use super::Inner;
use super::document::Document;

/// The snapshot of one document that is being made, if one is: its bytes once
/// it is durable.
#[derive(Default)]
pub struct Compaction(Option<oneshot::Receiver<Option<usize>>>);

impl Compaction {
    /// Whether a snapshot is being made.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Starts a snapshot if it is time for one.
    pub fn start(&mut self, hub: &Inner, document: &mut Document) {
        if self.is_running() {
            return;
        }
        let Some(through) = document.snapshot_due() else { return };
        let (done, outcome) = oneshot::channel();
        let (store, id) = (Arc::clone(&hub.store), document.id());
        // The copy is taken now, so that it holds exactly what `through` says.
        let copy = document.shared().read().clone();
        let before = document.chunk_bytes();
        self.0 = Some(outcome);
        hub.tasks.spawn(async move {
            let saved = elsewhere(move || save(&copy)).await;
            let made = match saved.map_err(|error| error.to_string()).and_then(|saved| saved) {
                Ok(snapshot) => {
                    let bytes = snapshot.len();
                    let kept = store.compact(id, snapshot, through).await;
                    kept.map(|()| bytes).map_err(|error| error.to_string())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = &made {
                tracing::warn!(document = %id, %error, "a snapshot could not be made");
            }
            let _ = done.send(made.ok());
        });
        document.snapshot_started(before);
    }

    /// Notes how the snapshot went, once it is known.
    pub fn look(&mut self, document: &mut Document) {
        let Some(outcome) = &mut self.0 else { return };
        let made = match outcome.try_recv() {
            Ok(made) => made,
            Err(oneshot::error::TryRecvError::Closed) => None,
            Err(oneshot::error::TryRecvError::Empty) => return,
        };
        document.snapshot_made(made);
        self.0 = None;
    }
}

/// A snapshot that was read back: it is about to take the place of the chunks
/// that it was made from.
fn save(document: &Automerge) -> Result<Vec<u8>, String> {
    let snapshot = document.save();
    let again = Automerge::load(&snapshot).map_err(|error| error.to_string())?;
    if again.get_heads() == document.get_heads() { Ok(snapshot) } else { Err("other heads".to_owned()) }
}
