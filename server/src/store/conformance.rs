//! What every [`Store`] must do, as cases that any implementation can run.
//!
//! A case is a list of steps. [`check`] takes them in a store and in the model
//! ([`MemoryStore`]) and compares everything that can be read after each. What
//! the model itself must give is fixed by the cases of [`expectations`].
//!
//! ```text
//! mod tests {
//!     duxue_server::store_conformance!(MyFolder::new());
//! }
//! ```

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_bytes::ByteBuf;

use super::memory::MemoryStore;
use super::{
    Delivery, HELD_CHUNKS, JournalNumber, Record, Store, StoreError, StoredDocument, held_chunks_key,
};
use duxue_document::{DocumentId, PersonId};

/// A place where a store lives: what is opened again holds what was committed.
pub trait Reopen {
    /// Opens the store; called again only after the last one was dropped.
    fn open(&self) -> Arc<dyn Store>;
}

impl Reopen for MemoryStore {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.clone())
    }
}

/// One thing done to a store.
#[derive(Debug, Clone)]
pub enum Step {
    /// Commits the records.
    Commit(Vec<Record>),
    /// Replaces a document's chunks through a record by a snapshot.
    Compact(DocumentId, Vec<u8>, u64),
    /// Closes the store and opens it again.
    Reopen,
}

/// The documents that the cases speak of.
#[must_use]
pub fn document(n: u8) -> DocumentId {
    DocumentId([n; 16])
}

/// A chunk record of document `n`.
#[must_use]
pub fn chunk(n: u8, bytes: &[u8]) -> Record {
    Record::Chunk { document: document(n), bytes: bytes.to_vec(), delivery: None, received_ms: 1 }
}

/// A record that sets the chunk `number` of document `n` aside.
#[must_use]
pub fn set_aside(n: u8, number: u64) -> Record {
    Record::SetAside {
        chunk: JournalNumber(number),
        document: document(n),
        reason: "chunk_not_applied".to_owned(),
    }
}

/// A held record of document `n`.
#[must_use]
pub fn held(n: u8, bytes: &[u8]) -> Record {
    let person = PersonId::new("inspector-1").unwrap_or_else(|error| unreachable!("{error}"));
    Record::Held {
        document: document(n),
        number: 1,
        bytes: bytes.to_vec(),
        delivery: Delivery { person, device: None },
        reason: "right_ended".to_owned(),
        received_ms: 2,
    }
}

/// A row put.
#[must_use]
pub fn put(table: &str, key: &[u8], value: &[u8]) -> Record {
    Record::Row { table: table.to_owned(), key: key.to_vec(), value: Some(ByteBuf::from(value)) }
}

/// A row removed.
#[must_use]
pub fn remove(table: &str, key: &[u8]) -> Record {
    Record::Row { table: table.to_owned(), key: key.to_vec(), value: None }
}

/// An event.
#[must_use]
pub fn event(detail: &str) -> Record {
    Record::Event { kind: "login".to_owned(), person: None, detail: detail.to_owned(), at_ms: 3 }
}

/// The tables that the cases write; `unwritten` is never written. Two names are
/// prefixes of one another, so that a table cannot leak into the next.
pub const TABLES: [&str; 4] = ["people", "people2", "unwritten", HELD_CHUNKS];

/// The named cases. The steps of each end in a state that a broken store would
/// show differently from the model.
#[must_use]
pub fn cases() -> Vec<(&'static str, Vec<Step>)> {
    use Step::{Commit, Compact, Reopen};
    let big = vec![0xa5; 200_000];
    vec![
        ("an empty store opens again", vec![Reopen, Commit(vec![]), Reopen]),
        (
            "a group is numbered in order",
            vec![Commit(vec![event("a"), chunk(1, b"b"), event("c")]), Commit(vec![event("d")]), Reopen],
        ),
        (
            "chunks load in journal order, each document its own",
            vec![
                Commit(vec![chunk(1, b"a"), chunk(2, b"b"), chunk(1, b"c")]),
                Commit(vec![chunk(2, b"d"), chunk(1, b"")]),
                Reopen,
                Commit(vec![chunk(1, b"e"), chunk(3, b"f")]),
            ],
        ),
        (
            "a chunk that was set aside is skipped, its document stays",
            vec![
                Commit(vec![chunk(1, b"a"), chunk(1, b"b")]),
                Commit(vec![set_aside(1, 2)]),
                Commit(vec![chunk(2, b"only"), set_aside(2, 4)]),
                Reopen,
            ],
        ),
        (
            "setting aside touches neither another document nor what comes later",
            vec![
                Commit(vec![chunk(1, b"a"), set_aside(2, 1), set_aside(1, 4), set_aside(9, 77)]),
                Commit(vec![chunk(1, b"the number 5")]),
                Commit(vec![set_aside(1, 6), chunk(1, b"the number 7")]),
                Reopen,
            ],
        ),
        (
            "held chunks are in the journal and in no document",
            vec![Commit(vec![held(1, b"late")]), Commit(vec![chunk(2, b"a"), held(2, b"late")]), Reopen],
        ),
        (
            "held chunks are rows until these are removed, large and small",
            vec![
                Commit(vec![held(1, b"small"), held(2, &big), held(3, b"replaced")]),
                Commit(vec![remove(HELD_CHUNKS, &held_chunks_key(&document(1), 1)), held(3, b"by this")]),
                Reopen,
            ],
        ),
        (
            "rows are put, replaced and removed, the last in a group wins",
            vec![
                Commit(vec![put("people", b"a", b"1"), put("people", b"b", b"2"), put("people", b"a", b"3")]),
                Commit(vec![remove("people", b"b"), remove("people", b"never there")]),
                Commit(vec![put("people", b"c", b""), remove("people", b"a"), put("people", b"a", b"4")]),
                Commit(vec![put("people", b"d", b"5"), remove("people", b"d")]),
                Reopen,
            ],
        ),
        (
            "rows come in byte order, by prefix, from one table",
            vec![
                Commit(vec![
                    put("people", &[0xff, 0xff], b"last"),
                    put("people", &[], b"the empty key"),
                    put("people", &[0xff], b"before"),
                    put("people", &[0], b"zero"),
                    put("people", &[0, 0], b"zeros"),
                    put("people", b"2", b"not in the other table"),
                    put("people2", b"2", b"other"),
                    put("people2", &[], b"other, empty key"),
                ]),
                Reopen,
            ],
        ),
        (
            "large values and keys",
            vec![
                Commit(vec![chunk(1, &big), put("people", b"big", &big), put("people", &[7; 1024], b"key")]),
                Compact(document(1), big.clone(), 1),
                Reopen,
                Commit(vec![put("people", b"big", b"small now"), chunk(1, &big)]),
                Commit(vec![remove("people", &[7; 1024])]),
                Reopen,
            ],
        ),
        (
            "a snapshot replaces the chunks through its number only",
            vec![
                Commit(vec![chunk(1, b"a"), chunk(2, b"other"), chunk(1, b"b"), chunk(1, b"c")]),
                Compact(document(1), b"ab".to_vec(), 3),
                Commit(vec![chunk(1, b"d")]),
                Reopen,
                Compact(document(1), b"abcd".to_vec(), 5),
                Reopen,
            ],
        ),
        (
            "an older snapshot changes nothing, an equal one replaces",
            vec![
                Commit(vec![chunk(1, b"a"), chunk(1, b"b")]),
                Compact(document(1), b"ab".to_vec(), 2),
                Compact(document(1), b"old".to_vec(), 1),
                Compact(document(1), b"ab again".to_vec(), 2),
                Reopen,
            ],
        ),
        (
            "a snapshot of nothing known is refused",
            vec![
                Commit(vec![chunk(1, b"a")]),
                Compact(document(1), b"beyond".to_vec(), 2),
                Compact(document(2), b"unknown".to_vec(), 1),
                Compact(document(2), b"unknown".to_vec(), 0),
                Reopen,
            ],
        ),
        (
            "a chunk set aside after its snapshot changes nothing",
            vec![
                Commit(vec![chunk(1, b"a"), chunk(1, b"b")]),
                Compact(document(1), b"a".to_vec(), 1),
                Commit(vec![set_aside(1, 1)]),
                Reopen,
            ],
        ),
        (
            "a refused group leaves nothing, whatever stands before the refusal",
            vec![
                Commit(vec![event("a")]),
                Commit(vec![put("people", b"a", b"1"), chunk(1, b"a"), put("No Such Table", b"a", b"1")]),
                Commit(vec![chunk(1, b"a"), put("people", &[0; 1025], b"key too long")]),
                Commit(vec![event("b")]),
                Reopen,
            ],
        ),
    ]
}

/// Steps drawn from a seed: what no one thought of.
#[must_use]
pub fn drawn_case(seed: u64) -> Vec<Step> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |limit: u64| random.next_u64() % limit;
    let mut written = 0;
    let mut steps = Vec::new();
    for n in 0..24_u8 {
        let step = match below(10) {
            0 => Step::Reopen,
            1 | 2 => {
                let document = document(u8::try_from(below(4)).unwrap_or(0));
                Step::Compact(document, vec![n; if below(3) == 0 { 40_000 } else { 40 }], below(written + 2))
            }
            _ => {
                let records: Vec<Record> = (0..=below(4))
                    .map(|_| {
                        let (doc, key) = (u8::try_from(below(4)).unwrap_or(0), [b"a2\0\xff"[n as usize % 4]]);
                        match below(7) {
                            0 | 1 => chunk(doc, &[n]),
                            2 => set_aside(doc, below(written + 6)),
                            3 => put("people", &key, &vec![n; if below(4) == 0 { 20_000 } else { 2 }]),
                            4 => put("people2", &key, &[n]),
                            5 => remove("people", &key),
                            _ => held(doc, &[n]),
                        }
                    })
                    .collect();
                written += records.len() as u64;
                Step::Commit(records)
            }
        };
        steps.push(step);
    }
    steps
}

/// Takes the steps in a store and in the model, and compares after each.
///
/// # Panics
/// Where the store gives something else than the model.
pub async fn check(name: &str, place: &dyn Reopen, steps: &[Step]) {
    let model = MemoryStore::new();
    let mut store = place.open();
    compare(name, "at the start", &*store, &model).await;
    for (n, step) in steps.iter().enumerate() {
        let at = format!("after step {n}, {step:.200?}");
        match step {
            Step::Commit(records) => {
                let (ours, expected) =
                    (store.commit(records.clone()).await, model.commit(records.clone()).await);
                same(name, &at, &ours, &expected);
            }
            Step::Compact(document, snapshot, through) => {
                let through = JournalNumber(*through);
                let ours = store.compact(*document, snapshot.clone(), through).await;
                same(name, &at, &ours, &model.compact(*document, snapshot.clone(), through).await);
            }
            Step::Reopen => {
                drop(store);
                store = place.open();
            }
        }
        compare(name, &at, &*store, &model).await;
    }
}

/// Equal values, or errors of one kind: their words are each store's own.
fn same<T: PartialEq + std::fmt::Debug>(
    name: &str,
    at: &str,
    ours: &Result<T, StoreError>,
    model: &Result<T, StoreError>,
) {
    let equal = match (ours, model) {
        (Ok(ours), Ok(model)) => ours == model,
        (Err(ours), Err(model)) => std::mem::discriminant(ours) == std::mem::discriminant(model),
        _ => false,
    };
    assert!(equal, "{name}: {at}: the store gave {ours:?}, the model {model:?}");
}

/// Compares everything that can be read of two stores.
///
/// # Panics
/// Where they differ.
pub async fn compare(name: &str, at: &str, store: &dyn Store, model: &dyn Store) {
    assert_eq!(store.last(), model.last(), "{name}: {at}: the last number");
    same(name, at, &store.documents().await, &model.documents().await);
    for n in 0..10 {
        same(name, at, &store.load(document(n)).await, &model.load(document(n)).await);
    }
    for table in TABLES {
        for prefix in [&b""[..], b"a", b"2", &[0], &[0xff], &[0xff, 0xff], b"never there"] {
            let ours = store.rows(table, prefix.to_vec()).await;
            same(name, at, &ours, &model.rows(table, prefix.to_vec()).await);
            let ours = store.row(table, prefix.to_vec()).await;
            same(name, at, &ours, &model.row(table, prefix.to_vec()).await);
        }
    }
    let last = model.last().0;
    for (from, limit) in [(0, 1000), (1, 1), (2, 2), (last, 10), (last + 1, 10), (1, 0), (u64::MAX, 5)] {
        let ours = store.records(JournalNumber(from), limit).await;
        same(name, at, &ours, &model.records(JournalNumber(from), limit).await);
    }
}

/// What must be read at the end of some steps, in so many words: these fix the
/// meaning that the model has.
///
/// # Panics
/// Where the store gives something else.
pub async fn expectations(place: &dyn Reopen) {
    let store = place.open();
    let first = store.commit(vec![chunk(1, b"a"), put("people", b"k", b"v"), chunk(1, b"b")]).await;
    assert_eq!(first.ok(), Some(JournalNumber(1)), "numbers begin at 1");
    let second = store.commit(vec![chunk(1, b"bad"), held(1, b"held"), chunk(1, b"c")]).await;
    assert_eq!(second.ok(), Some(JournalNumber(4)), "the first number of the group");
    assert!(store.commit(vec![put("people", b"k", b"w"), put("", b"", b"")]).await.is_err());
    assert_eq!(store.commit(vec![set_aside(1, 4)]).await.ok(), Some(JournalNumber(7)));
    assert!(store.compact(document(1), b"a".to_vec(), JournalNumber(1)).await.is_ok());
    drop(store);

    let store = place.open();
    assert_eq!(store.last(), JournalNumber(7));
    let chunks = vec![(JournalNumber(3), b"b".to_vec()), (JournalNumber(6), b"c".to_vec())];
    let expected = StoredDocument { snapshot: Some(b"a".to_vec()), chunks };
    assert_eq!(store.load(document(1)).await.ok(), Some(expected));
    assert_eq!(store.load(document(2)).await.ok(), Some(StoredDocument::default()));
    assert_eq!(store.row("people", b"k".to_vec()).await.ok(), Some(Some(b"v".to_vec())));
    let page = store.records(JournalNumber(6), 10).await.ok();
    assert_eq!(page, Some(vec![(JournalNumber(6), chunk(1, b"c")), (JournalNumber(7), set_aside(1, 4))]));
}

/// Groups committed at the same time have numbers of their own, without gaps,
/// and each stands in one piece.
///
/// # Panics
/// Where they do not.
pub async fn concurrent_groups(place: &dyn Reopen) {
    const WRITERS: u8 = 8;
    const GROUPS: u8 = 6;
    let store = place.open();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 1..=WRITERS {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in 0..GROUPS {
                let group = vec![chunk(writer, &[n, 0]), event("between"), chunk(writer, &[n, 1])];
                let first = store.commit(group.clone()).await.map_err(|error| error.to_string())?;
                let stored = store.records(first, 3).await.map_err(|error| error.to_string())?;
                let stored: Vec<Record> = stored.into_iter().map(|(_, record)| record).collect();
                if stored != group {
                    return Err(format!("the group at {} is {stored:?}", first.0));
                }
            }
            Ok(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        assert_eq!(result.map_err(|error| error.to_string()), Ok(Ok(())));
    }
    drop(store);
    let store = place.open();
    assert_eq!(store.last().0, u64::from(WRITERS) * u64::from(GROUPS) * 3);
    let written: Vec<Vec<u8>> = (0..GROUPS).flat_map(|n| [vec![n, 0], vec![n, 1]]).collect();
    for writer in 1..=WRITERS {
        let stored = store.load(document(writer)).await.map(|d| d.chunks).unwrap_or_default();
        let bytes: Vec<Vec<u8>> = stored.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(bytes, written, "each writer's chunks in its order");
    }
}

/// Tests of one implementation: `store_conformance!(place)`, where `place` is
/// an expression that makes a new, empty `Reopen`.
#[macro_export]
macro_rules! store_conformance {
    ($place:expr) => {
        #[tokio::test]
        async fn gives_what_the_model_gives() {
            for (name, steps) in $crate::store::conformance::cases() {
                $crate::store::conformance::check(name, &$place, &steps).await;
            }
        }

        #[tokio::test]
        async fn gives_what_the_model_gives_for_drawn_steps() {
            for seed in 0..12 {
                let steps = $crate::store::conformance::drawn_case(seed);
                $crate::store::conformance::check(&format!("seed {seed}"), &$place, &steps).await;
            }
        }

        #[tokio::test]
        async fn gives_what_is_written_down() {
            $crate::store::conformance::expectations(&$place).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn keeps_concurrent_groups_whole() {
            $crate::store::conformance::concurrent_groups(&$place).await;
        }
    };
}
