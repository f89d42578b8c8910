//! Two thousand clients that come back at once: all are served, no one waits
//! for all others, and memory is bounded. Waiting is measured in turns, not in
//! time: how often another client was served while one waited for one answer.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge};
use duxue_document::{DocumentId, DocumentKind, genesis};
use duxue_protocol::wire::Message;
use duxue_server::transport;
use duxue_tests::deadline::DEADLINE;
use duxue_tests::hostile::{self, Attacker as Client};
use duxue_tests::processes::{Api, Start};
use duxue_tests::round::{ROUND, Round, password};
use tokio::sync::{Barrier, Notify};

const CLIENTS: usize = 2_000;
/// They are of so many people.
const PEOPLE: usize = 8;
/// Edits that each brings once all have come back, one after the other's answer.
const EDITS: u32 = 12;
/// How often another may be served while one waits. In a fair server all are
/// served about equally often; where one starves others come to [`EDITS`].
const TURNS_MAX: u32 = 6;
/// Most memory of the server with all of them connected, each with a document
/// of its own open, in KiB.
const MEMORY_MAX_KIB: u64 = 768 << 10;

/// Who was served how often.
struct Tally {
    served: Vec<AtomicU32>,
    all: AtomicU64,
    /// A quarter of the work is done.
    quarter: Notify,
}

impl Tally {
    fn new() -> Self {
        let served = (0..CLIENTS).map(|_| AtomicU32::new(0)).collect();
        Self { served, all: AtomicU64::new(0), quarter: Notify::new() }
    }

    fn note(&self, client: usize) {
        self.served[client].fetch_add(1, Ordering::SeqCst);
        let all = self.all.fetch_add(1, Ordering::SeqCst) + 1;
        if all == CLIENTS as u64 * u64::from(EDITS) / 4 {
            self.quarter.notify_one();
        }
    }

    fn now(&self) -> Vec<u32> {
        self.served.iter().map(|served| served.load(Ordering::SeqCst)).collect()
    }

    /// The most that any other was served since then.
    fn most_since(&self, then: &[u32], own: usize) -> u32 {
        let since = self.now().into_iter().zip(then).map(|(now, then)| now - then);
        since.enumerate().filter(|(client, _)| *client != own).map(|(_, served)| served).max().unwrap_or(0)
    }
}

fn school(number: usize) -> String {
    format!("{}{number:04}", xtask::demo::COUNTY_CODE)
}

/// One school for each client, and one for the newcomer.
fn register() -> String {
    let mut text =
        "学校标识码,学校名称,办学类型,城乡分类,举办者类型,是否寄宿制,是否人口密度过高的中心城区学校\n"
            .to_owned();
    for number in 0..=CLIENTS {
        let _ = writeln!(text, "{},第{number}小学,小学,城区,县级教育部门,否,否", school(number));
    }
    text
}

/// A document on a device.
struct Copy {
    id: DocumentId,
    doc: Automerge,
    state: sync::State,
}

impl Copy {
    fn of(number: usize) -> Self {
        let round = ROUND.parse().expect("an id");
        let mut actor = [1; 16];
        actor[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Self {
            id: DocumentId::derive(&round, &school(number), DocumentKind::Survey),
            doc: genesis::document(DocumentKind::Survey, ActorId::from(actor)),
            state: sync::State::new(),
        }
    }

    fn edit(&mut self, value: u32) {
        let mut transaction = self.doc.transaction();
        transaction.put(automerge::ROOT, "edit", i64::from(value)).expect("a put");
        transaction.commit();
    }

    /// Exchanges until the server has said that it has all of it.
    async fn sync(&mut self, client: &mut Client) {
        let heads = self.doc.get_heads();
        loop {
            if let Some(message) = self.doc.generate_sync_message(&mut self.state) {
                client.sync(self.id, message.encode()).await;
            }
            let data = match client.hear().await {
                Some(Message::Sync { data, .. }) => data,
                other => panic!("not an answer: {other:?}"),
            };
            let theirs = sync::Message::decode(&data).expect("a sync message");
            let there = heads.iter().all(|head| theirs.heads.contains(head));
            self.doc.receive_sync_message(&mut self.state, theirs).expect("changes that apply");
            if there {
                return;
            }
        }
    }
}

/// All that the clients share.
struct Crowd {
    round: Round,
    tokens: Vec<String>,
    tally: Tally,
    /// Everyone is connected, and then: everyone's document is open.
    together: Barrier,
}

impl Crowd {
    /// One comes back and brings its edits. Gives its longest wait in turns.
    async fn client(&self, number: usize) -> u32 {
        let name = format!("client-{number}");
        let mut client = Client::join(self.round.address(), &self.tokens[number % PEOPLE], &name).await;
        let mut copy = Copy::of(number);
        self.wait_for_all(&mut client).await;
        // What was captured offline, into a document that nobody has open yet.
        copy.edit(0);
        copy.sync(&mut client).await;
        self.wait_for_all(&mut client).await;
        let mut longest = 0;
        for edit in 1..=EDITS {
            copy.edit(edit);
            let before = self.tally.now();
            copy.sync(&mut client).await;
            longest = longest.max(self.tally.most_since(&before, number));
            self.tally.note(number);
        }
        longest
    }

    async fn wait_for_all(&self, client: &mut Client) {
        let mut all_here = std::pin::pin!(self.together.wait());
        // Reading answers the server's pings.
        tokio::select! {
            _ = &mut all_here => {}
            unasked = client.hear() => panic!("{unasked:?}"),
        }
    }

    /// Somebody comes in the middle of it, who was not there. Gives how many
    /// others were served before.
    async fn newcomer(&self) -> u64 {
        self.tally.quarter.notified().await;
        let before = self.tally.all.load(Ordering::SeqCst);
        let mut client = Client::join(self.round.address(), &self.tokens[0], "newcomer").await;
        let mut copy = Copy::of(CLIENTS);
        copy.edit(0);
        copy.sync(&mut client).await;
        self.tally.all.load(Ordering::SeqCst) - before
    }
}

fn open() -> Crowd {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, list) = (folder.path().join("server"), folder.path().join("register.csv"));
    std::fs::write(&list, register()).expect("a register");
    let start = Start {
        // Turns are measured here, and no clock decides on a machine with other work.
        limits: vec![
            ("connections_per_person", (CLIENTS / PEOPLE + 1) as u64),
            ("ping_seconds", 600),
            ("join_seconds", 600),
            ("header_seconds", 600),
        ],
        // The server has to ask for more open files by itself.
        within: ["sh", "-c", "ulimit -S -n 1024; exec \"$0\" \"$@\""].map(str::to_owned).to_vec(),
        ..Start::default()
    };
    let round = Round::open_in(folder, data, start, &list);
    let tokens = (0..PEOPLE).map(|person| {
        let name = format!("inspector-{person}");
        let schools: Vec<String> = (person..=CLIENTS).step_by(PEOPLE).map(school).collect();
        let schools: Vec<&str> = schools.iter().map(String::as_str).collect();
        round.inspector(&name, &schools);
        Api::login(&round.url(), &name, &password(&name)).token().to_owned()
    });
    let tokens = tokens.collect();
    Crowd { round, tokens, tally: Tally::new(), together: Barrier::new(CLIENTS) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_that_come_back_at_once_do_not_starve_each_other() {
    assert_eq!(transport::allow_files(CLIENTS), None, "this test needs so many open files");
    let crowd = Arc::new(tokio::task::spawn_blocking(open).await.expect("a round"));
    let begun = std::time::Instant::now();
    let newcomer = tokio::spawn({
        let crowd = Arc::clone(&crowd);
        async move { crowd.newcomer().await }
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let crowd = Arc::clone(&crowd);
            tokio::spawn(async move { crowd.client(number).await })
        })
        .collect();
    let mut longest = 0;
    for client in clients {
        let waited = tokio::time::timeout(DEADLINE * 3, client).await.expect("all are served");
        longest = longest.max(waited.expect("a client"));
    }
    let before_newcomer = newcomer.await.expect("the newcomer is served");
    let peak = hostile::peak_memory_kib(&crowd.round.path("server")).expect("Linux tells");
    println!(
        "{CLIENTS} clients with {EDITS} edits each in {:?}: while one waited, another was served {longest} times \
         at most; {before_newcomer} answers went before a newcomer's; peak memory of the server {} MiB",
        begun.elapsed(),
        peak >> 10
    );
    assert_eq!(crowd.tally.all.load(Ordering::SeqCst), CLIENTS as u64 * u64::from(EDITS));
    assert!(longest <= TURNS_MAX, "{longest} turns");
    let left = CLIENTS as u64 * u64::from(EDITS) * 3 / 4;
    assert!(before_newcomer < left, "the newcomer waited for everyone");
    assert!(peak < MEMORY_MAX_KIB, "{peak} KiB");
}
