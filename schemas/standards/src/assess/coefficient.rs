//! The pupil-weighted coefficient of variation, without a root.
//!
//! With x the resource per pupil of a row and P its pupils,
//! CV² = N·Σ P·x² ÷ (Σ P·x)² − 1. Sums are kept as whole numbers of 10⁻⁹ and
//! 10⁻¹⁸, rounded down and up, so a changed row is subtracted and added and the
//! sums stay equal to fresh ones. Only where these bounds straddle the limit
//! are the exact quotients summed.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use super::row::Row;
use crate::number::{Amount, Exact};

/// Parts of x in one unit.
const FINE: i128 = 1_000_000_000;

/// Parts of CV² in one: the square of an [`Amount`]'s parts.
fn square_scale() -> BigInt {
    BigInt::from(Amount::ONE.parts()).pow(2)
}

/// Sums over settled rows, rounded down and up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub rows: usize,
    pub pupils: i128,
    pub linear: (i128, i128),
    pub square: (i128, i128),
    /// Rows too large for these sums; with any, the exact quotients are summed.
    pub large: usize,
}

/// What a known row adds to the sums.
#[derive(Debug, Clone, Copy)]
struct Part {
    linear: (i128, i128),
    square: (i128, i128),
}

fn part(pupils: i128, each: &Exact) -> Option<Part> {
    // Far below the limit of the type, so that a million rows still fit.
    let fits = |n: i128| (n < i128::MAX >> 24).then_some(n);
    let each = each.around_of(FINE)?;
    let linear = (fits(each.0.checked_mul(pupils)?)?, fits(each.1.checked_mul(pupils)?)?);
    let square = (fits(linear.0.checked_mul(each.0)?)?, fits(linear.1.checked_mul(each.1)?)?);
    Some(Part { linear, square })
}

impl Sums {
    /// Adds (`sign` 1) or subtracts (−1) a settled row.
    pub fn change(&mut self, row: &Row, sign: i128) {
        let Row::Known { pupils, each } = row else { return };
        if sign > 0 {
            self.rows += 1;
        } else {
            self.rows -= 1;
        }
        self.pupils += sign * pupils;
        match part(*pupils, each) {
            Some(part) => {
                self.linear.0 += sign * part.linear.0;
                self.linear.1 += sign * part.linear.1;
                self.square.0 += sign * part.square.0;
                self.square.1 += sign * part.square.1;
            }
            None if sign > 0 => self.large += 1,
            None => self.large -= 1,
        }
    }
}

/// Bounds of CV², in parts of [`square_scale`]; `None` is unbounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Square {
    pub low: BigInt,
    pub high: Option<BigInt>,
}

/// Square roots of both bounds, rounded down, in parts of an [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roots {
    pub low: BigInt,
    pub high: Option<BigInt>,
}

impl Square {
    pub fn roots(&self) -> Roots {
        let root = |square: &BigInt| match u128::try_from(square) {
            Ok(small) => small.isqrt().into(),
            Err(_) => square.sqrt(),
        };
        Roots { low: root(&self.low), high: self.high.as_ref().map(root) }
    }
}

impl Roots {
    /// Both rounded half away from zero to at most 11 decimals, in units of
    /// the last.
    pub fn rounded(&self, decimals: u32) -> (BigInt, Option<BigInt>) {
        // ⌊2·10^d·√q⌋ = ⌊⌊10¹²·√q⌋ ÷ (10^(12−d) ÷ 2)⌋ as the divisor is whole.
        let half = BigInt::from(10_u64.pow(12 - decimals) / 2);
        let round = |root: &BigInt| (root.div_floor(&half) + 1_u32).div_floor(&BigInt::from(2));
        (round(&self.low), self.high.as_ref().map(round))
    }

    /// The coefficient rounded, if both bounds round alike.
    pub fn alike(&self, decimals: u32) -> Option<BigInt> {
        let (low, high) = self.rounded(decimals);
        (high.as_ref() == Some(&low)).then_some(low)
    }
}

/// Bounds of a county mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mean {
    pub low: Exact,
    pub high: Option<Exact>,
}

/// The sums and the open rows in one case.
pub(crate) struct Population<'a> {
    pub sums: Sums,
    /// Rows that are not in the sums.
    pub open: Vec<&'a Row>,
}

impl<'a> Population<'a> {
    /// The number of rows that count; those that may not are counted.
    pub fn rows(&self) -> usize {
        self.sums.rows + self.open.iter().filter(|row| !matches!(row, Row::Absent)).count()
    }

    /// Known rows moved into the sums, and the others.
    pub fn settle(sums: Sums, rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut population = Self { sums, open: Vec::new() };
        for row in rows {
            match row {
                Row::Absent => {}
                Row::Known { .. } => population.sums.change(row, 1),
                Row::Ranged { .. } | Row::Unknown => population.open.push(row),
            }
        }
        population
    }

    fn has_unknown(&self) -> bool {
        self.open.iter().any(|row| matches!(row, Row::Unknown))
    }

    /// Whether every row is known.
    pub fn is_settled(&self) -> bool {
        self.open.is_empty()
    }

    /// Bounds of the county mean Σ P·x ÷ N.
    pub fn mean(&self) -> Option<Mean> {
        let mut pupils = self.sums.pupils;
        let (mut low, mut high) = (Some(self.sums.linear.0), Some(self.sums.linear.1));
        for row in &self.open {
            let Row::Ranged { pupils: own, low: least, high: most } = row else { return None };
            pupils += own;
            low = low.zip(least.around_of(FINE)).and_then(|(sum, x)| sum.checked_add(x.0.checked_mul(*own)?));
            let most = most.as_ref().and_then(|most| most.around_of(FINE));
            high = high.zip(most).and_then(|(sum, x)| sum.checked_add(x.1.checked_mul(*own)?));
        }
        let over = pupils.checked_mul(FINE).filter(|over| *over > 0 && self.sums.large == 0)?;
        Some(Mean { low: Exact::quotient(low?, over), high: high.map(|high| Exact::quotient(high, over)) })
    }

    /// Bounds of CV².
    pub fn square(&self) -> Square {
        if self.has_unknown() || self.sums.large > 0 {
            return Square { low: BigInt::zero(), high: None };
        }
        if self.open.is_empty() { self.known_square() } else { self.ranged_square() }
    }

    fn known_square(&self) -> Square {
        let scale = square_scale();
        let n = BigInt::from(self.sums.pupils);
        let (a_low, a_high) =
            (BigInt::from(self.sums.linear.0).pow(2), BigInt::from(self.sums.linear.1).pow(2));
        if a_high.is_zero() {
            // Everyone has nothing: no difference.
            return Square { low: BigInt::zero(), high: Some(BigInt::zero()) };
        }
        let low = ((&n * self.sums.square.0 - &a_high) * &scale).div_floor(&a_high);
        let high =
            (!a_low.is_zero()).then(|| (((&n * self.sums.square.1) - &a_low) * &scale).div_ceil(&a_low));
        Square { low: low.max(BigInt::zero()), high }
    }

    /// Outer bounds where some rows only have ranges.
    fn ranged_square(&self) -> Square {
        let mut bounded = Vec::new();
        let mut unbounded = BigInt::zero();
        let mut least = BigInt::from(self.sums.linear.0);
        for row in &self.open {
            let Row::Ranged { pupils, low, high } = row else { continue };
            let low = low.floor_of(FINE);
            least += &low * *pupils;
            match high {
                Some(high) => {
                    bounded.push(Interval { pupils: BigInt::from(*pupils), low, high: high.ceil_of(FINE) })
                }
                None => unbounded += *pupils,
            }
        }
        let deviation = Deviation { sums: &self.sums, intervals: &bounded };
        let pupils: BigInt = bounded.iter().fold(self.sums.pupils.into(), |n, interval| n + &interval.pupils);
        let low = lower(&deviation, &pupils, &unbounded);
        let high = (unbounded.is_zero() && least.is_positive())
            .then(|| (&pupils * deviation.most() * square_scale()).div_ceil(&least.pow(2)));
        Square { low, high }
    }
}

struct Interval {
    pupils: BigInt,
    low: BigInt,
    high: BigInt,
}

/// Bounds of Σ P·(x − m)² over known rows and intervals.
struct Deviation<'a> {
    sums: &'a Sums,
    intervals: &'a [Interval],
}

impl Deviation<'_> {
    fn greatest(&self) -> BigInt {
        // x² ≤ Σ P·x², since every P is at least 1.
        let known = BigInt::from(self.sums.square.1).sqrt() + 1_u32;
        self.intervals.iter().map(|interval| interval.high.clone()).fold(known, BigInt::max)
    }

    /// At most, about a middle value: the sum about the mean is no larger.
    fn most(&self) -> BigInt {
        let mut linear = BigInt::from(self.sums.linear.0);
        let mut pupils = BigInt::from(self.sums.pupils);
        for interval in self.intervals {
            linear += &interval.pupils * (&interval.low + &interval.high) / 2;
            pupils += &interval.pupils;
        }
        let middle = if pupils.is_zero() { BigInt::zero() } else { linear.div_floor(&pupils) };
        let known = BigInt::from(self.sums.square.1) - 2 * &middle * self.sums.linear.0
            + middle.pow(2) * self.sums.pupils;
        self.intervals.iter().fold(known, |sum, interval| {
            let far = (&interval.low - &middle).pow(2).max((&interval.high - &middle).pow(2));
            sum + far * &interval.pupils
        })
    }

    /// A lower bound for known rows and the nearest points of the intervals,
    /// and half its slope, at `middle`. Convex in `middle`.
    fn nearest(&self, middle: &BigInt) -> (BigInt, BigInt) {
        let mut value = BigInt::from(self.sums.square.0) - 2 * middle * self.sums.linear.1
            + middle.pow(2) * self.sums.pupils;
        let mut slope = middle * self.sums.pupils - self.sums.linear.1;
        for interval in self.intervals {
            let nearest = middle.clamp(&interval.low, &interval.high);
            let distance = middle - nearest;
            value += distance.pow(2) * &interval.pupils;
            slope += distance * &interval.pupils;
        }
        (value, slope)
    }

    /// At least, about any value.
    fn least(&self) -> BigInt {
        let (mut from, mut to) = (BigInt::zero(), self.greatest());
        let range = to.clone();
        while &to - &from > BigInt::one() {
            let middle: BigInt = (&from + &to) / 2;
            if self.nearest(&middle).1.is_positive() { to = middle } else { from = middle }
        }
        // A tangent is nowhere above a convex function.
        let (value, slope) = self.nearest(&from);
        let reach: BigInt = slope.abs() * range * 2_u32;
        (value - reach).max(BigInt::zero())
    }
}

/// CV² at least: over the bounded rows, then with the unbounded ones where
/// they disturb least, all at Σ P·x² ÷ Σ P·x of the others.
fn lower(deviation: &Deviation, pupils: &BigInt, unbounded: &BigInt) -> BigInt {
    let scale = square_scale();
    let linear = deviation
        .intervals
        .iter()
        .fold(BigInt::from(deviation.sums.linear.1), |sum, interval| sum + &interval.high * &interval.pupils);
    if !linear.is_positive() {
        return BigInt::zero();
    }
    let bounded = (pupils * deviation.least() * &scale).div_floor(&linear.pow(2));
    if unbounded.is_zero() {
        return bounded;
    }
    let over = (pupils * &scale * &scale).div_ceil(&(&scale + bounded)) + unbounded * &scale;
    let all = (pupils + unbounded) * &scale * &scale;
    (all.div_floor(&over) - scale).max(BigInt::zero())
}

/// CV² and mean of known rows, exactly. `None` without rows.
pub(crate) fn exactly<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<(BigRational, BigRational)> {
    let mut pupils = BigInt::zero();
    let (mut linear, mut square) = (BigRational::zero(), BigRational::zero());
    for row in rows {
        let Row::Known { pupils: own, each } = row else { continue };
        let each = each.to_big();
        let own_total = &each * BigInt::from(*own);
        square += &own_total * &each;
        linear += own_total;
        pupils += *own;
    }
    if pupils.is_zero() {
        return None;
    }
    let mean = &linear / &pupils;
    if linear.is_zero() {
        return Some((BigRational::zero(), mean));
    }
    let relative = square * &pupils / linear.pow(2);
    Some((relative - BigRational::one(), mean))
}

/// The square of a limit, in parts of [`square_scale`].
pub(crate) fn limit_square(limit: Amount) -> BigInt {
    BigInt::from(limit.parts()).pow(2)
}

/// CV² as a quotient of [`square_scale`].
pub(crate) fn to_parts(square: &BigRational) -> (BigInt, BigInt) {
    (square.numer().clone(), square.denom().clone())
}

/// Bounds of CV in parts of an [`Amount`].
pub(crate) fn root_bounds(square: &Square, roots: &Roots) -> (BigInt, Option<BigInt>) {
    let up =
        |(square, root): (&BigInt, &BigInt)| if root * root == *square { root.clone() } else { root + 1_u32 };
    (roots.low.clone(), square.high.as_ref().zip(roots.high.as_ref()).map(up))
}

/// Bounds of √`square` in parts of 10^-`digits`.
pub(crate) fn root_to(square: &BigRational, digits: u32) -> (BigInt, BigInt) {
    let (n, d) = to_parts(square);
    let scaled = n * BigInt::from(10).pow(2 * digits);
    let low = scaled.div_floor(&d).sqrt();
    let exact = &low * &low * &d == scaled;
    let high = if exact { low.clone() } else { &low + 1_u32 };
    (low, high)
}
