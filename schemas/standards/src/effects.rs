//! What each way to settle an open conflict would do: the assessment with that
//! one choice fixed and all else open (DESIGN §4).

use duxue_document::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use duxue_document::SchoolId;

use crate::assess::{Assessor, CountyAssessment, Open, Outcome, SchoolAssessment};
use crate::figure::{Figure, FigureRef, Subject, Term, Thing, Variable, VariableIndex, VariableOption};
use crate::input::SchoolInput;
use crate::what_if::{Shown, school_results};

/// One way to settle a conflict, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChoiceEffect {
    /// The choice.
    pub choice: VariableOption,
    /// Results of the school and of the county (`CV/…`, `A1`, `county`) under
    /// this choice, only those that differ between the choices.
    pub results: BTreeMap<String, Shown>,
}

/// An open conflict with the effect of each way to settle it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConflictEffect {
    /// The school (or branch site) whose documents hold it.
    pub school: SchoolId,
    /// What is in conflict.
    pub subject: Subject,
    /// Whether its candidates agree within the round's tolerance.
    pub within_tolerance: bool,
    /// The choices.
    pub choices: Vec<ChoiceEffect>,
    /// Whether some result is met under one choice and not met under another,
    /// or is settled by one choice and open under another.
    pub flips: bool,
    /// Pupils in the stages that it affects, or of the whole school if a
    /// result of the school or county is affected.
    pub pupils: i128,
    /// Whether no choice changes any result, whatever else is open.
    pub folded: bool,
}

/// The effects of all open conflicts: those that flip a result first, then by
/// pupils affected; folded ones last.
#[must_use]
pub fn effects(assessor: &Assessor) -> Vec<ConflictEffect> {
    let mut all: Vec<ConflictEffect> =
        assessor.inputs().keys().flat_map(|school| effects_of(assessor, school)).collect();
    sort(&mut all);
    all
}

/// The effects of one school's open conflicts.
#[must_use]
pub fn effects_of(assessor: &Assessor, school: &SchoolId) -> Vec<ConflictEffect> {
    let Some(input) = assessor.inputs().get(school) else { return Vec::new() };
    let mut trial = assessor.clone();
    let mut all: Vec<ConflictEffect> =
        (0..input.variables.len()).map(|variable| effect(&mut trial, input, variable)).collect();
    sort(&mut all);
    all
}

fn sort(all: &mut [ConflictEffect]) {
    all.sort_by(|a, b| {
        let key = |e: &ConflictEffect| (!e.flips, e.folded, -e.pupils);
        key(a).cmp(&key(b)).then_with(|| (&a.school, &a.subject).cmp(&(&b.school, &b.subject)))
    });
}

fn effect(trial: &mut Assessor, input: &Arc<SchoolInput>, variable: VariableIndex) -> ConflictEffect {
    let Variable { subject, within_tolerance, options } = &input.variables[variable];
    let mut cases = Vec::with_capacity(options.len());
    for option in 0..options.len() {
        trial.set_school(fixed(input, variable, option));
        cases.push(results(trial, &input.school.id));
    }
    trial.set_school(input.clone());
    let differing = differing(&cases);
    let outcomes_differ =
        differing.values().any(|shown| shown.windows(2).any(|pair| pair[0].outcome != pair[1].outcome));
    // Every case alike, and none of the affected results open for another
    // reason that this choice could still bear on.
    let folded = !outcomes_differ && !touches_open(trial, input, subject);
    let choices = options
        .iter()
        .enumerate()
        .map(|(option, label)| ChoiceEffect {
            choice: label.clone(),
            results: differing.iter().map(|(place, shown)| (place.clone(), shown[option].clone())).collect(),
        })
        .collect();
    ConflictEffect {
        school: input.school.id.clone(),
        subject: subject.clone(),
        within_tolerance: *within_tolerance,
        choices,
        flips: outcomes_differ,
        pupils: pupils(trial, &input.school.id, &differing),
        folded,
    }
}

/// Whether a result that is still open names this conflict among its reasons,
/// or a coefficient with this school's rows is open.
fn touches_open(assessor: &Assessor, input: &SchoolInput, subject: &Subject) -> bool {
    let Some(school) = assessor.school(&input.school.id) else { return true };
    let rows = school.stages.iter().flat_map(|row| &row.indicators);
    let mut results = rows.chain(&school.indicators);
    let named = results.any(|result| {
        result.outcome == Outcome::Undetermined && result.open.iter().any(|open| open.subject == *subject)
    });
    let rule = school.stages.iter().filter_map(|row| row.rule.as_ref()).any(|rule| {
        rule.outcome == Outcome::Undetermined && rule.open.iter().any(|open| open.subject == *subject)
    });
    let county = assessor.county();
    let summed = county.indicators.iter().any(|result| {
        let names = |open: &Open| open.school == *input.school.id.as_str() && open.subject == *subject;
        result.outcome == Outcome::Undetermined && result.open.iter().any(names)
    });
    named || rule || summed || coefficients_open(&county, school, input, subject)
}

/// Whether a coefficient is open to which a figure in this conflict adds. What
/// an item lists as open is no guide: it is met for certain however the
/// conflict ends, while the coefficient may hang on it.
fn coefficients_open(
    county: &CountyAssessment,
    school: &SchoolAssessment,
    input: &SchoolInput,
    subject: &Subject,
) -> bool {
    let in_conflict = |figure: &FigureRef| {
        let own = input.figures.get(&figure.key).filter(|_| *figure.school == *input.school.id.as_str());
        let mut variables = own.into_iter().flat_map(|figure| figure.variables());
        variables.any(|variable| input.variables[variable].subject == *subject)
    };
    school.stages.iter().any(|row| {
        let summary = county.stages.iter().find(|summary| summary.stage == row.stage);
        let mut coefficients = summary.into_iter().flat_map(|summary| &summary.coefficients);
        coefficients.any(|coefficient| {
            let item = row.indicators.iter().find(|result| result.id == coefficient.id);
            let uses = item.is_some_and(|item| item.figures.iter().any(in_conflict));
            coefficient.outcome == Some(Outcome::Undetermined) && (uses || coefficient.id == "mean")
        })
    })
}

type Results = BTreeMap<String, Shown>;

fn results(assessor: &Assessor, school: &SchoolId) -> Results {
    let mut of_school = BTreeMap::new();
    if let Some(assessment) = assessor.school(school) {
        school_results(assessment, &mut of_school);
    }
    let mut all: Results = of_school.into_iter().map(|((_, place), shown)| (place, shown)).collect();
    let county = assessor.county();
    let outcome = |outcome| Shown { outcome: Some(outcome), value: None };
    all.insert("county".to_owned(), outcome(county.outcome));
    for dimension in &county.dimensions {
        all.insert(dimension.id.clone(), outcome(dimension.outcome));
    }
    for summary in &county.stages {
        for coefficient in &summary.coefficients {
            let place = format!("CV/{}/{}", coefficient.id, summary.stage.part().as_str());
            let value = Some(coefficient.printed.clone());
            all.insert(place, Shown { outcome: coefficient.outcome, value });
        }
    }
    for result in county.indicators {
        let value = result.value().map(|value| value.printed.clone());
        all.insert(format!("county/{}", result.id), Shown { outcome: Some(result.outcome), value });
    }
    all
}

/// The results that are not the same in all cases.
fn differing(cases: &[Results]) -> BTreeMap<String, Vec<Shown>> {
    let nothing = Shown { outcome: None, value: None };
    let places: duxue_document::collections::BTreeSet<&String> =
        cases.iter().flat_map(BTreeMap::keys).collect();
    places
        .into_iter()
        .filter_map(|place| {
            let shown: Vec<Shown> =
                cases.iter().map(|case| case.get(place).unwrap_or(&nothing).clone()).collect();
            shown.windows(2).any(|pair| pair[0] != pair[1]).then(|| (place.clone(), shown))
        })
        .collect()
}

fn pupils(assessor: &Assessor, school: &SchoolId, differing: &BTreeMap<String, Vec<Shown>>) -> i128 {
    let Some(assessment) = assessor.school(school) else { return 0 };
    let affected = |stage: &str| {
        let own = format!("/{stage}");
        differing.keys().any(|place| place.ends_with(&own) || !place.contains('/') && place.contains('-'))
    };
    let rows = assessment.stages.iter().filter(|row| affected(row.stage.part().as_str()));
    rows.map(|row| row.pupils_most.unwrap_or(row.pupils_least)).sum()
}

/// The input with one variable settled.
#[must_use]
pub fn fixed(input: &SchoolInput, variable: VariableIndex, option: usize) -> SchoolInput {
    let mut fixed = input.clone();
    for figure in Arc::make_mut(&mut fixed.figures).values_mut().chain(fixed.answers.values_mut()) {
        if figure.variables().any(|v| v == variable) {
            fix(Arc::make_mut(figure), variable, option);
        }
    }
    // The variable stays in its place with one option, so that the numbers of
    // the others still hold.
    let kept = fixed.variables[variable].options.get(option).cloned();
    fixed.variables[variable].options = kept.into_iter().collect();
    fixed
}

fn fix(figure: &mut Figure, variable: VariableIndex, option: usize) {
    if let Some(either) = figure.either.take_if(|either| either.variable == variable)
        && let Some(source) = either.sources.get(option)
    {
        figure.source = *source;
    }
    let mut open = Vec::with_capacity(figure.open.len());
    for term in figure.open.drain(..) {
        match fix_term(term, variable, option) {
            Ok(term) => open.push(term),
            Err(things) => figure.fixed.extend(things),
        }
    }
    figure.open = open;
}

/// The term without the variable; its things if that was the last.
fn fix_term(term: Term, variable: VariableIndex, option: usize) -> Result<Term, Vec<Thing>> {
    let Some(position) = term.variables.iter().position(|v| *v == variable) else { return Ok(term) };
    let mut choice = vec![None; variable + 1];
    choice[variable] = Some(option);
    let cases: Vec<Vec<Thing>> = term.possible(&choice).map(<[Thing]>::to_vec).collect();
    let Term { mut variables, mut options, .. } = term;
    variables.remove(position);
    options.remove(position);
    if variables.is_empty() {
        return Err(cases.into_iter().next().unwrap_or_default());
    }
    Ok(Term { variables, options, cases })
}
