//! Sessions: how they are opened, by password or by a device's key, whom a token
//! stands for, and how they end.

use std::sync::PoisonError;

use duxue_document::{DeviceId, PersonId};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::json;

use crate::audit::{By, event};
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::random;
use crate::store::Record;
use crate::transport::Source;

use super::rows::{SESSIONS, SessionRow};
use super::{
    Accounts, Caller, DESK_SESSION_MS, DEVICE_SESSION_MS, LONGEST_NAME, NewSession, TokenHash, hash_of,
};

impl Accounts {
    /// Logs in with name and password, from somewhere.
    ///
    /// # Errors
    /// `login.refused` for a wrong name or password; `login.too_many` after many
    /// failures for the name there; `login.sessions` or `journal.person_full` for
    /// who has opened as many sessions as anyone may.
    pub async fn login(
        &self,
        name: &str,
        password: String,
        source: Source,
        now_ms: i64,
    ) -> Result<NewSession, Fault> {
        if name.chars().count() > LONGEST_NAME {
            // Nobody has such a name, and what is counted is remembered.
            return Err(fault::login_refused());
        }
        {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(limit) = attempts.blocked(name, source, now_ms) {
                refused(limit);
                return Err(fault::login_too_many());
            }
            attempts.count(name, source, now_ms);
        }
        let person = self.read(|cache| cache.logins.get(name).and_then(|id| cache.people.get(id)).cloned());
        let hash = person.as_ref().and_then(|person| person.password.clone());
        let right = self.passwords.verify(password, hash).await?;
        let Some(person) = person.filter(|_| right) else {
            metrics::counter!("duxue_logins_refused_total").increment(1);
            let noted = self.attempts.lock().unwrap_or_else(PoisonError::into_inner).note(now_ms);
            if noted {
                // Whose name was tried, if it is anyone's: the name itself may
                // be a password in the wrong field.
                let tried = self.by_login(name);
                let refused = event("login.refused", &By::Stranger, now_ms, [("person", json!(tried))]);
                self.store.commit(vec![refused]).await?;
            }
            return Err(fault::login_refused());
        };
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).succeeded(name, source);
        self.open_session(
            &person.id,
            None,
            now_ms,
            vec![event("login", &By::Person(person.id.clone(), None), now_ms, [])],
        )
        .await
    }

    /// Random bytes (hex) that a device signs to open a new session. Unknown
    /// devices get one too.
    ///
    /// # Errors
    /// Only where the machine fails.
    pub fn challenge(&self, device: &DeviceId, now_ms: i64) -> Result<String, Fault> {
        Ok(random::hex(&self.challenges.make(device, now_ms)?))
    }

    /// Opens a session for a device that signed its challenge
    /// (`duxue-device-1 <device> <challenge>`).
    ///
    /// # Errors
    /// `device.refused` for whatever does not prove the device, or
    /// `journal.person_full` where its person has opened as many sessions as
    /// anyone may in a day.
    pub async fn device_session(
        &self,
        device: &DeviceId,
        challenge: &str,
        signature: &str,
        now_ms: i64,
    ) -> Result<NewSession, Fault> {
        let bytes = random::from_hex::<32>(challenge).ok_or_else(fault::device_refused)?;
        let row = self.device(device).filter(|row| row.revoked_ms.is_none());
        let row = row.ok_or_else(fault::device_refused)?;
        // By the device's own signature only, so that nobody else can use up
        // its challenge.
        let signed = verify_device(&row.public_key, device, challenge, signature);
        if !signed || !self.challenges.redeem(device, &bytes, now_ms) {
            return Err(fault::device_refused());
        }
        let by = By::Person(row.person.clone(), Some(device.clone()));
        let records = vec![event("device.session", &by, now_ms, [])];
        self.open_session(&row.person, Some(device.clone()), now_ms, records).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// What the store says.
    pub async fn logout(&self, token: &str, caller: &Caller, now_ms: i64) -> Result<(), Fault> {
        let hash = hash_of(token);
        let ended = event("logout", &By::from(caller), now_ms, []);
        self.store.commit(vec![SESSIONS.remove(&hash), ended]).await?;
        self.write(|cache| cache.sessions.remove(&hash));
        Ok(())
    }

    /// Who a token stands for, if it is valid now.
    #[must_use]
    pub fn caller(&self, token: &str, now_ms: i64) -> Option<Caller> {
        // The lookup is by hash, so its timing tells nothing about a token.
        let hash = hash_of(token);
        self.read(|cache| {
            let session = cache.sessions.get(&hash).filter(|session| session.expires_ms > now_ms)?;
            let device = session.device.as_ref().and_then(|device| cache.devices.get(device));
            if device.is_some_and(|device| device.revoked_ms.is_some()) {
                return None;
            }
            let person = cache.people.get(&session.person)?;
            Some(Caller {
                person: session.person.clone(),
                device: session.device.clone(),
                administrator: person.administrator,
                expires_ms: session.expires_ms,
            })
        })
    }

    /// The sessions that end because the device has another one now, oldest
    /// first.
    ///
    /// # Errors
    /// `login.sessions` where the person has as many as anyone may.
    fn make_room(
        &self,
        person: &PersonId,
        device: Option<&DeviceId>,
        now_ms: i64,
    ) -> Result<Vec<TokenHash>, Fault> {
        let mut own: Vec<(TokenHash, SessionRow)> = self.read(|cache| {
            let valid = |row: &SessionRow| row.person == *person && row.expires_ms > now_ms;
            cache
                .sessions
                .iter()
                .filter(|(_, row)| valid(row))
                .map(|(hash, row)| (*hash, row.clone()))
                .collect()
        });
        let all = own.len();
        own.retain(|(_, row)| device.is_some() && row.device.as_ref() == device);
        own.sort_by_key(|(_, row)| row.expires_ms);
        own.truncate((own.len() + 1).saturating_sub(self.limits.of_device));
        if all + 1 - own.len() > self.limits.of_person {
            refused("sessions_per_person");
            return Err(fault::too_many_sessions());
        }
        if !own.is_empty() {
            refused("sessions_per_device");
        }
        Ok(own.into_iter().map(|(hash, _)| hash).collect())
    }

    /// Opens a session, with what else is to be recorded.
    ///
    /// Log-ins that succeed are no failures, and a session that ends makes room
    /// for the next: without a bound of their own, one person who logs in and
    /// out would fill the journal. Only who has the password or the key counts
    /// here, so nobody is locked out by others.
    pub(super) async fn open_session(
        &self,
        person: &PersonId,
        device: Option<DeviceId>,
        now_ms: i64,
        mut records: Vec<Record>,
    ) -> Result<NewSession, Fault> {
        if !self.opened.allows(person, 1) {
            refused("sessions_opened_per_person");
            return Err(fault::journal_person_full());
        }
        let expires_ms = now_ms + if device.is_some() { DEVICE_SESSION_MS } else { DESK_SESSION_MS };
        let token = random::hex(&random::bytes::<32>()?);
        let hash = hash_of(&token);
        let row = SessionRow { person: person.clone(), device: device.clone(), expires_ms };
        records.push(SESSIONS.put(&hash, &row)?);
        let ended = self.make_room(person, device.as_ref(), now_ms)?;
        records.extend(ended.iter().map(|hash| SESSIONS.remove(hash)));
        self.opened.add(person, 1);
        self.store.commit(records).await?;
        self.write(|cache| {
            for hash in &ended {
                cache.sessions.remove(hash);
            }
            cache.sessions.insert(hash, row);
        });
        let administrator = self.person(person).is_some_and(|person| person.administrator);
        Ok(NewSession { token, caller: Caller { person: person.clone(), device, administrator, expires_ms } })
    }
}

/// The bytes that a device signs to open a session.
#[must_use]
pub fn device_statement(device: &DeviceId, challenge: &str) -> String {
    format!("duxue-device-1 {device} {challenge}")
}

fn verify_device(public_key: &str, device: &DeviceId, challenge: &str, signature: &str) -> bool {
    let key = random::from_hex::<32>(public_key).and_then(|key| VerifyingKey::from_bytes(&key).ok());
    let signature = random::from_hex::<64>(signature).map(|bytes| Signature::from_bytes(&bytes));
    let (Some(key), Some(signature)) = (key, signature) else { return false };
    key.verify_strict(device_statement(device, challenge).as_bytes(), &signature).is_ok()
}
