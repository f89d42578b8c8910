//! Whether a section's items count: its mark says complete, says not, or is
//! open, and then both are possible.

use duxue_document::collections::BTreeSet;

use duxue_document::consolidated::{Entry, ReviewState};
use duxue_document::path::Section;
use duxue_document::{EntryPath, Value};

use super::entry::{Entries, flag};
use crate::figure::{EntryRef, Figure, Subject, Variable, VariableIndex, VariableOption};

/// What is known of a mark.
pub(super) enum Mark {
    /// The items are all there is.
    Complete,
    /// There may be more than the items.
    NotComplete,
    /// Inspectors differ, or verdicts do.
    Open(OpenMark),
}

/// A mark that is not settled.
pub(super) struct OpenMark {
    variable: VariableIndex,
    /// By option, whether it says complete.
    complete: Vec<bool>,
    entry: EntryRef,
}

impl Mark {
    /// Reads the mark of a section. `says_complete` is what the consolidated
    /// data makes of it, which counts where the mark is not open.
    pub fn read(section: Section, entry: Option<&Entry>, says_complete: bool, entries: &mut Entries) -> Self {
        let sure = if says_complete { Self::Complete } else { Self::NotComplete };
        let Some(entry) = entry else { return sure };
        let stated = Entry { review: ReviewState::Unreviewed, ..entry.clone() };
        // A round may require acceptance of what was captured. A mark is the
        // inspector's word on what was captured, and waits for nobody.
        let unseen = matches!(&entry.review, ReviewState::Awaiting { verdicts } if verdicts.is_empty());
        let entry = if unseen { &stated } else { entry };
        let disputed = matches!(entry.review, ReviewState::Awaiting { .. } | ReviewState::Disputed { .. });
        let says: Vec<bool> = if disputed {
            // It counts if the verdicts end in acceptance, and not if it is sent back.
            let complete = stated.possible_values().into_iter().any(is_complete);
            if complete { vec![true, false] } else { Vec::new() }
        } else {
            entry.possible_values().into_iter().map(is_complete).collect()
        };
        match (says.contains(&true), says.contains(&false)) {
            (true, true) => {}
            (true, false) => return Self::Complete,
            (false, _) => return Self::NotComplete,
        }
        let path = EntryPath::Section(section);
        let Some(read) = entries.read(&path, entry) else { return sure };
        let variable = read.variable.unwrap_or_else(|| entries.variable(decision(path)));
        Self::Open(OpenMark { variable, complete: says, entry: read.entry })
    }
}

impl OpenMark {
    /// The figure of the items where the mark says complete, the other where not.
    pub fn between(self, items: Figure, other: Figure) -> Figure {
        let mut figure = Figure::either(self.variable, &self.complete, items, other);
        figure.gaps.extend(self.entry.gap);
        figure.entries.push(self.entry);
        figure
    }
}

fn is_complete(value: &Value) -> bool {
    flag(value, "complete") == Some(true)
}

/// How verdicts on a mark may come out.
fn decision(path: EntryPath) -> Variable {
    let option = |word: &str| VariableOption { ops: BTreeSet::new(), word: Some(word.to_owned()) };
    let options = ["complete", "not_complete"].map(option).to_vec();
    Variable { subject: Subject::Entry { path }, within_tolerance: false, options }
}
