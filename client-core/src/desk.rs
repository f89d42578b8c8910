//! Commands of the desk: verdicts and rulings, written into documents too.

use duxue_document::collections::{BTreeMap, BTreeSet};

use duxue_document::decision::{self, Outcome, Ruling, RulingChoice, Verdict};
use duxue_document::{DecisionId, DocumentKind, EntryPath, write};

use crate::capture::write_error;
use crate::command::{Reply, Saved, Seen, Subject};
use crate::document::About;
use crate::engine::{Engine, Turn};
use crate::error::CommandError;
use crate::event::CommandId;
use crate::identity;

impl Engine {
    /// Accepts or returns entries, each by a verdict of its own.
    pub(crate) fn judge(
        &mut self,
        id: CommandId,
        subject: &Subject,
        entries: BTreeMap<EntryPath, Seen>,
        outcome: &Outcome,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let review = About::of(subject, DocumentKind::Review);
        self.may_write(&review)?;
        if let Outcome::Returned { reason } = outcome {
            needs_reason(reason)?;
        }
        let captured = self.captured(None, turn.now_ms);
        let mut verdicts = Vec::new();
        for (entry, seen) in entries {
            let verdict = Verdict {
                entry,
                saw: seen.ops,
                outcome: outcome.clone(),
                supersedes: seen.verdicts,
                captured: captured.clone(),
            };
            verdicts.push((decision_id(turn)?, verdict));
        }
        let (local, puts) = self.writable(review, turn)?;
        let before = local.doc.get_heads();
        let mut claims = Vec::new();
        for (decision, verdict) in verdicts {
            write::put_verdict(&mut local.doc, &decision, &verdict).map_err(|error| write_error(&error))?;
            claims.push((verdict.entry, None));
        }
        let saved = Saved { claims, ..Saved::default() };
        local.save_after(&before, puts, Some((id, Reply::Saved(saved))));
        Ok(())
    }

    /// Writes a ruling that replaces the ones that were shown. One that came
    /// since stays, and the two contradict each other until someone saw both.
    pub(crate) fn rule(
        &mut self,
        id: CommandId,
        subject: &Subject,
        about: decision::Subject,
        supersedes: BTreeSet<DecisionId>,
        reason: String,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        let document = About::of(subject, DocumentKind::Ruling);
        self.may_write(&document)?;
        needs_reason(&reason)?;
        let mut claims = Vec::new();
        if let decision::Subject::Entry { path, choice, .. } = &about {
            if let RulingChoice::Set(value) = choice {
                crate::validate::check(path, value).map_err(CommandError::BadValue)?;
            }
            claims.push((path.clone(), None));
        }
        let captured = self.captured(None, turn.now_ms);
        let decision = decision_id(turn)?;
        let ruling = Ruling { subject: about, reason, supersedes, captured };
        let (local, puts) = self.writable(document, turn)?;
        let before = local.doc.get_heads();
        write::put_ruling(&mut local.doc, &decision, &ruling).map_err(|error| write_error(&error))?;
        let saved = Saved { claims, ..Saved::default() };
        local.save_after(&before, puts, Some((id, Reply::Saved(saved))));
        Ok(())
    }
}

/// Who decides on another's work says why.
pub(crate) fn needs_reason(reason: &str) -> Result<(), CommandError> {
    if reason.trim().is_empty() {
        return Err(CommandError::BadValue("原因 / reason".to_owned()));
    }
    crate::bounds::check_text("reason", reason)
}

fn decision_id(turn: &mut Turn) -> Result<DecisionId, CommandError> {
    DecisionId::new(identity::hex(&turn.random::<10>()))
        .map_err(|error| CommandError::Write(error.to_string()))
}
