//! `duxue sync --watch` as a process: it says when it is in sync, stays, and
//! ends well when it is interrupted. A server thread speaks the protocol; the
//! test goes from one line of output to the next and waits for nothing else.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use duxue_client::store::Store;
use duxue_client_core::StorageTask;
use duxue_client_core::identity::Identity;
use duxue_protocol::wire::{self, Limits, Message, Metadata};
use tokio_tungstenite::tungstenite;

/// Answers one client's join, and then only listens until it leaves. Gives
/// whether the client joined.
fn serve(listener: &TcpListener) -> bool {
    let (stream, _) = listener.accept().unwrap();
    let mut socket = tungstenite::accept(stream).unwrap();
    let mut joined = false;
    while let Ok(frame) = socket.read() {
        let tungstenite::Message::Binary(bytes) = frame else { continue };
        if let Ok(Message::Join { sender_id, .. }) = wire::decode(&bytes, &Limits::default()) {
            joined = true;
            let peer = Message::Peer {
                sender_id: "server".to_owned(),
                metadata: Metadata::default(),
                selected_protocol_version: "1".to_owned(),
                target_id: sender_id,
            };
            socket.send(tungstenite::Message::binary(wire::encode(&peer))).unwrap();
        }
    }
    joined
}

#[test]
fn watching_goes_on_after_all_is_in_sync_and_ends_well_when_interrupted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || serve(&listener));
    let home = tempfile::tempdir().unwrap();
    let identity = Identity {
        server: format!("http://{address}"),
        token: "token".to_owned(),
        person: "li".parse().unwrap(),
        device: Some("pad".parse().unwrap()),
        expires_ms: i64::MAX,
        server_key: "00".repeat(32),
        clock_offset_ms: 0,
        device_secret: None,
    };
    let puts = vec![("identity".to_owned(), serde_json::to_vec(&identity).unwrap())];
    Store::open(home.path()).unwrap().run(&StorageTask::Write { puts, deletes: Vec::new() }).unwrap();

    let mut child = Command::new(env!("CARGO_BIN_EXE_duxue"))
        .args(["--json", "--home"])
        .arg(home.path())
        .args(["sync", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.as_mut().unwrap()).lines() {
        let notice: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let name = notice["notice"].as_str().unwrap_or_default().to_owned();
        said.push(name.clone());
        if name == "settled" {
            break;
        }
    }
    assert_eq!(said.last().map(String::as_str), Some("settled"), "{said:?}");
    assert!(said.contains(&"online".to_owned()), "{said:?}");
    assert!(child.try_wait().unwrap().is_none(), "it watches on");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    // Nothing waits, so that an interrupted watch is a success.
    assert!(child.wait().unwrap().success());
    assert!(server.join().unwrap(), "it had joined");
}
