//! What inspectors do.

use std::collections::BTreeMap;

use duxue_client_core::{Command, Statement};
use duxue_document::path::{ItemKind, Section};
use duxue_document::{EntryPath, FieldId, Scalar, Value};
use duxue_protocol::api::Role;

use super::prototype::subject;
use super::world::World;

/// Entries that everyone writes to, so that there are conflicts.
const QUANTITIES: [&str; 3] = ["pupils", "books", "classes"];

fn field(name: &str) -> FieldId {
    name.parse().unwrap_or_else(|_| panic!("{name} is well formed"))
}

fn number(name: &str, text: &str) -> Value {
    let number = text.parse().unwrap_or_else(|_| panic!("{text} is a number"));
    Value::from([(field(name), Scalar::Number(number))])
}

fn statement(value: Value) -> Statement {
    Statement { value, ..Statement::default() }
}

/// A value that is a marker.
pub(super) fn value(marker: u64) -> Value {
    number("value", &marker.to_string())
}

/// States a quantity; its value is the marker.
#[must_use]
pub fn quantity(name: &str, marker: u64) -> Command {
    let path: EntryPath = format!("quantities/{name}:primary").parse().unwrap_or_else(|_| unreachable!());
    let claims = vec![(path, statement(value(marker)))];
    Command::PutClaims { subject: subject(), claims, photos: Vec::new(), mark: None }
}

/// Adds a room; its number is the marker.
#[must_use]
pub fn room(marker: u64) -> Command {
    let identity = Value::from([
        (field("number"), Scalar::Text(marker.to_string())),
        (field("purpose"), Scalar::Text("music".to_owned())),
    ]);
    let mut size = number("length_m", "9.2");
    size.extend(number("width_m", "8"));
    let fields = BTreeMap::from([(field("identity"), statement(identity)), (field("size"), statement(size))]);
    Command::AddItem { subject: subject(), kind: ItemKind::Rooms, fields, photos: Vec::new(), mark: None }
}

impl World {
    /// Someone does something.
    pub fn work(&mut self) {
        let device = self.below(self.devices.len());
        let role = self.devices[device].role;
        if role != Role::Inspector {
            return self.work_at_desk(device, role);
        }
        if self.faults.photos > 0 && self.chance(self.faults.photos) {
            return self.work_on_photos(device);
        }
        match self.below(13) {
            0 => {
                let wanted = self.chance(600);
                self.command(device, Command::Online { wanted });
            }
            1 => {
                let (subject, complete) = (subject(), self.chance(700));
                let section = Section::ALL[self.below(Section::ALL.len())];
                self.command(device, Command::MarkSection { subject, section, complete });
            }
            2 => {
                let (form, text) = ("form".to_owned(), "a draft".to_owned());
                self.command(device, Command::SaveDraft { form, text });
            }
            3 => self.remove_a_room(device),
            4 | 5 => {
                let marker = self.new_marker();
                self.capture(device, marker, room(marker));
            }
            _ => {
                let marker = self.new_marker();
                let name = QUANTITIES[self.below(QUANTITIES.len())];
                self.capture(device, marker, quantity(name, marker));
            }
        }
    }

    /// Says that a room is not there; the reason is a marker.
    fn remove_a_room(&mut self, device: usize) {
        let Ok(survey) = self.devices[device].engine.survey(&subject()) else { return };
        let rooms: Vec<_> = survey.consolidated.items.into_keys().collect();
        let Some(item) = rooms.get(self.below(rooms.len())).cloned() else { return };
        let marker = self.new_marker();
        let command = Command::RemoveItem { subject: subject(), item, reason: marker.to_string() };
        self.capture(device, marker, command);
    }
}
