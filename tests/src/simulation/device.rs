//! A client's device: an engine, and a disk that survives it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use automerge::Change;
use duxue_client_core::identity::Identity;
use duxue_client_core::{
    Engine, HttpId, HttpRequest, LinkId, StorageAnswer, StorageError, StorageId, StorageTask,
};

use duxue_client_core::store::ActorRecord;
use duxue_document::{DocumentId, DocumentKind, PersonId};
use duxue_protocol::api::Role;
use duxue_server::hub::admit::changes_of;

use super::ledger::markers;
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
    /// Who is logged in.
    pub identity: Identity,
    /// What they may do.
    pub role: Role,
    /// Tasks that the disk has not done yet.
    pub storage: VecDeque<(StorageId, StorageTask)>,
    /// Requests that have not left yet.
    pub outgoing: VecDeque<(HttpId, HttpRequest)>,
    /// Requests that the server works on.
    pub asked: Vec<(HttpId, Answer)>,
    /// The connection that is being opened.
    pub connecting: Option<LinkId>,
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
    /// A device that was enrolled and has its packet.
    ///
    /// # Panics
    /// If its records cannot be written as JSON.
    #[must_use]
    pub fn new(name: &str, identity: Identity, role: Role) -> Self {
        let json = |value: serde_json::Result<Vec<u8>>| value.expect("plain records");
        let disk = BTreeMap::from([
            ("identity".to_owned(), json(serde_json::to_vec(&identity))),
            ("packet/round-1".to_owned(), json(serde_json::to_vec(&packet(role)))),
        ]);
        Self {
            name: name.to_owned(),
            engine: Engine::new(),
            disk,
            stamp: name.to_owned(),
            full: false,
            identity,
            role,
            storage: VecDeque::new(),
            outgoing: VecDeque::new(),
            asked: Vec::new(),
            connecting: None,
            life: 0,
            timer: None,
            captures: BTreeMap::new(),
            next_command: 1,
            backup: None,
        }
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

    /// Whether nothing waits on it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.storage.is_empty() && self.outgoing.is_empty() && self.asked.is_empty()
    }
}
