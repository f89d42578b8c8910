//! The two states of an entry: its value and its review.

use crate::collections::BTreeSet;

use super::Settings;
use super::agree::{Agreement, agreement, same};
use crate::consolidated::{Candidate, Entry, ReviewState, ValueState};
use crate::decision::{Outcome, RulingChoice, Verdict};
use crate::{DecisionId, EntryPath, OpId, Value};

/// A ruling on an entry that nothing supersedes.
pub(super) struct EntryRuling<'a> {
    pub(super) id: &'a DecisionId,
    pub(super) choice: &'a RulingChoice,
    pub(super) saw: &'a BTreeSet<OpId>,
    pub(super) verdicts: &'a BTreeSet<DecisionId>,
}

/// What there is to know of an entry beside its candidates.
pub(super) struct Decided<'a> {
    pub(super) settings: &'a Settings,
    /// Verdicts that nothing supersedes, by id.
    pub(super) verdicts: Vec<(&'a DecisionId, &'a Verdict)>,
    /// Rulings that nothing supersedes, by id.
    pub(super) rulings: Vec<EntryRuling<'a>>,
    /// The value of a claim that is no longer live.
    pub(super) past: &'a dyn Fn(&OpId) -> Option<Value>,
}

/// The ruled value, and the candidate or former candidate it is of.
struct Ruled<'a> {
    ruling: &'a EntryRuling<'a>,
    value: Value,
    op: Option<OpId>,
}

/// Works out an entry from its live candidates, in the order of their ops.
pub(super) fn entry(path: &EntryPath, candidates: Vec<Candidate>, decided: &Decided<'_>) -> Entry {
    let live: BTreeSet<OpId> = candidates.iter().map(|candidate| candidate.op.clone()).collect();
    // A ruling stands while every live candidate is one that it saw.
    let (standing, former): (Vec<_>, Vec<_>) = decided
        .rulings
        .iter()
        .filter_map(|ruling| ruled(ruling, &candidates, decided.past))
        .partition(|ruled| live.is_subset(ruled.ruling.saw));
    let value = value(path, &candidates, &standing, &former, decided.settings);
    let overruled = match &value {
        ValueState::Settled { .. } => standing.iter().flat_map(|ruled| ruled.ruling.verdicts).collect(),
        _ => BTreeSet::new(),
    };
    let review = review(&live, &overruled, decided);
    Entry { candidates, value, review }
}

fn ruled<'a>(
    ruling: &'a EntryRuling<'a>,
    candidates: &[Candidate],
    past: &dyn Fn(&OpId) -> Option<Value>,
) -> Option<Ruled<'a>> {
    let (value, op) = match ruling.choice {
        RulingChoice::Set(value) => (value.clone(), None),
        RulingChoice::Select(op) => {
            let live = candidates.iter().find(|candidate| candidate.op == *op);
            (live.map(|candidate| candidate.value.clone()).or_else(|| past(op))?, Some(op.clone()))
        }
    };
    Some(Ruled { ruling, value, op })
}

fn value(
    path: &EntryPath,
    candidates: &[Candidate],
    standing: &[Ruled<'_>],
    former: &[Ruled<'_>],
    settings: &Settings,
) -> ValueState {
    if let Some(first) = standing.first() {
        if standing.iter().all(|ruled| same(path, &ruled.value, &first.value)) {
            let Ruled { ruling, value, op } = first;
            return ValueState::Settled { ruling: ruling.id.clone(), value: value.clone(), op: op.clone() };
        }
        let contradicting = standing.iter().map(|ruled| ruled.value.clone()).collect();
        return ValueState::Conflicting { ruled_before: None, contradicting };
    }
    let Some(lowest) = candidates.first() else { return ValueState::Missing };
    let values = || candidates.iter().map(|candidate| &candidate.value);
    // The ruling that saw most says what was ruled before.
    let before = former
        .iter()
        .max_by(|a, b| (a.ruling.saw.len(), b.ruling.id).cmp(&(b.ruling.saw.len(), a.ruling.id)))
        .map(|ruled| &ruled.value);
    if let Some(before) = before
        && !values().all(|value| same(path, value, before))
    {
        return ValueState::Conflicting { ruled_before: Some(before.clone()), contradicting: Vec::new() };
    }
    let (op, value) = (lowest.op.clone(), lowest.value.clone());
    // Nearly every entry has one candidate.
    let agreement = match candidates {
        [_] => Agreement::Equal,
        _ => agreement(path, values(), settings),
    };
    match agreement {
        Agreement::Equal => ValueState::Agreed { op, value },
        Agreement::Within => ValueState::WithinTolerance { op, value },
        Agreement::Differ => ValueState::Conflicting { ruled_before: None, contradicting: Vec::new() },
    }
}

fn review(live: &BTreeSet<OpId>, overruled: &BTreeSet<&DecisionId>, decided: &Decided<'_>) -> ReviewState {
    // A verdict holds only while the candidates are exactly what it saw.
    let holding: Vec<_> = decided.verdicts.iter().filter(|(_, verdict)| verdict.saw == *live).collect();
    let ids = || holding.iter().map(|(id, _)| (*id).clone()).collect();
    let awaiting = decided.settings.require_acceptance;
    let Some((_, verdict)) = holding.first() else {
        return if awaiting {
            ReviewState::Awaiting { verdicts: BTreeSet::new() }
        } else {
            ReviewState::Unreviewed
        };
    };
    let accepted = holding.iter().filter(|(_, verdict)| verdict.outcome == Outcome::Accepted).count();
    match &verdict.outcome {
        Outcome::Accepted if accepted == holding.len() => ReviewState::Accepted { verdicts: ids() },
        // Supervisors who return an entry for different reasons agree on that.
        Outcome::Returned { reason } if accepted == 0 => ReviewState::Returned {
            verdicts: ids(),
            reason: reason.clone(),
            overruled: holding.iter().all(|(id, _)| overruled.contains(id)),
        },
        _ if awaiting => ReviewState::Awaiting { verdicts: ids() },
        _ => ReviewState::Disputed { verdicts: ids() },
    }
}
