//! People, devices, sessions: log-in by password for desks, by a one-time
//! code and a key of its own for devices. Tokens and codes are stored hashed.

pub mod attempts;
mod challenges;
pub mod password;
pub mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use duxue_document::{DeviceId, PersonId, RoundId, SchoolId};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::audit::{By, event};
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::policy::Service;
use crate::random;
use crate::rounds::Rounds;
use crate::rounds::rows::AssignmentRow;
use crate::store::{Record, Store, StoreError};
use crate::transport::Source;
use attempts::Attempts;
use challenges::Challenges;
use password::Passwords;
use rows::{CODES, Code, DEVICES, Device, PEOPLE, Person, SESSIONS, SessionRow};

/// How long a desk's session lasts.
pub const DESK_SESSION_MS: i64 = 12 * 60 * 60 * 1000;
/// How long a device's session lasts; it proves itself by its key for the next.
pub const DEVICE_SESSION_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How long an enrolment code may be used.
pub const CODE_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest name of a person or device, in characters.
const LONGEST_NAME: usize = 100;

type TokenHash = [u8; 32];

/// How many sessions there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of one device; the oldest end.
    pub of_device: usize,
    /// Of one person, over all devices and desks; more are refused.
    pub of_person: usize,
    /// Of log-ins that failed.
    pub attempts: attempts::Limits,
}

/// Who speaks: the person of a valid token, and the device if it is enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub person: PersonId,
    /// The device.
    pub device: Option<DeviceId>,
    /// Whether the person operates the server.
    pub administrator: bool,
    /// When the token stops working.
    pub expires_ms: i64,
}

/// A new session with its token, which is shown once.
#[derive(Clone)]
pub struct NewSession {
    /// The token.
    pub token: String,
    /// What the token stands for.
    pub caller: Caller,
}

/// A person to be added.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// The id; random if absent.
    pub id: Option<PersonId>,
    /// The name as shown.
    pub name: String,
    /// Name and password for logging in.
    pub login: Option<(String, String)>,
    /// Whether the person operates the server.
    pub administrator: bool,
}

#[derive(Default)]
struct Cache {
    people: BTreeMap<PersonId, Person>,
    logins: BTreeMap<String, PersonId>,
    devices: BTreeMap<DeviceId, Device>,
    sessions: HashMap<TokenHash, SessionRow>,
    codes: HashMap<TokenHash, Code>,
}

/// All accounts; reading is from memory, writing goes through the store first.
pub struct Accounts {
    store: Arc<dyn Store>,
    cache: RwLock<Cache>,
    /// Held from the check to the commit, so that a code or a login name is
    /// given out once.
    writing: tokio::sync::Mutex<()>,
    attempts: Mutex<Attempts>,
    challenges: Challenges,
    passwords: Passwords,
    limits: Limits,
}

impl Accounts {
    /// Reads all accounts from the store.
    ///
    /// # Errors
    /// What the store says.
    pub async fn load(store: Arc<dyn Store>, limits: Limits) -> Result<Self, StoreError> {
        let mut cache = Cache::default();
        for (_, person) in PEOPLE.rows(&*store, b"").await? {
            cache.add_person(person);
        }
        for (_, device) in DEVICES.rows(&*store, b"").await? {
            cache.devices.insert(device.id.clone(), device);
        }
        for (key, session) in SESSIONS.rows(&*store, b"").await? {
            cache.sessions.insert(hash_key(key)?, session);
        }
        for (key, code) in CODES.rows(&*store, b"").await? {
            cache.codes.insert(hash_key(key)?, code);
        }
        Ok(Self {
            store,
            cache: RwLock::new(cache),
            writing: tokio::sync::Mutex::new(()),
            attempts: Mutex::new(Attempts::new(limits.attempts)),
            challenges: Challenges::new().map_err(|_| StoreError::Io("no randomness".to_owned()))?,
            passwords: Passwords::default(),
            limits,
        })
    }

    /// Whether nobody has an account yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read(|cache| cache.people.is_empty())
    }

    /// A person's account.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<Person> {
        self.read(|cache| cache.people.get(id).cloned())
    }

    /// The person who logs in under this name.
    #[must_use]
    pub fn by_login(&self, login: &str) -> Option<PersonId> {
        self.read(|cache| cache.logins.get(login).cloned())
    }

    /// Everyone, by id.
    #[must_use]
    pub fn people(&self) -> Vec<Person> {
        self.read(|cache| cache.people.values().cloned().collect())
    }

    /// Every enrolled device, revoked ones too.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        self.read(|cache| cache.devices.values().cloned().collect())
    }

    /// An enrolled device.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<Device> {
        self.read(|cache| cache.devices.get(id).cloned())
    }

    /// Takes a device's right to speak for its person: no session of it stands
    /// any more, and its key opens no other. What it delivered stays. A second
    /// time changes nothing.
    ///
    /// # Errors
    /// `not_found` for an unknown device, or what the store says.
    pub async fn revoke(&self, id: &DeviceId, by: &By, now_ms: i64) -> Result<(), Fault> {
        let _writing = self.writing.lock().await;
        let mut device = self.device(id).ok_or_else(fault::not_found)?;
        if device.revoked_ms.is_some() {
            return Ok(());
        }
        device.revoked_ms = Some(now_ms);
        let details = [("device", json!(device.id)), ("person", json!(device.person))];
        let records = vec![
            DEVICES.put(device.id.as_str().as_bytes(), &device)?,
            event("device.revoked", by, now_ms, details),
        ];
        self.store.commit(records).await?;
        self.write(|cache| cache.devices.insert(device.id.clone(), device));
        Ok(())
    }

    /// Adds a person.
    ///
    /// # Errors
    /// `exists` for an id or login name in use, `request.invalid` for names or
    /// passwords that do not fit.
    pub async fn add_person(&self, new: NewPerson, by: &By, now_ms: i64) -> Result<Person, Fault> {
        let _writing = self.writing.lock().await;
        let name = checked_name(&new.name)?;
        let id = match new.id {
            Some(id) => id,
            None => random_id("p-")?,
        };
        // As it will be stored: one with blanks around it is the same name.
        let login = match new.login {
            Some((login, password)) => Some((checked_name(&login)?, password)),
            None => None,
        };
        let taken = self.read(|cache| {
            cache.people.contains_key(&id)
                || login.as_ref().is_some_and(|(login, _)| cache.logins.contains_key(login))
        });
        if taken {
            return Err(fault::exists());
        }
        let (login, password) = match login {
            Some((login, password)) => (Some(login), Some(self.passwords.hash(password).await?)),
            None => (None, None),
        };
        let person = Person { id, name, login, password, administrator: new.administrator };
        let records = vec![
            PEOPLE.put(person.id.as_str().as_bytes(), &person)?,
            event(
                "person.added",
                by,
                now_ms,
                [("person", json!(person.id)), ("administrator", json!(person.administrator))],
            ),
        ];
        self.store.commit(records).await?;
        self.write(|cache| cache.add_person(person.clone()));
        Ok(person)
    }

    /// Logs in with name and password, from somewhere.
    ///
    /// # Errors
    /// `login.refused` for every reason but one: `login.too_many` after many
    /// failures for the name there.
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
            if attempts.blocked(name, source, now_ms) {
                refused("login_failures");
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

    /// Whether the caller may give a device to someone who is known already: a
    /// device speaks with all rights of its person, also with those that have
    /// ended, so they must not reach further than what the caller could give.
    #[must_use]
    pub fn may_enrol(&self, rounds: &Rounds, caller: &Caller, person: &PersonId) -> bool {
        let account = self.person(person);
        let device_only = account.is_some_and(|account| account.login.is_none() && !account.administrator);
        caller.administrator || (device_only && rounds.may_assign_all(caller, person))
    }

    /// Makes a one-time code with which a device of the person joins.
    ///
    /// # Errors
    /// What the store says.
    pub async fn new_code(
        &self,
        rounds: &Rounds,
        by: &Caller,
        person: &PersonId,
        round: &RoundId,
        schools: BTreeSet<SchoolId>,
        now_ms: i64,
    ) -> Result<(String, i64), Fault> {
        let code = random::hex(&random::bytes::<16>()?);
        let row = Code {
            person: person.clone(),
            round: round.clone(),
            schools,
            by: Some(by.person.clone()),
            turns: rounds.turns(person),
            expires_ms: now_ms + CODE_MS,
        };
        let hash = hash_of(&code);
        let made = event("enrolment.code", &By::from(by), now_ms, code_details(&row));
        let records = vec![CODES.put(&hash, &row)?, made];
        self.store.commit(records).await?;
        let expires_ms = row.expires_ms;
        self.write(|cache| cache.codes.insert(hash, row));
        Ok((code, expires_ms))
    }

    /// A device joins with its code: the code is used up, the device is known,
    /// and the person is assigned to the code's schools, in one commit.
    ///
    /// Rights are those of this moment: a code whose maker could no longer make
    /// it, or whose person has lost or changed a role since, is used up too.
    ///
    /// # Errors
    /// `enrol.refused` for a code that is unknown, used, too old or overtaken;
    /// `request.invalid` for a key or name that does not fit.
    pub async fn enrol(
        &self,
        rounds: &Rounds,
        code: &str,
        public_key: &str,
        device_name: &str,
        now_ms: i64,
    ) -> Result<NewSession, Fault> {
        let _writing = self.writing.lock().await;
        let name = checked_name(device_name)?;
        let key = random::from_hex::<32>(public_key)
            .filter(|key| VerifyingKey::from_bytes(key).is_ok())
            .ok_or_else(|| fault::invalid().with_detail("public_key"))?;
        let hash = hash_of(code);
        let row = self
            .read(|cache| cache.codes.get(&hash).cloned())
            .filter(|row| row.expires_ms > now_ms)
            .ok_or_else(fault::code_refused)?;
        let device = Device {
            id: random_id("d-")?,
            person: row.person.clone(),
            name,
            public_key: random::hex(&key),
            enrolled_ms: now_ms,
            revoked_ms: None,
        };
        let _unchanged = rounds.hold_writes().await;
        if !self.stands(rounds, &row) {
            let refused = event("enrolment.refused", &By::Stranger, now_ms, code_details(&row));
            self.store.commit(vec![CODES.remove(&hash), refused]).await?;
            self.write(|cache| cache.codes.remove(&hash));
            return Err(fault::code_refused());
        }
        let by = By::Person(row.person.clone(), Some(device.id.clone()));
        let mut records = vec![
            CODES.remove(&hash),
            DEVICES.put(device.id.as_str().as_bytes(), &device)?,
            event("enrolled", &by, now_ms, code_details(&row)),
        ];
        let assignment = rounds.assignment_added(&row.round, &row.person, &row.schools)?;
        if let Some(row) = &assignment {
            records.push(row.record()?);
        }
        let session = self.open_session(&row.person, Some(device.id.clone()), now_ms, records).await?;
        self.write(|cache| {
            cache.codes.remove(&hash);
            cache.devices.insert(device.id.clone(), device);
        });
        if let Some(row) = assignment {
            rounds.assigned(row);
        }
        Ok(session)
    }

    /// Whether a code may still be redeemed, by the assignments of now.
    fn stands(&self, rounds: &Rounds, code: &Code) -> bool {
        let maker = code.by.as_ref().and_then(|by| self.person(by));
        let Some((maker, round)) = maker.zip(rounds.get(&code.round)) else { return false };
        let maker =
            Caller { person: maker.id, device: None, administrator: maker.administrator, expires_ms: 0 };
        rounds.turns(&code.person) == code.turns
            && round.may(&maker, Service::Assign)
            && self.may_enrol(rounds, &maker, &code.person)
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
    /// `device.refused` for every reason.
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

    async fn open_session(
        &self,
        person: &PersonId,
        device: Option<DeviceId>,
        now_ms: i64,
        mut records: Vec<Record>,
    ) -> Result<NewSession, Fault> {
        let expires_ms = now_ms + if device.is_some() { DEVICE_SESSION_MS } else { DESK_SESSION_MS };
        let token = random::hex(&random::bytes::<32>()?);
        let hash = hash_of(&token);
        let row = SessionRow { person: person.clone(), device: device.clone(), expires_ms };
        records.push(SESSIONS.put(&hash, &row)?);
        let ended = self.make_room(person, device.as_ref(), now_ms)?;
        records.extend(ended.iter().map(|hash| SESSIONS.remove(hash)));
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

    /// Forgets what has expired; called now and then.
    ///
    /// # Errors
    /// What the store says.
    pub async fn expire(&self, now_ms: i64) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let (sessions, codes) = self.read(|cache| {
            let sessions = cache.sessions.iter().filter(|(_, row)| row.expires_ms <= now_ms);
            let codes = cache.codes.iter().filter(|(_, row)| row.expires_ms <= now_ms);
            let hashes = |(hash, _): (&TokenHash, _)| *hash;
            (
                sessions.map(|(hash, _)| *hash).collect::<Vec<_>>(),
                codes.map(|(k, v)| hashes((k, v))).collect::<Vec<_>>(),
            )
        });
        let mut records: Vec<Record> = sessions.iter().map(|hash| SESSIONS.remove(hash)).collect();
        records.extend(codes.iter().map(|hash| CODES.remove(hash)));
        if records.is_empty() {
            return Ok(());
        }
        self.store.commit(records).await?;
        self.write(|cache| {
            for hash in &sessions {
                cache.sessions.remove(hash);
            }
            for hash in &codes {
                cache.codes.remove(hash);
            }
        });
        Ok(())
    }

    fn read<T>(&self, look: impl FnOnce(&Cache) -> T) -> T {
        look(&self.cache.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Cache) -> T) -> T {
        change(&mut self.cache.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Cache {
    fn add_person(&mut self, person: Person) {
        if let Some(login) = &person.login {
            self.logins.insert(login.clone(), person.id.clone());
        }
        self.people.insert(person.id.clone(), person);
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

fn checked_name(name: &str) -> Result<String, Fault> {
    let name = name.trim();
    let fits = (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned()).ok_or_else(|| fault::invalid().with_detail("name"))
}

/// A random id with a prefix that says what it names.
fn random_id<T: std::str::FromStr>(prefix: &str) -> Result<T, Fault> {
    format!("{prefix}{}", random::hex(&random::bytes::<10>()?)).parse().map_err(|_| fault::internal())
}

fn hash_of(secret: &str) -> TokenHash {
    Sha256::digest(secret.as_bytes()).into()
}

fn hash_key(key: Vec<u8>) -> Result<TokenHash, StoreError> {
    key.try_into().map_err(|_| StoreError::Damaged("a key of the sessions or codes table".to_owned()))
}

/// What the audit log says of a code.
fn code_details(code: &Code) -> [(&'static str, serde_json::Value); 4] {
    [
        ("person", json!(code.person)),
        ("round", json!(code.round)),
        ("schools", json!(code.schools)),
        ("made_by", json!(code.by)),
    ]
}

impl AssignmentRow {
    fn record(&self) -> Result<Record, StoreError> {
        crate::rounds::rows::ASSIGNMENTS.put(&self.key(), self)
    }
}
