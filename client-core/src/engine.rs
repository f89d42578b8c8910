//! The engine's state and its one entry point.

use duxue_document::collections::{BTreeMap, BTreeSet};

use rand_core::Rng;

use duxue_document::{DocumentId, DocumentKind, PersonId, PhotoHash, RoundId};
use duxue_protocol::api::{PacketSchool, Role};
use duxue_protocol::problem::Problem;
use duxue_protocol::receipt::Receipt;

use crate::account::Errand;
use crate::command::{Command, Reply, Subject};
use crate::document::{About, LocalDocument};
use crate::error::CommandError;
use crate::event::{
    CommandId, Effect, Event, HttpAnswer, HttpError, HttpId, HttpRequest, Key, Notice, StorageAnswer,
    StorageError, StorageId, StorageTask, StoreInfo,
};
use crate::identity::{Identity, hex};
use crate::loader::Loader;
use crate::packet::Packet;
use crate::photo::PhotoRecord;
use crate::reading::Readings;
use crate::receipts::ReceiptRound;
use crate::refusal::Refusals;
use crate::reissue::Clash;
use crate::renewal::Renewal;
use crate::store::{AckedTable, ActorRecord, LeftOut};
use crate::sync::Link;
use crate::upload::Uploads;
use crate::{keys, store};

pub(crate) enum Phase {
    /// No [`Event::Start`] yet.
    New,
    /// Reading the store.
    Loading(Box<Loader>),
    Ready,
    /// The store cannot be used.
    Broken(Problem),
}

/// Keys with the values to store under them.
pub(crate) type Puts = Vec<(Key, Vec<u8>)>;

/// What a storage completion means.
pub(crate) enum Pending {
    Load,
    Document(DocumentId),
    CompactPut(DocumentId),
    CompactDelete(DocumentId),
    /// Small records: the reply to give when they are durable.
    Record(Option<(CommandId, Reply)>),
    /// Photos marked as freed: their bytes may go when the mark and the
    /// receipt that allows it are durable.
    Free(CommandId, Reply),
}

/// The offline client. See the crate's documentation for the contract.
pub struct Engine {
    pub(crate) phase: Phase,
    next_id: u64,
    pub(crate) pending: BTreeMap<u64, Pending>,
    pub(crate) errands: BTreeMap<u64, Errand>,
    queued: Vec<(CommandId, Command)>,
    pub(crate) incarnation: String,
    pub(crate) actors: BTreeMap<DocumentId, ActorRecord>,
    /// Every actor (hex) that a document has or had on this device, with the
    /// person who wrote under it.
    pub(crate) own_actors: BTreeMap<String, PersonId>,
    pub(crate) identity: Option<Identity>,
    pub(crate) packets: BTreeMap<RoundId, Packet>,
    pub(crate) readings: Readings,
    pub(crate) documents: BTreeMap<DocumentId, LocalDocument>,
    pub(crate) photos: BTreeMap<PhotoHash, PhotoRecord>,
    pub(crate) receipts: BTreeMap<Key, Receipt>,
    pub(crate) acked: AckedTable,
    pub(crate) left_out: BTreeMap<Key, LeftOut>,
    pub(crate) drafts: BTreeMap<String, String>,
    /// Documents whose state may have something to write or to send.
    pub(crate) dirty: BTreeSet<DocumentId>,
    /// Documents kept in sync on request.
    pub(crate) open: BTreeSet<DocumentId>,
    pub(crate) online: bool,
    pub(crate) link: Link,
    pub(crate) refusals: Refusals,
    /// Documents that cannot be written again yet.
    pub(crate) clashes: BTreeMap<DocumentId, Clash>,
    pub(crate) uploads: Uploads,
    pub(crate) receipt_round: ReceiptRound,
    pub(crate) renewal: Renewal,
    pub(crate) boot_id: String,
    pub(crate) counter: u64,
    pub(crate) settled: bool,
    timer: Option<i64>,
}

/// One call's surroundings: what is passed in, and the effects that go out.
pub(crate) struct Turn<'a> {
    pub now_ms: i64,
    pub rng: &'a mut dyn Rng,
    pub effects: Vec<Effect>,
}

impl Turn<'_> {
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    pub fn reply(&mut self, id: CommandId, result: Result<Reply, CommandError>) {
        self.effects.push(Effect::Reply { id, result: result.map_err(|error| error.problem()) });
    }

    pub fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Notice(notice));
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that waits for [`Event::Start`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: Phase::New,
            next_id: 1,
            pending: BTreeMap::new(),
            errands: BTreeMap::new(),
            queued: Vec::new(),
            incarnation: String::new(),
            actors: BTreeMap::new(),
            own_actors: BTreeMap::new(),
            clashes: BTreeMap::new(),
            identity: None,
            packets: BTreeMap::new(),
            readings: Readings::default(),
            documents: BTreeMap::new(),
            photos: BTreeMap::new(),
            receipts: BTreeMap::new(),
            left_out: BTreeMap::new(),
            acked: AckedTable::new(),
            drafts: BTreeMap::new(),
            dirty: BTreeSet::new(),
            open: BTreeSet::new(),
            online: false,
            link: Link::default(),
            refusals: Refusals::default(),
            uploads: Uploads::default(),
            receipt_round: ReceiptRound::default(),
            renewal: Renewal::default(),
            boot_id: String::new(),
            counter: 0,
            settled: false,
            timer: None,
        }
    }

    /// Takes one event and says what to do. `now_ms` is the device's clock,
    /// milliseconds since 1970 UTC; it may jump. Events that nobody waits for
    /// (a late answer after a restart) are ignored.
    pub fn handle(&mut self, now_ms: i64, rng: &mut dyn Rng, event: Event) -> Vec<Effect> {
        let mut turn = Turn { now_ms, rng, effects: Vec::new() };
        match event {
            Event::Start(info) => self.start(&info, &mut turn),
            Event::Stored { id, result } => self.stored(id, result, &mut turn),
            Event::Http { id, result } => self.answered(id, result, &mut turn),
            Event::Connected { link } => self.connected(link, &mut turn),
            Event::Frame { link, bytes } => self.frame(link, &bytes, &mut turn),
            Event::Disconnected { link, reason } => self.disconnected(link, reason, &mut turn),
            Event::Timer => self.timer = None,
            Event::Command { id, command } => self.enqueue(id, command, &mut turn),
        }
        if matches!(self.phase, Phase::Ready) {
            for (id, command) in std::mem::take(&mut self.queued) {
                self.command(id, command, &mut turn);
            }
            self.pump(&mut turn);
        }
        turn.effects
    }

    fn start(&mut self, info: &StoreInfo, turn: &mut Turn) {
        if !matches!(self.phase, Phase::New) {
            return;
        }
        self.boot_id = crate::identity::hex(&turn.random::<8>());
        self.phase = Phase::Loading(Box::new(Loader::new(info.clone())));
        let task = StorageTask::LoadRange { prefix: String::new() };
        self.storage(task, Pending::Load, turn);
    }

    fn enqueue(&mut self, id: CommandId, command: Command, turn: &mut Turn) {
        match &self.phase {
            Phase::Broken(problem) => {
                let refused = CommandError::Refused(Box::new(problem.clone()));
                turn.reply(id, Err(refused));
            }
            Phase::New | Phase::Loading(_) | Phase::Ready => self.queued.push((id, command)),
        }
    }

    fn command(&mut self, id: CommandId, command: Command, turn: &mut Turn) {
        // Commands that end in a durable write reply by themselves, later.
        let outcome = match command {
            Command::Enrol { server, code, device_name } => {
                self.enrol(id, &server, code, device_name, turn).map(|()| None)
            }
            Command::Login { server, name, password } => {
                self.login(id, &server, name, password, turn).map(|()| None)
            }
            Command::TakeSession { server, session } => {
                self.take_session(id, &server, session, turn).map(|()| None)
            }
            Command::ForgetSession => {
                self.forget_session(id, turn);
                Ok(None)
            }
            Command::FetchPacket { round } => self.fetch_packet(id, round, turn).map(|()| None),
            Command::SaveDraft { form, text } => {
                self.save_draft(id, form, text, turn);
                Ok(None)
            }
            Command::Open { subject } => self.open_documents(&subject).map(|()| Some(Reply::Done)),
            Command::Online { wanted } => self.go_online(wanted, turn).map(Some),
            Command::PausePhotos { paused } => Ok(Some(self.pause_photos(paused))),
            Command::RetryPhoto { photo } => self.retry_photo(&photo).map(Some),
            Command::FreePhotos => {
                self.free_photos(id, turn);
                Ok(None)
            }
            Command::PutCounty { round, claims, mark } => {
                self.put_county(id, &round, claims, mark, turn).map(|()| None)
            }
            Command::Judge { subject, entries, outcome } => {
                self.judge(id, &subject, entries, &outcome, turn).map(|()| None)
            }
            Command::Rule { subject, about, rulings, reason } => {
                self.rule(id, &subject, about, rulings, reason, turn).map(|()| None)
            }
            capture => self.capture(id, capture, turn).map(|()| None),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(reply)) => turn.reply(id, Ok(reply)),
            Err(error) => turn.reply(id, Err(error)),
        }
    }

    pub(crate) fn fresh(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(crate) fn storage(&mut self, task: StorageTask, pending: Pending, turn: &mut Turn) {
        let id = self.fresh();
        self.pending.insert(id, pending);
        turn.effects.push(Effect::Storage { id: StorageId(id), task });
    }

    pub(crate) fn write(
        &mut self,
        puts: Vec<(Key, Vec<u8>)>,
        deletes: Vec<Key>,
        pending: Pending,
        turn: &mut Turn,
    ) {
        self.storage(StorageTask::Write { puts, deletes }, pending, turn);
    }

    pub(crate) fn http(&mut self, request: HttpRequest, errand: Errand, turn: &mut Turn) {
        let id = self.fresh();
        self.errands.insert(id, errand);
        turn.effects.push(Effect::Http { id: HttpId(id), request });
    }

    fn stored(&mut self, id: StorageId, result: Result<StorageAnswer, StorageError>, turn: &mut Turn) {
        let Some(pending) = self.pending.remove(&id.0) else { return };
        match pending {
            Pending::Load => self.loaded(result, turn),
            Pending::Document(document) => self.document_stored(document, result, turn),
            Pending::CompactPut(document) => {
                let Some(local) = self.documents.get_mut(&document) else { return };
                if let Some(deletes) = local.compaction_step(result.is_ok()) {
                    self.write(Vec::new(), deletes, Pending::CompactDelete(document), turn);
                }
            }
            Pending::CompactDelete(document) => {
                if let Some(local) = self.documents.get_mut(&document) {
                    local.compaction_step(result.is_ok());
                }
            }
            Pending::Record(Some((command, reply))) => {
                turn.reply(command, result.map(|_| reply).map_err(store_error));
            }
            Pending::Record(None) => {}
            Pending::Free(command, reply) => self.free_stored(command, reply, result.is_ok(), turn),
        }
    }

    fn loaded(&mut self, result: Result<StorageAnswer, StorageError>, turn: &mut Turn) {
        let Phase::Loading(loader) = std::mem::replace(&mut self.phase, Phase::New) else { return };
        let loaded = match result {
            Ok(StorageAnswer::Range { rows, unreadable }) => loader.read(rows, unreadable, self, turn),
            Ok(StorageAnswer::Written) => Err(CommandError::BadAnswer.problem()),
            Err(error) => Err(store_error(error).problem()),
        };
        match loaded {
            Ok(()) => {
                self.phase = Phase::Ready;
                turn.notice(Notice::Ready);
            }
            Err(problem) => {
                for (id, _) in std::mem::take(&mut self.queued) {
                    turn.reply(id, Err(CommandError::Refused(Box::new(problem.clone()))));
                }
                turn.notice(Notice::Broken { problem: problem.clone() });
                self.phase = Phase::Broken(problem);
            }
        }
    }

    fn document_stored(
        &mut self,
        document: DocumentId,
        result: Result<StorageAnswer, StorageError>,
        turn: &mut Turn,
    ) {
        let Some(local) = self.documents.get_mut(&document) else { return };
        self.dirty.insert(document);
        match result {
            Ok(_) => {
                let done = local.write_done();
                for (id, reply) in done.replies {
                    turn.reply(id, Ok(reply));
                }
                if done.late {
                    turn.notice(Notice::SavedLate { document });
                }
                turn.notice(Notice::Changed { document });
            }
            Err(error) => {
                let error = store_error(error);
                for id in local.write_failed(turn.now_ms) {
                    turn.reply(id, Err(error.clone()));
                }
                turn.notice(Notice::Trouble { problem: error.problem() });
            }
        }
    }

    fn answered(&mut self, id: HttpId, result: Result<HttpAnswer, HttpError>, turn: &mut Turn) {
        let Some(errand) = self.errands.remove(&id.0) else { return };
        self.errand_done(errand, result, turn);
    }

    /// Everything that follows from the present state rather than from one
    /// event: writes, sync messages, uploads, receipts, the timer.
    fn pump(&mut self, turn: &mut Turn) {
        self.pump_writes(turn);
        self.pump_link(turn);
        self.pump_receipts(turn);
        self.pump_uploads(turn);
        self.report_settled(turn);
        self.set_timer(turn);
    }

    fn pump_writes(&mut self, turn: &mut Turn) {
        for document in self.dirty.iter().copied().collect::<Vec<_>>() {
            let Some(local) = self.documents.get_mut(&document) else { continue };
            if let Some((puts, deletes)) = local.next_write(turn.now_ms) {
                self.write(puts, deletes, Pending::Document(document), turn);
            } else if let Some(snapshot) = local.start_compaction() {
                self.write(vec![snapshot], Vec::new(), Pending::CompactPut(document), turn);
            }
        }
        // What is neither being written nor waiting for a connection needs no
        // second look until it changes.
        if !self.link.is_open() {
            let documents = &self.documents;
            self.dirty.retain(|id| documents.get(id).is_some_and(LocalDocument::is_busy));
        }
    }

    fn set_timer(&mut self, turn: &mut Turn) {
        let stuck = self.dirty.iter().filter_map(|id| self.documents.get(id)?.retry_ms).min();
        let wanted = [stuck, self.link_timer(), self.receipt_timer(), self.upload_timer()]
            .into_iter()
            .flatten()
            .min()
            // A timer in the past would spin; the clock may also have jumped.
            .map(|at| at.max(turn.now_ms + 1));
        if wanted != self.timer {
            self.timer = wanted;
            if let Some(at_ms) = wanted {
                turn.effects.push(Effect::SetTimer { at_ms });
            }
        }
    }

    fn save_draft(&mut self, id: CommandId, form: String, text: String, turn: &mut Turn) {
        let key = keys::draft(&form);
        let (puts, deletes) = if text.is_empty() {
            self.drafts.remove(&form);
            (Vec::new(), vec![key])
        } else {
            self.drafts.insert(form, text.clone());
            (vec![(key, text.into_bytes())], Vec::new())
        };
        self.write(puts, deletes, Pending::Record(Some((id, Reply::Done))), turn);
    }

    fn open_documents(&mut self, subject: &Subject) -> Result<(), CommandError> {
        self.packet_school(subject)?;
        for kind in [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling] {
            let document = self.document_mut(About::of(subject, kind)).id();
            self.open.insert(document);
            self.dirty.insert(document);
        }
        self.settled = false;
        Ok(())
    }

    /// The packet and the school of a subject.
    pub(crate) fn packet_school(&self, subject: &Subject) -> Result<(&Packet, &PacketSchool), CommandError> {
        let packet = self.packets.get(&subject.round).ok_or(CommandError::UnknownSchool)?;
        let school = packet.school(&subject.school).ok_or(CommandError::UnknownSchool)?;
        Ok((packet, school))
    }

    /// The local document, made from genesis if this device has none yet.
    pub(crate) fn document_mut(&mut self, about: About) -> &mut LocalDocument {
        self.documents.entry(about.id()).or_insert_with(|| LocalDocument::new(about))
    }

    /// The local document ready for writing under this device's actor, and the
    /// puts that must go with the first change.
    pub(crate) fn writable(
        &mut self,
        about: About,
        turn: &mut Turn,
    ) -> Result<(&mut LocalDocument, Puts), CommandError> {
        let identity = self.identity.clone().ok_or(CommandError::NotLoggedIn)?;
        let id = self.document_mut(about.clone()).id();
        let mut puts = Vec::new();
        // A change that cannot be read may be the actor's last: until this
        // program wrote under an actor of its own, none is known to be safe.
        let unsure = self.documents.get(&id).is_some_and(|local| local.damaged && !local.actor_ready);
        let valid = self.actors.get(&id).filter(|record| {
            record.incarnation == self.incarnation
                && record.person == identity.person
                && record.device == identity.device
                && !unsure
        });
        let actor = match valid.and_then(|record| actor_bytes(&record.actor)) {
            Some(actor) => actor,
            None => {
                let (actor, records) = self.new_actor(id, &identity, turn);
                puts = records;
                actor
            }
        };
        self.dirty.insert(id);
        self.settled = false;
        let local = self.document_mut(about);
        local.set_actor(&actor);
        local.make_own();
        Ok((local, puts))
    }

    /// A new actor for a document, with the puts that record it beside those
    /// that it had before.
    pub(crate) fn new_actor(
        &mut self,
        document: DocumentId,
        identity: &Identity,
        turn: &mut Turn,
    ) -> ([u8; 16], Puts) {
        let actor = turn.random::<16>();
        let record = ActorRecord {
            actor: hex(&actor),
            incarnation: self.incarnation.clone(),
            person: identity.person.clone(),
            device: identity.device.clone(),
        };
        let mut puts = vec![(keys::actor(&document), json(&record))];
        self.own_actors.insert(record.actor.clone(), record.person.clone());
        let new = record.clone();
        for record in self.actors.insert(document, record).into_iter().chain([new]) {
            puts.push((keys::former_actor(&document, &record.actor), json(&record)));
        }
        (actor, puts)
    }

    /// Whether the person may write a document.
    pub(crate) fn may_write(&self, about: &About) -> Result<(), CommandError> {
        let packet = self.packets.get(&about.round);
        let (packet, assigned) = match &about.school {
            Some(school) => {
                let packet = packet.ok_or(CommandError::UnknownSchool)?;
                (packet, packet.school(school).ok_or(CommandError::UnknownSchool)?.assigned)
            }
            None => (packet.ok_or(CommandError::UnknownRound)?, false),
        };
        let roles = &packet.packet.roles;
        let allowed = match about.kind {
            DocumentKind::Survey => assigned && roles.contains(&Role::Inspector),
            DocumentKind::Review => roles.contains(&Role::Supervisor),
            DocumentKind::Ruling | DocumentKind::County => roles.contains(&Role::Bureau),
            DocumentKind::Plan => roles.contains(&Role::Bureau) || roles.contains(&Role::Supervisor),
        };
        if allowed { Ok(()) } else { Err(CommandError::NotAllowed) }
    }
}

fn actor_bytes(hex: &str) -> Option<[u8; 16]> {
    let bytes: Option<Vec<u8>> = (0..hex.len() / 2)
        .map(|index| u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

pub(crate) fn store_error(error: StorageError) -> CommandError {
    match error {
        StorageError::Full => CommandError::DiskFull,
        StorageError::Failed(reason) => CommandError::StoreFailed(reason),
    }
}

/// Our own records always serialise; a map with odd keys would be a bug that
/// every test finds.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

pub(crate) fn meta(info: &StoreInfo, incarnation: &str) -> store::Meta {
    store::Meta { format: store::FORMAT, stamp: info.stamp.clone(), incarnation: incarnation.to_owned() }
}
