//! samod, another implementation of automerge-repo's protocol, against our
//! server and our client.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc};
use duxue_document::{DocumentKind, RoundId};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::processes::{Api, Device};
use duxue_tests::round::{ROUND, Round, password};
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use samod::storage::TokioFilesystemStorage;
use samod::{BackoffConfig, DialError, Dialer, DialerHandle, DocHandle, DocumentId, Repo, Transport, Url};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

const SCHOOL: &str = "9901010012";
const OTHER_SCHOOL: &str = "9901010024";

fn survey(school: &str) -> DocumentId {
    let round = RoundId::new(ROUND).expect("a round");
    let id = duxue_document::DocumentId::derive(&round, school, DocumentKind::Survey);
    id.to_string().parse().expect("samod reads our ids")
}

/// Connects as the documentation says: the token in the query, frames as they are.
struct ToServer(Url);

impl Dialer for ToServer {
    type Error = Infallible;

    fn url(&self) -> Url {
        self.0.clone()
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let url = self.0.to_string();
        Box::pin(async move {
            let connected = tokio_tungstenite::connect_async(url).await.map_err(DialError::transient)?;
            let (sink, stream) = connected.0.split();
            let stream = stream.filter_map(|frame| {
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

/// samod with its own file storage, logged in as a person of the round.
struct Client {
    repo: Repo,
    dialer: DialerHandle<Infallible>,
}

impl Client {
    async fn open(round: &Round, name: &str) -> Self {
        let api = Api::login(&round.url(), name, &password(name));
        let mut url: Url = round.url().replacen("http", "ws", 1).parse().expect("a URL");
        url.set_path("/sync");
        url.query_pairs_mut().append_pair("token", api.token());
        let storage = TokioFilesystemStorage::new(round.path(name));
        let repo = Repo::build_tokio().with_storage(storage).load().await;
        let again = BackoffConfig {
            initial_delay: Duration::from_millis(50),
            max_delay: Duration::from_millis(200),
            max_retries: None,
        };
        let dialer = repo.dial(again, Arc::new(ToServer(url))).expect("a repository that runs");
        in_time(dialer.established()).await.unwrap_or_else(|error| panic!("{error:?}"));
        Self { repo, dialer }
    }

    async fn find(&self, school: &str) -> Option<DocHandle> {
        in_time(self.repo.find(survey(school))).await.expect("a repository that runs")
    }

    /// Waits until the server has said that it has all that we have, on
    /// whichever connection.
    async fn until_acknowledged(&self, document: &DocHandle) {
        let mut events = self.dialer.events();
        in_time(async {
            loop {
                let Some(connection) = self.dialer.connection_id() else {
                    events.next().await;
                    continue;
                };
                tokio::select! {
                    () = document.they_have_our_changes(connection) => return,
                    _ = events.next() => {}
                }
            }
        })
        .await;
    }
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("within the deadline")
}

fn put_quantity(document: &DocHandle, key: &str, value: &str) {
    document.with_document(|doc| {
        let quantities = doc.get(ROOT, "quantities").expect("readable").expect("found").1;
        let mut tx = doc.transaction();
        let claim = tx.put_object(quantities, key, ObjType::Map).expect("writable");
        tx.put(&claim, "value", value).expect("writable");
        let captured = tx.put_object(&claim, "captured", ObjType::Map).expect("writable");
        tx.put(&captured, "device_time_ms", 1_790_000_000_000_i64).expect("writable");
        tx.put(&captured, "boot_id", "samod").expect("writable");
        tx.put(&captured, "counter", 1).expect("writable");
        tx.commit();
    });
}

fn quantity(doc: &Automerge, key: &str) -> Option<String> {
    let quantities = doc.get(ROOT, "quantities").ok()??.1;
    let claim = doc.get(quantities, key).ok()??.1;
    Some(doc.get(claim, "value").ok()??.0.as_str()?.to_owned())
}

async fn until_quantity(document: &DocHandle, key: &str, value: &str) {
    let mut changes = document.changes();
    in_time(async {
        while document.with_document(|doc| quantity(doc, key)).as_deref() != Some(value) {
            changes.next().await;
        }
    })
    .await;
}

fn state(device: &Device, quantity: &str, value: &str) {
    let _ = device.run(&["quantity", "set", SCHOOL, quantity, value]);
}

/// The consolidated school, whose values for quantities are `expected`.
fn check_server(api: &Api, expected: &[(&str, &[&str])]) {
    let seen = api.get(&format!("/rounds/{ROUND}/schools/{SCHOOL}"))["consolidated"].clone();
    for (key, values) in expected {
        let candidates = &seen["entries"][format!("quantities/{key}")]["candidates"];
        let mut found: Vec<&str> = candidates
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|candidate| candidate["value"]["value"].as_str())
            .collect();
        found.sort_unstable();
        assert_eq!(found, *values, "{key}");
    }
    assert_eq!(seen["findings"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_with_our_client_across_kills_and_restarts() {
    let mut round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    round.inspector("sam", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");

    let sam = Client::open(&round, "sam").await;
    let document = sam.find(SCHOOL).await.expect("the survey");
    state(&wang, "books", "1200");
    let _ = wang.run(&["sync"]);
    until_quantity(&document, "books:whole", "1200").await;
    put_quantity(&document, "computers:whole", "40");
    sam.until_acknowledged(&document).await;
    check_server(&bureau, &[("books:whole", &["1200"]), ("computers:whole", &["40"])]);

    // The server dies; both go on, and it comes back.
    round.kill();
    put_quantity(&document, "multimedia_rooms:whole", "14");
    state(&wang, "multimedia_rooms", "15");
    round.start();
    sam.until_acknowledged(&document).await;
    let _ = wang.run(&["sync"]);
    check_server(&bureau, &[("multimedia_rooms:whole", &["14", "15"])]);

    // samod starts again on its own files.
    drop(document);
    sam.repo.stop().await;
    let sam = Client::open(&round, "sam").await;
    let document = sam.find(SCHOOL).await.expect("the survey");
    until_quantity(&document, "computers:whole", "40").await;
    put_quantity(&document, "computers:whole", "41");
    sam.until_acknowledged(&document).await;
    let _ = wang.run(&["sync"]);
    let shown: Value = json!(wang.run(&["survey", SCHOOL]));
    assert!(shown.to_string().contains("\"41\""), "{shown}");
    check_server(&bureau, &[("computers:whole", &["41"]), ("books:whole", &["1200"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_finds_what_it_has_rights_on_and_nothing_else() {
    let round = Round::open();
    round.inspector("sam", &[SCHOOL]);
    let sam = Client::open(&round, "sam").await;
    for (school, there) in [(SCHOOL, true), (OTHER_SCHOOL, false)] {
        assert_eq!(sam.find(school).await.is_some(), there, "{school}");
    }
}

/// A reader's own changes are not taken, and it still gets everyone else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_reads_and_changes_nothing() {
    let round = Round::open();
    let wang = round.device("wang-min", &[SCHOOL]);
    let bureau = round.desk("bureau", "bureau");
    let reader = Client::open(&round, "bureau").await;
    let document = reader.find(SCHOOL).await.expect("the survey");
    put_quantity(&document, "books:whole", "1");
    state(&wang, "computers", "4");
    let _ = wang.run(&["sync"]);
    until_quantity(&document, "computers:whole", "4").await;
    check_server(&bureau, &[("books:whole", &[]), ("computers:whole", &["4"])]);
}
