//! The server's machine: a disk that survives, and the server that runs on it
//! until it is killed or the power goes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use automerge::Automerge;
use duxue_client_core::{HttpAnswer, HttpBody, HttpRequest};
use duxue_document::{DocumentId, DocumentKind, PersonId};
use duxue_protocol::api::{ReceiptAnswer, SchoolRow};
use duxue_protocol::receipt::Receipt;
use duxue_server::app::App;
use duxue_server::audit::By;
use duxue_server::clock::now_ms;
use duxue_server::hub::rows::HeldRow;
use duxue_server::hub::session::Admission;
use duxue_server::photos::faulty::SimulatedFiles;
use duxue_server::store::faulty::{DiskFaults, FaultyStore, SimulatedDisk, StoreFaults};
use duxue_server::store::{JournalNumber, Record, Store};
use duxue_server::transport::Stop;
use duxue_server::{Config, http};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::ledger::{Ledger, SharedLedger, lock, markers_in};
use super::photos;
use super::prototype::{self, Prototype, key_text};
use super::socket::Wire;
use super::store::SimulatedStore;

/// A disk without limits for this world.
const ROOMY: u64 = 1 << 30;

/// An answer that is not there yet.
pub type Answer = oneshot::Receiver<HttpAnswer>;

/// A copy of the journal's files and of the photos'.
pub struct Backup {
    journal: Vec<(String, Vec<u8>)>,
    photos: Vec<(String, Vec<u8>)>,
}

/// One life of the server.
struct Life {
    app: Arc<App>,
    store: Arc<SimulatedStore>,
    faulty: Arc<FaultyStore>,
    routes: BoxedFilter<(Response,)>,
    runtime: Runtime,
}

/// The machine.
pub struct Machine {
    disk: SimulatedDisk,
    /// The photos', which a machine may have on a disk of their own.
    photos: SimulatedDisk,
    /// Whether the power goes after some more changes of that.
    losing_power: bool,
    folder: tempfile::TempDir,
    seed: u64,
    life: Option<Life>,
    lives: u64,
    /// What the last life acknowledged; not known of the first.
    acknowledged: Option<Vec<Record>>,
    /// What was being flushed when the power went: it may be there or not.
    in_flight: Vec<Record>,
    /// The judge.
    pub ledger: SharedLedger,
}

impl Machine {
    /// A machine with nothing on it.
    ///
    /// # Panics
    /// If there is no room for its folder.
    #[must_use]
    pub fn empty(disk: SimulatedDisk) -> Self {
        let ledger = Arc::new(std::sync::Mutex::new(Ledger::new(&prototype::all_documents())));
        let folder = tempfile::tempdir().expect("a folder");
        let photos = SimulatedDisk::new(0);
        lock(&ledger).photos.watch(&photos);
        Self {
            disk,
            photos,
            losing_power: false,
            folder,
            seed: 0,
            life: None,
            lives: 0,
            acknowledged: None,
            in_flight: Vec::new(),
            ledger,
        }
    }

    /// A machine with the prototype's data.
    ///
    /// # Panics
    /// If its key cannot be written.
    #[must_use]
    pub fn like(prototype: &Prototype, seed: u64) -> Self {
        let mut machine = Self::empty(SimulatedDisk::new(seed));
        machine.seed = seed;
        machine.put_photos(&[]);
        for (name, bytes) in &prototype.files {
            machine.disk.put(name, bytes);
        }
        let key = machine.folder().join(duxue_server::receipts::KEY_FILE);
        std::fs::write(key, &prototype.key).expect("a key file");
        lock(&machine.ledger).server_key.clone_from(&prototype.server_key);
        machine
    }

    /// The data folder, without the journal.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the server runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// How often the server has started.
    #[must_use]
    pub fn lives(&self) -> u64 {
        self.lives
    }

    /// Starts the server, on a disk that works. `restored` says that a backup
    /// was put back: what was acknowledged later is gone by intention.
    ///
    /// # Panics
    /// If a runtime cannot be made.
    pub fn start(&mut self, restored: bool) {
        self.disk.set_faults(DiskFaults::default());
        self.photos.set_faults(DiskFaults::default());
        let expected = self.acknowledged.take().filter(|_| !restored);
        let at_least = expected.as_ref().map_or(0, Vec::len) as u64;
        let store = match SimulatedStore::open(&self.disk, JournalNumber(at_least)) {
            Ok(store) => Arc::new(store),
            Err(error) => {
                lock(&self.ledger).violation(format!("the store does not open: {error}"));
                return;
            }
        };
        let found = store.acknowledged();
        let in_flight = std::mem::take(&mut self.in_flight);
        if let Some(expected) = expected {
            self.compare(&expected, &in_flight, &found);
        }
        lock(&self.ledger).reopened(&prototype::all_documents(), &found, restored);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let faulty = Arc::new(FaultyStore::new(Arc::clone(&store) as Arc<dyn Store>, self.seed));
        let config = Config { data: self.folder().to_owned(), ..Config::default() };
        let files = Arc::new(SimulatedFiles::new(self.photos.clone(), &config.data.join("photos")));
        let started = App::start_on(&config, Arc::clone(&faulty) as Arc<dyn Store>, files, None);
        let app = runtime.block_on(started);
        match app {
            Ok(app) => {
                store.flush_at_once(false);
                self.lives += 1;
                let routes = http::routes(&app, &Stop::default());
                self.life = Some(Life { app, store, faulty, routes, runtime });
            }
            Err(error) => lock(&self.ledger).violation(format!("the server does not start: {error}")),
        }
    }

    /// The journal after a crash: what was acknowledged, then what was being
    /// flushed or nothing.
    fn compare(&self, expected: &[Record], in_flight: &[Record], found: &[Record]) {
        let rest = found.strip_prefix(expected);
        if !rest.is_some_and(|rest| rest.is_empty() || rest == in_flight) {
            lock(&self.ledger).violation(format!(
                "the journal holds {} records after a restart; {} were acknowledged and {} in flight",
                found.len(),
                expected.len(),
                in_flight.len()
            ));
        }
    }

    /// The process ends at once; what was written and not flushed is still in
    /// the page cache.
    pub fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            self.acknowledged = Some(life.store.acknowledged());
            let Life { app, store, faulty, routes, runtime } = life;
            runtime.shutdown_background();
            drop((routes, app, faulty, store));
        }
        if std::mem::take(&mut self.losing_power) {
            self.disk.crash();
            self.photos.crash();
        }
    }

    /// The power goes: of what was not flushed anything may be on the disk.
    pub fn lose_power(&mut self) {
        self.kill();
        self.disk.crash();
        self.photos.crash();
    }

    /// The power goes after so many more changes of the photos' disk; then
    /// [`Machine::lose_power`] is to follow soon.
    pub fn lose_power_of_photos(&mut self, changes: u64) {
        if self.is_up() {
            self.losing_power = true;
            self.photos.cut_power_after(changes);
        }
    }

    /// Whether the power is going.
    #[must_use]
    pub fn is_losing_power(&self) -> bool {
        self.losing_power
    }

    /// The power goes in the middle of a flush, after so many changes of the
    /// disk.
    pub fn lose_power_while_flushing(&mut self, changes: u64) {
        if let Some(life) = &self.life {
            self.disk.cut_power_after(changes);
            // A journal that has stopped writes nothing more.
            let stopped = life.store.stopped().is_some();
            if let Some(flushed) = life.store.flush() {
                match flushed.outcome {
                    Ok(_) => lock(&self.ledger).flushed(&flushed.records),
                    Err(_) if stopped => {}
                    Err(_) => self.in_flight = flushed.records,
                }
            }
        }
        self.lose_power();
    }

    /// A copy of the journal, as a backup tool makes it.
    #[must_use]
    pub fn backup(&self) -> Backup {
        use duxue_server::store::journal::Disk;
        let names = self.disk.list().unwrap_or_default();
        let segments = names.into_iter().filter(|name| !name.ends_with(".torn"));
        let journal = segments.filter_map(|name| Some((name.clone(), self.disk.bytes(&name)?))).collect();
        let names = self.photos.list().unwrap_or_default().into_iter();
        let photos = names.filter_map(|name| Some((name.clone(), self.photos.bytes(&name)?))).collect();
        Backup { journal, photos }
    }

    /// A new disk for the photos, with these files.
    fn put_photos(&mut self, files: &[(String, Vec<u8>)]) {
        self.photos = SimulatedDisk::new(self.seed);
        for (name, bytes) in files {
            self.photos.put(name, bytes);
        }
        lock(&self.ledger).photos.watch(&self.photos);
    }

    /// Puts a backup back on a new disk and starts.
    pub(super) fn restore(&mut self, backup: &Backup) {
        self.kill();
        self.disk = SimulatedDisk::new(self.seed);
        for (name, bytes) in &backup.journal {
            self.disk.put(name, bytes);
        }
        self.put_photos(&backup.photos);
        self.start(true);
    }

    /// How often the disk and the store fail from now on.
    pub fn set_faults(&self, disk: DiskFaults, store: StoreFaults) {
        self.disk.set_faults(disk);
        self.photos.set_faults(disk);
        if let Some(life) = &self.life {
            life.faulty.set_faults(store);
        }
    }

    /// Fills the disk but for some bytes, or empties it.
    pub fn leave_room(&self, bytes: Option<u64>) {
        for disk in [&self.disk, &self.photos] {
            disk.set_quota_bytes(bytes.map_or(ROOMY, |bytes| disk.used_bytes() + bytes));
        }
    }

    /// Commits that wait for a flush.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.store.waiting())
    }

    /// Flushes the first commit that waits. False if there is none.
    pub fn flush(&mut self) -> bool {
        let Some(life) = &self.life else { return false };
        let stopped = life.store.stopped().is_some();
        let Some(flushed) = life.store.flush() else { return false };
        if flushed.outcome.is_ok() {
            lock(&self.ledger).flushed(&flushed.records);
        } else if !stopped && life.store.stopped().is_some() {
            // The disk could not be brought back to what it was; the next
            // opening decides. What comes after that is not written at all.
            self.in_flight = flushed.records;
        }
        self.run();
        true
    }

    /// Whether the journal has stopped writing for good.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.store.stopped().is_some())
    }

    /// Runs the server until it can do no more.
    pub fn run(&mut self) {
        self.pass(Duration::from_millis(1));
    }

    /// Lets time pass for the server.
    pub fn pass(&mut self, time: Duration) {
        if let Some(life) = &self.life {
            // Tokio's clock stands still while anything can run, and then goes
            // to the next timer: this one comes last.
            let idle = async { tokio::time::timeout(time, std::future::pending::<()>()).await };
            let _ = life.runtime.block_on(idle);
        }
    }

    /// A client opens the socket.
    pub fn connect(&mut self, token: String, wire: &Wire) {
        let Some(life) = &self.life else { return };
        let admission = match life.app.accounts.caller(&token, now_ms()) {
            Some(caller) => Admission::Caller { caller, token },
            None => Admission::Stranger,
        };
        let (app, end) = (Arc::clone(&life.app), wire.server_end(Arc::clone(&self.ledger)));
        life.runtime.spawn(async move {
            let accounts = Arc::clone(&app.accounts);
            let progress = Arc::default();
            app.hub.session(admission, accounts, end, progress, std::future::pending()).await;
        });
        self.run();
    }

    /// A client sends a request; the answer comes when it comes. A receipt
    /// says `now_ms` instead of the time of the machine under this test, so
    /// that a seed gives the same bytes again.
    pub fn request(&mut self, request: &HttpRequest, body: Vec<u8>, now_ms: i64) -> Option<Answer> {
        let life = self.life.as_ref()?;
        let path = request.url.strip_prefix(prototype::SERVER).unwrap_or(&request.url);
        let mut call = warp::test::request().method(request.method).path(path).body(body);
        for (name, value) in &request.headers {
            call = call.header(*name, value);
        }
        let (routes, (tell, answer)) = (life.routes.clone(), oneshot::channel());
        let (ledger, path) = (Arc::clone(&self.ledger), path.to_owned());
        let app = Arc::clone(&life.app);
        life.runtime.spawn(async move {
            let reply = call.reply(&routes).await;
            let mut body = reply.body().to_vec();
            if path.ends_with("/api/receipts") && reply.status().is_success() {
                lock(&ledger).hear_receipt(&body);
                body = at_time(&body, now_ms, &app).unwrap_or(body);
            }
            let headers = reply.headers().iter();
            let headers = headers
                .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()))
                .collect();
            let status = reply.status().as_u16();
            let answer = HttpAnswer { status, headers, body };
            if let Some((id, offset)) = photos::told(&path, &answer) {
                lock(&ledger).hear_offset(&id, offset);
            }
            // The client may be gone.
            let _ = tell.send(answer);
        });
        self.run();
        Some(answer)
    }

    /// Gives a person of the prototype, by number, the right to the school, or
    /// ends it. False where the server does not run.
    pub fn assign(&mut self, number: usize, stands: bool) -> bool {
        let Some(life) = &self.life else { return false };
        let person = prototype::prototype().identities[number].person.clone();
        let assignment = prototype::assignment(person, prototype::role(number), stands);
        let round = prototype::subject().round;
        let app = Arc::clone(&life.app);
        life.runtime.spawn(async move {
            // As the route does it; a store that fails leaves all as it was.
            if app.rounds.assign(&round, assignment, &By::CommandLine, 0).await.is_ok() {
                app.hub.rights_changed(&round).await;
            }
        });
        self.run();
        true
    }

    /// What is held and nobody has decided about.
    fn held(&self) -> Vec<HeldRow> {
        let Some(life) = &self.life else { return Vec::new() };
        let held = life.runtime.block_on(life.app.hub.held(&prototype::subject().round)).unwrap_or_default();
        held.into_iter().filter(|row| row.decision.is_none()).collect()
    }

    /// A supervisor lets in everything that is held. False if there is nothing.
    pub fn admit_held(&mut self) -> bool {
        let held = self.held();
        let Some(life) = &self.life else { return false };
        for (document, _) in prototype::documents() {
            let of_document = held.iter().filter(|row| row.document == document);
            let numbers: Vec<u64> = of_document.map(|row| row.number).collect();
            life.runtime.spawn(admit(Arc::clone(&life.app), document, numbers));
        }
        self.run();
        !held.is_empty()
    }

    /// A supervisor leaves out the first item that is held: the values in it are
    /// nobody's any more.
    pub fn leave_out_held(&mut self) -> BTreeSet<u64> {
        let (Some(row), Some(life)) = (self.held().into_iter().next(), &self.life) else {
            return BTreeSet::new();
        };
        let of_row = |record: &Record| match record {
            Record::Held { document, number, bytes, .. }
                if *number == row.number && *document == row.document =>
            {
                Some(markers_in(bytes))
            }
            _ => None,
        };
        let left_out = self.records().iter().find_map(of_row).unwrap_or_default();
        let supervisor = prototype::prototype().supervisor.clone();
        let app = Arc::clone(&life.app);
        life.runtime.spawn(async move {
            let Some(name) = app.rounds.document(&row.document) else { return };
            let _ = app.hub.decide(&name, row.number, false, &supervisor).await;
        });
        self.run();
        left_out
    }

    /// The same in words.
    #[must_use]
    pub fn held_words(&self) -> Vec<String> {
        self.held().iter().map(|row| format!("held: {row:?}")).collect()
    }

    /// Whether something is held and nobody has decided about it.
    #[must_use]
    pub fn has_held(&self) -> bool {
        !self.held().is_empty()
    }

    /// What a restart would find.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        match &self.life {
            Some(life) => life.store.acknowledged(),
            None => self.acknowledged.clone().unwrap_or_default(),
        }
    }

    /// A document as the server has it.
    #[must_use]
    pub fn document(&self, id: &DocumentId) -> Option<Automerge> {
        let life = self.life.as_ref()?;
        let name = life.app.rounds.document(id)?;
        let shared = life.runtime.block_on(life.app.hub.read(&name)).ok()?;
        let document = shared.read().clone();
        Some(document)
    }

    /// How many photos the list of schools says that the survey speaks of, and
    /// how many of these are here.
    pub fn photos_shown(&mut self, now_ms: i64) -> Option<(usize, usize)> {
        let token = &prototype::prototype().identities[0].token;
        let request = HttpRequest {
            method: "GET",
            url: format!("/api/rounds/{}/schools", prototype::subject().round),
            headers: vec![("authorization", format!("Bearer {token}"))],
            body: HttpBody::Empty,
        };
        let mut answer = self.request(&request, Vec::new(), now_ms)?;
        let rows: Vec<SchoolRow> = serde_json::from_slice(&answer.try_recv().ok()?.body).ok()?;
        let row = rows.first()?;
        Some((usize::try_from(row.photos).ok()?, usize::try_from(row.photos_here).ok()?))
    }

    /// Where those are that everyone keeps, as devices say it: heads by document.
    #[must_use]
    pub fn heads(&self) -> Option<BTreeMap<DocumentId, BTreeSet<String>>> {
        let life = self.life.as_ref()?;
        let of = |id: &DocumentId| {
            let shared = life.runtime.block_on(life.app.hub.read(&life.app.rounds.document(id)?)).ok()?;
            let heads = shared.read().get_heads();
            Some(heads.iter().map(ToString::to_string).collect())
        };
        prototype::documents().iter().map(|(id, _)| Some((*id, of(id)?))).collect()
    }

    /// Whose each actor is to the server, by its hex.
    #[must_use]
    pub fn actors(&self) -> BTreeMap<String, PersonId> {
        let Some(life) = &self.life else { return BTreeMap::new() };
        let names = prototype::documents().into_iter().filter_map(|(id, _)| life.app.rounds.document(&id));
        let actors = life.runtime.block_on(life.app.actors(names)).unwrap_or_default();
        actors.into_iter().map(|(actor, binding)| (actor, binding.person)).collect()
    }

    /// The documents that everyone keeps.
    #[must_use]
    pub fn documents(&self) -> Vec<(DocumentKind, Option<Automerge>)> {
        prototype::documents().iter().map(|(id, kind)| (*kind, self.document(id))).collect()
    }

    /// The key that receipts are checked with.
    #[must_use]
    pub fn server_key(&self) -> String {
        let life = self.life.as_ref();
        life.map(|life| key_text(life.app.key.verifying_key().as_bytes())).unwrap_or_default()
    }

    /// Does something to the server while commits are flushed at once.
    ///
    /// # Panics
    /// If the server does not run.
    pub fn setting_up<T>(
        &mut self,
        work: impl for<'a> FnOnce(&'a App) -> Pin<Box<dyn Future<Output = T> + 'a>>,
    ) -> T {
        let life = self.life.as_ref().expect("a running server");
        life.store.flush_at_once(true);
        let done = life.runtime.block_on(work(&life.app));
        life.store.flush_at_once(false);
        done
    }
}

/// A supervisor lets in what is held of a document.
async fn admit(app: Arc<App>, document: DocumentId, numbers: Vec<u64>) {
    let Some(name) = app.rounds.document(&document) else { return };
    let supervisor = &prototype::prototype().supervisor;
    let mut waiting = Vec::new();
    for number in numbers {
        // One may have come in with another, or was set aside for it.
        let Err(refused) = app.hub.decide(&name, number, true, supervisor).await else { continue };
        if refused.problem.code == "held.waits" {
            waiting.push(number);
        }
    }
    // What waits for each other comes in by one decision.
    if !waiting.is_empty() {
        let _ = app.hub.decide_together(&name, waiting, true, supervisor).await;
    }
}

/// The same receipt as if it had been signed at this time.
fn at_time(body: &[u8], now_ms: i64, app: &App) -> Option<Vec<u8>> {
    let mut answer: ReceiptAnswer = serde_json::from_slice(body).ok()?;
    let server_key = key_text(app.key.verifying_key().as_bytes());
    let mut statement = answer.receipt.verify(&server_key).ok()?;
    statement.server_time_ms = now_ms;
    answer.receipt = Receipt::sign(&statement, &app.key).ok()?;
    serde_json::to_vec(&answer).ok()
}
