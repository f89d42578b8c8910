//! After the faults: everything comes to rest, and then it is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use automerge::{Automerge, Change, ChangeHash};
use duxue_client_core::Command;
use duxue_document::consolidate::{self, Settings};
use duxue_document::school::Declared;
use duxue_document::{DocumentId, DocumentKind, PersonId};

use super::device::Device;
use super::ledger::{lock, markers, markers_in};
use super::prototype::{documents, prototype, school, subject};
use super::world::{Faults, Link, World};
use duxue_server::store::{JournalNumber, Record};

/// Steps within which everything must come to rest once nothing breaks.
const STEPS_TO_REST: usize = 8_000;
/// Steps between two looks whether it has.
const LOOK_EVERY: usize = 8;
/// After which the server has said everything that it had gathered.
const SAID: Duration = Duration::from_millis(50);

impl World {
    /// All faults end, everyone is online and works until nothing waits.
    ///
    /// # Errors
    /// What still waits after a bounded number of steps.
    pub fn heal(&mut self) -> Result<(), String> {
        self.faults = Faults { leave_out: self.faults.leave_out, ..Faults::default() };
        self.machine.leave_room(None);
        self.apply_faults();
        if !self.machine.is_up() || self.machine.has_stopped() || self.machine.is_losing_power() {
            self.machine.kill();
            self.start_server();
        }
        for person in 0..prototype().identities.len() {
            self.machine.assign(person, true);
        }
        // Who was refused asks again with a new connection only.
        while self.machine.flush() {}
        self.cut_all();
        for device in 0..self.devices.len() {
            self.devices[device].full = false;
            // A log-in that could not be written down has to be done again.
            let engine = &self.devices[device].engine;
            if engine.identity().is_some() && engine.packets().next().is_none() {
                self.crash(device);
            }
            self.command(device, Command::Online { wanted: true });
        }
        self.heal_photos();
        self.come_to_rest()
    }

    /// Everyone works until nothing waits.
    ///
    /// # Errors
    /// What still waits after a bounded number of steps.
    pub fn come_to_rest(&mut self) -> Result<(), String> {
        let mut left_out = false;
        for look in 0..STEPS_TO_REST / LOOK_EVERY {
            self.run(LOOK_EVERY as u64);
            // What a supervisor has to decide, one decides now and then.
            let decided = look % 16 == 15 && self.decide_held(&mut left_out);
            if look % 64 == 63 {
                self.retry_photos();
                // A device hears with its next connection what was left out.
                if std::mem::take(&mut left_out) {
                    self.cut_all();
                }
            }
            if !decided && self.is_at_rest() {
                self.machine.pass(SAID);
                if self.is_at_rest() {
                    return Ok(());
                }
            }
        }
        Err(format!("not at rest after {STEPS_TO_REST} steps: {}", self.waiting()))
    }

    /// Lets in what is held, or leaves something out. False if there is nothing.
    fn decide_held(&mut self, left_out: &mut bool) -> bool {
        if self.machine.has_held() && self.chance(self.faults.leave_out) {
            *left_out = true;
            for marker in self.machine.leave_out_held() {
                self.captured.remove(&marker);
            }
            self.count("held changes were left out");
            return true;
        }
        let admitted = self.machine.admit_held();
        if admitted {
            self.count("held changes were admitted");
        }
        admitted
    }

    fn is_at_rest(&self) -> bool {
        // The cheap questions first: this is asked often.
        let moves = |link: &Link| !link.up.is_empty() || link.wire.has_frames();
        if self.machine.waiting() > 0
            || self.links.iter().any(moves)
            || !self.devices.iter().all(|device| device.is_idle() && self.is_delivered(device))
        {
            return false;
        }
        if self.machine.has_held() {
            return false;
        }
        // Who is between two connections has yet to hear of what the server has.
        let Some(heads) = self.machine.heads() else { return false };
        let differ =
            |device: &&Device| !device.engine.survey(&subject()).is_ok_and(|view| view.heads == heads);
        let mut differing = self.devices.iter().filter(differ).peekable();
        if differing.peek().is_none() || !self.was_put_back() {
            return differing.peek().is_none();
        }
        let server: Option<Vec<_>> = self.machine.documents().into_iter().map(|(_, doc)| doc).collect();
        server.is_some_and(|server| differing.all(|device| self.has_all(device, &server).is_ok()))
    }

    /// A device has what the server has and nothing else; but for what a backup
    /// took from the server, of documents that the person only reads. Gives
    /// the documents as the device has them, where they are not the server's.
    fn has_all(&self, device: &Device, server: &[Automerge]) -> Result<Option<Vec<Automerge>>, String> {
        let survey = device.engine.survey(&subject()).map_err(|error| error.to_string())?;
        let differs =
            |(id, document): (&DocumentId, &Automerge)| survey.heads.get(id) != Some(&texts(document));
        if !documents().iter().map(|(id, _)| id).zip(server).any(differs) {
            return Ok(None);
        }
        let mut own = server.to_vec();
        for ((id, kind), own) in documents().iter().zip(&mut own) {
            if survey.heads.get(id) == Some(&texts(own)) {
                continue;
            }
            let differs = || format!("{} differs from the server in {kind:?}", device.name);
            if !self.was_put_back() || device.writes(*kind) {
                return Err(differs());
            }
            let ledger = lock(&self.machine.ledger);
            let more: Vec<Change> = device
                .changes(id)
                .into_iter()
                .filter(|change| own.get_change_meta_by_hash(&change.hash()).is_none())
                .collect();
            if !more.iter().all(|change| ledger.was_there(id, &change.hash())) {
                return Err(differs());
            }
            own.apply_changes(more).map_err(|error| error.to_string())?;
            if survey.heads.get(id) != Some(&texts(own)) {
                return Err(differs());
            }
        }
        Ok(Some(own))
    }

    fn waiting(&self) -> String {
        let mut words = vec![format!("{} commits", self.machine.waiting())];
        words.extend(self.machine.held_words());
        for (kind, document) in self.machine.documents() {
            words.push(format!("{kind:?} of the server {:?}", document.as_ref().map(texts)));
        }
        for device in &self.devices {
            let engine = &device.engine;
            words.push(format!(
                "{}: {:?}, outbox {:?}, idle {}, heads {:?}",
                device.name,
                engine.link_view(),
                engine.outbox().items,
                device.is_idle(),
                engine.survey(&subject()).map(|view| view.heads)
            ));
        }
        words.join("; ")
    }

    /// The laws, at rest.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&mut self) -> Result<(), String> {
        self.told_truly()?;
        let server: Vec<(DocumentKind, Automerge)> = self
            .machine
            .documents()
            .into_iter()
            .map(|(kind, doc)| doc.map(|doc| (kind, doc)).ok_or(format!("no {kind:?} document")))
            .collect::<Result<_, String>>()?;
        self.all_the_same(&server)?;
        let changes: Vec<_> = server.iter().flat_map(|(_, doc)| doc.get_changes(&[])).collect();
        let arrived = markers(&changes);
        self.stated_by_their_authors(&changes)?;
        self.kept_for_people(&arrived)?;
        self.photos_are_safe()?;
        self.missing_photos_are_named(&arrived)?;
        // The same once more from what is on the disk.
        let heads = heads(&server);
        self.machine.lose_power();
        self.machine.start(false);
        let again: Vec<(DocumentKind, Automerge)> =
            self.machine.documents().into_iter().filter_map(|(kind, doc)| Some((kind, doc?))).collect();
        if heads != self::heads(&again) {
            return Err("the server has other heads after a restart".to_owned());
        }
        self.photos_are_safe()?;
        self.told_truly()
    }

    /// Nobody is on record for what somebody else has stated: on no device, and
    /// on the server unless it was put back to a backup, after which it takes
    /// who brings an actor's changes first for their author.
    fn stated_by_their_authors(&self, changes: &[Change]) -> Result<(), String> {
        self.stated_by_those(changes, &self.devices.iter().flat_map(Device::actors).collect())?;
        if self.was_put_back() { Ok(()) } else { self.stated_by_those(changes, &self.machine.actors()) }
    }

    fn stated_by_those(&self, changes: &[Change], actors: &BTreeMap<String, PersonId>) -> Result<(), String> {
        for change in changes {
            let Some(author) = actors.get(&change.actor_id().to_hex_string()) else { continue };
            for marker in markers([change]) {
                if self.stated_by.get(&marker).is_some_and(|person| person != author) {
                    return Err(format!("{author} is on record for the value {marker} of somebody else"));
                }
            }
        }
        Ok(())
    }

    /// Every captured value has arrived. Only where its change can never be
    /// applied, and a backup took it from its author's device or somebody else
    /// was logged in there, it is kept and listed for people; nobody else can
    /// state it again.
    fn kept_for_people(&mut self, arrived: &BTreeSet<u64>) -> Result<(), String> {
        let on_devices: BTreeSet<u64> = self.devices.iter().flat_map(Device::markers).collect();
        let set_aside = self.markers_set_aside();
        let shown: BTreeSet<_> = self.devices.iter().flat_map(Device::markers_for_others).collect();
        for marker in self.captured.difference(arrived).copied().collect::<Vec<_>>() {
            let author = self.stated_by.get(&marker);
            let shown = author.is_some_and(|person| shown.contains(&(person.clone(), marker)));
            let may_have_lost = shown || author.is_some_and(|person| self.put_back.contains(person));
            if on_devices.contains(&marker) || !set_aside.contains(&marker) || !may_have_lost {
                return Err(format!("the value {marker} was reported as saved and is lost"));
            }
            self.captured.remove(&marker);
            self.count(if shown {
                "a device kept a value for who was not logged in"
            } else {
                "only the server's list of what it set aside had a value"
            });
        }
        Ok(())
    }

    /// The markers in what the server has set aside.
    fn markers_set_aside(&self) -> BTreeSet<u64> {
        let records = self.machine.records();
        let aside = records.iter().filter_map(|record| match record {
            Record::SetAside { chunk, .. } => Some(*chunk),
            _ => None,
        });
        let aside: BTreeSet<JournalNumber> = aside.collect();
        let numbered = (1..).map(JournalNumber).zip(&records);
        let chunks = numbered.filter_map(|(number, record)| match record {
            Record::Chunk { bytes, .. } if aside.contains(&number) => Some(bytes),
            _ => None,
        });
        chunks.flat_map(|bytes| markers_in(bytes)).collect()
    }

    /// # Errors
    /// What the judge has seen.
    pub fn told_truly(&self) -> Result<(), String> {
        match lock(&self.machine.ledger).violations() {
            [] => Ok(()),
            violations => Err(violations.join("; ")),
        }
    }

    fn all_the_same(&mut self, server: &[(DocumentKind, Automerge)]) -> Result<(), String> {
        let server: Vec<Automerge> = server.iter().map(|(_, document)| document.clone()).collect();
        let bytes = reading(&server)?;
        let mut more = 0;
        for device in &self.devices {
            let own = self.has_all(device, &server)?;
            more += usize::from(own.is_some());
            let view = device.engine.survey(&subject()).map_err(|error| error.to_string())?;
            let read = serde_json::to_string(&view.consolidated).map_err(|error| error.to_string())?;
            let expected = own.as_deref().map(reading).transpose()?;
            if read != *expected.as_ref().unwrap_or(&bytes) {
                return Err(format!("{} reads the same documents differently", device.name));
            }
        }
        if more > 0 {
            self.count("a reader had more than a server that was put back");
        }
        Ok(())
    }

    /// The markers that a restart of the server would find.
    pub(super) fn server_markers_on_disk(&self) -> BTreeSet<u64> {
        let records = self.machine.records();
        let bytes = records.iter().filter_map(|record| match record {
            Record::Chunk { bytes, .. } | Record::Held { bytes, .. } => Some(bytes),
            Record::SetAside { .. } | Record::Row { .. } | Record::Event { .. } => None,
        });
        bytes.flat_map(|bytes| markers_in(bytes)).collect()
    }
}

/// The reading of documents from nothing, as text.
fn reading(documents: &[Automerge]) -> Result<String, String> {
    let consolidated = consolidate::consolidate(
        &school(),
        &Declared::default(),
        &Settings::default(),
        &documents[0],
        &documents[1],
        &documents[2],
    );
    serde_json::to_string(&consolidated).map_err(|error| error.to_string())
}

fn heads(server: &[(DocumentKind, Automerge)]) -> Vec<Vec<ChangeHash>> {
    server.iter().map(|(_, doc)| doc.get_heads()).collect()
}

/// A document's heads as text.
fn texts(document: &Automerge) -> BTreeSet<String> {
    document.get_heads().iter().map(ToString::to_string).collect()
}
