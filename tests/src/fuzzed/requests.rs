//! Requests as text: the first line is method and path, then a header a line,
//! then an empty line and the body. `Bearer` is followed by the name of
//! someone who is logged in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use duxue_document::PersonId;
use duxue_server::accounts::NewPerson;
use duxue_server::app::App;
use duxue_server::audit::By;
use duxue_server::clock::now_ms;
use duxue_server::photos::faulty::SimulatedFiles;
use duxue_server::photos::{Photos, Reaches, Reader, Settings, Uploader};
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::memory::MemoryStore;
use duxue_server::transport::{Source, Stop};
use duxue_server::{Config, http};
use tokio::runtime::Runtime;
use warp::filters::BoxedFilter;
use warp::hyper::body::Bytes;
use warp::reply::Response;
use warp::test::RequestBuilder;

use crate::simulation::prototype;

/// Routes, and what they stand on.
struct Place {
    runtime: Runtime,
    routes: BoxedFilter<(Response,)>,
    /// Who is logged in.
    tokens: BTreeMap<String, String>,
    _folder: tempfile::TempDir,
}

impl Place {
    /// # Panics
    /// If the answer is a fault of the server's own.
    fn answers(&self, bytes: &[u8]) {
        if let Some(call) = request(bytes, "", &self.tokens) {
            self.runtime.block_on(answer(call, &self.routes));
        }
    }
}

async fn answer(call: RequestBuilder, routes: &BoxedFilter<(Response,)>) -> warp::http::Response<Bytes> {
    let reply = call.reply(routes).await;
    assert!(!reply.status().is_server_error(), "{}: {:?}", reply.status(), reply.body());
    reply
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Between requests that come one after the other.
const NEXT: &[u8] = b"\n====\n";

/// Requests about uploads, one after the other, to a server that has none yet:
/// `LAST` in a path is the upload that was created last.
///
/// # Panics
/// If the server has no better answer than a fault of its own, or has more of
/// an upload than there is.
pub fn tus_headers(bytes: &[u8]) {
    let runtime = runtime();
    runtime.block_on(async {
        let folder = Path::new("photos");
        let files = Arc::new(SimulatedFiles::new(SimulatedDisk::new(0), folder));
        let settings = Settings::new(folder.to_owned());
        let (store, count) = (Arc::new(MemoryStore::new()), Arc::new(|_: &PersonId, _| Ok(())));
        let photos = Photos::open(files, settings, store, Arc::new(|| 0), count).await;
        let person: PersonId = "someone".parse().expect("an id");
        let may_write: Reaches = Arc::new(|_, _| true);
        let uploader = Uploader { person, device: None, may_read: Arc::clone(&may_write), may_write };
        let reader = Reader { may_read: Arc::new(|_, _| true) };
        let routes = photos
            .expect("an empty folder opens")
            .routes(Arc::new(move |_| Ok(uploader.clone())), Arc::new(move |_| Ok(reader.clone())));
        let mut last = String::new();
        let mut rest = Some(bytes);
        while let Some(bytes) = rest {
            let end = bytes.windows(NEXT.len()).position(|window| window == NEXT);
            rest = end.and_then(|end| bytes.get(end + NEXT.len()..));
            let Some(call) = request(&bytes[..end.unwrap_or(bytes.len())], &last, &BTreeMap::new()) else {
                continue;
            };
            let reply = answer(call, &routes).await;
            let number =
                |name: &str| -> Option<u64> { reply.headers().get(name)?.to_str().ok()?.parse().ok() };
            assert!(number("upload-offset") <= number("upload-length").or(Some(u64::MAX)));
            if let Some(location) = reply.headers().get("location") {
                let path = location.to_str().expect("a path");
                last = path.rsplit('/').next().unwrap_or_default().to_owned();
            }
        }
    });
}

/// Any request to a server with a round, an administrator, and inspectors.
///
/// # Panics
/// If the server has no better answer than a fault of its own.
pub fn request_body(bytes: &[u8]) {
    static PLACE: OnceLock<Place> = OnceLock::new();
    // What is sent on without an end is not answered.
    if bytes.split(|byte| *byte == b'\n').next().is_some_and(|line| line.windows(5).any(|w| w == b"/feed")) {
        return;
    }
    PLACE.get_or_init(server).answers(bytes);
}

fn server() -> Place {
    let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
    let config = Config { data: folder.path().to_owned(), ..Config::default() };
    let (routes, tokens) = runtime.block_on(async {
        let app = App::start(&config, Arc::new(MemoryStore::new()), None).await.expect("a server");
        let (identities, _) = prototype::set_up(&app).await;
        let inspectors = identities.into_iter().enumerate();
        let mut tokens: BTreeMap<String, String> =
            inspectors.map(|(number, identity)| (format!("inspector-{number}"), identity.token)).collect();
        let login = Some(("root".to_owned(), "a password of some length".to_owned()));
        let new = NewPerson { id: None, name: "root".to_owned(), login, administrator: true };
        app.accounts.add_person(new, &By::CommandLine, now_ms()).await.expect("an administrator");
        let source = Source::of(Ipv4Addr::LOCALHOST.into());
        let session =
            app.accounts.login("root", "a password of some length".to_owned(), source, now_ms()).await;
        tokens.insert("root".to_owned(), session.expect("a session").token);
        (http::routes(&app, &Stop::default()), tokens)
    });
    Place { runtime, routes, tokens, _folder: folder }
}

fn request(bytes: &[u8], last: &str, tokens: &BTreeMap<String, String>) -> Option<RequestBuilder> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (std::str::from_utf8(&bytes[..end]).ok()?, bytes.get(end + 2..).unwrap_or_default());
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    // What the HTTP library would refuse does not come to ours.
    let method = warp::http::Method::from_bytes(method.as_bytes()).ok()?;
    let path = path.replacen("LAST", last, 1);
    let path: warp::http::Uri = path.parse().ok().filter(|_| path.starts_with("/api/"))?;
    let mut call = warp::test::request().method(method.as_str()).path(&path.to_string()).body(body);
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        let name = warp::http::HeaderName::from_bytes(name.as_bytes()).ok()?;
        let token = value.strip_prefix("Bearer ").and_then(|who| tokens.get(who));
        let value = token.map_or_else(|| value.to_owned(), |token| format!("Bearer {token}"));
        call = call.header(name, warp::http::HeaderValue::from_str(&value).ok()?);
    }
    Some(call)
}
