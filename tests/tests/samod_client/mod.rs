//! samod, another implementation of automerge-repo's protocol.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, ObjType, ROOT, ReadDoc};
use duxue_protocol::wire::{self, Limits, Message as Wire};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::foreign::{Foreign, survey};
use duxue_tests::processes::Api;
use duxue_tests::round::{Round, password};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use samod::storage::TokioFilesystemStorage;
use samod::{BackoffConfig, DialError, Dialer, DialerHandle, DocHandle, Repo, Transport, Url};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What came from the server: how many frames, and the reasons that it gave
/// before it closed sockets.
#[derive(Default)]
struct Heard {
    frames: u64,
    closed: Vec<String>,
}

/// Connects as the documentation says: the token in the query, frames as they are.
struct ToServer {
    url: Url,
    heard: Arc<watch::Sender<Heard>>,
}

impl Dialer for ToServer {
    type Error = Infallible;

    fn url(&self) -> Url {
        self.url.clone()
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let (url, heard) = (self.url.to_string(), Arc::clone(&self.heard));
        Box::pin(async move {
            let connected = tokio_tungstenite::connect_async(url).await.map_err(DialError::transient)?;
            let (sink, stream) = connected.0.split();
            let stream = stream.filter_map(move |frame| {
                heard.send_modify(|heard| note(heard, &frame));
                ready(match frame {
                    Ok(Message::Binary(bytes)) => Some(Ok(bytes.to_vec())),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                })
            });
            let sink = sink.with(|bytes: Vec<u8>| ready(Ok::<_, Error>(Message::Binary(bytes.into()))));
            Ok(Transport::new(stream, sink))
        })
    }
}

fn note(heard: &mut Heard, frame: &Result<Message, Error>) {
    heard.frames += 1;
    // samod ends the connection at the error and does not read on to the close.
    if let Ok(Message::Binary(bytes)) = frame
        && let Ok(Wire::Error { message, .. }) = wire::decode(bytes, &Limits::default())
    {
        heard.closed.push(message);
    }
}

/// samod with its own file storage or none, on threads of its own.
pub struct Samod {
    runtime: Runtime,
    repo: Repo,
    online: Option<Online>,
    documents: HashMap<String, DocHandle>,
}

struct Online {
    api: Api,
    dialer: DialerHandle<Infallible>,
    heard: watch::Receiver<Heard>,
}

impl Online {
    fn dial(repo: &Repo, round: &Round, person: &str) -> Self {
        let api = Api::login(&round.url(), person, &password(person));
        let mut url: Url = round.url().replacen("http", "ws", 1).parse().expect("a URL");
        url.set_path("/sync");
        url.query_pairs_mut().append_pair("token", api.token());
        let again = BackoffConfig {
            initial_delay: Duration::from_millis(50),
            max_delay: Duration::from_millis(200),
            max_retries: None,
        };
        let (sender, heard) = watch::channel(Heard::default());
        let to_server = ToServer { url, heard: Arc::new(sender) };
        let dialer = repo.dial(again, Arc::new(to_server)).expect("a repository that runs");
        Self { api, dialer, heard }
    }
}

impl Samod {
    fn on(round: &Round, folder: Option<&str>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let repo = runtime.block_on(async {
            match folder {
                Some(folder) => {
                    let storage = TokioFilesystemStorage::new(round.path(folder));
                    Repo::build_tokio().with_storage(storage).load().await
                }
                None => Repo::build_tokio().load().await,
            }
        });
        Self { runtime, repo, online: None, documents: HashMap::new() }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            tokio::time::timeout(DEADLINE, future).await.expect("what is waited for comes in time")
        })
    }

    fn document(&self, school: &str) -> &DocHandle {
        self.documents.get(&survey(school)).expect("a document that was found")
    }

    fn online(&self) -> &Online {
        self.online.as_ref().expect("a client with a server")
    }

    /// Waits until what is heard from the server, or what comes of it, is so.
    fn until_heard(&self, mut is: impl FnMut(&Heard) -> bool) {
        let mut heard = self.online().heard.clone();
        self.wait(async {
            heard.wait_for(|heard| is(heard)).await.expect("the dialer lives as long as the client");
        });
    }

    fn until(&self, school: &str, mut is: impl FnMut(&Automerge) -> bool) {
        let document = self.document(school);
        let mut changes = document.changes();
        self.wait(async {
            while !document.with_document(|doc| is(doc)) {
                changes.next().await;
            }
        });
    }
}

impl Foreign for Samod {
    const STOPS_AT_A_CLASH: bool = false;

    fn start(round: &Round, person: &str, folder: Option<&str>) -> Self {
        let mut client = Self::on(round, folder);
        let guard = client.runtime.enter();
        let online = Online::dial(&client.repo, round, person);
        drop(guard);
        client.wait(online.dialer.established()).unwrap_or_else(|error| panic!("{error:?}"));
        client.online = Some(online);
        client
    }

    fn offline(round: &Round, folder: &str) -> Self {
        Self::on(round, Some(folder))
    }

    fn close(mut self) {
        self.documents.clear();
        self.wait(self.repo.stop());
    }

    fn find(&mut self, school: &str) -> Result<(), String> {
        let id = survey(school);
        let found = self.wait(self.repo.find(id.parse().expect("samod reads our ids")));
        let document = found.expect("a repository that runs").ok_or("not found")?;
        self.documents.insert(id, document);
        Ok(())
    }

    fn keep_actor(&mut self, school: &str, actor: [u8; 16]) {
        self.document(school).with_document(|doc| {
            doc.set_actor(ActorId::from(actor));
        });
    }

    fn put_quantity(&mut self, school: &str, key: &str, value: &str) {
        self.document(school).with_document(|doc| put_quantity(doc, key, value));
    }

    fn put_text(&mut self, school: &str, key: &str, value: &str) {
        self.document(school).with_document(|doc| {
            let mut tx = doc.transaction();
            tx.put(ROOT, key, value).expect("writable");
            tx.commit();
        });
    }

    fn quantity(&mut self, school: &str, key: &str) -> Option<String> {
        self.document(school).with_document(|doc| quantity(doc, key))
    }

    fn until_quantity(&mut self, school: &str, key: &str, value: &str) {
        self.until(school, |doc| quantity(doc, key).as_deref() == Some(value));
    }

    fn heads(&mut self, school: &str) -> Value {
        self.document(school).with_document(|doc| heads(doc))
    }

    fn until_heads(&mut self, school: &str, wanted: &Value) {
        self.until(school, |doc| heads(doc) == *wanted);
    }

    fn receipt(&mut self, school: &str) -> Value {
        let (id, heads) = (survey(school), self.heads(school));
        loop {
            let online = self.online();
            let before = online.heard.borrow().frames;
            let answer = online.api.post("/receipts", &json!({ "heads": { &id: heads } }));
            if answer["missing_heads"][&id].is_null() {
                return answer;
            }
            self.until_heard(|heard| heard.frames > before);
        }
    }

    fn until_acknowledged(&mut self, school: &str) {
        let (document, dialer) = (self.document(school), &self.online().dialer);
        let mut events = dialer.events();
        self.wait(async {
            loop {
                let Some(connection) = dialer.connection_id() else {
                    events.next().await;
                    continue;
                };
                tokio::select! {
                    () = document.they_have_our_changes(connection) => return,
                    _ = events.next() => {}
                }
            }
        });
    }

    fn bring(&mut self, _school: &str) {
        unreachable!("samod sends all that it has");
    }

    fn until_closed_with(&mut self, reason: &str) {
        self.until_heard(|heard| heard.closed.iter().any(|closed| closed == reason));
    }
}

fn put_quantity(doc: &mut Automerge, key: &str, value: &str) {
    let quantities = doc.get(ROOT, "quantities").expect("readable").expect("found").1;
    let mut tx = doc.transaction();
    let claim = tx.put_object(quantities, key, ObjType::Map).expect("writable");
    tx.put(&claim, "value", value).expect("writable");
    let captured = tx.put_object(&claim, "captured", ObjType::Map).expect("writable");
    tx.put(&captured, "device_time_ms", 1_790_000_000_000_i64).expect("writable");
    tx.put(&captured, "boot_id", "samod").expect("writable");
    tx.put(&captured, "counter", 1).expect("writable");
    tx.commit();
}

fn quantity(doc: &Automerge, key: &str) -> Option<String> {
    let quantities = doc.get(ROOT, "quantities").ok()??.1;
    let claim = doc.get(quantities, key).ok()??.1;
    let (value, id) = doc.get(claim, "value").ok()??;
    // JavaScript writes texts as Text objects.
    if value.is_object() { doc.text(id).ok() } else { Some(value.as_str()?.to_owned()) }
}

/// The heads in the order in which the server shows them.
fn heads(doc: &Automerge) -> Value {
    let mut heads: Vec<String> = doc.get_heads().iter().map(ToString::to_string).collect();
    heads.sort();
    json!(heads)
}
