//! What someone may cost who has not said who they are, or has no right to
//! what they ask about.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{County, PASSWORD, ROUND, SCHOOLS};
use duxue_document::PhotoHash;
use duxue_protocol::api::ReceiptAnswer;
use duxue_server::config::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Creates an upload, with the bytes or without; the status.
async fn send_photo(county: &County, name: &str, school: &str, photo: &[u8], bytes: bool) -> u16 {
    let hash = PhotoHash::of(photo).to_string();
    let of = |name: &str, value: &str| format!("{name} {}", STANDARD.encode(value));
    let metadata = [of("sha256", &hash), of("round", ROUND), of("school", school)].join(",");
    let mut request = county
        .server
        .http
        .post(county.server.url("/api/files"))
        .bearer_auth(county.token(name))
        .header("tus-resumable", "1.0.0")
        .header("upload-length", photo.len())
        .header("upload-metadata", metadata);
    if bytes {
        request = request.header("content-type", "application/offset+octet-stream").body(photo.to_vec());
    }
    request.send().await.unwrap().status().as_u16()
}

/// The photos that a receipt says are here.
async fn here(county: &County, name: &str, asked: &[&[u8]]) -> BTreeSet<PhotoHash> {
    let asked: BTreeSet<PhotoHash> = asked.iter().map(|photo| PhotoHash::of(photo)).collect();
    let (status, answer) =
        county.server.post(county.token(name), "/api/receipts", &json!({ "photos": asked })).await;
    assert_eq!(status, 200, "{answer}");
    let answer: ReceiptAnswer = serde_json::from_value(answer).unwrap();
    let said = answer.receipt.verify(&county.tokens[name].server_key).unwrap();
    let both: BTreeSet<PhotoHash> = said.photos.union(&answer.missing_photos).copied().collect();
    assert_eq!(both, asked);
    said.photos
}

#[tokio::test]
async fn a_photo_is_here_for_those_only_who_sent_it_or_may_see_or_send_for_its_school() {
    let county = County::new().await;
    let photo = b"a photo of the second school".as_slice();
    let found = BTreeSet::from([PhotoHash::of(photo)]);
    assert_eq!(send_photo(&county, "first", SCHOOLS[1], photo, true).await, 201);
    assert_eq!(here(&county, "first", &[photo, b"another"]).await, found, "who sent it");
    assert_eq!(here(&county, "supervisor", &[photo]).await, found, "who may see it");
    assert_eq!(here(&county, "second", &[photo]).await, BTreeSet::new(), "whose school it is not");
    // The shortcut of asking first would leave it without a link; sending it
    // for the other school gives one.
    assert_eq!(send_photo(&county, "second", SCHOOLS[0], photo, true).await, 201);
    assert_eq!(here(&county, "second", &[photo]).await, found);
    // Whose right has ended sends what they still have, and is told.
    county.assign("second", &[]).await;
    assert_eq!(here(&county, "second", &[photo]).await, found);
}

/// Sends the head of a request and a part of its body; the status.
async fn begin(county: &County, method: &str, path: &str, part: &[u8]) -> u16 {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         tus-resumable: 1.0.0\r\ncontent-length: 5000000\r\n\r\n"
    );
    let mut stream = TcpStream::connect(county.server.address).await.unwrap();
    stream.write_all(&[head.as_bytes(), part].concat()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    std::str::from_utf8(&status[9..]).unwrap().parse().unwrap()
}

/// Every address that takes a body, as the interface's description has them:
/// the body is not waited for before it is known who sends it.
#[tokio::test]
async fn no_body_is_read_of_someone_without_a_token() {
    let county = County::new().await;
    let described: Value = serde_saphyr::from_str(include_str!("../openapi.yaml")).unwrap();
    let open = ["/api/login", "/api/enrol", "/api/challenges", "/api/device-sessions"];
    let (mut asked, mut requests) = (Vec::new(), Vec::new());
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in ["post", "patch", "put"].into_iter().filter(|method| !methods[*method].is_null()) {
            let expected = if open.contains(&path.as_str()) { 413 } else { 401 };
            let plain = path.replace("{round}", ROUND).replace("{number}", "1").replace("{upload}", "0");
            asked.push((method.to_uppercase(), plain, expected));
        }
    }
    assert!(asked.len() > 10, "{asked:?}");
    for (method, path, _) in &asked {
        requests.push(begin(&county, method, path, &[b'['; 8_192]));
    }
    let statuses = futures_util::future::join_all(requests).await;
    for ((method, path, expected), status) in asked.iter().zip(statuses) {
        assert_eq!(status, *expected, "{method} {path}");
    }
}

/// A log-in that comes through a proxy.
async fn login_from(county: &County, address: &str, name: &str, password: &str) -> (u16, Value) {
    let login = json!({ "name": name, "password": password });
    let request = county.server.http.post(county.server.url("/api/login")).json(&login);
    common::answer(request.header("x-forwarded-for", address)).await
}

#[tokio::test]
async fn who_guesses_at_a_name_locks_its_owner_out_nowhere_else() {
    let county = County::set(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    for _ in 0..10 {
        assert_eq!(login_from(&county, "192.0.2.1", "bureau", "a guess").await.0, 401);
    }
    let (status, body) = login_from(&county, "192.0.2.1", "bureau", PASSWORD).await;
    assert_eq!((status, body["code"].as_str()), (429, Some("login.too_many")));
    assert_eq!(login_from(&county, "198.51.100.7", "bureau", PASSWORD).await.0, 200);
}

#[tokio::test]
async fn a_name_that_many_guess_at_takes_its_owners_first_try() {
    let limits = Limits { login_failures_per_name: 5, ..Limits::default() };
    let county = County::set(|config| {
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits = limits;
    })
    .await;
    for guess in 0..5 {
        let address = format!("192.0.2.{guess}");
        assert_eq!(login_from(&county, &address, "bureau", "a guess").await.0, 401);
    }
    assert_eq!(login_from(&county, "192.0.2.1", "bureau", "another").await.0, 429);
    assert_eq!(login_from(&county, "198.51.100.7", "bureau", PASSWORD).await.0, 200);
}
