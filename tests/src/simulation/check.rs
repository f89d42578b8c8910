//! After the faults: everything comes to rest, and then it is looked at.

use std::collections::BTreeSet;

use automerge::{Automerge, ChangeHash};
use duxue_client_core::Command;
use duxue_document::DocumentKind;
use duxue_document::consolidate::{self, Settings};
use duxue_document::school::Declared;

use super::ledger::{lock, markers, markers_in};
use super::prototype::{INSPECTORS, documents, school, subject};
use super::world::{Faults, Link, World};
use duxue_server::store::Record;

/// Steps within which everything must come to rest once nothing breaks.
const STEPS_TO_REST: usize = 8_000;
/// Steps between two looks whether it has.
const LOOK_EVERY: usize = 8;

impl World {
    /// All faults end, everyone is online and works until nothing waits.
    ///
    /// # Errors
    /// What still waits after a bounded number of steps.
    pub fn heal(&mut self) -> Result<(), String> {
        self.faults = Faults::default();
        self.machine.leave_room(None);
        self.apply_faults();
        if !self.machine.is_up() || self.machine.has_stopped() {
            self.machine.kill();
            self.start_server();
        }
        for inspector in 0..INSPECTORS {
            self.machine.assign(inspector, true);
        }
        // Who was refused asks again with a new connection only.
        while self.machine.flush() {}
        self.cut_all();
        for device in 0..self.devices.len() {
            self.devices[device].full = false;
            self.command(device, Command::Online { wanted: true });
        }
        self.come_to_rest()
    }

    /// Everyone works until nothing waits.
    ///
    /// # Errors
    /// What still waits after a bounded number of steps.
    pub fn come_to_rest(&mut self) -> Result<(), String> {
        for look in 0..STEPS_TO_REST / LOOK_EVERY {
            self.run(LOOK_EVERY as u64);
            // What a supervisor has to let in, one lets in now and then.
            let admitted = look % 16 == 15 && self.machine.admit_held();
            if admitted {
                self.count("held changes were admitted");
            }
            if !admitted && self.is_at_rest() {
                return Ok(());
            }
        }
        Err(format!("not at rest after {STEPS_TO_REST} steps: {}", self.waiting()))
    }

    fn is_at_rest(&self) -> bool {
        // The cheap questions first: this is asked often.
        let moves = |link: &Link| !link.up.is_empty() || link.wire.has_frames();
        if self.machine.waiting() > 0
            || self.links.iter().any(moves)
            || !self.devices.iter().all(|device| device.is_idle() && device.engine.outbox().items.is_empty())
        {
            return false;
        }
        let mut surveys = self.devices.iter().map(|device| device.engine.survey(&subject()).map(|v| v.heads));
        let first = surveys.next();
        surveys.all(|heads| Some(heads) == first) && !self.machine.has_held()
    }

    fn waiting(&self) -> String {
        let held = if self.machine.has_held() { ", something is held" } else { "" };
        let mut words = vec![format!("{} commits{held}", self.machine.waiting())];
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
        let survey = &server[0].1;
        let arrived = markers(&survey.get_changes(&[]));
        if let Some(marker) = self.captured.iter().find(|marker| !arrived.contains(marker)) {
            return Err(format!("the value {marker} was reported as saved and is lost"));
        }
        // The same once more from what is on the disk.
        let heads = heads(&server);
        self.machine.lose_power();
        self.machine.start(false);
        let again: Vec<(DocumentKind, Automerge)> =
            self.machine.documents().into_iter().filter_map(|(kind, doc)| Some((kind, doc?))).collect();
        if heads != self::heads(&again) {
            return Err("the server has other heads after a restart".to_owned());
        }
        self.told_truly()
    }

    /// # Errors
    /// What the judge has seen.
    pub fn told_truly(&self) -> Result<(), String> {
        match lock(&self.machine.ledger).violations() {
            [] => Ok(()),
            violations => Err(violations.join("; ")),
        }
    }

    fn all_the_same(&self, server: &[(DocumentKind, Automerge)]) -> Result<(), String> {
        let consolidated = consolidate::consolidate(
            &school(),
            &Declared::default(),
            &Settings::default(),
            &server[0].1,
            &server[1].1,
            &server[2].1,
        );
        let bytes = serde_json::to_string(&consolidated).map_err(|error| error.to_string())?;
        for device in &self.devices {
            let view = device.engine.survey(&subject()).map_err(|error| error.to_string())?;
            for ((id, kind), (_, document)) in documents().iter().zip(server) {
                let theirs: BTreeSet<String> = document.get_heads().iter().map(ToString::to_string).collect();
                if view.heads.get(id) != Some(&theirs) {
                    return Err(format!("{} differs from the server in {kind:?}", device.name));
                }
            }
            let own = serde_json::to_string(&view.consolidated).map_err(|error| error.to_string())?;
            if own != bytes {
                return Err(format!("{} reads the same documents differently", device.name));
            }
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

fn heads(server: &[(DocumentKind, Automerge)]) -> Vec<Vec<ChangeHash>> {
    server.iter().map(|(_, doc)| doc.get_heads()).collect()
}
