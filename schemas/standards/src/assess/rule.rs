//! Each type of condition under a partial choice.

mod classes;
mod compare;

use duxue_document::school::{Part, Stage};

use super::outcome::{Grade, Levels, Span};
use super::per_pupil::{difference, per_pupil};
use super::scope::{all_pupils, is_for};
use super::unit::Case;
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::{ByStage, Compare, Condition, Effect, Lack, Limit, Named, Relief, Rule, Sum, Text};
use classes::{every_class, rooms_per_classes};
use compare::{against_span, apart, distance, exact_pair, grade, span};

/// What an indicator is about, here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Stage(Stage),
    School,
    County,
}

/// A condition in one case.
pub(crate) struct Reading<'a> {
    pub levels: Levels,
    /// The value and its bounds; the value is held against the limit as it is.
    pub value: Option<(Exact, Option<Exact>)>,
    /// Printed times this.
    pub times: u32,
    /// How the value is printed, where it is not simply a number.
    pub printed: Option<String>,
    pub compare: Compare,
    /// The limit, and how it is written, if reasons are wanted.
    pub limit: Option<(Exact, String)>,
    pub lacks: Vec<Shortfall<'a>>,
    pub floor_lacks: Vec<Shortfall<'a>>,
    /// Reliefs that may be used.
    pub reliefs: Vec<&'a Relief>,
}

/// An amount lacking, or too much, between bounds.
pub(crate) struct Shortfall<'a> {
    pub least: Exact,
    pub most: Option<Exact>,
    pub unit: &'a Text,
    pub decimals: u32,
    pub too_much: bool,
}

impl<'a> Reading<'a> {
    fn new(span: Span, compare: Compare) -> Self {
        Self {
            levels: Levels::strict(span),
            value: None,
            times: 1,
            printed: None,
            compare,
            limit: None,
            lacks: Vec::new(),
            floor_lacks: Vec::new(),
            reliefs: Vec::new(),
        }
    }

    fn with_limit(mut self, case: &Case, limit: Limit, times: u32) -> Self {
        if !case.explains() {
            return self;
        }
        let shown = limit.value.exact().times(&Exact::quotient(times.into(), 1));
        let decimals = if times == 100 { limit.decimals.saturating_sub(2) } else { limit.decimals };
        let written = if times == 1 { shown.printed(decimals) } else { trim(&shown.printed(6)).to_owned() };
        self.limit = Some((limit.value.exact(), written));
        self.times = times;
        self
    }
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Reads a condition. `floor` is the share of the requirement below which the
/// rest of a school rule fails.
pub(crate) fn read<'a>(
    case: &Case,
    scope: Scope,
    condition: &'a Condition,
    floor: Option<Amount>,
) -> Reading<'a> {
    let lack = condition.lack.as_ref().filter(|_| case.explains());
    let reading = match (&condition.rule, scope) {
        (Rule::PerPupils { of, per, at_least }, Scope::Stage(stage)) => {
            per_pupils(case, stage, condition, (of, *per, at_least), floor)
        }
        (Rule::Share { of, over, compare, limit, over_schools, printed_times }, _) => {
            let get =
                |sum: &Sum| if *over_schools { over_all_schools(case, sum) } else { total(case, scope, sum) };
            share(case, (get(of), get(over)), *compare, (*limit, *printed_times), lack)
        }
        (Rule::Bound { of, compare, limit }, _) => {
            let kind = case.unit.school().map(|school| school.kind);
            let pick = |limits: &crate::standard::LimitByKind| {
                kind.and_then(|kind| limits.kinds.get(&kind)).copied().unwrap_or(limits.default)
            };
            let value = total(case, scope, of);
            let mut reading = bound(case, value, *compare, pick(limit), lack);
            ease(case, condition, &mut reading, |effects| {
                let limits = effects.iter().filter_map(|effect| match effect {
                    Effect::Limit(limits) => Some(span(value, *compare, pick(limits).value)),
                    _ => None,
                });
                limits.reduce(Span::or)
            });
            reading
        }
        (Rule::Against { of, compare, than, .. }, _) => {
            against(case, total(case, scope, of), *compare, total(case, scope, than), lack)
        }
        (Rule::RoomsPerClasses { classes, of, rooms }, _) => {
            rooms_per_classes(case, condition, (*classes, of, rooms))
        }
        (Rule::EveryClassAtMost { of, limit }, _) => every_class(case, of, limit, lack),
        (Rule::YesNo { question, expect }, _) => yes_no(case, scope, question, *expect),
        (Rule::FundedAs { funds, norm, pupils }, _) => funded_as(case, (funds, norm, *pupils), lack),
        // The reader refuses a per-pupil rule at another level.
        (Rule::PerPupils { .. }, _) => Reading::new(Span::UNKNOWN, Compare::AtLeast),
    };
    if condition.who.is_everyone() {
        return reading;
    }
    let who = is_for(case, &condition.who);
    let levels = reading.levels.unless_exempt(who.certain, who.possible);
    if who.possible { Reading { levels, ..reading } } else { Reading::new(Span::MET, reading.compare) }
}

/// Adds what the reliefs in force would give, each by itself and together.
fn ease<'a>(
    case: &Case,
    condition: &'a Condition,
    reading: &mut Reading<'a>,
    eased: impl Fn(&[&Effect]) -> Option<Span>,
) {
    if reading.levels.strict.low == Grade::Met {
        return;
    }
    let as_of = case.unit.as_of;
    let in_force =
        condition.reliefs.iter().filter(|relief| *relief.from <= *as_of && as_of <= relief.until.as_str());
    let (mut possible, mut certain) = (Vec::new(), Vec::new());
    for relief in in_force {
        let who = relief.who.iter().map(|who| is_for(case, who)).reduce(super::scope::Holds::or);
        let Some(who) = who.filter(|who| who.possible) else { continue };
        possible.push(&relief.effect);
        if who.certain {
            certain.push(&relief.effect);
        }
        if let Some(span) = eased(&[&relief.effect]) {
            reading.levels = reading.levels.with_relief(span, who.certain);
            if span.high > reading.levels.strict.low {
                reading.reliefs.push(relief);
            }
        }
    }
    for (effects, certain) in [(certain, true), (possible, false)] {
        if effects.len() > 1
            && let Some(span) = eased(&effects)
        {
            reading.levels = reading.levels.with_relief(span, certain);
        }
    }
}

fn total(case: &Case, scope: Scope, sum: &Sum) -> Bounds {
    let add = |ids: &[Named]| {
        ids.iter().map(|id| one(case, scope, id, sum.part)).fold(Bounds::exactly(Amount::ZERO), Bounds::plus)
    };
    difference(add(&sum.plus), add(&sum.minus))
}

fn one(case: &Case, scope: Scope, id: &Named, part: Option<Part>) -> Bounds {
    if id.county {
        return case.county_total(id);
    }
    let at = |campus: usize| match (part, scope) {
        (Some(part), _) => case.total(campus, id, part),
        (None, Scope::Stage(stage)) => case.total(campus, id, stage.part()),
        (None, _) => case.compulsory(campus, id),
    };
    (0..case.unit.campuses.len()).map(at).fold(Bounds::exactly(Amount::ZERO), Bounds::plus)
}

fn over_all_schools(case: &Case, sum: &Sum) -> Bounds {
    let add =
        |ids: &[Named]| ids.iter().map(case.unit.schools).fold(Bounds::exactly(Amount::ZERO), Bounds::plus);
    difference(add(&sum.plus), add(&sum.minus))
}

fn bound<'a>(
    case: &Case,
    value: Bounds,
    compare: Compare,
    limit: Limit,
    lack: Option<&'a Lack>,
) -> Reading<'a> {
    let mut reading = Reading::new(span(value, compare, limit.value), compare).with_limit(case, limit, 1);
    let (low, high) = exact_pair(value);
    reading.lacks =
        distance(&low, high.as_ref(), &limit.value.exact(), &Exact::quotient(1, 1), compare, lack);
    reading.value = Some((low, high));
    reading
}

fn per_pupils<'a>(
    case: &Case,
    stage: Stage,
    condition: &'a Condition,
    (of, per, limits): (&'a Sum, u32, &'a ByStage),
    floor: Option<Amount>,
) -> Reading<'a> {
    let Some(limit) = limits.get(&stage).copied() else { return Reading::new(Span::MET, Compare::AtLeast) };
    let per_exact = Exact::quotient(per.into(), 1);
    let graded = |sum: &Sum| {
        let value = per_pupil(case, stage, sum);
        let low = value.low.times(&per_exact);
        let high = value.high.map(|high| high.times(&per_exact));
        (grade(&low, high.as_ref(), limit.value, floor), low, high, value.per_unit)
    };
    let (span, low, high, per_unit) = graded(of);
    let mut reading = Reading::new(span, Compare::AtLeast).with_limit(case, limit, 1);
    let explained = case.explains() && span.low < Grade::Met;
    if let Some(unit) = per_unit.filter(|_| explained).and_then(|unit| unit.over(&per_exact)) {
        let lack = condition.lack.as_ref();
        let to = |limit: Amount| distance(&low, high.as_ref(), &limit.exact(), &unit, Compare::AtLeast, lack);
        reading.lacks = to(limit.value);
        reading.floor_lacks = floor.map(|floor| to(floor.share_of(limit.value))).unwrap_or_default();
    }
    reading.value = Some((low, high));
    ease(case, condition, &mut reading, |effects| {
        let mut wider = of.clone();
        for effect in effects {
            let Effect::AlsoCount(ids) = effect else { continue };
            wider.plus.extend(ids.iter().filter(|id| !of.plus.contains(id)).cloned());
        }
        Some(graded(&wider).0)
    });
    reading
}

/// `of ÷ over` against a limit, as `of` against `limit × over`.
fn share<'a>(
    case: &Case,
    (of, over): (Bounds, Bounds),
    compare: Compare,
    (limit, times): (Limit, u32),
    lack: Option<&'a Lack>,
) -> Reading<'a> {
    let need = |over: Amount| over.exact().times(&limit.value.exact());
    let (need_low, need_high) = (need(over.low), over.high.map(need));
    let (low, high) = exact_pair(of);
    let span = against_span((&low, high.as_ref()), compare, (&need_low, need_high.as_ref()));
    let mut reading = Reading::new(span, compare).with_limit(case, limit, times);
    if !case.explains() {
        return reading;
    }
    let ratio_low = over.high.and_then(|over| low.over(&over.exact()));
    let ratio_high = high.as_ref().and_then(|high| high.over(&over.low.exact()));
    if over.high != Some(Amount::ZERO) {
        reading.value = Some((ratio_low.unwrap_or(Exact::ZERO), ratio_high));
    }
    if let (Some(need_high), Some(lack)) = (&need_high, lack) {
        reading.lacks = apart((&low, high.as_ref()), compare, (&need_low, Some(need_high)), lack);
    }
    reading
}

fn against<'a>(
    case: &Case,
    of: Bounds,
    compare: Compare,
    than: Bounds,
    lack: Option<&'a Lack>,
) -> Reading<'a> {
    let (value, limit) = (exact_pair(of), exact_pair(than));
    let (a, b) = ((&value.0, value.1.as_ref()), (&limit.0, limit.1.as_ref()));
    let mut reading = Reading::new(against_span(a, compare, b), compare);
    if !case.explains() {
        return reading;
    }
    reading.lacks = lack.map(|lack| apart(a, compare, b, lack)).unwrap_or_default();
    reading.limit = than.value().map(|than| (than.exact(), than.to_string()));
    reading.value = Some(value);
    reading
}

fn yes_no<'a>(case: &Case, scope: Scope, question: &duxue_document::QuestionId, expect: bool) -> Reading<'a> {
    let answers: Vec<Bounds> = match scope {
        Scope::County => {
            let answer = case.answer(None, question).map(|(answer, _)| answer);
            vec![answer.unwrap_or(Bounds::unknown(Some(Amount::ONE)))]
        }
        _ => (0..case.unit.campuses.len())
            .filter_map(|campus| {
                let (answer, given) = case.answer(Some(campus), question)?;
                // A branch site that was not asked goes with its school.
                (campus == 0 || given).then_some(answer)
            })
            .collect(),
    };
    let as_expected = |answer: &Bounds| {
        let wanted = if expect { Amount::ONE } else { Amount::ZERO };
        (
            answer.value() == Some(wanted),
            answer.low <= wanted && answer.high.is_none_or(|high| high >= wanted),
        )
    };
    let certain = !answers.is_empty() && answers.iter().all(|answer| as_expected(answer).0);
    let possible = answers.iter().all(|answer| as_expected(answer).1);
    Reading::new(Span::from_bools(certain, possible), Compare::AtLeast)
}

/// funds × pupils ≥ 100 × Σ norm × pupils of the stage.
fn funded_as<'a>(
    case: &Case,
    (funds, norm, as_if): (&Named, &duxue_document::collections::BTreeMap<Stage, Named>, Amount),
    lack: Option<&'a Lack>,
) -> Reading<'a> {
    let funds = (0..case.unit.campuses.len())
        .map(|campus| case.compulsory(campus, funds))
        .fold(Bounds::exactly(Amount::ZERO), Bounds::plus);
    let pupils = all_pupils(case);
    let mut need: Option<(Exact, Option<Exact>)> = Some((Exact::ZERO, Some(Exact::ZERO)));
    for (stage, norm) in norm {
        let own = (0..case.unit.campuses.len())
            .map(|campus| case.total_of_pupils(campus, stage.part()))
            .fold(Bounds::exactly(Amount::ZERO), Bounds::plus);
        if own.high == Some(Amount::ZERO) {
            continue;
        }
        let norm = case.county_total(norm);
        let Some((own, all)) = own.value().zip(pupils.value()) else {
            // The weights of the norms are open: nothing is certain.
            need = None;
            continue;
        };
        let weight = own.exact().times(&as_if.exact()).over(&all.exact()).unwrap_or(Exact::ZERO);
        need = need.map(|(low, high)| {
            let more = norm.high.map(|norm| norm.exact().times(&weight));
            (low.add(&norm.low.exact().times(&weight)), high.zip(more).map(|(a, b)| a.add(&b)))
        });
    }
    let value = exact_pair(funds);
    let Some(need) = need else { return Reading::new(Span::UNKNOWN, Compare::AtLeast) };
    let (a, b) = ((&value.0, value.1.as_ref()), (&need.0, need.1.as_ref()));
    let mut reading = Reading::new(against_span(a, Compare::AtLeast, b), Compare::AtLeast);
    if !case.explains() {
        return reading;
    }
    reading.lacks = lack.map(|lack| apart(a, Compare::AtLeast, b, lack)).unwrap_or_default();
    if need.1.as_ref() == Some(&need.0) {
        reading.limit = Some((need.0.clone(), trim(&need.0.printed(2)).to_owned()));
    }
    reading.value = Some(value);
    reading
}
