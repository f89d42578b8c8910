//! The offline indicator preview.

use duxue_document::collections::{BTreeMap, BTreeSet};

use automerge::ActorId;
use serde::Serialize;

use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::{Captured, Claim, DocumentId, DocumentKind, EntryPath, write};
use duxue_standards::assess::{self, SchoolAssessment};
use duxue_standards::input::{self, InputSettings};

use crate::capture::write_error;
use crate::command::{Statement, Subject};
use crate::document::About;
use crate::engine::Engine;
use crate::error::CommandError;
use crate::validate;
use crate::views::empty;

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
        self.preview_of(subject, &self.consolidated(subject)?)
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
        let kind = DocumentKind::Survey;
        let mut survey = match self.documents.get(&About::of(subject, kind).id()) {
            Some(local) => local.doc.clone(),
            None => empty(kind),
        };
        survey.set_actor(ActorId::from(&TYPING[..]));
        write::put_claims(&mut survey, &claims).map_err(|error| write_error(&error))?;
        self.preview_of(subject, &self.consolidated_with(subject, &survey)?)
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
