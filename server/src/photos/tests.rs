//! tus requests as clients send them, cuts and crashes in between, and the
//! photos that come of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duxue_document::{PersonId, PhotoHash};
use duxue_protocol::problem::Problem;
use image::{DynamicImage, ImageFormat, RgbImage};
use sha2::Digest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warp::filters::BoxedFilter;
use warp::http::Response as HttpResponse;
use warp::reply::Response;

use crate::fault;
use crate::store::memory::MemoryStore;
use crate::store::{JournalNumber, Record, Store};

use super::append::WRITTEN_AT_ONCE;
use super::files::FileSystem;
use super::rows::{self, Derivation};
use super::{Authorize, Decoder, Photos, Reader, Settings, Uploader, derive, faults};

type Answer = HttpResponse<hyper::body::Bytes>;
type Headers<'a> = &'a [(&'a str, &'a str)];
/// Method, path, headers and body; status and code.
type Case<'a> = (&'a str, &'a str, Headers<'a>, &'a [u8], u16, &'a str);

/// A photo folder, its store and its clock; `open` is a server's start.
struct World {
    folder: TempDir,
    store: MemoryStore,
    clock: Arc<AtomicI64>,
    settings: Settings,
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
        }
    }

    async fn open(&self) -> Server {
        let clock = Arc::clone(&self.clock);
        let now: super::Clock = Arc::new(move || clock.load(Ordering::SeqCst));
        let photos =
            Photos::open(Arc::new(FileSystem), self.settings.clone(), Arc::new(self.store.clone()), now);
        let photos = photos.await.unwrap();
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

#[tokio::test]
async fn every_kind_of_request_gets_the_answer_that_tus_asks_for() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let meta = metadata(&PhotoHash::of(&photo), "2137000001");
    let other = metadata(&PhotoHash::of(&photo), "2137000002");
    let path = server.create(&photo).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let sha1 = format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(b"other")));
    let unknown = "/api/files/00000000000000000000000000000000";
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("POST", "/api/files", &[("tus-resumable", "0.2.2")], b"", 412, "photo.version"),
        ("POST", "/api/files", &[("tus-resumable", "")], b"", 412, "photo.version"),
        ("POST", "/api/files", &[("authorization", "")], b"", 401, "session.missing"),
        ("POST", "/api/files", &[("upload-metadata", &meta)], b"", 400, "photo.header"),
        ("POST", "/api/files", &[("upload-length", "-1"), ("upload-metadata", &meta)], b"", 400, "photo.header"),
        ("POST", "/api/files", &[("upload-length", "0"), ("upload-metadata", &meta)], b"", 400, "photo.empty"),
        ("POST", "/api/files", &[("upload-length", "4194305"), ("upload-metadata", &meta)], b"", 413, "photo.too_large"),
        ("POST", "/api/files", &[("upload-defer-length", "1"), ("upload-metadata", &meta)], b"", 400, "photo.deferred"),
        ("POST", "/api/files", &[("upload-length", "9")], b"", 400, "photo.metadata"),
        ("POST", "/api/files", &[("upload-length", "9"), ("upload-metadata", "sha256 !,round cjE=")], b"", 400, "photo.metadata"),
        ("POST", "/api/files", &[("upload-length", "9"), ("upload-metadata", &other)], b"", 404, "not_found"),
        ("GET", "/api/files", &[], b"", 405, "photo.method"),
        ("PUT", &path, &[], b"", 405, "photo.method"),
        ("PATCH", &path, &[("upload-offset", "0")], b"x", 415, "photo.content_type"),
        ("PATCH", &path, &[octets], b"x", 400, "photo.header"),
        ("PATCH", &path, &[octets, ("upload-offset", "x")], b"x", 400, "photo.header"),
        ("PATCH", &path, &[octets, ("upload-offset", "5")], b"x", 409, "photo.offset"),
        ("PATCH", &path, &[octets, ("upload-offset", "1001")], b"", 413, "photo.too_large"),
        ("PATCH", &path, &[octets, ("upload-offset", "0")], &[0; 1_001], 413, "photo.too_large"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", "md5 AAAA")], b"x", 400, "photo.checksum_algorithm"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", "sha1 !")], b"x", 400, "photo.header"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", &sha1)], b"some", 460, "photo.checksum"),
        ("PATCH", &path, &[octets, ("upload-offset", "0"), ("authorization", "Bearer wang")], b"x", 404, "not_found"),
        ("PATCH", unknown, &[octets, ("upload-offset", "0")], b"x", 404, "not_found"),
        ("DELETE", &path, &[("authorization", "Bearer wang")], b"", 404, "not_found"),
        ("POST", &path, &[("x-http-method-override", "DELETE"), ("authorization", "Bearer wang")], b"", 404, "not_found"),
    ];
    for (method, path, headers, body, status, expected) in cases {
        let answer = server.send(method, path, headers, body).await;
        assert_eq!(
            (answer.status().as_u16(), code(&answer).as_str()),
            (*status, *expected),
            "{method} {headers:?}"
        );
        assert_eq!(header(&answer, "tus-resumable"), "1.0.0");
        assert_eq!(header(&answer, "tus-version") == "1.0.0", *status == 412);
    }
    assert_eq!(server.offset(&path).await, 0, "none of these left a byte");
    let options =
        server.send("OPTIONS", "/api/files", &[("tus-resumable", ""), ("authorization", "")], b"").await;
    assert_eq!(options.status(), 204);
    assert_eq!(
        header(&options, "tus-extension"),
        "creation,creation-with-upload,checksum,termination,expiration"
    );
    assert_eq!(header(&options, "tus-max-size"), "4194304");
}

#[tokio::test]
async fn checksums_overrides_and_termination_work() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(3_000);
    let path = server.create(&photo).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let sha1 = format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(&photo[..1_000])));
    let sha256 = format!("sha256 {}", STANDARD.encode(sha2::Sha256::digest(&photo[1_000..2_000])));
    let first = server
        .send("PATCH", &path, &[octets, ("upload-offset", "0"), ("upload-checksum", &sha1)], &photo[..1_000])
        .await;
    assert_eq!((first.status().as_u16(), header(&first, "upload-offset")), (204, "1000"));
    let overridden = [
        octets,
        ("upload-offset", "1000"),
        ("upload-checksum", &sha256),
        ("x-http-method-override", "PATCH"),
    ];
    let second = server.send("POST", &path, &overridden, &photo[1_000..2_000]).await;
    assert_eq!((second.status().as_u16(), header(&second, "upload-offset")), (204, "2000"));
    assert_eq!(server.send("DELETE", &path, &[], b"").await.status(), 204);
    assert_eq!(server.send("HEAD", &path, &[], b"").await.status(), 404);
    assert_eq!(world.files("staging"), [""; 0]);
    // Creation with upload, whole.
    let length = photo.len().to_string();
    let meta = metadata(&PhotoHash::of(&photo), "2137000001");
    let whole = server
        .send("POST", "/api/files", &[octets, ("upload-length", &length), ("upload-metadata", &meta)], &photo)
        .await;
    assert_eq!((whole.status().as_u16(), header(&whole, "upload-offset")), (201, "3000"));
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

#[tokio::test]
async fn an_upload_resumes_after_a_crash_at_any_place() {
    let photo = noise(5_000);
    for cut in [0, 1, 17, 2_499, 4_999, 5_000] {
        let world = World::new();
        let server = world.open().await;
        let path = server.create(&photo).await;
        if cut > 0 {
            assert_eq!(server.patch(&path, 0, &photo[..cut]).await.status(), 204);
        }
        drop(server);
        let server = world.open().await;
        if cut < photo.len() {
            assert_eq!(server.offset(&path).await, cut);
            assert_eq!(server.patch(&path, cut, &photo[cut..]).await.status(), 204);
        }
        let hash = PhotoHash::of(&photo);
        server.photos.verify(&hash).await.unwrap();
        let row = server.photos.photo(&hash).await.unwrap().unwrap();
        assert_eq!((row.length, row.person.as_str(), row.school.as_str()), (5_000, "li", "2137000001"));
        assert_eq!(world.files("staging"), [""; 0]);
    }
}

/// The crash between the last flushed byte and the row: an offset equal to
/// the length is only ever told when the photo is safe.
#[tokio::test]
async fn a_photo_whose_row_was_not_committed_is_finished_after_the_crash() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(5_000);
    let path = server.create(&photo).await;
    server.patch(&path, 0, &photo[..100]).await;
    drop(server);
    let part = world
        .files("staging")
        .into_iter()
        .find(|name| Path::new(name).extension().is_some_and(|e| e == "part"));
    std::fs::write(world.folder.path().join("staging").join(part.unwrap()), &photo).unwrap();
    let server = world.open().await;
    assert_eq!(server.photos.photo(&PhotoHash::of(&photo)).await.unwrap(), None);
    assert_eq!(server.offset(&path).await, 5_000);
    assert!(server.photos.photo(&PhotoHash::of(&photo)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_damaged_description_does_not_keep_the_server_from_starting() {
    let world = World::new();
    let server = world.open().await;
    let good = server.create(&noise(10)).await;
    drop(server);
    let staging = world.folder.path().join("staging");
    // Of the second nothing was promised, because no byte of it is there.
    for (name, bytes) in [
        ("broken.json", b"{".as_slice()),
        ("broken.part", b"some"),
        ("empty.json", b""),
        ("empty.part", b""),
        ("alone.part", b"some"),
    ] {
        std::fs::write(staging.join(name), bytes).unwrap();
    }
    let server = world.open().await;
    assert_eq!(server.offset(&good).await, 0);
    let aside = world.files("aside");
    assert_eq!(aside, ["broken.json", "broken.part"]);
    assert_eq!(world.files("staging").len(), 2, "what is promised to nobody is gone");
}

/// A bound server, because only a real connection breaks off and stalls: what
/// was sent is on disk, and the connection waits for the rest.
async fn half_sent(world: &World, server: &Server, photo: &[u8], sent: usize) -> (String, TcpStream) {
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
    while std::fs::metadata(&part).unwrap().len() < u64::try_from(sent).unwrap() {
        tokio::task::yield_now().await;
    }
    (path, connection)
}

/// Whether the connection breaks off, or hangs and is asked to give way.
#[tokio::test]
async fn a_connection_that_ends_early_keeps_its_bytes() {
    for (sent, hangs) in [(90_000, true), (40_000, false)] {
        let world = World::new();
        let server = world.open().await;
        let photo = noise(200_000);
        let (path, mut connection) = half_sent(&world, &server, &photo, sent).await;
        if hangs {
            // Asking for the offset takes the upload from the connection.
            assert_eq!(server.offset(&path).await, sent);
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await.unwrap_or_default();
            assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("photo.preempted"), "{answer}");
        } else {
            drop(connection);
            assert_eq!(server.offset(&path).await, sent);
        }
        assert_eq!(server.patch(&path, sent, &photo[sent..]).await.status(), 204);
        server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
    }
}

#[tokio::test]
async fn of_many_patches_at_once_the_photo_comes_out_right() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(300_000);
    let path = server.create(&photo).await;
    let (a, b, c) = tokio::join!(
        server.patch(&path, 0, &photo),
        server.patch(&path, 0, &photo[..100_000]),
        server.patch(&path, 0, &photo[..200_000])
    );
    for answer in [a, b, c] {
        assert!([204, 409].contains(&answer.status().as_u16()), "{}", answer.status());
    }
    let offset = server.offset(&path).await;
    if offset < photo.len() {
        assert_eq!(server.patch(&path, offset, &photo[offset..]).await.status(), 204);
    }
    server.photos.verify(&PhotoHash::of(&photo)).await.unwrap();
}

#[tokio::test]
async fn other_bytes_than_declared_never_become_the_photo() {
    let world = World::new();
    let server = world.open().await;
    let (declared, sent) = (noise(1_000), vec![7; 1_000]);
    let path = server.create(&declared).await;
    let answer = server.patch(&path, 0, &sent).await;
    assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (460, "photo.hash"));
    let hash = PhotoHash::of(&declared);
    assert_eq!(server.photos.photo(&hash).await.unwrap(), None);
    assert!(server.photos.verify(&hash).await.is_err());
    assert_eq!(server.send("HEAD", &path, &[], b"").await.status(), 404);
    assert_eq!(world.files("aside").len(), 2, "bytes and description are kept aside");
    let records = world.store.records(JournalNumber(1), 10).await.unwrap();
    assert!(matches!(&records[0].1, Record::Event { kind, .. } if kind == "photo.hash_mismatch"));
    // The right bytes can still come.
    server.upload(&declared).await;
    server.photos.verify(&hash).await.unwrap();
}

/// Who sends a photo that is here, by who has it already: another inspector of
/// the same school need not send it again; someone of another school must have
/// the bytes, because a hash and a length are no photo.
#[tokio::test]
async fn a_photo_that_is_here_is_acknowledged_at_once_to_those_who_have_it() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let hash = server.upload(&photo).await;
    let octets = ("content-type", "application/offset+octet-stream");
    let create = async |name: &str, school: &str, length: &str| {
        let (token, meta) = (format!("Bearer {name}"), metadata(&hash, school));
        let headers =
            [("authorization", token.as_str()), ("upload-length", length), ("upload-metadata", &meta)];
        server.send("POST", "/api/files", &headers, b"").await
    };
    let again = create("wang", "2137000001", "1000").await;
    assert_eq!((again.status().as_u16(), header(&again, "upload-offset")), (201, "1000"));
    let (wang, path) = (("authorization", "Bearer wang"), header(&again, "location").to_owned());
    let head = server.send("HEAD", &path, &[wang], b"").await;
    assert_eq!((header(&head, "upload-offset"), header(&head, "upload-length")), ("1000", "1000"));
    let nothing = server.send("PATCH", &path, &[wang, octets, ("upload-offset", "1000")], b"").await;
    assert_eq!((nothing.status().as_u16(), header(&nothing, "upload-offset")), (204, "1000"));
    assert_eq!(
        server.send("PATCH", &path, &[wang, octets, ("upload-offset", "0")], b"x").await.status(),
        409
    );
    let longer = create("wang", "2137000001", "1001").await;
    assert_eq!((longer.status().as_u16(), code(&longer).as_str()), (409, "photo.length_differs"));
    // Someone of another school.
    let zhao = ("authorization", "Bearer zhao");
    let claimed = create("zhao", "2137000002", "1000").await;
    assert_eq!((claimed.status().as_u16(), header(&claimed, "upload-offset")), (201, "0"));
    let original = format!("/api/photos/{hash}");
    assert_eq!(server.send("GET", &original, &[zhao], b"").await.status(), 404);
    let path = header(&claimed, "location").to_owned();
    let sent = server.send("PATCH", &path, &[zhao, octets, ("upload-offset", "0")], &photo).await;
    assert_eq!(sent.status(), 204);
    assert_eq!(server.send("GET", &original, &[zhao], b"").await.status(), 200);
    let links = rows::links(&world.store, &hash).await.unwrap();
    let people: Vec<_> = links.iter().map(|link| (link.school.as_str(), link.person.as_str())).collect();
    assert_eq!(people, [("2137000001", "li"), ("2137000002", "zhao")]);
    // The row still says who brought it first.
    assert_eq!(server.photos.photo(&hash).await.unwrap().unwrap().person.as_str(), "li");
    // Each photo that came is in the audit log.
    let records = world.store.records(JournalNumber(1), 100).await.unwrap();
    let received: Vec<_> = records
        .into_iter()
        .filter_map(|(_, record)| match record {
            Record::Event { kind, person, .. } => Some((kind, person.map(|person| person.to_string()))),
            _ => None,
        })
        .collect();
    let by = |name: &str| ("photo.received".to_owned(), Some(name.to_owned()));
    assert_eq!(received, [by("li"), by("zhao")]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_damaged_photo_is_missing_until_it_is_sent_again() {
    let photo = noise(1_000);
    let mut flipped = photo.clone();
    flipped[500] ^= 1;
    for (name, left) in
        [("lost", None), ("cut off", Some(&photo[..10])), ("a flipped bit", Some(&flipped[..]))]
    {
        let world = World::new();
        let server = world.open().await;
        let hash = server.upload(&photo).await;
        let asked = std::collections::BTreeSet::from([hash]);
        assert_eq!(server.photos.here(&asked, &|_| true).await, asked, "{name}");
        let file = blob(&world, &hash);
        match left {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let checked = server.photos.check(std::time::Duration::from_millis(1)).await.unwrap();
        assert_eq!(checked, super::Checked { whole: 0, lost: 1, unread: 0 }, "{name}");
        assert_eq!(server.photos.here(&asked, &|_| true).await.len(), 0, "{name}");
        // The phone that still has it sends it, and all is well.
        let path = server.create(&photo).await;
        assert_eq!(server.offset(&path).await, 0, "{name}");
        assert_eq!(server.patch(&path, 0, &photo).await.status(), 204, "{name}");
        assert_eq!(server.photos.here(&asked, &|_| true).await, asked, "{name}");
        let checked = server.photos.check(std::time::Duration::from_millis(1)).await.unwrap();
        assert_eq!(checked, super::Checked { whole: 1, lost: 0, unread: 0 }, "{name}");
    }
}

#[tokio::test]
async fn a_photo_of_another_length_than_its_row_is_missing_before_any_check() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let hash = server.upload(&photo).await;
    std::fs::write(blob(&world, &hash), &photo[..999]).unwrap();
    assert_eq!(server.photos.here(&[hash].into(), &|_| true).await.len(), 0);
    let path = server.create(&photo).await;
    assert_eq!(server.offset(&path).await, 0, "the bytes are asked for again");
}

/// Measurements come in long after photos have to wait.
#[tokio::test]
async fn photos_leave_room_on_the_disk() {
    let mut world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let path = server.create(&photo).await;
    drop(server);
    world.settings.reserve_bytes = u64::MAX;
    let server = world.open().await;
    let refused = |answer: Answer| {
        let problem: Problem = serde_json::from_slice(answer.body()).unwrap();
        (answer.status().as_u16(), problem.code.into_owned())
    };
    let no_room = (507, "photo.no_room".to_owned());
    assert_eq!(refused(server.patch(&path, 0, &photo).await), no_room);
    let metadata = metadata(&PhotoHash::of(b"another"), "2137000001");
    let headers = [("upload-length", "7"), ("upload-metadata", metadata.as_str())];
    assert_eq!(refused(server.send("POST", "/api/files", &headers, b"").await), no_room);
    drop(server);
    // What came before goes on once there is room.
    world.settings.reserve_bytes = 0;
    let server = world.open().await;
    assert_eq!(server.patch(&path, 0, &photo).await.status(), 204);
}

/// What the disk says of one photo says nothing of the others.
#[tokio::test]
async fn a_photo_that_cannot_be_looked_for_does_not_hide_the_others() {
    let world = World::new();
    let server = world.open().await;
    let (unread, whole) = (server.upload(&noise(1_000)).await, server.upload(&noise(1_001)).await);
    let file = blob(&world, &unread);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    assert!(server.photos.blobs.length(&unread).await.is_err(), "a link to itself is an error of the disk");
    assert_eq!(server.photos.here(&[unread, whole].into(), &|_| true).await, [whole].into());
}

/// A reader gets a whole photo or a connection that breaks off, never wrong
/// bytes that look whole.
#[tokio::test]
async fn a_damaged_photo_is_not_served_to_its_end() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(300_000);
    let hash = server.upload(&photo).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(server.routes.clone()).incoming(listener).run());
    let ask = async || {
        let head = format!(
            "GET /api/photos/{hash} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer li\r\nConnection: close\r\n\r\n"
        );
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that breaks off may do so with an error.
        let _ = connection.read_to_end(&mut answer).await;
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8_lossy(&answer[..head]).to_lowercase(), answer.split_off(head))
    };
    let (head, body) = ask().await;
    assert!(head.contains("content-length: 300000"), "{head}");
    assert_eq!(body, photo);
    let mut flipped = photo.clone();
    flipped[10] ^= 1;
    std::fs::write(blob(&world, &hash), &flipped).unwrap();
    let (head, body) = ask().await;
    assert!(
        head.starts_with("http/1.1 200") && body.len() < photo.len(),
        "{} bytes after {head}",
        body.len()
    );
    while !server.photos.here(&[hash].into(), &|_| true).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let (head, _) = ask().await;
    assert!(head.starts_with("http/1.1 500"), "{head}");
}

/// Loses one write and says so with the next call, as a file of tokio's does.
struct FailingDisk {
    bytes: Vec<u8>,
    good: usize,
    failed: Option<std::io::Error>,
}

impl FailingDisk {
    fn said(&mut self) -> std::io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl tokio::io::AsyncWrite for FailingDisk {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        if let Err(error) = self.said() {
            return std::task::Poll::Ready(Err(error));
        }
        match self.good.checked_sub(1) {
            Some(good) => {
                self.good = good;
                self.bytes.extend_from_slice(bytes);
            }
            None => self.failed = Some(std::io::ErrorKind::StorageFull.into()),
        }
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(self.said())
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.poll_flush(context)
    }
}

impl super::files::PartFile for FailingDisk {
    fn set_len(&mut self, length: u64) -> super::files::Doing<'_, ()> {
        self.bytes.resize(usize::try_from(length).unwrap(), 0);
        Box::pin(std::future::ready(Ok(())))
    }

    fn sync(&mut self) -> super::files::Doing<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[tokio::test]
async fn a_failed_write_never_raises_the_offset_above_what_is_on_disk() {
    // How many writes succeed, of three parts.
    for good in 0..3 {
        let world = World::new();
        let server = world.open().await;
        let path = server.create(&noise(3 * WRITTEN_AT_ONCE)).await;
        let id = path.rsplit('/').next().unwrap();
        let upload = server.photos.staging.find(id, &PersonId::new("li").unwrap(), 0).await.unwrap();
        let turn = upload.turn().await;
        let parts = (0..3).map(|_| Ok::<_, warp::Error>(vec![7; WRITTEN_AT_ONCE]));
        let mut body: super::body::Body = Box::pin(futures_util::stream::iter(parts.collect::<Vec<_>>()));
        let mut disk = FailingDisk { bytes: Vec::new(), good, failed: None };
        let part = super::append::Part { offset: 0, stated: None, checksum: None };
        let stream = super::append::Stream { photos: &server.photos, upload: &upload, turn: &turn };
        let fault = stream.take(&mut disk, part, &mut body).await.unwrap_err();
        assert_eq!(fault.problem.code, "photo.disk_full", "{good} good writes");
        assert_eq!((upload.offset(), disk.bytes.len()), (0, 0), "{good} good writes");
    }
}

/// Where a photo's bytes are.
fn blob(world: &World, hash: &PhotoHash) -> std::path::PathBuf {
    let name = hash.to_string();
    world.folder.path().join("blobs/originals").join(&name[..2]).join(&name)
}

#[tokio::test]
async fn limits_are_per_person_and_uploads_expire() {
    let mut world = World::new();
    world.settings.uploads_per_person = 2;
    world.settings.staged_bytes_per_person = 2_000;
    let server = world.open().await;
    let create = async |name: &str, photo: &[u8]| {
        let length = photo.len().to_string();
        let meta = metadata(&PhotoHash::of(photo), "2137000001");
        let token = format!("Bearer {name}");
        server
            .send(
                "POST",
                "/api/files",
                &[("authorization", &token), ("upload-length", &length), ("upload-metadata", &meta)],
                b"",
            )
            .await
    };
    let first = create("li", &noise(1_500)).await;
    assert_eq!(first.status(), 201);
    let path = header(&first, "location").to_owned();
    assert_eq!(code(&create("li", &noise(501)).await), "photo.too_many");
    assert_eq!(create("wang", &noise(501)).await.status(), 201);
    assert_eq!(create("li", &noise(500)).await.status(), 201);
    assert_eq!(code(&create("li", &noise(1)).await), "photo.too_many");
    world.clock.fetch_add(world.settings.expiry_ms, Ordering::SeqCst);
    let expired = server.patch(&path, 0, b"x").await;
    assert_eq!((expired.status().as_u16(), code(&expired).as_str()), (410, "photo.gone"));
    assert_eq!(server.patch(&path, 0, b"x").await.status(), 404);
    server.photos.sweep().await;
    assert_eq!(world.files("staging"), [""; 0]);
}

#[tokio::test]
async fn photos_are_given_to_those_who_may_see_the_school() {
    let world = World::new();
    let server = world.open().await;
    let photo = jpeg(640, 480, None);
    let hash = server.upload(&photo).await;
    server.photos.derived().await;
    let path = format!("/api/photos/{hash}");
    let original = server.send("GET", &path, &[], b"").await;
    assert_eq!((original.status().as_u16(), original.body().as_ref()), (200, photo.as_slice()));
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("content-disposition", &format!("inline; filename=\"{hash}.jpg\"")),
    ] {
        assert_eq!(header(&original, name), value);
    }
    let tag = header(&original, "etag").to_owned();
    let cached = server.send("GET", &path, &[("if-none-match", &tag)], b"").await;
    assert_eq!((cached.status().as_u16(), cached.body().len()), (304, 0));
    let thumbnail = server.send("GET", &format!("{path}/thumbnail"), &[], b"").await;
    let small = image::load_from_memory(thumbnail.body()).unwrap();
    assert_eq!((small.width(), small.height()), (320, 240));
    // Not yours is the same answer as not there.
    let not_yours = server.send("GET", &path, &[("authorization", "Bearer zhao")], b"").await;
    let not_there = server.send("GET", &format!("/api/photos/{}", PhotoHash::of(b"")), &[], b"").await;
    assert_eq!((not_yours.status(), not_yours.body()), (not_there.status(), not_there.body()));
    assert_eq!(not_yours.status(), 404);
    assert_eq!(server.send("GET", &path, &[("authorization", "")], b"").await.status(), 401);
}

#[tokio::test]
async fn what_was_not_derived_is_found_again_after_a_restart() {
    let world = World::new();
    let photo = jpeg(64, 48, None);
    let hash = PhotoHash::of(&photo);
    // A server that stopped right after the acknowledgement.
    let blobs = super::Blobs::open(Arc::new(FileSystem), &world.folder.path().join("blobs")).unwrap();
    blobs.put(&hash, photo.clone()).await.unwrap();
    let row = super::PhotoRow {
        length: 1,
        media_type: "image/jpeg".to_owned(),
        person: PersonId::new("li").unwrap(),
        device: None,
        received_ms: 0,
        round: "r1".parse().unwrap(),
        school: "2137000001".parse().unwrap(),
    };
    world.store.commit(vec![rows::put_photo(&hash, &row).unwrap()]).await.unwrap();
    let server = world.open().await;
    server.photos.derived().await;
    let facts = server.photos.facts(&hash).await.unwrap().unwrap();
    assert_eq!(facts.derivation, Derivation::Done { width: 64, height: 48 });
}

#[tokio::test]
async fn a_rotten_original_is_noticed_and_mended_by_the_same_photo() {
    let world = World::new();
    let server = world.open().await;
    let photo = noise(1_000);
    let hash = server.upload(&photo).await;
    std::fs::write(blob(&world, &hash), b"rot").unwrap();
    assert!(matches!(server.photos.verify(&hash).await, Err(super::BlobError::Damaged(_))));
    server.photos.blobs.put(&hash, photo).await.unwrap();
    server.photos.verify(&hash).await.unwrap();
    assert!(matches!(server.photos.blobs.put(&hash, vec![1]).await, Err(super::BlobError::Damaged(_))));
    server.photos.verify(&hash).await.unwrap();
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

fn exif_block() -> Vec<u8> {
    use exif::{Field, In, Rational, Tag, Value};
    let field = |tag, value| Field { tag, ifd_num: In::PRIMARY, value };
    let degrees = |d, m, s| {
        Value::Rational(vec![
            Rational { num: d, denom: 1 },
            Rational { num: m, denom: 1 },
            Rational { num: s, denom: 100 },
        ])
    };
    let fields = [
        field(Tag::Orientation, Value::Short(vec![6])),
        field(Tag::DateTimeOriginal, Value::Ascii(vec![b"2026:09:14 10:15:30".to_vec()])),
        field(Tag::GPSLatitudeRef, Value::Ascii(vec![b"N".to_vec()])),
        field(Tag::GPSLatitude, degrees(41, 47, 4_556)),
        field(Tag::GPSLongitudeRef, Value::Ascii(vec![b"W".to_vec()])),
        field(Tag::GPSLongitude, degrees(123, 25, 0)),
    ];
    let mut writer = exif::experimental::Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut block = std::io::Cursor::new(Vec::new());
    writer.write(&mut block, false).unwrap();
    block.into_inner()
}

/// A PNG of this size as far as its header goes.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
            })
        })
    };
    let chunk = |kind: &[u8], data: &[u8]| {
        let body = [kind, data].concat();
        [&u32::try_from(data.len()).unwrap().to_be_bytes(), body.as_slice(), &crc(&body).to_be_bytes()]
            .concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[tokio::test]
async fn nobody_brings_more_photos_in_a_round_than_anyone_may() {
    for (photos, bytes) in [(2, u64::MAX), (u64::MAX, 1_000)] {
        let mut world = World::new();
        world.settings.photos_per_person = photos;
        world.settings.bytes_per_person = bytes;
        let server = world.open().await;
        for length in [400, 500] {
            server.upload(&noise(length)).await;
        }
        // A start reads what is there.
        for server in [server, world.open().await] {
            let create = async |name: &str, photo: &[u8]| {
                let (token, length) = (format!("Bearer {name}"), photo.len().to_string());
                let meta = metadata(&PhotoHash::of(photo), "2137000001");
                let headers = [
                    ("authorization", token.as_str()),
                    ("upload-length", &length),
                    ("upload-metadata", &meta),
                ];
                server.send("POST", "/api/files", &headers, b"").await
            };
            let refused = create("li", &noise(101)).await;
            assert_eq!((refused.status().as_u16(), code(&refused).as_str()), (429, "photo.person_full"));
            assert_eq!(create("li", &noise(400)).await.status(), 201, "what is here costs nothing");
            assert_eq!(create("wang", &noise(101)).await.status(), 201, "others have a share of their own");
        }
    }
}

#[test]
fn each_limit_of_the_decoder_can_be_set() {
    let (photo, all) = (jpeg(400, 300, None), Decoder::default());
    let too_large = Derivation::Undecodable { reason: "too_large".to_owned() };
    for (limits, expected) in [
        (Decoder { side: 400, pixels: 120_000, ..all }, Derivation::Done { width: 400, height: 300 }),
        (Decoder { side: 399, ..all }, too_large.clone()),
        (Decoder { pixels: 119_999, ..all }, too_large.clone()),
        (Decoder { memory_bytes: 1_000, ..all }, too_large),
    ] {
        assert_eq!(derive::derive(&photo, limits).0.derivation, expected, "{limits:?}");
    }
}

#[test]
fn what_cannot_be_decoded_says_why() {
    let whole = jpeg(400, 300, None);
    let heic = [&[0, 0, 0, 24][..], b"ftypheic", &[0; 40]].concat();
    let undecodable = |reason: &str| Derivation::Undecodable { reason: reason.to_owned() };
    let mut with_thumbnail = jpeg(400, 300, Some(&[0xff, 0xd9, 0xff, 0xd9]));
    with_thumbnail.truncate(with_thumbnail.len() / 2);
    for (name, bytes, expected) in [
        ("whole", whole.clone(), Derivation::Done { width: 400, height: 300 }),
        ("cut in half", whole[..whole.len() / 2].to_vec(), undecodable("truncated")),
        ("without its last byte", whole[..whole.len() - 1].to_vec(), undecodable("truncated")),
        ("an end in its metadata only", with_thumbnail, undecodable("truncated")),
        ("a PNG bomb", png_header(20_000, 10_000), undecodable("too_large")),
        ("a PNG bomb within the side limit", png_header(12_000, 12_000), undecodable("too_large")),
        ("a PNG without pixels", png_header(100, 100), undecodable("malformed")),
        ("HEIC", heic, Derivation::Opaque),
        ("text", b"hello".to_vec(), Derivation::Opaque),
        ("nothing", vec![], Derivation::Opaque),
    ] {
        assert_eq!(derive::derive(&bytes, Decoder::default()).0.derivation, expected, "{name}");
    }
}

/// Thumbnails are not flushed.
#[tokio::test]
async fn a_thumbnail_that_a_power_cut_has_torn_is_made_again() {
    let world = World::new();
    let server = world.open().await;
    let photo = jpeg(400, 300, None);
    server.upload(&photo).await;
    server.photos.derived().await;
    let hash = PhotoHash::of(&photo).to_string();
    let file = world.folder.path().join(format!("blobs/thumbnails/{}/{hash}", &hash[..2]));
    let whole = std::fs::read(&file).unwrap();
    for torn in [&whole[..0], &whole[..whole.len() / 2], &vec![0; whole.len()]] {
        std::fs::write(&file, torn).unwrap();
        let path = format!("/api/photos/{hash}/thumbnail");
        assert_eq!(server.send("GET", &path, &[], b"").await.status(), 404);
        server.photos.derived().await;
        assert_eq!(server.send("GET", &path, &[], b"").await.body(), &whole);
    }
}

#[test]
fn thumbnails_stand_upright_and_tell_nothing() {
    let photo = jpeg(800, 600, Some(&exif_block()));
    let (facts, thumbnail) = derive::derive(&photo, Decoder::default());
    let thumbnail = thumbnail.unwrap();
    let small = image::load_from_memory(&thumbnail).unwrap();
    assert_eq!((small.width(), small.height()), (240, 320));
    assert_eq!(super::exif::claims(&thumbnail), super::Exif::default());
    assert!(!thumbnail.windows(4).any(|window| window == b"Exif"));
    let claims = facts.claims;
    assert_eq!(claims.orientation, Some(6));
    assert_eq!(claims.taken.as_deref(), Some("2026-09-14 10:15:30"));
    let place = (claims.latitude.unwrap().to_string(), claims.longitude.unwrap().to_string());
    assert_eq!(place, ("41.795988".to_owned(), "-123.416666".to_owned()));
}

#[test]
fn damaged_exif_is_read_as_far_as_it_goes() {
    let mut block = exif_block();
    // A second directory that is not there.
    let last = block.len();
    block.truncate(last - 1);
    let claims = derive::derive(&jpeg(80, 60, Some(&block)), Decoder::default()).0.claims;
    assert_eq!(claims.orientation, Some(6));
    assert_eq!(
        derive::derive(&jpeg(80, 60, Some(b"junk")), Decoder::default()).0.claims,
        super::Exif::default()
    );
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
