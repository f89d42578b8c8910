//! Commands of the desk: verdicts and rulings, written into documents too.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::decision::{Outcome, Ruling, RulingChoice, Subject as About, Verdict};
use duxue_document::{DecisionId, DocumentKind, EntryPath, OpId, write};

use crate::capture::write_error;
use crate::command::{Decision, Judgement, Reply, Saved, Subject};
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
        entries: BTreeMap<EntryPath, BTreeSet<OpId>>,
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
        for (entry, saw) in entries {
            let supersedes = self.standing_verdicts(subject, &entry);
            let verdict =
                Verdict { entry, saw, outcome: outcome.clone(), supersedes, captured: captured.clone() };
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

    /// Writes a ruling that replaces the ones standing on the same subject.
    pub(crate) fn rule(
        &mut self,
        id: CommandId,
        subject: &Subject,
        decision: Decision,
        reason: String,
        turn: &mut Turn,
    ) -> Result<(), CommandError> {
        self.may_write(subject, DocumentKind::Ruling)?;
        if reason.trim().is_empty() {
            return Err(CommandError::BadValue("原因 / reason".to_owned()));
        }
        let about = match decision {
            Decision::Select { path, op, saw } => {
                let verdicts = self.standing_verdicts(subject, &path);
                About::Entry { path, choice: RulingChoice::Select(op), saw, verdicts }
            }
            Decision::Set { path, value, saw } => {
                crate::validate::check(&path, &value).map_err(CommandError::BadValue)?;
                let verdicts = self.standing_verdicts(subject, &path);
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
        let supersedes = self.standing_rulings(subject, &about);
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

    fn standing_verdicts(&self, subject: &Subject, entry: &EntryPath) -> BTreeSet<DecisionId> {
        let document = crate::document::About::of(subject, DocumentKind::Review).id();
        let Some(local) = self.documents.get(&document) else { return BTreeSet::new() };
        let verdicts = duxue_document::decision::verdicts(&local.doc);
        let replaced: BTreeSet<&DecisionId> =
            verdicts.values().flat_map(|verdict| &verdict.supersedes).collect();
        verdicts
            .iter()
            .filter(|(id, verdict)| verdict.entry == *entry && !replaced.contains(id))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn standing_rulings(&self, subject: &Subject, about: &About) -> BTreeSet<DecisionId> {
        let document = crate::document::About::of(subject, DocumentKind::Ruling).id();
        let Some(local) = self.documents.get(&document) else { return BTreeSet::new() };
        let rulings = duxue_document::decision::rulings(&local.doc);
        let replaced: BTreeSet<&DecisionId> =
            rulings.values().flat_map(|ruling| &ruling.supersedes).collect();
        rulings
            .iter()
            .filter(|(id, ruling)| !replaced.contains(id) && same_subject(&ruling.subject, about))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// Whether a later ruling replaces an earlier one: the same entry, the same
/// item's removal, or groups of items that overlap.
fn same_subject(earlier: &About, later: &About) -> bool {
    match (earlier, later) {
        (About::Entry { path: a, .. }, About::Entry { path: b, .. }) => a == b,
        (About::Removal { item: a, .. }, About::Removal { item: b, .. }) => a == b,
        (
            About::Merge { items: a } | About::Separate { items: a },
            About::Merge { items: b } | About::Separate { items: b },
        ) => a == b,
        _ => false,
    }
}

fn decision_id(turn: &mut Turn) -> Result<DecisionId, CommandError> {
    DecisionId::new(identity::hex(&turn.random::<10>()))
        .map_err(|error| CommandError::Write(error.to_string()))
}
