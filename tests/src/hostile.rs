//! Bytes as an attacker writes them, and a socket to send them on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use automerge::sync;
use duxue_document::DocumentId;
use duxue_protocol::wire::{self, Limits, Message as Wire, Metadata};
use futures_util::{SinkExt, StreamExt};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or(0));
    bytes
}

/// Signed LEB128 of a number that is not negative.
fn signed(value: u64) -> Vec<u8> {
    let mut bytes = number(value);
    if bytes.last().is_some_and(|byte| byte & 0x40 != 0) {
        let last = bytes.len() - 1;
        bytes[last] |= 0x80;
        bytes.push(0);
    }
    bytes
}

/// An Automerge chunk with `data`, whose checksum is that of `contents` as a
/// chunk of the kind `hashed_as`.
#[must_use]
pub fn chunk(kind: u8, data: &[u8], hashed_as: u8, contents: &[u8]) -> Vec<u8> {
    let head = [vec![hashed_as], number(contents.len() as u64)].concat();
    let hash = Sha256::new().chain_update(head).chain_update(contents).finalize();
    let length = number(data.len() as u64);
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &[kind], length.as_slice(), data].concat()
}

/// A change of about a hundred bytes that states so many operations: each of
/// its columns is one run.
#[must_use]
pub fn short_change_of(operations: u64) -> Vec<u8> {
    let run = |value: u8| [signed(operations), vec![value]].concat();
    let nulls = [vec![0], number(operations)].concat();
    // Key (a run of one name), insert, action, value metadata, predecessors.
    let key = [signed(operations), vec![1, b'k']].concat();
    let columns: [(u8, Vec<u8>); 6] = [
        (0x01, nulls.clone()),
        (0x02, nulls),
        (0x15, key),
        (0x34, number(operations)),
        (0x42, run(1)),
        (0x70, run(0)),
    ];
    let mut body = [vec![0, 16], vec![7; 16], vec![1, 1, 0, 0, 0]].concat();
    body.extend(number(columns.len() as u64));
    for (spec, contents) in &columns {
        body.push(*spec);
        body.extend(number(contents.len() as u64));
    }
    columns.iter().for_each(|(_, contents)| body.extend(contents));
    chunk(1, &body, 1, &body)
}

/// A sync message that brings these chunks unasked.
#[must_use]
pub fn message(chunks: &[Vec<u8>]) -> Vec<u8> {
    sync::Message {
        heads: Vec::new(),
        need: Vec::new(),
        have: Vec::new(),
        changes: sync::ChunkList::from(chunks.to_vec()),
        flags: None,
        version: sync::MessageVersion::V1,
    }
    .encode()
}

/// A joined socket that may then say anything.
pub struct Attacker {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    name: String,
}

impl Attacker {
    /// Opens a socket and joins.
    ///
    /// # Panics
    /// If the server does not welcome it.
    pub async fn join(address: SocketAddr, token: &str, name: &str) -> Self {
        Self::try_join(address, token, name).await.expect("a welcome")
    }

    /// The same; nothing where the server is away or does not welcome it.
    pub async fn try_join(address: SocketAddr, token: &str, name: &str) -> Option<Self> {
        let url = format!("ws://{address}/sync?token={token}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.ok()?;
        let mut attacker = Self { socket, name: name.to_owned() };
        attacker.join_again().await;
        matches!(attacker.hear().await, Some(Wire::Peer { .. })).then_some(attacker)
    }

    /// Sends a join, which is right once.
    pub async fn join_again(&mut self) {
        let join = Wire::Join {
            sender_id: self.name.clone(),
            metadata: Metadata::default(),
            supported_protocol_versions: vec!["1".to_owned()],
        };
        self.send(Message::Binary(wire::encode(&join).into())).await;
    }

    /// Sends anything.
    pub async fn send(&mut self, message: Message) {
        // The server may have closed already; what it said is read next.
        let _ = self.socket.send(message).await;
    }

    /// Sends a sync message for a document.
    pub async fn sync(&mut self, document: DocumentId, data: Vec<u8>) {
        let frame = Wire::Sync {
            sender_id: self.name.clone(),
            target_id: "server".to_owned(),
            document_id: document.to_string(),
            data,
        };
        self.send(Message::Binary(wire::encode(&frame).into())).await;
    }

    /// The next frame; nothing once the socket has ended.
    pub async fn hear(&mut self) -> Option<Wire> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Binary(frame)) => return wire::decode(&frame, &Limits::default()).ok(),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The code with which the server ends the connection.
    pub async fn told(&mut self) -> Option<String> {
        while let Some(message) = self.hear().await {
            if let Wire::Error { message, .. } = message {
                return Some(message);
            }
        }
        None
    }
}

/// The most memory that the server on a data folder has used, in KiB; `None`
/// where the system does not tell.
#[must_use]
pub fn peak_memory_kib(data: &Path) -> Option<u64> {
    memory_kib(&server_on(data)?, "VmHWM:")
}

/// The memory that the server on a data folder uses now, in KiB; `None` where
/// the system does not tell.
#[must_use]
pub fn resident_memory_kib(data: &Path) -> Option<u64> {
    memory_kib(&server_on(data)?, "VmRSS:")
}

/// The most memory that this process has used, in KiB; `None` where the system
/// does not tell.
#[must_use]
pub fn own_peak_memory_kib() -> Option<u64> {
    memory_kib(Path::new("/proc/self"), "VmHWM:")
}

fn server_on(data: &Path) -> Option<PathBuf> {
    let data = data.to_str()?;
    let processes = std::fs::read_dir("/proc").ok()?;
    let own = processes.flatten().find(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = command.split(|byte| *byte == 0);
        words.next().is_some_and(|name| name.ends_with(b"duxue-server"))
            && words.any(|word| word == data.as_bytes())
    })?;
    Some(own.path())
}

fn memory_kib(process: &Path, what: &str) -> Option<u64> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    line.split_whitespace().next()?.parse().ok()
}
