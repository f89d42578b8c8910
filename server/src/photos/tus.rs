//! tus 1.0: core, creation, creation-with-upload, checksum, termination,
//! expiration (<https://tus.io/protocols/resumable-upload>).
//!
//! Work on an upload runs in a task of its own: when a connection dies, the
//! server drops the request's future in the middle, and the bytes that came
//! must still be flushed and counted.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use duxue_document::{PhotoHash, RoundId, SchoolId};
use futures_util::StreamExt;
use sha2::Digest;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, SeekFrom};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;

use crate::fault::{self, Fault};

use super::body::{self, Body, text};
use super::staging::{Info, Turn, Upload};
use super::{Authorize, Photos, Uploader, faults};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
const CHECKSUMS: &str = "sha1,sha256";
const PATH: &str = "/api/files/";
const OFFSET_TYPE: &str = "application/offset+octet-stream";
/// Bytes that may be lost by a crash although they were received; what was
/// acknowledged is flushed in any case.
const FLUSH_EVERY: u64 = 4 << 20;

/// The routes under `/api/files`.
pub(super) fn routes(photos: &Arc<Photos>, authorize: Authorize<Uploader>) -> BoxedFilter<(Response,)> {
    let photos = Arc::clone(photos);
    let id = warp::path::end().map(|| None).or(warp::path::param().and(warp::path::end()).map(Some)).unify();
    warp::path("api")
        .and(warp::path("files"))
        .and(id)
        .and(warp::method())
        .and(body::headers())
        .and(body::body())
        .and_then(move |id: Option<String>, method, headers, body| {
            let request = Request { photos: Arc::clone(&photos), authorize: Arc::clone(&authorize), headers };
            request.answer(id, method, body)
        })
        .boxed()
}

struct Request {
    photos: Arc<Photos>,
    authorize: Authorize<Uploader>,
    headers: HeaderMap,
}

type Answer = Result<Response, Fault>;

impl Request {
    async fn answer(self, id: Option<String>, method: Method, body: Body) -> Result<Response, Infallible> {
        let method = match text(&self.headers, "x-http-method-override") {
            Some(name) if method == Method::POST => Method::from_bytes(name.as_bytes()).unwrap_or(method),
            _ => method,
        };
        let mut body = Some(body);
        let mut response = match self.route(id.as_deref(), &method, &mut body).await {
            Ok(response) => response,
            Err(fault) => {
                if let Some(body) = body.take() {
                    body::drain(body).await;
                }
                body::problem(&fault)
            }
        };
        body::put(&mut response, "tus-resumable", VERSION);
        if response.status() == StatusCode::PRECONDITION_FAILED {
            body::put(&mut response, "tus-version", VERSION);
        }
        Ok(response)
    }

    async fn route(&self, id: Option<&str>, method: &Method, body: &mut Option<Body>) -> Answer {
        if method == Method::OPTIONS {
            return Ok(self.options());
        }
        if text(&self.headers, "tus-resumable") != Some(VERSION) {
            return Err(faults::version());
        }
        let uploader = (self.authorize)(body::token(&self.headers))?;
        match (id, method.as_str()) {
            (None, "POST") => self.create(&uploader, body).await,
            (Some(id), "HEAD") => self.head(id, &uploader).await,
            (Some(id), "PATCH") => self.patch(id, &uploader, body).await,
            (Some(id), "DELETE") => self.terminate(id, &uploader).await,
            _ => Err(faults::method()),
        }
    }

    fn options(&self) -> Response {
        let mut response = empty(StatusCode::NO_CONTENT);
        body::put(&mut response, "tus-version", VERSION);
        body::put(&mut response, "tus-extension", EXTENSIONS);
        body::put(&mut response, "tus-checksum-algorithm", CHECKSUMS);
        body::put(&mut response, "tus-max-size", &self.photos.settings.photo_bytes.to_string());
        response
    }

    async fn create(&self, uploader: &Uploader, body: &mut Option<Body>) -> Answer {
        let info = self.declared(uploader)?;
        if let Some(row) = self.photos.photo(&info.hash).await? {
            return self.already_here(info, &row).await;
        }
        let with_upload = text(&self.headers, "content-type") == Some(OFFSET_TYPE);
        let part = if with_upload { Some(self.part(0, info.length)?) } else { None };
        let upload = self.photos.staging.create(info, &self.photos.settings).await?;
        if let (Some(part), Some(body)) = (part, body.take_if(|_| with_upload)) {
            append(Arc::clone(&self.photos), Arc::clone(&upload), part, body).await?;
        }
        Ok(created(&upload))
    }

    /// Someone sent these bytes before, here or for another school. Only who
    /// has the photo knows its hash, so nothing is given away by saying so.
    async fn already_here(&self, info: Info, row: &super::PhotoRow) -> Answer {
        if row.length != info.length {
            return Err(faults::length_differs());
        }
        self.photos.acknowledge(&info, &row.media_type).await?;
        Ok(created(&self.photos.staging.remember_complete(info)))
    }

    /// What the client says is coming, if it may come.
    fn declared(&self, uploader: &Uploader) -> Result<Info, Fault> {
        if self.headers.contains_key("upload-defer-length") {
            return Err(faults::deferred());
        }
        let length: u64 = self.number("upload-length")?;
        if length > self.photos.settings.photo_bytes {
            crate::config::refused("photo_bytes");
            return Err(faults::too_large());
        }
        if length == 0 {
            return Err(faults::empty());
        }
        let metadata = text(&self.headers, "upload-metadata").ok_or_else(faults::metadata)?;
        let (hash, round, school) = read_metadata(metadata).ok_or_else(faults::metadata)?;
        if !(uploader.may_write)(&round, &school) {
            return Err(fault::not_found());
        }
        let id = crate::random::hex(&crate::random::bytes::<16>()?);
        Ok(Info {
            id,
            person: uploader.person.clone(),
            device: uploader.device.clone(),
            round,
            school,
            hash,
            length,
            expires_ms: (self.photos.now)().saturating_add(self.photos.settings.expiry_ms),
            metadata: metadata.to_owned(),
        })
    }

    async fn find(&self, id: &str, uploader: &Uploader) -> Result<Arc<Upload>, Fault> {
        let upload = self.photos.staging.find(id, &uploader.person, (self.photos.now)()).await?;
        // The right may have ended since the upload began.
        if !(uploader.may_write)(&upload.info.round, &upload.info.school) {
            return Err(fault::not_found());
        }
        Ok(upload)
    }

    async fn head(&self, id: &str, uploader: &Uploader) -> Answer {
        let upload = self.find(id, uploader).await?;
        let _turn = upload.turn().await;
        // An offset that equals the length means that the photo is safe. After
        // a crash between the last byte and the row it is not yet.
        settle(&self.photos, &upload).await?;
        let mut response = empty(StatusCode::OK);
        body::put(&mut response, "upload-offset", &upload.offset().to_string());
        body::put(&mut response, "upload-length", &upload.info.length.to_string());
        body::put(&mut response, "upload-metadata", &upload.info.metadata);
        body::put(&mut response, "upload-expires", &http_date(upload.info.expires_ms));
        body::put(&mut response, "cache-control", "no-store");
        Ok(response)
    }

    async fn patch(&self, id: &str, uploader: &Uploader, body: &mut Option<Body>) -> Answer {
        if text(&self.headers, "content-type") != Some(OFFSET_TYPE) {
            return Err(faults::content_type());
        }
        let upload = self.find(id, uploader).await?;
        let part = self.part(self.number("upload-offset")?, upload.info.length)?;
        if let Some(body) = body.take() {
            append(Arc::clone(&self.photos), Arc::clone(&upload), part, body).await?;
        }
        let mut response = empty(StatusCode::NO_CONTENT);
        body::put(&mut response, "upload-offset", &upload.offset().to_string());
        body::put(&mut response, "upload-expires", &http_date(upload.info.expires_ms));
        Ok(response)
    }

    async fn terminate(&self, id: &str, uploader: &Uploader) -> Answer {
        let upload = self.find(id, uploader).await?;
        let _turn = upload.turn().await;
        // A photo that is already evidence stays; only the upload goes.
        self.photos.staging.forget(&upload).await.map_err(|error| faults::io(&error))?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// The part that this request brings, from its headers.
    fn part(&self, offset: u64, length: u64) -> Result<Part, Fault> {
        let stated = match self.headers.get("content-length") {
            Some(_) => Some(self.number("content-length")?),
            None => None,
        };
        if offset.saturating_add(stated.unwrap_or(0)) > length {
            return Err(faults::too_large());
        }
        let checksum = text(&self.headers, "upload-checksum").map(Checksum::read).transpose()?;
        Ok(Part { offset, stated, checksum })
    }

    fn number(&self, name: &'static str) -> Result<u64, Fault> {
        let text = text(&self.headers, name).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        text.and_then(|text| text.parse().ok()).ok_or_else(|| faults::header().with_detail(name))
    }
}

/// One request's bytes.
struct Part {
    offset: u64,
    stated: Option<u64>,
    checksum: Option<Checksum>,
}

enum Checksum {
    Sha1(Vec<u8>, sha1::Sha1),
    Sha256(Vec<u8>, sha2::Sha256),
}

impl Checksum {
    fn read(text: &str) -> Result<Self, Fault> {
        let header = || faults::header().with_detail("upload-checksum");
        let (algorithm, digest) = text.split_once(' ').ok_or_else(header)?;
        let digest = STANDARD.decode(digest.trim()).map_err(|_| header())?;
        match algorithm {
            "sha1" => Ok(Self::Sha1(digest, sha1::Sha1::new())),
            "sha256" => Ok(Self::Sha256(digest, sha2::Sha256::new())),
            _ => Err(faults::checksum_algorithm()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(_, hasher) => hasher.update(bytes),
            Self::Sha256(_, hasher) => hasher.update(bytes),
        }
    }

    fn matches(self) -> bool {
        match self {
            Self::Sha1(expected, hasher) => hasher.finalize()[..] == expected[..],
            Self::Sha256(expected, hasher) => hasher.finalize()[..] == expected[..],
        }
    }
}

/// Runs [`write`] to its end whatever becomes of the connection.
async fn append(photos: Arc<Photos>, upload: Arc<Upload>, part: Part, body: Body) -> Result<(), Fault> {
    let task = tokio::spawn(async move { write(&photos, &upload, part, body).await });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "an upload's task failed");
        Err(fault::internal())
    })
}

async fn write(photos: &Photos, upload: &Upload, part: Part, mut body: Body) -> Result<(), Fault> {
    let turn = upload.turn().await;
    if upload.is_complete() || part.offset != upload.offset() {
        let offset = upload.offset();
        let nothing_to_do = upload.is_complete() && part.offset == offset && part.stated == Some(0);
        if nothing_to_do {
            return Ok(());
        }
        body::drain(body).await;
        return Err(faults::offset().with_detail(offset.to_string()));
    }
    let stream = Stream { photos, upload, turn: &turn };
    stream.write(part, &mut body).await?;
    settle(photos, upload).await
}

/// Makes a photo of an upload that has all its bytes.
async fn settle(photos: &Photos, upload: &Upload) -> Result<(), Fault> {
    if upload.offset() == upload.info.length && !upload.is_complete() {
        photos.finish(upload).await?;
    }
    Ok(())
}

struct Stream<'a, 'b> {
    photos: &'a Photos,
    upload: &'a Upload,
    turn: &'a Turn<'b>,
}

impl Stream<'_, '_> {
    /// Writes a body behind what is there. Whatever ends it, what came is
    /// flushed and counted, except where its checksum does not match or it
    /// goes beyond the declared length.
    async fn write(self, mut part: Part, body: &mut Body) -> Result<(), Fault> {
        let failed = |error: std::io::Error| faults::io(&error);
        let start = part.offset;
        let mut file = tokio::fs::OpenOptions::new()
            .write(true)
            .open(self.photos.staging.part(self.upload))
            .await
            .map_err(failed)?;
        // Bytes behind the offset were never acknowledged; they are of a
        // request that did not live to flush them.
        file.set_len(start).await.map_err(failed)?;
        file.seek(SeekFrom::Start(start)).await.map_err(failed)?;
        let mut end = start;
        let ended = self.copy(&mut file, &mut end, &mut part.checksum, body).await;
        let mismatch = match (&ended, part.checksum) {
            (Ok(()), Some(checksum)) => !checksum.matches(),
            _ => false,
        };
        let too_long = matches!(&ended, Err(fault) if fault.status == StatusCode::PAYLOAD_TOO_LARGE);
        if mismatch || too_long {
            self.upload.set_offset(start);
            file.flush().await.map_err(failed)?;
            file.set_len(start).await.map_err(failed)?;
            file.sync_data().await.map_err(failed)?;
            return Err(if mismatch { faults::checksum() } else { faults::too_large() });
        }
        self.flush(&mut file, end).await?;
        ended
    }

    async fn flush(&self, file: &mut tokio::fs::File, end: u64) -> Result<(), Fault> {
        let failed = |error: std::io::Error| faults::io(&error);
        file.flush().await.map_err(failed)?;
        file.sync_data().await.map_err(failed)?;
        self.upload.set_offset(end);
        Ok(())
    }

    async fn copy(
        &self,
        file: &mut tokio::fs::File,
        end: &mut u64,
        checksum: &mut Option<Checksum>,
        body: &mut Body,
    ) -> Result<(), Fault> {
        let mut wanted = self.turn.watcher();
        loop {
            let next = tokio::select! {
                biased;
                () = wanted.pre_empted() => return Err(faults::preempted()),
                next = tokio::time::timeout(self.photos.settings.idle, body.next()) => next,
            };
            let bytes = match next {
                Err(_) => return Err(faults::idle()),
                Ok(None) => return Ok(()),
                Ok(Some(Err(_))) => return Err(faults::broken_off()),
                Ok(Some(Ok(bytes))) => bytes,
            };
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if end.saturating_add(length) > self.upload.info.length {
                return Err(faults::too_large());
            }
            file.write_all(&bytes).await.map_err(|error| faults::io(&error))?;
            *end += length;
            if let Some(checksum) = checksum {
                checksum.update(&bytes);
            } else if *end - self.upload.offset() >= FLUSH_EVERY {
                self.flush(file, *end).await?;
            }
        }
    }
}

/// `sha256`, `round` and `school` out of `key base64,key base64`.
fn read_metadata(text: &str) -> Option<(PhotoHash, RoundId, SchoolId)> {
    if text.len() > 4_096 {
        return None;
    }
    let value = |wanted: &str| {
        let pair = |pair: &str| -> Option<String> {
            let (key, value) = pair.trim().split_once(' ')?;
            (key == wanted).then(|| String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok())?
        };
        text.split(',').find_map(pair)
    };
    Some((value("sha256")?.parse().ok()?, value("round")?.parse().ok()?, value("school")?.parse().ok()?))
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

fn created(upload: &Upload) -> Response {
    let mut response = empty(StatusCode::CREATED);
    body::put(&mut response, "location", &format!("{PATH}{}", upload.info.id));
    body::put(&mut response, "upload-offset", &upload.offset().to_string());
    body::put(&mut response, "upload-expires", &http_date(upload.info.expires_ms));
    response
}

/// A date as RFC 9110 wants it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = ms.max(0) / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date in the Gregorian calendar, by eras of 400 years that
    // begin on 1 March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    let name = |names: &[&'static str], index: i64| {
        names.get(usize::try_from(index).unwrap_or(0)).copied().unwrap_or("")
    };
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month),
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod date_tests {
    #[test]
    fn dates_are_written_as_http_wants_them() {
        for (ms, text) in [
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_709_164_800_000, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_798_761_599_000, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            assert_eq!(super::http_date(ms), text);
        }
    }
}
