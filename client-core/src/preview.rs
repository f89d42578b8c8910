//! The offline indicator preview.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use duxue_document::DocumentId;
use duxue_standards::assess::{self, SchoolAssessment};
use duxue_standards::input::{self, InputSettings};

use crate::command::Subject;
use crate::engine::Engine;
use crate::error::CommandError;

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
        let (packet, _) = self.packet_school(subject)?;
        let standard =
            packet.standard.as_ref().map_err(|reason| CommandError::BadStandard(reason.clone()))?;
        let consolidated = self.consolidated(subject)?;
        let round = &packet.packet.round;
        let settings = InputSettings { tolerance: round.settings.tolerance.clone() };
        let school = input::school_input(standard, &consolidated, &settings);
        Ok(Preview {
            provisional: true,
            standard: round.standard.clone(),
            heads: self.school_heads(subject),
            assessment: assess::school(standard, &school, &round.settings.as_of),
        })
    }
}
