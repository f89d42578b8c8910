//! One entry as options of a variable.

use duxue_document::collections::{BTreeMap, BTreeSet};

use duxue_document::consolidated::{Entry, ReviewState, ValueState};
use duxue_document::{Decimal, EntryPath, Scalar, Value};

use crate::figure::{EntryRef, Gap, Subject, Variable, VariableIndex, VariableOption};

/// The open conflicts of one school or county, numbered as they are met.
pub(super) struct Entries {
    pub variables: Vec<Variable>,
    index: BTreeMap<Subject, VariableIndex>,
}

/// What an entry may say.
pub(super) struct Read<'a> {
    /// The values it may turn out to have; empty if it does not count.
    pub options: Vec<&'a Value>,
    /// Which of them, if there are several.
    pub variable: Option<VariableIndex>,
    /// The entry.
    pub entry: EntryRef,
}

impl Entries {
    pub fn new() -> Self {
        Self { variables: Vec::new(), index: BTreeMap::new() }
    }

    /// The number of a variable, which is made when first met.
    pub fn variable(&mut self, variable: Variable) -> VariableIndex {
        if let Some(index) = self.index.get(&variable.subject) {
            return *index;
        }
        self.index.insert(variable.subject.clone(), self.variables.len());
        self.variables.push(variable);
        self.variables.len() - 1
    }

    /// What an entry may say; `None` if nobody ever stated anything, so that
    /// the next source may speak. What was stated and does not count (returned,
    /// not accepted, disputed) is missing: the declared figure is no better
    /// than before someone looked, and must not stand in for it.
    pub fn read<'a>(&mut self, path: &EntryPath, entry: &'a Entry) -> Option<Read<'a>> {
        if matches!(entry.value, ValueState::Missing) && entry.candidates.is_empty() {
            return None;
        }
        let mut options = Vec::new();
        let mut gap = gap(entry);
        if gap.is_none() {
            options = distinct(entry);
            if options.is_empty() {
                gap = Some(Gap::NotAValue);
            }
        }
        let variable = (options.len() > 1).then(|| {
            self.variable(Variable {
                subject: Subject::Entry { path: path.clone() },
                within_tolerance: matches!(entry.value, ValueState::WithinTolerance { .. }),
                options: options.iter().map(|option| option.label.clone()).collect(),
            })
        });
        let entry = EntryRef {
            path: path.clone(),
            ops: entry.candidates.iter().map(|candidate| candidate.op.clone()).collect(),
            photos: entry.candidates.iter().flat_map(|candidate| candidate.photos.iter().copied()).collect(),
            unreviewed: matches!(
                entry.review,
                ReviewState::Unreviewed | ReviewState::Awaiting { .. } | ReviewState::Disputed { .. }
            ),
            gap,
        };
        Some(Read { options: options.into_iter().map(|option| option.value).collect(), variable, entry })
    }
}

/// Why an entry that somebody wrote does not count.
fn gap(entry: &Entry) -> Option<Gap> {
    match &entry.review {
        ReviewState::Returned { overruled: false, .. } => Some(Gap::Returned),
        ReviewState::Awaiting { verdicts } if verdicts.is_empty() => Some(Gap::AwaitsAcceptance),
        ReviewState::Awaiting { .. } | ReviewState::Disputed { .. } => Some(Gap::Disputed),
        ReviewState::Unreviewed | ReviewState::Accepted { .. } | ReviewState::Returned { .. } => None,
    }
}

struct Labelled<'a> {
    value: &'a Value,
    label: VariableOption,
}

/// The different values an entry may have, the preferred first, each with the
/// candidates that state it.
fn distinct(entry: &Entry) -> Vec<Labelled<'_>> {
    let label = |value: &Value| {
        let stated = entry.candidates.iter().filter(|candidate| candidate.value == *value);
        let ops: BTreeSet<_> = stated.map(|candidate| candidate.op.clone()).collect();
        let word = ops.is_empty().then(|| "ruled_before".to_owned());
        VariableOption { ops, word }
    };
    let values = entry.possible_values();
    values.into_iter().map(|value| Labelled { value, label: label(value) }).collect()
}

/// A number in a field of a value.
pub(super) fn number(value: &Value, field: &str) -> Option<Decimal> {
    value.iter().find_map(|(id, scalar)| match scalar {
        Scalar::Number(number) if id.as_str() == field => Some(*number),
        _ => None,
    })
}

/// A yes or no in a field of a value.
pub(super) fn flag(value: &Value, field: &str) -> Option<bool> {
    value.iter().find_map(|(id, scalar)| match scalar {
        Scalar::Bool(flag) if id.as_str() == field => Some(*flag),
        _ => None,
    })
}

/// A text in a field of a value.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.iter().find_map(|(id, scalar)| match scalar {
        Scalar::Text(text) if id.as_str() == field => Some(text.as_str()),
        _ => None,
    })
}
