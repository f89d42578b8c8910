//! What a connection may cost, and that it is counted by the limit's name.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::client::TlsStream;
use warp::http::Request;

use crate::config::counted::Counted;

use super::*;

type Asking = http2::SendRequest<Empty<Bytes>>;

/// A server with TLS, and a connection that has agreed to HTTP/2.
async fn start_tls(limits: Limits) -> (Server, TlsStream<TcpStream>) {
    let certificate = Certificate::new();
    let server = start(limits, SocketLimits::default(), Some(certificate.acceptor())).await;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = certificate.connector(&[b"h2"]).connect(name, server.connect().await).await.unwrap();
    (server, stream)
}

/// Speaks HTTP/2; ends when the server has closed.
async fn speak(stream: TlsStream<TcpStream>) -> (Asking, JoinHandle<()>) {
    let (send, connection) =
        http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
    (send, tokio::spawn(async move { drop(connection.await) }))
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://localhost{path}")).body(Empty::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn headers_that_do_not_come_are_counted() {
    let counted = Counted::new();
    let server = start_plain(Limits::default()).await;
    let whole = "GET /small HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for (number, sent) in ["", "GET /small HTTP/1.1\r\nx-slow: ", whole].into_iter().enumerate() {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        assert!(begun.elapsed() >= Limits::default().headers, "{sent:?}");
        assert_eq!(counted.refused("header_seconds"), number as u64 + 1, "{sent:?}");
    }
}

/// hyper has no time limit here: who agrees to HTTP/2 and says nothing, or
/// asks nothing more, would keep the place of a connection.
#[tokio::test(start_paused = true)]
async fn an_idle_http2_connection_ends_too() {
    let limits = Limits { ping_every: Duration::from_secs(3_600), ..Limits::default() };
    let counted = Counted::new();
    let (_server, mut silent) = start_tls(limits).await;
    let begun = tokio::time::Instant::now();
    let _ = silent.read_to_end(&mut Vec::new()).await;
    assert!((limits.headers..limits.headers * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(counted.refused("header_seconds"), 1);

    let (mut server, stream) = start_tls(limits).await;
    let (mut send, ended) = speak(stream).await;
    assert_eq!(send.send_request(request("/small")).await.unwrap().status(), 200);
    // However long an answer takes, it is no idle time.
    let slow = send.send_request(request("/slow"));
    let answering = async {
        assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
        // polls: the clock is paused, so nobody waits.
        tokio::time::sleep(limits.headers * 3).await;
        server.events.go.notify_one();
    };
    let (slow, ()) = tokio::join!(slow, answering);
    assert_eq!(slow.unwrap().into_body().collect().await.unwrap().to_bytes(), "done");
    assert_eq!(counted.refused("header_seconds"), 1);
    let begun = tokio::time::Instant::now();
    ended.await.unwrap();
    assert!((limits.headers..limits.headers * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert_eq!(counted.refused("header_seconds"), 2);
}

#[tokio::test]
async fn headers_that_are_too_long_are_counted() {
    let limits = Limits { header_bytes: 8 << 10, ..Limits::default() };
    let counted = Counted::new();
    let server = start_plain(limits).await;
    for (length, status, count) in [(4 << 10, 200, 0), (16 << 10, 431, 1)] {
        let mut stream = server.connect().await;
        let long = format!("x-long: {}\r\nconnection: close\r\n", "x".repeat(length));
        let _ = stream
            .write_all(format!("GET /small HTTP/1.1\r\nhost: localhost\r\n{long}\r\n").as_bytes())
            .await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        // A reset may overtake the answer; a success may not.
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert_eq!(counted.refused("header_bytes"), count);
    }

    let (_server, stream) = start_tls(limits).await;
    let (mut send, _) = speak(stream).await;
    // `/small`, a name of six and four beside the value.
    let fits = limits.header_bytes - 6 - 10;
    for (length, status, count) in [(fits, 200, 1), (fits + 1, 431, 2)] {
        let mut request = request("/small");
        request.headers_mut().insert("x-long", "x".repeat(length).parse().unwrap());
        let answer = send.send_request(request).await.unwrap();
        assert_eq!((answer.status().as_u16(), counted.refused("header_bytes")), (status, count));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let problem = serde_json::from_slice::<Problem>(&body).ok();
        let code = (status == 431).then_some("request.headers");
        assert_eq!(problem.as_ref().map(|problem| &*problem.code), code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_counted() {
    let certificate = Certificate::new();
    let counted = Counted::new();
    let server = start(Limits::default(), SocketLimits::default(), Some(certificate.acceptor())).await;
    let mut stream = server.connect().await;
    assert_eq!(counted.refused("tls_seconds"), 0);
    let _ = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(counted.refused("tls_seconds"), 1);
}

/// What a peer asks beyond it waits, at the peer or nowhere.
#[tokio::test]
async fn that_all_requests_of_a_connection_are_taken_is_counted() {
    let counted = Counted::new();
    let (mut server, stream) = start_tls(Limits { streams: 2, ..Limits::default() }).await;
    let (mut send, _) = speak(stream).await;
    // The peer learns with the first answer how many there may be.
    assert_eq!(send.send_request(request("/small")).await.unwrap().status(), 200);
    let mut asked = Vec::new();
    for (number, count) in [0, 1, 1].into_iter().enumerate() {
        asked.push(tokio::spawn(send.send_request(request("/slow"))));
        if number < 2 {
            assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
        }
        assert_eq!(counted.refused("streams"), count, "{number}");
    }
    // The third was not let in.
    assert!(server.events.said.try_recv().is_err());
    server.events.go.notify_one();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
    assert_eq!(counted.refused("streams"), 2);
    for answer in asked {
        server.events.go.notify_one();
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_stop_is_counted() {
    let counted = Counted::new();
    let mut server = start_plain(Limits::default()).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
    assert_eq!(counted.refused("stop_seconds"), 0);
    assert_eq!(server.end().await, Ended::Dropped(1));
    assert_eq!(counted.refused("stop_seconds"), 1);

    assert_eq!(start_plain(Limits::default()).await.end().await, Ended::Clean);
    assert_eq!(counted.refused("stop_seconds"), 1);
}

/// Counted as soon as all places are taken: whoever comes then is not seen.
#[tokio::test]
async fn that_all_connections_are_taken_is_counted() {
    let counted = Counted::new();
    let server = start_plain(Limits { connections: 2, ..Limits::default() }).await;
    let answered = async |stream: &mut TcpStream| {
        stream.write_all(b"GET /small HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
    };
    let mut first = server.connect().await;
    answered(&mut first).await;
    assert_eq!(counted.refused("connections"), 0);
    let mut second = server.connect().await;
    answered(&mut second).await;
    assert_eq!(counted.refused("connections"), 1);
}

/// Each row: the limit, and the headers of those whom it bounds.
#[tokio::test]
async fn requests_beyond_the_limit_are_counted() {
    let limits = Limits { requests: 1, stranger_requests: 1, ..Limits::default() };
    for (limit, headers) in [("requests", "authorization: Bearer x\r\n"), ("stranger_requests", "")] {
        let mut server = start_plain(limits).await;
        let counted = Counted::new();
        let mut busy = server.connect().await;
        let slow = format!("GET /slow HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        busy.write_all(slow.as_bytes()).await.unwrap();
        assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
        assert_eq!(counted.refused(limit), 0, "{limit}");
        let answer = get(&mut server.connect().await, "/small", headers).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("requests.too_many"), "{answer}");
        assert_eq!(counted.refused(limit), 1, "{limit}");
        server.events.go.notify_one();
        busy.read_exact(&mut [0; 12]).await.unwrap();
        assert!(get(&mut server.connect().await, "/small", headers).await.ends_with("small"), "{limit}");
        assert_eq!(counted.refused(limit), 1, "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_strangers_body_that_does_not_come_is_counted() {
    let counted = Counted::new();
    let server = start_plain(Limits::default()).await;
    let mut stream = server.connect().await;
    let head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nfive.";
    stream.write_all(head).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    assert_eq!(counted.refused("stranger_seconds"), 1);
}
