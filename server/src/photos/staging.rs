//! Unfinished uploads on disk: `staging/<id>.json` says what is coming,
//! `staging/<id>.part` holds what has come.
//!
//! The offset of an upload is the number of its flushed bytes, so what a
//! client was told is never taken back. Opening the folder again after a
//! crash finds every upload where it was. Until bytes wait there for more, an
//! upload is not described: most come whole in one request, and who asks
//! after a crash for one that was not described is told to begin again.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use duxue_document::{DeviceId, PersonId, PhotoHash, RoundId, SchoolId};
use serde::{Deserialize, Serialize};
use tokio::sync::{MutexGuard, watch};

use crate::config::{in_use, refused};
use crate::fault::Fault;

use super::aside::{Aside, Kept};
use super::files::{Files, apart, read_all};
use super::{Settings, faults};

/// The staging folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the staging folder cannot be used: {0}")]
pub struct StagingError(#[from] io::Error);

/// What is coming.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Info {
    pub id: String,
    pub person: PersonId,
    pub device: Option<DeviceId>,
    pub round: RoundId,
    pub school: SchoolId,
    pub hash: PhotoHash,
    pub length: u64,
    pub expires_ms: i64,
    /// `Upload-Metadata` as sent, to be given back.
    pub metadata: String,
}

/// One upload. At most one request works on it at a time, and a new one
/// pre-empts one that stalls: the old connection is most likely dead.
pub(super) struct Upload {
    pub info: Info,
    flushed: AtomicU64,
    complete: AtomicBool,
    /// Whether it was ended, so that who waited for a turn comes too late.
    gone: AtomicBool,
    /// Whether it is described, and its names are flushed.
    kept: AtomicBool,
    lock: tokio::sync::Mutex<()>,
    /// Counts those who want the upload.
    wanted: watch::Sender<u64>,
}

/// The right to work on an upload, until someone else wants it.
pub(super) struct Turn<'a> {
    _lock: MutexGuard<'a, ()>,
    number: u64,
    wanted: watch::Receiver<u64>,
}

impl Turn<'_> {
    /// Sees when another request wants the upload.
    pub fn watcher(&self) -> Watcher {
        Watcher { number: self.number, wanted: self.wanted.clone() }
    }
}

/// Sees when a turn should end.
pub(super) struct Watcher {
    number: u64,
    wanted: watch::Receiver<u64>,
}

impl Watcher {
    /// Returns when another request wants the upload.
    pub async fn pre_empted(&mut self) {
        let number = self.number;
        // The sender lives in the upload, which outlives the turn.
        if self.wanted.wait_for(|wanted| *wanted > number).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Upload {
    fn new(info: Info, flushed: u64, complete: bool) -> Arc<Self> {
        Arc::new(Self {
            info,
            flushed: AtomicU64::new(flushed),
            complete: AtomicBool::new(complete),
            gone: AtomicBool::new(false),
            kept: AtomicBool::new(flushed > 0),
            lock: tokio::sync::Mutex::new(()),
            wanted: watch::Sender::new(0),
        })
    }

    /// Waits for the upload, asking whoever has it to stop.
    ///
    /// # Errors
    /// `not_found` where it was ended meanwhile.
    pub async fn turn(&self) -> Result<Turn<'_>, Fault> {
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted += 1;
            number = *wanted;
        });
        let turn = Turn { _lock: self.lock.lock().await, number, wanted: self.wanted.subscribe() };
        if self.gone.load(Ordering::Acquire) { Err(crate::fault::not_found()) } else { Ok(turn) }
    }

    /// Flushed bytes.
    pub fn offset(&self) -> u64 {
        self.flushed.load(Ordering::Acquire)
    }

    /// To be called after the bytes are flushed, or dropped.
    pub fn set_offset(&self, offset: u64) {
        self.flushed.store(offset, Ordering::Release);
    }

    /// Whether the photo is acknowledged.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }
}

#[derive(Default)]
struct Known {
    uploads: HashMap<String, Arc<Upload>>,
    finished: VecDeque<String>,
}

/// The staging folder.
pub(super) struct Staging {
    files: Arc<dyn Files>,
    folder: PathBuf,
    aside: Arc<Aside>,
    remembered: usize,
    known: Mutex<Known>,
}

impl Staging {
    pub async fn open(files: Arc<dyn Files>, settings: &Settings) -> Result<Self, StagingError> {
        let (folder, aside) = (settings.folder.join("staging"), settings.folder.join("aside"));
        let staging = folder.clone();
        let opened = apart(&files, move |files| {
            files.make_folder(&staging)?;
            let aside = Aside::open(files, aside)?;
            let uploads = find_uploads(files, &staging, &aside)?;
            Ok((aside, uploads))
        });
        let (aside, uploads) = opened.await?;
        let uploads = uploads.into_iter().map(|upload| (upload.info.id.clone(), upload)).collect();
        let known = Mutex::new(Known { uploads, finished: VecDeque::new() });
        Ok(Self { files, folder, aside: Arc::new(aside), remembered: settings.remembered, known })
    }

    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // The map is whole after every statement, even one that panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn part(&self, upload: &Upload) -> PathBuf {
        self.folder.join(&upload.info.id).with_extension("part")
    }

    fn described(&self, upload: &Upload) -> PathBuf {
        self.folder.join(&upload.info.id).with_extension("json")
    }

    /// The upload, if it is this person's and not expired.
    pub async fn find(&self, id: &str, person: &PersonId, now_ms: i64) -> Result<Arc<Upload>, Fault> {
        let found = self.known().uploads.get(id).cloned();
        let upload =
            found.filter(|upload| upload.info.person == *person).ok_or_else(crate::fault::not_found)?;
        if upload.info.expires_ms <= now_ms && !upload.is_complete() {
            // Whoever works on it, works on; the sweep ends it afterwards.
            if let Ok(_turn) = upload.lock.try_lock() {
                self.forget(&upload).await.map_err(|error| faults::io(&error))?;
            }
            refused("upload_seconds");
            return Err(faults::gone());
        }
        Ok(upload)
    }

    /// Begins an upload within a person's limits.
    pub fn create(&self, info: Info, settings: &Settings) -> Result<Arc<Upload>, Fault> {
        let upload = Upload::new(info, 0, false);
        // Counted and inserted under one lock, so that many requests at
        // once cannot go over the limit together.
        let mut known = self.known();
        let open = known.uploads.values().filter(|u| u.info.person == upload.info.person && !u.is_complete());
        let (count, bytes) =
            open.fold((0, 0_u64), |(count, bytes), u| (count + 1, bytes.saturating_add(u.info.length)));
        if count >= settings.uploads_per_person {
            refused("uploads_per_person");
            return Err(faults::too_many());
        }
        if bytes.saturating_add(upload.info.length) > settings.staged_bytes_per_person {
            refused("upload_bytes_per_person");
            return Err(faults::too_many());
        }
        known.uploads.insert(upload.info.id.clone(), Arc::clone(&upload));
        Ok(upload)
    }

    /// Makes durable that there is such an upload, whose bytes wait for more.
    pub async fn keep(&self, upload: &Upload) -> io::Result<()> {
        if upload.kept.load(Ordering::Acquire) {
            return Ok(());
        }
        let (described, folder, info) = (self.described(upload), self.folder.clone(), upload.info.clone());
        apart(&self.files, move |files| {
            describe(files, &described, &info)?;
            files.sync_folder(&folder)
        })
        .await?;
        upload.kept.store(true, Ordering::Release);
        Ok(())
    }

    /// Shows in the metrics how many uploads are unfinished.
    pub fn show_use(&self) {
        let mut by_person: HashMap<PersonId, (usize, u64)> = HashMap::new();
        for upload in self.known().uploads.values().filter(|upload| !upload.is_complete()) {
            let (uploads, bytes) = by_person.entry(upload.info.person.clone()).or_default();
            *uploads += 1;
            *bytes = bytes.saturating_add(upload.info.length);
        }
        let most = |of: fn(&(usize, u64)) -> u64| {
            usize::try_from(by_person.values().map(of).max().unwrap_or(0)).unwrap_or(usize::MAX)
        };
        in_use("uploads_per_person", most(|(uploads, _)| *uploads as u64));
        in_use("upload_bytes_per_person", most(|(_, bytes)| *bytes));
        self.aside.show_use();
    }

    /// An upload that had nothing to wait for: the photo is here.
    pub fn remember_complete(&self, info: Info) -> Arc<Upload> {
        let upload = Upload::new(info, 0, true);
        upload.set_offset(upload.info.length);
        let mut known = self.known();
        known.uploads.insert(upload.info.id.clone(), Arc::clone(&upload));
        note_finished(&mut known, &upload.info.id, self.remembered);
        upload
    }

    /// The photo is acknowledged: what was staged can go.
    pub async fn complete(&self, upload: &Upload) {
        upload.complete.store(true, Ordering::Release);
        note_finished(&mut self.known(), &upload.info.id, self.remembered);
        if let Err(error) = self.remove_files(upload).await {
            // Found again when the folder is opened, and finished once more.
            tracing::warn!(%error, "staged bytes of a finished photo remain");
        }
    }

    /// Drops an upload and its bytes. For whoever has the turn.
    pub async fn forget(&self, upload: &Upload) -> io::Result<()> {
        upload.gone.store(true, Ordering::Release);
        self.remove_files(upload).await?;
        self.known().uploads.remove(&upload.info.id);
        Ok(())
    }

    /// Takes an upload whose bytes are not what was declared out of the way,
    /// whole, as long as there is room for such.
    pub async fn set_aside(&self, upload: &Upload, settings: &Settings) -> io::Result<()> {
        let (aside, names) = (Arc::clone(&self.aside), [self.part(upload), self.described(upload)]);
        let room = Kept { files: settings.aside_files, bytes: settings.aside_bytes };
        let (info, kept) = (upload.info.clone(), upload.kept.load(Ordering::Acquire));
        apart(&self.files, move |files| {
            // A full disk has no room for a description; the bytes go in any case.
            let described = kept || describe(files, &names[1], &info).is_ok();
            aside.put(files, if described { &names } else { &names[..1] }, room)
        })
        .await?;
        self.forget(upload).await
    }

    /// Removes what expired and is not being worked on.
    pub async fn sweep(&self, now_ms: i64) {
        let expired: Vec<_> = self
            .known()
            .uploads
            .values()
            .filter(|u| u.info.expires_ms <= now_ms && !u.is_complete())
            .cloned()
            .collect();
        for upload in expired {
            let Ok(_turn) = upload.lock.try_lock() else { continue };
            refused("upload_seconds");
            if let Err(error) = self.forget(&upload).await {
                tracing::warn!(%error, "an expired upload could not be removed");
            }
        }
    }

    /// The description goes first: without it the bytes are nobody's.
    async fn remove_files(&self, upload: &Upload) -> io::Result<()> {
        let (described, part) = (self.described(upload), self.part(upload));
        apart(&self.files, move |files| {
            remove(files, &described)?;
            remove(files, &part)
        })
        .await
    }
}

/// The uploads that an earlier run left.
fn find_uploads(files: &dyn Files, staging: &Path, aside: &Aside) -> io::Result<Vec<Arc<Upload>>> {
    let names = files.list(staging)?;
    let described = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let mut uploads = Vec::new();
    for path in names.iter().filter(described) {
        match read_upload(files, path) {
            Ok(upload) => uploads.push(upload),
            // One bad file must not keep the server from starting.
            Err(error) => set_unreadable_aside(files, path, aside, &error)?,
        }
    }
    // What has no description was never promised to anyone.
    for path in names.iter().filter(|path| !described(path) && !names.contains(&path.with_extension("json")))
    {
        remove(files, path)?;
    }
    files.sync_folder(staging)?;
    Ok(uploads)
}

fn remove(files: &dyn Files, path: &Path) -> io::Result<()> {
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes a description that cannot be read out of the way, with the bytes. If
/// there are none, a power cut came before anything was promised.
fn set_unreadable_aside(
    files: &dyn Files,
    described: &Path,
    aside: &Aside,
    error: &io::Error,
) -> io::Result<()> {
    let part = described.with_extension("part");
    if files.length(&part).unwrap_or(0) == 0 {
        remove(files, described)?;
        return remove(files, &part);
    }
    tracing::error!(%error, path = %described.display(), "an unfinished upload cannot be read; set aside");
    aside.put_in_any_case(files, &[described.to_owned(), part])
}

fn note_finished(known: &mut Known, id: &str, most: usize) {
    known.finished.push_back(id.to_owned());
    if known.finished.len() > most
        && let Some(oldest) = known.finished.pop_front()
    {
        known.uploads.remove(&oldest);
        refused("uploads_remembered");
    }
}

/// A description as it is stored: JSON, and its checksum in a line of its own.
/// A flipped bit would make it another person's, school's or photo's.
fn description(info: &Info) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(info).map_err(io::Error::other)?;
    let crc = crc32c::crc32c(&json);
    Ok([&json[..], format!("\n{crc:08x}\n").as_bytes()].concat())
}

fn read_description(bytes: &[u8]) -> io::Result<Info> {
    let damaged = || io::Error::other("the description is damaged");
    let json = bytes.split(|byte| *byte == b'\n').next().ok_or_else(damaged)?;
    let info: Info = serde_json::from_slice(json).map_err(io::Error::other)?;
    if description(&info)? == bytes { Ok(info) } else { Err(damaged()) }
}

fn read_upload(files: &dyn Files, path: &Path) -> io::Result<Arc<Upload>> {
    let info = read_description(&read_all(files, path)?)?;
    if path.file_stem().and_then(|stem| stem.to_str()) != Some(info.id.as_str()) {
        return Err(io::Error::other("the description is of another upload"));
    }
    let part = path.with_extension("part");
    files.sync(path)?;
    // Bytes that survived a crash of the process are only now known to be on
    // disk.
    files.sync(&part)?;
    let flushed = files.length(&part)?.min(info.length);
    Ok(Upload::new(info, flushed, false))
}

/// Says in a file what is coming, durably but for its name.
fn describe(files: &dyn Files, described: &Path, info: &Info) -> io::Result<()> {
    let temporary = described.with_extension("new");
    files.write(&temporary, &description(info)?)?;
    files.sync(&temporary)?;
    files.rename(&temporary, described)
}
