//! What the fuzz targets under `fuzz/` call, and what the corpus is replayed
//! through: bytes from outside, which may be refused and must do no harm.

use std::sync::{Arc, OnceLock};

use duxue_document::{PersonId, genesis};
use duxue_protocol::scan::{self, ScanLimits};
use duxue_protocol::wire::{self, Limits};
use duxue_server::hub::admit::admit;
use duxue_server::photos::{Photos, Reaches, Reader, Settings, Uploader};
use duxue_server::store::JournalNumber;
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::journal::{Opened, Options, salvage};
use duxue_server::store::memory::MemoryStore;
use tokio::runtime::Runtime;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// A target by its name, which is that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 4] = [
    ("frame", frame),
    ("chunk_scan", chunk_scan),
    ("journal_record", journal_record),
    ("tus_headers", tus_headers),
];

/// A WebSocket frame: what is read is written and read again as the same.
///
/// # Panics
/// If it is not the same.
pub fn frame(bytes: &[u8]) {
    if let Ok(message) = wire::decode(bytes, &Limits::default()) {
        let again = wire::decode(&wire::encode(&message), &Limits::default());
        assert_eq!(again.as_ref(), Ok(&message));
    }
}

/// A sync message and a run of chunks: what the scan lets through Automerge
/// can take apart, and every change is one that the scan counted.
///
/// # Panics
/// If Automerge refuses or panics at what the scan let through.
pub fn chunk_scan(bytes: &[u8]) {
    let limits = ScanLimits::default();
    let _ = scan::scan_chunks(bytes, &limits, &genesis::reserved);
    match admit(bytes, &limits) {
        Ok(admitted) => assert!(admitted.changes.iter().all(|change| !change.raw_bytes().is_empty())),
        Err(refused) => assert_ne!(refused.code, "sync.panic"),
    }
}

/// The file of a journal's first segment: opening reads it, mends it, or says
/// why not; what opens can be read to its end.
///
/// # Panics
/// If the journal does.
pub fn journal_record(bytes: &[u8]) {
    let disk = SimulatedDisk::new(0);
    disk.put(&format!("{:020}.seg", 1), bytes);
    let _ = salvage(&disk, |_, _| {});
    let options = Options { reserve_bytes: 0, ..Options::default() };
    if let Ok(opened) = Opened::new(Arc::new(disk), options, JournalNumber(0)) {
        let mut last = JournalNumber(0);
        let read = opened.reader().read(JournalNumber(1), usize::MAX, |placed| {
            assert_eq!(placed.number.0, last.0 + 1);
            last = placed.number;
        });
        assert!(read.is_ok(), "what was opened cannot be read: {read:?}");
    }
}

/// An upload request: the first line is method and path, then a header a line,
/// then an empty line and the body.
///
/// # Panics
/// If the server has no better answer than a fault of its own.
pub fn tus_headers(bytes: &[u8]) {
    struct Place {
        runtime: Runtime,
        routes: BoxedFilter<(Response,)>,
        _folder: tempfile::TempDir,
    }
    static PLACE: OnceLock<Place> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings::new(folder.path().to_owned());
        let photos = Photos::open(settings, Arc::new(MemoryStore::new()), Arc::new(|| 0));
        let photos = runtime.block_on(photos).expect("an empty folder opens");
        let person: PersonId = "someone".parse().expect("an id");
        let may_write: Reaches = Arc::new(|_, _| true);
        let uploader = Uploader { person, device: None, may_read: Arc::clone(&may_write), may_write };
        let reader = Reader { may_read: Arc::new(|_, _| true) };
        let routes =
            photos.routes(Arc::new(move |_| Ok(uploader.clone())), Arc::new(move |_| Ok(reader.clone())));
        Place { runtime, routes, _folder: folder }
    });
    let Some(call) = request(bytes) else { return };
    let reply = place.runtime.block_on(call.reply(&place.routes));
    assert!(!reply.status().is_server_error(), "{}: {:?}", reply.status(), reply.body());
}

fn request(bytes: &[u8]) -> Option<warp::test::RequestBuilder> {
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
        let value = warp::http::HeaderValue::from_str(value).ok()?;
        call = call.header(name, value);
    }
    Some(call)
}
