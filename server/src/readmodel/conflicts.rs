//! Open conflicts as the desk sees them: the candidates, and what each would
//! do to the assessment.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::EntryPath;
use duxue_document::conflict::{Choice, Conflict, ConflictSubject as Subject};
use duxue_document::consolidated::{ConsolidatedCounty, ConsolidatedSchool, Entry, ValueState};
use duxue_document::path::ItemKey;
use duxue_protocol::api::{CandidateView, ConflictSubject, ConflictView};
use duxue_standards::assess::{Assessor, Outcome};
use duxue_standards::effects::{ChoiceEffect, ConflictEffect};
use duxue_standards::figure::Subject as EffectSubject;
use duxue_standards::input::county_input;
use duxue_standards::what_if::{Shown, differences};

use super::school::SchoolModel;

/// The conflicts of a school that someone has to settle: all but those within
/// tolerance whose choice changes nothing.
#[must_use]
pub fn views(model: &SchoolModel, effects: &[ConflictEffect]) -> Vec<ConflictView> {
    let school = model.school();
    let conflicts = school.conflicts();
    conflicts
        .iter()
        .filter_map(|conflict| {
            let effect = effects.iter().find(|effect| same(&conflict.subject, &effect.subject));
            let tolerable = matches!(conflict.subject, Subject::Entry { within_tolerance: true, .. });
            let matters = effect.is_some_and(|effect| !effect.folded);
            (matters || !tolerable).then(|| view(model, conflict, effect))
        })
        .collect()
}

/// The order of the inbox: what flips a result first, then by pupils; folded
/// ones last.
pub fn sort(views: &mut [ConflictView]) {
    views.sort_by(|a, b| {
        let key = |view: &ConflictView| (!view.flips, view.folded, std::cmp::Reverse(view.pupils));
        key(a).cmp(&key(b)).then_with(|| (&a.school, &a.id).cmp(&(&b.school, &b.id)))
    });
}

fn view(model: &SchoolModel, conflict: &Conflict, effect: Option<&ConflictEffect>) -> ConflictView {
    let school = model.school();
    let before = model.decided(&conflict.subject);
    let choices = effect.map_or(&[][..], |effect| &effect.choices);
    ConflictView {
        id: conflict.id.clone(),
        school: school.school.id.clone(),
        school_name: school.school.name.clone(),
        subject: subject(&conflict.subject),
        candidates: candidates(school, conflict, choices),
        flips: effect.is_some_and(|effect| effect.flips),
        folded: effect.is_none_or(|effect| effect.folded),
        pupils: effect.map_or(0, |effect| u32::try_from(effect.pupils.max(0)).unwrap_or(u32::MAX)),
        review: match &conflict.subject {
            Subject::Entry { path, .. } => school.entry(path).map(|entry| entry.review.clone()),
            Subject::Duplicate { .. } | Subject::Removal { .. } => None,
        },
        verdicts: before.verdicts,
        rulings: before.rulings,
    }
}

fn candidates(
    school: &ConsolidatedSchool,
    conflict: &Conflict,
    choices: &[ChoiceEffect],
) -> Vec<CandidateView> {
    let mut views = Vec::new();
    if let Subject::Entry { path, .. } = &conflict.subject
        && let Some(entry) = school.entry(path)
    {
        views.extend(entry.candidates.iter().map(|candidate| CandidateView {
            op: Some(candidate.op.clone()),
            choice: None,
            value: None,
            candidate: Some(candidate.clone()),
            by: None,
            effects: results(choices.iter().find(|choice| choice.choice.ops.contains(&candidate.op))),
        }));
    }
    for choice in school.choices(conflict) {
        let Some(word) = word(&choice) else { continue };
        let value = match choice {
            Choice::Value(value) => Some(value),
            _ => None,
        };
        // Rulings that contradict each other give several values, which the
        // effects name in the same order.
        let earlier = views.iter().filter(|view| view.choice.as_deref() == Some(word)).count();
        let mut named = choices.iter().filter(|effect| effect.choice.word.as_deref() == Some(word));
        let effect = named.nth(earlier);
        views.push(CandidateView {
            op: None,
            choice: Some(word.to_owned()),
            value,
            candidate: None,
            by: None,
            effects: results(effect),
        });
    }
    views
}

/// What each candidate of an entry of the county's own document would do to the
/// assessment, in the order of the candidates, and whether that decides a
/// result. Only what is not the same for all is named.
#[must_use]
pub fn county_effects(
    assessor: &Assessor,
    county: &ConsolidatedCounty,
    path: &EntryPath,
) -> (Vec<BTreeMap<String, String>>, bool) {
    let Some(entry) = county.entries.get(path) else { return (Vec::new(), false) };
    let mut trial = assessor.clone();
    let mut fixed = entry.candidates.iter().map(|candidate| {
        let value = ValueState::Agreed { op: candidate.op.clone(), value: candidate.value.clone() };
        let alone = Entry { candidates: vec![candidate.clone()], value, ..entry.clone() };
        let mut settled = county.clone();
        settled.entries.insert(path.clone(), alone);
        trial.set_county(county_input(assessor.standard(), &settled));
        trial.assessment()
    });
    let Some(first) = fixed.next() else { return (Vec::new(), false) };
    // By place: what the first candidate gives, and the others by number.
    let mut places: BTreeMap<String, (Shown, BTreeMap<usize, Shown>)> = BTreeMap::new();
    let mut flips = false;
    for (number, other) in fixed.enumerate() {
        for found in differences(&first, &other) {
            flips |= found.before.outcome != found.after.outcome;
            let place = match found.school {
                Some(school) => format!("{school}/{}", found.result),
                None => found.result,
            };
            let (_, others) = places.entry(place).or_insert_with(|| (found.before, BTreeMap::new()));
            others.insert(number + 1, found.after);
        }
    }
    let effects = (0..entry.candidates.len()).map(|number| {
        let shown = places
            .iter()
            .map(|(place, (first, others))| (place.clone(), words(others.get(&number).unwrap_or(first))));
        shown.collect()
    });
    (effects.collect(), flips)
}

/// The word of a choice that is not a candidate; the assessment's effects name
/// it by the same word.
fn word(choice: &Choice) -> Option<&'static str> {
    match choice {
        Choice::Candidate(_) => None,
        Choice::Value(_) => Some("ruled_before"),
        Choice::Merge => Some("merge"),
        Choice::Separate => Some("separate"),
        Choice::Removed => Some("removed"),
        Choice::Present => Some("present"),
    }
}

fn results(choice: Option<&ChoiceEffect>) -> BTreeMap<String, String> {
    choice.map_or_else(BTreeMap::new, |choice| {
        choice.results.iter().map(|(place, shown)| (place.clone(), words(shown))).collect()
    })
}

/// `not_met 0.523`: the result's stable word, and its value if it has one.
fn words(shown: &Shown) -> String {
    let outcome = shown.outcome.map(|outcome| match outcome {
        Outcome::Met => "met",
        Outcome::Conditional => "conditional",
        Outcome::NotMet => "not_met",
        Outcome::Undetermined => "undetermined",
    });
    let words: Vec<&str> = outcome.into_iter().chain(shown.value.as_deref()).collect();
    words.join(" ")
}

fn subject(subject: &Subject) -> ConflictSubject {
    match subject {
        Subject::Entry { path, .. } => ConflictSubject::Entry { path: path.clone() },
        Subject::Duplicate { duplicate } => ConflictSubject::Duplicate { duplicate: duplicate.clone() },
        Subject::Removal { item } => ConflictSubject::Removal { item: item.clone() },
    }
}

fn same(conflict: &Subject, effect: &EffectSubject) -> bool {
    match (conflict, effect) {
        (Subject::Entry { path, .. }, EffectSubject::Entry { path: other }) => path == other,
        (Subject::Duplicate { duplicate }, EffectSubject::Duplicate { items }) => {
            let key = |item: &duxue_document::ItemId| ItemKey { kind: duplicate.kind, item: item.clone() };
            duplicate.items.iter().map(key).collect::<BTreeSet<_>>() == *items
        }
        (Subject::Removal { item }, EffectSubject::Removal { item: other }) => item == other,
        _ => false,
    }
}
