//! Commands of the desk: verdicts and rulings, written into documents too.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::decision::{Outcome, Ruling, RulingChoice, Subject as About, Verdict};
use duxue_document::{DecisionId, DocumentKind, EntryPath, write};

use crate::capture::write_error;
use crate::command::{Decision, Judgement, Reply, Saved, Seen, Subject};
use crate::engine::{Engine, Turn};
use crate::error::CommandError;
use crate::event::CommandId;
use crate::identity;

/// The decisions about a conflict that its judge was shown.
pub(crate) struct Standing {
    pub verdicts: BTreeSet<DecisionId>,
    pub rulings: BTreeSet<DecisionId>,
}

impl Engine {
    /// Accepts or returns entries, each by a verdict of its own.
    pub(crate) fn judge(
        &mut self,
        id: CommandId,
        subject: &Subject,
        entries: BTreeMap<EntryPath, Seen>,
        judgement: &Judgement,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        self.may_write(subject, DocumentKind::Review)?;
        let outcome = match judgement {
            Judgement::Accepted => Outcome::Accepted,
            Judgement::Returned { reason } if reason.trim().is_empty() => {
                return Err(CommandError::BadValue("原因 / reason".to_owned()));
            }
            Judgement::Returned { reason } => Outcome::Returned { reason: reason.clone() },
        };
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
        let (local, puts) = self.writable(subject, DocumentKind::Review, turn)?;
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
        decision: Decision,
        shown: Standing,
        reason: String,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        self.may_write(subject, DocumentKind::Ruling)?;
        if reason.trim().is_empty() {
            return Err(CommandError::BadValue("原因 / reason".to_owned()));
        }
        let about = match decision {
            Decision::Select { path, op, saw } => {
                let verdicts = shown.verdicts;
                About::Entry { path, choice: RulingChoice::Select(op), saw, verdicts }
            }
            Decision::Set { path, value, saw } => {
                crate::validate::check(&path, &value).map_err(CommandError::BadValue)?;
                let verdicts = shown.verdicts;
                About::Entry { path, choice: RulingChoice::Set(value), saw, verdicts }
            }
            Decision::Merge { items } => About::Merge { items },
            Decision::Separate { items } => About::Separate { items },
            Decision::Removal { item, present, saw } => About::Removal { item, present, saw },
        };
        let claims = match &about {
            About::Entry { path, .. } => vec![(path.clone(), None)],
            About::Merge { .. } | About::Separate { .. } | About::Removal { .. } => Vec::new(),
        };
        let supersedes = shown.rulings;
        let captured = self.captured(None, turn.now_ms);
        let decision = decision_id(turn)?;
        let ruling = Ruling { subject: about, reason, supersedes, captured };
        let (local, puts) = self.writable(subject, DocumentKind::Ruling, turn)?;
        let before = local.doc.get_heads();
        write::put_ruling(&mut local.doc, &decision, &ruling).map_err(|error| write_error(&error))?;
        let saved = Saved { claims, ..Saved::default() };
        local.save_after(&before, puts, Some((id, Reply::Saved(saved))));
        Ok(())
    }
}

fn decision_id(turn: &mut Turn) -> Result<DecisionId, CommandError> {
    DecisionId::new(identity::hex(&turn.random::<10>()))
        .map_err(|error| CommandError::Write(error.to_string()))
}
