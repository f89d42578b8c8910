//! A panic closes one session and rebuilds one document, and a defect of ours
//! costs one document its sessions; all others go on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{Automerge, ROOT};
use duxue_document::DocumentId;
use duxue_document::DocumentKind::Survey;

use super::trap;
use crate::test_county::{Client, County, ROUND, Said, document, local, put};

const PUPILS: &str = "quantities/pupils:primary";

/// Writes a change with a message.
fn write(doc: &mut Automerge, message: &str) {
    let mut transaction = doc.transaction();
    transaction.put(ROOT, "x", message).unwrap();
    transaction.commit_with(CommitOptions::default().with_message(message)).0.unwrap();
}

/// Brings a document's changes; what the server says that is no sync message.
async fn bring(client: &mut Client, id: DocumentId, doc: &mut Automerge) -> Said {
    client.speak(id, doc).await;
    loop {
        match client.hear().await {
            Said::Sync(_, data) => {
                client.take(id, doc, &data);
                client.speak(id, doc).await;
            }
            said => return said,
        }
    }
}

/// What the server says at last, and how it closes.
async fn end(client: &mut Client) -> (Said, Said) {
    let mut last = client.hear().await;
    loop {
        let said = client.hear().await;
        if matches!(said, Said::Closed(..) | Said::Gone) {
            return (last, said);
        }
        last = said;
    }
}

/// Two people with the first school's survey open, and a socket with the
/// second school's.
struct Scene {
    county: County,
    victim: (Client, Automerge),
    elsewhere: (Client, Automerge),
}

impl Scene {
    async fn new() -> Self {
        let county = County::new().await;
        let mut victim = (county.client("second").await, local(Survey, 2));
        put(&mut victim.1, PUPILS, "100");
        victim.0.sync(document(0, Survey), &mut victim.1).await;
        let address = county.server.address;
        let other = Client::connect(address, county.token("first"), "elsewhere").await;
        let mut elsewhere = (other, local(Survey, 3));
        elsewhere.0.sync(document(1, Survey), &mut elsewhere.1).await;
        Self { county, victim, elsewhere }
    }

    /// The first inspector's socket under this name, with a copy of the
    /// survey.
    async fn attacker(&self, name: &str) -> (Client, Automerge) {
        let client = Client::connect(self.county.server.address, self.county.token("first"), name).await;
        let doc = self.victim.1.clone().with_actor(automerge::ActorId::from([9; 16]));
        (client, doc)
    }

    /// The other document goes on over the same socket.
    async fn elsewhere_goes_on(&mut self, value: &str) {
        let (client, doc) = &mut self.elsewhere;
        put(doc, PUPILS, value);
        client.sync(document(1, Survey), doc).await;
    }

    /// The victim's socket still stands and its work is taken.
    async fn victim_goes_on(&mut self, value: &str) {
        let (client, doc) = &mut self.victim;
        put(doc, PUPILS, value);
        client.sync(document(0, Survey), doc).await;
    }

    async fn rebuilt(&self) -> u64 {
        let (_, text) = self.county.server.get("", "/metrics").await;
        let text = text.as_str().unwrap_or_default().to_owned();
        let count = |line: &str| line.strip_prefix("duxue_documents_rebuilt_total ")?.trim().parse().ok();
        text.lines().find_map(count).unwrap_or(0)
    }

    /// A socket that comes now is given the victim's work.
    async fn the_document_is_whole(&self) {
        let mut doc = local(Survey, 7);
        let mut client =
            Client::connect(self.county.server.address, self.county.token("first"), "late").await;
        let wanted = self.victim.1.get_heads();
        client.speak(document(0, Survey), &doc).await;
        client.until(document(0, Survey), &mut doc, |doc| doc.get_heads() == wanted).await;
    }
}

#[tokio::test]
async fn a_change_on_which_automerge_panics_costs_its_sender_the_connection_and_nobody_else_anything() {
    let mut scene = Scene::new().await;
    let before = scene.rebuilt().await;
    let (mut client, mut doc) = scene.attacker("attacker").await;
    write(&mut doc, trap::APPLY);
    let id = document(0, Survey);
    let said = bring(&mut client, id, &mut doc).await;
    assert_eq!(said, Said::Error("change.set_aside".to_owned()));
    assert_eq!(client.about, Some(id));
    assert!(scene.rebuilt().await > before, "the document was rebuilt");

    scene.victim_goes_on("101").await;
    scene.elsewhere_goes_on("300").await;
    scene.the_document_is_whole().await;
    let path = format!("/api/rounds/{ROUND}/set-aside");
    let (_, aside) = scene.county.server.get(scene.county.token("supervisor"), &path).await;
    assert_eq!(aside[0]["reason"], "chunk.panic", "{aside}");
    assert_eq!(aside.as_array().map(Vec::len), Some(1), "{aside}");
}

#[tokio::test]
async fn a_message_on_which_automerge_panics_ends_one_session_and_rebuilds_one_document() {
    for name in [trap::RECEIVE, trap::GENERATE] {
        let mut scene = Scene::new().await;
        let before = scene.rebuilt().await;
        let (mut client, doc) = scene.attacker(name).await;
        let id = document(0, Survey);
        client.speak(id, &doc).await;
        let ended = end(&mut client).await;
        let code = "sync.panic".to_owned();
        assert_eq!(ended, (Said::Error(code.clone()), Said::Closed(1011, code)), "{name}");
        assert_eq!(client.about, Some(id), "{name}");
        if name == trap::RECEIVE {
            assert!(scene.rebuilt().await > before, "what was being written is not trusted");
        }
        scene.victim_goes_on("102").await;
        scene.elsewhere_goes_on("301").await;
        scene.the_document_is_whole().await;
    }
}

#[tokio::test]
async fn a_defect_of_ours_ends_the_sessions_of_one_document_which_is_loaded_again() {
    let mut scene = Scene::new().await;
    let (mut client, mut doc) = scene.attacker("attacker").await;
    write(&mut doc, trap::PLAN);
    let id = document(0, Survey);
    let code = "document.failed".to_owned();
    assert_eq!(bring(&mut client, id, &mut doc).await, Said::Error(code.clone()));
    assert_eq!(end(&mut scene.victim.0).await, (Said::Error(code.clone()), Said::Closed(1011, code)));
    assert_eq!((client.about, scene.victim.0.about), (Some(id), Some(id)));
    scene.elsewhere_goes_on("302").await;
    scene.the_document_is_whole().await;
    // Nothing of what was not acknowledged is there.
    let sent = doc.get_heads();
    let app = &scene.county.server.app;
    let found = app.hub.read(&app.rounds.document(&id).unwrap()).await.unwrap();
    assert!(sent.iter().all(|head| found.read().get_change_meta_by_hash(head).is_none()));
    scene.victim.0 = scene.county.client("second").await;
    scene.victim_goes_on("103").await;
}
