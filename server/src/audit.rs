//! The audit log: who did what to whom. It is the journal, read by those who
//! operate the server.
//!
//! What has no record of its own that names its author gets an event in the
//! same commit; what has one (documents, held changes and the decisions about
//! them) is told from that record. Details name ids and figures, never a
//! secret and never what was captured.

use std::collections::BTreeMap;

use duxue_document::{DeviceId, DocumentKind, PersonId};
use duxue_protocol::api::{AuditPage, AuditView};
use serde_json::{Value, json};

use crate::accounts::Caller;
use crate::app::App;
use crate::fault::Fault;
use crate::hub::rows::{HELD, HeldRow};
use crate::store::{JournalNumber, Record};

/// Rows of one page at most.
pub const MOST_ROWS: usize = 500;
/// Journal records read at a time, and for one page in all: a page may be
/// short although more follows.
const READ: usize = 128;
const MOST_READ: usize = 4_096;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A person, with a device if the session belongs to one.
    Person(PersonId, Option<DeviceId>),
    /// Whoever ran a command on the server's machine.
    CommandLine,
    /// Nobody who has logged in.
    Stranger,
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> Self {
        Self::Person(caller.person.clone(), caller.device.clone())
    }
}

/// The record of something done. `details` name what it was done to.
#[must_use]
pub fn event<const N: usize>(
    kind: &'static str,
    by: &By,
    at_ms: i64,
    details: [(&'static str, Value); N],
) -> Record {
    let mut detail: BTreeMap<&str, Value> = details.into_iter().collect();
    let mut person = None;
    match by {
        By::Person(id, device) => {
            person = Some(id.clone());
            if let Some(device) = device {
                detail.insert(BY_DEVICE, json!(device));
            }
        }
        By::CommandLine => {
            detail.insert(VIA, json!("command_line"));
        }
        By::Stranger => {}
    }
    // Text keys and JSON values are always written.
    let detail = serde_json::to_string(&detail).unwrap_or_default();
    Record::Event { kind: kind.to_owned(), person, detail, at_ms }
}

/// The device of who did it, among the details.
const BY_DEVICE: &str = "by_device";
/// The way it was done, where that was not a session.
const VIA: &str = "via";

/// What was done after a journal number, in the order of the journal.
///
/// # Errors
/// What the store says.
pub async fn after(app: &App, cursor: JournalNumber, limit: usize) -> Result<AuditPage, Fault> {
    let last = app.store.last();
    let mut page = AuditPage { rows: Vec::new(), through: cursor.0, more: false };
    let mut read = 0;
    while page.through < last.0 {
        if page.rows.len() >= limit || read >= MOST_READ {
            page.more = true;
            break;
        }
        let records = app.store.records(JournalNumber(page.through + 1), READ).await?;
        if records.is_empty() {
            break;
        }
        read += records.len();
        for (number, record) in records {
            if page.rows.len() >= limit {
                page.more = true;
                break;
            }
            page.rows.extend(view(app, number, record));
            page.through = number.0;
        }
    }
    Ok(page)
}

/// A record as an auditor sees it; rows of tables are told by the events
/// beside them.
fn view(app: &App, journal: JournalNumber, record: Record) -> Option<AuditView> {
    let empty = AuditView { journal: journal.0, ..AuditView::default() };
    match record {
        Record::Event { kind, person, detail, at_ms } => {
            let mut detail: BTreeMap<String, Value> = serde_json::from_str(&detail).unwrap_or_default();
            let device = taken(&mut detail, BY_DEVICE);
            let by = person.map(|person| app.binding(&person, device.as_ref()));
            let (round, school) = (taken(&mut detail, "round"), taken(&mut detail, "school"));
            Some(AuditView { at_ms, kind, by, round, school, detail, ..empty })
        }
        Record::Chunk { document, bytes, delivery: Some(delivery), received_ms } => {
            let name = app.rounds.document(&document)?;
            Some(AuditView {
                at_ms: received_ms,
                kind: written(name.kind).to_owned(),
                by: Some(app.binding(&delivery.person, delivery.device.as_ref())),
                round: Some(name.round),
                school: name.school,
                detail: details([("document", json!(document)), ("bytes", json!(bytes.len()))]),
                ..empty
            })
        }
        Record::Held { document, delivery, reason, received_ms, .. } => {
            let name = app.rounds.document(&document)?;
            Some(AuditView {
                at_ms: received_ms,
                kind: "held".to_owned(),
                by: Some(app.binding(&delivery.person, delivery.device.as_ref())),
                round: Some(name.round),
                school: name.school,
                detail: details([("document", json!(document)), ("reason", json!(reason))]),
                ..empty
            })
        }
        Record::Row { table, value: Some(value), .. } if table == HELD.name() => {
            decided(app, serde_json::from_slice(&value).ok()?, empty)
        }
        Record::Chunk { .. } | Record::Row { .. } | Record::SetAside { .. } => None,
    }
}

/// The decision about held changes; none when they are put.
fn decided(app: &App, row: HeldRow, empty: AuditView) -> Option<AuditView> {
    let decision = row.decision?;
    let name = app.rounds.document(&row.document)?;
    let target = ("delivered_by", json!(app.binding(&row.person, row.device.as_ref())));
    Some(AuditView {
        at_ms: decision.at_ms,
        kind: if decision.admitted { "held.admitted" } else { "held.left" }.to_owned(),
        by: decision.by.map(|person| app.binding(&person, None)),
        round: Some(name.round),
        school: name.school,
        detail: details([("document", json!(row.document)), ("number", json!(row.number)), target]),
        ..empty
    })
}

/// The kind of a change to a document. Verdicts are written in reviews.
const fn written(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Survey => "survey.written",
        DocumentKind::Review => "review.written",
        DocumentKind::Ruling => "ruling.written",
        DocumentKind::County => "county.written",
        DocumentKind::Plan => "plan.written",
    }
}

fn details<const N: usize>(details: [(&str, Value); N]) -> BTreeMap<String, Value> {
    details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn taken<T: serde::de::DeserializeOwned>(detail: &mut BTreeMap<String, Value>, name: &str) -> Option<T> {
    let value = detail.remove(name)?;
    serde_json::from_value(value).ok()
}
