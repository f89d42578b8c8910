//! Each type of condition under a partial choice.

use duxue_document::school::{Part, Stage};

use super::outcome::{Grade, Levels, Span};
use super::per_pupil::{difference, per_pupil};
use super::scope::{all_pupils, is_for, stages};
use super::unit::Case;
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::{
    ByStage, Compare, Condition, Effect, Lack, Limit, Named, Relief, RoomNeed, Rule, Sum, Text,
};

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
    /// The limit, and how it is written.
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

    fn with_limit(mut self, limit: Limit, times: u32) -> Self {
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
    let lack = condition.lack.as_ref();
    let reading = match (&condition.rule, scope) {
        (Rule::PerPupils { of, per, at_least }, Scope::Stage(stage)) => {
            per_pupils(case, stage, condition, (of, *per, at_least), floor)
        }
        (Rule::Share { of, over, compare, limit, over_schools, printed_times }, _) => {
            let get =
                |sum: &Sum| if *over_schools { over_all_schools(case, sum) } else { total(case, scope, sum) };
            share(get(of), get(over), *compare, *limit, *printed_times, lack)
        }
        (Rule::Bound { of, compare, limit }, _) => {
            let kind = case.unit.school().map(|school| school.kind);
            let pick = |limits: &crate::standard::LimitByKind| {
                kind.and_then(|kind| limits.kinds.get(&kind)).copied().unwrap_or(limits.default)
            };
            let value = total(case, scope, of);
            let mut reading = bound(value, *compare, pick(limit), lack);
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
            against(total(case, scope, of), *compare, total(case, scope, than), lack)
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

fn span(value: Bounds, compare: Compare, limit: Amount) -> Span {
    let at_least = |value: Option<Amount>| value.is_none_or(|value| value >= limit);
    let above = |value: Option<Amount>| value.is_none_or(|value| value > limit);
    let (low, high) = (Some(value.low), value.high);
    match compare {
        Compare::AtLeast => Span::from_bools(at_least(low), at_least(high)),
        Compare::Above => Span::from_bools(above(low), above(high)),
        Compare::AtMost => Span::from_bools(!above(high), !above(low)),
        Compare::Below => Span::from_bools(!at_least(high), !at_least(low)),
    }
}

fn exact_pair(bounds: Bounds) -> (Exact, Option<Exact>) {
    (bounds.low.exact(), bounds.high.map(Amount::exact))
}

fn bound<'a>(value: Bounds, compare: Compare, limit: Limit, lack: Option<&'a Lack>) -> Reading<'a> {
    let mut reading = Reading::new(span(value, compare, limit.value), compare).with_limit(limit, 1);
    let (low, high) = exact_pair(value);
    reading.lacks =
        distance(&low, high.as_ref(), &limit.value.exact(), &Exact::quotient(1, 1), compare, lack);
    reading.value = Some((low, high));
    reading
}

/// How far a value is on the wrong side of a limit, times `unit`.
fn distance<'a>(
    low: &Exact,
    high: Option<&Exact>,
    limit: &Exact,
    unit: &Exact,
    compare: Compare,
    lack: Option<&'a Lack>,
) -> Vec<Shortfall<'a>> {
    let Some(lack) = lack else { return Vec::new() };
    let positive = |exact: Exact| if exact.is_positive() { exact } else { Exact::ZERO };
    let too_much = matches!(compare, Compare::AtMost | Compare::Below);
    let (least, most) = if too_much {
        (positive(low.minus(limit)), high.map(|high| positive(high.minus(limit))))
    } else {
        (high.map_or(Exact::ZERO, |high| positive(limit.minus(high))), Some(positive(limit.minus(low))))
    };
    if most.as_ref().is_some_and(|most| !most.is_positive()) {
        return Vec::new();
    }
    let (least, most) = (least.times(unit), most.map(|most| most.times(unit)));
    vec![Shortfall { least, most, unit: &lack.unit, decimals: lack.decimals, too_much }]
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
    let mut reading = Reading::new(span, Compare::AtLeast).with_limit(limit, 1);
    let unit = per_unit.and_then(|unit| unit.over(&per_exact));
    if let Some(unit) = unit.filter(|_| span.low < Grade::Met) {
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

fn grade(low: &Exact, high: Option<&Exact>, limit: Amount, floor: Option<Amount>) -> Span {
    let full = limit.exact();
    let of = |value: &Exact| {
        if *value >= full {
            Grade::Met
        } else if floor.is_some_and(|floor| *value >= floor.share_of(limit).exact()) {
            Grade::Floor
        } else {
            Grade::Below
        }
    };
    Span { low: of(low), high: high.map_or(Grade::Met, of) }
}

/// `of ÷ over` against a limit, as `of` against `limit × over`.
fn share<'a>(
    of: Bounds,
    over: Bounds,
    compare: Compare,
    limit: Limit,
    times: u32,
    lack: Option<&'a Lack>,
) -> Reading<'a> {
    let need = |over: Amount| over.exact().times(&limit.value.exact());
    let (need_low, need_high) = (need(over.low), over.high.map(need));
    let (low, high) = exact_pair(of);
    let span = against_span((&low, high.as_ref()), compare, (&need_low, need_high.as_ref()));
    let mut reading = Reading::new(span, compare).with_limit(limit, times);
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

type Pair<'e> = (&'e Exact, Option<&'e Exact>);

fn against_span(value: Pair, compare: Compare, than: Pair) -> Span {
    // a ≥ b for certain: the least a against the greatest b.
    let at_least = |a: Option<&Exact>, b: Option<&Exact>| match (a, b) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => a >= b,
    };
    let above = |a: Option<&Exact>, b: Option<&Exact>| match (a, b) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(a), Some(b)) => a > b,
    };
    let (low, high) = (Some(value.0), value.1);
    let (than_low, than_high) = (Some(than.0), than.1);
    match compare {
        Compare::AtLeast => Span::from_bools(at_least(low, than_high), at_least(high, than_low)),
        Compare::Above => Span::from_bools(above(low, than_high), above(high, than_low)),
        Compare::AtMost => Span::from_bools(!above(high, than_low), !above(low, than_high)),
        Compare::Below => Span::from_bools(!at_least(high, than_low), !at_least(low, than_high)),
    }
}

/// How far two ranges are apart on the wrong side.
fn apart<'a>(value: Pair, compare: Compare, than: Pair, lack: &'a Lack) -> Vec<Shortfall<'a>> {
    let positive = |exact: Exact| if exact.is_positive() { exact } else { Exact::ZERO };
    let too_much = matches!(compare, Compare::AtMost | Compare::Below);
    let (from, to) = if too_much { (value, than) } else { (than, value) };
    let least = to.1.map_or(Exact::ZERO, |high| positive(from.0.minus(high)));
    let most = from.1.map(|high| positive(high.minus(to.0)));
    if most.as_ref().is_some_and(|most| !most.is_positive()) {
        return Vec::new();
    }
    vec![Shortfall { least, most, unit: &lack.unit, decimals: lack.decimals, too_much }]
}

fn against<'a>(of: Bounds, compare: Compare, than: Bounds, lack: Option<&'a Lack>) -> Reading<'a> {
    let (value, limit) = (exact_pair(of), exact_pair(than));
    let (a, b) = ((&value.0, value.1.as_ref()), (&limit.0, limit.1.as_ref()));
    let mut reading = Reading::new(against_span(a, compare, b), compare);
    reading.lacks = lack.map(|lack| apart(a, compare, b, lack)).unwrap_or_default();
    reading.limit = than.value().map(|than| (than.exact(), than.to_string()));
    reading.value = Some(value);
    reading
}

fn rooms_per_classes<'a>(
    case: &Case,
    condition: &'a Condition,
    (per, of, rooms): (u32, &Named, &'a [RoomNeed]),
) -> Reading<'a> {
    let classes = (0..case.unit.campuses.len())
        .map(|campus| case.compulsory(campus, of))
        .fold(Bounds::exactly(Amount::ZERO), Bounds::plus);
    let per = Amount::whole(per).parts();
    let needed =
        |classes: Amount| classes.parts().div_euclid(per) + i128::from(classes.parts().rem_euclid(per) > 0);
    let need = (needed(classes.low), classes.high.map(needed));
    let stages = stages(case.unit);
    let area =
        |areas: &ByStage| stages.iter().filter_map(|stage| areas.get(stage)).map(|limit| limit.value).max();
    let mut lacks = Vec::new();
    let span_for = |areas: &dyn Fn(&RoomNeed) -> Option<Amount>, lacks: &mut Vec<Shortfall<'a>>| {
        rooms
            .iter()
            .map(|room| room_span(case, room, areas(room), need, lacks))
            .fold(Levels::MET, |all, span| all.and(Levels::strict(span)))
    };
    let strict = span_for(&|room| area(&room.area_m2), &mut lacks);
    let mut reading = Reading::new(strict.strict, Compare::AtLeast);
    reading.lacks = lacks;
    ease(case, condition, &mut reading, |effects| {
        let areas = |room: &RoomNeed| {
            let eased = effects.iter().filter_map(|effect| match effect {
                Effect::Areas(areas) => area(areas.get(&room.rooms.id)?),
                _ => None,
            });
            eased.chain(area(&room.area_m2)).min()
        };
        Some(span_for(&areas, &mut Vec::new()).strict)
    });
    reading
}

/// Whether there are enough rooms of one kind that are large enough.
fn room_span<'a>(
    case: &Case,
    room: &'a RoomNeed,
    area: Option<Amount>,
    (need_low, need_high): (i128, Option<i128>),
    lacks: &mut Vec<Shortfall<'a>>,
) -> Span {
    let least_area = area.unwrap_or(Amount::ZERO);
    let mut have = (0_i128, Some(0_i128));
    for campus in 0..case.unit.campuses.len() {
        let Some((figure, choice)) = case.figure(campus, &room.rooms, Part::Whole) else {
            have.1 = None;
            continue;
        };
        let count = figure.count(
            choice,
            |size| size.low >= least_area,
            |size| size.high.is_none_or(|high| high >= least_area),
        );
        have.0 += count.least as i128;
        have.1 = have.1.zip(count.most).map(|(have, most)| have + most as i128);
    }
    let certain = need_high.is_some_and(|need| have.0 >= need);
    let possible = have.1.is_none_or(|most| most >= need_low);
    if !certain {
        let whole = |n: i128| Exact::quotient(n.max(0), 1);
        lacks.push(Shortfall {
            least: have.1.map_or(Exact::ZERO, |most| whole(need_low - most)),
            most: need_high.map(|need| whole(need - have.0)),
            unit: &room.unit,
            decimals: 0,
            too_much: false,
        });
    }
    Span::from_bools(certain, possible)
}

/// The value is the largest class, by stage where there are several.
fn every_class<'a>(case: &Case, of: &Named, limits: &ByStage, lack: Option<&'a Lack>) -> Reading<'a> {
    let mut over = (0_i128, Some(0_i128));
    let mut all = Bounds::exactly(Amount::ZERO);
    let mut highest = Amount::ZERO;
    let (mut printed, mut written) = (Vec::new(), Vec::new());
    for stage in stages(case.unit) {
        let Some(limit) = limits.get(&stage).map(|limit| limit.value) else { continue };
        let mut largest = Bounds::exactly(Amount::ZERO);
        for campus in 0..case.unit.campuses.len() {
            let Some((figure, choice)) = case.figure(campus, of, stage.part()) else { continue };
            let count = figure.count(
                choice,
                |size| size.low > limit,
                |size| size.high.is_none_or(|high| high > limit),
            );
            over.0 += count.least as i128;
            over.1 = over.1.zip(count.most).map(|(over, most)| over + most as i128);
            largest = largest.larger(figure.largest(choice));
        }
        all = all.larger(largest);
        highest = highest.max(limit);
        printed.push(class_size(largest));
        written.push(limit.to_string());
    }
    let mut reading = Reading::new(Span::from_bools(over.1 == Some(0), over.0 == 0), Compare::AtMost);
    let whole = |n: i128| Exact::quotient(n, 1);
    let over = (whole(over.0), over.1.map(whole));
    reading.lacks = distance(&over.0, over.1.as_ref(), &Exact::ZERO, &whole(1), Compare::AtMost, lack);
    // One number cannot be held against several limits; sizes are whole, so
    // rounding changes nothing.
    reading.limit = Some((highest.exact(), written.join("/")));
    reading.value = Some(exact_pair(all));
    reading.printed = Some(printed.join("/"));
    reading
}

fn class_size(largest: Bounds) -> String {
    match largest.high {
        // No class is not a class of nobody.
        Some(Amount::ZERO) => "—".to_owned(),
        Some(high) if high == largest.low => high.to_string(),
        Some(high) => format!("{}–{high}", largest.low),
        None => format!("≥{}", largest.low),
    }
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
    (funds, norm, as_if): (&Named, &std::collections::BTreeMap<Stage, Named>, Amount),
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
    reading.lacks = lack.map(|lack| apart(a, Compare::AtLeast, b, lack)).unwrap_or_default();
    if need.1.as_ref() == Some(&need.0) {
        reading.limit = Some((need.0.clone(), trim(&need.0.printed(2)).to_owned()));
    }
    reading.value = Some(value);
    reading
}
