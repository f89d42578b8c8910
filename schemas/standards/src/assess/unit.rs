//! One school with its branch sites, under a partial choice of what is open.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use duxue_document::QuantityId;
use duxue_document::school::{FigureKey, Part, School, Stage};

use super::outcome::Levels;
use super::result::{Missing, Open};
use crate::figure::{Bounds, Choice, Figure, FigureRef, SharedFigure, VariableIndex};
use crate::input::{CountyInput, SchoolInput, parts_of};
use crate::number::Amount;
use crate::standard::{Standard, Text};

/// Up to so many combinations of open choices are tried one by one.
pub(crate) const MOST_COMBINATIONS: usize = 4096;

/// A school with its branch sites (the school first), or the county alone.
pub(crate) struct Unit<'a> {
    pub standard: &'a Standard,
    pub campuses: Vec<&'a SchoolInput>,
    pub county: Option<&'a CountyInput>,
    /// All schools, for sums over them at county level.
    pub schools: &'a dyn Fn(&QuantityId) -> Bounds,
    pub as_of: &'a str,
    /// The quantity by which schools are weighted and split.
    pub pupils: Option<QuantityId>,
    /// The parts of each campus.
    pub parts: Vec<BTreeSet<Part>>,
    offsets: Vec<usize>,
    variables: usize,
}

/// No sums over schools.
pub(crate) fn no_schools(_: &QuantityId) -> Bounds {
    Bounds::unknown(None)
}

impl<'a> Unit<'a> {
    pub fn new(
        standard: &'a Standard,
        campuses: Vec<&'a SchoolInput>,
        county: Option<&'a CountyInput>,
        schools: &'a dyn Fn(&QuantityId) -> Bounds,
        as_of: &'a str,
    ) -> Self {
        let mut offsets = Vec::with_capacity(campuses.len() + 1);
        let mut variables = 0;
        for campus in &campuses {
            offsets.push(variables);
            variables += campus.variables.len();
        }
        offsets.push(variables);
        variables += county.map_or(0, |county| county.variables.len());
        let pupils = QuantityId::new("pupils").ok();
        let parts = campuses.iter().map(|campus| parts_of(&campus.school)).collect();
        Self { standard, campuses, county, schools, as_of, pupils, parts, offsets, variables }
    }

    /// The school itself; absent for the county.
    pub fn school(&self) -> Option<&'a School> {
        self.campuses.first().map(|campus| &campus.school)
    }

    fn options(&self, variable: VariableIndex) -> usize {
        let owner = self.offsets.partition_point(|offset| *offset <= variable) - 1;
        let local = variable - self.offsets[owner];
        match self.campuses.get(owner) {
            Some(campus) => campus.variables[local].options.len(),
            None => self.county.map_or(1, |county| county.variables[local].options.len()),
        }
    }

    /// The choice in which candidates within tolerance are the preferred ones
    /// and all else is open: what is shown as the value.
    pub fn shown(&self) -> Vec<Option<usize>> {
        let schools = self.campuses.iter().flat_map(|campus| &campus.variables);
        let county = self.county.into_iter().flat_map(|county| &county.variables);
        schools.chain(county).map(|variable| variable.within_tolerance.then_some(0)).collect()
    }

    /// What holds for every choice: bounds around all of them first, and where
    /// those leave it open, every combination by itself.
    /// Also what the rule says of the open choice, and what it looked at.
    pub fn decide<T>(
        &self,
        rule: impl Fn(&Case) -> T,
        levels: impl Fn(&T) -> Levels,
    ) -> (Levels, T, Trace<'a>) {
        let trace = RefCell::new(Trace::default());
        let choice = self.open_choice();
        let open = rule(&Case { unit: self, choice: &choice, trace: Some(&trace) });
        let trace = trace.into_inner();
        let outer = levels(&open);
        if outer.is_decided() || trace.variables.is_empty() {
            return (outer, open, trace);
        }
        let over = self.over_combinations(&trace.variables, choice, |choice| {
            levels(&rule(&Case { unit: self, choice, trace: None }))
        });
        let exact = over.and_then(|all| all.into_iter().reduce(Levels::around));
        (exact.unwrap_or(outer), open, trace)
    }

    /// A result for every combination of the variables; `None` if too many.
    pub fn over_combinations<T>(
        &self,
        variables: &BTreeSet<VariableIndex>,
        mut choice: Vec<Option<usize>>,
        mut each: impl FnMut(&Choice) -> T,
    ) -> Option<Vec<T>> {
        let variables: Vec<(VariableIndex, usize)> =
            variables.iter().map(|v| (*v, self.options(*v))).collect();
        let number = variables.iter().try_fold(1_usize, |n, (_, o)| n.checked_mul(*o));
        let number = number.filter(|n| *n <= MOST_COMBINATIONS)?;
        let mut all = Vec::with_capacity(number);
        for index in 0..number {
            let mut rest = index;
            for (variable, options) in &variables {
                choice[*variable] = Some(rest % options);
                rest /= options;
            }
            all.push(each(&choice));
        }
        Some(all)
    }

    /// An open choice for all variables.
    pub fn open_choice(&self) -> Vec<Option<usize>> {
        vec![None; self.variables]
    }
}

/// What a rule looked at.
#[derive(Default)]
pub(crate) struct Trace<'a> {
    figures: Vec<(Option<usize>, FigureKey, &'a Arc<Figure>)>,
    pub variables: BTreeSet<VariableIndex>,
}

impl<'a> Trace<'a> {
    pub fn figure_refs(&self, unit: &Unit<'a>) -> Vec<FigureRef> {
        self.figures.iter().map(|(campus, key, _)| reference(unit, *campus, key)).collect()
    }

    pub fn missing(&self, unit: &Unit<'a>) -> Vec<Missing> {
        let with_gaps = self.figures.iter().filter(|(_, _, figure)| !figure.gaps.is_empty());
        with_gaps
            .map(|(campus, key, figure)| Missing {
                figure: reference(unit, *campus, key),
                gaps: figure.gaps.clone(),
                text: what_to_capture(unit.standard, key),
            })
            .collect()
    }

    pub fn open(&self, unit: &Unit<'a>) -> Vec<Open> {
        let owner = |variable: VariableIndex| unit.offsets.partition_point(|offset| *offset <= variable) - 1;
        self.variables
            .iter()
            .filter_map(|variable| {
                let owner = owner(*variable);
                let local = variable - unit.offsets[owner];
                let campus = unit.campuses.get(owner);
                let variables = match campus {
                    Some(campus) => &campus.variables,
                    None => &unit.county?.variables,
                };
                let school = campus.map(|campus| campus.school.id.to_string()).unwrap_or_default();
                Some(Open { school, subject: variables.get(local)?.subject.clone() })
            })
            .collect()
    }
}

fn reference(unit: &Unit, campus: Option<usize>, key: &FigureKey) -> FigureRef {
    let campus = campus.and_then(|campus| unit.campuses.get(campus));
    FigureRef { school: campus.map(|c| c.school.id.to_string()).unwrap_or_default(), key: key.clone() }
}

fn what_to_capture(standard: &Standard, key: &FigureKey) -> Text {
    let Some(quantity) = standard.quantities.get(&key.quantity) else {
        let id = key.quantity.as_str();
        return standard.words_of_question(id).map_or_else(Text::default, |text| {
            Text::new(format!("{id} {}", text.zh), format!("{id} {}", text.en))
        });
    };
    let part = match key.part {
        Part::Whole => ("", ""),
        Part::Primary => ("(小学部)", " (primary)"),
        Part::Junior => ("(初中部)", " (junior)"),
        Part::Senior => ("(高中部)", " (senior)"),
        Part::Kindergarten => ("(附设幼儿班)", " (kindergarten)"),
        Part::Special => ("(附设特教班)", " (special)"),
    };
    Text::new(format!("{}{}", quantity.name.zh, part.0), format!("{}{}", quantity.name.en, part.1))
}

/// A unit under a partial choice.
pub(crate) struct Case<'u, 'a> {
    pub unit: &'u Unit<'a>,
    pub choice: &'u Choice,
    pub trace: Option<&'u RefCell<Trace<'a>>>,
}

impl<'a> Case<'_, 'a> {
    fn note(&self, campus: Option<usize>, key: FigureKey, figure: &'a Arc<Figure>) {
        let Some(trace) = self.trace else { return };
        let mut trace = trace.borrow_mut();
        let offset = self.unit.offsets[campus.unwrap_or(self.unit.campuses.len())];
        trace.variables.extend(figure.variables().map(|variable| offset + variable));
        if !trace.figures.iter().any(|(c, k, _)| *c == campus && *k == key) {
            trace.figures.push((campus, key, figure));
        }
    }

    fn choice_of(&self, campus: Option<usize>) -> &Choice {
        let owner = campus.unwrap_or(self.unit.campuses.len());
        let from = self.unit.offsets[owner];
        let to = self.unit.offsets.get(owner + 1).copied().unwrap_or(self.choice.len());
        self.choice.get(from..to).unwrap_or_default()
    }

    /// A figure of a campus, with the choice that is for it.
    pub fn figure(
        &self,
        campus: usize,
        quantity: &QuantityId,
        part: Part,
    ) -> Option<(&'a SharedFigure, &Choice)> {
        let key = FigureKey { quantity: quantity.clone(), part };
        let figure = self.unit.campuses.get(campus)?.figures.get(&key)?;
        self.note(Some(campus), key, figure);
        Some((figure, self.choice_of(Some(campus))))
    }

    /// A figure of the county; unknown if there is none.
    pub fn county_total(&self, quantity: &QuantityId) -> Bounds {
        let key = FigureKey { quantity: quantity.clone(), part: Part::Whole };
        let found = self.unit.county.and_then(|county| county.figures.get(&key));
        let Some(figure) = found else { return Bounds::unknown(None) };
        self.note(None, key, figure);
        figure.total(self.choice_of(None))
    }

    /// A quantity of one part of a campus: 0 if the campus has no such part,
    /// unknown if the quantity is not there.
    pub fn total(&self, campus: usize, quantity: &QuantityId, part: Part) -> Bounds {
        match self.figure(campus, quantity, part) {
            Some((figure, choice)) => figure.total(choice),
            None if part != Part::Whole && !self.has_part(campus, part) => Bounds::exactly(Amount::ZERO),
            None => Bounds::unknown(None),
        }
    }

    /// The pupils of one part of a campus.
    pub fn total_of_pupils(&self, campus: usize, part: Part) -> Bounds {
        self.unit.pupils.as_ref().map_or(Bounds::unknown(None), |id| self.total(campus, id, part))
    }

    fn has_part(&self, campus: usize, part: Part) -> bool {
        self.unit.parts.get(campus).is_some_and(|parts| parts.contains(&part))
    }

    /// A quantity of a campus: whole, or summed over the stages of compulsory
    /// education where it is counted by stage.
    pub fn compulsory(&self, campus: usize, quantity: &QuantityId) -> Bounds {
        let whole =
            self.unit.standard.quantities.get(quantity).is_some_and(|q| q.parts.contains(&Part::Whole));
        if whole {
            return self.total(campus, quantity, Part::Whole);
        }
        let stages = Stage::ALL.map(|stage| self.total(campus, quantity, stage.part()));
        stages.into_iter().fold(Bounds::exactly(Amount::ZERO), Bounds::plus)
    }

    /// An answer of a campus (1 yes, 0 no); `None` if it is not asked there.
    pub fn answer(&self, campus: Option<usize>, question: &duxue_document::QuestionId) -> Option<Bounds> {
        let answers = match campus {
            Some(campus) => &self.unit.campuses.get(campus)?.answers,
            None => &self.unit.county?.answers,
        };
        let figure = answers.get(question)?;
        let quantity = QuantityId::new(question.as_str()).ok()?;
        self.note(campus, FigureKey { quantity, part: Part::Whole }, figure);
        Some(figure.total(self.choice_of(campus)))
    }
}
