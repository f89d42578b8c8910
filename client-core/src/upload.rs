//! The uploads: one at a time, small photos first, after the measurements.

use duxue_document::collections::BTreeMap;

use duxue_document::PhotoHash;
use duxue_protocol::problem::Problem;

use crate::account::Errand;
use crate::clock::is_due;
use crate::command::Reply;
use crate::engine::{Engine, Pending, Turn, json};
use crate::error::CommandError;
use crate::event::{CommandId, Effect, HttpAnswer, HttpBody, HttpError, HttpRequest, Notice};
use crate::keys;
use crate::photo::{self, PART_BYTES, PhotoRecord, PhotoState, UploadStep};

/// How long measurements go before photos when a document does not settle.
const DOCUMENTS_FIRST_MS: i64 = 5_000;
const RETRY_LAST_MS: i64 = 60_000;

const NOT_TAKEN: Problem = Problem::new(
    "photo.not_taken",
    "服务器多次没有收下一张照片：先传其他照片，之后再试",
    "the server failed to take a photo several times: the others go first, and it is tried again",
);

/// The one running upload.
#[derive(Default)]
pub struct Uploads {
    running: bool,
    /// The user lets photos wait.
    pub(crate) paused: bool,
    /// The open upload was asked for its offset on this run: an offset from
    /// before a restart is only a hint.
    asked: Option<PhotoHash>,
    failures: u32,
    not_before_ms: i64,
    /// How often the server answered for a photo and nothing came of it.
    fruitless: BTreeMap<PhotoHash, u32>,
}

/// A photo that came to nothing so often lets the others go first.
const FRUITLESS: u32 = 3;

impl Engine {
    pub(crate) fn pump_uploads(&mut self, turn: &mut Turn) {
        if self.uploads.running
            || self.uploads.paused
            || !is_due(self.uploads.not_before_ms, turn.now_ms, RETRY_LAST_MS)
            || !self.photos_may_go(turn.now_ms)
        {
            return;
        }
        let (Some(identity), Some(record)) = (&self.identity, self.next_photo()) else { return };
        let record = record.clone();
        let mut headers = vec![
            ("authorization", format!("Bearer {}", identity.token)),
            ("tus-resumable", "1.0.0".to_owned()),
        ];
        let (request, errand) = match &record.state {
            PhotoState::Uploading { url, .. } if self.uploads.asked != Some(record.photo) => {
                let request =
                    HttpRequest { method: "HEAD", url: url.clone(), headers, body: HttpBody::Empty };
                (request, Errand::PhotoProgress { photo: record.photo, url: url.clone() })
            }
            PhotoState::Uploading { url, sent } => {
                let length = (record.length - sent.min(&record.length)).min(PART_BYTES);
                headers.push(("upload-offset", sent.to_string()));
                headers.push(("content-type", "application/offset+octet-stream".to_owned()));
                let body = HttpBody::Photo { photo: record.photo, offset: *sent, length };
                let request = HttpRequest { method: "PATCH", url: url.clone(), headers, body };
                (request, Errand::PhotoProgress { photo: record.photo, url: url.clone() })
            }
            _ => {
                headers.push(("upload-length", record.length.to_string()));
                headers.push(("upload-metadata", photo::metadata(&record)));
                let url = format!("{}/api/files", identity.server);
                let request = HttpRequest { method: "POST", url, headers, body: HttpBody::Empty };
                (request, Errand::PhotoCreated { photo: record.photo })
            }
        };
        self.uploads.running = true;
        self.http(request, errand, turn);
    }

    fn photos_may_go(&self, now_ms: i64) -> bool {
        let crate::sync::Link::Open(open) = &self.link else { return false };
        self.is_even() || is_due(open.since_ms + DOCUMENTS_FIRST_MS, now_ms, DOCUMENTS_FIRST_MS)
    }

    /// An upload that is under way is finished first, then the smallest; what
    /// came to nothing again and again waits until the others are through.
    fn next_photo(&self) -> Option<&PhotoRecord> {
        self.photos.values().filter(|record| record.wants_upload()).min_by_key(|record| {
            let failed = self.uploads.fruitless.get(&record.photo).filter(|count| **count >= FRUITLESS);
            let idle = !matches!(record.state, PhotoState::Uploading { .. });
            (failed, idle, record.bytes_left(), record.photo)
        })
    }

    pub(crate) fn upload_timer(&self) -> Option<i64> {
        let crate::sync::Link::Open(open) = &self.link else { return None };
        let waiting = !self.uploads.running
            && !self.uploads.paused
            && self.photos.values().any(PhotoRecord::wants_upload);
        let documents = if self.is_even() { 0 } else { open.since_ms + DOCUMENTS_FIRST_MS };
        waiting.then(|| self.uploads.not_before_ms.max(documents))
    }

    pub(crate) fn photo_answered(
        &mut self,
        photo: PhotoHash,
        url: Option<&str>,
        result: Result<HttpAnswer, HttpError>,
        turn: &mut Turn,
    ) {
        self.uploads.running = false;
        let answered = result.as_ref().ok().map(|answer| (answer.status, answer.body.clone()));
        let server = self.identity.as_ref().map_or("", |identity| identity.server.as_str());
        let step = match (result, url) {
            // What cannot be read now is not sent now: the others go on.
            (Err(HttpError::PhotoUnreadable(problem)), _) => UploadStep::Refused(problem),
            // Whether the bytes arrived is unknown; the offset will tell.
            (Err(HttpError::NoAnswer(_)), _) => UploadStep::Later,
            (Ok(answer), None) => photo::created(server, &answer),
            (Ok(answer), Some(url)) => photo::progressed(url, &answer),
        };
        if let (UploadStep::Later, Some((status, body))) = (&step, answered) {
            self.fruitless(photo, status, &body, turn);
        }
        self.photo_step(photo, step, turn);
    }

    /// The server answered and did not take the photo. After some times the
    /// others go first, and people are told once.
    fn fruitless(&mut self, photo: PhotoHash, status: u16, body: &[u8], turn: &mut Turn) {
        let count = self.uploads.fruitless.entry(photo).or_default();
        *count = count.saturating_add(1);
        if *count == FRUITLESS {
            self.uploads.failures = 0;
            let detail = format!("{photo}: {}", photo::refusal(status, body).code);
            turn.notice(Notice::Trouble { problem: NOT_TAKEN.with_detail(detail) });
        }
    }

    fn photo_step(&mut self, photo: PhotoHash, step: UploadStep, turn: &mut Turn) {
        let Some(length) = self.photos.get(&photo).map(|record| record.length) else { return };
        match step {
            UploadStep::At { url, sent } => {
                self.uploads.failures = 0;
                self.uploads.fruitless.remove(&photo);
                self.uploads.asked = Some(photo);
                let done = sent >= length;
                let state = if done { PhotoState::Sent } else { PhotoState::Uploading { url, sent } };
                self.set_photo(photo, state, turn);
                turn.notice(Notice::Photo { photo, sent, length });
            }
            UploadStep::AskOffset => {
                self.uploads.asked = None;
                self.upload_later(turn);
            }
            UploadStep::Restart => {
                self.uploads.asked = None;
                self.set_photo(photo, PhotoState::Waiting, turn);
                self.upload_later(turn);
            }
            UploadStep::Later => {
                self.uploads.asked = None;
                self.upload_later(turn);
            }
            UploadStep::LoginNeeded => {
                self.upload_later(turn);
                self.session_ended(None, turn);
            }
            UploadStep::Refused(problem) => self.stick(photo, problem, turn),
        }
    }

    /// One bad photo does not stop the others.
    pub(crate) fn stick(&mut self, photo: PhotoHash, problem: Problem, turn: &mut Turn) {
        turn.notice(Notice::Trouble { problem: problem.clone().with_detail(photo.to_string()) });
        self.set_photo(photo, PhotoState::Stuck { problem }, turn);
    }

    fn upload_later(&mut self, turn: &mut Turn) {
        self.uploads.failures = self.uploads.failures.saturating_add(1);
        let most = (500_i64 << self.uploads.failures.min(10)).min(RETRY_LAST_MS);
        let jitter = i64::from(turn.rng.next_u32()) % (most / 2 + 1);
        self.uploads.not_before_ms = turn.now_ms + most / 2 + jitter;
    }

    /// Moves a photo on, here and in the store.
    pub(crate) fn set_photo(&mut self, photo: PhotoHash, state: PhotoState, turn: &mut Turn) {
        let Some(record) = self.photos.get_mut(&photo) else { return };
        if record.state == state {
            return;
        }
        record.state = state;
        let put = (keys::photo(&photo), json(record));
        self.settled = false;
        // Losing this record's last state costs one request, never bytes.
        self.write(vec![put], Vec::new(), Pending::Record(None), turn);
    }

    /// A part that is on its way arrives; no other is sent while photos wait.
    pub(crate) fn pause_photos(&mut self, paused: bool) -> Reply {
        self.uploads.paused = paused;
        self.settled = false;
        Reply::Done
    }

    pub(crate) fn retry_photo(&mut self, photo: &PhotoHash) -> Result<Reply, CommandError> {
        let record = self.photos.get_mut(photo).ok_or(CommandError::UnknownPhoto)?;
        if matches!(record.state, PhotoState::Stuck { .. }) {
            record.state = PhotoState::Waiting;
            self.uploads.fruitless.remove(photo);
            self.settled = false;
        }
        Ok(Reply::Done)
    }

    /// Marks the photos that a verified receipt of this connection covers as
    /// freed, together with that receipt; see [`Self::free_stored`].
    pub(crate) fn free_photos(&mut self, id: CommandId, turn: &mut Turn) {
        let mut puts = Vec::new();
        let mut photos = Vec::new();
        let (mut bytes, mut unconfirmed) = (0, false);
        for record in self.photos.values() {
            let PhotoState::Receipted { at_ms } = record.state else { continue };
            let Some((key, receipt)) = self.covering_receipt(&record.photo) else {
                unconfirmed = true;
                continue;
            };
            let freed = PhotoRecord { state: PhotoState::Freed { at_ms }, ..record.clone() };
            puts.push((key.clone(), json(receipt)));
            puts.push((keys::photo(&record.photo), json(&freed)));
            photos.push(record.photo);
            bytes += record.length;
        }
        if photos.is_empty() && unconfirmed {
            return turn.reply(id, Err(CommandError::Unconfirmed));
        }
        self.write(puts, Vec::new(), Pending::Free(id, Reply::Freed { photos, bytes }), turn);
    }

    /// The marks are durable: now the bytes may go.
    pub(crate) fn free_stored(&mut self, id: CommandId, reply: Reply, durable: bool, turn: &mut Turn) {
        if !durable {
            return turn.reply(id, Err(CommandError::DiskFull));
        }
        let Reply::Freed { photos: marked, .. } = reply else { return };
        let (mut photos, mut bytes, mut unmark) = (Vec::new(), 0, Vec::new());
        for photo in marked {
            // The connection may have ended while the marks were stored.
            let confirmed = self.covering_receipt(&photo).is_some();
            let Some(record) = self.photos.get_mut(&photo) else { continue };
            match record.state {
                PhotoState::Receipted { at_ms } if confirmed => {
                    record.state = PhotoState::Freed { at_ms };
                    turn.effects.push(Effect::FreePhoto { photo });
                    photos.push(photo);
                    bytes += record.length;
                }
                PhotoState::Receipted { .. } => unmark.push((keys::photo(&photo), json(record))),
                _ => {}
            }
        }
        if !unmark.is_empty() {
            self.write(unmark, Vec::new(), Pending::Record(None), turn);
        }
        turn.reply(id, Ok(Reply::Freed { photos, bytes }));
    }
}
