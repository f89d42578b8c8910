//! A flipped bit and a truncated tail in every file of a data folder: noticed,
//! rebuilt or refused with the reason; nothing is silently missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use duxue_document::PhotoHash;
use duxue_server::{Config, Server};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::processes::Api;
use duxue_tests::round::{ROUND, Round, password};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

const SCHOOL: &str = "9901010012";

/// What a server showed on a damaged folder.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// All as before.
    Same,
    /// It did not start, and said why.
    Refused(String),
    /// It started and says that an unfinished upload is less far.
    WentBack,
    /// It started and refuses what is damaged, with this code.
    Told(String),
}

/// What may happen to the files whose path begins so, and a word that a
/// refusal to start holds so that the operator finds the file.
struct Row {
    files: &'static str,
    may_refuse: Option<&'static str>,
    may_tell: &'static [&'static str],
}

const TABLE: [Row; 7] = [
    // The truth: never mended silently. The index proves what was acknowledged;
    // a journal that ends early is refused by number, not by file.
    Row { files: "store/journal/", may_refuse: Some("segment"), may_tell: &[] },
    // Derived: set aside and rebuilt.
    Row { files: "store/index/", may_refuse: None, may_tell: &[] },
    Row { files: "store/lock", may_refuse: None, may_tell: &[] },
    Row { files: "receipt.key", may_refuse: Some("receipt.key"), may_tell: &[] },
    Row { files: "photos/blobs/", may_refuse: None, may_tell: &["photo.damaged", "broken off"] },
    // The client is told where to go on, or to begin again ([`Outcome::WentBack`]).
    Row { files: "photos/staging/", may_refuse: None, may_tell: &[] },
    Row { files: "photos/", may_refuse: None, may_tell: &[] },
];

/// A real data folder and what its server showed.
struct Made {
    folder: PathBuf,
    tokens: Tokens,
    photo: PhotoHash,
    before: Shown,
    _round: Round,
}

/// Who looks.
#[derive(Clone)]
struct Tokens {
    desk: String,
    inspector: String,
    /// The path of the inspector's unfinished upload.
    upload: String,
}

/// What people see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    school: Value,
    photo: Vec<u8>,
    /// How far the unfinished upload is; nothing if it is to begin again.
    upload: Option<u64>,
    receipt_key: Vec<u8>,
}

fn make() -> Made {
    let mut round = Round::open();
    let desk = round.desk("supervisor", "supervisor");
    let device = round.device("inspector", &[SCHOOL]);
    let bytes = [&[0xff, 0xd8, 0xff, 0xe0][..], &[7; 20_000]].concat();
    std::fs::write(round.path("photo.jpg"), &bytes).expect("a photo");
    let sheet = round.path("sheet.jsonl");
    let room = serde_json::json!({
        "type": "room", "number": "101", "purpose": "music", "length_m": "9.2", "width_m": "8",
        "photos": ["photo.jpg"],
    });
    std::fs::write(&sheet, room.to_string()).expect("a sheet");
    let _ = device.run(&["capture", SCHOOL, "--batch", sheet.to_str().expect("a plain path")]);
    let _ = device.run(&["sync"]);
    round.inspector("uploader", &[SCHOOL]);
    let api = Api::login(&round.url(), "uploader", &password("uploader"));
    let upload = begin_upload(&round.url(), api.token());
    let tokens = Tokens { desk: desk.token().to_owned(), inspector: api.token().to_owned(), upload };
    work_until_the_index_has_all_of_it(&round);
    round.kill();
    let (folder, photo) = (round.path("server"), PhotoHash::of(&bytes));
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&folder, copy.path());
    let before = match look(copy.path(), &tokens, &photo) {
        Ok(shown) => shown,
        Err(outcome) => panic!("the folder is sound: {outcome:?}"),
    };
    assert_eq!((&before.photo, before.upload), (&bytes, Some(UPLOADED)));
    Made { folder, tokens, photo, before, _round: round }
}

/// The index follows the journal within a second, and proves that what a
/// shortened journal lacks was acknowledged. Nothing that is shown depends on
/// this work.
fn work_until_the_index_has_all_of_it(round: &Round) {
    round.inspector("somebody", &[SCHOOL]);
    let (index, since) = (round.path("server").join("store/index/sled/db"), SystemTime::now());
    let modified = || index.metadata().and_then(|file| file.modified()).expect("an index");
    while modified() <= since {
        let _ = Api::login(&round.url(), "somebody", &password("somebody"));
    }
}

/// Bytes of the unfinished upload that the server has acknowledged.
const UPLOADED: u64 = 6_000;

/// Sends the first part of a photo and gives the upload's path.
fn begin_upload(url: &str, token: &str) -> String {
    use base64::Engine;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let bytes = [&[0xff, 0xd8, 0xff, 0xe0][..], &[9; 9_996]].concat();
    let pairs =
        [("sha256", PhotoHash::of(&bytes).to_string()), ("round", ROUND.into()), ("school", SCHOOL.into())];
    let metadata = pairs.map(|(name, value)| format!("{name} {}", base64(&value))).join(",");
    let authorized = format!("Bearer {token}");
    let created = ureq::post(format!("{url}/api/files"))
        .header("authorization", &authorized)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", bytes.len().to_string())
        .header("upload-metadata", metadata)
        .send_empty()
        .expect("an upload");
    let place = created.headers()["location"].to_str().expect("a plain address").to_owned();
    let path = place.strip_prefix(url).unwrap_or(&place).to_owned();
    let part = usize::try_from(UPLOADED).expect("a few");
    ureq::patch(format!("{url}{path}"))
        .header("authorization", &authorized)
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", "0")
        .header("content-type", "application/offset+octet-stream")
        .send(&bytes[..part])
        .expect("a part");
    path
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

fn files(folder: &Path, below: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(below).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(folder, &path, found);
        } else if let Ok(name) = path.strip_prefix(folder) {
            found.push(name.to_string_lossy().into_owned());
        }
    }
    found.sort();
}

/// Starts a server on a folder and looks at what people see.
fn look(folder: &Path, tokens: &Tokens, photo: &PhotoHash) -> Result<Shown, Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let config = Config { data: folder.to_owned(), ..Config::default() };
    let server =
        runtime.block_on(Server::open(config)).map_err(|error| Outcome::Refused(error.to_string()))?;
    let receipt_key = server.app().key.verifying_key().as_bytes().to_vec();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = runtime.spawn(server.run(listener, async { drop(stopped.await) }));
    let shown = see(&format!("http://{address}"), tokens, photo);
    drop(stop);
    let _ = runtime.block_on(running);
    let (school, photo, upload) = shown?;
    Ok(Shown { school, photo, upload, receipt_key })
}

fn see(url: &str, tokens: &Tokens, photo: &PhotoHash) -> Result<(Value, Vec<u8>, Option<u64>), Outcome> {
    let get = |path: String| {
        let request = ureq::get(format!("{url}{path}"));
        let request = request.header("authorization", format!("Bearer {}", tokens.desk));
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
    };
    let school = get(format!("/api/rounds/{ROUND}/schools/{SCHOOL}"))?;
    let school: Value = serde_json::from_slice(&school).unwrap_or_default();
    Ok((school["consolidated"].clone(), get(format!("/api/photos/{photo}"))?, offset(url, tokens)))
}

/// How far the server says that the unfinished upload is.
fn offset(url: &str, tokens: &Tokens) -> Option<u64> {
    let request = ureq::head(format!("{url}{}", tokens.upload)).header("tus-resumable", "1.0.0");
    let request = request.header("authorization", format!("Bearer {}", tokens.inspector));
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

fn damages(length: usize, random: &mut ChaCha8Rng) -> Vec<Damage> {
    let mut below = |bound: usize| usize::try_from(random.next_u64() % bound as u64).unwrap_or(0);
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let bit = u8::try_from(below(8)).unwrap_or(0);
        drawn.push(Damage::Flip { byte: below(length), bit });
    }
    drawn.push(Damage::Cut { bytes: 1 + below(length.min(3_000)) });
    drawn
}

#[test]
fn every_damaged_file_is_noticed_mended_or_refused() {
    let seed = 1;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let made = make();
    let mut all = Vec::new();
    files(&made.folder, &made.folder, &mut all);
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
            let what = format!("seed {seed}, {name}, {damage:?}: {outcome:?}");
            match &outcome {
                Outcome::Same | Outcome::WentBack => {}
                Outcome::Refused(why) => {
                    let word = row.may_refuse.unwrap_or_else(|| panic!("{what}"));
                    assert!(why.contains(word) || why.contains("was acknowledged"), "{what}");
                }
                Outcome::Told(code) => assert!(row.may_tell.contains(&code.as_str()), "{what}"),
            }
            let told = match outcome {
                Outcome::Same => "as before".to_owned(),
                Outcome::WentBack => "an upload went back".to_owned(),
                Outcome::Refused(_) => "refused to start".to_owned(),
                Outcome::Told(code) => code,
            };
            seen.entry(row.files).or_default().insert(told);
        }
    }
    for (kind, outcomes) in &seen {
        println!("{kind}: {outcomes:?}");
    }
    for kind in ["store/journal/", "store/index/", "receipt.key", "photos/blobs/", "photos/staging/"] {
        assert!(seen.contains_key(kind), "there is no {kind} in {all:?}");
    }
}

fn on_a_copy(made: &Made, name: &str, damaged: &[u8]) -> Outcome {
    let copy = tempfile::tempdir().expect("a folder");
    copy_folder(&made.folder, copy.path());
    std::fs::write(copy.path().join(name), damaged).expect("a damaged file");
    match look(copy.path(), &made.tokens, &made.photo) {
        Ok(shown) if name.starts_with("photos/staging/") => {
            assert_eq!(
                shown.upload.max(made.before.upload),
                made.before.upload,
                "{name}: more than was sent"
            );
            let went_back = shown.upload != made.before.upload;
            assert_eq!(Shown { upload: made.before.upload, ..shown }, made.before, "{name}");
            if went_back { Outcome::WentBack } else { Outcome::Same }
        }
        Ok(shown) => {
            assert_eq!(shown, made.before, "{name}: something else is shown, and nobody is told");
            Outcome::Same
        }
        Err(outcome) => outcome,
    }
}
