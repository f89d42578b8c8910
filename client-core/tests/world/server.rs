//! A server small enough to be obviously right: everything it accepts is
//! durable at once.

use std::collections::{BTreeMap, BTreeSet};

use automerge::sync::{self, SyncDoc};
use automerge::{ActorId, Automerge};
use duxue_client_core::identity::hex;
use duxue_client_core::{HttpAnswer, HttpBody, HttpRequest, Subject};
use duxue_document::{DocumentId, DocumentKind, PhotoHash, genesis};
use duxue_protocol::api::{DeviceSession, Login, ReceiptAnswer, ReceiptRequest, Role};
use duxue_protocol::problem::Problem;
use duxue_protocol::receipt::{PURPOSE, Receipt, Statement};
use duxue_protocol::scan::{self, ScanLimits};
use duxue_protocol::wire::{self, Limits, Message, Metadata};
use ed25519_dalek::{Signer, SigningKey};

use super::{Socket, packet, subject};

pub struct Server {
    pub up: bool,
    /// Answers log-ins with 503.
    pub busy: bool,
    /// Whether it gives the round to anybody.
    pub lists_round: bool,
    pub documents: BTreeMap<DocumentId, Automerge>,
    pub photos: BTreeMap<PhotoHash, Vec<u8>>,
    uploads: BTreeMap<String, (PhotoHash, u64, Vec<u8>)>,
    sessions: BTreeMap<Socket, Session>,
    key: SigningKey,
    /// Signs with another key, as an impostor would.
    pub forge: bool,
    /// Its receipts state no photo.
    pub forgets_photos: bool,
    /// The token that requests must carry.
    pub token: String,
    /// Larger frames are refused unread.
    pub frame_bytes: usize,
    /// What becomes of changes that come for a document.
    pub fates: BTreeMap<DocumentId, Fate>,
    /// Sends this change in every message about a document.
    pub unusable: BTreeMap<DocumentId, Vec<u8>>,
    /// Closes each connection after the greeting.
    pub closes: bool,
    /// Answers every request about these photos with 503.
    pub fails: BTreeSet<PhotoHash>,
    /// The connection that it just closed.
    pub closing: Option<Socket>,
    /// Changes kept outside the documents, with where they are listed.
    outside: BTreeMap<(DocumentId, String), Fate>,
    /// The messages that brought them.
    kept: Vec<(DocumentId, sync::Message)>,
    /// Why messages were refused whole.
    pub refused: Vec<&'static str>,
    /// Messages that brought changes.
    pub deliveries: usize,
    journal: u64,
    pub received_bytes: usize,
}

#[derive(Default)]
struct Session {
    peer: String,
    states: BTreeMap<DocumentId, sync::State>,
}

/// What becomes of changes in place of being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Kept outside until a supervisor decides; never answered.
    Held,
    /// Kept outside for good; never answered.
    LeftOut,
    /// Kept outside because it can never be applied; never answered.
    SetAside,
    /// Refused with this code; the connection is closed.
    Refused(&'static str),
}

/// A copy of what is durable.
pub struct Backup {
    documents: BTreeMap<DocumentId, Vec<u8>>,
    photos: BTreeMap<PhotoHash, Vec<u8>>,
}

impl Server {
    pub fn new() -> Self {
        let document = |kind: DocumentKind| {
            let Subject { round, school } = subject();
            let about = if kind == DocumentKind::County { round.as_str() } else { school.as_str() };
            let id = DocumentId::derive(&round, about, kind);
            (id, genesis::document(kind, ActorId::from([1_u8; 16])))
        };
        Self {
            up: true,
            busy: false,
            lists_round: true,
            documents: [
                DocumentKind::Survey,
                DocumentKind::Review,
                DocumentKind::Ruling,
                DocumentKind::County,
            ]
            .into_iter()
            .map(document)
            .collect(),
            photos: BTreeMap::new(),
            uploads: BTreeMap::new(),
            sessions: BTreeMap::new(),
            key: SigningKey::from_bytes(&[7; 32]),
            forge: false,
            forgets_photos: false,
            token: "token".to_owned(),
            frame_bytes: Limits::default().frame_bytes,
            fates: BTreeMap::new(),
            unusable: BTreeMap::new(),
            closes: false,
            fails: BTreeSet::new(),
            closing: None,
            outside: BTreeMap::new(),
            kept: Vec::new(),
            refused: Vec::new(),
            deliveries: 0,
            journal: 0,
            received_bytes: 0,
        }
    }

    pub fn public_key(&self) -> String {
        hex(self.key.verifying_key().as_bytes())
    }

    pub fn heads(&self) -> BTreeMap<DocumentId, BTreeSet<String>> {
        let heads = |doc: &Automerge| doc.get_heads().iter().map(|head| hex(&head.0)).collect();
        self.documents.iter().map(|(id, doc)| (*id, heads(doc))).collect()
    }

    pub fn backup(&self) -> Backup {
        Backup {
            documents: self.documents.iter().map(|(id, doc)| (*id, doc.save())).collect(),
            photos: self.photos.clone(),
        }
    }

    pub fn restore(&mut self, backup: Backup) {
        self.documents =
            backup.documents.into_iter().map(|(id, bytes)| (id, Automerge::load(&bytes).unwrap())).collect();
        self.photos = backup.photos;
        self.uploads.clear();
        self.sessions.clear();
    }

    /// A supervisor lets in what is held; gives what everyone is told.
    pub fn let_in(&mut self) -> Vec<(Socket, Vec<u8>)> {
        self.fates.clear();
        self.outside.clear();
        let mut frames = Vec::new();
        for (id, message) in std::mem::take(&mut self.kept) {
            let doc = self.documents.get_mut(&id).unwrap();
            doc.receive_sync_message(&mut sync::State::new(), message).unwrap();
            frames.extend(self.speak(id));
        }
        frames
    }

    /// Whether a change (hex) is kept outside a document.
    pub fn keeps_outside(&self, id: DocumentId, hash: &str) -> bool {
        self.outside.contains_key(&(id, hash.to_owned()))
    }

    /// A supervisor leaves out what is held.
    pub fn leave_out(&mut self) {
        self.decide(Fate::LeftOut);
    }

    /// What becomes of what is kept outside.
    pub fn decide(&mut self, decided: Fate) {
        self.outside.values_mut().for_each(|fate| *fate = decided);
    }

    pub fn opened(&mut self, socket: Socket) {
        self.sessions.insert(socket, Session::default());
    }

    pub fn closed(&mut self, socket: Socket) {
        self.sessions.remove(&socket);
    }

    pub fn frame(&mut self, socket: Socket, bytes: &[u8]) -> Vec<(Socket, Vec<u8>)> {
        let Some(session) = self.sessions.get_mut(&socket) else { return Vec::new() };
        if bytes.len() > self.frame_bytes {
            self.refused.push("frame.too_large");
            return self.refuse(socket, "frame.too_large", None);
        }
        match wire::decode(bytes, &Limits::default()).unwrap() {
            Message::Join { sender_id, .. } => {
                session.peer.clone_from(&sender_id);
                let peer = Message::Peer {
                    sender_id: "server".to_owned(),
                    metadata: Metadata::default(),
                    selected_protocol_version: "1".to_owned(),
                    target_id: sender_id,
                };
                self.closing = self.closes.then_some(socket);
                vec![(socket, wire::encode(&peer))]
            }
            Message::Sync { document_id, data, .. } => {
                let id: DocumentId = document_id.parse().unwrap();
                let Some(doc) = self.documents.get_mut(&id) else { return Vec::new() };
                // The real server's limits: above them it takes nothing.
                let report = match scan::scan_sync_message(&data, &ScanLimits::default(), &genesis::reserved)
                {
                    Ok(report) => report,
                    Err(error) => {
                        self.refused.push(error.code());
                        return self.refuse(socket, error.code(), Some(document_id));
                    }
                };
                let mut message = sync::Message::decode(&data).unwrap();
                let new: Vec<_> = report
                    .changes
                    .iter()
                    .map(|change| change.hash)
                    .filter(|hash| doc.get_change_meta_by_hash(hash).is_none())
                    .collect();
                self.deliveries += usize::from(!new.is_empty());
                // What cannot be applied is set aside, with what came with it.
                let clashes =
                    || doc.clone().receive_sync_message(&mut sync::State::new(), message.clone()).is_err();
                let fate = self.fates.get(&id).copied().or_else(|| clashes().then_some(Fate::SetAside));
                match fate.filter(|_| !new.is_empty()) {
                    Some(Fate::Refused(code)) => return self.refuse(socket, code, Some(document_id)),
                    Some(fate) => {
                        for hash in new {
                            self.outside.insert((id, hex(&hash.0)), fate);
                        }
                        self.kept.push((id, message.clone()));
                        // It would say again what it has, which is nothing new.
                        message.changes = sync::ChunkList::empty();
                        message.version = sync::MessageVersion::V1;
                        let state = session.states.entry(id).or_default();
                        doc.receive_sync_message(state, message).unwrap();
                        return Vec::new();
                    }
                    None => {}
                }
                // A repeated or late frame may not fit; a real server closes then.
                let state = session.states.entry(id).or_default();
                if doc.receive_sync_message(state, message).is_err() {
                    return Vec::new();
                }
                self.journal += 1;
                self.speak(id)
            }
            _ => Vec::new(),
        }
    }

    /// Says why, and closes.
    fn refuse(&mut self, socket: Socket, code: &str, document_id: Option<String>) -> Vec<(Socket, Vec<u8>)> {
        self.closing = Some(socket);
        let (sender_id, target_id, message) = (None, None, code.to_owned());
        let error = Message::Error { sender_id, message, target_id, document_id };
        vec![(socket, wire::encode(&error))]
    }

    /// To everyone who has the document open: the sender and the others.
    fn speak(&mut self, id: DocumentId) -> Vec<(Socket, Vec<u8>)> {
        let doc = &self.documents[&id];
        let mut frames = Vec::new();
        for (socket, session) in &mut self.sessions {
            let Some(state) = session.states.get_mut(&id) else { continue };
            if let Some(mut message) = doc.generate_sync_message(state) {
                if let Some(change) = self.unusable.get(&id) {
                    message.changes = vec![change.clone()].into();
                    message.version = sync::MessageVersion::V1;
                }
                let sync = Message::Sync {
                    sender_id: "server".to_owned(),
                    target_id: session.peer.clone(),
                    document_id: id.to_string(),
                    data: message.encode(),
                };
                frames.push((*socket, wire::encode(&sync)));
            }
        }
        frames
    }

    pub fn http(&mut self, request: &HttpRequest, part: &[u8], now_ms: i64) -> HttpAnswer {
        let path = request.url.strip_prefix("https://server.test").unwrap();
        let sent = request.headers.iter().find(|(name, _)| *name == "authorization");
        if sent.is_some_and(|(_, value)| *value != format!("Bearer {}", self.token)) {
            let problem = Problem::new("session.missing", "会话无效", "no such session");
            return answer_with(401, &[], serde_json::to_vec(&problem).unwrap());
        }
        match (request.method, path) {
            ("POST", "/api/challenges") if self.busy => answer_with(503, &[], Vec::new()),
            ("GET", "/api/rounds") => {
                let rounds = self.lists_round.then(|| packet(&[Role::Inspector]).round);
                answer_with(200, &[], serde_json::to_vec(&Vec::from_iter(rounds)).unwrap())
            }
            ("POST", "/api/receipts") => self.receipt(request, now_ms),
            ("POST", "/api/login") => self.login(request, now_ms),
            ("POST", "/api/challenges") => answer_with(200, &[], br#"{"challenge":"c0ffee"}"#.to_vec()),
            ("POST", "/api/device-sessions") => self.device_session(request, now_ms),
            ("GET", "/api/rounds/round-1/packet") => {
                answer_with(200, &[], serde_json::to_vec(&packet(&[Role::Inspector])).unwrap())
            }
            ("POST", "/api/files") => self.create(request),
            ("HEAD", path) => self.offset(path),
            ("PATCH", path) => self.append(path, request, part),
            other => panic!("unexpected request {other:?}"),
        }
    }

    /// Opens a session for whoever signs with the device's key.
    fn device_session(&mut self, request: &HttpRequest, now_ms: i64) -> HttpAnswer {
        let HttpBody::Json(text) = &request.body else { panic!("no body") };
        let asked: DeviceSession = serde_json::from_str(text).unwrap();
        let signed = format!("duxue-device-1 {} c0ffee", asked.device);
        let expected = SigningKey::from_bytes(&[9; 32]).sign(signed.as_bytes());
        if hex(&expected.to_bytes()) != asked.signature {
            let problem = Problem::new("session.refused", "签名不符", "wrong signature");
            return answer_with(403, &[], serde_json::to_vec(&problem).unwrap());
        }
        let session = serde_json::json!({
            "token": self.token, "person": format!("person-{}", asked.device), "device": asked.device,
            "expires_ms": now_ms + 1, "server_key": self.public_key(), "server_time_ms": now_ms,
        });
        answer_with(200, &[], session.to_string().into_bytes())
    }

    /// Everyone may log in; the person is called as the account.
    fn login(&self, request: &HttpRequest, now_ms: i64) -> HttpAnswer {
        let HttpBody::Json(text) = &request.body else { panic!("no body") };
        let login: Login = serde_json::from_str(text).unwrap();
        let session = serde_json::json!({
            "token": "token", "person": login.name, "device": null, "roles": [], "expires_ms": i64::MAX,
            "server_key": self.public_key(), "server_time_ms": now_ms,
        });
        answer_with(200, &[], session.to_string().into_bytes())
    }

    fn receipt(&self, request: &HttpRequest, now_ms: i64) -> HttpAnswer {
        let HttpBody::Json(text) = &request.body else { panic!("no body") };
        let asked: ReceiptRequest = serde_json::from_str(text).unwrap();
        let mut heads = BTreeMap::new();
        let mut missing_heads = BTreeMap::new();
        let (mut held_heads, mut left_out_heads) = (BTreeMap::new(), BTreeMap::new());
        let mut set_aside_heads = BTreeMap::new();
        for (id, claimed) in asked.heads {
            let doc = &self.documents[&id];
            let (here, missing): (BTreeSet<String>, BTreeSet<String>) = claimed
                .into_iter()
                .partition(|head| doc.get_change_meta_by_hash(&head.parse().unwrap()).is_some());
            heads.insert(id, here);
            let of = |fate: Fate| {
                missing
                    .iter()
                    .filter(|head| self.outside.get(&(id, (*head).clone())) == Some(&fate))
                    .cloned()
                    .collect::<BTreeSet<String>>()
            };
            let (held, left_out, set_aside) = (of(Fate::Held), of(Fate::LeftOut), of(Fate::SetAside));
            let missing: BTreeSet<String> = &(&(&missing - &held) - &left_out) - &set_aside;
            held_heads.insert(id, held);
            left_out_heads.insert(id, left_out);
            set_aside_heads.insert(id, set_aside);
            if !missing.is_empty() {
                missing_heads.insert(id, missing);
            }
        }
        let (photos, missing_photos) =
            asked.photos.into_iter().partition(|photo| self.photos.contains_key(photo));
        let photos = if self.forgets_photos { BTreeSet::new() } else { photos };
        let statement = Statement {
            purpose: PURPOSE.to_owned(),
            server_time_ms: now_ms,
            journal: self.journal,
            heads,
            photos,
        };
        let key = if self.forge { SigningKey::from_bytes(&[8; 32]) } else { self.key.clone() };
        let receipt = Receipt::sign(&statement, &key).unwrap();
        let answer = ReceiptAnswer {
            receipt,
            missing_heads,
            held_heads,
            left_out_heads,
            set_aside_heads,
            missing_photos,
        };
        answer_with(200, &[], serde_json::to_vec(&answer).unwrap())
    }

    fn create(&mut self, request: &HttpRequest) -> HttpAnswer {
        use base64::Engine;
        let header = |name: &str| {
            request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str()).unwrap()
        };
        let length: u64 = header("upload-length").parse().unwrap();
        let hash =
            header("upload-metadata").split(',').find_map(|pair| pair.strip_prefix("sha256 ")).unwrap();
        let hash = base64::engine::general_purpose::STANDARD.decode(hash).unwrap();
        let photo: PhotoHash = String::from_utf8(hash).unwrap().parse().unwrap();
        if self.fails.contains(&photo) {
            return answer_with(503, &[], Vec::new());
        }
        let path = format!("/api/files/{}", self.uploads.len());
        self.uploads.insert(path.clone(), (photo, length, Vec::new()));
        answer_with(201, &[("location", path)], Vec::new())
    }

    fn offset(&self, path: &str) -> HttpAnswer {
        match self.uploads.get(path) {
            Some((_, _, bytes)) => {
                answer_with(200, &[("upload-offset", bytes.len().to_string())], Vec::new())
            }
            None => answer_with(404, &[], Vec::new()),
        }
    }

    fn append(&mut self, path: &str, request: &HttpRequest, part: &[u8]) -> HttpAnswer {
        let Some((photo, length, bytes)) = self.uploads.get_mut(path) else {
            return answer_with(404, &[], Vec::new());
        };
        let offset = request.headers.iter().find(|(name, _)| *name == "upload-offset").unwrap();
        if offset.1.parse() != Ok(bytes.len()) {
            return answer_with(409, &[], Vec::new());
        }
        bytes.extend_from_slice(part);
        self.received_bytes += part.len();
        if bytes.len() as u64 == *length {
            assert_eq!(PhotoHash::of(bytes), *photo, "what arrived is what was taken");
            self.photos.insert(*photo, bytes.clone());
        }
        answer_with(204, &[("upload-offset", bytes.len().to_string())], Vec::new())
    }
}

fn answer_with(status: u16, headers: &[(&str, String)], body: Vec<u8>) -> HttpAnswer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    HttpAnswer { status, headers, body }
}
