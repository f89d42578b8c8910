//! A whole server on port 0, people with rights, and raw clients of its
//! WebSocket that speak through automerge and the wire module only.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

pub mod ended;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use automerge::sync::{State, SyncDoc};
use automerge::{ActorId, Automerge};
use duxue_document::decision::{Ruling, RulingChoice, Subject};
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_document::{
    Captured, Claim, Decimal, DocumentId, DocumentKind, EntryPath, FieldId, RoundId, Scalar, SchoolId,
    genesis, write,
};
use duxue_protocol::api::{
    Assignment, Enrol, Enrolment, Login, NewEnrolment, NewPerson, PersonSummary, Role, Session,
};
use duxue_protocol::wire::{self, Limits, Message as Wire, Metadata};
use duxue_server::app::App;
use duxue_server::audit::By;
use duxue_server::store::memory::MemoryStore;
use duxue_server::store::{Delivery, JournalNumber, Record, Store, StoreError, StoreFuture, StoredDocument};
use duxue_server::{Config, Server};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const PASSWORD: &str = "a password for tests";
pub const ROUND: &str = "round-2026";
pub const SCHOOLS: [&str; 2] = ["3601000001", "3601000002"];

/// A server that runs until it is dropped or stopped.
pub struct Running {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    _data: Arc<tempfile::TempDir>,
}

/// A data folder that outlives a server.
pub fn folder() -> Arc<tempfile::TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

pub fn config(data: &tempfile::TempDir) -> Config {
    Config {
        data: data.path().to_owned(),
        administrator_password: Some(PASSWORD.to_owned()),
        ..Config::default()
    }
}

impl Running {
    pub async fn on(store: Arc<dyn Store>, data: Arc<tempfile::TempDir>) -> Self {
        let server = Server::on(config(&data), store).await.unwrap();
        Self::run(server, data).await
    }

    pub async fn run(server: Server, data: Arc<tempfile::TempDir>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Arc::clone(server.app());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            server.run(listener, async { drop(stopped.await) }).await.unwrap();
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, app, http, stop: Some(stop), task, _data: data }
    }

    /// Ends gracefully and waits.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    /// Ends like a killed process: nothing more is flushed.
    pub fn kill(self) {
        self.task.abort();
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn get(&self, token: &str, path: &str) -> (u16, serde_json::Value) {
        answer(self.http.get(self.url(path)).bearer_auth(token)).await
    }

    pub async fn post(
        &self,
        token: &str,
        path: &str,
        body: &impl serde::Serialize,
    ) -> (u16, serde_json::Value) {
        answer(self.http.post(self.url(path)).bearer_auth(token).json(body)).await
    }

    pub async fn login(&self, name: &str) -> Session {
        let login = Login { name: name.to_owned(), password: PASSWORD.to_owned() };
        let (status, body) = self.post("", "/api/login", &login).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> (u16, serde_json::Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
}

pub fn round() -> RoundId {
    ROUND.parse().unwrap()
}

pub fn school(index: usize) -> SchoolId {
    SCHOOLS[index].parse().unwrap()
}

pub fn document(index: usize, kind: DocumentKind) -> DocumentId {
    DocumentId::derive(&round(), SCHOOLS[index], kind)
}

/// The county's own document.
pub fn county_document() -> DocumentId {
    DocumentId::derive(&round(), ROUND, DocumentKind::County)
}

/// A county with two schools, and people: `admin`, `bureau`, `supervisor`,
/// and the inspectors `first` (both schools) and `second` (the first school).
pub struct County {
    pub server: Running,
    pub tokens: BTreeMap<&'static str, Session>,
}

impl County {
    pub async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()), folder()).await
    }

    pub async fn on(store: Arc<dyn Store>, data: Arc<tempfile::TempDir>) -> Self {
        Self::of(Running::on(store, data).await).await
    }

    /// One whose server has these limits.
    pub async fn within(limits: duxue_server::config::Limits) -> Self {
        Self::set(|config| config.limits = limits).await
    }

    /// The same with settings of its own.
    pub async fn set(change: impl FnOnce(&mut Config)) -> Self {
        let data = folder();
        let mut config = config(&data);
        change(&mut config);
        let server = Server::on(config, Arc::new(MemoryStore::new())).await.unwrap();
        Self::of(Running::run(server, data).await).await
    }

    async fn of(server: Running) -> Self {
        let mut tokens = BTreeMap::from([("admin", server.login("admin").await)]);
        let admin = tokens["admin"].token.clone();
        let new = serde_json::json!({
            "id": ROUND, "name": "测试轮次", "jurisdiction": "360100", "standard": "cn-youzhi-2017",
        });
        assert_eq!(server.post(&admin, "/api/rounds", &new).await.0, 201);
        let schools = (0..SCHOOLS.len()).map(|index| (register_row(index), Declared::default())).collect();
        server.app.rounds.import(&round(), schools, None, &By::CommandLine, 0).await.unwrap();
        for (name, role) in [("bureau", Role::Bureau), ("supervisor", Role::Supervisor)] {
            let person = add_person(&server, &admin, name).await;
            let assignment = Assignment { person, role, schools: BTreeSet::new(), ended: false };
            let path = format!("/api/rounds/{ROUND}/assignments");
            assert_eq!(server.post(&admin, &path, &assignment).await.0, 204);
            tokens.insert(name, server.login(name).await);
        }
        let mut county = Self { server, tokens };
        for (name, schools) in [("first", vec![0, 1]), ("second", vec![0])] {
            let session = county.enrol(name, &schools).await;
            county.tokens.insert(name, session);
        }
        county
    }

    /// Enrols a device of a new inspector.
    pub async fn enrol(&self, name: &str, schools: &[usize]) -> Session {
        let new = NewEnrolment {
            person_name: name.to_owned(),
            person: None,
            round: round(),
            schools: schools.iter().map(|index| school(*index)).collect(),
        };
        let (status, body) = self.server.post(self.token("bureau"), "/api/enrolments", &new).await;
        assert_eq!(status, 201, "{body}");
        let code: Enrolment = serde_json::from_value(body).unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public_key = duxue_server::random::hex(key.verifying_key().as_bytes());
        let enrol = Enrol { code: code.code, public_key, device_name: format!("{name}'s phone") };
        let (status, body) = self.server.post("", "/api/enrol", &enrol).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_value(body).unwrap()
    }

    pub fn token(&self, name: &str) -> &str {
        &self.tokens[name].token
    }

    /// A client with this person's token.
    pub async fn client(&self, name: &str) -> Client {
        Client::connect(self.server.address, self.token(name), &format!("peer-{name}")).await
    }

    /// Replaces the assignment of an inspector.
    pub async fn assign(&self, name: &str, schools: &[usize]) {
        let assignment = Assignment {
            person: self.tokens[name].person.clone(),
            role: Role::Inspector,
            schools: schools.iter().map(|index| school(*index)).collect(),
            ended: false,
        };
        let path = format!("/api/rounds/{ROUND}/assignments");
        assert_eq!(self.server.post(self.token("bureau"), &path, &assignment).await.0, 204);
    }
}

pub async fn add_person(server: &Running, admin: &str, name: &str) -> duxue_document::PersonId {
    let login = Login { name: name.to_owned(), password: PASSWORD.to_owned() };
    let new = NewPerson { person: None, name: name.to_owned(), login: Some(login), administrator: false };
    let (status, body) = server.post(admin, "/api/people", &new).await;
    assert_eq!(status, 201, "{body}");
    serde_json::from_value::<PersonSummary>(body).unwrap().person
}

pub fn register_row(index: usize) -> School {
    School {
        id: school(index),
        name: format!("第{}小学", index + 1),
        jurisdiction: "360100".parse().unwrap(),
        kind: SchoolKind::Primary,
        parent: None,
        attached: BTreeSet::new(),
        setting: Setting::Town,
        sponsor: 1,
        built_year: None,
        boarding: false,
        dense_centre: false,
        place: None,
    }
}

pub fn claim(value: &str) -> Claim {
    let field: FieldId = "value".parse().unwrap();
    let number: Decimal = value.parse().unwrap();
    Claim {
        value: BTreeMap::from([(field, Scalar::Number(number))]),
        captured: Captured { boot_id: "boot".to_owned(), ..Captured::default() },
        ..Claim::default()
    }
}

pub fn path(text: &str) -> EntryPath {
    text.parse().unwrap()
}

/// A document on a device.
pub fn local(kind: DocumentKind, actor: u8) -> Automerge {
    genesis::document(kind, ActorId::from([actor; 16]))
}

pub fn put(doc: &mut Automerge, at: &str, value: &str) {
    write::put_claims(doc, &[(path(at), claim(value))]).unwrap();
}

/// Writes a ruling that sets a value, whatever the candidates.
pub fn rule(doc: &mut Automerge, id: &str, at: &str, value: &str) {
    let ruling = Ruling {
        subject: Subject::Entry {
            path: path(at),
            choice: RulingChoice::Set(claim(value).value),
            saw: BTreeSet::new(),
            verdicts: BTreeSet::new(),
        },
        reason: "复核".to_owned(),
        supersedes: BTreeSet::new(),
        captured: claim(value).captured,
    };
    write::put_ruling(doc, &id.parse().unwrap(), &ruling).unwrap();
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Sync(DocumentId, Vec<u8>),
    Unavailable(String),
    Error(String),
    Ephemeral(Vec<u8>),
    Closed(u16, String),
    Gone,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A raw client.
pub struct Client {
    socket: Socket,
    pub peer: String,
    /// The document that the last error named.
    pub about: Option<DocumentId>,
    states: BTreeMap<DocumentId, State>,
}

impl Client {
    /// Opens the socket and joins; fails the test if the server refuses.
    pub async fn connect(address: SocketAddr, token: &str, peer: &str) -> Self {
        let mut client = Self::open(address, token, peer).await;
        client.join().await;
        match client.receive().await {
            Wire::Peer { target_id, .. } => assert_eq!(target_id, peer),
            other => panic!("not a peer message: {other:?}"),
        }
        client
    }

    pub async fn open(address: SocketAddr, token: &str, peer: &str) -> Self {
        let url = format!("ws://{address}/sync?token={token}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self { socket, peer: peer.to_owned(), about: None, states: BTreeMap::new() }
    }

    pub async fn join(&mut self) {
        let join = Wire::Join {
            sender_id: self.peer.clone(),
            metadata: Metadata::default(),
            supported_protocol_versions: vec!["1".to_owned()],
        };
        self.send(&join).await;
    }

    /// The name of the server, which welcomes the client.
    pub async fn server(&mut self) -> String {
        match self.receive().await {
            Wire::Peer { sender_id, .. } => sender_id,
            other => panic!("not a peer message: {other:?}"),
        }
    }

    pub async fn send(&mut self, message: &Wire) {
        self.raw(Message::Binary(wire::encode(message).into())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        // The server may have closed; the test reads why.
        let _ = self.socket.send(message).await;
    }

    async fn receive(&mut self) -> Wire {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return wire::decode(&frame, &Limits::default()).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("not a frame: {other:?}"),
            }
        }
    }

    /// The next thing that the server says.
    pub async fn hear(&mut self) -> Said {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => match wire::decode(&frame, &Limits::default()).unwrap() {
                    Wire::Sync { document_id, data, .. } => {
                        return Said::Sync(document_id.parse().unwrap(), data);
                    }
                    Wire::DocUnavailable { document_id, .. } => return Said::Unavailable(document_id),
                    Wire::Error { message, document_id, .. } => {
                        self.about = document_id.map(|id| id.parse().unwrap());
                        return Said::Error(message);
                    }
                    Wire::Ephemeral { data, .. } => return Said::Ephemeral(data),
                    other => panic!("unexpected: {other:?}"),
                },
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Said::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Said::Gone,
            }
        }
    }

    /// Asks for a document that is not there and hears until the answer: the
    /// server has read all that was sent before, and said all that it had to
    /// say before. Gives what came meanwhile.
    pub async fn round_trip(&mut self) -> Vec<Said> {
        let nowhere = DocumentId([0xee; 16]);
        self.say(nowhere, vec![0x42]).await;
        let mut said = Vec::new();
        loop {
            match self.hear().await {
                Said::Unavailable(id) if id == nowhere.to_string() => return said,
                Said::Gone => return said,
                other => said.push(other),
            }
        }
    }

    /// What the server says of a document until it has nothing more to say,
    /// taken in without an answer.
    pub async fn settle(&mut self, county: &County, id: DocumentId) -> Vec<Said> {
        let mut said = self.round_trip().await;
        // A question to the document is answered after what came before it.
        if let Some(name) = county.server.app.rounds.document(&id) {
            let asks = Delivery { person: "who".parse().unwrap(), device: None };
            county.server.app.hub.durable(&name, Vec::new(), asks).await.unwrap();
        }
        said.extend(self.round_trip().await);
        said
    }

    /// Exchanges until neither side has anything to say, whether or not the
    /// server took what it was given.
    pub async fn exchange(&mut self, county: &County, id: DocumentId, doc: &mut Automerge) {
        self.speak(id, doc).await;
        loop {
            let said = self.settle(county, id).await;
            if said.is_empty() {
                return;
            }
            for said in said {
                let Said::Sync(from, data) = said else { panic!("{said:?}") };
                assert_eq!(from, id);
                self.take(id, doc, &data);
                self.speak(id, doc).await;
            }
        }
    }

    pub async fn say(&mut self, id: DocumentId, data: Vec<u8>) {
        let message = Wire::Sync {
            sender_id: self.peer.clone(),
            target_id: "server".to_owned(),
            document_id: id.to_string(),
            data,
        };
        self.send(&message).await;
    }

    /// Sends what automerge has to say about the document.
    pub async fn speak(&mut self, id: DocumentId, doc: &Automerge) -> bool {
        let state = self.states.entry(id).or_default();
        let Some(message) = doc.generate_sync_message(state) else { return false };
        self.say(id, message.encode()).await;
        true
    }

    pub fn take(&mut self, id: DocumentId, doc: &mut Automerge, data: &[u8]) {
        let message = automerge::sync::Message::decode(data).unwrap();
        doc.receive_sync_message(self.states.entry(id).or_default(), message).unwrap();
    }

    /// Exchanges until the server has said that it has the same heads.
    pub async fn sync(&mut self, id: DocumentId, doc: &mut Automerge) {
        self.speak(id, doc).await;
        loop {
            match self.hear().await {
                Said::Sync(from, data) if from == id => {
                    self.take(id, doc, &data);
                    let theirs = self.states[&id].their_heads.clone();
                    self.speak(id, doc).await;
                    if theirs.as_ref() == Some(&doc.get_heads()) {
                        return;
                    }
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// Reads until the document has this many heads' worth of changes.
    pub async fn until(&mut self, id: DocumentId, doc: &mut Automerge, done: impl Fn(&Automerge) -> bool) {
        while !done(doc) {
            match self.hear().await {
                Said::Sync(from, data) if from == id => {
                    self.take(id, doc, &data);
                    self.speak(id, doc).await;
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
}

/// A store whose disk can be full, or a document of which can be damaged.
#[derive(Default)]
pub struct Faulty {
    pub inner: MemoryStore,
    pub full: AtomicBool,
    pub damaged: std::sync::Mutex<Option<DocumentId>>,
    /// The snapshots of this document come with a bit flipped.
    pub flipped: std::sync::Mutex<Option<DocumentId>>,
    /// So many more loads fail, and then none.
    pub failing: AtomicU32,
    /// Loads of this document never end.
    pub hanging: std::sync::Mutex<Option<DocumentId>>,
}

impl Store for Faulty {
    fn commit(&self, records: Vec<Record>) -> StoreFuture<'_, JournalNumber> {
        if self.full.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::Full) });
        }
        self.inner.commit(records)
    }

    fn load(&self, document: DocumentId) -> StoreFuture<'_, StoredDocument> {
        if *self.damaged.lock().unwrap() == Some(document) {
            return Box::pin(async { Err(StoreError::Damaged("a document of the test".to_owned())) });
        }
        if *self.hanging.lock().unwrap() == Some(document) {
            return Box::pin(std::future::pending());
        }
        let less = |left: u32| left.checked_sub(1);
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Box::pin(async { Err(StoreError::Io("for a moment".to_owned())) });
        }
        let flipped = *self.flipped.lock().unwrap() == Some(document);
        Box::pin(async move {
            let mut stored = self.inner.load(document).await?;
            if let Some(snapshot) = stored.snapshot.as_mut().filter(|_| flipped) {
                let middle = snapshot.len() / 2;
                snapshot[middle] ^= 1;
            }
            Ok(stored)
        })
    }

    fn compact(
        &self,
        document: DocumentId,
        snapshot: Vec<u8>,
        through: JournalNumber,
    ) -> StoreFuture<'_, ()> {
        self.inner.compact(document, snapshot, through)
    }

    fn documents(&self) -> StoreFuture<'_, Vec<DocumentId>> {
        self.inner.documents()
    }

    fn row(&self, table: &'static str, key: Vec<u8>) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.inner.row(table, key)
    }

    fn rows(&self, table: &'static str, prefix: Vec<u8>) -> StoreFuture<'_, Vec<(Vec<u8>, Vec<u8>)>> {
        self.inner.rows(table, prefix)
    }

    fn records(&self, from: JournalNumber, limit: usize) -> StoreFuture<'_, Vec<(JournalNumber, Record)>> {
        self.inner.records(from, limit)
    }

    fn last(&self) -> JournalNumber {
        self.inner.last()
    }

    fn attest(&self) -> StoreFuture<'_, ()> {
        self.inner.attest()
    }
}

/// The survey of the first school as the supervisor sees it.
pub async fn entries(county: &County) -> serde_json::Value {
    let path = format!("/api/rounds/{ROUND}/schools/{}", SCHOOLS[0]);
    let (status, view) = county.server.get(county.token("supervisor"), &path).await;
    assert_eq!(status, 200, "{view}");
    view["consolidated"]["entries"].clone()
}

/// Heads in hex.
pub fn heads(doc: &Automerge) -> BTreeSet<String> {
    doc.get_heads().iter().map(|head| duxue_server::random::hex(&head.0)).collect()
}

/// What the server says of the heads of a document.
pub async fn receipt(county: &County, name: &str, id: DocumentId, doc: &Automerge) -> serde_json::Value {
    let request = serde_json::json!({ "heads": { id.to_string(): heads(doc) } });
    let (status, body) = county.server.post(county.token(name), "/api/receipts", &request).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// A sync message that gives all changes unasked.
pub fn message_with(doc: &automerge::Automerge) -> Vec<u8> {
    use automerge::sync::{ChunkList, Message as SyncMessage, MessageVersion};
    let changes: Vec<Vec<u8>> =
        doc.get_changes(&[]).iter().map(|change| change.raw_bytes().to_vec()).collect();
    let message = SyncMessage {
        heads: doc.get_heads(),
        need: Vec::new(),
        have: Vec::new(),
        changes: ChunkList::from(changes),
        flags: None,
        version: MessageVersion::V1,
    };
    message.encode()
}
