//! Joining a server, logging in, fetching the work packet.

use ed25519_dalek::SigningKey;
use serde::de::DeserializeOwned;

use duxue_document::{PhotoHash, RoundId};
use duxue_protocol::api::{Enrol, Login, RoundSummary, Session, WorkPacket};

use crate::command::Reply;
use crate::engine::{Engine, Pending, Turn, json};
use crate::error::CommandError;
use crate::event::{CommandId, HttpAnswer, HttpBody, HttpError, HttpRequest, Key};
use crate::identity::{self, Identity};
use crate::packet::Packet;
use crate::receipts::Claimed;
use crate::{keys, photo};

/// What an HTTP answer is for.
pub enum Errand {
    /// A session, from enrolment or log-in.
    Session { id: CommandId, server: String, device_secret: Option<String> },
    /// The list of rounds.
    Rounds { id: CommandId },
    /// A packet, and the rounds still to fetch.
    Packet { id: CommandId, round: RoundId, fetching: Fetching },
    /// Bytes to sign for the next session.
    Challenge,
    /// The device's next session.
    DeviceSession,
    /// A receipt, asked for in this round of questions.
    Receipt { claimed: Claimed, round: u64 },
    /// An upload was created.
    PhotoCreated { photo: PhotoHash },
    /// The state of an upload.
    PhotoProgress { photo: PhotoHash, url: String },
}

/// Packets on their way.
pub struct Fetching {
    rest: Vec<RoundId>,
    fetched: Vec<WorkPacket>,
    /// Whether these are all rounds that the server has for this person.
    all: bool,
}

impl Engine {
    pub(crate) fn enrol(
        &mut self,
        id: CommandId,
        server: &str,
        code: String,
        device_name: String,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let server = identity::server_address(server).ok_or(CommandError::BadAddress)?;
        let secret = turn.random::<32>();
        let public_key = identity::hex(SigningKey::from_bytes(&secret).verifying_key().as_bytes());
        let body = Enrol { code, public_key, device_name };
        let request = post(format!("{server}/api/enrol"), &body);
        let errand = Errand::Session { id, server, device_secret: Some(identity::hex(&secret)) };
        self.http(request, errand, turn);
        Ok(())
    }

    pub(crate) fn login(
        &mut self,
        id: CommandId,
        server: &str,
        name: String,
        password: String,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let server = identity::server_address(server).ok_or(CommandError::BadAddress)?;
        let request = post(format!("{server}/api/login"), &Login { name, password });
        self.http(request, Errand::Session { id, server, device_secret: None }, turn);
        Ok(())
    }

    pub(crate) fn take_session(
        &mut self,
        id: CommandId,
        server: &str,
        session: Session,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let server = identity::server_address(server).ok_or(CommandError::BadAddress)?;
        self.keep_session(id, server, session, None, turn);
        Ok(())
    }

    pub(crate) fn forget_session(&mut self, id: CommandId, turn: &mut Turn) {
        // The only error is that nobody is logged in, which going offline does not need.
        let _ = self.go_online(false, turn);
        let puts = self.identity.as_mut().map(|identity| {
            identity.token.clear();
            identity.expires_ms = 0;
            (keys::IDENTITY.to_owned(), json(identity))
        });
        self.write(puts.into_iter().collect(), Vec::new(), Pending::Record(Some((id, Reply::Done))), turn);
    }

    pub(crate) fn fetch_packet(
        &mut self,
        id: CommandId,
        round: Option<RoundId>,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        match round {
            Some(round) => {
                let fetching = Fetching { rest: vec![round], fetched: Vec::new(), all: false };
                self.fetch_next(id, fetching, turn)
            }
            None => {
                let request = self.get("/api/rounds")?;
                self.http(request, Errand::Rounds { id }, turn);
                Ok(())
            }
        }
    }

    fn fetch_next(
        &mut self,
        id: CommandId,
        mut fetching: Fetching,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let Some(round) = fetching.rest.pop() else {
            self.keep_packets(id, fetching, turn);
            return Ok(());
        };
        let request = self.get(&format!("/api/rounds/{round}/packet"))?;
        self.http(request, Errand::Packet { id, round, fetching }, turn);
        Ok(())
    }

    fn get(&self, path: &str) -> Result<HttpRequest, CommandError> {
        let identity = self.identity.as_ref().ok_or(CommandError::NotLoggedIn)?;
        Ok(HttpRequest {
            method: "GET",
            url: format!("{}{path}", identity.server),
            headers: vec![("authorization", format!("Bearer {}", identity.token))],
            body: HttpBody::Empty,
        })
    }

    pub(crate) fn errand_done(
        &mut self,
        errand: Errand,
        result: Result<HttpAnswer, HttpError>,
        turn: &mut Turn,
    ) {
        match errand {
            Errand::Session { id, server, device_secret } => match read::<Session>(result) {
                Ok(session) => self.keep_session(id, server, session, device_secret, turn),
                Err(error) => turn.reply(id, Err(error)),
            },
            Errand::Rounds { id } => {
                let rounds = read::<Vec<RoundSummary>>(result);
                let next = rounds.and_then(|rounds| {
                    let rest = rounds.into_iter().map(|round| round.id).collect();
                    self.fetch_next(id, Fetching { rest, fetched: Vec::new(), all: true }, turn)
                });
                match next {
                    Ok(()) => {}
                    Err(CommandError::LoginNeeded) => self.session_ended(Some((id, None)), turn),
                    Err(error) => turn.reply(id, Err(error)),
                }
            }
            Errand::Packet { id, round, mut fetching } => {
                let next = read::<WorkPacket>(result).and_then(|packet| {
                    fetching.fetched.push(packet);
                    self.fetch_next(id, fetching, turn)
                });
                match next {
                    Ok(()) => {}
                    Err(CommandError::LoginNeeded) => self.session_ended(Some((id, Some(round))), turn),
                    Err(error) => turn.reply(id, Err(error)),
                }
            }
            Errand::Challenge => self.challenged(result, turn),
            Errand::DeviceSession => self.renewed(result, turn),
            Errand::Receipt { claimed, round } => self.receipt_answered(claimed, round, result, turn),
            Errand::PhotoCreated { photo } => self.photo_answered(photo, None, result, turn),
            Errand::PhotoProgress { photo, url } => self.photo_answered(photo, Some(&url), result, turn),
        }
    }

    fn keep_session(
        &mut self,
        id: CommandId,
        server: String,
        session: Session,
        device_secret: Option<String>,
        turn: &mut Turn,
    ) {
        // The server credits work to whoever delivers it. Work that was read
        // back from a rescue file is here before anyone has logged in.
        let other = match &self.identity {
            Some(known) => known.person != session.person,
            None => self.own_actors.values().any(|author| *author != session.person),
        };
        if other && self.has_undelivered() {
            return turn.reply(id, Err(CommandError::OtherPersonsWork));
        }
        let identity = Identity {
            server,
            token: session.token,
            person: session.person.clone(),
            device: session.device.clone(),
            expires_ms: session.expires_ms,
            server_key: session.server_key,
            clock_offset_ms: session.server_time_ms - turn.now_ms,
            device_secret,
        };
        let put = (keys::IDENTITY.to_owned(), json(&identity));
        let before = self.identity.replace(identity);
        let deletes = if before.is_some_and(|before| before.person != session.person) {
            // The server credits what comes over a connection to whoever opened it.
            self.open_link_anew(turn);
            // What was assigned to somebody else says nothing of this person.
            self.drop_packets(|_| true)
        } else {
            Vec::new()
        };
        let reply =
            Reply::Session { person: session.person, device: session.device, expires_ms: session.expires_ms };
        self.write(vec![put], deletes, Pending::Record(Some((id, reply))), turn);
    }

    /// Forgets packets; gives the keys to delete. What was captured stays.
    fn drop_packets(&mut self, which: impl Fn(&RoundId) -> bool) -> Vec<Key> {
        let gone: Vec<RoundId> = self.packets.keys().filter(|round| which(round)).cloned().collect();
        for round in &gone {
            self.packets.remove(round);
            self.readings.forget();
        }
        let documents = &self.documents;
        self.open.retain(|id| documents.get(id).is_none_or(|local| !gone.contains(&local.about.round)));
        gone.iter().map(keys::packet).collect()
    }

    fn keep_packets(&mut self, id: CommandId, fetching: Fetching, turn: &mut Turn) {
        let Fetching { fetched, all, .. } = fetching;
        let mut puts = Vec::new();
        let mut rounds = Vec::new();
        let mut schools = 0;
        for packet in fetched {
            if let Some(identity) = &mut self.identity {
                identity.clock_offset_ms = packet.server_time_ms - turn.now_ms;
                puts.push((keys::IDENTITY.to_owned(), json(identity)));
            }
            let round = packet.round.id.clone();
            schools += packet.schools.len();
            puts.push((keys::packet(&round), json(&packet)));
            if self.packets.get(&round).is_some_and(|known| !known.reads_as(&packet)) {
                self.readings.forget();
            }
            let known = self.packets.remove(&round);
            self.packets.insert(round.clone(), Packet::after(known, packet));
            rounds.push(round);
        }
        // A round that the server does not give any more is shown until what was
        // captured in it has arrived.
        let undelivered: Vec<RoundId> =
            self.packets.keys().filter(|round| self.has_undelivered_in(round)).cloned().collect();
        let deletes =
            self.drop_packets(|round| all && !rounds.contains(round) && !undelivered.contains(round));
        if self.link.is_open() {
            let subscribed = self.subscribed();
            self.dirty.extend(subscribed);
        }
        self.settled = false;
        let reply = Reply::Packets { rounds, schools };
        self.write(puts, deletes, Pending::Record(Some((id, reply))), turn);
    }
}

pub(crate) fn post<T: serde::Serialize>(url: String, body: &T) -> HttpRequest {
    let body = HttpBody::Json(String::from_utf8(json(body)).unwrap_or_default());
    HttpRequest { method: "POST", url, headers: Vec::new(), body }
}

pub(crate) fn read<T: DeserializeOwned>(result: Result<HttpAnswer, HttpError>) -> Result<T, CommandError> {
    let answer = result.map_err(|error| CommandError::Unreachable(Box::new(error.into_problem())))?;
    // A refused log-in says so by itself; this is a session that has ended.
    let refused = |body: &[u8]| photo::refusal(401, body).code == "session.missing";
    if answer.status == 401 && refused(&answer.body) {
        return Err(CommandError::LoginNeeded);
    }
    if !(200..300).contains(&answer.status) {
        return Err(CommandError::Refused(Box::new(photo::refusal(answer.status, &answer.body))));
    }
    duxue_protocol::json::read(&answer.body).map_err(|_| CommandError::BadAnswer)
}
