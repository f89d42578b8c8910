//! The county's own figures and answers: what the bureau writes of the 15 + 9
//! items, satisfaction and vetoes, into the county document.
//!
//! There are no verdicts or rulings on it. Where two people wrote an entry
//! without knowing of each other, both values stand until one of them, or
//! anyone of the bureau, writes it again.

use duxue_document::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use duxue_document::conflict::Conflict;
use duxue_document::consolidate::consolidate_county;
use duxue_document::consolidated::ConsolidatedCounty;
use duxue_document::school::Part;
use duxue_document::{Claim, DocumentId, DocumentKind, EntryPath, RoundId};
use duxue_protocol::problem::Problem;
use duxue_standards::standard::Level;

use crate::capture::write_error;
use crate::command::{Mark, Reply, Saved, Statement, Warning};
use crate::document::About;
use crate::engine::{Engine, Turn};
use crate::error::CommandError;
use crate::event::CommandId;
use crate::receipts::heads_of;
use crate::views::empty;
use crate::{bounds, keys, validate};

/// The county's own data as this device knows it.
#[derive(Debug, Clone, Serialize)]
pub struct CountyReading {
    /// The one reading.
    pub consolidated: ConsolidatedCounty,
    /// Entries whose candidates differ.
    pub conflicts: Vec<Conflict>,
    /// Heads (hex) of the document that it was made from.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
}

impl Engine {
    /// States figures and answers of the county in one change; the reply
    /// follows when it is on disk.
    pub(crate) fn put_county(
        &mut self,
        id: CommandId,
        round: &RoundId,
        claims: Vec<(EntryPath, Statement)>,
        mark: Option<Mark>,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let county = About::county(round);
        self.may_write(&county)?;
        let mut warnings = Vec::new();
        for (path, statement) in &claims {
            let held = matches!(path, EntryPath::Quantity(_) | EntryPath::Answer(_));
            // Photos are linked to schools, and so are the rights to see them.
            if !held || !statement.photos.is_empty() {
                return Err(CommandError::BadValue(path.to_string()));
            }
            validate::check_statement(path, statement)?;
            warnings.extend(self.not_asked(round, path));
        }
        let claims: Vec<(EntryPath, Claim)> =
            claims.into_iter().map(|(path, statement)| (path, self.claim(statement, turn.now_ms))).collect();
        let (local, mut puts) = self.writable(county, turn)?;
        let before = local.doc.get_heads();
        let ops = bounds::put_claims(&mut local.doc, &claims).map_err(|error| write_error(&error))?;
        if let Some(mark) = &mark {
            puts.push((keys::draft(&mark.form), mark.text.clone().into_bytes()));
        }
        let claims = claims.into_iter().map(|(path, _)| path).zip(ops.into_iter().map(Some)).collect();
        let saved = Saved { item: None, claims, warnings };
        local.save_after(&before, puts, Some((id, Reply::Saved(saved))));
        self.drafts.extend(mark.map(|mark| (mark.form, mark.text)));
        Ok(())
    }

    /// What the round's standard does not ask of the county: most likely a
    /// slip of the pen, which no result would ever show.
    fn not_asked(&self, round: &RoundId, path: &EntryPath) -> Option<Warning> {
        let standard = self.packets.get(round)?.standard.as_ref().ok()?;
        let asked = match path {
            EntryPath::Quantity(key) => {
                let known = standard.quantities.get(&key.quantity);
                key.part == Part::Whole && known.is_some_and(|quantity| quantity.county)
            }
            EntryPath::Answer(question) => {
                standard.questions().iter().any(|(id, level, _)| id == question && *level == Level::County)
            }
            _ => false,
        };
        let problem = || {
            Problem::new(
                "county.not_asked",
                "本轮标准没有要求县级填报这一项，请核对名称；已照填写保存",
                "this round's standard does not ask this of the county: check the name; it is saved as entered",
            )
        };
        (!asked).then(|| Warning {
            path: path.clone(),
            problem: problem().with_detail(path.to_string()),
            unusual: None,
        })
    }

    /// The one reading of the county's own data.
    ///
    /// # Errors
    /// [`CommandError::UnknownRound`] if there is no packet of the round.
    pub fn county(&self, round: &RoundId) -> Result<CountyReading, CommandError> {
        let packet = &self.packets.get(round).ok_or(CommandError::UnknownRound)?.packet;
        let declared = packet.county.clone().unwrap_or_default();
        let local = self.documents.get(&About::county(round).id());
        let consolidated = match local {
            Some(local) => consolidate_county(&declared, &local.doc),
            None => consolidate_county(&declared, &empty(DocumentKind::County)),
        };
        let heads = local.into_iter().map(|local| (local.id(), heads_of(local))).collect();
        Ok(CountyReading { conflicts: consolidated.conflicts(), consolidated, heads })
    }
}
