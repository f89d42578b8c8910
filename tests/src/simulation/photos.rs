//! Photos: inspectors take some, devices upload them through links that cut
//! and repeat, and the judge looks at the server's disk for what was promised.

use std::collections::{BTreeMap, BTreeSet};

use duxue_client_core::views::{OutboxWhat, Waiting};
use duxue_client_core::{Command, HttpAnswer, HttpBody, HttpError, HttpRequest, NewPhoto, Statement};
use duxue_document::{EntryPath, PhotoHash};
use duxue_protocol::problem::Problem;
use duxue_server::store::Record;
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::journal::Disk as _;

use super::device::{Device, Disk};
use super::ledger::lock;
use super::prototype::subject;
use super::work;
use super::world::{Link, World};

/// Where a device keeps a photo's bytes: out of the engine's sight, as the
/// shells do.
const BYTES: &str = "~bytes/";
/// The most late requests that are on their way.
const LATE_MAX: usize = 6;
/// Where an upload answers.
const FILES: &str = "/api/files";

const UNREADABLE: Problem = Problem::new("photo.unreadable", "照片无法读取", "the photo cannot be read");

/// A request that arrives once more, when nobody waits for its answer.
pub(super) struct Late {
    request: HttpRequest,
    body: Vec<u8>,
}

/// A picture with a marker in it, as far as anyone looks: of a length between
/// 20 and some thousand bytes, so that some go over several sectors.
#[must_use]
pub fn picture(marker: u64) -> Vec<u8> {
    let mut bytes = [&[0xff, 0xd8, 0xff, 0xe0][..], &marker.to_be_bytes()].concat();
    let mut state = marker;
    let length = 20 + marker.wrapping_mul(0x9e37_79b9_7f4a_7c15) % [40, 600, 3_000][marker as usize % 3];
    while (bytes.len() as u64) < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes
}

fn key(photo: &PhotoHash) -> String {
    format!("{BYTES}{photo}")
}

/// The photos on a device's disk.
fn photos_of(disk: &Disk) -> impl Iterator<Item = PhotoHash> {
    let rows = disk.range(BYTES.to_owned()..).map_while(|(key, _)| key.strip_prefix(BYTES));
    rows.filter_map(|name| name.parse().ok())
}

/// What the judge knows of photos.
#[derive(Default)]
pub struct PhotoLedger {
    disk: Option<SimulatedDisk>,
    /// Photos whose row is in the journal.
    rows: BTreeSet<PhotoHash>,
    /// What the server said it has, and has not been put back behind since.
    promised: BTreeSet<PhotoHash>,
    /// What a receipt has ever covered.
    receipted: BTreeSet<PhotoHash>,
    taken: BTreeMap<PhotoHash, Vec<u8>>,
    /// Uploads whose unflushed bytes a power cut has torn: their offset was
    /// never told, and the hash of the whole tells.
    torn: BTreeSet<String>,
    offsets: usize,
}

impl std::fmt::Debug for PhotoLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} photos promised", self.promised.len())
    }
}

impl PhotoLedger {
    /// Looks at another disk from now on.
    pub fn watch(&mut self, disk: &SimulatedDisk) {
        self.disk = Some(disk.clone());
    }

    /// Someone takes a picture.
    pub fn took(&mut self, photo: PhotoHash, bytes: Vec<u8>) {
        self.taken.insert(photo, bytes);
    }

    /// Takes in a record that is on the disk now.
    pub fn flushed(&mut self, record: &Record) {
        let Record::Row { table, key, value: Some(_) } = record else { return };
        if table == "photos"
            && let Ok(hash) = <[u8; 32]>::try_from(key.as_slice())
        {
            self.rows.insert(PhotoHash(hash));
        }
    }

    /// Begins to read the journal afresh.
    pub fn forget_rows(&mut self) {
        self.rows.clear();
    }

    /// Whether the photo would be here after a power cut: row and bytes.
    #[must_use]
    pub fn is_safe(&self, photo: &PhotoHash) -> bool {
        let name = photo.to_string();
        let path = format!("blobs/originals/{}/{name}", &name[..2]);
        let bytes = self.disk.as_ref().and_then(|disk| disk.flushed(&path));
        self.rows.contains(photo) && bytes.is_some_and(|bytes| PhotoHash::of(&bytes) == *photo)
    }

    /// Looks at the disk after a restart. Gives what is wrong.
    pub fn reopened(&mut self, restored: bool) -> Vec<String> {
        let safe: BTreeSet<PhotoHash> =
            self.promised.iter().filter(|photo| self.is_safe(photo)).copied().collect();
        let mut wrong = self.misnamed();
        if restored {
            self.promised = safe;
        } else {
            let lost = self.promised.difference(&safe);
            wrong.extend(lost.map(|photo| format!("the photo {photo} was acknowledged and is lost")));
        }
        self.torn = self.torn_uploads();
        wrong
    }

    /// Photos under a name that is not that of their bytes.
    #[must_use]
    pub fn misnamed(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, bytes) in self.files("blobs/originals/") {
            let hash = name.rsplit('/').next().and_then(|name| name.parse().ok());
            if hash != Some(PhotoHash::of(&bytes)) && !name.ends_with(".staged") {
                wrong.push(format!("the photo {name} has the bytes of another"));
            }
        }
        wrong
    }

    /// Uploads that hold what is not of their photo.
    fn torn_uploads(&self) -> BTreeSet<String> {
        let parts = self.files("staging/").into_iter();
        let parts = parts.filter_map(|(name, bytes)| Some((id_of(&name)?.to_owned(), bytes)));
        parts.filter(|(id, bytes)| self.differs(id, bytes)).map(|(id, _)| id).collect()
    }

    fn files(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let Some(disk) = &self.disk else { return Vec::new() };
        let names = disk.list().unwrap_or_default().into_iter().filter(|name| name.starts_with(prefix));
        names.filter_map(|name| Some((name.clone(), disk.bytes(&name)?))).collect()
    }

    /// The photo that an upload is of, as its description on the disk says.
    fn photo_of(&self, id: &str) -> Option<PhotoHash> {
        let bytes = self.disk.as_ref()?.bytes(&format!("staging/{id}.json"))?;
        // A checksum follows in a line of its own.
        let json = bytes.split(|byte| *byte == b'\n').next()?;
        let info: serde_json::Value = serde_json::from_slice(json).ok()?;
        info.get("hash")?.as_str()?.parse().ok()
    }

    fn differs(&self, id: &str, bytes: &[u8]) -> bool {
        let photo = self.photo_of(id).and_then(|photo| self.taken.get(&photo));
        photo.is_none_or(|photo| !photo.starts_with(bytes))
    }

    /// The server told how far an upload is. Gives what is wrong.
    pub fn hear_offset(&mut self, id: &str, offset: u64) -> Option<String> {
        self.offsets += 1;
        let Some(photo) = self.photo_of(id) else {
            // Nothing is staged any more: then the whole photo is here, which
            // the receipt is asked about.
            return None;
        };
        let whole = self.taken.get(&photo).is_some_and(|bytes| bytes.len() as u64 == offset);
        if whole && !self.is_safe(&photo) {
            return Some(format!("all of {photo} was acknowledged before it was safe"));
        }
        if whole {
            self.promised.insert(photo);
            return None;
        }
        let disk = self.disk.as_ref().filter(|_| offset > 0)?;
        let part = disk.lasting(&format!("staging/{id}.part"));
        let part = part.filter(|_| disk.flushed(&format!("staging/{id}.json")).is_some());
        let Some(told) = part.as_ref().and_then(|bytes| bytes.get(..usize::try_from(offset).ok()?)) else {
            return Some(format!("{offset} bytes of {photo} were told that a power cut would take"));
        };
        let wrong = !self.torn.contains(id) && self.differs(id, told);
        wrong.then(|| format!("{offset} bytes of {photo} were told that are not of it"))
    }

    /// A receipt covers a photo. Gives what is wrong.
    pub fn hear_receipt(&mut self, photo: PhotoHash) -> Option<String> {
        let safe = self.is_safe(&photo);
        self.promised.insert(photo);
        self.receipted.insert(photo);
        (!safe).then(|| format!("a receipt states the photo {photo}, which is not on the disk"))
    }

    /// Whether a receipt has ever covered it.
    #[must_use]
    pub fn was_receipted(&self, photo: &PhotoHash) -> bool {
        self.receipted.contains(photo)
    }

    /// Promises and offsets heard, to know that the judge heard anything.
    #[must_use]
    pub fn heard(&self) -> (usize, usize) {
        (self.receipted.len(), self.offsets)
    }
}

/// The id of an upload, by the name of its bytes.
fn id_of(name: &str) -> Option<&str> {
    name.strip_prefix("staging/")?.strip_suffix(".part")
}

/// The upload that an answer is about, and how far it says it is.
#[must_use]
pub fn told(path: &str, answer: &HttpAnswer) -> Option<(String, u64)> {
    if !path.starts_with(FILES) || !(200..300).contains(&answer.status) {
        return None;
    }
    let offset = answer.headers.get("upload-offset")?.parse().ok()?;
    let place = answer.headers.get("location").map_or(path, String::as_str);
    Some((place.strip_prefix(FILES)?.strip_prefix('/')?.to_owned(), offset))
}

impl World {
    /// Someone takes a picture, or frees what was received safely.
    pub(super) fn work_on_photos(&mut self, device: usize) {
        match self.below(8) {
            0 => {
                self.command(device, Command::FreePhotos);
            }
            1 => {
                let paused = self.chance(400);
                self.command(device, Command::PausePhotos { paused });
            }
            _ => self.take_picture(device),
        }
    }

    /// Someone captures a value with a picture of it. The shell keeps the
    /// bytes first; without room there is no picture.
    pub fn take_picture(&mut self, device: usize) {
        if self.devices[device].full || self.chance(self.faults.device_full) {
            return;
        }
        let marker = self.new_marker();
        let bytes = picture(marker);
        let photo = PhotoHash::of(&bytes);
        let new = NewPhoto::new(photo, bytes.len() as u64, "image/jpeg".to_owned());
        lock(&self.machine.ledger).photos.took(photo, bytes.clone());
        self.devices[device].disk.insert(key(&photo), bytes);
        self.pictures.insert(marker, photo);
        let path: EntryPath = "quantities/books:primary".parse().unwrap_or_else(|_| unreachable!());
        let statement = Statement { value: work::value(marker), photos: vec![photo], ..Statement::default() };
        let claims = vec![(path, statement)];
        let command = Command::PutClaims { subject: subject(), claims, photos: vec![new], mark: None };
        self.capture(device, marker, command);
    }

    /// A value was reported as saved; so was its picture.
    pub(super) fn keep_picture(&mut self, marker: u64) {
        if let Some(photo) = self.pictures.get(&marker) {
            self.photos.insert(*photo);
        }
    }

    /// The bytes that a request takes along.
    pub(super) fn body(&self, device: usize, request: &HttpRequest) -> Result<Vec<u8>, HttpError> {
        match &request.body {
            HttpBody::Json(text) => Ok(text.clone().into_bytes()),
            HttpBody::Empty => Ok(Vec::new()),
            HttpBody::Photo { photo, offset, length } => {
                let bytes = self.devices[device].disk.get(&key(photo));
                let end = offset.saturating_add(*length);
                let range = usize::try_from(*offset).ok().zip(usize::try_from(end).ok());
                let part = bytes.zip(range).and_then(|(bytes, (start, end))| bytes.get(start..end));
                part.map(<[u8]>::to_vec).ok_or(HttpError::PhotoUnreadable(UNREADABLE))
            }
        }
    }

    /// A connection may break in the middle of a photo: the server has a part
    /// of the body, and the device hears nothing. Gives the part.
    pub(super) fn break_off(&mut self, request: &HttpRequest, body: &[u8]) -> Option<Vec<u8>> {
        let photo = matches!(request.body, HttpBody::Photo { .. });
        if !photo || !self.chance(self.faults.lose) {
            return None;
        }
        self.count("a photo broke off");
        let part = self.below(body.len() + 1);
        Some(body[..part].to_vec())
    }

    /// A request may arrive once more, later.
    pub(super) fn delay(&mut self, request: &HttpRequest, body: &[u8]) {
        if self.faults.photos > 0 && request.url.contains(FILES) && self.chance(self.faults.repeat) {
            self.late.push_back(Late { request: request.clone(), body: body.to_vec() });
            self.late.truncate(LATE_MAX);
        }
    }

    /// What is particular to photos goes wrong, perhaps.
    pub(super) fn trouble_with_photos(&mut self) -> bool {
        if self.machine.is_losing_power() {
            // Nobody sees the machine without power for long.
            if self.chance(400) {
                self.count("the power went in an upload");
                self.machine.lose_power();
                return true;
            }
            return false;
        }
        if self.chance(self.faults.power) {
            let changes = self.below(14) as u64;
            self.machine.lose_power_of_photos(changes);
            return true;
        }
        if self.chance(self.faults.repeat)
            && let Some(Late { request, body }) = self.late.pop_front()
        {
            self.count("a request arrived late");
            let _ = self.machine.request(&request, body, self.now_ms);
            return true;
        }
        false
    }

    /// Nothing is late any more, photos go on, and people try again what is
    /// stuck.
    pub(super) fn heal_photos(&mut self) {
        self.late.clear();
        for device in 0..self.devices.len() {
            self.command(device, Command::PausePhotos { paused: false });
        }
        self.retry_photos();
    }

    /// People try again what is stuck.
    pub(super) fn retry_photos(&mut self) {
        for device in 0..self.devices.len() {
            for photo in self.stuck(device) {
                self.count("a photo was stuck");
                self.command(device, Command::RetryPhoto { photo });
            }
        }
    }

    /// Whether nothing waits on a device but what no disk has any more, which
    /// it shows to people for good.
    pub(super) fn is_delivered(&self, device: &Device) -> bool {
        device.engine.outbox().items.iter().all(|item| match (&item.what, &item.reason) {
            (OutboxWhat::Photo { photo }, Waiting::Stuck { .. }) => self.is_gone(device, photo),
            _ => false,
        })
    }

    fn is_gone(&self, device: &Device, photo: &PhotoHash) -> bool {
        let bytes = device.disk.contains_key(&key(photo));
        !bytes && self.freed.contains(photo) && !lock(&self.machine.ledger).photos.is_safe(photo)
    }

    fn stuck(&self, device: usize) -> Vec<PhotoHash> {
        let items = self.devices[device].engine.outbox().items.into_iter();
        let stuck = items.filter(|item| matches!(item.reason, Waiting::Stuck { .. }));
        stuck
            .filter_map(|item| match item.what {
                OutboxWhat::Photo { photo } => Some(photo),
                OutboxWhat::Changes { .. } => None,
            })
            .collect()
    }

    /// The bytes of a photo may go from a device: only against a receipt that
    /// it has heard from this server, as far as it can know that it is this one.
    pub(super) fn free(&mut self, device: usize, photo: &PhotoHash) {
        let life = self.devices[device].life;
        let own = |link: &&Link| link.device == device && link.life == life && link.believed;
        let server = self.links.iter().find(own).map(|link| link.server);
        let mut ledger = lock(&self.machine.ledger);
        let safe = ledger.photos.is_safe(photo);
        if !ledger.photos.was_receipted(photo) {
            ledger.violation(format!("the photo {photo} was freed without a receipt"));
        } else if server.is_none() {
            ledger.violation(format!("the photo {photo} was freed without a connection"));
        } else if !safe && server == Some(self.machine.lives()) {
            ledger.violation(format!("the photo {photo} was freed and its server does not have it"));
        }
        drop(ledger);
        self.count("a photo was freed");
        self.freed.insert(*photo);
        self.devices[device].disk.remove(&key(photo));
        if !safe {
            self.count("a photo was freed on a connection to the server before the backup");
            self.forget_photos_that_no_disk_has();
        }
    }

    /// Nobody can be asked to keep a photo that an old copy took away
    /// everywhere; but what is missing has to be named, see
    /// [`World::missing_photos_are_named`].
    pub(super) fn forget_photos_that_no_disk_has(&mut self) {
        let held = |photo: &PhotoHash| {
            let row = format!("photo/{photo}");
            self.devices
                .iter()
                .any(|device| device.disk.contains_key(&key(photo)) && device.disk.contains_key(&row))
        };
        let ledger = lock(&self.machine.ledger);
        let kept = |photo: &&PhotoHash| held(photo) || ledger.photos.is_safe(photo);
        let (kept, taken): (BTreeSet<_>, BTreeSet<_>) = self.photos.iter().partition(kept);
        drop(ledger);
        self.photos = kept;
        for _ in taken {
            self.count("a backup took a photo that was nowhere else");
        }
    }

    /// What the server shows of a school says of how many photos its survey
    /// speaks and how many are here: none is missing silently.
    ///
    /// # Errors
    /// What it says, where it is not so.
    pub(super) fn missing_photos_are_named(&mut self, arrived: &BTreeSet<u64>) -> Result<(), String> {
        if self.pictures.is_empty() {
            return Ok(());
        }
        let pictures = self.pictures.iter().filter(|(marker, _)| arrived.contains(marker));
        let named: BTreeSet<PhotoHash> = pictures.map(|(_, photo)| *photo).collect();
        let ledger = lock(&self.machine.ledger);
        let here = named.iter().filter(|photo| ledger.photos.is_safe(photo)).count();
        drop(ledger);
        let shown = self.machine.photos_shown(self.now_ms);
        if shown != Some((named.len(), here)) {
            return Err(format!("{here} of {} photos are here, and {shown:?} are shown", named.len()));
        }
        if here < named.len() {
            self.count("the server showed that photos are missing");
        }
        Ok(())
    }

    /// # Errors
    /// A photo that was reported as saved and is not on the server's disk, or
    /// one whose bytes are of another.
    pub(super) fn photos_are_safe(&self) -> Result<(), String> {
        let ledger = lock(&self.machine.ledger);
        if let Some(photo) = self.photos.iter().find(|photo| !ledger.photos.is_safe(photo)) {
            let bytes = |device: &Device| photos_of(&device.disk).any(|held| held == *photo);
            let holders: Vec<&str> = self
                .devices
                .iter()
                .filter(|device| bytes(device))
                .map(|device| device.name.as_str())
                .collect();
            return Err(format!("the photo {photo} was reported as saved and is lost; on {holders:?}"));
        }
        match ledger.photos.misnamed().first() {
            None => Ok(()),
            Some(wrong) => Err(wrong.clone()),
        }
    }
}
