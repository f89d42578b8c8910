//! One indicator, decided over everything that is open, with its details.

use duxue_document::collections::BTreeSet;

use duxue_document::school::FigureKey;

use super::outcome::{Grade, Levels};
use super::result::{ConditionResult, IndicatorResult, Lacking, Range, ReliefUse, RoundingFlag, Standing};
use super::rule::{Reading, Scope, Shortfall, read};
use super::unit::{Case, Detail, Trace, Unit};
use super::{Outcome, result};
use crate::date;
use crate::number::{Amount, Exact};
use crate::standard::{Compare, Condition, Indicator, Text};

/// Decides an indicator with its reasons. `floor` is the share of the
/// requirement that the school rule still accepts.
pub(crate) fn decide(
    unit: &Unit,
    scope: Scope,
    indicator: &Indicator,
    floor: Option<Amount>,
) -> IndicatorResult {
    let mut conditions = Vec::with_capacity(indicator.conditions.len());
    let mut seen = Seen::default();
    let about = About { scope, indicator, floor };
    let levels = over_conditions(unit, about, Detail::Reasons, |condition, levels, reading, trace| {
        let reading = if trace.variables.is_empty() {
            reading
        } else {
            let choice = unit.shown();
            let case = Case { unit, choice: &choice, trace: None, detail: Detail::Reasons };
            read(&case, scope, condition, floor)
        };
        conditions.push(describe(unit, condition, indicator.decimals, levels, reading));
        seen.add(unit, trace);
    });
    let mut result = seen.into_result(indicator.id.clone(), levels, conditions);
    if result.outcome == Outcome::Met && result.missing.is_empty() {
        result.open.clear();
    }
    result
}

/// What an indicator says, without its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub levels: Levels,
    /// The value of one with a single condition, where nothing is open.
    pub value: Option<Exact>,
}

/// Decides an indicator as [`decide`] does. Adds to `looked_at` what it looked
/// at in the county's input.
pub(crate) fn judge(
    unit: &Unit,
    (scope, indicator, floor): (Scope, &Indicator, Option<Amount>),
    looked_at: &mut BTreeSet<FigureKey>,
) -> Judged {
    let mut value = None;
    let about = About { scope, indicator, floor };
    let levels = over_conditions(unit, about, Detail::Result, |_, _, reading, trace| {
        looked_at.extend(trace.of_county());
        let known =
            reading.value.filter(|(low, high)| trace.variables.is_empty() && high.as_ref() == Some(low));
        value = known.map(|(low, _)| low);
    });
    Judged { levels, value: value.filter(|_| indicator.conditions.len() == 1) }
}

/// What is decided.
#[derive(Clone, Copy)]
struct About<'i> {
    scope: Scope,
    indicator: &'i Indicator,
    floor: Option<Amount>,
}

/// The levels of all conditions together, each shown to `see` by itself.
fn over_conditions<'a, 'i>(
    unit: &Unit<'a>,
    About { scope, indicator, floor }: About<'i>,
    detail: Detail,
    mut see: impl FnMut(&'i Condition, Levels, Reading<'i>, &Trace<'a>),
) -> Levels {
    let mut all = Levels::MET;
    let mut open = false;
    for condition in &indicator.conditions {
        let (levels, reading, trace) =
            unit.decide(detail, |case| read(case, scope, condition, floor), |reading| reading.levels);
        all = all.and(levels);
        open |= !trace.variables.is_empty();
        see(condition, levels, reading, &trace);
    }
    if indicator.conditions.len() > 1 && open {
        // Conditions may share what is open; together they may be more certain
        // than each by itself. One by one is still sound.
        let rule = |case: &Case| together(case, scope, indicator, floor);
        let (together, ..) = unit.decide(Detail::Result, rule, |levels| *levels);
        all = tighter(all, together);
    }
    all
}

fn together(case: &Case, scope: Scope, indicator: &Indicator, floor: Option<Amount>) -> Levels {
    let each = indicator.conditions.iter().map(|condition| read(case, scope, condition, floor).levels);
    each.fold(Levels::MET, Levels::and)
}

fn tighter(a: Levels, b: Levels) -> Levels {
    let span = |a: super::outcome::Span, b: super::outcome::Span| super::outcome::Span {
        low: a.low.max(b.low),
        high: a.high.min(b.high),
    };
    Levels { strict: span(a.strict, b.strict), relief: span(a.relief, b.relief) }
}

/// What the conditions of an indicator looked at, each once.
#[derive(Default)]
struct Seen {
    figures: Vec<crate::figure::FigureRef>,
    missing: BTreeSet<result::Missing>,
    open: BTreeSet<result::Open>,
}

impl Seen {
    fn add<'a>(&mut self, unit: &Unit<'a>, trace: &Trace<'a>) {
        if self.figures.is_empty() {
            self.figures = trace.figure_refs(unit);
            return self.add_open(unit, trace);
        }
        for figure in trace.figure_refs(unit) {
            if !self.figures.contains(&figure) {
                self.figures.push(figure);
            }
        }
        self.add_open(unit, trace);
    }

    fn add_open<'a>(&mut self, unit: &Unit<'a>, trace: &Trace<'a>) {
        self.missing.extend(trace.missing(unit));
        self.open.extend(trace.open(unit));
    }

    fn into_result(self, id: String, levels: Levels, conditions: Vec<ConditionResult>) -> IndicatorResult {
        IndicatorResult {
            id,
            outcome: levels.outcome(),
            conditions,
            figures: self.figures,
            missing: self.missing.into_iter().collect(),
            open: self.open.into_iter().collect(),
            levels: Standing(levels),
        }
    }
}

fn describe(
    unit: &Unit,
    condition: &Condition,
    decimals: u32,
    levels: Levels,
    reading: Reading,
) -> ConditionResult {
    let strictly_met = levels.strict.low == Grade::Met;
    let value = reading.value.map(|(low, high)| match reading.printed {
        Some(printed) => Range { low, high, printed },
        None => Range::new(low, high, reading.times, decimals),
    });
    let rounding = match (&value, &reading.limit) {
        (Some(value), Some((limit, written))) => {
            flags(value, limit, written, reading.compare, reading.times, &[decimals])
        }
        _ => Vec::new(),
    };
    let above_floor = levels.strict.low >= Grade::Floor;
    ConditionResult {
        name: condition.name.clone(),
        outcome: levels.outcome(),
        value,
        threshold: reading.limit.map(|(_, written)| written),
        lacking: if strictly_met { Vec::new() } else { reading.lacks.iter().map(lacking).collect() },
        lacking_to_floor: if above_floor {
            Vec::new()
        } else {
            reading.floor_lacks.iter().map(lacking).collect()
        },
        rounding,
        reliefs: if strictly_met {
            Vec::new()
        } else {
            reading.reliefs.iter().map(|r| use_of(unit, r)).collect()
        },
    }
}

fn use_of(unit: &Unit, relief: &crate::standard::Relief) -> ReliefUse {
    ReliefUse {
        id: relief.id.clone(),
        name: relief.name.clone(),
        clause: relief.clause.clone(),
        due_years: relief.due_years,
        due: date::years_later(unit.as_of, relief.due_years).unwrap_or_default(),
    }
}

/// Decimals at which the rounded value would give another result.
pub(crate) fn flags(
    value: &Range,
    limit: &Exact,
    written: &str,
    compare: Compare,
    times: u32,
    decimals: &[u32],
) -> Vec<RoundingFlag> {
    let Some(value) = value.value() else { return Vec::new() };
    let scale = Exact::quotient(times.into(), 1);
    let (value, limit) = (value.times(&scale), limit.times(&scale));
    let met = |value: &Exact| match compare {
        Compare::AtLeast => *value >= limit,
        Compare::Above => *value > limit,
        Compare::AtMost => *value <= limit,
        Compare::Below => *value < limit,
    };
    let exact = met(&value);
    decimals
        .iter()
        .filter_map(|decimals| {
            let would_be_met = met(&value.as_printed(*decimals));
            (would_be_met != exact).then(|| RoundingFlag {
                decimals: *decimals,
                rounded: value.printed(*decimals),
                limit: written.to_owned(),
                would_be_met,
            })
        })
        .collect()
}

/// A shortfall in words; rounded up, so that it is enough.
fn lacking(short: &Shortfall) -> Lacking {
    let print = |exact: &Exact| {
        let text = exact.printed_up(short.decimals);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    let least = print(&short.least);
    let most = short.most.as_ref().map(print);
    let amount = match &most {
        Some(most) if *most == least => least.clone(),
        Some(most) => format!("{least}–{most}"),
        None => format!("≥{least}"),
    };
    let text = if short.too_much {
        Text::new(format!("超出{amount}{}", short.unit.zh), format!("{amount} {}", short.unit.en))
    } else {
        Text::new(format!("差{amount}{}", short.unit.zh), format!("{amount} {} short", short.unit.en))
    };
    let most = most.filter(|most| *most != least);
    Lacking { least, most, unit: short.unit.clone(), text }
}
