use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::*;
use crate::store::conformance::{Reopen, chunk, compare, document, event, put};
use crate::store::faulty::SimulatedDisk;
use crate::store::memory::MemoryStore;

/// Small segments, so that a few records make several.
pub(super) const SMALL: journal::Options = journal::Options { segment_bytes: 2_000, reserve_bytes: 0 };

/// A folder that goes with the test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }
}

impl Reopen for Place {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open_with(&self.path(), SMALL).unwrap())
    }
}

mod on_a_folder {
    use super::Place;
    crate::store_conformance!(Place::new());
}

/// The journal on a disk in memory, without faults.
struct SimulatedPlace(Place, SimulatedDisk);

impl Reopen for SimulatedPlace {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(EmbeddedStore::open_on(&self.0.path(), Arc::new(self.1.clone()), SMALL).unwrap())
    }
}

mod on_a_simulated_disk {
    use super::{Place, SimulatedDisk, SimulatedPlace};
    crate::store_conformance!(SimulatedPlace(Place::new(), SimulatedDisk::new(1)));
}

/// A model with some of everything, and a folder that holds the same.
async fn filled(place: &Place) -> MemoryStore {
    let model = MemoryStore::new();
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    for n in 0..60_u8 {
        let key = [n % 20, n];
        let large = vec![n; 40_000];
        let group = vec![
            chunk(n % 4 + 1, &[n; 90]),
            put("people", &key, &[n; 200]),
            put("people2", &[n % 3], &large),
            event("filled"),
        ];
        store.commit(group.clone()).await.unwrap();
        model.commit(group).await.unwrap();
    }
    drop(store);
    model
}

async fn assert_same(store: &EmbeddedStore, model: &MemoryStore, at: &str) {
    compare("embedded", at, store, model).await;
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Commits are answered before the index has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_answered_reads_what_was_written() {
    let place = Place::new();
    let store = EmbeddedStore::open_on(&place.path(), Arc::new(SimulatedDisk::new(1)), SMALL).unwrap();
    for n in 0..250_u8 {
        // Many at once, so that the index takes its time.
        let records = (0..40).map(|m| put("rows", &[n, m], &[n, m])).collect();
        store.commit(records).await.unwrap();
        let last = store.row("rows", vec![n, 39]).await.unwrap();
        assert_eq!(last, Some(vec![n, 39]), "commit {n}");
    }
}

#[tokio::test]
async fn a_second_opening_is_refused_while_the_first_lasts() {
    let place = Place::new();
    let store = EmbeddedStore::open(&place.path()).unwrap();
    assert!(matches!(EmbeddedStore::open(&place.path()).err(), Some(StoreError::InUse)));
    drop(store);
    EmbeddedStore::open(&place.path()).unwrap();
}

/// Without waiting for the index to be flushed by itself.
#[tokio::test]
async fn what_was_attested_is_missed_when_the_journal_is_cut_off() {
    for cut in [1, 200] {
        let (place, after) = (Place::new(), Place::new());
        let store = EmbeddedStore::open(&place.path()).unwrap();
        for n in 0..3 {
            store.commit(vec![chunk(1, &[n; 90])]).await.unwrap();
        }
        store.attest().await.unwrap();
        // As after a kill: the store gets no chance to write more.
        copy_folder(&place.path(), &after.path());
        let segment = after.path().join("journal").join(format!("{:020}.seg", 1));
        let whole = std::fs::read(&segment).unwrap();
        std::fs::write(&segment, &whole[..whole.len() - cut]).unwrap();
        let opened = EmbeddedStore::open(&after.path());
        let Some(StoreError::Damaged(why)) = opened.err() else { panic!("{cut} bytes are not missed") };
        assert!(why.contains("segment") && why.contains("record 3"), "{why}");
        assert_eq!(std::fs::read(&segment).unwrap().len(), whole.len() - cut, "nothing more is cut off");
    }
}

#[tokio::test]
async fn an_index_that_is_missing_is_rebuilt_from_the_journal() {
    let place = Place::new();
    let model = filled(&place).await;
    std::fs::remove_dir_all(place.path().join("index")).unwrap();
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    assert_eq!(store.report().replayed, model.last().0);
    assert_same(&store, &model, "rebuilt").await;
    assert_eq!(store.verify().await.unwrap(), store.chain_head());
}

#[tokio::test]
async fn a_damaged_index_is_set_aside_and_rebuilt_with_equal_rows() {
    let place = Place::new();
    let model = filled(&place).await;
    let bytes = std::fs::read(place.path().join("index/sled/db")).unwrap();
    let size = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut noticed = [0; 3];
    for trial in 0..30 {
        let damaged = Place::new();
        copy_folder(&place.path(), &damaged.path());
        let file = damaged.path().join("index/sled/db");
        let mut bytes = std::fs::read(&file).unwrap();
        let at = usize::try_from(random.next_u64()).unwrap() % size;
        match trial % 3 {
            0 => bytes[at] ^= 1 << (at % 8),
            1 => bytes.truncate(at),
            _ => bytes[at..].fill(0),
        }
        std::fs::write(&file, bytes).unwrap();
        let store = EmbeddedStore::open_with(&damaged.path(), SMALL).unwrap();
        let report = store.report();
        noticed[trial % 3] += usize::from(report.rebuilt.is_some() || report.replayed > 0);
        assert_eq!(damaged.path().join("index.aside.0").exists(), store.report().rebuilt.is_some());
        assert_same(&store, &model, &format!("trial {trial}, byte {at} of {size}")).await;
    }
    assert!(noticed.iter().all(|times| *times > 0), "too harmless to prove anything: {noticed:?}");
}

#[tokio::test]
async fn an_index_that_lost_entries_silently_is_noticed() {
    let place = Place::new();
    let model = filled(&place).await;
    {
        let db = sled::open(place.path().join("index/sled")).unwrap();
        let (key, _) = db.scan_prefix([4]).next().unwrap().unwrap();
        db.remove(key).unwrap();
        db.flush().unwrap();
    }
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    assert!(store.report().rebuilt.as_ref().is_some_and(|why| why.contains("lost")), "{:?}", store.report());
    assert_same(&store, &model, "after a lost entry").await;
}

#[tokio::test]
async fn an_index_ahead_of_the_journal_proves_a_loss() {
    let place = Place::new();
    let older = Place::new();
    filled(&older).await;
    copy_folder(&older.path().join("journal"), &place.path().join("kept"));
    std::fs::create_dir_all(place.path()).unwrap();
    let store = EmbeddedStore::open_with(&older.path(), SMALL).unwrap();
    store.commit(vec![event("one more")]).await.unwrap();
    drop(store);
    copy_folder(&older.path().join("index"), &place.path().join("index"));
    std::fs::rename(place.path().join("kept"), place.path().join("journal")).unwrap();
    match EmbeddedStore::open_with(&place.path(), SMALL).map(|store| store.report().clone()) {
        Err(StoreError::Damaged(what)) => assert!(what.contains("241") && what.contains("240"), "{what}"),
        other => panic!("{other:?}"),
    }
    std::fs::remove_dir_all(place.path().join("index")).unwrap();
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    assert_eq!(store.last(), JournalNumber(240));
}

#[tokio::test]
async fn an_index_of_another_journal_is_not_used() {
    let (place, other) = (Place::new(), Place::new());
    let model = filled(&place).await;
    let store = EmbeddedStore::open_with(&other.path(), SMALL).unwrap();
    store.commit(vec![put("people", b"stranger", b"row")]).await.unwrap();
    drop(store);
    std::fs::remove_dir_all(place.path().join("index")).unwrap();
    copy_folder(&other.path().join("index"), &place.path().join("index"));
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    assert_eq!(store.report().rebuilt.as_deref(), Some("the index is of another journal"));
    assert_same(&store, &model, "after the exchange").await;
}

#[tokio::test]
async fn a_snapshot_that_is_damaged_while_running_gives_way_to_the_chunks() {
    let place = Place::new();
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    let first = store.commit(vec![chunk(1, b"a"), chunk(1, b"b")]).await.unwrap();
    store.compact(document(1), vec![9; 100_000], JournalNumber(2)).await.unwrap();
    let loaded = store.load(document(1)).await.unwrap();
    assert_eq!((loaded.snapshot.map(|s| s.len()), loaded.chunks.len()), (Some(100_000), 0));
    let mut files = std::fs::read_dir(place.path().join("index/snapshots")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    std::fs::write(&file, vec![8; 100_000]).unwrap();
    let loaded = store.load(document(1)).await.unwrap();
    let chunks = vec![(first, b"a".to_vec()), (JournalNumber(2), b"b".to_vec())];
    assert_eq!(loaded, StoredDocument { snapshot: None, chunks });
    assert_eq!(store.health().index_down, None);
    store.commit(vec![put("people", b"k", b"v")]).await.unwrap();
    assert_eq!(store.row("people", b"k".to_vec()).await.unwrap(), Some(b"v".to_vec()));
}

#[tokio::test]
async fn replaced_snapshot_files_go() {
    let place = Place::new();
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    store.commit(vec![chunk(1, b"a")]).await.unwrap();
    for n in [1, 2, 1] {
        store.compact(document(1), vec![n; 50_000], JournalNumber(1)).await.unwrap();
    }
    drop(store);
    assert_eq!(std::fs::read_dir(place.path().join("index/snapshots")).unwrap().count(), 1);
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    assert_eq!(store.report().rebuilt, None);
    assert_eq!(store.load(document(1)).await.unwrap().snapshot, Some(vec![1; 50_000]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_writing_restores_a_prefix() {
    let place = Place::new();
    let store = Arc::new(EmbeddedStore::open_with(&place.path(), SMALL).unwrap());
    store.commit(vec![put("people", b"first", b"row")]).await.unwrap();
    let writing = Arc::clone(&store);
    let writer = tokio::spawn(async move {
        for n in 0..200_u8 {
            writing.commit(vec![chunk(1, &[n; 50]), put("people", &[n], &[n])]).await.unwrap();
        }
    });
    let target = Place::new();
    let head = store.backup(&target.path()).await.unwrap();
    assert!(matches!(store.backup(&target.path()).await, Err(StoreError::Refused(_))));
    writer.await.unwrap();

    let manifest = std::fs::read_to_string(target.path().join("backup.json")).unwrap();
    assert!(manifest.contains(&head.chain.to_string()), "{manifest}");
    let restored = Place::new();
    copy_folder(&target.path().join("journal"), &restored.path().join("journal"));
    let restored = EmbeddedStore::open_with(&restored.path(), SMALL).unwrap();
    assert_eq!(restored.chain_head(), head);
    assert_eq!(head.last.0 % 2, 1, "groups are whole");
    let count = usize::try_from(head.last.0).unwrap();
    let original = store.records(JournalNumber(1), count).await.unwrap();
    assert_eq!(restored.records(JournalNumber(1), count).await.unwrap(), original);
    assert_eq!(restored.row("people", b"first".to_vec()).await.unwrap(), Some(b"row".to_vec()));
}

#[tokio::test]
async fn a_full_disk_stops_writing_only_and_only_as_long_as_it_is_full() {
    let (place, disk) = (Place::new(), SimulatedDisk::new(1));
    let store = EmbeddedStore::open_on(&place.path(), Arc::new(disk.clone()), SMALL).unwrap();
    store.commit(vec![put("people", b"k", b"v"), chunk(1, b"a")]).await.unwrap();
    for quota in [0, 100] {
        disk.set_quota_bytes(disk.used_bytes() + quota);
        let full = store.commit(vec![put("people", b"k", b"w"), chunk(1, b"b")]).await;
        assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
        assert_eq!(store.row("people", b"k".to_vec()).await.unwrap(), Some(b"v".to_vec()));
        assert_eq!(store.load(document(1)).await.unwrap().chunks.len(), 1);
    }
    disk.set_quota_bytes(1 << 20);
    assert_eq!(store.commit(vec![put("people", b"k", b"w")]).await.unwrap(), JournalNumber(3));
    assert_eq!(store.row("people", b"k".to_vec()).await.unwrap(), Some(b"w".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_under_concurrent_commits_lose_nothing_acknowledged() {
    let mut acknowledged_ever = 0;
    for seed in 0..12 {
        let (place, disk) = (Place::new(), SimulatedDisk::new(seed));
        let mut acknowledged: Vec<(JournalNumber, Record)> = Vec::new();
        for life in 0..3 {
            let open = || EmbeddedStore::open_on(&place.path(), Arc::new(disk.clone()), SMALL).unwrap();
            let store = Arc::new(open());
            disk.cut_power_after(20 + seed * 5);
            let mut tasks = tokio::task::JoinSet::new();
            for writer in 1..=6_u8 {
                let store = Arc::clone(&store);
                tasks.spawn(async move {
                    let mut done = Vec::new();
                    for n in 0..=255_u8 {
                        let group = vec![chunk(writer, &[life, n]), put("people", &[writer], &[life, n])];
                        let Ok(first) = store.commit(group.clone()).await else { break };
                        done.extend((first.0..).map(JournalNumber).zip(group));
                    }
                    done
                });
            }
            while let Some(done) = tasks.join_next().await {
                acknowledged.extend(done.unwrap());
            }
            drop(store);
            disk.crash();
            let store = open();
            assert_eq!(store.last().0 % 2, 0, "seed {seed}: groups are whole");
            for (number, record) in &acknowledged {
                let found = store.records(*number, 1).await.unwrap();
                assert_eq!(found, [(*number, record.clone())], "seed {seed}, life {life}");
            }
        }
        acknowledged_ever += acknowledged.len();
    }
    assert!(acknowledged_ever > 500, "{acknowledged_ever}");
}

/// Says to the process that it starts again where to write.
const CHILD: &str = "DUXUE_TEST_STORE_CHILD";

/// Commits from several tasks until it is killed, printing what was
/// acknowledged: writer, its count, journal number.
async fn write_until_killed(folder: &Path) {
    let store = Arc::new(EmbeddedStore::open_with(folder, KILLED).unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 1..=4_u8 {
        let store = Arc::clone(&store);
        let mut count = store.load(document(writer)).await.unwrap().chunks.len();
        tasks.spawn(async move {
            loop {
                let bytes = count.to_be_bytes();
                let group = vec![chunk(writer, &bytes), event("between"), put("people", &[writer], &bytes)];
                let number = store.commit(group).await.unwrap().0;
                println!("\nacknowledged {writer} {count} {number}");
                count += 1;
            }
        });
    }
    tasks.join_next().await;
}

const KILLED: journal::Options = journal::Options { segment_bytes: 20_000, reserve_bytes: 0 };

/// Starts this test again as another process, kills it after some
/// acknowledgements, and gives all that it printed.
fn killed_after(folder: &Path, acknowledgements: usize) -> Vec<(u8, usize, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::embedded::tests::nothing_acknowledged_is_lost_to_kill_9", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut printed = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        if let ["acknowledged", writer, count, number] = words[..] {
            printed.push((writer.parse().unwrap(), count.parse().unwrap(), number.parse().unwrap()));
        }
        if printed.len() == acknowledgements {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    printed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&folder)).await;
    }
    let place = Place::new();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        let moment = usize::try_from(random.next_u64() % 60).unwrap() + 1;
        acknowledged.extend(killed_after(&place.path(), moment));
        let store = EmbeddedStore::open_with(&place.path(), KILLED).unwrap();
        assert_eq!(store.report().rebuilt, None, "round {round}: sled survives kill -9");
        assert_eq!(store.last().0 % 3, 0, "round {round}: groups are whole");
        store.verify().await.unwrap();
        let records: BTreeMap<_, _> =
            store.records(JournalNumber(1), usize::MAX).await.unwrap().into_iter().collect();
        for (writer, count, number) in &acknowledged {
            let expected = chunk(*writer, &count.to_be_bytes());
            assert_eq!(records.get(&JournalNumber(*number)), Some(&expected), "round {round}");
        }
        for writer in 1..=4 {
            let chunks = store.load(document(writer)).await.unwrap().chunks;
            let counts: Vec<Vec<u8>> = chunks.into_iter().map(|(_, bytes)| bytes).collect();
            let expected: Vec<Vec<u8>> = (0..counts.len()).map(|n| n.to_be_bytes().to_vec()).collect();
            assert_eq!(counts, expected, "round {round}: each writer's chunks, none twice, none missing");
            let row = store.row("people", vec![writer]).await.unwrap();
            assert_eq!(row.as_ref(), expected.last(), "round {round}: the row of the last group");
        }
    }
    assert!(acknowledged.len() > 200, "{} acknowledgements", acknowledged.len());
}

#[tokio::test]
async fn a_page_of_large_records_ends_early_and_none_is_left_out() {
    let place = Place::new();
    let store = EmbeddedStore::open(&place.path()).unwrap();
    for _ in 0..20 {
        store.commit(vec![chunk(1, &vec![7; 1 << 20])]).await.unwrap();
    }
    let (mut next, mut pages) = (1, Vec::new());
    loop {
        let page = store.records(JournalNumber(next), usize::MAX).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        assert_eq!(page[0].0, JournalNumber(next));
        next = last.0 + 1;
        pages.push(page.len());
    }
    assert_eq!(pages, [8, 8, 4]);
    // One that is larger than a page comes alone.
    store.commit(vec![chunk(1, &vec![7; 9 << 20]), chunk(1, b"small")]).await.unwrap();
    assert_eq!(store.records(JournalNumber(21), usize::MAX).await.unwrap().len(), 1);
}

/// A snapshot saves time only, and sled breaks where it cannot write.
#[tokio::test]
async fn where_room_is_short_no_snapshot_is_made_and_reading_goes_on() {
    let place = Place::new();
    let store = EmbeddedStore::open_with(&place.path(), SMALL).unwrap();
    store.commit(vec![chunk(1, b"a"), chunk(1, b"b")]).await.unwrap();
    drop(store);
    let short = journal::Options { reserve_bytes: u64::MAX / 2, ..SMALL };
    let store = EmbeddedStore::open_with(&place.path(), short).unwrap();
    let compacted = store.compact(document(1), vec![9; 100], JournalNumber(2)).await;
    assert!(matches!(compacted, Err(StoreError::Full)), "{compacted:?}");
    store.index.tend();
    assert_eq!(store.load(document(1)).await.unwrap().chunks.len(), 2);
    // An index that breaks now is not thrown away for one that cannot be made.
    let broken: Result<(), StoreError> =
        store.index.with(|_, _| Err(IndexFault::Broken("a test".to_owned())));
    assert!(matches!(broken, Err(StoreError::Full)), "{broken:?}");
    assert_eq!(store.load(document(1)).await.unwrap().chunks.len(), 2);
    assert_eq!(store.health().index_down, None);
}
