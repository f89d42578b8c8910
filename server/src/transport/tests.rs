//! On real sockets. Where a limit is a time, the clock is tokio's paused one:
//! it jumps to the next timer when everything waits.

mod bounds;

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response};

use super::*;

/// More bytes than the system takes for a peer that does not read.
const HUGE: usize = 64 << 20;

/// What the test routes do besides answering.
struct Events {
    /// A handler or session said something.
    said: mpsc::UnboundedReceiver<String>,
    /// Lets `/slow` answer.
    go: Arc<Notify>,
}

struct Server {
    address: SocketAddr,
    events: Events,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Ended>,
}

fn routes(stop: Stop, limits: SocketLimits) -> (BoxedFilter<(Response,)>, Events) {
    let (say, said) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let (say_slow, go_slow) = (say.clone(), Arc::clone(&go));

    let peer = warp::path("peer")
        .and(warp::ext::get::<Peer>())
        .map(|peer: Peer| peer.0.ip().to_string().into_response());
    let slow = warp::path("slow").then(move || {
        let (say, go) = (say_slow.clone(), Arc::clone(&go_slow));
        async move {
            let _ = say.send("slow".to_owned());
            go.notified().await;
            "done".into_response()
        }
    });
    let panics = warp::path("panics").then(|| async { panic!("a secret of the handler") });
    let large = warp::path("large").map(|| {
        warp::reply::with_header("[0]".repeat(5_000), "content-type", "application/json").into_response()
    });
    let small = warp::path("small").map(|| "small".into_response());
    let image = warp::path("image")
        .map(|| warp::reply::with_header(vec![0_u8; 15_000], "content-type", "image/jpeg").into_response());
    let echo = warp::path("echo")
        .and(warp::body::bytes())
        .map(|body: hyper::body::Bytes| body.len().to_string().into_response());
    let huge = warp::path("huge")
        .map(|| warp::reply::with_header(vec![0_u8; HUGE], "content-type", "image/jpeg").into_response());
    let socket = warp::path("socket").and(ws(stop, limits)).map(move |upgrade: Upgrade| {
        let say = say.clone();
        upgrade.run(move |socket, _, stopping| session(socket, stopping, say))
    });
    let routes = peer
        .or(slow)
        .unify()
        .or(panics)
        .unify()
        .or(large)
        .unify()
        .or(small)
        .unify()
        .or(image)
        .unify()
        .or(echo)
        .unify()
        .or(huge)
        .unify()
        .or(socket)
        .unify()
        .boxed();
    (routes, Events { said, go })
}

/// Echoes, says why it ends, closes when the server stops; never ends by
/// itself after a message `stay`.
async fn session(mut socket: Socket, mut stopping: Stopping, say: mpsc::UnboundedSender<String>) {
    let _ = say.send("open".to_owned());
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            () = stopping.wait() => {
                let _ = say.send("stopping".to_owned());
                let frame = CloseFrame { code: CloseCode::Restart, reason: "restart".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
                while let Some(Ok(_)) = socket.next().await {}
                return;
            }
        };
        match message {
            Some(Ok(Message::Text(text))) if text.as_str() == "stay" => std::future::pending().await,
            Some(Ok(message)) => {
                let _ = socket.send(message).await;
            }
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { size, max_size }))) => {
                let _ = say.send(format!("{size} of {max_size}"));
                return;
            }
            _ => return,
        }
    }
}

async fn start(
    limits: Limits,
    socket_limits: SocketLimits,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
) -> Server {
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Stop::default();
    let (routes, events) = routes(tasks.clone(), socket_limits);
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(serve(listener, acceptor, routes, limits, trust(), tasks, async {
        let _ = stopped.await;
    }));
    Server { address, events, stop, ended }
}

/// Whoever sends an `authorization` header is known.
fn trust() -> Trust {
    Trust { proxies: Vec::new(), known: Arc::new(|headers, _| headers.contains_key("authorization")) }
}

async fn start_plain(limits: Limits) -> Server {
    start(limits, SocketLimits::default(), None).await
}

type Client = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn socket(&mut self) -> Client {
        let (client, _) =
            tokio_tungstenite::connect_async(format!("ws://{}/socket", self.address)).await.unwrap();
        assert_eq!(self.events.said.recv().await.as_deref(), Some("open"));
        client
    }

    async fn end(self) -> Ended {
        let _ = self.stop.send(());
        self.ended.await.unwrap()
    }
}

/// One request on a connection that closes after it.
async fn get(stream: &mut TcpStream, path: &str, headers: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_address_in_use_is_an_error_and_not_a_panic() {
    let first = listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let error = listen(first.local_addr().unwrap()).await.unwrap_err();
    assert_eq!(error.problem().code, "transport.bind");
    assert!(error.problem().detail.unwrap().contains(&first.local_addr().unwrap().to_string()));
}

#[tokio::test]
async fn the_peer_is_known_to_handlers() {
    let server = start_plain(Limits::default()).await;
    let answer = get(&mut server.connect().await, "/peer", "").await;
    assert!(answer.ends_with("127.0.0.1"), "{answer}");
    assert_eq!(server.end().await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn headers_that_do_not_come_are_cut() {
    let server = start_plain(Limits::default()).await;
    let begun = tokio::time::Instant::now();
    for sent in ["", "P", "GET /peer HTTP/1.1\r\nhost: localhost\r\nx-slow: "] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Ends only when the server closes.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200"), "{sent:?}");
    }
    assert!(begun.elapsed() >= Limits::default().headers * 3);
    assert_eq!(server.end().await, Ended::Clean);
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused() {
    let server = start_plain(Limits { header_bytes: 8 << 10, ..Limits::default() }).await;
    let long = format!("x-long: {}\r\n", "x".repeat(16 << 10));
    let mut stream = server.connect().await;
    let request = format!("GET /peer HTTP/1.1\r\nhost: localhost\r\n{long}\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = vec![0; 12];
    // A reset may overtake the answer; a success may not.
    if stream.read_exact(&mut answer).await.is_ok() {
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 431");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_slot() {
    let mut server = start_plain(Limits { connections: 1, ..Limits::default() }).await;
    // A WebSocket keeps its slot after the HTTP connection has ended.
    let mut client = server.socket().await;
    let mut waiting = server.connect().await;
    let answer = tokio::spawn(async move { get(&mut waiting, "/slow", "").await });

    // The first still works, and the second has not been looked at.
    client.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Text("hello".into()));
    assert!(server.events.said.try_recv().is_err());

    client.close(None).await.unwrap();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
    server.events.go.notify_one();
    assert!(answer.await.unwrap().ends_with("done"));
}

#[tokio::test]
async fn a_panic_is_answered_with_a_problem_and_hurts_nobody_else() {
    let server = start_plain(Limits::default()).await;
    let answer = get(&mut server.connect().await, "/panics", "").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert_eq!(problem.code, "server.panic");
    assert!(!answer.contains("secret"));
    assert!(get(&mut server.connect().await, "/small", "").await.ends_with("small"));
    assert_eq!(server.end().await, Ended::Clean);
}

#[tokio::test]
async fn bodies_are_compressed_where_it_helps() {
    let server = start_plain(Limits::default()).await;
    let cases = [
        ("/large", "br, gzip", Some("br")),
        ("/large", "gzip", Some("gzip")),
        ("/large", "identity", None),
        ("/small", "br, gzip", None),
        ("/image", "br, gzip", None),
    ];
    for (path, accepts, expected) in cases {
        let answer = get(&mut server.connect().await, path, &format!("accept-encoding: {accepts}\r\n")).await;
        let encoding = answer.lines().find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(encoding, expected, "{path} for {accepts}");
    }
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_told_so() {
    let server = start_plain(Limits::default()).await;
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for headers in [
        String::new(),
        format!("upgrade: websocket\r\nsec-websocket-version: 13\r\n{key}"),
        format!("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 8\r\n{key}"),
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n".to_owned(),
    ] {
        let answer = get(&mut server.connect().await, "/socket", &headers).await;
        assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
        assert!(answer.contains("socket.upgrade_required") && answer.contains("sec-websocket-version: 13"));
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_not_read() {
    let limits = SocketLimits { message_bytes: 1_000, frame_bytes: 1_000, ..SocketLimits::default() };
    let mut server = start(Limits::default(), limits, None).await;
    let mut client = server.socket().await;
    let whole = Message::Binary(vec![7; 1_000].into());
    client.send(whole.clone()).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), whole);

    client.send(Message::Binary(vec![7; 1_001].into())).await.unwrap();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("1001 of 1000"));
    assert!(!matches!(client.next().await, Some(Ok(Message::Binary(_)))));
    assert_eq!(server.end().await, Ended::Clean);
}

#[tokio::test]
async fn stopping_closes_sockets_and_lets_a_request_finish() {
    // Nothing here may end by a timeout.
    let never = std::time::Duration::from_secs(3_600);
    let mut server = start_plain(Limits { headers: never, stop: never, ..Limits::default() }).await;
    let mut client = server.socket().await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    let answer = tokio::spawn(async move { get(&mut busy, "/slow", "").await });
    assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));

    server.stop.send(()).unwrap();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("stopping"));
    match client.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Restart),
        other => panic!("{other:?} and not a close"),
    }
    assert!(client.next().await.is_none());
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "an idle connection is closed");
    assert!(TcpStream::connect(server.address).await.is_err(), "no new connections");
    assert!(!server.ended.is_finished(), "the request still runs");

    server.events.go.notify_one();
    assert!(answer.await.unwrap().ends_with("done"));
    assert_eq!(server.ended.await.unwrap(), Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_stop_is_dropped_at_the_deadline() {
    let mut server = start_plain(Limits::default()).await;
    let mut client = server.socket().await;
    client.send(Message::Text("stay".into())).await.unwrap();
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));

    let begun = tokio::time::Instant::now();
    server.stop.send(()).unwrap();
    assert_eq!(server.ended.await.unwrap(), Ended::Dropped(2));
    assert!(begun.elapsed() >= Limits::default().stop);
    assert!(!matches!(client.next().await, Some(Ok(_))));
}

/// A certificate for `localhost` in files, and a client that trusts it.
struct Certificate {
    folder: tempfile::TempDir,
    roots: RootCertStore,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        Self { folder, roots }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        tls(&self.file("certificate.pem"), &self.file("key.pem")).unwrap()
    }

    fn connector(&self, alpn: &[&[u8]]) -> TlsConnector {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

#[tokio::test]
async fn tls_speaks_what_alpn_agreed() {
    let certificate = Certificate::new();
    let server = start(Limits::default(), SocketLimits::default(), Some(certificate.acceptor())).await;
    let name = ServerName::try_from("localhost").unwrap();
    let cases = [("h2 http/1.1", "h2"), ("h2", "h2"), ("http/1.1", "http/1.1"), ("", "")];
    for (offered, expected) in cases {
        let offered: Vec<&[u8]> = offered.split_whitespace().map(str::as_bytes).collect();
        let stream =
            certificate.connector(&offered).connect(name.clone(), server.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol().unwrap_or_default(), expected.as_bytes());
        let io = hyper_util::rt::TokioIo::new(stream);
        let body = http_body_util::Empty::<hyper::body::Bytes>::new;
        let uri = "https://localhost/small";
        let request = warp::http::Request::get(uri).header("host", "localhost").body(body()).unwrap();
        let response = if expected == "h2" {
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut send, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            send.send_request(request).await.unwrap()
        } else {
            let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            send.send_request(request).await.unwrap()
        };
        assert_eq!(response.status(), 200);
    }
    assert_eq!(server.end().await, Ended::Clean);
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_cut() {
    let certificate = Certificate::new();
    let server = start(Limits::default(), SocketLimits::default(), Some(certificate.acceptor())).await;
    let begun = tokio::time::Instant::now();
    let mut stream = server.connect().await;
    // The beginning of a TLS record, and no more.
    stream.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    assert!(begun.elapsed() >= Limits::default().tls_handshake);
}

#[tokio::test]
async fn certificate_files_that_do_not_work_are_named() {
    let (ours, others) = (Certificate::new(), Certificate::new());
    std::fs::write(ours.file("empty.pem"), "").unwrap();
    let cases = [
        (ours.file("missing.pem"), ours.file("key.pem"), "transport.certificate", "missing.pem"),
        (ours.file("empty.pem"), ours.file("key.pem"), "transport.certificate", "empty.pem"),
        (ours.file("certificate.pem"), ours.file("empty.pem"), "transport.certificate", "empty.pem"),
        (ours.file("certificate.pem"), others.file("key.pem"), "transport.tls", ""),
    ];
    for (certificates, key, code, names) in cases {
        let Err(error) = tls(&certificates, &key) else { panic!("{certificates:?} with {key:?} was taken") };
        let problem = error.problem();
        assert_eq!(problem.code, code, "{error}");
        assert!(problem.detail.unwrap().contains(names));
    }
}

#[tokio::test]
async fn strangers_have_turns_of_their_own_and_take_nobody_elses() {
    let limits = Limits { requests: 1, stranger_requests: 1, ..Limits::default() };
    let mut server = start_plain(limits).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(server.events.said.recv().await.as_deref(), Some("slow"));
    let known = "authorization: Bearer x\r\n";
    for (headers, status) in [("", "503"), (known, "200")] {
        let answer = get(&mut server.connect().await, "/small", headers).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    server.events.go.notify_one();
}

/// A body that does not come keeps nobody else's turn, and not its own place.
#[tokio::test(start_paused = true)]
async fn a_strangers_body_is_waited_for_without_a_turn_and_not_long() {
    let limits = Limits { stranger_requests: 1, stranger_body_bytes: 100, ..Limits::default() };
    let server = start_plain(limits).await;
    let post =
        |length: usize| format!("POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let mut waiting = server.connect().await;
    waiting.write_all(post(10).as_bytes()).await.unwrap();
    let answered = async |request: Vec<u8>| {
        let mut stream = server.connect().await;
        stream.write_all(&request).await.unwrap();
        let mut answer = vec![0; 4_096];
        let count = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..count]).into_owned()
    };
    let whole = [post(100).into_bytes(), vec![b'x'; 100]].concat();
    assert!(answered(whole).await.ends_with("100"));
    // However much more it is, one byte more is enough to know it.
    let larger = [post(5_000).into_bytes(), vec![b'x'; 5_000]].concat();
    assert!(answered(larger).await.ends_with("101"));
    let begun = tokio::time::Instant::now();
    assert!(answered(post(5_000_000).into_bytes()).await.ends_with("101"));
    assert!(begun.elapsed() < limits.stranger_body);
    let mut answer = vec![0; 12];
    waiting.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_of_an_answer_ends() {
    let server = start_plain(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /huge HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let begun = tokio::time::Instant::now();
    // The server's end is the only thing that a write can find out.
    while stream.write_all(b"GET /huge HTTP/1.1\r\n").await.is_ok() {
        // polls: the clock is paused, so nobody waits.
        tokio::time::sleep(Limits::default().send / 10).await;
        assert!(begun.elapsed() < Limits::default().send * 5, "still there");
    }
    assert!(begun.elapsed() >= Limits::default().send);
}

/// Pings are no sign of life here: they are answered while the window of an
/// answer stays closed.
#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_the_window_of_an_answer_is_cut() {
    let certificate = Certificate::new();
    let day = std::time::Duration::from_secs(86_400);
    let limits = Limits { ping_every: day, ..Limits::default() };
    let server = start(limits, SocketLimits::default(), Some(certificate.acceptor())).await;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = certificate.connector(&[b"h2"]).connect(name, server.connect().await).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .initial_stream_window_size(1 << 10)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let body = http_body_util::Empty::<hyper::body::Bytes>::new();
    let request = warp::http::Request::get("https://localhost/huge").body(body).unwrap();
    let begun = tokio::time::Instant::now();
    let answer = send.send_request(request).await.unwrap();
    let _ = tokio::time::timeout(day, connection).await.expect("it is cut");
    assert!((limits.send..day / 2).contains(&begun.elapsed()), "after {:?}", begun.elapsed());
    assert_eq!(answer.status(), 200);
}
