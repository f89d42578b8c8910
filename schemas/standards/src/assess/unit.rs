//! One school with its branch sites, under a partial choice of what is open.

use duxue_document::collections::BTreeSet;
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use duxue_document::school::{FigureKey, Part, School, Stage};
use duxue_document::{QuantityId, QuestionId};

use super::outcome::Levels;
use super::result::{Missing, Open};
use crate::figure::{Bounds, Choice, FigureRef, SharedFigure, Source, VariableIndex};
use crate::input::{CountyInput, SchoolInput, parts_of};
use crate::number::Amount;
use crate::standard::{Named, Standard, Text};

/// Up to so many combinations of open choices are tried one by one.
pub(crate) const MOST_COMBINATIONS: usize = 4096;

/// A school with its branch sites (the school first), or the county alone.
pub(crate) struct Unit<'a> {
    pub standard: &'a Standard,
    pub campuses: Vec<&'a SchoolInput>,
    pub county: Option<&'a CountyInput>,
    /// All schools, for sums over them at county level.
    pub schools: &'a dyn Fn(&Named) -> Bounds,
    pub as_of: &'a str,
    /// The parts of each campus.
    pub parts: Vec<BTreeSet<Part>>,
    /// The figures of each campus.
    figures: Vec<Figures<'a>>,
    /// The id of each campus, and last of the county, which has none. Made when
    /// a figure is named.
    names: OnceCell<Vec<Arc<str>>>,
    offsets: Vec<usize>,
    variables: usize,
}

/// The figures of one campus by the number of their quantity and their part.
struct Figures<'a>(Vec<Option<(&'a FigureKey, &'a SharedFigure)>>);

impl<'a> Figures<'a> {
    fn new(standard: &Standard, campus: &'a SchoolInput) -> Self {
        let mut table = vec![None; standard.quantities.len() * Part::ALL.len()];
        // Both are in the order of ids, so one pass finds every figure's quantity.
        let mut known = standard.quantities.values().peekable();
        for (key, figure) in campus.figures.iter() {
            while known.next_if(|quantity| quantity.id < key.quantity).is_some() {}
            if let Some(quantity) = known.peek().filter(|quantity| quantity.id == key.quantity) {
                table[place(quantity.number, key.part)] = Some((key, figure));
            }
        }
        Self(table)
    }

    fn get(&self, quantity: &Named, part: Part) -> Option<(&'a FigureKey, &'a SharedFigure)> {
        self.0.get(place(quantity.number, part)).copied().flatten()
    }
}

fn place(number: usize, part: Part) -> usize {
    number * Part::ALL.len() + part as usize
}

/// No sums over schools.
pub(crate) fn no_schools(_: &Named) -> Bounds {
    Bounds::unknown(None)
}

impl<'a> Unit<'a> {
    pub fn new(
        standard: &'a Standard,
        campuses: Vec<&'a SchoolInput>,
        county: Option<&'a CountyInput>,
        schools: &'a dyn Fn(&Named) -> Bounds,
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
        let parts = campuses.iter().map(|campus| parts_of(&campus.school)).collect();
        let figures = campuses.iter().map(|campus| Figures::new(standard, campus)).collect();
        let names = OnceCell::new();
        Self { standard, campuses, county, schools, as_of, parts, figures, names, offsets, variables }
    }

    fn name(&self, campus: Option<usize>) -> Arc<str> {
        let names = self.names.get_or_init(|| {
            let ids = self.campuses.iter().map(|campus| campus.school.id.as_str());
            ids.chain([""]).map(Arc::from).collect()
        });
        Arc::clone(&names[campus.unwrap_or(self.campuses.len())])
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
        detail: Detail,
        rule: impl Fn(&Case) -> T,
        levels: impl Fn(&T) -> Levels,
    ) -> (Levels, T, Trace<'a>) {
        let trace = RefCell::new(Trace::default());
        let choice = self.open_choice();
        let open = rule(&Case { unit: self, choice: &choice, trace: Some(&trace), detail });
        let trace = trace.into_inner();
        let outer = levels(&open);
        if outer.is_decided() || trace.variables.is_empty() {
            return (outer, open, trace);
        }
        let over = self.over_combinations(&trace.variables, choice, |choice| {
            levels(&rule(&Case { unit: self, choice, trace: None, detail: Detail::Result }))
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

    /// Whether anything is in conflict.
    pub fn is_open(&self) -> bool {
        self.variables > 0
    }

    /// An open choice for all variables.
    pub fn open_choice(&self) -> Vec<Option<usize>> {
        vec![None; self.variables]
    }
}

/// How much of a rule's reading is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The result alone.
    Result,
    /// What people are told too: figures, limits as written, what is lacking.
    Reasons,
}

/// What a rule looked at; of schools' figures only where reasons are wanted.
#[derive(Default)]
pub(crate) struct Trace<'a> {
    figures: Vec<(Option<usize>, What<'a>, &'a SharedFigure)>,
    pub variables: BTreeSet<VariableIndex>,
}

/// A figure, or an answer, which is a figure of its own kind.
enum What<'a> {
    Figure(&'a FigureKey),
    Answer(&'a QuestionId),
}

impl What<'_> {
    fn key(&self) -> Option<FigureKey> {
        match self {
            Self::Figure(key) => Some((*key).clone()),
            Self::Answer(question) => {
                let quantity = QuantityId::new(question.as_str()).ok()?;
                Some(FigureKey { quantity, part: Part::Whole })
            }
        }
    }
}

impl<'a> Trace<'a> {
    /// The county's figures that were looked at, answers among them.
    pub fn of_county(&self) -> impl Iterator<Item = FigureKey> {
        self.figures.iter().filter(|(campus, ..)| campus.is_none()).filter_map(|(_, what, _)| what.key())
    }

    pub fn figure_refs(&self, unit: &Unit<'a>) -> Vec<FigureRef> {
        self.figures.iter().filter_map(|(campus, what, _)| reference(unit, *campus, what)).collect()
    }

    pub fn missing(&self, unit: &Unit<'a>) -> Vec<Missing> {
        let with_gaps = self.figures.iter().filter(|(_, _, figure)| !figure.gaps.is_empty());
        with_gaps
            .filter_map(|(campus, what, figure)| {
                let reference = reference(unit, *campus, what)?;
                let text = what_to_capture(unit.standard, &reference.key);
                Some(Missing { figure: reference, gaps: figure.gaps.clone(), text })
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

fn reference(unit: &Unit, campus: Option<usize>, what: &What) -> Option<FigureRef> {
    Some(FigureRef { school: unit.name(campus), key: what.key()? })
}

/// A figure in words, with the part that it is about.
pub(crate) fn what_to_capture(standard: &Standard, key: &FigureKey) -> Text {
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
    pub detail: Detail,
}

impl<'a> Case<'_, 'a> {
    /// Whether reasons are wanted.
    pub fn explains(&self) -> bool {
        self.detail == Detail::Reasons
    }

    fn note(&self, campus: Option<usize>, what: What<'a>, figure: &'a SharedFigure) {
        let Some(trace) = self.trace else { return };
        if self.detail == Detail::Result && campus.is_some() && figure.open.is_empty() {
            return;
        }
        let mut trace = trace.borrow_mut();
        let offset = self.unit.offsets[campus.unwrap_or(self.unit.campuses.len())];
        trace.variables.extend(figure.variables().map(|variable| offset + variable));
        if self.detail == Detail::Result && campus.is_some() {
            return;
        }
        // Each figure has one place in the inputs.
        if !trace.figures.iter().any(|(.., noted)| std::ptr::eq(*noted, figure)) {
            trace.figures.push((campus, what, figure));
        }
    }

    fn choice_of(&self, campus: Option<usize>) -> &Choice {
        let owner = campus.unwrap_or(self.unit.campuses.len());
        let from = self.unit.offsets[owner];
        let to = self.unit.offsets.get(owner + 1).copied().unwrap_or(self.choice.len());
        self.choice.get(from..to).unwrap_or_default()
    }

    /// A figure of a campus, with the choice that is for it.
    pub fn figure(&self, campus: usize, quantity: &Named, part: Part) -> Option<(&'a SharedFigure, &Choice)> {
        let (key, figure) = self.unit.figures.get(campus)?.get(quantity, part)?;
        self.note(Some(campus), What::Figure(key), figure);
        Some((figure, self.choice_of(Some(campus))))
    }

    /// A figure of the county; unknown if there is none.
    pub fn county_total(&self, quantity: &Named) -> Bounds {
        let key = FigureKey { quantity: quantity.id.clone(), part: Part::Whole };
        let found = self.unit.county.and_then(|county| county.figures.get_key_value(&key));
        let Some((key, figure)) = found else { return Bounds::unknown(None) };
        self.note(None, What::Figure(key), figure);
        figure.total(self.choice_of(None))
    }

    /// A quantity of one part of a campus: 0 if the campus has no such part,
    /// unknown if the quantity is not there.
    pub fn total(&self, campus: usize, quantity: &Named, part: Part) -> Bounds {
        match self.figure(campus, quantity, part) {
            Some((figure, choice)) => figure.total(choice),
            None if part != Part::Whole && !self.has_part(campus, part) => Bounds::exactly(Amount::ZERO),
            None => Bounds::unknown(None),
        }
    }

    /// The pupils of one part of a campus.
    pub fn total_of_pupils(&self, campus: usize, part: Part) -> Bounds {
        let pupils = self.unit.standard.special.pupils.as_ref();
        pupils.map_or(Bounds::unknown(None), |pupils| self.total(campus, pupils, part))
    }

    fn has_part(&self, campus: usize, part: Part) -> bool {
        self.unit.parts.get(campus).is_some_and(|parts| parts.contains(&part))
    }

    /// A quantity of a campus: whole, or summed over the stages of compulsory
    /// education where it is counted by stage.
    pub fn compulsory(&self, campus: usize, quantity: &Named) -> Bounds {
        if quantity.whole {
            return self.total(campus, quantity, Part::Whole);
        }
        let stages = Stage::ALL.map(|stage| self.total(campus, quantity, stage.part()));
        stages.into_iter().fold(Bounds::exactly(Amount::ZERO), Bounds::plus)
    }

    /// An answer of a campus (1 yes, 0 no), and whether anybody gave one; `None`
    /// if it is not asked there.
    pub fn answer(&self, campus: Option<usize>, question: &QuestionId) -> Option<(Bounds, bool)> {
        let answers = match campus {
            Some(campus) => &self.unit.campuses.get(campus)?.answers,
            None => &self.unit.county?.answers,
        };
        let (question, figure) = answers.get_key_value(question)?;
        self.note(campus, What::Answer(question), figure);
        Some((figure.total(self.choice_of(campus)), figure.source != Source::Missing))
    }
}
