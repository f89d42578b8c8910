//! Gives photos to those who may see them.

use std::convert::Infallible;
use std::sync::Arc;

use duxue_document::PhotoHash;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use crate::fault::{self, Fault};

use super::blobs::BlobError;
use super::body::{self, text};
use super::{Authorize, Photos, Reader, faults, rows, sniff};

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
    photos: &Photos,
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
    let (bytes, media_type) = match wanted {
        Wanted::Original => (photos.blobs.get(&hash).await?, row.media_type.as_str()),
        Wanted::Thumbnail => match photos.blobs.get_thumbnail(&hash).await {
            Ok(bytes) => (bytes, "image/jpeg"),
            Err(BlobError::Missing) => return Err(faults::not_derived()),
            Err(error) => return Err(error.into()),
        },
    };
    let mut response = Response::new(bytes.into());
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

/// Bytes under a hash never change. `private`, because a shared cache knows
/// nothing of rights.
fn cached(response: &mut Response, tag: &str) {
    body::put(response, "etag", tag);
    body::put(response, "cache-control", "private, max-age=31536000, immutable");
}
