//! The web app's files, where `web` in the settings names a folder with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hyper::body::Bytes;
use tokio::sync::Mutex;
use warp::filters::BoxedFilter;
use warp::http::{HeaderMap, HeaderValue, StatusCode, header};
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use crate::app::App;
use crate::config::{in_use, refused};

/// Nothing from elsewhere, no inline script, no `data:` addresses. The core is
/// wasm; photos are shown from blobs.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    connect-src 'self'; img-src 'self' blob:; style-src 'self'; font-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The same for the phone, whose library of parts has its icons as a font
/// inside its style sheet.
const PHONE_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    connect-src 'self'; img-src 'self' blob:; style-src 'self'; font-src 'self' data:; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The app's entries; who names none is most likely on a phone.
const ENTRIES: [&str; 2] = ["/phone/", "/desk/"];

/// The routes of this module; none without a folder.
#[must_use]
pub fn routes(app: &Arc<App>) -> BoxedFilter<(Response,)> {
    match &app.web {
        Some(folder) => files(folder, app.web_bytes()),
        None => nowhere(),
    }
}

fn nowhere() -> BoxedFilter<(Response,)> {
    warp::any().and_then(|| std::future::ready(Err::<Response, Rejection>(warp::reject::not_found()))).boxed()
}

/// What browsers can read of a file that was compressed when the app was
/// built, as `name.br` beside it: its media type. Others are sent as they are.
const COMPRESSED: [(&str, &str); 6] = [
    (".js", "text/javascript"),
    (".css", "text/css"),
    (".html", "text/html"),
    (".wasm", "application/wasm"),
    (".svg", "image/svg+xml"),
    (".webmanifest", "application/manifest+json"),
];

/// The media type of a compressed file under this path, if there may be one.
fn media(path: &str) -> Option<&'static str> {
    COMPRESSED.iter().find(|(end, _)| path.ends_with(end)).map(|(_, media)| *media)
}

/// Whether a browser takes brotli; one that weighs it against others does.
fn takes_brotli(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "br" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// Files that were compressed once and well; a file without goes on to the
/// next filter.
fn compressed(folder: &Path, most: u64) -> BoxedFilter<(Response,)> {
    let kept = Arc::new(Kept::new(folder, most));
    warp::path::full()
        .and(warp::get())
        .and(warp::header::optional::<String>("accept-encoding"))
        .and_then(move |path: warp::path::FullPath, accepted: Option<String>| {
            let kept = Arc::clone(&kept);
            async move {
                let path = path.as_str();
                let name = if path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
                // Encoded and upward parts are the plain filter's business.
                let plain = !name.contains('%')
                    && !name.contains("..")
                    && accepted.is_some_and(|accepted| takes_brotli(&accepted));
                let Some(media) = media(&name).filter(|_| plain) else {
                    return Err(warp::reject::not_found());
                };
                let file = format!("{}.br", name.trim_start_matches('/'));
                let bytes = kept.get(&file).await.ok_or_else(warp::reject::not_found)?;
                let mut response = Response::new(bytes.into());
                for (name, value) in [
                    (header::CONTENT_TYPE, media),
                    (header::CONTENT_ENCODING, "br"),
                    (header::VARY, "accept-encoding"),
                ] {
                    response.headers_mut().insert(name, HeaderValue::from_static(value));
                }
                Ok::<Response, Rejection>(with_headers(path, response))
            }
        })
        .boxed()
}

/// The compressed files as they were read: however many ask for one and do not
/// take it, it is in memory once.
struct Kept {
    folder: PathBuf,
    most: u64,
    files: Mutex<BTreeMap<String, (SystemTime, Bytes)>>,
}

impl Kept {
    fn new(folder: &Path, most: u64) -> Self {
        Self { folder: folder.to_owned(), most, files: Mutex::default() }
    }

    /// A file's bytes; `None` if it is not there, or does not fit: then it is
    /// sent as it lies there uncompressed, a part at a time.
    async fn get(&self, name: &str) -> Option<Bytes> {
        let path = self.folder.join(name);
        let meta = tokio::fs::metadata(&path).await.ok().filter(std::fs::Metadata::is_file)?;
        let modified = meta.modified().ok()?;
        // Held while it is read, so that a file is read once.
        let mut files = self.files.lock().await;
        if let Some((when, bytes)) = files.get(name)
            && *when == modified
            && bytes.len() as u64 == meta.len()
        {
            return Some(bytes.clone());
        }
        files.remove(name);
        if meta.len() > self.most {
            refused("web_bytes");
            return None;
        }
        let used = |files: &BTreeMap<String, (SystemTime, Bytes)>| {
            files.values().map(|(_, bytes)| bytes.len() as u64).sum::<u64>()
        };
        while used(&files) + meta.len() > self.most {
            files.pop_first();
        }
        let bytes = Bytes::from(tokio::fs::read(path).await.ok()?);
        files.insert(name.to_owned(), (modified, bytes.clone()));
        in_use("web_bytes", usize::try_from(used(&files)).unwrap_or(usize::MAX));
        Some(bytes)
    }
}

fn files(folder: &Path, most: u64) -> BoxedFilter<(Response,)> {
    let start = warp::path::end()
        .and(warp::get())
        .and(warp::header::optional("user-agent"))
        .map(|agent: Option<String>| moved(entry_for(agent.as_deref())));
    let bare = warp::path::full().and(warp::get()).and_then(|path: warp::path::FullPath| {
        // With the slash it is the folder's own page.
        let entry = ENTRIES.into_iter().find(|entry| entry.trim_end_matches('/') == path.as_str());
        std::future::ready(entry.map(moved).ok_or_else(warp::reject::not_found))
    });
    let file = warp::path::full().and(warp::fs::dir(folder.to_owned())).map(
        |path: warp::path::FullPath, file: warp::fs::File| with_headers(path.as_str(), file.into_response()),
    );
    start.or(bare).unify().or(compressed(folder, most)).unify().or(file).unify().boxed()
}

/// The entry for a browser that names none: only where it is sent first, as
/// both can be had by their addresses.
fn entry_for(agent: Option<&str>) -> &'static str {
    let is_hand_held = |agent: &str| {
        ["Mobile", "Android", "iPhone", "iPad", "HarmonyOS"].iter().any(|word| agent.contains(word))
    };
    if agent.is_some_and(is_hand_held) { "/phone/" } else { "/desk/" }
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
    let policy = if path.starts_with("/phone/") { PHONE_POLICY } else { POLICY };
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, caching),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use crate::config::counted::Counted;

    use super::*;

    #[tokio::test]
    async fn what_was_compressed_goes_to_who_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("index.html", "page"),
            ("index.html.br", "small"),
            ("a.js", "code"),
            ("a.wasm.br", "wasm"),
            ("a.png.br", "no"),
        ] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let routes = files(dir.path(), 1_000);
        let rows = [
            ("/index.html", "gzip, br", 200, "small", "text/html"),
            ("/index.html", "gzip", 200, "page", "text/html"),
            ("/index.html", "gzip, br;q=0", 200, "page", "text/html"),
            ("/a.js", "br", 200, "code", "text/javascript"),
            ("/a.wasm", "br", 200, "wasm", "application/wasm"),
            ("/a.png", "br", 404, "", ""),
            ("/none.js", "br", 404, "", ""),
        ];
        for (path, accepted, status, body, media) in rows {
            let request = warp::test::request().path(path).header("accept-encoding", accepted);
            let answer = request.reply(&routes).await;
            assert_eq!(answer.status(), status, "{path} {accepted}");
            if status == 200 {
                assert_eq!(answer.body(), body, "{path} {accepted}");
                assert_eq!(answer.headers()[header::CONTENT_TYPE], media, "{path}");
                let coded = answer.headers().get(header::CONTENT_ENCODING).is_some();
                assert_eq!(coded, ["small", "wasm"].contains(&body), "{path}");
                assert!(answer.headers().contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_in_memory_once_and_no_more_than_there_is_room_for() {
        let dir = tempfile::tempdir().unwrap();
        for (name, length) in [("a.br", 60), ("b.br", 60), ("large.br", 101)] {
            std::fs::write(dir.path().join(name), vec![1; length]).unwrap();
        }
        let kept = Kept::new(dir.path(), 100);
        let (first, second) = (kept.get("a.br").await.unwrap(), kept.get("a.br").await.unwrap());
        assert_eq!(first.as_ptr(), second.as_ptr());
        let counted = Counted::new();
        assert!(kept.get("large.br").await.is_none() && kept.get("none.br").await.is_none());
        assert_eq!(counted.refused("web_bytes"), 1, "one is too large, and one is not there");
        assert_eq!(kept.get("b.br").await.unwrap().len(), 60);
        assert_eq!(kept.files.lock().await.len(), 1, "one made room for the other");
        std::fs::write(dir.path().join("b.br"), b"new").unwrap();
        assert_eq!(kept.get("b.br").await.unwrap(), "new");
    }

    #[tokio::test]
    async fn files_come_with_their_policy_and_nothing_outside_the_folder_does() {
        let dir = tempfile::tempdir().unwrap();
        let web = dir.path().join("web");
        std::fs::create_dir_all(web.join("phone/assets")).unwrap();
        std::fs::create_dir_all(web.join("desk")).unwrap();
        for name in [
            "web/desk/index.html",
            "web/phone/index.html",
            "web/phone/assets/a-1.js",
            "web/phone/sw.js",
            "secret",
        ] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        let rows = [
            ("/", 302, ""),
            ("/phone", 302, ""),
            ("/desk", 302, ""),
            ("/desk/", 200, "no-cache"),
            ("/phone/", 200, "no-cache"),
            ("/phone/assets/a-1.js", 200, "public, max-age=31536000, immutable"),
            ("/phone/sw.js", 200, "no-cache"),
            ("/phone/none.js", 404, ""),
            ("/../secret", 404, ""),
            ("/phone/..%2f..%2fsecret", 404, ""),
        ];
        let routes = files(&web, 1_000);
        for (path, status, caching) in rows {
            let answer = warp::test::request().path(path).reply(&routes).await;
            assert_eq!(answer.status(), status, "{path}");
            if status == 200 {
                assert_eq!(answer.headers()[header::CACHE_CONTROL], caching, "{path}");
                let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
                assert!(!policy.contains("inline"), "{path}");
                // Only what the phone's library needs.
                let fonts = path.starts_with("/phone/").then_some("font-src 'self' data:");
                let from_data = policy.split("; ").find(|directive| directive.contains("data:"));
                assert_eq!(from_data, fonts, "{path}");
            }
        }
    }

    #[tokio::test]
    async fn whoever_names_no_entry_is_sent_to_the_one_for_the_device() {
        let dir = tempfile::tempdir().unwrap();
        let routes = files(dir.path(), 1_000);
        let rows = [
            (None, "/desk/"),
            (Some("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0"), "/desk/"),
            (Some("Mozilla/5.0 (Linux; Android 14) Chrome/140.0 Mobile"), "/phone/"),
            (Some("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0)"), "/phone/"),
        ];
        for (agent, page) in rows {
            let mut request = warp::test::request().path("/");
            if let Some(agent) = agent {
                request = request.header("user-agent", agent);
            }
            assert_eq!(request.reply(&routes).await.headers()[header::LOCATION], page, "{agent:?}");
        }
    }
}
