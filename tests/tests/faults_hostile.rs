//! Hostile input to a real server over real sockets: each is told why in a
//! stable code, the server's memory stays bounded, and a bystander syncs on.

use std::io::Write;
use std::net::SocketAddr;

use automerge::Automerge;
use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use duxue_document::{DocumentId, DocumentKind, PhotoHash, genesis};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::hostile::{self, Attacker, chunk, message, short_change_of};
use duxue_tests::processes::{Api, Start, request};
use duxue_tests::round::{ROUND, Round, password};
use duxue_tests::tus;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

/// A school of the demonstration county.
const SCHOOL: &str = "9901010012";
/// What all of it together may cost the server at its peak, in KiB, beyond
/// what it used before: a frame of 4 MiB, 8 MiB that one chunk of it inflates to, a picture of 16 MiB, and as
/// much again for what the allocator keeps.
const MEMORY_MAX_KIB: u64 = 72 << 10;
/// The same with all of it at once, where the peak was 202 MiB in all: one person has 8 MiB of messages worked on
/// at a time, and of each chunk in them 8 MiB are inflated; the frames of 4 MiB come beside them.
const MEMORY_AT_ONCE_MAX_KIB: u64 = 256 << 10;
/// What pictures may cost with the limits as they come: `image_memory_bytes` of 400 MiB for all that are decoded at
/// once, and what else is at work.
const IMAGE_MEMORY_MAX_KIB: u64 = (400 << 10) + MEMORY_MAX_KIB;
/// What the bystander has to bring under all attacks at once.
const VALUES_UNDER_ATTACK: i64 = 30;

fn survey() -> DocumentId {
    let round = ROUND.parse().expect("an id");
    DocumentId::derive(&round, SCHOOL, DocumentKind::Survey)
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// A compressed change that inflates to so many bytes.
fn bomb(bytes: usize) -> Vec<u8> {
    let zeros = vec![0; bytes];
    chunk(2, &deflated(&zeros), 1, &zeros)
}

/// What is sent, and the code that comes back.
fn frames() -> Vec<(&'static str, Sent, &'static str)> {
    let deep = [vec![0x81; 200_000], vec![0]].concat();
    let long_text = [vec![0xa1, 0x64], b"type".to_vec(), vec![0x7b], vec![0xff; 8]].concat();
    vec![
        ("text", Sent::Frame(Message::Text("{}".into())), "frame.text"),
        ("not CBOR", Sent::Frame(Message::Binary(vec![0xff; 40].into())), "wire.not_cbor"),
        ("an empty map", Sent::Frame(Message::Binary(vec![0xa0].into())), "wire.not_a_message"),
        ("200 000 arrays in each other", Sent::Frame(Message::Binary(deep.into())), "wire.over_limit"),
        ("a text of 2^64 bytes", Sent::Frame(Message::Binary(long_text.into())), "wire.not_cbor"),
        ("a second join", Sent::Join, "join.again"),
        ("an empty sync message", Sent::Sync(vec![0x42]), "scan.truncated"),
        ("an unknown sync message", Sent::Sync(vec![0x99; 30]), "scan.unknown"),
        (
            "a short change of 10^8 operations",
            Sent::Sync(message(&[short_change_of(100_000_000)])),
            "scan.over_limit",
        ),
        ("a change that inflates to 100 MiB", Sent::Sync(message(&[bomb(100 << 20)])), "scan.over_limit"),
        ("a thousand chunks of nothing", Sent::Sync(message(&vec![vec![0x85]; 1000])), "scan.truncated"),
        ("a frame of 6 MiB", Sent::Frame(Message::Binary(vec![0; 6 << 20].into())), "frame.too_large"),
    ]
}

#[derive(Clone)]
enum Sent {
    Frame(Message),
    Sync(Vec<u8>),
    Join,
}

/// Someone who works on while others attack.
struct Bystander {
    socket: Attacker,
    doc: Automerge,
    state: sync::State,
    stop: watch::Receiver<bool>,
    /// How often the server has said that it has the last value.
    synced: watch::Sender<i64>,
}

impl Bystander {
    /// Puts a value and syncs until the server has it, again and again. Gives
    /// the document.
    async fn work(mut self) -> Automerge {
        while !*self.stop.borrow() {
            let mut transaction = self.doc.transaction();
            transaction.put(automerge::ROOT, "bystander", *self.synced.borrow()).expect("a put");
            transaction.commit();
            self.sync().await;
            self.synced.send_modify(|count| *count += 1);
        }
        self.doc
    }

    async fn sync(&mut self) {
        let heads = self.doc.get_heads();
        loop {
            if let Some(own) = self.doc.generate_sync_message(&mut self.state) {
                self.socket.sync(survey(), own.encode()).await;
            }
            let Some(duxue_protocol::wire::Message::Sync { data, .. }) = self.socket.hear().await else {
                panic!("the bystander was not heard");
            };
            let theirs = sync::Message::decode(&data).expect("a sync message");
            let there = heads.iter().all(|head| theirs.heads.contains(head));
            self.doc.receive_sync_message(&mut self.state, theirs).expect("changes that apply");
            if there {
                return;
            }
        }
    }
}

/// A bystander at work.
struct Standing {
    work: JoinHandle<Automerge>,
    stop: watch::Sender<bool>,
    synced: watch::Receiver<i64>,
}

impl Standing {
    async fn by(round: &Round) -> Self {
        round.inspector("bystander", &[SCHOOL]);
        let api = Api::login(&round.url(), "bystander", &password("bystander"));
        let socket = Attacker::join(round.address(), api.token(), "bystander-1").await;
        let (doc, state) = (
            genesis::document(DocumentKind::Survey, automerge::ActorId::from([3_u8; 16])),
            sync::State::new(),
        );
        let ((stop, stopped), (count, synced)) = (watch::channel(false), watch::channel(0));
        let bystander = Bystander { socket, doc, state, stop: stopped, synced: count };
        Self { work: tokio::spawn(bystander.work()), stop, synced }
    }

    /// Waits until so many more values are at the server.
    async fn goes_on(&mut self, values: i64, during: &str) {
        let wanted = *self.synced.borrow() + values;
        let synced = tokio::time::timeout(DEADLINE, self.synced.wait_for(|count| *count >= wanted)).await;
        assert!(synced.is_ok_and(|alive| alive.is_ok()), "the bystander waits: {during}");
    }

    /// Ends its work; the server has all of it.
    async fn ends(self) {
        self.stop.send(true).expect("a bystander at work");
        self.work.await.expect("the bystander was heard to the end");
    }
}

/// Sends it on a connection of its own and gives what is said to it.
async fn attack(address: SocketAddr, token: &str, name: &str, sent: Sent) -> Option<String> {
    let mut attacker = Attacker::join(address, token, name).await;
    match sent {
        Sent::Frame(frame) => attacker.send(frame).await,
        Sent::Sync(data) => attacker.sync(survey(), data).await,
        Sent::Join => attacker.join_again().await,
    }
    tokio::time::timeout(DEADLINE, attacker.told()).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_frames_are_told_why_and_cost_nobody_else_anything() {
    // Attackers are quicker to come again than the server is to end with them.
    let round =
        Round::open_with(Start { limits: vec![("connections_per_person", 2_000)], ..Start::default() });
    round.inspector("attacker", &[SCHOOL]);
    let attacking = Api::login(&round.url(), "attacker", &password("attacker"));
    let mut bystander = Standing::by(&round).await;
    let before = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    for (number, (name, sent, code)) in frames().into_iter().enumerate() {
        let told = attack(round.address(), attacking.token(), &format!("attacker-{number}"), sent).await;
        assert_eq!(told.as_deref(), Some(code), "{name}");
        bystander.goes_on(2, name).await;
    }
    let peak = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    println!("one by one: peak memory {} MiB before and {} MiB after", before >> 10, peak >> 10);
    assert!(peak - before < MEMORY_MAX_KIB, "{before} KiB before, {peak} KiB after");

    // All of them at once, again and again, as long as the bystander works.
    let attackers: Vec<_> = frames()
        .into_iter()
        .enumerate()
        .map(|(number, (name, sent, code))| {
            let (address, token) = (round.address(), attacking.token().to_owned());
            let synced = bystander.synced.clone();
            let enough = *synced.borrow() + VALUES_UNDER_ATTACK;
            tokio::spawn(async move {
                let mut attacks = 0;
                while *synced.borrow() < enough || attacks == 0 {
                    let told = attack(address, &token, &format!("again-{number}"), sent.clone()).await;
                    assert_eq!(told.as_deref(), Some(code), "{name}");
                    attacks += 1;
                }
                attacks
            })
        })
        .collect();
    bystander.goes_on(VALUES_UNDER_ATTACK, "under all attacks at once").await;
    let mut attacks = 0;
    for attacker in attackers {
        attacks += attacker.await.expect("an attacker who was told why");
    }
    bystander.ends().await;
    let peak = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    println!("{attacks} attacks at once: peak memory {} MiB", peak >> 10);
    assert!(peak - before < MEMORY_AT_ONCE_MAX_KIB, "{before} KiB before, {peak} KiB after");
}

/// A grey PNG that says it is so large and holds so many black pixels.
fn png(width: u32, height: u32, pixels: usize) -> Vec<u8> {
    png_of(width, height, [8, 0], pixels)
}

/// A PNG of this depth and colour type, with so many bytes of nothing.
fn png_of(width: u32, height: u32, [depth, colour]: [u8; 2], bytes: usize) -> Vec<u8> {
    let part = |name: &[u8; 4], data: &[u8]| {
        let mut sum = flate2::Crc::new();
        sum.update(name);
        sum.update(data);
        let length = u32::try_from(data.len()).expect("a short part").to_be_bytes();
        [&length[..], name, data, &sum.sum().to_be_bytes()].concat()
    };
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; bytes]).expect("memory takes everything");
    let packed = packed.finish().expect("memory takes everything");
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
    let mut image = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
    for (name, data) in [(b"IHDR", &head[..]), (b"IDAT", &packed), (b"IEND", &[])] {
        image.extend(part(name, data));
    }
    image
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_of_pixels_are_kept_and_cost_nobody_else_anything() {
    // Small limits show where a bomb is not seen as one, the defaults what the
    // server costs as it comes.
    let small = vec![("image_pixels", 10_000_000), ("image_memory_bytes", 16 << 20)];
    bombs_of_pixels(small, MEMORY_MAX_KIB).await;
    bombs_of_pixels(Vec::new(), IMAGE_MEMORY_MAX_KIB).await;
}

async fn bombs_of_pixels(limits: Vec<(&'static str, u64)>, most_kib: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, county) = (folder.path().join("server"), folder.path().join("county"));
    xtask::demo::write(&county).unwrap_or_else(|error| panic!("{error}"));
    let defaults = limits.is_empty();
    let start = Start { limits, ..Start::default() };
    let round = Round::open_in(folder, data, start, &county.join("register.csv"));
    round.inspector("attacker", &[SCHOOL]);
    let api = Api::login(&round.url(), "attacker", &password("attacker"));
    let upload = Upload { api: &api, url: round.url() };
    let mut bystander = Standing::by(&round).await;
    let before = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    let bombs = [
        ("60 000 pixels a side", png(60_000, 60_000, 100)),
        ("144 million pixels", png(12_000, 12_000, 12_001 * 12_000)),
        ("more pixels than it says", png(100, 100, 200 << 20)),
        ("fewer pixels than it says", png(3_000, 3_000, 1_000)),
        // Each is within the limits, and takes three eighths of the memory of all.
        ("150 MB of pixels", png_of(5_000, 3_750, [16, 6], 3_750 * (5_000 * 8 + 1))),
        ("150 MB of pixels, the other way", png_of(3_750, 5_000, [16, 6], 5_000 * (3_750 * 8 + 1))),
        ("150 MB of pixels, once more", png_of(4_000, 4_687, [16, 6], 4_687 * (4_000 * 8 + 1))),
    ];
    let bombs = bombs.map(|(name, bytes)| (name, upload.whole(&bytes), bytes));
    let good = png(640, 480, 641 * 480);
    let picture = upload.whole(&good);
    bystander.goes_on(2, "after all bombs").await;
    // Thumbnails are made in the order of arrival, so the bombs were first.
    let begun = std::time::Instant::now();
    while upload.read(&format!("/api/photos/{picture}/thumbnail")).0 != 200 {
        assert!(begun.elapsed() < DEADLINE, "no thumbnail after the bombs");
        bystander.goes_on(1, "while thumbnails are made").await;
    }
    for (name, photo, bytes) in bombs {
        assert!(upload.read(&format!("/api/photos/{photo}")) == (200, bytes), "{name}: the photo is kept");
        let decodes = name == "more pixels than it says" || defaults && name.starts_with("150 MB");
        let thumbnail = format!("/api/photos/{photo}/thumbnail");
        let (mut status, _) = upload.read(&thumbnail);
        // One that waits for memory lets smaller ones pass.
        while decodes && status != 200 && begun.elapsed() < DEADLINE {
            bystander.goes_on(1, "while large pictures wait for each other").await;
            (status, _) = upload.read(&thumbnail);
        }
        println!("{name}: thumbnail {status}");
        assert_eq!(status == 200, decodes, "{name}: {status}");
    }
    bystander.ends().await;
    let peak = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    println!("bombs of pixels: peak memory {} MiB before and {} MiB after", before >> 10, peak >> 10);
    assert!(peak - before < most_kib, "{before} KiB before, {peak} KiB after");
}

/// One request to the upload interface.
struct Upload<'a> {
    api: &'a Api,
    url: String,
}

impl Upload<'_> {
    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> (u16, String, String) {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = format!("{}{path}", self.url);
        let mut answer = request(self.api.token(), method, &url, &headers, body).expect("an answer");
        let location =
            answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let location = location.to_owned();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let code = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        (answer.status().as_u16(), code["code"].as_str().unwrap_or_default().to_owned(), location)
    }

    /// Uploads a photo whole.
    fn whole(&self, bytes: &[u8]) -> PhotoHash {
        let photo = PhotoHash::of(bytes);
        let tus = ("tus-resumable", "1.0.0".to_owned());
        let length = ("upload-length", bytes.len().to_string());
        let about = ("upload-metadata", metadata(&photo.to_string()));
        let (status, code, location) = self.send("POST", "/api/files", &[tus.clone(), length, about], &[]);
        assert_eq!(status, 201, "{code}");
        let path = location.strip_prefix(&self.url).unwrap_or(&location);
        let kind = ("content-type", "application/offset+octet-stream".to_owned());
        let (status, code, _) =
            self.send("PATCH", path, &[tus, kind, ("upload-offset", "0".to_owned())], bytes);
        assert_eq!(status, 204, "{code}");
        photo
    }

    /// What is at an address.
    fn read(&self, path: &str) -> (u16, Vec<u8>) {
        let request = ureq::get(format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bearer {}", self.api.token()));
        let request = request.config().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
        let mut answer = request.call().expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_vec().expect("a body"))
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// tus metadata of a photo of the school.
fn metadata(hash: &str) -> String {
    tus::metadata(hash, SCHOOL)
}

#[test]
fn hostile_uploads_are_told_why() {
    let round = Round::open();
    round.inspector("attacker", &[SCHOOL]);
    let api = Api::login(&round.url(), "attacker", &password("attacker"));
    let upload = Upload { api: &api, url: round.url() };
    let photo = [&[0xff, 0xd8, 0xff, 0xe0][..], &[7; 996]].concat();
    let hash = PhotoHash::of(&photo).to_string();
    let tus = || vec![("tus-resumable", "1.0.0".to_owned())];
    let create = |length: &str, metadata: String| {
        let more = vec![("upload-length", length.to_owned()), ("upload-metadata", metadata)];
        upload.send("POST", "/api/files", &[tus(), more].concat(), &[])
    };
    let refused = [
        ("no length", create("", metadata(&hash)), 400, "photo.header"),
        ("a length beyond all", create("99999999999999999999", metadata(&hash)), 400, "photo.header"),
        ("a terabyte", create("1099511627776", metadata(&hash)), 413, "photo.too_large"),
        ("a hash that is none", create("1000", metadata("../../../etc/passwd")), 400, "photo.metadata"),
    ];
    for (name, (status, code, _), expected, expected_code) in refused {
        assert_eq!((status, code.as_str()), (expected, expected_code), "{name}");
    }
    let (status, _, location) = create("1000", metadata(&hash));
    assert_eq!(status, 201);
    let path = location.strip_prefix(&round.url()).unwrap_or(&location).to_owned();
    let patch = |offset: &str, more: &[(&'static str, String)], body: &[u8]| {
        let mut headers = tus();
        headers.push(("content-type", "application/offset+octet-stream".to_owned()));
        headers.push(("upload-offset", offset.to_owned()));
        headers.extend_from_slice(more);
        let (status, code, _) = upload.send("PATCH", &path, &headers, body);
        (status, code)
    };
    let wrong_sum = vec![("upload-checksum", format!("sha256 {}", base64(&[0; 32])))];
    let odd_sum = vec![("upload-checksum", "md5 AAAA".to_owned())];
    let parts: [(&str, (u16, String), u16, &str); 5] = [
        ("an offset ahead", patch("500", &[], &photo[500..]), 409, "photo.offset"),
        ("an offset that is none", patch("-1", &[], &photo), 400, "photo.header"),
        ("more than declared", patch("0", &[], &[&photo[..], b"more"].concat()), 413, "photo.too_large"),
        ("a wrong checksum", patch("0", &wrong_sum, &photo[..500]), 460, "photo.checksum"),
        ("an unknown checksum", patch("0", &odd_sum, &photo[..500]), 400, "photo.checksum_algorithm"),
    ];
    for (name, (status, code), expected, expected_code) in parts {
        assert_eq!((status, code.as_str()), (expected, expected_code), "{name}");
    }
    // Other bytes than those of the name are not taken, and the right ones are.
    assert_eq!(patch("0", &[], &[7; 1000]), (460, "photo.hash".to_owned()));
    let (status, _, location) = create("1000", metadata(&hash));
    assert_eq!(status, 201);
    let path = location.strip_prefix(&round.url()).unwrap_or(&location).to_owned();
    let mut headers = tus();
    headers.push(("content-type", "application/offset+octet-stream".to_owned()));
    headers.push(("upload-offset", "0".to_owned()));
    assert_eq!(upload.send("PATCH", &path, &headers, &photo).0, 204);
}
