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

/// The documents of a school, genesis in place of one that is not here.
struct Held<'a> {
    here: [Option<&'a Automerge>; 3],
    genesis: [Automerge; 3],
}

impl<'a> Held<'a> {
    fn of(engine: &'a Engine, subject: &Subject) -> Self {
        let here = KINDS.map(|kind| {
            let local = engine.documents.get(&About::of(subject, kind).id());
            local.map(|local| &local.doc)
        });
        Self { here, genesis: KINDS.map(empty) }
    }

    fn documents(&self) -> Documents<'_> {
        let [survey, review, ruling] = &self.here;
        let [no_survey, no_review, no_ruling] = &self.genesis;
        Documents {
            survey: survey.unwrap_or(no_survey),
            review: review.unwrap_or(no_review),
            ruling: ruling.unwrap_or(no_ruling),
        }
    }
}

impl Readings {
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
                for ((kind, before), doc) in KINDS.into_iter().zip(&known.heads).zip(held.here) {
                    let Some(doc) = doc else { continue };
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
    heads.iter().zip(held.here).all(|(heads, doc)| match doc {
        Some(doc) => {
            !heads.is_empty() && heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some())
        }
        None => heads.is_empty(),
    })
}
