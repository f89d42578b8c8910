//! kill -9 under load, many times over: what a socket was told of a document's
//! heads, and of an upload's offset, is there after each restart, without any
//! receipt.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use automerge::sync::{Message, State, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, ROOT};
use duxue_document::{DocumentId, DocumentKind, PhotoHash, genesis};
use duxue_protocol::wire::Message as Wire;
use duxue_tests::deadline::DEADLINE;
use duxue_tests::foreign::survey;
use duxue_tests::hostile::Attacker;
use duxue_tests::processes::{Api, Start, request};
use duxue_tests::round::{Round, password};
use duxue_tests::tus;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::json;

/// A school of the demonstration county.
const SCHOOL: &str = "9901010012";
/// How often at least, on however slow a machine.
const LEAST: usize = 4;
/// When no further round begins.
const ENOUGH: Duration = Duration::from_secs(20);
/// Bytes of a photo, and of each part of it that is sent.
const PHOTO: usize = 1 << 20;
const PART: usize = 64 << 10;

/// Which life of the server it is, so that whoever lost it can wait for the next.
#[derive(Default)]
struct Lives(Mutex<usize>, Condvar);

impl Lives {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_next(&self) {
        *self.lock() += 1;
        self.1.notify_all();
    }

    fn wait_after(&self, life: usize) {
        drop(self.1.wait_while(self.lock(), |now| *now <= life).unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the server has told.
#[derive(Default)]
struct Told {
    /// Heads of the survey, in hex.
    heads: Vec<String>,
    /// Bytes of each upload that is not finished, by its address.
    offsets: BTreeMap<String, usize>,
}

/// What the workers share.
struct Scene {
    url: String,
    address: SocketAddr,
    lives: Lives,
    stop: AtomicBool,
    told: Mutex<Told>,
}

impl Scene {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Works through one life of the server after another.
    fn through_all_lives(&self, mut work: impl FnMut() -> Option<()>) {
        while self.goes_on() {
            let life = *self.lives.lock();
            while self.goes_on() && work().is_some() {}
            if self.goes_on() {
                self.lives.wait_after(life);
            }
        }
    }

    fn request(&self, method: &str, url: &str, token: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers: Vec<(&str, &str)> =
            [("tus-resumable", "1.0.0")].iter().chain(headers).copied().collect();
        let answer = request(token, method, url, &headers, body)?;
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let offset = header("upload-offset").and_then(|offset| offset.parse().ok());
        Some((answer.status().as_u16(), offset, header("location")))
    }
}

/// Ends the workers, also where the test fails.
struct Ends<'a>(&'a Scene);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
        self.0.lives.begin_next();
    }
}

/// A status, the offset and the address that came with it; nothing if no
/// answer came.
type Answer = Option<(u16, Option<usize>, Option<String>)>;

/// Writes and hears, as any client of Automerge would, until the connection
/// ends.
async fn write(scene: &Scene, token: &str, doc: &mut Automerge, tell: &Sender<()>) -> Option<()> {
    let id: DocumentId = survey(SCHOOL).parse().ok()?;
    let (mut state, mut written) = (State::new(), 0);
    let mut socket = Attacker::try_join(scene.address, token, "writer").await?;
    while scene.goes_on() {
        written += 1;
        let mut transaction = doc.transaction();
        transaction.put(ROOT, "written", written).ok()?;
        transaction.commit();
        let ours = doc.get_heads();
        while state.their_heads.as_ref() != Some(&ours) {
            while let Some(message) = doc.generate_sync_message(&mut state) {
                socket.sync(id, message.encode()).await;
            }
            let Wire::Sync { data, .. } = socket.hear().await? else { continue };
            doc.receive_sync_message(&mut state, Message::decode(&data).ok()?).ok()?;
        }
        scene.told().heads.extend(ours.iter().map(ToString::to_string));
        let _ = tell.send(());
    }
    Some(())
}

/// Begins an upload and brings all parts of it but the last, from where the
/// server says that it is.
fn upload(scene: &Scene, token: &str, number: &mut u64, tell: &Sender<()>) -> Option<()> {
    *number += 1;
    let bytes: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(PHOTO).collect();
    let metadata = tus::metadata(&PhotoHash::of(&bytes).to_string(), SCHOOL);
    let length = PHOTO.to_string();
    let headers = [("upload-length", length.as_str()), ("upload-metadata", &metadata)];
    let created = scene.request("POST", &format!("{}/api/files", scene.url), token, &headers, &[])?;
    assert_eq!(created.0, 201);
    let place = created.2.expect("an address");
    let place = if place.starts_with('/') { format!("{}{place}", scene.url) } else { place };
    for part in (0..PHOTO / PART - 1).map(|part| part * PART) {
        let offset = part.to_string();
        let headers =
            [("upload-offset", offset.as_str()), ("content-type", "application/offset+octet-stream")];
        let (status, offset, _) =
            scene.request("PATCH", &place, token, &headers, &bytes[part..part + PART])?;
        assert_eq!((status, offset), (204, Some(part + PART)));
        scene.told().offsets.insert(place.clone(), part + PART);
        let _ = tell.send(());
    }
    scene.goes_on().then_some(())
}

/// All that was told so far is there.
fn check(scene: &Scene, api: &Api) {
    let told = scene.told();
    let answer = api.post("/receipts", &json!({ "heads": { survey(SCHOOL): told.heads } }));
    for outside in ["missing_heads", "held_heads", "left_out_heads", "set_aside_heads"] {
        assert_eq!(answer[outside], json!({}), "{outside} of {} heads that were told", told.heads.len());
    }
    for (place, offset) in &told.offsets {
        let (status, now, _) = scene.request("HEAD", place, api.token(), &[], &[]).expect("an answer");
        assert_eq!(status, 200, "{place}");
        assert!(
            now.is_some_and(|now| now >= *offset),
            "{place}: {offset} bytes were told, {now:?} are there"
        );
    }
}

#[test]
fn what_a_socket_and_an_upload_were_told_survives_every_kill() {
    // None of the uploads is finished.
    let limits = vec![("uploads_per_person", 10_000), ("upload_bytes_per_person", 1 << 40)];
    let mut round = Round::open_with(Start { limits, ..Start::default() });
    round.inspector("inspector", &[SCHOOL]);
    let api = Api::login(&round.url(), "inspector", &password("inspector"));
    let scene = Scene {
        url: round.url(),
        address: round.address(),
        lives: Lives::default(),
        stop: AtomicBool::new(false),
        told: Mutex::default(),
    };
    let (tell, news) = mpsc::channel();
    let mut random = ChaCha8Rng::seed_from_u64(2);
    std::thread::scope(|scope| {
        let (scene, token) = (&scene, api.token());
        let _ends = Ends(scene);
        let of_writer = tell.clone();
        scope.spawn(move || {
            let mut doc = genesis::document(DocumentKind::Survey, ActorId::from([7; 16]));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            scene.through_all_lives(|| runtime.block_on(write(scene, token, &mut doc, &of_writer)));
        });
        scope.spawn(move || {
            let mut number = 0;
            scene.through_all_lives(|| upload(scene, token, &mut number, &tell));
        });
        let (begun, mut kills) = (Instant::now(), 0);
        while kills < LEAST || begun.elapsed() < ENOUGH {
            news.recv_timeout(DEADLINE).expect("something is told");
            // At a moment that nobody chose.
            let until = Instant::now() + Duration::from_millis(random.next_u64() % 400);
            while news.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {}
            round.kill();
            round.start();
            check(scene, &api);
            while news.try_recv().is_ok() {}
            scene.lives.begin_next();
            kills += 1;
        }
        let told = scene.told();
        println!(
            "{kills} kills in {:?}: {} heads, {} uploads",
            begun.elapsed(),
            told.heads.len(),
            told.offsets.len()
        );
        assert!(told.heads.len() > kills && told.offsets.len() > kills);
    });
}
