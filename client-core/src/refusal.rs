//! Documents that cannot be exchanged, so that all others go on.
//!
//! The server ends the connection when it refuses a message, and says about
//! which document the message was. That one is left in peace for a while,
//! longer each time.

use duxue_document::collections::{BTreeMap, BTreeSet};

use duxue_document::DocumentId;
use duxue_protocol::problem::Problem;

use crate::clock::is_due;

const AGAIN_FIRST_MS: i64 = 60_000;
const AGAIN_LAST_MS: i64 = 3_600_000;

/// What is refused, over all connections of this run.
#[derive(Default)]
pub struct Refusals {
    documents: BTreeMap<DocumentId, Refusal>,
}

struct Refusal {
    problem: Problem,
    failures: u32,
    /// Left in peace until then; absent while it is being tried again.
    until_ms: Option<i64>,
}

impl Refusals {
    /// Notes a refusal.
    pub fn note(&mut self, document: DocumentId, problem: Problem, now_ms: i64) {
        let failures = self.documents.get(&document).map_or(0, |known| known.failures);
        let wait = (AGAIN_FIRST_MS << failures.min(10)).min(AGAIN_LAST_MS);
        let refusal = Refusal { problem, failures: failures + 1, until_ms: Some(now_ms + wait) };
        self.documents.insert(document, refusal);
    }

    /// Why a document is left in peace now.
    pub fn problem(&self, document: &DocumentId) -> Option<&Problem> {
        self.documents.get(document).filter(|known| known.until_ms.is_some()).map(|known| &known.problem)
    }

    /// The documents to try again, each told once.
    pub fn due(&mut self, now_ms: i64) -> BTreeSet<DocumentId> {
        let again = |at| is_due(at, now_ms, AGAIN_LAST_MS);
        let due = self.documents.iter_mut().filter(|(_, known)| known.until_ms.is_some_and(again));
        due.map(|(document, known)| {
            known.until_ms = None;
            *document
        })
        .collect()
    }

    /// When [`Self::due`] has something to say.
    pub fn timer(&self) -> Option<i64> {
        self.documents.values().filter_map(|known| known.until_ms).min()
    }

    /// Everything that was tried again went well.
    pub fn all_well(&mut self) {
        self.documents.retain(|_, known| known.until_ms.is_some());
    }

    /// Someone wants to know now. Gives the documents to try again.
    pub fn forget(&mut self) -> BTreeSet<DocumentId> {
        std::mem::take(self).documents.into_keys().collect()
    }
}
