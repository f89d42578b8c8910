//! A flipped bit and a truncated tail in every file of a data folder that has
//! some of everything: noticed, set aside, rebuilt or refused with the reason;
//! nothing is silently missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use duxue_document::PhotoHash;
use duxue_server::{Config, Server};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::folder;
use duxue_tests::processes::{Api, Start};
use duxue_tests::round::{ROUND, Round, password};
use duxue_tests::tus;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

const SCHOOL: &str = "9901010012";
/// A picture of which a thumbnail can be made.
const PICTURE: &[u8] = include_bytes!("../../fuzz/corpus/picture/jpeg_exif");
/// Small enough that the journal has several files.
const SEGMENT_BYTES: u64 = 100_000;

/// What a server showed on a damaged folder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// All as before, and nothing was said.
    Same,
    /// All as before, after the index was set aside and made anew.
    Rebuilt,
    /// It did not start, and said why.
    Refused(String),
    /// It started and says that an unfinished upload is less far.
    WentBack,
    /// It started and refuses what is damaged, or says so in its health, with
    /// this code.
    Told(String),
}

/// What may happen to the files whose path begins so.
struct Row {
    files: &'static str,
    /// A word that a refusal to start holds, so that the operator finds the file.
    may_refuse: Option<&'static str>,
    may_tell: &'static [&'static str],
    /// Whether nothing need be said if all is shown as before.
    may_be_silent: bool,
}

const TABLE: [Row; 9] = [
    // The truth: never mended silently. The index proves what was acknowledged;
    // a journal that ends early is refused by number, not by file.
    Row {
        files: "store/journal/",
        may_refuse: Some("segment"),
        may_tell: &["journal.damaged", "document.damaged", "document.unreadable"],
        may_be_silent: false,
    },
    // Derived: set aside and rebuilt. A snapshot is checked when it is read.
    Row { files: "store/index/snapshots/", may_refuse: None, may_tell: &[], may_be_silent: false },
    Row { files: "store/index/", may_refuse: None, may_tell: &[], may_be_silent: true },
    Row { files: "store/lock", may_refuse: None, may_tell: &[], may_be_silent: true },
    // The half of the file that only checks the other may be gone.
    Row { files: "receipt.key", may_refuse: Some("receipt.key"), may_tell: &[], may_be_silent: true },
    Row {
        files: "photos/blobs/originals/",
        may_refuse: None,
        may_tell: &["photo.damaged", "broken off"],
        may_be_silent: false,
    },
    // Made again before it is shown.
    Row { files: "photos/blobs/thumbnails/", may_refuse: None, may_tell: &[], may_be_silent: true },
    // The client is told where to go on, or to begin again ([`Outcome::WentBack`]);
    // a flipped bit in what has come shows when the photo is whole.
    Row { files: "photos/staging/", may_refuse: None, may_tell: &["photo.hash"], may_be_silent: false },
    // For people to look at, and nothing that the server reads: it stays as it
    // is, and its description has a checksum of its own.
    Row { files: "photos/aside/", may_refuse: None, may_tell: &[], may_be_silent: true },
];

/// A real data folder and what its server showed.
struct Made {
    folder: PathBuf,
    seen_by: Eyes,
    before: Shown,
    _round: Round,
}

/// Who looks, and at what.
#[derive(Clone)]
struct Eyes {
    desk: String,
    inspector: String,
    photo: PhotoHash,
    /// The path of the inspector's unfinished upload.
    upload: String,
}

/// What people see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    school: Value,
    photo: Vec<u8>,
    thumbnail: Vec<u8>,
    /// How far the unfinished upload is; nothing if it is to begin again.
    upload: Option<u64>,
    receipt_key: Vec<u8>,
}

fn make() -> Made {
    let folder = tempfile::tempdir().expect("a folder");
    xtask::demo::write(&folder.path().join("county")).unwrap_or_else(|error| panic!("{error}"));
    let register = folder.path().join("county/register.csv");
    let settings = vec![("journal_segment_bytes", SEGMENT_BYTES.to_string())];
    let data = folder.path().join("server");
    let mut round = Round::open_in(folder, data, Start { settings, ..Start::default() }, &register);
    let desk = round.desk("supervisor", "supervisor");
    capture(&round);
    round.inspector("uploader", &[SCHOOL]);
    let api = Api::login(&round.url(), "uploader", &password("uploader"));
    send_wrong_bytes(&round.url(), api.token());
    let upload = begin_upload(&round.url(), api.token());
    let seen_by = Eyes {
        desk: desk.token().to_owned(),
        inspector: api.token().to_owned(),
        photo: PhotoHash::of(PICTURE),
        upload,
    };
    thumbnail(&round.url(), &seen_by).expect("a thumbnail");
    round.stop();
    let folder = round.path("server");
    let copy = tempfile::tempdir().expect("a folder");
    folder::copy(&folder, copy.path());
    let (before, _) = look(copy.path(), &seen_by).expect("the folder is sound");
    assert_eq!((&before.photo[..], before.upload), (PICTURE, Some(UPLOADED)));
    Made { folder, seen_by, before, _round: round }
}

/// A survey of which the server makes a snapshot, which is a file because what
/// is in it does not compress; then some more.
fn capture(round: &Round) {
    let device = round.device("inspector", &[SCHOOL]);
    std::fs::write(round.path("photo.jpg"), PICTURE).expect("a photo");
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let room = |number: usize, random: &mut ChaCha8Rng| {
        let note: String = (0..60).map(|_| format!("{:016x}", random.next_u64())).collect();
        serde_json::json!({
            "type": "room", "number": number.to_string(), "purpose": "classroom", "length_m": "9.2",
            "width_m": "8", "note": note,
        })
        .to_string()
    };
    let many: Vec<String> = (0..160).map(|number| room(number, &mut random)).collect();
    let photo = serde_json::json!({
        "type": "room", "number": "music", "purpose": "music", "length_m": "9", "width_m": "8",
        "photos": ["photo.jpg"],
    });
    for (name, lines) in [("many.jsonl", many.join("\n")), ("last.jsonl", photo.to_string())] {
        let sheet = round.path(name);
        std::fs::write(&sheet, lines).expect("a sheet");
        let _ = device.run(&["capture", SCHOOL, "--batch", sheet.to_str().expect("a plain path")]);
        let _ = device.run(&["sync"]);
    }
}

/// Bytes of the unfinished upload that the server has acknowledged.
const UPLOADED: u64 = 6_000;

fn upload_bytes() -> Vec<u8> {
    [&[0xff, 0xd8, 0xff, 0xe0][..], &[9; 9_996]].concat()
}

/// Creates an upload of these bytes and gives its path.
fn create(url: &str, token: &str, bytes: &[u8]) -> String {
    let metadata = tus::metadata(&PhotoHash::of(bytes).to_string(), SCHOOL);
    let authorized = format!("Bearer {token}");
    let created = ureq::post(format!("{url}/api/files"))
        .header("authorization", &authorized)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", bytes.len().to_string())
        .header("upload-metadata", metadata)
        .send_empty()
        .expect("an upload");
    let place = created.headers()["location"].to_str().expect("a plain address").to_owned();
    place.strip_prefix(url).unwrap_or(&place).to_owned()
}

/// Sends these bytes to an upload that has none; the status.
fn send(url: &str, token: &str, path: &str, bytes: &[u8]) -> u16 {
    let request = ureq::patch(format!("{url}{path}"));
    let request = request.config().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
    let answer = request
        .header("authorization", format!("Bearer {token}"))
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", "0")
        .header("content-type", "application/offset+octet-stream")
        .send(bytes)
        .expect("an answer");
    answer.status().as_u16()
}

/// Sends the first part of a photo and gives the upload's path.
fn begin_upload(url: &str, token: &str) -> String {
    let bytes = upload_bytes();
    let path = create(url, token, &bytes);
    let part = usize::try_from(UPLOADED).expect("a few");
    assert_eq!(send(url, token, &path, &bytes[..part]), 204, "a part");
    path
}

/// Sends a photo whose bytes are not what was declared, which is set aside.
fn send_wrong_bytes(url: &str, token: &str) {
    let declared = [&[0xff, 0xd8, 0xff, 0xe0][..], &[5; 4_996]].concat();
    let path = create(url, token, &declared);
    assert_eq!(send(url, token, &path, &[6; 5_000]), 460, "not the declared photo");
}

/// Starts a server on a folder, looks at what people see, and sends the rest
/// of the unfinished upload; says what became of that.
fn look(folder: &Path, eyes: &Eyes) -> Result<(Shown, String), Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let config =
        Config { data: folder.to_owned(), journal_segment_bytes: SEGMENT_BYTES, ..Config::default() };
    let server =
        runtime.block_on(Server::open(config)).map_err(|error| Outcome::Refused(error.to_string()))?;
    let receipt_key = server.app().key.verifying_key().as_bytes().to_vec();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = runtime.spawn(server.run(listener, async { drop(stopped.await) }));
    let shown = see(&url, eyes, receipt_key);
    let finished = shown.as_ref().map_or_else(|_| String::new(), |shown| finish(&url, eyes, shown.upload));
    drop(stop);
    let _ = runtime.block_on(running);
    Ok((shown?, finished))
}

fn see(url: &str, eyes: &Eyes, receipt_key: Vec<u8>) -> Result<Shown, Outcome> {
    let school = get(url, eyes, &format!("/api/rounds/{ROUND}/schools/{SCHOOL}"))?;
    let school: Value = serde_json::from_slice(&school).unwrap_or_default();
    let school = school["consolidated"].clone();
    let findings = school["findings"].as_array().into_iter().flatten();
    if let Some(code) =
        findings.filter_map(|finding| finding["code"].as_str()).find(|code| *code == UNREADABLE)
    {
        return Err(Outcome::Told(code.to_owned()));
    }
    let photo = get(url, eyes, &format!("/api/photos/{}", eyes.photo))?;
    let thumbnail = thumbnail(url, eyes)?;
    let upload = offset(url, eyes);
    check_of_the_journal(url)?;
    Ok(Shown { school, photo, thumbnail, upload, receipt_key })
}

const UNREADABLE: &str = "document.unreadable";

fn get(url: &str, eyes: &Eyes, path: &str) -> Result<Vec<u8>, Outcome> {
    let request = ureq::get(format!("{url}{path}"));
    let request = request.header("authorization", format!("Bearer {}", eyes.desk));
    let request = request.config().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
    // An answer that breaks off before its length is a refusal too.
    let broken_off = |_| Outcome::Told("broken off".to_owned());
    let mut answer = request.call().map_err(broken_off)?;
    let body = answer.body_mut().read_to_vec().map_err(broken_off)?;
    if answer.status().is_success() {
        return Ok(body);
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    Err(Outcome::Told(problem["code"].as_str().unwrap_or("no code").to_owned()))
}

/// A thumbnail that is not there is made.
fn thumbnail(url: &str, eyes: &Eyes) -> Result<Vec<u8>, Outcome> {
    let (path, begun) = (format!("/api/photos/{}/thumbnail", eyes.photo), Instant::now());
    loop {
        match get(url, eyes, &path) {
            Err(Outcome::Told(code)) if code == "photo.not_derived" && begun.elapsed() < DEADLINE => {}
            other => return other,
        }
    }
}

/// A server that starts reads its whole journal, and says what it found.
fn check_of_the_journal(url: &str) -> Result<(), Outcome> {
    let begun = Instant::now();
    loop {
        let request = ureq::get(format!("{url}/health")).config().http_status_as_error(false).build();
        let health = request.call().expect("an answer").body_mut().read_to_vec().expect("a body");
        let health: Value = serde_json::from_slice(&health).expect("JSON");
        match health["journal_check"].as_str() {
            Some("unchecked") if begun.elapsed() < DEADLINE => {}
            Some("intact") => return Ok(()),
            other => return Err(Outcome::Told(format!("journal.{}", other.unwrap_or("unknown")))),
        }
    }
}

/// Sends what is missing of the unfinished upload. Gives the code of a refusal.
///
/// # Panics
/// If what becomes of it is another photo.
fn finish(url: &str, eyes: &Eyes, offset: Option<u64>) -> String {
    let Some(offset) = offset else { return String::new() };
    let bytes = upload_bytes();
    let request = ureq::patch(format!("{url}{}", eyes.upload));
    let request = request.config().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
    let mut answer = request
        .header("authorization", format!("Bearer {}", eyes.inspector))
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", offset.to_string())
        .header("content-type", "application/offset+octet-stream")
        .send(&bytes[usize::try_from(offset).expect("a few")..])
        .expect("an answer");
    if answer.status().is_success() {
        let photo = get(url, eyes, &format!("/api/photos/{}", PhotoHash::of(&bytes)));
        assert_eq!(photo.as_deref(), Ok(&bytes[..]), "what was sent is the photo");
        return String::new();
    }
    let problem = answer.body_mut().read_to_vec().expect("a body");
    let problem: Value = serde_json::from_slice(&problem).unwrap_or_default();
    problem["code"].as_str().unwrap_or("no code").to_owned()
}

/// How far the server says that the unfinished upload is.
fn offset(url: &str, eyes: &Eyes) -> Option<u64> {
    let request = ureq::head(format!("{url}{}", eyes.upload)).header("tus-resumable", "1.0.0");
    let request = request.header("authorization", format!("Bearer {}", eyes.inspector));
    let request = request.config().http_status_as_error(false).timeout_global(Some(DEADLINE)).build();
    let answer = request.call().expect("an answer");
    answer.headers().get("upload-offset")?.to_str().ok()?.parse().ok()
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Flip { byte: usize, bit: u8 },
    Cut { bytes: usize },
}

impl Damage {
    fn to(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip { byte, bit } => bytes[byte] ^= 1 << bit,
            Self::Cut { bytes: count } => bytes.truncate(bytes.len() - count),
        }
    }
}

/// In the header, the middle and the tail; by the last byte, and by many.
fn damages(length: usize, random: &mut ChaCha8Rng) -> Vec<Damage> {
    let mut below = |bound: usize| usize::try_from(random.next_u64() % bound as u64).unwrap_or(0);
    let head = below(length.min(56));
    let middle = length / 4 + below((length / 2).max(1));
    let tail = length - 1 - below(length.min(50));
    let mut drawn = Vec::new();
    for byte in [head, middle.min(length - 1), tail] {
        let bit = u8::try_from(below(8)).unwrap_or(0);
        drawn.push(Damage::Flip { byte, bit });
    }
    drawn.push(Damage::Cut { bytes: 1 });
    drawn.push(Damage::Cut { bytes: 1 + below(length) });
    drawn
}

#[test]
fn every_damaged_file_is_noticed_mended_or_refused() {
    let seed = 1;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let made = make();
    let all = folder::files(&made.folder);
    assert_some_of_everything(&all);
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in &all {
        let row = TABLE.iter().find(|row| name.starts_with(row.files));
        let row = row.unwrap_or_else(|| panic!("{name} is a file of a kind that the table does not know"));
        let bytes = std::fs::read(made.folder.join(name)).expect("a file");
        if bytes.is_empty() {
            continue;
        }
        for damage in damages(bytes.len(), &mut random) {
            let mut damaged = bytes.clone();
            damage.to(&mut damaged);
            let outcome = on_a_copy(&made, name, &damaged);
            let what = format!("seed {seed}, {name} of {} bytes, {damage:?}: {outcome:?}", bytes.len());
            let told = match outcome {
                Outcome::Same => {
                    assert!(row.may_be_silent, "{what}");
                    "as before".to_owned()
                }
                Outcome::Rebuilt => {
                    assert!(row.files.starts_with("store/index/"), "{what}");
                    "set aside and rebuilt".to_owned()
                }
                Outcome::WentBack => "an upload went back".to_owned(),
                Outcome::Refused(why) => {
                    let word = row.may_refuse.unwrap_or_else(|| panic!("{what}"));
                    assert!(why.contains(word) || why.contains("was acknowledged"), "{what}");
                    "refused to start".to_owned()
                }
                Outcome::Told(code) => {
                    assert!(row.may_tell.contains(&code.as_str()), "{what}");
                    code
                }
            };
            seen.entry(row.files).or_default().insert(told);
        }
    }
    for (kind, outcomes) in &seen {
        println!("{kind}: {outcomes:?}");
    }
}

/// Sealed and growing files of the journal, a snapshot, a photo with its
/// thumbnail, an upload.
fn assert_some_of_everything(all: &[String]) {
    for (kind, least) in [
        ("store/journal/", 3),
        ("store/index/snapshots/", 1),
        ("store/index/sled/db", 1),
        ("receipt.key", 1),
        ("photos/blobs/originals/", 1),
        ("photos/blobs/thumbnails/", 1),
        ("photos/staging/", 2),
        ("photos/aside/", 2),
    ] {
        let found = all.iter().filter(|name| name.starts_with(kind)).count();
        assert!(found >= least, "{found} of {kind} in {all:?}");
    }
}

fn on_a_copy(made: &Made, name: &str, damaged: &[u8]) -> Outcome {
    let copy = tempfile::tempdir().expect("a folder");
    folder::copy(&made.folder, copy.path());
    std::fs::write(copy.path().join(name), damaged).expect("a damaged file");
    let (shown, finished) = match look(copy.path(), &made.seen_by) {
        Ok(shown) => shown,
        Err(outcome) => return outcome,
    };
    if name.starts_with("photos/aside/") {
        let kept = std::fs::read(copy.path().join(name)).ok();
        assert!(kept.as_deref() == Some(damaged), "{name} was kept for people and is not what it was");
    }
    let went_back = name.starts_with("photos/staging/") && shown.upload != made.before.upload;
    assert!(shown.upload <= made.before.upload, "{name}: more than was sent");
    let upload = if went_back { made.before.upload } else { shown.upload };
    assert_eq!(Shown { upload, ..shown }, made.before, "{name}: something else is shown, and nobody is told");
    if !finished.is_empty() {
        Outcome::Told(finished)
    } else if went_back {
        Outcome::WentBack
    } else if copy.path().join("store/index.aside.0").exists() {
        Outcome::Rebuilt
    } else {
        Outcome::Same
    }
}
