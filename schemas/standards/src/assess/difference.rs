//! The differences between schools: one coefficient for each item and stage,
//! their mean, and what is tested of them.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use serde::Serialize;

use super::Outcome;
use super::coefficient::{self, Mean, Population, Roots, Square, Sums};
use super::outcome::{Levels, Span};
use super::result::{Range, RoundingFlag};
use super::row::{Row, RowCases};
use super::unit::MOST_COMBINATIONS;
use crate::number::{Amount, Exact, print_units};
use crate::standard::{Difference, DifferenceTest, Limit};

/// A coefficient, or the mean of the coefficients, of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CoefficientResult {
    /// The item; `mean` for the mean of all (综合).
    pub id: String,
    /// The result; absent where it is reported but not tested, or no school counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// 全县平均值 as on the form; absent while pupils are open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub county_mean: Option<Range>,
    /// 差异系数 as on the form: `0.502`, or `0.310–0.540`, `≥0.000`.
    pub printed: String,
    /// The same with six decimals.
    pub six_decimals: String,
    /// The limit as written: `0.50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Rounding that would change the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounding: Vec<RoundingFlag>,
    #[serde(skip)]
    pub(crate) levels: Levels,
}

/// All rows of one item and stage: settled ones as sums, the others by case.
pub(crate) struct Rows<'a> {
    pub sums: Sums,
    /// Rows that are open.
    pub open: Vec<&'a RowCases>,
    /// Settled rows for which a relief lets more count.
    pub eased: Vec<&'a RowCases>,
    /// Every row, for the exact sums.
    pub all: &'a dyn Fn() -> Vec<&'a RowCases>,
}

/// What is known of one coefficient over all cases.
struct Known {
    square: Square,
    /// Of the bounds in `square`.
    roots: Roots,
    /// Exact CV², where everything is settled and bounds were not enough.
    exact: Option<BigRational>,
    mean: Option<Mean>,
    rows: usize,
    /// Whether every row is known, so that exact sums can be made.
    settled: bool,
}

impl Rows<'_> {
    fn relieved(&self) -> bool {
        !self.eased.is_empty() || self.open.iter().any(|cases| cases.relief.is_some())
    }

    /// The sums, and the lists of cases of the rows that are not in them.
    fn parts(&self, relief: bool) -> (Sums, Vec<&[Row]>) {
        let mut sums = self.sums;
        let mut lists: Vec<&[Row]> = self.open.iter().map(|cases| cases.at(relief)).collect();
        if relief {
            for cases in &self.eased {
                if let Some(row) = cases.settled() {
                    sums.change(row, -1);
                }
                lists.push(cases.at(true));
            }
        }
        (sums, lists)
    }

    /// Every combination of cases; none if there are too many.
    fn combinations<'r>(sums: Sums, lists: &[&'r [Row]]) -> Vec<Population<'r>> {
        let number = lists.iter().try_fold(1_usize, |n, list| n.checked_mul(list.len()));
        let number = number.filter(|n| *n <= MOST_COMBINATIONS).unwrap_or(0);
        (0..number)
            .map(|index| {
                let mut rest = index;
                let chosen = lists.iter().map(|list| {
                    let row = &list[rest % list.len()];
                    rest /= list.len();
                    row
                });
                Population::settle(sums, chosen)
            })
            .collect()
    }

    /// `doubtful` says whether bounds are not enough, so that settled rows are
    /// summed exactly.
    fn known(&self, relief: bool, limit: Option<Limit>, doubtful: &dyn Fn(&Square, &Roots) -> bool) -> Known {
        let (sums, lists) = self.parts(relief);
        // One population with a range for every open row holds for every case.
        let hulls: Vec<Row> = lists.iter().map(|list| super::row::hull(list.to_vec())).collect();
        let outer = Population::settle(sums, hulls.iter());
        let rows = outer.rows();
        // Where bounds around all cases decide, none has to be tried by itself.
        let square = outer.square();
        let decided = !lists.is_empty() && limit.is_some_and(|limit| !straddles(&square, limit));
        let cases = if decided { Vec::new() } else { Self::combinations(sums, &lists) };
        if cases.is_empty() {
            let roots = square.roots();
            return Known { square, roots, exact: None, mean: outer.mean(), rows, settled: false };
        }
        let mut square: Option<Square> = None;
        let mut mean: Option<Option<Mean>> = None;
        for case in &cases {
            square = Some(around(square, case.square()));
            mean = Some(around_means(mean, case.mean()));
        }
        let square = square.unwrap_or(Square { low: BigInt::default(), high: None });
        let settled = matches!(cases.as_slice(), [case] if case.is_settled());
        let roots = square.roots();
        let exact =
            (settled && rows > 0 && doubtful(&square, &roots)).then(|| self.exactly(relief)).flatten();
        Known { square, roots, exact, mean: mean.flatten(), rows, settled }
    }

    /// CV² of settled rows; each has one case.
    fn exactly(&self, relief: bool) -> Option<BigRational> {
        let rows = (self.all)();
        let settled = rows.iter().filter_map(|cases| cases.at(relief).first());
        coefficient::exactly(settled).map(|(square, _)| square)
    }
}

fn around(a: Option<Square>, b: Square) -> Square {
    match a {
        None => b,
        Some(a) => Square { low: a.low.min(b.low), high: a.high.zip(b.high).map(|(a, b)| a.max(b)) },
    }
}

fn around_means(a: Option<Option<Mean>>, b: Option<Mean>) -> Option<Mean> {
    match a {
        None => b,
        Some(a) => a
            .zip(b)
            .map(|(a, b)| Mean { low: a.low.min(b.low), high: a.high.zip(b.high).map(|(a, b)| a.max(b)) }),
    }
}

/// Every coefficient of a stage, and last their mean.
pub(crate) fn decide(
    difference: &Difference,
    limit: Option<Limit>,
    decimals_of: &dyn Fn(&str) -> u32,
    items: &[(String, Rows)],
) -> Vec<CoefficientResult> {
    let each = difference.test == DifferenceTest::Each;
    let mut known = Vec::with_capacity(items.len());
    let mut results: Vec<CoefficientResult> = items
        .iter()
        .map(|(id, rows)| {
            let (result, strict, relief) = one(id, rows, limit.filter(|_| each), difference, decimals_of(id));
            known.push((strict, relief));
            result
        })
        .collect();
    if known.iter().any(|(strict, _)| strict.rows > 0) {
        let limit = limit.filter(|_| !each);
        let mut mean = mean_of(&known, limit, difference);
        let open = mean.outcome == Some(Outcome::Undetermined) || mean.printed.contains(['–', '≥']);
        if open && known.iter().all(|(strict, _)| strict.settled) {
            let exact: Vec<_> =
                items.iter().map(|(_, rows)| (rows.known(false, None, &|_, _| true), None)).collect();
            mean = mean_of(&exact, limit, difference);
        }
        results.push(mean);
    }
    results
}

fn one(
    id: &str,
    rows: &Rows,
    limit: Option<Limit>,
    difference: &Difference,
    item_decimals: u32,
) -> (CoefficientResult, Known, Option<Known>) {
    let doubtful = |square: &Square, roots: &Roots| {
        let open = limit.is_some_and(|limit| straddles(square, limit));
        let written = limit.map_or(difference.decimals, |limit| limit.decimals);
        let vague = |decimals| roots.alike(decimals).is_none();
        open || [difference.decimals, written, 6].into_iter().any(vague)
    };
    let strict = rows.known(false, limit, &doubtful);
    let mut levels = Levels::MET;
    let mut relief = None;
    if let Some(limit) = limit {
        levels = Levels::strict(test(&strict, limit));
        relief = rows.relieved().then(|| rows.known(true, Some(limit), &doubtful));
        if let Some(relief) = &relief {
            levels = levels.with_relief(test(relief, limit), true);
        }
    } else if rows.relieved() {
        relief = Some(rows.known(true, None, &doubtful));
    }
    let counts = strict.rows > 0;
    let decimals = difference.mean_decimals.max(item_decimals);
    let printed = |decimals| print_square(&strict, decimals);
    let result = CoefficientResult {
        id: id.to_owned(),
        outcome: limit.filter(|_| counts).map(|_| levels.outcome()),
        county_mean: mean_range(rows, &strict, decimals),
        printed: printed(difference.decimals),
        six_decimals: printed(6),
        limit: limit.map(written),
        rounding: limit.filter(|_| counts).map(|limit| flags(&strict, limit, difference)).unwrap_or_default(),
        levels,
    };
    (result, strict, relief)
}

/// Whether bounds of CV² lie on both sides of the limit.
fn straddles(square: &Square, limit: Limit) -> bool {
    let limit = coefficient::limit_square(limit.value);
    square.low <= limit && square.high.as_ref().is_none_or(|high| *high > limit)
}

fn written(limit: Limit) -> String {
    limit.value.exact().printed(limit.decimals)
}

/// CV ≤ limit, as CV² ≤ limit².
fn test(known: &Known, limit: Limit) -> Span {
    let limit_square = coefficient::limit_square(limit.value);
    if let Some(exact) = &known.exact {
        let (n, d) = coefficient::to_parts(exact);
        let scale = coefficient::limit_square(Amount::ONE);
        let met = n * scale <= limit_square * d;
        return Span::from_bools(met, met);
    }
    let certain = known.square.high.as_ref().is_some_and(|high| *high <= limit_square);
    Span::from_bools(certain, known.square.low <= limit_square)
}

fn print_square(known: &Known, decimals: u32) -> String {
    if let Some(units) = rounded(known, decimals) {
        return print_units(&units, decimals);
    }
    let (low, high) = known.roots.rounded(decimals);
    let print = |units: &BigInt| print_units(units, decimals);
    match &high {
        Some(high) => format!("{}–{}", print(&low), print(high)),
        None => format!("≥{}", print(&low)),
    }
}

fn rounded(known: &Known, decimals: u32) -> Option<BigInt> {
    match &known.exact {
        Some(exact) => {
            let (n, d) = coefficient::to_parts(exact);
            Some(crate::number::rounded_root(&n, &d, decimals))
        }
        None => known.roots.alike(decimals),
    }
}

/// The form's decimals and those of the limit itself are both in use by
/// people who compare by hand.
fn flags(known: &Known, limit: Limit, difference: &Difference) -> Vec<RoundingFlag> {
    let span = test(known, limit);
    if span.low != span.high {
        return Vec::new();
    }
    let met = span.low == super::outcome::Grade::Met;
    let mut all = Vec::new();
    for decimals in [difference.decimals, limit.decimals] {
        let Some(units) = rounded(known, decimals) else { continue };
        let value = Exact::Big(Box::new(BigRational::new(units.clone(), BigInt::from(10).pow(decimals))));
        let would_be_met = value <= limit.value.exact();
        if would_be_met != met && !all.iter().any(|flag: &RoundingFlag| flag.decimals == decimals) {
            let rounded = print_units(&units, decimals);
            all.push(RoundingFlag { decimals, rounded, limit: written(limit), would_be_met });
        }
    }
    all
}

fn mean_range(rows: &Rows, known: &Known, decimals: u32) -> Option<Range> {
    let print = |value: &Exact| value.printed(decimals);
    let same = |mean: &Mean| mean.high.as_ref().is_some_and(|high| print(high) == print(&mean.low));
    let bounds = known.mean.clone();
    if known.settled && !bounds.as_ref().is_some_and(same) {
        // The bounds print differently, or a row was too large for them: only
        // the exact mean tells.
        let all = (rows.all)();
        if let Some((_, exact)) = coefficient::exactly(all.iter().filter_map(|cases| cases.settled())) {
            let exact = Exact::Big(Box::new(exact));
            return Some(Range::new(exact.clone(), Some(exact), 1, decimals));
        }
    }
    let Mean { low, high } = bounds?;
    if known.settled {
        let printed = print(&low);
        return Some(Range { low, high, printed });
    }
    Some(Range::new(low, high, 1, decimals))
}

/// The mean of unrounded coefficients, by bounds that narrow until they decide.
fn mean_of(
    known: &[(Known, Option<Known>)],
    limit: Option<Limit>,
    difference: &Difference,
) -> CoefficientResult {
    let strict: Vec<&Known> = known.iter().map(|(strict, _)| strict).collect();
    let mut levels = Levels::MET;
    if let Some(limit) = limit {
        levels = Levels::strict(test_mean(&strict, limit));
        if known.iter().any(|(_, relief)| relief.is_some()) {
            let eased: Vec<&Known> =
                known.iter().map(|(strict, relief)| relief.as_ref().unwrap_or(strict)).collect();
            levels = levels.with_relief(test_mean(&eased, limit), true);
        }
    }
    let print = |decimals| {
        let (low, high) = mean_bounds(&strict, decimals);
        match high {
            Some(high) if high == low => print_units(&low, decimals),
            Some(high) => format!("{}–{}", print_units(&low, decimals), print_units(&high, decimals)),
            None => format!("≥{}", print_units(&low, decimals)),
        }
    };
    CoefficientResult {
        id: "mean".to_owned(),
        outcome: limit.map(|_| levels.outcome()),
        county_mean: None,
        printed: print(difference.decimals),
        six_decimals: print(6),
        limit: limit.map(written),
        rounding: limit.map(|limit| mean_flags(&strict, limit, difference)).unwrap_or_default(),
        levels,
    }
}

/// Digits at which a sum of roots is tried; beyond, it stays open.
const DIGITS: [u32; 4] = [12, 24, 48, 96];

/// Bounds of the sum of the coefficients in parts of 10^-`digits`.
fn sum_bounds(known: &[&Known], digits: u32) -> (BigInt, Option<BigInt>) {
    let mut sum = (BigInt::default(), Some(BigInt::default()));
    for one in known {
        let (low, high) = match &one.exact {
            Some(exact) => {
                let (low, high) = coefficient::root_to(exact, digits);
                (low, Some(high))
            }
            None => {
                let (low, high) = coefficient::root_bounds(&one.square, &one.roots);
                let more = BigInt::from(10).pow(digits.saturating_sub(12));
                (low * &more, high.map(|high| high * &more))
            }
        };
        sum.0 += low;
        sum.1 = sum.1.zip(high).map(|(a, b)| a + b);
    }
    sum
}

fn test_mean(known: &[&Known], limit: Limit) -> Span {
    let mut last = Span::UNKNOWN;
    for digits in DIGITS {
        let (low, high) = sum_bounds(known, digits);
        let limit = BigInt::from(limit.value.parts()) * known.len() * BigInt::from(10).pow(digits - 12);
        last = Span::from_bools(high.as_ref().is_some_and(|high| *high <= limit), low <= limit);
        if last.low == last.high || known.iter().any(|one| one.exact.is_none()) {
            break;
        }
    }
    last
}

/// The mean rounded half away from zero: bounds that meet once decided.
fn mean_bounds(known: &[&Known], decimals: u32) -> (BigInt, Option<BigInt>) {
    let round = |sum: &BigInt, digits: u32| {
        // ⌊mean·10^d + ½⌋ = ⌊(2·sum·10^d + n·10^digits) / (2·n·10^digits)⌋
        let unit = BigInt::from(known.len()) * BigInt::from(10).pow(digits);
        (sum * 2_u32 * BigInt::from(10).pow(decimals) + &unit).div_floor(&(unit * 2_u32))
    };
    let mut bounds = (BigInt::default(), None);
    for digits in DIGITS {
        let (low, high) = sum_bounds(known, digits);
        bounds = (round(&low, digits), high.map(|high| round(&high, digits)));
        if bounds.1.as_ref() == Some(&bounds.0) || known.iter().any(|one| one.exact.is_none()) {
            break;
        }
    }
    bounds
}

fn mean_flags(known: &[&Known], limit: Limit, difference: &Difference) -> Vec<RoundingFlag> {
    let span = test_mean(known, limit);
    if span.low != span.high {
        return Vec::new();
    }
    let met = span.low == super::outcome::Grade::Met;
    let mut all: Vec<RoundingFlag> = Vec::new();
    for decimals in [difference.decimals, limit.decimals] {
        let (low, high) = mean_bounds(known, decimals);
        let value = Exact::Big(Box::new(BigRational::new(low.clone(), BigInt::from(10).pow(decimals))));
        let would_be_met = value <= limit.value.exact();
        if high.as_ref() == Some(&low) && would_be_met != met && all.iter().all(|f| f.decimals != decimals) {
            all.push(RoundingFlag {
                decimals,
                rounded: print_units(&low, decimals),
                limit: written(limit),
                would_be_met,
            });
        }
    }
    all
}
