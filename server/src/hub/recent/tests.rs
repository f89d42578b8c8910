//! What is said without Automerge is what Automerge would have said.

use automerge::sync::SyncDoc;
use automerge::transaction::Transactable;
use automerge::{ActorId, ROOT};
use duxue_document::{DocumentKind, genesis};
use proptest::prelude::*;

use super::*;

/// How often Automerge need not be asked.
#[derive(Default)]
struct Asked {
    alone: usize,
    automerge: usize,
}

impl Asked {
    fn note(&mut self, alone: bool) {
        *(if alone { &mut self.alone } else { &mut self.automerge }) += 1;
    }
}

/// A client's document, its state, the server's state about it, and what is
/// on its way in both directions.
struct Client {
    doc: Automerge,
    state: State,
    of_server: State,
    up: VecDeque<Message>,
    down: VecDeque<Message>,
}

impl Client {
    fn new(who: u8, reads_only: bool) -> Self {
        let doc = genesis::document(DocumentKind::Survey, ActorId::from([who + 1; 16]));
        let of_server = if reads_only { State::new_read_only() } else { State::new() };
        Self { doc, state: State::new(), of_server, up: VecDeque::new(), down: VecDeque::new() }
    }

    fn says(&mut self) {
        self.up.extend(self.doc.generate_sync_message(&mut self.state));
    }

    fn edits(&mut self, value: i64) {
        let mut tx = self.doc.transaction();
        tx.put(ROOT, format!("k{}", value % 3), value).expect("puts");
        tx.commit();
    }

    /// Its connection is cut, and it comes back without what it knew.
    fn comes_back(&mut self, reads_only: bool) {
        let doc = self.doc.clone();
        *self = Self { doc, ..Self::new(0, reads_only) };
    }
}

struct Server {
    doc: Automerge,
    recent: Recent,
    asked: Asked,
}

impl Server {
    fn new() -> Self {
        let doc = genesis::document(DocumentKind::Survey, ActorId::from([0; 16]));
        let recent = Recent::new(&doc);
        Self { doc, recent, asked: Asked::default() }
    }

    fn takes(&mut self, client: &mut Client) {
        let Some(mut message) = client.up.pop_front() else { return };
        let chunks: Vec<u8> = message.changes.iter().flatten().copied().collect();
        message.changes = ChunkList::empty();
        let state = &mut client.of_server;
        if !chunks.is_empty() && !state.read_only {
            let mut brought = Vec::new();
            crate::hub::admit::changes_of(&chunks, &mut brought).expect("whole chunks");
            brought.retain(|change| self.doc.get_change_meta_by_hash(&change.hash()).is_none());
            self.recent.note(&self.doc, &brought);
            self.doc.apply_changes(brought).expect("applies");
            self.recent.applied(&self.doc);
        }
        let mut expected = state.clone();
        self.doc.receive_sync_message(&mut expected, message.clone()).expect("receives");
        let alone = self.recent.receive(&self.doc, state, &message);
        if alone {
            assert_eq!(*state, expected);
        }
        *state = expected;
        self.asked.note(alone);
    }

    fn says(&mut self, client: &mut Client) {
        let state = &mut client.of_server;
        let mut expected = state.clone();
        let due = self.doc.generate_sync_message(&mut expected);
        let alone = self.recent.generate(&self.doc, state);
        self.asked.note(alone.is_some());
        if let Some(said) = alone {
            assert_eq!(said, due);
            assert_eq!(*state, expected);
        }
        *state = expected;
        client.down.extend(due);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Edits,
    Says,
    ServerTakes,
    ServerSays,
    Takes,
    ComesBack {
        reads_only: bool,
    },
    /// Clients of early versions send no flags.
    SaysOldWords,
    /// A client that thinks it has said what it has not: what comes next
    /// depends on changes that are not there.
    Forgets,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Edits),
        6 => Just(Step::Says),
        8 => Just(Step::ServerTakes),
        8 => Just(Step::ServerSays),
        8 => Just(Step::Takes),
        1 => any::<bool>().prop_map(|reads_only| Step::ComesBack { reads_only }),
        1 => Just(Step::SaysOldWords),
        1 => Just(Step::Forgets),
    ]
}

fn take(server: &mut Server, client: &mut Client, step: &Step, value: i64) {
    match step {
        Step::Edits => client.edits(value),
        Step::Says => client.says(),
        Step::SaysOldWords => {
            client.says();
            if let Some(last) = client.up.back_mut() {
                last.flags = None;
            }
        }
        Step::Forgets => drop(client.up.pop_back()),
        Step::ServerTakes => server.takes(client),
        Step::ServerSays => server.says(client),
        Step::Takes => {
            if let Some(message) = client.down.pop_front() {
                client.doc.receive_sync_message(&mut client.state, message).expect("receives");
            }
        }
        Step::ComesBack { reads_only } => client.comes_back(*reads_only),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_exchange_is_what_it_would_be_with_automerge_alone(
        steps in prop::collection::vec((0..4_usize, step()), 1..300),
    ) {
        let mut server = Server::new();
        let mut clients: Vec<Client> = (0..4).map(|who| Client::new(who, who == 3)).collect();
        for (value, (who, step)) in (0..).zip(&steps) {
            take(&mut server, &mut clients[*who], step, value);
        }
    }
}

#[test]
fn many_who_edit_together_are_answered_without_automerge() {
    let mut server = Server::new();
    let mut clients: Vec<Client> = (0..6).map(|who| Client::new(who, false)).collect();
    for round in 0..200 {
        if round == 20 {
            server.asked = Asked::default();
        }
        for (who, client) in (0..).zip(&mut clients) {
            if (round + who) % 3 == 0 {
                client.edits(round);
            }
            client.says();
            server.takes(client);
        }
        for client in &mut clients {
            server.says(client);
            take(&mut server, client, &Step::Takes, 0);
        }
    }
    let Asked { alone, automerge } = server.asked;
    // A peer's filter may wrongly say that it has a change; then it asks.
    assert!(alone > 2_000 && automerge < alone / 50, "{alone} {automerge}");
}

#[test]
fn what_is_kept_is_bounded_and_what_is_not_is_asked_for() {
    let mut server = Server::new();
    let mut behind = Client::new(0, false);
    let mut writer = Client::new(1, false);
    for client in [&mut behind, &mut writer] {
        client.says();
        server.takes(client);
        server.says(client);
        take(&mut Server::new(), client, &Step::Takes, 0);
    }
    for value in 0..3 * CHANGES as i64 {
        writer.edits(value);
        writer.says();
        server.takes(&mut writer);
        assert!(server.recent.changes.len() <= CHANGES && server.recent.bytes <= BYTES);
    }
    assert!(server.recent.generate(&server.doc, &mut behind.of_server).is_none(), "too far behind");
    server.says(&mut behind);
    take(&mut server, &mut behind, &Step::Takes, 0);
    assert_eq!(behind.doc.get_heads(), server.doc.get_heads());
}
