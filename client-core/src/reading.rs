//! Readings of schools, kept while what they are made from stays as it is.
//!
//! A list of schools asks how far each is whenever anything changed, and the
//! indicators are asked for at every keystroke. Neither reads a document again
//! that is as it was.

use std::cell::RefCell;

use duxue_document::collections::BTreeMap;

use automerge::{Automerge, ChangeHash};

use duxue_document::DocumentKind;
use duxue_document::changed::Changed;
use duxue_document::consolidate::{Consolidator, Documents, Settings};

use crate::command::Subject;
use crate::document::About;
use crate::engine::Engine;
use crate::error::CommandError;
use crate::views::{Counts, empty};

const KINDS: [DocumentKind; 3] = [DocumentKind::Survey, DocumentKind::Review, DocumentKind::Ruling];

/// What a school's reading is made from beside the packet: the heads of its
/// documents, none for one that is not here.
pub(crate) type Heads = [Vec<ChangeHash>; 3];

/// What was read. Whoever changes a packet forgets all of it.
#[derive(Default)]
pub(crate) struct Readings {
    /// The school that was asked about last, whole.
    open: RefCell<Option<Open>>,
    /// Of every school only the numbers.
    counts: RefCell<BTreeMap<Subject, (Heads, Counts)>>,
}

struct Open {
    subject: Subject,
    heads: Heads,
    reading: Consolidator,
}

/// A document, or genesis in place of one that is not here.
enum Doc<'a> {
    Here(&'a Automerge),
    Empty(Box<Automerge>),
}

impl Doc<'_> {
    fn here(&self) -> Option<&Automerge> {
        match self {
            Self::Here(doc) => Some(doc),
            Self::Empty(_) => None,
        }
    }

    fn any(&self) -> &Automerge {
        match self {
            Self::Here(doc) => doc,
            Self::Empty(doc) => doc,
        }
    }
}

/// The documents of a school.
struct Held<'a>([Doc<'a>; 3]);

impl<'a> Held<'a> {
    fn of(engine: &'a Engine, subject: &Subject) -> Self {
        Self(KINDS.map(|kind| match engine.documents.get(&About::of(subject, kind).id()) {
            Some(local) => Doc::Here(&local.doc),
            None => Doc::Empty(Box::new(empty(kind))),
        }))
    }

    fn documents(&self) -> Documents<'_> {
        let [survey, review, ruling] = &self.0;
        Documents { survey: survey.any(), review: review.any(), ruling: ruling.any() }
    }
}

impl Readings {
    /// Whether a school is the one that was asked about last.
    pub(crate) fn is_open(&self, subject: &Subject) -> bool {
        self.open.borrow().as_ref().is_some_and(|open| open.subject == *subject)
    }

    /// A packet has changed: another register row, other figures or settings.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Engine {
    fn heads_of_school(&self, subject: &Subject) -> Heads {
        KINDS.map(|kind| {
            let local = self.documents.get(&About::of(subject, kind).id());
            local.map(|local| local.heads()).unwrap_or_default()
        })
    }

    /// Hands over the reading of a school with the documents that it is of.
    ///
    /// # Errors
    /// [`CommandError::UnknownSchool`] if no packet holds it.
    pub(crate) fn with_reading<T>(
        &self,
        subject: &Subject,
        what: impl FnOnce(&Consolidator, Documents<'_>) -> T,
    ) -> Result<T, CommandError> {
        let (packet, school) = self.packet_school(subject)?;
        let held = Held::of(self, subject);
        let documents = held.documents();
        let heads = self.heads_of_school(subject);
        let mut open = self.readings.open.borrow_mut();
        let known = open.take().filter(|open| open.subject == *subject);
        let reading = match known {
            Some(known) if known.heads == heads => known.reading,
            Some(known) if goes_on_from(&known.heads, &held) => {
                let mut reading = known.reading;
                for ((kind, before), doc) in KINDS.into_iter().zip(&known.heads).zip(&held.0) {
                    let Some(doc) = doc.here() else { continue };
                    reading.update(documents, &Changed::since(kind, doc, before));
                }
                reading
            }
            _ => {
                let round = &packet.packet.round.settings;
                let settings = Settings {
                    tolerance: round.tolerance.clone(),
                    require_acceptance: round.require_acceptance,
                };
                Consolidator::new(school.school.clone(), school.declared.clone(), settings, documents)
            }
        };
        let open = open.insert(Open { subject: subject.clone(), heads, reading });
        Ok(what(&open.reading, documents))
    }

    /// The numbers of a school, counted anew where a document of it has changed.
    pub(crate) fn counts(&self, subject: &Subject, count: impl FnOnce() -> Counts) -> Counts {
        let heads = self.heads_of_school(subject);
        let mut known = self.readings.counts.borrow_mut();
        if let Some((before, counts)) = known.get(subject)
            && *before == heads
        {
            return counts.clone();
        }
        let counts = count();
        known.insert(subject.clone(), (heads, counts.clone()));
        counts
    }
}

/// Whether the documents are those of these heads and more: not where one came
/// or was built again.
fn goes_on_from(heads: &Heads, held: &Held<'_>) -> bool {
    heads.iter().zip(&held.0).all(|(heads, doc)| match doc.here() {
        Some(doc) => {
            !heads.is_empty() && heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some())
        }
        None => heads.is_empty(),
    })
}
