//! Requests as text: the first line is method and path, then a header a line,
//! then an empty line and the body. `Bearer` is followed by the name of
//! someone who is logged in.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use duxue_document::PersonId;
use duxue_server::accounts::NewPerson;
use duxue_server::app::App;
use duxue_server::audit::By;
use duxue_server::clock::now_ms;
use duxue_server::photos::files::FileSystem;
use duxue_server::photos::{Photos, Reaches, Reader, Settings, Uploader};
use duxue_server::store::memory::MemoryStore;
use duxue_server::transport::{Source, Stop};
use duxue_server::{Config, http};
use tokio::runtime::Runtime;
use warp::filters::BoxedFilter;
use warp::reply::Response;

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
        let Some(call) = request(bytes, &self.tokens) else { return };
        let reply = self.runtime.block_on(call.reply(&self.routes));
        assert!(!reply.status().is_server_error(), "{}: {:?}", reply.status(), reply.body());
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A request to the server about uploads.
///
/// # Panics
/// If the server has no better answer than a fault of its own.
pub fn tus_headers(bytes: &[u8]) {
    static PLACE: OnceLock<Place> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let (runtime, folder) = (runtime(), tempfile::tempdir().expect("a folder"));
        let settings = Settings::new(folder.path().to_owned());
        let photos =
            Photos::open(Arc::new(FileSystem), settings, Arc::new(MemoryStore::new()), Arc::new(|| 0));
        let photos = runtime.block_on(photos).expect("an empty folder opens");
        let person: PersonId = "someone".parse().expect("an id");
        let may_write: Reaches = Arc::new(|_, _| true);
        let uploader = Uploader { person, device: None, may_read: Arc::clone(&may_write), may_write };
        let reader = Reader { may_read: Arc::new(|_, _| true) };
        let routes =
            photos.routes(Arc::new(move |_| Ok(uploader.clone())), Arc::new(move |_| Ok(reader.clone())));
        Place { runtime, routes, tokens: BTreeMap::new(), _folder: folder }
    });
    place.answers(bytes);
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

fn request(bytes: &[u8], tokens: &BTreeMap<String, String>) -> Option<warp::test::RequestBuilder> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (std::str::from_utf8(&bytes[..end]).ok()?, bytes.get(end + 2..).unwrap_or_default());
    let mut lines = head.lines();
    let (method, path) = lines.next()?.split_once(' ')?;
    // What the HTTP library would refuse does not come to ours.
    let method = warp::http::Method::from_bytes(method.as_bytes()).ok()?;
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
