//! A device opens its next session by its own key, without asking anyone.

use ed25519_dalek::{Signer, SigningKey};

use duxue_document::RoundId;
use duxue_protocol::api::{Challenge, DeviceSession, NewChallenge, Session};

use crate::account::{Errand, post, read};
use crate::engine::{Engine, Pending, Turn, json};
use crate::error::CommandError;
use crate::event::{CommandId, HttpAnswer, HttpError, Notice};
use crate::identity::hex;
use crate::{keys, photo};

/// A server that refuses a session which it has just opened is not asked again
/// at once.
const NOT_AGAIN_MS: i64 = 60_000;

/// The renewal that is running, and when the last began.
#[derive(Default)]
pub struct Renewal {
    running: bool,
    begun_ms: Option<i64>,
    /// Packets to fetch when it is done.
    waiting: Vec<(CommandId, Option<RoundId>)>,
}

impl Engine {
    /// The server does not know the session any more. A command that met this
    /// is done again after the renewal.
    pub(crate) fn session_ended(&mut self, retry: Option<(CommandId, Option<RoundId>)>, turn: &mut Turn) {
        let device = self.identity.as_ref().and_then(|identity| {
            identity.device_secret.as_ref()?;
            Some((identity.server.clone(), identity.device.clone()?))
        });
        let recent = self.renewal.begun_ms.is_some_and(|begun| (turn.now_ms - begun).abs() < NOT_AGAIN_MS);
        match device {
            Some((server, device)) if self.renewal.running || !recent => {
                self.renewal.waiting.extend(retry);
                if !self.renewal.running {
                    self.renewal.running = true;
                    self.renewal.begun_ms = Some(turn.now_ms);
                    let request = post(format!("{server}/api/challenges"), &NewChallenge { device });
                    self.http(request, Errand::Challenge, turn);
                }
            }
            _ => self.login_needed(retry, turn),
        }
    }

    fn login_needed(&mut self, retry: Option<(CommandId, Option<RoundId>)>, turn: &mut Turn) {
        let failed = std::mem::take(&mut self.renewal.waiting);
        for (id, _) in failed.into_iter().chain(retry) {
            turn.reply(id, Err(CommandError::LoginNeeded));
        }
        turn.notice(Notice::LoginNeeded);
    }

    pub(crate) fn challenged(&mut self, result: Result<HttpAnswer, HttpError>, turn: &mut Turn) {
        let signed = read::<Challenge>(unless_busy(result)).and_then(|Challenge { challenge }| {
            let identity = self.identity.as_ref().ok_or(CommandError::NotLoggedIn)?;
            let (secret, device) = (
                identity.device_secret.as_deref(),
                identity.device.clone().ok_or(CommandError::NotLoggedIn)?,
            );
            let secret = secret.and_then(secret_key).ok_or(CommandError::LoginNeeded)?;
            let signature = secret.sign(format!("duxue-device-1 {device} {challenge}").as_bytes());
            let body = DeviceSession { device, challenge, signature: hex(&signature.to_bytes()) };
            Ok(post(format!("{}/api/device-sessions", identity.server), &body))
        });
        match signed {
            Ok(request) => self.http(request, Errand::DeviceSession, turn),
            Err(error) => self.renewal_failed(&error, turn),
        }
    }

    pub(crate) fn renewed(&mut self, result: Result<HttpAnswer, HttpError>, turn: &mut Turn) {
        let session = match read::<Session>(unless_busy(result)) {
            Ok(session) => session,
            Err(error) => return self.renewal_failed(&error, turn),
        };
        self.renewal.running = false;
        let Some(identity) = &mut self.identity else { return };
        identity.token = session.token;
        identity.expires_ms = session.expires_ms;
        identity.clock_offset_ms = session.server_time_ms - turn.now_ms;
        // The server key is the one of the enrolment and stays: a receipt of
        // another server would not be ours.
        let put = (keys::IDENTITY.to_owned(), json(identity));
        self.write(vec![put], Vec::new(), Pending::Record(None), turn);
        self.reconnect_now(turn);
        for (id, round) in std::mem::take(&mut self.renewal.waiting) {
            if let Err(error) = self.fetch_packet(id, round, turn) {
                turn.reply(id, Err(error));
            }
        }
    }

    fn renewal_failed(&mut self, error: &CommandError, turn: &mut Turn) {
        self.renewal.running = false;
        if let CommandError::Unreachable(_) = error {
            // Not refused: the next attempt may begin at once.
            self.renewal.begun_ms = None;
            for (id, _) in std::mem::take(&mut self.renewal.waiting) {
                turn.reply(id, Err(error.clone()));
            }
        } else {
            self.login_needed(None, turn);
        }
    }
}

/// A server that is busy, starting or failing has not refused the log-in: it
/// is as if it had not answered.
fn unless_busy(result: Result<HttpAnswer, HttpError>) -> Result<HttpAnswer, HttpError> {
    match result {
        Ok(answer) if matches!(answer.status, 408 | 425 | 429 | 500..=599) => {
            Err(HttpError::NoAnswer(photo::refusal(answer.status, &answer.body)))
        }
        result => result,
    }
}

fn secret_key(text: &str) -> Option<SigningKey> {
    let bytes: Option<Vec<u8>> =
        (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    Some(SigningKey::from_bytes(&bytes?.try_into().ok()?))
}
