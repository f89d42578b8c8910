//! People, devices, sessions: log-in by password for desks, by a one-time
//! code and a key of its own for devices. Tokens and codes are stored hashed.

pub mod attempts;
mod challenges;
mod enrolment;
pub mod password;
pub mod rows;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use duxue_document::{DeviceId, PersonId};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::audit::{By, event};
use crate::fault::{self, Fault};
use crate::hub::written::Written;
use crate::random;
use crate::store::{Record, Store, StoreError};
use attempts::Attempts;
use challenges::Challenges;
use password::Passwords;
use rows::{CODES, Code, DEVICES, Device, PEOPLE, Person, SESSIONS, SessionRow};
pub use sessions::device_statement;

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
    /// That one person may open in a day; more are refused.
    pub opened: u64,
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
    /// The sessions that each person has opened lately.
    opened: Written,
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
            opened: Written::new(limits.opened),
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
