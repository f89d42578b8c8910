//! tus requests as clients send them, cuts and crashes in between, and the
//! photos that come of them.

mod bounds;
mod cost;
mod derive;
mod disk;
mod finish;
mod tus;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duxue_document::{PersonId, PhotoHash};
use duxue_protocol::problem::Problem;
use image::{DynamicImage, ImageFormat, RgbImage};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use warp::filters::BoxedFilter;
use warp::http::Response as HttpResponse;
use warp::reply::Response;

use crate::fault;
use crate::store::memory::MemoryStore;

use super::files::{FileSystem, Files};
use super::{Authorize, Photos, Reader, Settings, Uploader, faults, room};

type Answer = HttpResponse<hyper::body::Bytes>;
type Headers<'a> = &'a [(&'a str, &'a str)];

/// A photo folder, its store and its clock; `open` is a server's start.
struct World {
    folder: TempDir,
    store: MemoryStore,
    clock: Arc<AtomicI64>,
    settings: Settings,
    /// Bytes that may still be written into the journal, for everybody.
    journal: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut settings = Settings::new(folder.path().to_owned());
        settings.photo_bytes = 4 << 20;
        Self {
            folder,
            store: MemoryStore::new(),
            clock: Arc::new(AtomicI64::new(1_800_000_000_000)),
            settings,
            journal: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    async fn open(&self) -> Server {
        self.open_on(room::of(Arc::new(FileSystem), self.folder.path().to_owned())).await
    }

    /// The same on a disk with so much free.
    async fn open_on(&self, free: room::Free) -> Server {
        self.open_with(Arc::new(FileSystem), free).await
    }

    async fn open_with(&self, files: Arc<dyn Files>, free: room::Free) -> Server {
        let clock = Arc::clone(&self.clock);
        let now: super::Clock = Arc::new(move || clock.load(Ordering::SeqCst));
        let journal = Arc::clone(&self.journal);
        let count: super::Count = Arc::new(move |_, bytes| {
            let left = |left: u64| left.checked_sub(bytes);
            let taken = journal.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
            taken.map(drop).map_err(|_| fault::journal_person_full())
        });
        let store = Arc::new(self.store.clone());
        let photos = Photos::open_on(free, files, self.settings.clone(), store, now, count).await.unwrap();
        let routes = photos.routes(uploaders(), readers());
        Server { photos, routes }
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Tokens are names; `li` and `wang` may write school 1, `zhao` school 2.
fn uploaders() -> Authorize<Uploader> {
    Arc::new(|token| {
        let name = token.ok_or_else(fault::not_logged_in)?.to_owned();
        let school = if name == "zhao" { "2137000002" } else { "2137000001" };
        let person = PersonId::new(name).map_err(|_| fault::not_logged_in())?;
        Ok(Uploader {
            person,
            device: None,
            may_write: Arc::new(move |round, s| round.as_str() == "r1" && s.as_str() == school),
            may_read: Arc::new(move |_, s| s.as_str() == school),
        })
    })
}

fn readers() -> Authorize<Reader> {
    Arc::new(|token| {
        let school = match token {
            None => return Err(fault::not_logged_in()),
            Some("zhao") => "2137000002",
            Some(_) => "2137000001",
        };
        Ok(Reader { may_read: Arc::new(move |_, s| s.as_str() == school) })
    })
}

struct Server {
    photos: Arc<Photos>,
    routes: BoxedFilter<(Response,)>,
}

impl Server {
    async fn send(&self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        let mut request = warp::test::request().method(method).path(path).body(body);
        let defaults = [("tus-resumable", "1.0.0"), ("authorization", "Bearer li")];
        for (name, value) in
            defaults.iter().filter(|(name, _)| !headers.iter().any(|(n, _)| n == name)).chain(headers)
        {
            if !value.is_empty() {
                request = request.header(*name, *value);
            }
        }
        request.reply(&self.routes).await
    }

    async fn create(&self, photo: &[u8]) -> String {
        let length = photo.len().to_string();
        let metadata = metadata(&PhotoHash::of(photo), "2137000001");
        let answer = self
            .send("POST", "/api/files", &[("upload-length", &length), ("upload-metadata", &metadata)], b"")
            .await;
        assert_eq!(answer.status(), 201, "{:?}", answer.body());
        header(&answer, "location").to_owned()
    }

    async fn patch(&self, path: &str, offset: usize, bytes: &[u8]) -> Answer {
        let offset = offset.to_string();
        let headers =
            [("upload-offset", offset.as_str()), ("content-type", "application/offset+octet-stream")];
        self.send("PATCH", path, &headers, bytes).await
    }

    async fn offset(&self, path: &str) -> usize {
        let answer = self.send("HEAD", path, &[], b"").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "cache-control"), "no-store");
        header(&answer, "upload-offset").parse().unwrap()
    }

    async fn upload(&self, photo: &[u8]) -> PhotoHash {
        let path = self.create(photo).await;
        assert_eq!(self.patch(&path, 0, photo).await.status(), 204);
        PhotoHash::of(photo)
    }
}

fn metadata(hash: &PhotoHash, school: &str) -> String {
    let pair = |key: &str, value: &str| format!("{key} {}", STANDARD.encode(value));
    [pair("sha256", &hash.to_string()), pair("round", "r1"), pair("school", school)].join(",")
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn code(answer: &Answer) -> String {
    let problem: Problem =
        serde_json::from_slice(answer.body()).unwrap_or_else(|_| panic!("{:?}", answer.body()));
    problem.code.into_owned()
}

/// Bytes that differ from place to place.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A bound server, because only a real connection breaks off and stalls. Gives
/// the upload's path, its file, and the connection, over which so much was sent.
async fn half_sent(
    world: &World,
    server: &Server,
    photo: &[u8],
    sent: usize,
) -> (String, PathBuf, TcpStream) {
    let path = server.create(photo).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(server.routes.clone()).incoming(listener).run());
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nAuthorization: Bearer li\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
        photo.len()
    );
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&photo[..sent]).await.unwrap();
    let id = path.rsplit('/').next().unwrap();
    let part = world.folder.path().join("staging").join(id).with_extension("part");
    (path, part, connection)
}

/// Waits until so many bytes are on the disk.
async fn written(part: &Path, bytes: usize) {
    while std::fs::metadata(part).map_or(0, |found| found.len()) < u64::try_from(bytes).unwrap() {
        tokio::task::yield_now().await;
    }
}

/// Where a photo's bytes are.
fn blob(world: &World, hash: &PhotoHash) -> std::path::PathBuf {
    let name = hash.to_string();
    world.folder.path().join("blobs/originals").join(&name[..2]).join(&name)
}

fn jpeg(width: u32, height: u32, exif: Option<&[u8]>) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([(x % 251) as u8, (y % 241) as u8, 90]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
    let bytes = bytes.into_inner();
    let Some(exif) = exif else { return bytes };
    let segment = u16::try_from(exif.len() + 8).unwrap().to_be_bytes();
    [&bytes[..2], &[0xff, 0xe1], &segment, b"Exif\0\0", exif, &bytes[2..]].concat()
}

#[test]
fn every_fault_has_its_own_code_and_both_languages() {
    let mut codes: Vec<_> = faults::ALL.iter().map(|fault| fault().problem.code).collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes.len(), faults::ALL.len());
    for fault in faults::ALL {
        let fault = fault();
        assert!(!fault.problem.message_zh.is_ascii() && fault.problem.message_en.is_ascii());
        assert!(fault.status.as_u16() >= 400, "{}", fault.problem.code);
    }
}
