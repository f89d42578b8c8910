//! What a document costs that is stored and that nobody has open: nothing that
//! grows with its size. Of two servers one has twice as many large ones.

use std::time::Instant;

use automerge::ActorId;
use automerge::transaction::Transactable;
use duxue_document::{DocumentId, DocumentKind, genesis};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::hostile::{Attacker, message, resident_memory_kib};
use duxue_tests::processes::{Api, Start};
use duxue_tests::round::{ROUND, Round, password};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

/// Bytes of each document.
const LARGE: usize = 800_000;
/// How many of them the two servers have.
const DOCUMENTS: [usize; 2] = [20, 40];
/// What the two may differ by, in KiB: half of what the larger one has more on
/// its disk, and in memory they would take more than on the disk. It was 1 MiB.
const APART_MAX_KIB: u64 = ((DOCUMENTS[1] - DOCUMENTS[0]) * LARGE / 2 / 1024) as u64;

/// A change of so many bytes that do not compress.
fn change(bytes: usize, random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut doc = genesis::document(DocumentKind::Survey, ActorId::random());
    let mut transaction = doc.transaction();
    for key in 0..10 {
        let mut value = vec![0; bytes / 10];
        random.fill_bytes(&mut value);
        transaction.put(automerge::ROOT, format!("part-{key}"), value).expect("a put");
    }
    transaction.commit();
    doc.get_changes(&[]).last().expect("a change").raw_bytes().to_vec()
}

/// The memory of a server that was started on so many documents, once it has
/// looked through its journal.
async fn resident_kib(documents: usize) -> u64 {
    // One arena: what the allocator keeps in several for each thread is not asked.
    let within = ["env", "MALLOC_ARENA_MAX=1"].map(str::to_owned).to_vec();
    let limits = vec![("document_idle_seconds", 1)];
    let mut round = Round::open_with(Start { limits, within, ..Start::default() });
    let desk = round.desk("supervisor", "supervisor");
    let list = desk.get(&format!("/rounds/{ROUND}/schools"));
    let rows = list.as_array().expect("schools").iter();
    let schools: Vec<String> =
        rows.filter_map(|row| row["school"]["id"].as_str()).take(documents).map(str::to_owned).collect();
    assert_eq!(schools.len(), documents);
    let names: Vec<&str> = schools.iter().map(String::as_str).collect();
    round.inspector("inspector", &names);
    let inspector = Api::login(&round.url(), "inspector", &password("inspector"));
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut socket = Attacker::join(round.address(), inspector.token(), "writer").await;
    for school in &schools {
        let round = ROUND.parse().expect("an id");
        let document = DocumentId::derive(&round, school, DocumentKind::Survey);
        socket.sync(document, message(&[change(LARGE, &mut random)])).await;
        // It is on the disk when the server says that it has it.
        socket.hear().await.expect("an answer");
    }
    round.stop();
    round.start();
    let begun = Instant::now();
    loop {
        let mut answer = ureq::get(format!("{}/health", round.url())).call().expect("an answer");
        let health: Value =
            serde_json::from_str(&answer.body_mut().read_to_string().expect("a body")).expect("JSON");
        assert_eq!(health["open_documents"], 0, "nobody has one open");
        if health["journal_check"] == "intact" {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "{health}");
    }
    // The one that is read is there whole.
    let resident = resident_memory_kib(&round.path("server")).expect("Linux tells");
    let school = desk.get(&format!("/rounds/{ROUND}/schools/{}", schools[0]));
    let findings = school["consolidated"]["findings"].to_string();
    assert!(findings.contains("part-9"), "{findings}");
    resident
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_document_costs_nothing_that_grows_with_its_size() {
    let few = resident_kib(DOCUMENTS[0]).await;
    let many = resident_kib(DOCUMENTS[1]).await;
    println!("{DOCUMENTS:?} documents of {LARGE} bytes: {few} KiB and {many} KiB");
    assert!(many < few + APART_MAX_KIB, "{few} KiB and {many} KiB");
}
