//! What leaves a cell open, figure by figure.

use duxue_document::school::{FigureKey, Part};
use duxue_document::{QuantityId, QuestionId, SchoolId};
use serde::Serialize;

use crate::assess::{Assessor, IndicatorResult, what_to_capture};
use crate::figure::{Bounds, Figure, FigureRef, Gap, SharedFigure, Source, Variable};
use crate::input::SchoolInput;
use crate::number::Amount;
use crate::standard::{Standard, Text};

/// One thing that is missing or in conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The school; absent for the county's own figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub school: Option<SchoolId>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub school_name: Option<String>,
    /// What, and why.
    pub text: Text,
}

/// What a round knows, for the forms.
pub(super) struct Known<'a> {
    pub assessor: &'a Assessor,
    pub standard: &'a Standard,
}

impl<'a> Known<'a> {
    pub fn new(assessor: &'a Assessor) -> Self {
        Self { assessor, standard: assessor.standard() }
    }

    /// Every school and branch site.
    pub fn inputs(&self) -> impl Iterator<Item = &'a SchoolInput> {
        self.assessor.inputs().values().map(|input| &**input)
    }

    /// A figure of the county.
    pub fn county(&self, quantity: &str) -> Bounds {
        let figure =
            key(quantity, Part::Whole).and_then(|key| self.assessor.county_input().figures.get(&key));
        let variables = &self.assessor.county_input().variables;
        figure.map_or(Bounds::unknown(None), |figure| total(figure, variables))
    }

    /// Why nothing can be said of schools where there are none.
    pub fn no_register(&self) -> Reason {
        let text = Text::new("还没有导入学校名册", "the register of schools is not imported yet");
        Reason { school: None, school_name: None, text }
    }

    /// What leaves a figure of the county open.
    pub fn county_reasons(&self, quantity: &str) -> Vec<Reason> {
        key(quantity, Part::Whole).map(|key| self.why("", &key)).unwrap_or_default()
    }

    /// What leaves a figure open; `school` is empty for the county.
    pub fn why(&self, school: &str, key: &FigureKey) -> Vec<Reason> {
        let id = SchoolId::new(school).ok();
        let input = id.as_ref().and_then(|id| self.assessor.inputs().get(id));
        let question = || QuestionId::new(key.quantity.as_str()).ok();
        let found: Option<(&SharedFigure, &[Variable])> = match input {
            Some(input) => {
                let figure = input.figures.get(key).or_else(|| input.answers.get(&question()?));
                figure.map(|figure| (figure, input.variables.as_slice()))
            }
            None => {
                let county = self.assessor.county_input();
                let figure = county.figures.get(key).or_else(|| county.answers.get(&question()?));
                figure.map(|figure| (figure, county.variables.as_slice()))
            }
        };
        let Some((figure, variables)) = found else { return Vec::new() };
        let what = what_to_capture(self.standard, key);
        let mut reasons = Vec::new();
        let mut add = |(zh, en): (&str, &str)| {
            reasons.push(Reason {
                school: id.clone(),
                school_name: input.map(|input| input.school.name.clone()),
                text: Text::new(format!("{}:{zh}", what.zh), format!("{}: {en}", what.en)),
            });
        };
        figure.gaps.iter().map(|gap| gap.words()).for_each(&mut add);
        if conflicting(figure, variables) {
            add(("有未裁决的冲突", "open conflict"));
        }
        reasons
    }

    pub fn why_all<'r>(&self, figures: impl IntoIterator<Item = &'r FigureRef>) -> Vec<Reason> {
        figures.into_iter().flat_map(|figure| self.why(&figure.school, &figure.key)).collect()
    }

    /// What leaves a result open: in the figures behind it, or in sums over
    /// schools.
    pub fn why_result(&self, result: &IndicatorResult) -> Vec<Reason> {
        let missing = result.missing.iter().map(|missing| &missing.figure);
        let mut reasons = self.why_all(result.figures.iter().chain(missing));
        if reasons.is_empty() {
            reasons.extend(result.open.iter().map(|open| {
                let id = SchoolId::new(&*open.school).ok();
                let input = id.as_ref().and_then(|id| self.assessor.inputs().get(id));
                Reason {
                    school_name: input.map(|input| input.school.name.clone()),
                    school: id,
                    text: Text::new("有未裁决的冲突", "open conflict"),
                }
            }));
        }
        reasons
    }
}

fn conflicting(figure: &Figure, variables: &[Variable]) -> bool {
    figure.variables().any(|index| variables.get(index).is_none_or(|variable| !variable.within_tolerance))
}

/// A figure as it is shown: of candidates within tolerance the preferred one.
/// Nothing is said of one that nobody gave, even where it cannot be above 100 %.
fn total(figure: &Figure, variables: &[Variable]) -> Bounds {
    if figure.source == Source::Missing && figure.open.is_empty() {
        return Bounds::unknown(None);
    }
    figure.total(&preferred(variables))
}

/// The choice of what is within tolerance; all else is open.
pub(super) fn preferred(variables: &[Variable]) -> Vec<Option<usize>> {
    variables.iter().map(|variable| variable.within_tolerance.then_some(0)).collect()
}

pub(super) fn key(quantity: &str, part: Part) -> Option<FigureKey> {
    Some(FigureKey { quantity: QuantityId::new(quantity).ok()?, part })
}

/// A quantity of a part of one site; zero where it has no such part.
pub(super) fn figure(input: &SchoolInput, quantity: &str, part: Part) -> Bounds {
    let found = key(quantity, part).and_then(|key| input.figures.get(&key));
    found.map_or(Bounds::exactly(Amount::ZERO), |figure| total(figure, &input.variables))
}

impl Gap {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NotCaptured => ("没有采集也没有上报", "neither captured nor reported"),
            Self::Returned => ("已退回,尚未重新采集", "returned and not captured again"),
            Self::AwaitsAcceptance => ("等待督学采信", "awaits acceptance"),
            Self::Disputed => ("审核意见或裁决相互矛盾", "decisions contradict each other"),
            Self::NotAValue => ("填写的不是有效数值", "not a possible value"),
        }
    }
}
