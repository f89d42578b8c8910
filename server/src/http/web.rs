//! The web app's files, where `web` in the settings names a folder with them.

use std::path::Path;
use std::sync::Arc;

use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, HeaderValue, StatusCode, header};
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use crate::app::App;

/// Nothing from elsewhere, no inline script. The core is wasm; photos are
/// shown from blobs, icons are a font in the style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    connect-src 'self'; img-src 'self' blob: data:; style-src 'self'; font-src 'self' data:; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of this module; none without a folder.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    match &app.web {
        Some(folder) => files(folder),
        None => nowhere(),
    }
}

fn nowhere() -> BoxedFilter<(Response,)> {
    warp::any().and_then(|| std::future::ready(Err::<Response, Rejection>(warp::reject::not_found()))).boxed()
}

fn files(folder: &Path) -> BoxedFilter<(Response,)> {
    let start = warp::path::end().and(warp::get()).map(|| moved("/phone/"));
    let phone = warp::path!("phone").and(warp::path::full()).and_then(|full: warp::path::FullPath| {
        // `/phone/` is the folder's own page.
        let bare = !full.as_str().ends_with('/');
        std::future::ready(if bare { Ok(moved("/phone/")) } else { Err(warp::reject::not_found()) })
    });
    let file = warp::path::full().and(warp::fs::dir(folder.to_owned())).map(
        |path: warp::path::FullPath, file: warp::fs::File| with_headers(path.as_str(), file.into_response()),
    );
    start.or(phone).unify().or(file).unify().boxed()
}

fn moved(to: &'static str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    response
}

fn with_headers(path: &str, mut response: Response) -> Response {
    // Only names under assets hold a hash of their content.
    let caching = if path.contains("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_come_with_their_policy_and_nothing_outside_the_folder_does() {
        let dir = tempfile::tempdir().unwrap();
        let web = dir.path().join("web");
        std::fs::create_dir_all(web.join("phone/assets")).unwrap();
        for name in ["web/phone/index.html", "web/phone/assets/a-1.js", "web/phone/sw.js", "secret"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let rows = [
            ("/", 302, ""),
            ("/phone", 302, ""),
            ("/phone/", 200, "no-cache"),
            ("/phone/assets/a-1.js", 200, "public, max-age=31536000, immutable"),
            ("/phone/sw.js", 200, "no-cache"),
            ("/phone/none.js", 404, ""),
            ("/../secret", 404, ""),
            ("/phone/..%2f..%2fsecret", 404, ""),
        ];
        let routes = files(&web);
        for (path, status, caching) in rows {
            let answer = warp::test::request().path(path).reply(&routes).await;
            assert_eq!(answer.status(), status, "{path}");
            if status == 200 {
                assert_eq!(answer.headers()[header::CACHE_CONTROL], caching, "{path}");
                let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
                assert!(!policy.contains("inline"), "{path}");
            }
        }
    }
}
