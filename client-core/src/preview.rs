//! The offline indicator preview.

use duxue_document::collections::{BTreeMap, BTreeSet};

use automerge::ActorId;
use serde::Serialize;

use duxue_document::changed::Changed;
use duxue_document::consolidate::Documents;
use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::{Captured, Claim, DocumentId, DocumentKind, EntryPath, write};
use duxue_standards::assess::{self, SchoolAssessment};
use duxue_standards::input::{self, InputSettings};

use crate::capture::write_error;
use crate::command::{Statement, Subject};
use crate::engine::Engine;
use crate::error::CommandError;
use crate::validate;

/// Writes what is typed into a copy that is thrown away; no other document
/// ever has it.
const TYPING: [u8; 16] = [0xfe; 16];

/// The indicators of a school as this device sees them.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// Always true: only the server's assessment counts.
    pub provisional: bool,
    /// Standard id with version.
    pub standard: String,
    /// Heads (hex) of the documents that it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// The result.
    pub assessment: SchoolAssessment,
}

impl Engine {
    /// The indicators of a school by the packet's standard, from what this
    /// device knows. The same code and files as on the server.
    ///
    /// # Errors
    /// [`CommandError::UnknownSchool`], or [`CommandError::BadStandard`].
    pub fn preview(&self, subject: &Subject) -> Result<Preview, CommandError> {
        self.with_reading(subject, |reading, _| self.preview_of(subject, reading.school()))?
    }

    /// The same, as it would be if these claims were stated too: what is being
    /// typed. A claim that does not fit yet is left out.
    ///
    /// # Errors
    /// As [`Self::preview`], and [`CommandError::Write`].
    pub fn preview_with(
        &self,
        subject: &Subject,
        claims: &[(EntryPath, Statement)],
    ) -> Result<Preview, CommandError> {
        if claims.is_empty() {
            return self.preview(subject);
        }
        let captured = Captured {
            device_time_ms: 0,
            clock_offset_ms: None,
            boot_id: self.boot_id.clone(),
            counter: self.counter,
            place: None,
        };
        let claims: Vec<(EntryPath, Claim)> = claims
            .iter()
            .filter(|(path, statement)| validate::check(path, &statement.value).is_ok())
            .map(|(path, statement)| {
                let value = statement.value.clone();
                (path.clone(), Claim { value, captured: captured.clone(), photos: Vec::new(), note: None })
            })
            .collect();
        self.with_reading(subject, |reading, documents| {
            let mut survey = documents.survey.clone();
            survey.set_actor(ActorId::from(&TYPING[..]));
            let before = survey.get_heads();
            write::put_claims(&mut survey, &claims).map_err(|error| write_error(&error))?;
            let mut typed = reading.clone();
            let changed = Changed::since(DocumentKind::Survey, &survey, &before);
            typed.update(Documents { survey: &survey, ..documents }, &changed);
            self.preview_of(subject, typed.school())
        })?
    }

    fn preview_of(
        &self,
        subject: &Subject,
        consolidated: &ConsolidatedSchool,
    ) -> Result<Preview, CommandError> {
        let (packet, _) = self.packet_school(subject)?;
        let standard =
            packet.standard.as_ref().map_err(|reason| CommandError::BadStandard(reason.clone()))?;
        let round = &packet.packet.round;
        let settings = InputSettings { tolerance: round.settings.tolerance.clone() };
        let school = input::school_input(standard, consolidated, &settings);
        Ok(Preview {
            provisional: true,
            standard: round.standard.clone(),
            heads: self.school_heads(subject),
            assessment: assess::school(standard, &school, &round.settings.as_of),
        })
    }
}
