//! A client's device: an engine, and a disk that survives it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use automerge::Change;
use duxue_client_core::identity::Identity;
use duxue_client_core::{
    Engine, HttpId, HttpRequest, LinkId, StorageAnswer, StorageError, StorageId, StorageTask,
};

use duxue_client_core::store::{ActorRecord, LeftOut};
use duxue_document::{DocumentId, DocumentKind, PersonId};
use duxue_protocol::api::Role;
use duxue_server::hub::admit::changes_of;

use super::ledger::{marker_of, markers};
use super::machine::Answer;
use super::prototype::{documents, packet};

/// What a device's disk holds.
pub type Disk = BTreeMap<String, Vec<u8>>;

/// A device.
pub struct Device {
    /// For people.
    pub name: String,
    /// The product.
    pub engine: Engine,
    /// What survives.
    pub disk: Disk,
    /// Names the physical store; see `StoreInfo`.
    pub stamp: String,
    /// Whether there is no room.
    pub full: bool,
    /// What those who log in may do.
    pub role: Role,
    /// Tasks that the disk has not done yet.
    pub storage: VecDeque<(StorageId, StorageTask)>,
    /// Requests that have not left yet.
    pub outgoing: VecDeque<(HttpId, HttpRequest)>,
    /// Requests that the server works on.
    pub asked: Vec<(HttpId, Answer)>,
    /// The connection that is being opened, with the token that opens it.
    pub connecting: Option<(LinkId, String)>,
    /// Whether somebody else has just logged in.
    pub handed_over: bool,
    /// Each crash begins a new life; what was meant for an earlier one reaches
    /// nobody.
    pub life: u64,
    /// When the engine wants to be woken.
    pub timer: Option<i64>,
    /// The marker that each command carries, until it is answered.
    pub captures: BTreeMap<u64, u64>,
    /// The number of the next command.
    pub next_command: u64,
    /// An earlier copy of the disk.
    pub backup: Option<Disk>,
}

impl Device {
    /// A device that was enrolled.
    ///
    /// # Panics
    /// If its records cannot be written as JSON.
    #[must_use]
    pub fn new(name: &str, identity: &Identity, role: Role) -> Self {
        let record = serde_json::to_vec(identity).expect("a plain record");
        let disk = BTreeMap::from([("identity".to_owned(), record)]);
        Self {
            name: name.to_owned(),
            engine: Engine::new(),
            disk,
            stamp: name.to_owned(),
            full: false,
            role,
            storage: VecDeque::new(),
            outgoing: VecDeque::new(),
            asked: Vec::new(),
            connecting: None,
            handed_over: false,
            life: 0,
            timer: None,
            captures: BTreeMap::new(),
            next_command: 1,
            backup: None,
        }
    }

    /// Who is logged in; while the program starts, who its disk says.
    ///
    /// # Panics
    /// If the disk has no identity.
    #[must_use]
    pub fn person(&self) -> PersonId {
        let on_disk = || serde_json::from_slice(&self.disk["identity"]).expect("an identity");
        self.engine.identity().cloned().unwrap_or_else(on_disk).person
    }

    /// The packet is on the disk, as if it had been fetched.
    ///
    /// # Panics
    /// If it cannot be written as JSON.
    pub fn take_packet(&mut self) {
        let packet = serde_json::to_vec(&packet(self.role)).expect("a plain record");
        self.disk.insert("packet/round-1".to_owned(), packet);
    }

    /// The program ends: only the disk is left.
    pub fn crash(&mut self) {
        self.engine = Engine::new();
        self.life += 1;
        self.storage.clear();
        self.outgoing.clear();
        self.asked.clear();
        self.captures.clear();
        self.connecting = None;
        self.timer = None;
    }

    /// Does a storage task, whole or not at all.
    ///
    /// # Errors
    /// [`StorageError::Full`] where `full` says so.
    pub fn store(&mut self, task: StorageTask, full: bool) -> Result<StorageAnswer, StorageError> {
        match task {
            StorageTask::LoadRange { prefix } => {
                let rows = self.disk.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
                let rows = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
                Ok(StorageAnswer::Range { rows, unreadable: Vec::new() })
            }
            StorageTask::Write { puts, .. } if full && !puts.is_empty() => Err(StorageError::Full),
            StorageTask::Write { puts, deletes } => {
                self.disk.extend(puts);
                for key in deletes {
                    self.disk.remove(&key);
                }
                Ok(StorageAnswer::Written)
            }
        }
    }

    /// The changes of one document on its disk.
    #[must_use]
    pub fn changes(&self, document: &DocumentId) -> Vec<Change> {
        let prefix = format!("doc/{document}/");
        let rows = self.disk.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        let mut changes = Vec::new();
        for (_, bytes) in rows {
            // What was damaged holds nothing.
            let _ = changes_of(bytes, &mut changes);
        }
        changes
    }

    /// Whether the person may write documents of a kind. What others write they
    /// only read, and cannot bring to a server that has lost it.
    #[must_use]
    pub fn writes(&self, kind: DocumentKind) -> bool {
        kind == match self.role {
            Role::Supervisor => DocumentKind::Review,
            Role::Bureau => DocumentKind::Ruling,
            _ => DocumentKind::Survey,
        }
    }

    /// Whose actors (hex) its disk has on record as its own.
    #[must_use]
    pub fn actors(&self) -> BTreeMap<String, PersonId> {
        let of = |prefix: &'static str| {
            self.disk.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
        };
        let records = of("actor/").chain(of("former/"));
        let read = |(_, bytes): (_, &Vec<u8>)| serde_json::from_slice::<ActorRecord>(bytes).ok();
        records.filter_map(read).map(|record| (record.actor, record.person)).collect()
    }

    /// The markers on its disk that it can bring to a server.
    #[must_use]
    pub fn markers(&self) -> BTreeSet<u64> {
        let own = documents().into_iter().filter(|(_, kind)| self.writes(*kind));
        own.flat_map(|(id, _)| markers(&self.changes(&id))).collect()
    }

    /// The markers that it shows to their authors once these log in again: what
    /// went from a document while somebody else was logged in.
    #[must_use]
    pub fn markers_for_others(&self) -> BTreeSet<(PersonId, u64)> {
        let rows =
            self.disk.range("left_out/".to_owned()..).take_while(|(key, _)| key.starts_with("left_out/"));
        let records = rows.filter_map(|(_, bytes)| serde_json::from_slice::<LeftOut>(bytes).ok());
        let stated = records.flat_map(|LeftOut { person, claims, .. }| {
            let scalars = claims.into_iter().flat_map(|(_, claim)| claim.value.into_values());
            scalars.filter_map(move |scalar| Some((person.clone(), marker_of(&scalar)?)))
        });
        stated.collect()
    }

    /// Whether nothing waits on it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.storage.is_empty() && self.outgoing.is_empty() && self.asked.is_empty()
    }
}
