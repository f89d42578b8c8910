//! A network of engines in one process: simulated disks, a small server, and a
//! schedule that drops, repeats, reorders, cuts, fills disks and crashes, all
//! from one seed.
#![allow(dead_code, reason = "each test file uses its part")]

mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use automerge::ChangeHash;
use duxue_client_core::error::unreachable;
use duxue_client_core::identity::{Identity, hex};
use duxue_client_core::{
    Command, CommandId, Effect, Engine, Event, HttpBody, HttpError, HttpId, HttpRequest, LinkId, NewPhoto,
    Notice, Reply, StorageAnswer, StorageError, StorageId, StorageTask, StoreInfo, Subject,
};
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_document::{DocumentKind, OpId, PhotoHash, genesis};
use duxue_protocol::api::{PacketSchool, Role, RoundSettings, RoundSummary, WorkPacket};
use duxue_protocol::problem::Problem;
use duxue_protocol::scan::{self, ScanLimits};
use duxue_protocol::wire::{self, Limits, Message};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

#[allow(unused_imports, reason = "each test file uses its part")]
pub use server::{Fate, Server};

/// How often things go wrong, in per mille of the steps at which they could.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub cut: u32,
    pub drop: u32,
    pub repeat: u32,
    pub reorder: u32,
    pub lose_request: u32,
    pub lose_answer: u32,
    pub disk_full: u32,
    pub crash: u32,
}

impl Faults {
    pub const ALL: Self = Self {
        cut: 8,
        drop: 15,
        repeat: 15,
        reorder: 15,
        lose_request: 40,
        lose_answer: 60,
        disk_full: 40,
        crash: 8,
    };
}

/// A device: an engine, and a disk that survives it.
pub struct Device {
    pub name: String,
    pub engine: Engine,
    pub disk: BTreeMap<String, Vec<u8>>,
    /// Keys of the disk whose bytes cannot be read.
    pub unreadable: BTreeSet<String>,
    /// The changes that are on the disk, or were.
    durable: BTreeSet<ChangeHash>,
    pub photos: BTreeMap<PhotoHash, Vec<u8>>,
    pub freed: BTreeSet<PhotoHash>,
    pub stamp: String,
    pub full: bool,
    storage: VecDeque<(StorageId, StorageTask)>,
    pub http: VecDeque<(HttpId, HttpRequest)>,
    connecting: Option<LinkId>,
    link: Option<LinkId>,
    /// Each crash is a new life; frames of an earlier one reach nobody.
    life: u64,
    timer: Option<i64>,
    pub replies: BTreeMap<u64, Result<Reply, Problem>>,
    pub notices: Vec<Notice>,
    next_command: u64,
}

/// The socket between a device and the server.
pub type Socket = (usize, u64, LinkId);

pub struct World {
    pub rng: ChaCha8Rng,
    pub now_ms: i64,
    pub devices: Vec<Device>,
    pub server: Server,
    pub faults: Faults,
    to_server: VecDeque<(Socket, Vec<u8>)>,
    to_device: VecDeque<(Socket, Vec<u8>)>,
    /// Whether sockets bring nothing to the devices for now, as slow ones do.
    pub stalled: bool,
    /// Connections that were opened.
    pub connections: usize,
    /// Every claim that a device reported as saved.
    pub saved: BTreeSet<OpId>,
}

pub fn subject() -> Subject {
    Subject { round: "round-1".parse().unwrap(), school: "3402070001".parse().unwrap() }
}

pub fn school() -> School {
    School {
        id: subject().school,
        name: "镜湖小学".to_owned(),
        jurisdiction: "340207".parse().unwrap(),
        kind: SchoolKind::Primary,
        parent: None,
        attached: BTreeSet::new(),
        setting: Setting::Urban,
        sponsor: 4,
        built_year: None,
        boarding: false,
        dense_centre: false,
        place: None,
    }
}

pub fn packet(roles: &[Role]) -> WorkPacket {
    WorkPacket {
        round: RoundSummary {
            id: subject().round,
            name: "试验".to_owned(),
            jurisdiction: "340207".parse().unwrap(),
            standard: "cn-youzhi-2017".to_owned(),
            overlays: Vec::new(),
            settings: RoundSettings::default(),
            schools: 1,
        },
        roles: roles.iter().copied().collect(),
        schools: vec![PacketSchool { school: school(), declared: Declared::default(), assigned: true }],
        county: None,
        standards: vec![duxue_standards::builtin::text("cn-youzhi-2017").unwrap().to_owned()],
        actors: BTreeMap::new(),
        server_time_ms: 0,
        journal: 0,
    }
}

/// For what is our own.
fn wide() -> ScanLimits {
    let ops = 1 << 30;
    ScanLimits { ops, changes: ops, inflated_bytes: ops, replaced: ops, ..ScanLimits::default() }
}

impl Device {
    /// Notes the changes of a chunk that is on the disk now.
    fn keep(&mut self, key: &str, bytes: &[u8]) {
        let chunks = key.starts_with("doc/").then(|| scan::scan_chunks(bytes, &wide(), &genesis::reserved));
        // What was damaged on purpose holds nothing.
        let changes = chunks.and_then(Result::ok).into_iter().flat_map(|report| report.changes);
        self.durable.extend(changes.map(|change| change.hash));
    }

    /// The law: a change, and that it is here, is told only when it is on disk.
    fn check_durable(&self, frame: &[u8]) {
        let Ok(Message::Sync { data, .. }) = wire::decode(frame, &Limits::default()) else { return };
        let report = scan::scan_sync_message(&data, &ScanLimits::default(), &genesis::reserved).unwrap();
        let told = report.heads.into_iter().chain(report.changes.into_iter().map(|change| change.hash));
        for hash in told {
            let first = DocumentKind::ALL.into_iter().any(|kind| genesis::hash(kind) == hash.0);
            assert!(first || self.durable.contains(&hash), "{hash} left {} before the flush", self.name);
        }
    }
}

impl World {
    pub fn new(seed: u64, devices: usize) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now_ms: 1_790_000_000_000,
            devices: Vec::new(),
            server: Server::new(),
            faults: Faults::default(),
            to_server: VecDeque::new(),
            to_device: VecDeque::new(),
            stalled: false,
            connections: 0,
            saved: BTreeSet::new(),
        };
        for number in 0..devices {
            world.add_device(&format!("device-{number}"), &[Role::Inspector]);
        }
        world
    }

    /// A device that was enrolled and has its packet.
    pub fn add_device(&mut self, name: &str, roles: &[Role]) -> usize {
        let identity = Identity {
            server: "https://server.test".to_owned(),
            token: "token".to_owned(),
            person: format!("person-{name}").parse().unwrap(),
            device: Some(name.parse().unwrap()),
            expires_ms: i64::MAX,
            server_key: self.server.public_key(),
            clock_offset_ms: 0,
            device_secret: Some(hex(&[9; 32])),
        };
        let disk = BTreeMap::from([
            ("identity".to_owned(), serde_json::to_vec(&identity).unwrap()),
            ("packet/round-1".to_owned(), serde_json::to_vec(&packet(roles)).unwrap()),
        ]);
        self.devices.push(Device {
            name: name.to_owned(),
            engine: Engine::new(),
            disk,
            unreadable: BTreeSet::new(),
            durable: BTreeSet::new(),
            photos: BTreeMap::new(),
            freed: BTreeSet::new(),
            stamp: name.to_owned(),
            full: false,
            storage: VecDeque::new(),
            http: VecDeque::new(),
            connecting: None,
            link: None,
            life: 0,
            timer: None,
            replies: BTreeMap::new(),
            notices: Vec::new(),
            next_command: 1,
        });
        let device = self.devices.len() - 1;
        self.start(device);
        device
    }

    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.rng.next_u32() % 1000 < per_mille
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u32() as usize % bound.max(1)
    }

    fn start(&mut self, device: usize) {
        let own = &mut self.devices[device];
        let rows: Vec<(String, Vec<u8>)> =
            own.disk.iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
        rows.iter().for_each(|(key, bytes)| own.keep(key, bytes));
        let info = StoreInfo { stamp: self.devices[device].stamp.clone(), exclusive: true };
        self.feed(device, Event::Start(info));
    }

    /// The program ends at once: what was not on disk is gone.
    pub fn crash(&mut self, device: usize) {
        self.hang_up(device);
        let lost = &mut self.devices[device];
        lost.engine = Engine::new();
        lost.life += 1;
        lost.storage.clear();
        lost.http.clear();
        lost.connecting = None;
        lost.timer = None;
        self.start(device);
    }

    fn hang_up(&mut self, device: usize) {
        let life = self.devices[device].life;
        if let Some(link) = self.devices[device].link.take() {
            self.server.closed((device, life, link));
        }
        self.to_server.retain(|((owner, ..), _)| *owner != device);
        self.to_device.retain(|((owner, ..), _)| *owner != device);
    }

    /// Gives a command; its reply comes when it comes.
    pub fn command(&mut self, device: usize, command: Command) -> u64 {
        let id = self.devices[device].next_command;
        self.devices[device].next_command += 1;
        self.feed(device, Event::Command { id: CommandId(id), command });
        id
    }

    /// Gives a command and works until its reply is there.
    pub fn done(&mut self, device: usize, command: Command) -> Result<Reply, Problem> {
        let id = self.command(device, command);
        for _ in 0..10_000 {
            if let Some(reply) = self.devices[device].replies.remove(&id) {
                return reply;
            }
            self.step();
        }
        panic!("no reply from {}", self.devices[device].name);
    }

    fn feed(&mut self, device: usize, event: Event) {
        let now_ms = self.now_ms;
        let Self { devices, rng, .. } = self;
        let effects = devices[device].engine.handle(now_ms, rng, event);
        for effect in effects {
            self.act(device, effect);
        }
    }

    /// A frame from nowhere, on the open connection.
    pub fn deliver(&mut self, device: usize, bytes: Vec<u8>) {
        let link = self.devices[device].link.unwrap();
        self.feed(device, Event::Frame { link, bytes });
    }

    fn act(&mut self, device: usize, effect: Effect) {
        let own = &mut self.devices[device];
        match effect {
            Effect::Storage { id, task } => own.storage.push_back((id, task)),
            Effect::Connect { link, .. } => own.connecting = Some(link),
            Effect::SendFrame { link, bytes } => {
                own.check_durable(&bytes);
                if own.link == Some(link) {
                    let socket = (device, own.life, link);
                    self.to_server.push_back((socket, bytes));
                }
            }
            Effect::Close { link } => {
                if own.link == Some(link) {
                    self.hang_up(device);
                }
            }
            Effect::Http { id, request } => own.http.push_back((id, request)),
            Effect::SetTimer { at_ms } => own.timer = Some(at_ms),
            Effect::FreePhoto { photo } => {
                // The law: what leaves the device is on the server.
                assert!(self.server.photos.contains_key(&photo), "freed without being on the server");
                own.photos.remove(&photo);
                own.freed.insert(photo);
            }
            Effect::Reply { id, result } => {
                if let Ok(Reply::Saved(saved)) = &result {
                    self.saved.extend(saved.claims.iter().filter_map(|(_, op)| op.clone()));
                }
                own.replies.insert(id.0, result);
            }
            Effect::Notice(notice) => own.notices.push(notice),
        }
    }

    /// One thing happens somewhere. When nothing can, time passes to the next
    /// timer. False when there is none either.
    pub fn step(&mut self) -> bool {
        let device = self.below(self.devices.len());
        if self.chance(self.faults.crash) {
            self.crash(device);
            return true;
        }
        if self.chance(self.faults.cut) && self.devices[device].link.is_some() {
            self.cut(device);
            return true;
        }
        self.work() || self.pass_time()
    }

    /// One thing happens somewhere, at this very time. False when nothing can.
    pub fn work(&mut self) -> bool {
        // Begin at a random kind of work and a random device, so that every
        // order is possible.
        let (first, kinds) = (self.below(5), 5);
        for kind in (first..first + kinds).map(|kind| kind % kinds) {
            let worked = match kind {
                0 => self.any_device(Self::store_one),
                1 => self.any_device(Self::connect_one),
                2 => self.any_device(Self::answer_one),
                3 => self.carry_to_server(),
                _ => self.carry_to_device(),
            };
            if worked {
                return true;
            }
        }
        false
    }

    /// Sets every clock and lets the timers that were set before fire after
    /// their wait, as those of real shells do.
    pub fn set_clock(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        for device in 0..self.devices.len() {
            if self.devices[device].timer.take().is_some() {
                self.feed(device, Event::Timer);
            }
        }
        while self.work() {}
    }

    fn any_device(&mut self, work: fn(&mut Self, usize) -> bool) -> bool {
        let first = self.below(self.devices.len());
        let count = self.devices.len();
        (first..first + count).any(|device| work(self, device % count))
    }

    fn pass_time(&mut self) -> bool {
        let next = (0..self.devices.len()).filter_map(|d| Some((self.devices[d].timer?, d))).min();
        let Some((at, device)) = next else { return false };
        self.now_ms = self.now_ms.max(at);
        self.devices[device].timer = None;
        self.feed(device, Event::Timer);
        true
    }

    fn cut(&mut self, device: usize) {
        let Some(link) = self.devices[device].link else { return };
        self.hang_up(device);
        self.feed(device, Event::Disconnected { link, reason: unreachable("cut") });
    }

    /// A supervisor lets in what is held.
    pub fn let_in(&mut self) {
        let frames = self.server.let_in();
        self.to_device.extend(frames);
    }

    pub fn store_one(&mut self, device: usize) -> bool {
        let full = self.devices[device].full || self.chance(self.faults.disk_full);
        let own = &mut self.devices[device];
        let Some((id, task)) = own.storage.pop_front() else { return false };
        let result = match task {
            StorageTask::LoadRange { prefix } => {
                let rows = own.disk.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
                let rows = rows.map(|(key, value)| (key.clone(), value.clone()));
                let (lost, rows): (Vec<_>, _) = rows.partition(|(key, _)| own.unreadable.contains(key));
                Ok(StorageAnswer::Range { rows, unreadable: lost.into_iter().map(|(key, _)| key).collect() })
            }
            StorageTask::Write { puts, .. } if full && !puts.is_empty() => Err(StorageError::Full),
            StorageTask::Write { puts, deletes } => {
                puts.iter().for_each(|(key, bytes)| own.keep(key, bytes));
                own.disk.extend(puts);
                for key in deletes {
                    own.disk.remove(&key);
                }
                Ok(StorageAnswer::Written)
            }
        };
        self.feed(device, Event::Stored { id, result });
        true
    }

    fn connect_one(&mut self, device: usize) -> bool {
        let Some(link) = self.devices[device].connecting.take() else { return false };
        if !self.server.up || self.chance(self.faults.lose_answer) {
            self.feed(device, Event::Disconnected { link, reason: unreachable("refused") });
            return true;
        }
        self.hang_up(device);
        self.connections += 1;
        self.devices[device].link = Some(link);
        self.server.opened((device, self.devices[device].life, link));
        self.feed(device, Event::Connected { link });
        true
    }

    pub fn answer_one(&mut self, device: usize) -> bool {
        let Some((id, request)) = self.devices[device].http.pop_front() else { return false };
        let part = match &request.body {
            HttpBody::Photo { photo, .. } if !self.devices[device].photos.contains_key(photo) => {
                let problem = Problem::new("photo.unreadable", "读不出来", "cannot be read");
                self.feed(device, Event::Http { id, result: Err(HttpError::PhotoUnreadable(problem)) });
                return true;
            }
            HttpBody::Photo { photo, offset, length } => {
                let bytes = &self.devices[device].photos[photo];
                let (from, to) =
                    (usize::try_from(*offset).unwrap(), usize::try_from(offset + length).unwrap());
                // A connection that breaks may have brought a part of the part.
                bytes[from..to].to_vec()
            }
            _ => Vec::new(),
        };
        if self.chance(self.faults.lose_request) {
            self.feed(device, Event::Http { id, result: Err(HttpError::NoAnswer(unreachable("dropped"))) });
            return true;
        }
        let lost = self.chance(self.faults.lose_answer);
        let arrives = if lost { self.below(part.len() + 1) } else { part.len() };
        let result = if self.server.up {
            let answer = self.server.http(&request, &part[..arrives], self.now_ms);
            if lost { Err(HttpError::NoAnswer(unreachable("lost"))) } else { Ok(answer) }
        } else {
            Err(HttpError::NoAnswer(unreachable("refused")))
        };
        self.feed(device, Event::Http { id, result });
        true
    }

    fn carry_to_server(&mut self) -> bool {
        let Some((socket, bytes)) = self.next_frame(true) else { return false };
        for (to, answer) in self.server.frame(socket, &bytes) {
            self.to_device.push_back((to, answer));
        }
        // What was sent before it closes still arrives.
        if let Some((device, _, link)) = self.server.closing.take() {
            while self.carry_to_device() {}
            if self.devices[device].link == Some(link) {
                self.hang_up(device);
                self.feed(device, Event::Disconnected { link, reason: unreachable("closed") });
            }
        }
        true
    }

    fn carry_to_device(&mut self) -> bool {
        if self.stalled {
            return false;
        }
        let Some(((device, life, link), bytes)) = self.next_frame(false) else { return false };
        if self.devices[device].life == life {
            self.feed(device, Event::Frame { link, bytes });
        }
        true
    }

    /// The next frame, unless it is dropped; sometimes it comes twice or late.
    fn next_frame(&mut self, to_server: bool) -> Option<(Socket, Vec<u8>)> {
        let (drop, repeat, reorder) = (
            self.chance(self.faults.drop),
            self.chance(self.faults.repeat),
            self.chance(self.faults.reorder),
        );
        let queue = if to_server { &mut self.to_server } else { &mut self.to_device };
        if reorder {
            queue.rotate_left(1.min(queue.len()));
        }
        let frame = queue.pop_front()?;
        if repeat {
            queue.push_back(frame.clone());
        }
        if drop { queue.pop_front() } else { Some(frame) }
    }

    pub fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.step() {
                return;
            }
        }
    }

    /// All faults end; everyone goes online and works until nothing waits.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
        self.server.up = true;
        for device in 0..self.devices.len() {
            self.devices[device].full = false;
            // A fault may have left a connection that is dead in one direction.
            self.cut(device);
            self.command(device, Command::Online { wanted: true });
        }
        for _ in 0..60_000 {
            if self.is_quiet() {
                return;
            }
            if !self.step() {
                break;
            }
        }
        for device in &self.devices {
            println!("{}: {:?} {:?}", device.name, device.engine.link_view(), device.engine.outbox());
        }
        assert!(self.is_quiet(), "the world did not come to rest");
    }

    fn is_quiet(&self) -> bool {
        let idle = |device: &Device| {
            device.storage.is_empty() && device.http.is_empty() && device.engine.outbox().items.is_empty()
        };
        let surveys = self.server.heads();
        self.devices.iter().all(|device| {
            idle(device)
                && device.engine.survey(&subject()).is_ok_and(|view| {
                    let county = device.engine.county(&subject().round).map(|county| county.heads);
                    let mut heads = view.heads.into_iter().chain(county.unwrap_or_default());
                    heads.all(|(id, heads)| surveys.get(&id).is_none_or(|known| *known == heads))
                })
        }) && self.to_server.is_empty()
            && self.to_device.is_empty()
    }

    /// A photo on the device's disk, as its shell would store it.
    pub fn take_photo(&mut self, device: usize, length: usize) -> NewPhoto {
        let mut bytes = vec![0; length];
        self.rng.fill_bytes(&mut bytes);
        let photo = PhotoHash::of(&bytes);
        self.devices[device].photos.insert(photo, bytes);
        NewPhoto::new(photo, length as u64, "image/jpeg".to_owned())
    }
}
