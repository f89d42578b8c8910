//! The one loop around the engine: runs its effects, feeds it events.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use duxue_client_core::{
    Command, CommandError, CommandId, Effect, Engine, Event, HttpAnswer, HttpBody, HttpError, HttpRequest,
    LinkId, Notice, Reply,
};
use duxue_protocol::problem::Problem;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tokio::sync::mpsc;

use crate::network;
use crate::store::{OpenError, Store};

/// An engine with disk, network, clock and randomness.
pub struct Driver {
    engine: Engine,
    rng: ChaCha20Rng,
    store: Arc<Store>,
    http: reqwest::Client,
    insecure: bool,
    events: mpsc::UnboundedReceiver<Event>,
    sender: mpsc::UnboundedSender<Event>,
    sockets: BTreeMap<LinkId, mpsc::UnboundedSender<Vec<u8>>>,
    timer_ms: Option<i64>,
    next_command: u64,
    /// Commands that were given and not answered.
    waiting: BTreeSet<u64>,
    replies: BTreeMap<u64, Result<Reply, Problem>>,
    notices: Vec<Notice>,
}

/// Lets the engine take an event. It reads what servers send, and a library
/// under it may still panic on what nobody foresaw.
///
/// # Errors
/// What the panic said. The engine's memory is not to be used any more; what it
/// reported as saved is in the store.
fn guarded(engine: &mut Engine, now_ms: i64, rng: &mut dyn Rng, event: Event) -> Result<Vec<Effect>, String> {
    catch_unwind(AssertUnwindSafe(|| engine.handle(now_ms, rng, event))).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

impl Driver {
    /// Opens a home folder and reads it.
    ///
    /// # Errors
    /// What people should know: locked, damaged, written by a newer version.
    pub async fn open(home: &Path, insecure: bool) -> Result<Self, Problem> {
        let store = Store::open(home).map_err(|error| open_problem(&error))?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| broken(&error.to_string()))?;
        let http = network::client().map_err(|error| broken(&error.to_string()))?;
        let (sender, events) = mpsc::unbounded_channel();
        let info = store.info().map_err(|error| broken(&error.to_string()))?;
        let mut driver = Self {
            engine: Engine::new(),
            rng: ChaCha20Rng::from_seed(seed),
            store: Arc::new(store),
            http,
            insecure,
            events,
            sender,
            sockets: BTreeMap::new(),
            timer_ms: None,
            next_command: 1,
            waiting: BTreeSet::new(),
            replies: BTreeMap::new(),
            notices: Vec::new(),
        };
        driver.feed(Event::Start(info)).await;
        while !driver.engine.is_ready() {
            for notice in driver.step().await {
                if let Notice::Broken { problem } = notice {
                    return Err(problem);
                }
            }
        }
        Ok(driver)
    }

    /// The engine, for queries.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether unencrypted addresses of other machines are allowed.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// The store, for photos.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// The engine's problem.
    pub async fn run(&mut self, command: Command) -> Result<Reply, Problem> {
        let id = self.next_command;
        self.next_command += 1;
        self.waiting.insert(id);
        self.feed(Event::Command { id: CommandId(id), command }).await;
        loop {
            if let Some(result) = self.replies.remove(&id) {
                self.waiting.remove(&id);
                return result;
            }
            // Notices wait for whoever asks for them next.
            self.advance().await;
        }
    }

    /// Waits for the next event, handles it and gives the notices since the
    /// last call.
    pub async fn step(&mut self) -> Vec<Notice> {
        if self.notices.is_empty() {
            self.advance().await;
        }
        std::mem::take(&mut self.notices)
    }

    /// Waits for the next event and handles it.
    async fn advance(&mut self) {
        let event = tokio::select! {
            event = self.events.recv() => event.unwrap_or(Event::Timer),
            () = sleep_until(self.timer_ms) => {
                self.timer_ms = None;
                Event::Timer
            }
        };
        self.feed(event).await;
    }

    /// Handles one event and what follows from it.
    async fn feed(&mut self, event: Event) {
        match guarded(&mut self.engine, now_ms(), &mut self.rng, event) {
            Ok(effects) => {
                for effect in effects {
                    self.act(effect).await;
                }
            }
            Err(reason) => self.begin_again(&reason),
        }
    }

    /// Leaves a broken engine and reads the store into a new one. It stays
    /// offline until someone asks: what broke the old one may come again.
    fn begin_again(&mut self, reason: &str) {
        let problem = Problem::new(
            "client.broke_down",
            "程序内部出错，已停止本次操作；已保存的内容都在本机，请再试一次并告诉管理员",
            "an internal error ended this; what was saved is on this device: try again, and tell the operator",
        )
        .with_detail(reason);
        // Answers to the old engine must not reach the new one.
        (self.sender, self.events) = mpsc::unbounded_channel();
        self.sockets.clear();
        self.timer_ms = None;
        self.engine = Engine::new();
        let unanswered = std::mem::take(&mut self.waiting).into_iter();
        self.replies.extend(unanswered.map(|id| (id, Err(problem.clone()))));
        self.notices.push(Notice::Broken { problem });
        if let Ok(info) = self.store.info() {
            self.later(Event::Start(info));
        }
    }

    async fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Storage { id, task } => {
                let store = Arc::clone(&self.store);
                // One task at a time, in order: that is what makes a later
                // record imply an earlier one.
                let result = tokio::task::spawn_blocking(move || store.run(&task)).await;
                let result = result
                    .unwrap_or_else(|error| Err(duxue_client_core::StorageError::Failed(error.to_string())));
                self.later(Event::Stored { id, result });
            }
            Effect::Connect { link, url } => {
                if !network::is_allowed(&url.0, self.insecure) {
                    self.later(Event::Disconnected { link, reason: insecure_problem() });
                    return;
                }
                let (frames, outgoing) = mpsc::unbounded_channel();
                self.sockets.insert(link, frames);
                tokio::spawn(network::socket(link, url.0, outgoing, self.sender.clone()));
            }
            Effect::SendFrame { link, bytes } => {
                if let Some(socket) = self.sockets.get(&link) {
                    // A socket that just ended reports that by itself.
                    let _ = socket.send(bytes);
                }
            }
            Effect::Close { link } => {
                self.sockets.remove(&link);
            }
            Effect::Http { id, request } => {
                let (http, store, sender) = (self.http.clone(), Arc::clone(&self.store), self.sender.clone());
                let allowed = network::is_allowed(&request.url, self.insecure);
                tokio::spawn(async move {
                    let result = if allowed {
                        send(&http, &store, request).await
                    } else {
                        Err(HttpError::NoAnswer(insecure_problem()))
                    };
                    let _ = sender.send(Event::Http { id, result });
                });
            }
            Effect::SetTimer { at_ms } => self.timer_ms = Some(at_ms),
            Effect::FreePhoto { photo } => self.store.free_photo(&photo),
            Effect::Reply { id, result } => {
                self.replies.insert(id.0, result);
            }
            Effect::Notice(notice) => self.notices.push(notice),
        }
    }

    fn later(&self, event: Event) {
        // The receiver lives as long as the driver.
        let _ = self.sender.send(event);
    }

    /// Asks the server something that changes nothing on this device.
    ///
    /// # Errors
    /// The server's problem, or that it cannot be reached.
    pub async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: HttpBodyBytes,
    ) -> Result<Vec<u8>, Problem> {
        let identity = self.engine.identity().ok_or_else(|| CommandError::NotLoggedIn.problem())?;
        let url = format!("{}{path}", identity.server);
        if !network::is_allowed(&url, self.insecure) {
            return Err(insecure_problem());
        }
        let mut headers = vec![("authorization", format!("Bearer {}", identity.token))];
        let part = body.map(|(media, bytes)| {
            headers.push(("content-type", media.to_owned()));
            bytes
        });
        let photo = duxue_document::PhotoHash([0; 32]);
        let body = match &part {
            // The bytes are passed beside the request, as a photo's part is.
            Some(bytes) => HttpBody::Photo { photo, offset: 0, length: bytes.len() as u64 },
            None => HttpBody::Empty,
        };
        let request = HttpRequest { method, url, headers, body };
        let answer = network::send(&self.http, request, part).await.map_err(HttpError::into_problem)?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(duxue_client_core::photo::refusal(answer.status, &answer.body))
        }
    }
}

/// A body with its media type.
pub type HttpBodyBytes = Option<(&'static str, Vec<u8>)>;

async fn send(http: &reqwest::Client, store: &Store, request: HttpRequest) -> Result<HttpAnswer, HttpError> {
    let part = match &request.body {
        HttpBody::Photo { photo, offset, length } => {
            let unreadable = |error| HttpError::PhotoUnreadable(unreadable_photo(&error));
            Some(store.read_photo(photo, *offset, *length).map_err(unreadable)?)
        }
        HttpBody::Empty | HttpBody::Json(_) => None,
    };
    network::send(http, request, part).await
}

fn unreadable_photo(error: &std::io::Error) -> Problem {
    Problem::new(
        "photo.unreadable",
        "本机的照片文件读不出来：请检查磁盘，或从备份放回数据目录的 photos 中，再运行 duxue photo retry",
        "the photo's file cannot be read on this device: check the disk, or put it back into photos in the home folder from a backup, then run duxue photo retry",
    )
    .with_detail(error.to_string())
}

/// This device's clock.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn sleep_until(at_ms: Option<i64>) {
    match at_ms {
        Some(at) => tokio::time::sleep(Duration::from_millis((at - now_ms()).max(0).unsigned_abs())).await,
        None => std::future::pending().await,
    }
}

/// The address would send a token in the clear.
#[must_use]
pub fn insecure_problem() -> Problem {
    Problem::new(
        "network.insecure",
        "这个地址不加密：请用 https://，或确认是内网测试后加 --insecure",
        "this address is not encrypted: use https://, or add --insecure if you know that network",
    )
}

fn open_problem(error: &OpenError) -> Problem {
    match error {
        OpenError::Locked(path) => Problem::new(
            "store.locked",
            "另一个 duxue 正在使用这个数据目录：请等它结束，或用 --home 指定另一个目录",
            "another duxue uses this home folder: wait for it, or name another with --home",
        )
        .with_detail(path.display().to_string()),
        OpenError::Io(path, error) => Problem::new(
            "store.io",
            "数据目录无法使用：请检查权限和磁盘",
            "the home folder cannot be used: check permissions and disk",
        )
        .with_detail(format!("{}: {error}", path.display())),
        OpenError::Damaged(reason) => Problem::new(
            "store.damaged",
            "数据目录已损坏：请保留原样（其中的照片可以读出），换一个目录重新登记后联系管理员",
            "the home folder is damaged: keep it as it is (its photos can be read), enrol in another one and tell the operator",
        )
        .with_detail(reason.clone()),
    }
}

fn broken(reason: &str) -> Problem {
    Problem::new("client.environment", "运行环境有问题", "the environment does not allow this")
        .with_detail(reason)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use duxue_client_core::{CommandId, StoreInfo};

    use super::*;

    /// A source of randomness that fails as no library should.
    struct Panics;

    impl rand_core::TryRng for Panics {
        type Error = Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            panic!("out of dice")
        }
        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            panic!("out of dice")
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            panic!("out of dice")
        }
    }

    #[test]
    fn a_panic_in_the_engine_is_an_error() {
        let info = StoreInfo { stamp: "s".to_owned(), exclusive: true };
        let result = guarded(&mut Engine::new(), 0, &mut Panics, Event::Start(info));
        assert_eq!(result.unwrap_err(), "out of dice");
    }

    #[test]
    fn after_a_breakdown_commands_are_answered_and_the_store_is_read_again() {
        let home = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let draft = |text: &str| Command::SaveDraft { form: "f".to_owned(), text: text.to_owned() };
            let mut driver = Driver::open(home.path(), false).await.unwrap();
            driver.run(draft("one")).await.unwrap();
            // A command that was given and not yet answered.
            driver.waiting.insert(77);
            driver.feed(Event::Command { id: CommandId(77), command: draft("two") }).await;
            driver.begin_again("test");
            assert_eq!(driver.replies.remove(&77).unwrap().unwrap_err().code, "client.broke_down");
            assert!(matches!(driver.notices[..], [Notice::Broken { .. }]));
            driver.run(draft("three")).await.unwrap();
            assert_eq!(driver.engine().drafts()["f"], "three");
        });
    }
}
