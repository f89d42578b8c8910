//! One client of the automerge-repo protocol: a WebSocket and the documents
//! that it syncs. Applies and answers like a real one, without automerge-repo's
//! pause of 100 ms between messages, so it is a harder client.

use std::collections::HashMap;
use std::time::Duration;

use automerge::sync::{Message as SyncMessage, State, SyncDoc};
use automerge::{Automerge, ChangeHash};
use duxue_document::DocumentId;
use duxue_protocol::wire::{self, Limits, Message as Wire, Metadata, PROTOCOL_VERSION};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Outcome;
use crate::documents::random_hex;

/// A peer may send a whole history in one frame.
const LIMITS: Limits = Limits { frame_bytes: 1 << 30, text_bytes: 1 << 16, depth: 16, items: 1 << 20 };
/// How long a connection may take to be greeted.
const GREETING: Duration = Duration::from_secs(20);

/// How a client reaches a server.
#[derive(Debug, Clone)]
pub struct Address {
    /// The server's port on loopback.
    pub port: u16,
    /// Where it takes WebSockets, `/` or `/sync`.
    pub path: &'static str,
    /// The log-in, for servers that know people.
    pub token: Option<String>,
}

/// A document as this client has it.
pub struct Copy {
    /// The document.
    pub doc: Automerge,
    /// What the server said about it.
    pub state: State,
    asked: bool,
    /// The server said that it does not have it.
    pub unavailable: bool,
}

impl Copy {
    /// Whether the server said that it has everything we have.
    #[must_use]
    pub fn acknowledged(&self) -> bool {
        match &self.state.their_heads {
            Some(heads) if !heads.is_empty() => {
                *heads == self.doc.get_heads() || self.doc.has_our_changes(&self.state)
            }
            _ => false,
        }
    }

    /// Whether the server said that it has this change.
    #[must_use]
    pub fn acknowledges(&self, hash: &ChangeHash) -> bool {
        let Some(heads) = &self.state.their_heads else { return false };
        // An ancestor of heads that are all known here is not among the
        // changes that come after them.
        heads.contains(hash)
            || heads.iter().all(|head| self.doc.get_change_meta_by_hash(head).is_some())
                && !self.doc.get_changes_meta(heads).iter().any(|meta| meta.hash == *hash)
    }
}

/// What one frame did.
pub enum Event {
    /// A document took part in the exchange; its heads before that.
    Synced(Vec<ChangeHash>),
    /// Something else.
    Other,
}

/// A connected client.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    name: String,
    server: String,
    /// The documents by id.
    pub copies: HashMap<DocumentId, Copy>,
    /// Bytes sent and received.
    pub bytes: (u64, u64),
    /// Frames sent and received.
    pub frames: (u64, u64),
}

impl Client {
    /// Connects and joins.
    ///
    /// # Errors
    /// What the socket or the server says.
    pub async fn connect(address: &Address) -> Outcome<Self> {
        match tokio::time::timeout(GREETING, Self::greeted(address)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no greeting within {GREETING:?}")),
        }
    }

    async fn greeted(address: &Address) -> Outcome<Self> {
        let stream = TcpStream::connect(("127.0.0.1", address.port)).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let query = address.token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default();
        let url = format!("ws://127.0.0.1:{}{}{query}", address.port, address.path);
        let config = WebSocketConfig::default().max_message_size(Some(1 << 30)).max_frame_size(Some(1 << 30));
        let upgrade = tokio_tungstenite::client_async_with_config(url, stream, Some(config));
        let (socket, _) = upgrade.await.map_err(|error| format!("upgrade: {error}"))?;
        let name = format!("bench-{}", random_hex());
        let mut client = Self {
            socket,
            name,
            server: String::new(),
            copies: HashMap::new(),
            bytes: (0, 0),
            frames: (0, 0),
        };
        let join = Wire::Join {
            sender_id: client.name.clone(),
            metadata: Metadata { storage_id: None, is_ephemeral: Some(true) },
            supported_protocol_versions: vec![PROTOCOL_VERSION.to_owned()],
        };
        client.send(&join).await?;
        loop {
            let frame = client.receive().await?;
            match wire::decode(&frame, &LIMITS).map_err(|error| error.to_string())? {
                Wire::Peer { sender_id, .. } => {
                    client.server = sender_id;
                    return Ok(client);
                }
                Wire::Error { message, .. } => return Err(format!("the server refuses: {message}")),
                _ => {}
            }
        }
    }

    async fn send(&mut self, message: &Wire) -> Outcome {
        let frame = wire::encode(message);
        self.bytes.0 += frame.len() as u64;
        self.frames.0 += 1;
        self.socket.send(Message::Binary(frame.into())).await.map_err(|error| format!("send: {error}"))
    }

    /// The next frame. May be dropped before it is done.
    ///
    /// # Errors
    /// When the socket ends.
    pub async fn receive(&mut self) -> Outcome<Vec<u8>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => {
                    self.bytes.1 += frame.len() as u64;
                    self.frames.1 += 1;
                    return Ok(frame.into());
                }
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map(|frame| format!("{} {}", frame.code, frame.reason));
                    return Err(format!("the server closed the socket: {}", why.unwrap_or_default()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("receive: {error}")),
                None => return Err("the server closed the socket".to_owned()),
            }
        }
    }

    /// Begins to sync a document; [`Client::push`] says the first word.
    pub fn open(&mut self, id: DocumentId, doc: Automerge) {
        self.copies.insert(id, Copy { doc, state: State::new(), asked: false, unavailable: false });
    }

    /// Says what is to be said about a document, if anything.
    ///
    /// # Errors
    /// When the socket ends.
    pub async fn push(&mut self, id: DocumentId) -> Outcome {
        let Some(copy) = self.copies.get_mut(&id) else { return Ok(()) };
        let Some(message) = copy.doc.generate_sync_message(&mut copy.state) else { return Ok(()) };
        let first = !std::mem::replace(&mut copy.asked, true);
        let empty = copy.doc.is_empty();
        let (sender_id, target_id) = (self.name.clone(), self.server.clone());
        let (document_id, data) = (id.to_string(), message.encode());
        let frame = if first && empty {
            Wire::Request { sender_id, target_id, document_id, data }
        } else {
            Wire::Sync { sender_id, target_id, document_id, data }
        };
        self.send(&frame).await
    }

    /// [`Client::push`] for every document.
    ///
    /// # Errors
    /// When the socket ends.
    pub async fn push_all(&mut self) -> Outcome {
        let ids: Vec<DocumentId> = self.copies.keys().copied().collect();
        for id in ids {
            self.push(id).await?;
        }
        Ok(())
    }

    /// Takes one frame in and answers it.
    ///
    /// # Errors
    /// When it makes no sense, or the server gives up.
    pub async fn handle(&mut self, frame: &[u8]) -> Outcome<Event> {
        match wire::decode(frame, &LIMITS).map_err(|error| error.to_string())? {
            Wire::Sync { document_id, data, .. } | Wire::Request { document_id, data, .. } => {
                let id = wire::document_id(&document_id).map_err(|error| error.to_string())?;
                let Some(copy) = self.copies.get_mut(&id) else { return Ok(Event::Other) };
                let before = copy.doc.get_heads();
                let message = SyncMessage::decode(&data).map_err(|error| format!("sync message: {error}"))?;
                copy.doc
                    .receive_sync_message(&mut copy.state, message)
                    .map_err(|error| format!("sync message: {error}"))?;
                self.push(id).await?;
                Ok(Event::Synced(before))
            }
            Wire::DocUnavailable { document_id, .. } => {
                let id = wire::document_id(&document_id).map_err(|error| error.to_string())?;
                if let Some(copy) = self.copies.get_mut(&id) {
                    copy.unavailable = true;
                }
                Ok(Event::Other)
            }
            Wire::Error { message, .. } => Err(format!("the server gives up: {message}")),
            _ => Ok(Event::Other),
        }
    }

    /// Takes in and answers until `done`.
    ///
    /// # Errors
    /// As for [`Client::handle`].
    pub async fn run_until(&mut self, done: impl Fn(&Self) -> bool) -> Outcome {
        while !done(self) {
            let frame = self.receive().await?;
            self.handle(&frame).await?;
        }
        Ok(())
    }

    /// Whether every document is acknowledged whole.
    #[must_use]
    pub fn all_acknowledged(&self) -> bool {
        self.copies.values().all(Copy::acknowledged)
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.socket.close(None)).await;
    }
}
