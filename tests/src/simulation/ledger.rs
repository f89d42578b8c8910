//! The judge: what is on the server's disk, read without the server's help,
//! held against what the server says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use automerge::legacy::OpType;
use automerge::{Change, ChangeHash, ScalarValue, sync};
use duxue_document::{DocumentId, DocumentKind, Scalar};
use duxue_protocol::api::ReceiptAnswer;
use duxue_protocol::wire::{self, Limits, Message};
use duxue_server::hub::admit::changes_of;
use duxue_server::store::{JournalNumber, Record};

use super::photos::PhotoLedger;

/// Everyone who hears the server holds the same ledger.
pub type SharedLedger = Arc<Mutex<Ledger>>;

/// Locks it; a panic elsewhere does not make it wrong.
pub fn lock(ledger: &SharedLedger) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hashes of one document.
#[derive(Debug, Default, Clone)]
struct Durable {
    applied: BTreeSet<ChangeHash>,
    held: BTreeSet<ChangeHash>,
}

/// What is durable, what was promised, and what was wrong.
#[derive(Debug, Default)]
pub struct Ledger {
    documents: BTreeMap<DocumentId, Durable>,
    chunks: BTreeMap<JournalNumber, (DocumentId, Vec<ChangeHash>)>,
    last: JournalNumber,
    acknowledged: BTreeMap<DocumentId, BTreeSet<ChangeHash>>,
    /// What was ever in a document, whatever backup was put back since.
    ever: BTreeMap<DocumentId, BTreeSet<ChangeHash>>,
    /// What it knows of photos.
    pub photos: PhotoLedger,
    /// The receipt key, lower-case hex.
    pub server_key: String,
    violations: Vec<String>,
}

impl Ledger {
    /// A ledger of an empty disk. What every document begins with is durable
    /// by itself.
    #[must_use]
    pub fn new(documents: &[(DocumentId, DocumentKind)]) -> Self {
        let mut ledger = Self::default();
        for (id, kind) in documents {
            let genesis = duxue_document::genesis::document(*kind, automerge::ActorId::from([0_u8; 16]));
            ledger.documents.entry(*id).or_default().applied.extend(genesis.get_heads());
        }
        ledger
    }

    /// Takes in records that are on the disk now.
    pub fn flushed(&mut self, records: &[Record]) {
        for record in records {
            self.last = JournalNumber(self.last.0 + 1);
            self.photos.flushed(record);
            match record {
                Record::Chunk { document, bytes, .. } => {
                    let hashes = hashes(bytes);
                    let durable = self.documents.entry(*document).or_default();
                    for hash in &hashes {
                        durable.held.remove(hash);
                    }
                    durable.applied.extend(hashes.iter().copied());
                    self.ever.entry(*document).or_default().extend(hashes.iter().copied());
                    self.chunks.insert(self.last, (*document, hashes));
                }
                Record::Held { document, bytes, .. } => {
                    let durable = self.documents.entry(*document).or_default();
                    durable.held.extend(hashes(bytes));
                }
                Record::SetAside { chunk, .. } => {
                    if let Some((document, hashes)) = self.chunks.remove(chunk) {
                        let durable = self.documents.entry(document).or_default();
                        durable.applied.retain(|hash| !hashes.contains(hash));
                    }
                }
                Record::Row { .. } | Record::Event { .. } => {}
            }
        }
    }

    /// Reads the disk afresh after a restart: what was promised must be there.
    /// After a backup was put back the promises of later days are void.
    pub fn reopened(&mut self, documents: &[(DocumentId, DocumentKind)], records: &[Record], restored: bool) {
        let fresh = Self::new(documents);
        self.documents = fresh.documents;
        self.chunks.clear();
        self.last = JournalNumber(0);
        self.photos.forget_rows();
        self.flushed(records);
        self.violations.extend(self.photos.reopened(restored));
        for (document, promised) in &mut self.acknowledged {
            let Durable { applied, held } = self.documents.entry(*document).or_default();
            if restored {
                // What is held again may be decided otherwise this time.
                promised.retain(|hash| applied.contains(hash));
            }
            let lost = promised.iter().filter(|hash| !applied.contains(hash) && !held.contains(hash));
            for hash in lost {
                self.violations.push(format!("{hash} of {document} was acknowledged and is lost"));
            }
        }
    }

    /// The server sent a frame: what it says it has must be on the disk.
    pub fn hear(&mut self, frame: &[u8]) {
        let Ok(Message::Sync { document_id, data, .. }) = wire::decode(frame, &Limits::default()) else {
            return;
        };
        let (Ok(document), Ok(message)) = (document_id.parse(), sync::Message::decode(&data)) else {
            self.violations.push("the server sent a frame that cannot be read".to_owned());
            return;
        };
        self.promise(document, &message.heads, "a sync message");
    }

    /// The server gave a receipt: what it states must be on the disk.
    pub fn hear_receipt(&mut self, body: &[u8]) {
        let verified = serde_json::from_slice::<ReceiptAnswer>(body)
            .map_err(|error| error.to_string())
            .and_then(|answer| answer.receipt.verify(&self.server_key).map_err(|error| error.to_string()));
        match verified {
            Ok(statement) => {
                for (document, heads) in &statement.heads {
                    let heads: Vec<ChangeHash> = heads.iter().filter_map(|head| head.parse().ok()).collect();
                    self.promise(*document, &heads, "a receipt");
                }
                for photo in &statement.photos {
                    self.violations.extend(self.photos.hear_receipt(*photo));
                }
            }
            Err(error) => self.violations.push(format!("a receipt does not hold: {error}")),
        }
    }

    /// The server told how far an upload is: so much must be on the disk.
    pub fn hear_offset(&mut self, id: &str, offset: u64) {
        self.violations.extend(self.photos.hear_offset(id, offset));
    }

    fn promise(&mut self, document: DocumentId, heads: &[ChangeHash], by: &str) {
        let durable = self.documents.entry(document).or_default();
        for head in heads {
            if durable.applied.contains(head) {
                self.acknowledged.entry(document).or_default().insert(*head);
            } else {
                self.violations.push(format!("{by} states {head} of {document}, which is not on the disk"));
            }
        }
    }

    /// Whether a change was ever in a document of the server.
    #[must_use]
    pub fn was_there(&self, document: &DocumentId, hash: &ChangeHash) -> bool {
        self.ever.get(document).is_some_and(|hashes| hashes.contains(hash))
    }

    /// Something that must never be.
    pub fn violation(&mut self, what: String) {
        self.violations.push(what);
    }

    /// All that was wrong so far.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Promises made, to know that the judge heard anything.
    #[must_use]
    pub fn promises(&self) -> usize {
        self.acknowledged.values().map(BTreeSet::len).sum()
    }
}

fn hashes(bytes: &[u8]) -> Vec<ChangeHash> {
    let mut changes = Vec::new();
    // A server that stores what cannot be read loses it, and is found out by
    // what it promised of it.
    let _ = changes_of(bytes, &mut changes);
    changes.iter().map(Change::hash).collect()
}

/// The lowest marker. A captured value is a number of its own, so that it can
/// be found whatever change carries it.
pub const FIRST_MARKER: u64 = 1_000_000;

/// The markers in some changes.
#[must_use]
pub fn markers<'a>(changes: impl IntoIterator<Item = &'a Change>) -> BTreeSet<u64> {
    let operations = changes.into_iter().flat_map(|change| change.decode().operations);
    operations
        .filter_map(|operation| match operation.action {
            OpType::Put(ScalarValue::Str(text)) => text.parse::<u64>().ok(),
            _ => None,
        })
        .filter(|number| *number >= FIRST_MARKER)
        .collect()
}

/// The marker that a scalar is.
#[must_use]
pub fn marker_of(scalar: &Scalar) -> Option<u64> {
    let text = match scalar {
        Scalar::Text(text) => text.clone(),
        Scalar::Number(number) => number.to_string(),
        _ => return None,
    };
    text.parse().ok().filter(|number| *number >= FIRST_MARKER)
}

/// The markers in a run of chunks.
#[must_use]
pub fn markers_in(bytes: &[u8]) -> BTreeSet<u64> {
    let mut changes = Vec::new();
    let _ = changes_of(bytes, &mut changes);
    markers(&changes)
}
