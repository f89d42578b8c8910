//! Queries: what there is to show, computed from the state and changing nothing.

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use duxue_document::conflict::Conflict;
use duxue_document::consolidate::{self, Settings};
use duxue_document::consolidated::{ConsolidatedSchool, ReviewState, ValueState};
use duxue_document::genesis;
use duxue_document::history::{self, PastClaim, history_of_entry};
use duxue_document::path::Section;
use duxue_document::school::School;
use duxue_document::{DocumentId, DocumentKind, EntryPath, OpId, PersonId, PhotoHash, RoundId};
use duxue_protocol::problem::Problem;
use duxue_protocol::receipt::Receipt;

use crate::command::Subject;
use crate::document::{About, LocalDocument};
use crate::engine::{Engine, Phase, json};
use crate::error::CommandError;
use crate::event::Key;
use crate::identity::Identity;
use crate::keys;
use crate::packet::Packet;
use crate::photo::{PhotoRecord, PhotoState};
use crate::receipts::heads_of;
use crate::store::{Acked, LeftOut};
use crate::sync::Link;

/// A school with how far its survey is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchoolProgress {
    /// Which.
    pub subject: Subject,
    /// The register row.
    pub school: School,
    /// Whether this person may write the survey.
    pub assigned: bool,
    /// Sections marked complete, of six.
    pub complete: usize,
    /// Entries with a value.
    pub entries: usize,
    /// Open conflicts.
    pub conflicts: usize,
    /// Entries sent back.
    pub returned: usize,
    /// Photos of this device that the server does not have.
    pub photos_waiting: usize,
}

/// A survey with what is still open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SurveyView {
    /// The one reading.
    pub consolidated: ConsolidatedSchool,
    /// What is still to do.
    pub open: Vec<OpenPoint>,
    /// Heads (hex) of the documents that it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
}

/// Something still to do in a survey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "point", rename_all = "snake_case")]
pub enum OpenPoint {
    /// A section is not marked complete.
    Section {
        /// Which.
        section: Section,
    },
    /// An entry was sent back.
    Returned {
        /// Which.
        path: EntryPath,
        /// Why.
        reason: String,
    },
    /// Candidates that differ, two items that look alike, or an edit of a
    /// removed item.
    Conflict {
        /// Which.
        conflict: Conflict,
    },
    /// Something in the document does not fit.
    Finding {
        /// What.
        finding: duxue_document::consolidated::Finding,
    },
}

/// What is still only on this device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// What waits.
    pub items: Vec<OutboxItem>,
    /// Bytes in all.
    pub bytes: u64,
}

/// Something that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxItem {
    /// What.
    pub what: OutboxWhat,
    /// The school, if it is about one.
    pub subject: Option<Subject>,
    /// Bytes to send.
    pub bytes: u64,
    /// Why it waits.
    pub reason: Waiting,
}

/// What waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum OutboxWhat {
    /// Changes of a document.
    Changes {
        /// The document.
        document: DocumentId,
        /// Its kind.
        kind: DocumentKind,
        /// How many changes no receipt covers.
        count: usize,
    },
    /// A photo.
    Photo {
        /// Which.
        photo: PhotoHash,
    },
}

/// Why something waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Waiting {
    /// It could not be stored on this device yet.
    NotSaved,
    /// There is no connection.
    Offline,
    /// It is on its way.
    Sending {
        /// Bytes that the server has.
        sent: u64,
    },
    /// The user lets photos wait for a network that is not paid by volume.
    Paused,
    /// Sent, but no receipt covers it yet.
    NoReceipt,
    /// The server does not give or take this document.
    Denied,
    /// Durable on the server, outside the document, until a supervisor admits it.
    Held,
    /// Durable on the server, outside the document: a supervisor left it out.
    LeftOut,
    /// The server keeps it but can never merge it; this device states it again.
    SetAside,
    /// The server refused the document, or sent what cannot be used of it. It
    /// is tried again later; all other documents go on.
    Unusable {
        /// Why.
        problem: Problem,
    },
    /// The server refused it for good.
    Stuck {
        /// Why.
        problem: Problem,
    },
}

/// The connection as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkView {
    /// Not wanted.
    Off,
    /// Wanted; between attempts or connecting.
    Trying,
    /// Up.
    Online,
}

/// The numbers of a survey that a list of schools shows.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    complete: usize,
    entries: usize,
    conflicts: usize,
    returned: usize,
}

impl Counts {
    fn of(survey: &SurveyView) -> Self {
        let reading = &survey.consolidated;
        let count = |test: fn(&OpenPoint) -> bool| survey.open.iter().filter(|point| test(point)).count();
        let in_items = reading.items.values().flat_map(|item| item.fields.values());
        let all = in_items.chain(reading.entries.values());
        Self {
            complete: reading.complete.len(),
            entries: all.filter(|entry| !matches!(entry.value, ValueState::Missing)).count(),
            conflicts: count(|point| matches!(point, OpenPoint::Conflict { .. })),
            returned: count(|point| matches!(point, OpenPoint::Returned { .. })),
        }
    }
}

impl Engine {
    /// Whether the store was read and can be used.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Who is logged in.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The rounds that this device knows.
    pub fn packets(&self) -> impl Iterator<Item = &Packet> {
        self.packets.values()
    }

    /// Drafts by form.
    #[must_use]
    pub fn drafts(&self) -> &BTreeMap<String, String> {
        &self.drafts
    }

    /// Photos that this device took.
    pub fn photos(&self) -> impl Iterator<Item = &PhotoRecord> {
        self.photos.values()
    }

    /// What a supervisor left out of this person's work on this device, newest first.
    pub fn left_out(&self) -> impl Iterator<Item = &LeftOut> {
        let person = self.identity.as_ref().map(|identity| &identity.person);
        self.left_out.values().rev().filter(move |record| Some(&record.person) == person)
    }

    /// Receipts, oldest first.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.values()
    }

    /// The connection.
    #[must_use]
    pub fn link_view(&self) -> LinkView {
        match &self.link {
            Link::Off => LinkView::Off,
            Link::Waiting { .. } | Link::Opening { .. } => LinkView::Trying,
            Link::Open(_) => LinkView::Online,
        }
    }

    /// The schools of all packets with how far they are.
    #[must_use]
    pub fn schools(&self) -> Vec<SchoolProgress> {
        let all = self.packets.values().flat_map(|packet| {
            packet.packet.schools.iter().map(|school| {
                let subject =
                    Subject { round: packet.packet.round.id.clone(), school: school.school.id.clone() };
                (subject, school)
            })
        });
        all.map(|(subject, school)| self.progress(subject, &school.school, school.assigned)).collect()
    }

    fn progress(&self, subject: Subject, school: &School, assigned: bool) -> SchoolProgress {
        let counts = self.counts(&subject, || {
            self.survey_beside(&subject).map(|survey| Counts::of(&survey)).unwrap_or_default()
        });
        let waiting = |record: &&PhotoRecord| record.subject == subject && record.bytes_left() > 0;
        SchoolProgress {
            complete: counts.complete,
            entries: counts.entries,
            conflicts: counts.conflicts,
            returned: counts.returned,
            photos_waiting: self.photos.values().filter(waiting).count(),
            school: school.clone(),
            assigned,
            subject,
        }
    }

    /// The survey of a school with its open points.
    ///
    /// # Errors
    /// [`CommandError::UnknownSchool`] if no packet holds it.
    pub fn survey(&self, subject: &Subject) -> Result<SurveyView, CommandError> {
        Ok(self.survey_view(subject, self.consolidated(subject)?))
    }

    /// The same, and the school that is open stays so.
    fn survey_beside(&self, subject: &Subject) -> Result<SurveyView, CommandError> {
        if self.readings.is_open(subject) {
            return self.survey(subject);
        }
        let consolidated = match self.documents.get(&About::of(subject, DocumentKind::Survey).id()) {
            Some(local) => self.consolidated_with(subject, &local.doc),
            None => self.consolidated_with(subject, &empty(DocumentKind::Survey)),
        };
        Ok(self.survey_view(subject, consolidated?))
    }

    fn survey_view(&self, subject: &Subject, consolidated: ConsolidatedSchool) -> SurveyView {
        let mut open = Vec::new();
        for section in Section::ALL {
            if !consolidated.complete.contains(&section) {
                open.push(OpenPoint::Section { section });
            }
        }
        let fields = consolidated.items.iter().flat_map(|(key, item)| {
            item.fields.iter().map(|(field, entry)| {
                let path = EntryPath::Item { kind: key.kind, item: key.item.clone(), field: field.clone() };
                (path, entry)
            })
        });
        let others = consolidated.entries.iter().map(|(path, entry)| (path.clone(), entry));
        for (path, entry) in fields.chain(others) {
            if let ReviewState::Returned { reason, overruled: false, .. } = &entry.review {
                open.push(OpenPoint::Returned { path, reason: reason.clone() });
            }
        }
        open.extend(consolidated.conflicts().into_iter().map(|conflict| OpenPoint::Conflict { conflict }));
        open.extend(consolidated.findings.iter().cloned().map(|finding| OpenPoint::Finding { finding }));
        SurveyView { heads: self.school_heads(subject), consolidated, open }
    }

    /// Everything that was ever stated about one entry, as far as this device
    /// knows. Walks through the survey's history.
    ///
    /// # Errors
    /// [`CommandError::UnknownSchool`] if no packet holds it.
    pub fn history(&self, subject: &Subject, path: &EntryPath) -> Result<Vec<PastClaim>, CommandError> {
        self.packet_school(subject)?;
        let local = self.documents.get(&About::of(subject, DocumentKind::Survey).id());
        let found = local.map(|local| history_of_entry(&local.doc, DocumentKind::Survey, path));
        Ok(found.unwrap_or_default())
    }

    /// Entries in which a claim that is live took the place of another
    /// person's, as far as this device knows. Walks through the survey's
    /// history once.
    #[must_use]
    pub fn replaced_others(&self, subject: &Subject) -> BTreeSet<EntryPath> {
        let Some(local) = self.documents.get(&About::of(subject, DocumentKind::Survey).id()) else {
            return BTreeSet::new();
        };
        let replaced = history::replaced(&local.doc).into_iter();
        replaced
            .filter(|found| self.are_others(subject, &found.by, &found.old))
            .map(|found| found.path)
            .collect()
    }

    /// Whether two ops are of different people. An actor that nobody is known
    /// for is somebody else.
    fn are_others(&self, subject: &Subject, a: &OpId, b: &OpId) -> bool {
        let person = |op: &OpId| self.person_of(&subject.round, op.actor());
        a.actor() != b.actor() && (person(a).is_none() || person(a) != person(b))
    }

    fn person_of(&self, round: &RoundId, actor: &str) -> Option<&PersonId> {
        let own = self.own_actors.get(actor);
        let packet = self.packets.get(round);
        own.or_else(|| Some(&packet?.packet.actors.get(actor)?.person))
    }

    /// The name of the person whose changes an actor's (hex) changes are, if
    /// this device knows it.
    #[must_use]
    pub fn name_of(&self, round: &RoundId, actor: &str) -> Option<String> {
        let packet = self.packets.get(round);
        let bound = packet.and_then(|packet| packet.packet.actors.get(actor));
        let own = || self.person_of(round, actor).map(ToString::to_string);
        bound.map(|binding| binding.person_name.clone()).or_else(own)
    }

    /// Open conflicts of a school.
    ///
    /// # Errors
    /// [`CommandError::UnknownSchool`] if no packet holds it.
    pub fn conflicts(&self, subject: &Subject) -> Result<Vec<Conflict>, CommandError> {
        Ok(self.consolidated(subject)?.conflicts())
    }

    /// The one reading of a school.
    pub(crate) fn consolidated(&self, subject: &Subject) -> Result<ConsolidatedSchool, CommandError> {
        self.with_reading(subject, |reading, _| reading.school().clone())
    }

    /// The one reading of a school with another version of its survey.
    pub(crate) fn consolidated_with(
        &self,
        subject: &Subject,
        survey: &automerge::Automerge,
    ) -> Result<ConsolidatedSchool, CommandError> {
        let (packet, school) = self.packet_school(subject)?;
        let round = &packet.packet.round.settings;
        let settings =
            Settings { tolerance: round.tolerance.clone(), require_acceptance: round.require_acceptance };
        let of =
            |kind: DocumentKind| self.documents.get(&About::of(subject, kind).id()).map(|local| &local.doc);
        let (no_review, no_ruling) = (empty(DocumentKind::Review), empty(DocumentKind::Ruling));
        Ok(consolidate::consolidate(
            &school.school,
            &school.declared,
            &settings,
            survey,
            of(DocumentKind::Review).unwrap_or(&no_review),
            of(DocumentKind::Ruling).unwrap_or(&no_ruling),
        ))
    }

    pub(crate) fn school_heads(&self, subject: &Subject) -> BTreeMap<DocumentId, BTreeSet<String>> {
        [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling]
            .into_iter()
            .filter_map(|kind| self.documents.get(&About::of(subject, kind).id()))
            .map(|local| (local.id(), heads_of(local)))
            .collect()
    }

    /// What is still only on this device, and why. Computed from documents,
    /// photos and receipts; there is no queue that could disagree with them.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        let documents = self.documents.values().filter(|local| local.about.own).filter_map(|local| {
            let id = local.id();
            let acked = self.acked.get(&id);
            let known: Vec<automerge::ChangeHash> =
                acked.iter().flat_map(|acked| &acked.heads).filter_map(|head| head.parse().ok()).collect();
            let changes = local.doc.get_changes(&known);
            // Whatever the actor: an earlier one of this device counts too. What
            // everybody has from the beginning is nobody's work.
            let genesis = automerge::ChangeHash(genesis::hash(local.about.kind));
            let waiting: Vec<_> = changes.iter().filter(|change| change.hash() != genesis).collect();
            if waiting.is_empty() {
                return None;
            }
            let bytes = waiting.iter().map(|change| change.raw_bytes().len() as u64).sum();
            let about = &local.about;
            Some(OutboxItem {
                what: OutboxWhat::Changes { document: id, kind: about.kind, count: waiting.len() },
                subject: about.school.clone().map(|school| Subject { round: about.round.clone(), school }),
                bytes,
                reason: self.why_document(local, acked),
            })
        });
        let photos = self.photos.values().filter_map(|record| {
            Some(OutboxItem {
                what: OutboxWhat::Photo { photo: record.photo },
                subject: Some(record.subject.clone()),
                bytes: record.bytes_left(),
                reason: self.why_photo(record)?,
            })
        });
        let items: Vec<OutboxItem> = documents.chain(photos).collect();
        Outbox { bytes: items.iter().map(|item| item.bytes).sum(), items }
    }

    /// Whether anything captured here is not on the server. Changes that are
    /// held for a supervisor, or that one left out, were delivered.
    pub(crate) fn has_undelivered(&self) -> bool {
        self.undelivered().next().is_some()
    }

    /// Whether anything captured in a round is not on the server.
    pub(crate) fn has_undelivered_in(&self, round: &RoundId) -> bool {
        self.undelivered().any(|item| item.subject.is_none_or(|subject| subject.round == *round))
    }

    fn undelivered(&self) -> impl Iterator<Item = OutboxItem> {
        let delivered = [Waiting::Held, Waiting::LeftOut, Waiting::SetAside];
        self.outbox().items.into_iter().filter(move |item| !delivered.contains(&item.reason))
    }

    /// What is in memory and may not be on disk, as the store would hold it:
    /// keys with their bytes, or with nothing where they go. What a full disk
    /// did not take is here.
    #[must_use]
    pub fn in_memory(&self) -> Vec<(Key, Option<Vec<u8>>)> {
        let documents = self.documents.values().flat_map(LocalDocument::unsaved);
        let photos = self.photos.values().map(|record| (keys::photo(&record.photo), Some(json(record))));
        let drafts =
            self.drafts.iter().map(|(form, text)| (keys::draft(form), Some(text.clone().into_bytes())));
        documents.chain(photos).chain(drafts).collect()
    }

    fn why_document(&self, local: &LocalDocument, acked: Option<&Acked>) -> Waiting {
        if local.is_busy() {
            return Waiting::NotSaved;
        }
        // What came after the receipt is on this device only, whatever became
        // of the rest.
        if let Some(acked) = acked
            && heads_of(local).iter().all(|head| acked.settles(head))
        {
            return match (acked.held.is_empty(), acked.left_out.is_empty()) {
                (false, _) => Waiting::Held,
                (true, false) => Waiting::LeftOut,
                (true, true) => Waiting::SetAside,
            };
        }
        if let Some(problem) = self.refusals.problem(&local.id()) {
            return Waiting::Unusable { problem: problem.clone() };
        }
        let Link::Open(open) = &self.link else { return Waiting::Offline };
        match open.documents.get(&local.id()) {
            Some(exchange) if exchange.denied || exchange.state.is_peer_read_only() => Waiting::Denied,
            _ if self.link.has_ours(local) => Waiting::NoReceipt,
            _ => Waiting::Sending { sent: 0 },
        }
    }

    fn why_photo(&self, record: &PhotoRecord) -> Option<Waiting> {
        Some(match &record.state {
            PhotoState::Receipted { .. } | PhotoState::Freed { .. } => return None,
            PhotoState::Stuck { problem } => Waiting::Stuck { problem: problem.clone() },
            PhotoState::Sent => Waiting::NoReceipt,
            _ if !self.link.is_open() => Waiting::Offline,
            _ if self.uploads.paused => Waiting::Paused,
            PhotoState::Waiting => Waiting::Sending { sent: 0 },
            PhotoState::Uploading { sent, .. } => Waiting::Sending { sent: *sent },
        })
    }
}

pub(crate) fn empty(kind: DocumentKind) -> automerge::Automerge {
    genesis::document(kind, automerge::ActorId::from(&[0xff_u8; 16][..]))
}
