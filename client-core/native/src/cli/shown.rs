//! What the desk was last shown of each conflict.
//!
//! A ruling settles exactly what its author saw. Between the list and the
//! ruling another candidate may arrive; then the numbers in the list mean
//! something else, and the ruling would cover a value that nobody looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use duxue_document::OpId;
use duxue_protocol::api::ConflictView;
use duxue_protocol::problem::Problem;

use super::desk;

/// Candidates in the order shown, by school and conflict.
type Shown = BTreeMap<String, Vec<Option<OpId>>>;

fn file(home: &Path) -> PathBuf {
    home.join("shown-conflicts.json")
}

fn key(conflict: &ConflictView) -> String {
    format!("{} {}", conflict.school, desk::name(&conflict.subject))
}

fn candidates(conflict: &ConflictView) -> Vec<Option<OpId>> {
    conflict.candidates.iter().map(|candidate| candidate.op.clone()).collect()
}

/// A list that cannot be read was not shown: it has to be shown again.
fn read(home: &Path) -> Shown {
    let bytes = std::fs::read(file(home)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Notes what was shown.
///
/// # Errors
/// The folder cannot be written.
pub fn remember(home: &Path, conflicts: &[ConflictView]) -> Result<(), Problem> {
    let mut shown = read(home);
    let schools: BTreeSet<&str> = conflicts.iter().map(|conflict| conflict.school.as_str()).collect();
    shown.retain(|key, _| !schools.contains(key.split(' ').next().unwrap_or_default()));
    shown.extend(conflicts.iter().map(|conflict| (key(conflict), candidates(conflict))));
    let failed = |error: String| {
        Problem::new("store.io", "数据目录无法写入", "the home folder cannot be written").with_detail(error)
    };
    let bytes = serde_json::to_vec(&shown).map_err(|error| failed(error.to_string()))?;
    std::fs::write(file(home), bytes).map_err(|error| failed(error.to_string()))
}

/// Whether the conflict is as it was shown.
///
/// # Errors
/// `desk.not_shown`, `desk.conflict_changed`.
pub fn check(home: &Path, conflict: &ConflictView) -> Result<(), Problem> {
    match read(home).get(&key(conflict)) {
        Some(shown) if *shown == candidates(conflict) => Ok(()),
        Some(_) => Err(Problem::new(
            "desk.conflict_changed",
            "您查看之后又有变化：请重新运行 duxue conflicts 再裁决",
            "it has changed since you looked: run duxue conflicts again, then rule",
        )),
        None => Err(Problem::new(
            "desk.not_shown",
            "请先用 duxue conflicts 查看这个冲突",
            "look at this conflict with duxue conflicts first",
        )),
    }
}

#[cfg(test)]
mod tests {
    use duxue_protocol::api::{CandidateView, ConflictSubject};

    use super::*;

    fn conflict(ops: &[&str]) -> ConflictView {
        let candidate = |op: &&str| CandidateView {
            op: Some(op.parse().unwrap()),
            choice: None,
            value: None,
            candidate: None,
            by: None,
            effects: BTreeMap::new(),
        };
        ConflictView {
            id: String::new(),
            school: "1234567890".parse().unwrap(),
            school_name: String::new(),
            subject: ConflictSubject::Entry { path: "answers/A3-6".parse().unwrap() },
            candidates: ops.iter().map(candidate).collect(),
            flips: false,
            folded: false,
            pupils: 0,
            review: None,
            verdicts: BTreeSet::new(),
            rulings: BTreeSet::new(),
        }
    }

    #[test]
    fn a_ruling_is_refused_unless_the_conflict_is_as_it_was_shown() {
        let home = tempfile::tempdir().unwrap();
        let seen = conflict(&["1@aa", "1@bb"]);
        assert_eq!(check(home.path(), &seen).unwrap_err().code, "desk.not_shown");
        remember(home.path(), std::slice::from_ref(&seen)).unwrap();
        check(home.path(), &seen).unwrap();
        let grown = conflict(&["1@aa", "1@bb", "2@cc"]);
        assert_eq!(check(home.path(), &grown).unwrap_err().code, "desk.conflict_changed");
    }
}
