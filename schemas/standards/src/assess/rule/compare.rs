//! How values are held against limits, and how far they are on the wrong side.

use super::Shortfall;
use crate::assess::outcome::{Grade, Span};
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::{Compare, Lack};

pub(super) fn span(value: Bounds, compare: Compare, limit: Amount) -> Span {
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

pub(super) fn exact_pair(bounds: Bounds) -> (Exact, Option<Exact>) {
    (bounds.low.exact(), bounds.high.map(Amount::exact))
}

/// How far a value is on the wrong side of a limit, times `unit`.
pub(super) fn distance<'a>(
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

pub(super) fn grade(low: &Exact, high: Option<&Exact>, limit: Amount, floor: Option<Amount>) -> Span {
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

pub(super) type Pair<'e> = (&'e Exact, Option<&'e Exact>);

pub(super) fn against_span(value: Pair, compare: Compare, than: Pair) -> Span {
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
pub(super) fn apart<'a>(value: Pair, compare: Compare, than: Pair, lack: &'a Lack) -> Vec<Shortfall<'a>> {
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
