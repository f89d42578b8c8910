//! Gives photos to those who may see them.

use std::convert::Infallible;
use std::sync::Arc;

use duxue_document::PhotoHash;
use futures_util::{StreamExt, stream};
use hyper::body::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;
use warp::{Filter, Reply};

use crate::fault::{self, Fault};

use super::blobs::{BlobError, Parts};
use super::body::{self, text};
use super::{Authorize, Photos, Reader, faults, rows, sniff};

/// Parts of a photo that are read before its reader takes them.
const PARTS_AHEAD: usize = 4;

#[derive(Clone, Copy)]
enum Wanted {
    Original,
    Thumbnail,
}

/// The routes under `/api/photos`.
pub(super) fn routes(photos: &Arc<Photos>, authorize: Authorize<Reader>) -> BoxedFilter<(Response,)> {
    let photos = Arc::clone(photos);
    let wanted = warp::path::end()
        .map(|| Wanted::Original)
        .or(warp::path("thumbnail").and(warp::path::end()).map(|| Wanted::Thumbnail))
        .unify();
    warp::path("api")
        .and(warp::path("photos"))
        .and(warp::path::param())
        .and(wanted)
        .and(warp::get())
        .and(body::headers())
        .and_then(move |name: String, wanted, headers: HeaderMap| {
            let (photos, authorize) = (Arc::clone(&photos), Arc::clone(&authorize));
            async move {
                let reader = authorize(body::token(&headers));
                let answer = match reader {
                    Ok(reader) => answer(&photos, &reader, &name, wanted, &headers).await,
                    Err(fault) => Err(fault),
                };
                Ok::<_, Infallible>(answer.unwrap_or_else(|fault| body::problem(&fault)))
            }
        })
        .boxed()
}

async fn answer(
    photos: &Arc<Photos>,
    reader: &Reader,
    name: &str,
    wanted: Wanted,
    headers: &HeaderMap,
) -> Result<Response, Fault> {
    let hash: PhotoHash = name.parse().map_err(|_| fault::not_found())?;
    let links = rows::links(&*photos.store, &hash).await?;
    if !links.iter().any(|link| (reader.may_read)(&link.round, &link.school)) {
        return Err(fault::not_found());
    }
    let row = photos.photo(&hash).await?.ok_or_else(fault::not_found)?;
    let tag = match wanted {
        Wanted::Original => format!("\"{hash}\""),
        Wanted::Thumbnail => format!("\"{hash}-t\""),
    };
    if text(headers, "if-none-match").is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        cached(&mut response, &tag);
        return Ok(response);
    }
    let (mut response, media_type) = match wanted {
        Wanted::Original => (original(photos, hash).await?, row.media_type.as_str()),
        Wanted::Thumbnail => match photos.blobs.get_thumbnail(&hash).await {
            Ok(bytes) => (Response::new(bytes.into()), "image/jpeg"),
            Err(BlobError::Missing) => {
                if photos.facts(&hash).await?.is_some_and(|facts| facts.derivation.is_done()) {
                    // It was there before a power cut, and can be made again.
                    photos.queue.push(hash);
                }
                return Err(faults::not_derived());
            }
            Err(error) => return Err(error.into()),
        },
    };
    cached(&mut response, &tag);
    body::put(&mut response, "content-type", media_type);
    body::put(&mut response, "x-content-type-options", "nosniff");
    // Whatever the bytes are, a browser that opens them runs nothing.
    body::put(&mut response, "content-security-policy", "default-src 'none'; sandbox");
    let disposition = if media_type == "application/octet-stream" { "attachment" } else { "inline" };
    let file = format!("{disposition}; filename=\"{hash}.{}\"", sniff::ending(media_type));
    body::put(&mut response, "content-disposition", &file);
    Ok(response)
}

/// The photo as it is read: however many are asked for, only parts of them are
/// in memory.
async fn original(photos: &Arc<Photos>, hash: PhotoHash) -> Result<Response, Fault> {
    let (length, parts) = match photos.blobs.parts(&hash).await {
        Ok(found) => found,
        // Its row is here, so it was taken; the check of all photos reports it.
        Err(BlobError::Missing) => return Err(faults::damaged()),
        Err(error) => return Err(error.into()),
    };
    let reading = Reading { photos: Arc::clone(photos), hash, parts };
    let (sender, mut receiver) = mpsc::channel(PARTS_AHEAD);
    tokio::spawn(reading.run(sender));
    let parts = stream::poll_fn(move |context| receiver.poll_recv(context));
    let mut response = warp::reply::stream(parts).into_response();
    body::put(&mut response, "content-length", &length.to_string());
    Ok(response)
}

type Read = Result<Bytes, BlobError>;

/// A photo on its way to a reader. Its last part is held back until the whole
/// is known to be what its name says; else the answer breaks off, because its
/// length was promised.
struct Reading {
    photos: Arc<Photos>,
    hash: PhotoHash,
    parts: Parts,
}

impl Reading {
    async fn run(mut self, reader: mpsc::Sender<Read>) {
        let read = self.read(&reader).await;
        // The reader may have left, which is no fault.
        let _ = match read {
            Ok(Some(last)) => reader.send(Ok(last)).await,
            Ok(None) => Ok(()),
            Err(error) => reader.send(Err(error)).await,
        };
    }

    /// Sends all parts but the last, which it gives if the whole is right;
    /// `None` where the reader has left.
    async fn read(&mut self, reader: &mpsc::Sender<Read>) -> Result<Option<Bytes>, BlobError> {
        let (mut hasher, mut last) = (Sha256::new(), None::<Bytes>);
        while let Some(part) = self.parts.next().await {
            let part = part?;
            hasher.update(&part);
            if let Some(before) = last.replace(part)
                && reader.send(Ok(before)).await.is_err()
            {
                return Ok(None);
            }
        }
        let found: [u8; 32] = hasher.finalize().into();
        if found == self.hash.0 {
            return Ok(last);
        }
        if let Err(error) = self.photos.check_one(&self.hash).await {
            tracing::error!(%error, hash = %self.hash, "that a photo is damaged could not be recorded");
        }
        Err(BlobError::Damaged(self.hash))
    }
}

/// Bytes under a hash never change. `private`, because a shared cache knows
/// nothing of rights.
fn cached(response: &mut Response, tag: &str) {
    body::put(response, "etag", tag);
    body::put(response, "cache-control", "private, max-age=31536000, immutable");
}
