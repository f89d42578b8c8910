//! Everything that can happen, one thing at a time, drawn from one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use duxue_client_core::{Command, CommandId, Effect, Event, LinkId, Notice, Reply, StoreInfo};
use duxue_document::{PersonId, PhotoHash};
use duxue_protocol::api::Role;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::device::Device;
use super::ledger::FIRST_MARKER;
use super::machine::{Backup, Machine};
use super::photos::Late;
use super::prototype::{INSPECTORS, prototype, role, subject};
use super::socket::Wire;

/// How often things go wrong, in per mille of the steps at which they could.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A connection breaks, seen by both ends or by one.
    pub cut: u32,
    /// A request or its answer is lost.
    pub lose: u32,
    /// A request arrives twice.
    pub repeat: u32,
    /// A device's program ends.
    pub crash: u32,
    /// A device's disk takes nothing.
    pub device_full: u32,
    /// A device's disk is put back to an earlier copy.
    pub device_restore: u32,
    /// A device's disk is copied to another device.
    pub device_copy: u32,
    /// The server's process ends.
    pub kill: u32,
    /// The power of the server goes.
    pub power: u32,
    /// The server's disk is put back to an earlier copy.
    pub restore: u32,
    /// The server's disk is nearly full for a while.
    pub server_full: u32,
    /// A write or flush of the server's disk fails, per mille of these.
    pub disk: u64,
    /// A read of the server's store fails, per mille of these.
    pub read: u64,
    /// Somebody else logs in on an inspector's device.
    pub hand_over: u32,
    /// An inspector's right to the school is withdrawn, or given back.
    pub rights: u32,
    /// How often a supervisor leaves out what is held, once nothing breaks any
    /// more; all else is let in.
    pub leave_out: u32,
    /// How much of the work is about photos; none without it.
    pub photos: u32,
}

impl Faults {
    /// Everything at once.
    pub const ALL: Self = Self {
        cut: 10,
        lose: 60,
        repeat: 30,
        crash: 4,
        device_full: 40,
        device_restore: 4,
        device_copy: 1,
        kill: 2,
        power: 2,
        restore: 4,
        server_full: 2,
        disk: 15,
        read: 4,
        hand_over: 6,
        rights: 4,
        leave_out: 150,
        photos: 0,
    };

    /// Everything, and half of the work is about photos.
    pub const PHOTOS: Self = Self { photos: 500, ..Self::ALL };
}

/// A connection, or what is left of one.
pub(super) struct Link {
    pub device: usize,
    pub life: u64,
    pub id: LinkId,
    /// Frames on their way to the server.
    pub up: VecDeque<Vec<u8>>,
    pub wire: Wire,
    /// Whether the client still believes in it.
    pub believed: bool,
    /// Whether nothing passes, though neither end knows.
    pub silent: bool,
    /// The life of the server that it was opened to.
    pub server: u64,
}

/// Devices, links and a machine.
pub struct World {
    /// All chance.
    pub rng: ChaCha8Rng,
    /// The devices' clock, in ms.
    pub now_ms: i64,
    /// The devices.
    pub devices: Vec<Device>,
    /// The server's machine.
    pub machine: Machine,
    /// How often things go wrong.
    pub faults: Faults,
    /// Steps so far.
    pub steps: u64,
    /// Markers that a device reported as saved and no disk has lost since.
    pub captured: BTreeSet<u64>,
    /// Who stated each value, saved or not.
    pub stated_by: BTreeMap<u64, PersonId>,
    /// Who has lost what was on a disk to a backup of it.
    pub put_back: BTreeSet<PersonId>,
    pub(super) links: Vec<Link>,
    pub(super) backup: Option<Backup>,
    /// The picture that a value came with.
    pub(super) pictures: BTreeMap<u64, PhotoHash>,
    /// Photos that a device reported as saved and no disk has lost since.
    pub photos: BTreeSet<PhotoHash>,
    /// Photos that some device freed on a true receipt.
    pub freed: BTreeSet<PhotoHash>,
    /// Requests that arrive once more.
    pub(super) late: VecDeque<Late>,
    next_marker: u64,
    /// What happened, to compare two runs of a seed.
    pub trace: u64,
    /// Why devices were told that they are offline, and how often.
    offline: BTreeMap<String, u64>,
    /// How often each kind of trouble came, to know that it did.
    pub troubles: BTreeMap<&'static str, u64>,
}

impl World {
    /// A world with so many devices, all online.
    #[must_use]
    pub fn new(seed: u64, devices: usize) -> Self {
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now_ms: 1_790_000_000_000,
            devices: Vec::new(),
            machine: Machine::like(prototype(), seed),
            faults: Faults::default(),
            steps: 0,
            captured: BTreeSet::new(),
            stated_by: BTreeMap::new(),
            put_back: BTreeSet::new(),
            links: Vec::new(),
            backup: None,
            pictures: BTreeMap::new(),
            photos: BTreeSet::new(),
            freed: BTreeSet::new(),
            late: VecDeque::new(),
            next_marker: FIRST_MARKER,
            trace: 0,
            offline: BTreeMap::new(),
            troubles: BTreeMap::new(),
        };
        world.machine.start(false);
        for number in 0..devices.min(INSPECTORS) {
            world.begin(number);
        }
        world
    }

    /// The same with a supervisor and a bureau at their desks.
    #[must_use]
    pub fn with_desks(seed: u64, devices: usize) -> Self {
        let mut world = Self::new(seed, devices);
        for number in INSPECTORS..prototype().identities.len() {
            world.begin(number);
        }
        world
    }

    /// The device of this identity is started for the first time.
    fn begin(&mut self, number: usize) {
        let identity = &prototype().identities[number];
        self.devices.push(Device::new(&format!("device-{number}"), identity, role(number)));
        self.wake(self.devices.len() - 1);
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.rng.next_u32() % 1000 < per_mille
    }

    /// Whether the server was put back to a backup.
    pub(super) fn was_put_back(&self) -> bool {
        self.troubles.contains_key("the server was put back to a backup")
    }

    pub(super) fn count(&mut self, trouble: &'static str) {
        *self.troubles.entry(trouble).or_default() += 1;
    }

    /// A number below the bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u32() as usize % bound.max(1)
    }

    pub(super) fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
    }

    /// The program starts on what its disk holds, and goes online. At a desk
    /// the school is opened as well.
    pub fn wake(&mut self, device: usize) {
        self.devices[device].take_packet();
        let info = StoreInfo { stamp: self.devices[device].stamp.clone(), exclusive: true };
        self.feed(device, Event::Start(info));
        self.command(device, Command::Online { wanted: true });
        if self.devices[device].role != Role::Inspector {
            self.command(device, Command::Open { subject: subject() });
        }
    }

    /// The program ends and starts again. Of the writes that were under way
    /// the first few are on the disk.
    pub fn crash(&mut self, device: usize) {
        let done = self.below(self.devices[device].storage.len() + 1);
        for _ in 0..done {
            if let Some((_, task)) = self.devices[device].storage.pop_front() {
                let _ = self.devices[device].store(task, false);
            }
        }
        for link in self.links.iter_mut().filter(|link| link.device == device) {
            link.believed = false;
        }
        self.devices[device].crash();
        self.wake(device);
    }

    /// Gives a command; its answer comes when it comes.
    pub fn command(&mut self, device: usize, command: Command) -> u64 {
        let id = self.devices[device].next_command;
        self.devices[device].next_command += 1;
        self.feed(device, Event::Command { id: CommandId(id), command });
        id
    }

    /// A marker that nobody has used.
    pub fn new_marker(&mut self) -> u64 {
        self.next_marker += 1;
        self.next_marker
    }

    /// Someone captures a value with a marker in it.
    pub fn capture(&mut self, device: usize, marker: u64, command: Command) {
        let id = self.devices[device].next_command;
        self.devices[device].captures.insert(id, marker);
        self.stated_by.insert(marker, self.devices[device].person());
        self.command(device, command);
    }

    pub(super) fn feed(&mut self, device: usize, event: Event) {
        let now_ms = self.now_ms;
        let Self { devices, rng, .. } = self;
        let effects = devices[device].engine.handle(now_ms, rng, event);
        for effect in effects {
            self.act(device, effect);
        }
        if std::mem::take(&mut self.devices[device].handed_over) {
            self.count("somebody else logged in");
            self.crash(device);
        }
    }

    fn act(&mut self, device: usize, effect: Effect) {
        let own = &mut self.devices[device];
        let life = own.life;
        match effect {
            Effect::Storage { id, task } => own.storage.push_back((id, task)),
            Effect::Connect { link, .. } => {
                let token = own.engine.identity().map(|identity| identity.token.clone());
                own.connecting = Some((link, token.unwrap_or_default()));
            }
            Effect::SendFrame { link, bytes } => {
                let to = |at: &&mut Link| at.device == device && at.life == life && at.id == link;
                if let Some(link) = self.links.iter_mut().find(to)
                    && link.believed
                {
                    link.up.push_back(bytes);
                }
            }
            Effect::Close { link } => {
                let closed = |at: &&mut Link| at.device == device && at.life == life && at.id == link;
                if let Some(link) = self.links.iter_mut().find(closed) {
                    // What was sent before may still arrive, and the server
                    // hears of the end later.
                    link.believed = false;
                }
            }
            Effect::Http { id, request } => own.outgoing.push_back((id, request)),
            Effect::SetTimer { at_ms } => own.timer = Some(at_ms),
            Effect::Reply { id, result } => {
                if let Some(marker) = own.captures.remove(&id.0)
                    && let Ok(Reply::Saved(_)) = result
                {
                    self.captured.insert(marker);
                    self.keep_picture(marker);
                } else if let Ok(Reply::Session { .. }) = result {
                    own.handed_over = true;
                }
            }
            Effect::Notice(Notice::Offline { reason, .. }) => {
                let words = [Some(reason.code.to_string()), reason.detail.map(|detail| detail.to_string())];
                for word in words.into_iter().flatten() {
                    *self.offline.entry(word).or_default() += 1;
                }
            }
            Effect::FreePhoto { photo } => self.free(device, &photo),
            Effect::Notice(_) => {}
        }
    }

    /// One thing happens. False when nothing can, not even with time.
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        if self.trouble() || self.see_to_the_server() {
            self.note(8);
            return true;
        }
        let first = self.below(6);
        for kind in (first..first + 6).map(|kind| kind % 6) {
            let worked = match kind {
                0 => self.any_device(Self::store_one),
                1 => self.any_device(Self::connect_one),
                2 => self.any_device(Self::ask_one),
                3 => self.any_device(Self::answer_one),
                4 => self.any_link(),
                _ => self.machine.flush(),
            };
            if worked {
                self.note(kind as u64);
                return true;
            }
        }
        self.note(7);
        self.pass_time()
    }

    fn any_device(&mut self, work: fn(&mut Self, usize) -> bool) -> bool {
        let (first, count) = (self.below(self.devices.len()), self.devices.len());
        (first..first + count).any(|device| work(self, device % count))
    }

    fn store_one(&mut self, device: usize) -> bool {
        let Some((id, task)) = self.devices[device].storage.pop_front() else { return false };
        let full = self.devices[device].full || self.chance(self.faults.device_full);
        let result = self.devices[device].store(task, full);
        self.feed(device, Event::Stored { id, result });
        true
    }

    /// Time goes on to the next thing that a device waits for.
    fn pass_time(&mut self) -> bool {
        let next = (0..self.devices.len()).filter_map(|d| Some((self.devices[d].timer?, d))).min();
        let Some((at, device)) = next else { return false };
        let passed = u64::try_from(at - self.now_ms).unwrap_or(0);
        self.now_ms = self.now_ms.max(at);
        self.machine.pass(Duration::from_millis(passed + 1));
        self.devices[device].timer = None;
        self.feed(device, Event::Timer);
        true
    }

    /// How often a device was told this reason for being offline.
    #[must_use]
    pub fn closed_for(&self, reason: &str) -> u64 {
        self.offline.get(reason).copied().unwrap_or(0)
    }

    /// So many steps, or until nothing can happen any more.
    pub fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            if !self.step() {
                return;
            }
        }
    }
}
