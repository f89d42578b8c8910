//! The county's own figures and answers.

use crate::collections::{BTreeMap, BTreeSet};

use automerge::Automerge;

use super::Settings;
use super::entry::{Decided, entry};
use crate::changed::{Deletes, Unit};
use crate::consolidated::{ConsolidatedCounty, Entry, Finding};
use crate::school::Declared;
use crate::{DocumentKind, EntryPath, read};

/// Consolidates a county's document. There are no verdicts or rulings on it: a
/// conflict is settled by writing the entry again. Never fails.
#[must_use]
pub fn consolidate_county(declared: &Declared, county: &Automerge) -> ConsolidatedCounty {
    const KIND: DocumentKind = DocumentKind::County;
    let deletes = Deletes::of(KIND, county);
    let county = &read::Source::whole(county, &deletes);
    let settings = Settings::default();
    let mut findings: BTreeSet<Finding> = BTreeSet::new();
    let mut entries: BTreeMap<EntryPath, Entry> = BTreeMap::new();
    for unit in read::units(county, KIND) {
        findings.extend(read::deleted(county, KIND, &unit));
        let Unit::Entry(path) = unit else {
            findings.extend(read::foreign(county, KIND, &unit));
            continue;
        };
        let Some(read) = read::entry(county, KIND, &path) else { continue };
        findings.extend(read.findings);
        let decided =
            Decided { settings: &settings, verdicts: Vec::new(), rulings: Vec::new(), past: &|_| None };
        let entry = entry(&path, read.what, &decided);
        entries.insert(path, entry);
    }
    ConsolidatedCounty { declared: declared.clone(), entries, findings: findings.into_iter().collect() }
}
