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
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, Method, StatusCode};
use warp::reply::Response;

use crate::fault::{self, Fault};

use super::append::{Checksum, Part, append, settle};
use super::body::{self, Body, text};
use super::staging::{Info, Upload};
use super::{Authorize, Photos, Uploader, faults, rows};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,checksum,termination,expiration";
const CHECKSUMS: &str = "sha1,sha256";
const PATH: &str = "/api/files/";
const OFFSET_TYPE: &str = "application/offset+octet-stream";

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
        if let Some(media_type) = self.already_here(&info, uploader).await? {
            self.photos.link(&info, &media_type).await?;
            return Ok(created(&self.photos.staging.remember_complete(info)));
        }
        if !self.photos.brought.has_room(&info.person, &info.round, info.length, &self.photos.settings) {
            return Err(faults::person_full());
        }
        // Only to say so early: what is promised counts from the first byte on.
        self.photos.room.promise(info.length).await.map(drop)?;
        let with_upload = text(&self.headers, "content-type") == Some(OFFSET_TYPE);
        let part = if with_upload { Some(self.part(0, info.length)?) } else { None };
        let upload = self.photos.staging.create(info, &self.photos.settings)?;
        if let (Some(part), Some(body)) = (part, body.take_if(|_| with_upload)) {
            append(Arc::clone(&self.photos), Arc::clone(&upload), part, body).await?;
        }
        Ok(created(&upload))
    }

    /// The media type of the photo, if its bytes need not be sent again.
    ///
    /// Who knows a hash does not thereby have the photo: it is linked to the
    /// school without its bytes only for those who sent it before or may see
    /// it. And a photo whose bytes were lost here is asked for again.
    async fn already_here(&self, info: &Info, uploader: &Uploader) -> Result<Option<String>, Fault> {
        let photos = &self.photos;
        let Some(row) = photos.photo(&info.hash).await? else { return Ok(None) };
        let links = rows::links(&*photos.store, &info.hash).await?;
        let has_it = links
            .iter()
            .any(|link| link.person == uploader.person || (uploader.may_read)(&link.round, &link.school));
        if !has_it {
            return Ok(None);
        }
        if row.length != info.length {
            return Err(faults::length_differs());
        }
        let here = photos.has_bytes(&info.hash, row.length).await?;
        Ok(here.then_some(row.media_type))
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
        let _turn = upload.turn().await?;
        // An offset that equals the length means that the photo is safe. After
        // a crash between the last byte and the row it is not yet, if the
        // upload was described and is still known.
        settle(&self.photos, &upload, None).await?;
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
        let _turn = upload.turn().await?;
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
