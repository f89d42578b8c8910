//! Exact numbers. Decimals are whole numbers of 10⁻¹² in an `i128`; quotients
//! are pairs of those. Where a product does not fit, big integers take over,
//! so no result ever depends on the size of the figures.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use duxue_document::Decimal;

/// Parts of an [`Amount`] in one unit.
const SCALE: i128 = 1_000_000_000_000;

/// A decimal with at most 12 places: wide enough for the exact product of two
/// [`Decimal`]s (length × width, pieces × value).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(i128);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(SCALE);

    /// A whole number.
    #[must_use]
    pub const fn whole(n: u32) -> Self {
        Self(n as i128 * SCALE)
    }

    /// The exact product; `None` if it does not fit.
    #[must_use]
    pub fn product(a: Decimal, b: Decimal) -> Option<Self> {
        a.to_micros().checked_mul(b.to_micros()).map(Self)
    }

    /// The sum; `None` if it does not fit.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or zero where it would be negative.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// This and so many [`Amount::parts`] more or less; `None` if that is below
    /// zero or does not fit.
    #[must_use]
    pub fn plus_parts(self, parts: i128) -> Option<Self> {
        self.0.checked_add(parts).filter(|sum| *sum >= 0).map(Self)
    }

    /// The exact product of two numbers with at most 6 decimals each, as all
    /// limits and shares of them have; zero where it does not fit.
    #[must_use]
    pub fn share_of(self, other: Self) -> Self {
        Self((self.0 / 1_000_000).checked_mul(other.0 / 1_000_000).unwrap_or_default())
    }

    /// The number of millionths of millionths.
    #[must_use]
    pub const fn parts(self) -> i128 {
        self.0
    }

    /// The whole number that this is, if it is one.
    #[must_use]
    pub fn as_whole(self) -> Option<i128> {
        (self.0 % SCALE == 0).then_some(self.0 / SCALE)
    }

    /// As a quotient.
    #[must_use]
    pub fn exact(self) -> Exact {
        // Most are whole or have few decimals; small terms leave their products
        // room in machine integers.
        for d in [1, 1_000_000] {
            if self.0 % (SCALE / d) == 0 {
                return Exact::Small { n: self.0 / (SCALE / d), d };
            }
        }
        Exact::Small { n: self.0, d: SCALE }
    }
}

impl From<Decimal> for Amount {
    fn from(value: Decimal) -> Self {
        // At most 21 digits of millionths, so six more fit.
        Self(value.to_micros() * 1_000_000)
    }
}

impl std::str::FromStr for Amount {
    type Err = duxue_document::decimal::DecimalError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Decimal>().map(Self::from)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs();
        let unit = SCALE.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{:012}", digits % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{fraction}", digits / unit)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An exact quotient. The denominator is positive; the pair need not be
/// reduced. Equality and order are by value.
#[derive(Debug, Clone)]
pub enum Exact {
    /// Fits in machine integers.
    Small {
        /// Numerator.
        n: i128,
        /// Denominator, above zero.
        d: i128,
    },
    /// Does not.
    Big(Box<BigRational>),
}

impl Exact {
    /// Zero.
    pub const ZERO: Self = Self::Small { n: 0, d: 1 };

    /// `n / d` for `d` above zero.
    #[must_use]
    pub fn quotient(n: i128, d: i128) -> Self {
        debug_assert!(d > 0);
        Self::Small { n, d }
    }

    /// As a reduced big rational.
    #[must_use]
    pub fn to_big(&self) -> BigRational {
        match self {
            Self::Small { n, d } => BigRational::new((*n).into(), (*d).into()),
            Self::Big(value) => (**value).clone(),
        }
    }

    fn from_big(value: BigRational) -> Self {
        Self::Big(Box::new(value))
    }

    /// The sum.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        if let (Self::Small { n: a, d: b }, Self::Small { n: c, d }) = (self, other) {
            if b == d {
                if let Some(n) = a.checked_add(*c) {
                    return Self::Small { n, d: *b };
                }
            } else if let Some(sum) = small_sum(*a, *b, *c, *d) {
                return sum;
            }
        }
        Self::from_big(self.to_big() + other.to_big())
    }

    /// The product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        if let (Self::Small { n: a, d: b }, Self::Small { n: c, d }) = (self, other)
            && let (Some(n), Some(d)) = (a.checked_mul(*c), b.checked_mul(*d))
        {
            return Self::Small { n, d };
        }
        Self::from_big(self.to_big() * other.to_big())
    }

    /// The quotient; `None` where `other` is not above zero.
    #[must_use]
    pub fn over(&self, other: &Self) -> Option<Self> {
        if !other.is_positive() {
            return None;
        }
        if let Self::Small { n, d } = other {
            return Some(self.times(&Self::Small { n: *d, d: *n }));
        }
        Some(Self::from_big(self.to_big() / other.to_big()))
    }

    /// The difference, which may be negative.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let negative = match other {
            Self::Small { n, d } => Self::Small { n: -n, d: *d },
            Self::Big(value) => Self::from_big(-(**value).clone()),
        };
        self.add(&negative)
    }

    /// Whether the number is above zero.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        match self {
            Self::Small { n, .. } => *n > 0,
            Self::Big(value) => value.is_positive(),
        }
    }

    /// The largest whole number of `1/scale` that is not above this.
    #[must_use]
    pub fn floor_of(&self, scale: i128) -> BigInt {
        match self {
            Self::Small { n, d } => match n.checked_mul(scale) {
                Some(n) => Integer::div_floor(&n, d).into(),
                None => (BigInt::from(*n) * scale).div_floor(&BigInt::from(*d)),
            },
            Self::Big(value) => (value.numer() * scale).div_floor(value.denom()),
        }
    }

    /// The smallest whole number of `1/scale` that is not below this.
    #[must_use]
    pub fn ceil_of(&self, scale: i128) -> BigInt {
        match self {
            Self::Small { n, d } => match n.checked_mul(scale) {
                Some(n) => Integer::div_ceil(&n, d).into(),
                None => (BigInt::from(*n) * scale).div_ceil(&BigInt::from(*d)),
            },
            Self::Big(value) => (value.numer() * scale).div_ceil(value.denom()),
        }
    }

    /// [`Exact::floor_of`] and [`Exact::ceil_of`] where both fit.
    #[must_use]
    pub fn around_of(&self, scale: i128) -> Option<(i128, i128)> {
        if let Self::Small { n, d } = self
            && let Some(n) = n.checked_mul(scale)
        {
            let (floor, rest) = n.div_mod_floor(d);
            return Some((floor, floor + i128::from(rest > 0)));
        }
        Some((self.floor_of(scale).try_into().ok()?, self.ceil_of(scale).try_into().ok()?))
    }

    /// Rounded half away from zero (四舍五入) to so many decimals, in units of
    /// the last decimal.
    #[must_use]
    pub fn rounded(&self, decimals: u32) -> BigInt {
        if let Some(units) = self.small_rounded(decimals) {
            return units.into();
        }
        let twice = self.floor_of_abs(2 * 10_i128.pow(decimals));
        let magnitude: BigInt = (twice + 1_u32).div_floor(&BigInt::from(2));
        if self.is_positive() { magnitude } else { -magnitude }
    }

    /// [`Exact::rounded`] where machine integers are enough.
    fn small_rounded(&self, decimals: u32) -> Option<i128> {
        let Self::Small { n, d } = self else { return None };
        let twice = n.checked_abs()?.checked_mul(2 * 10_i128.pow(decimals))? / d;
        Some((twice + 1) / 2 * n.signum())
    }

    fn floor_of_abs(&self, scale: i128) -> BigInt {
        let absolute = match self {
            Self::Small { n, d } if *n < 0 => Self::Small { n: -n, d: *d },
            Self::Big(value) if value.is_negative() => Self::from_big(value.abs()),
            _ => self.clone(),
        };
        absolute.floor_of(scale)
    }

    /// Printed as on the forms: half away from zero, all decimals shown.
    #[must_use]
    pub fn printed(&self, decimals: u32) -> String {
        match self.small_rounded(decimals) {
            Some(units) => print_small(units, decimals),
            None => print_units(&self.rounded(decimals), decimals),
        }
    }

    /// Printed with all decimals, rounded up.
    #[must_use]
    pub fn printed_up(&self, decimals: u32) -> String {
        let scale = 10_i128.pow(decimals);
        if let Self::Small { n, d } = self
            && let Some(n) = n.checked_mul(scale)
        {
            return print_small(Integer::div_ceil(&n, d), decimals);
        }
        print_units(&self.ceil_of(scale), decimals)
    }

    /// What the printed form is worth.
    #[must_use]
    pub fn as_printed(&self, decimals: u32) -> Self {
        if let Some(units) = self.small_rounded(decimals) {
            return Self::Small { n: units, d: 10_i128.pow(decimals) };
        }
        Self::from_big(BigRational::new(self.rounded(decimals), BigInt::from(10).pow(decimals)))
    }
}

fn small_sum(a: i128, b: i128, c: i128, d: i128) -> Option<Exact> {
    let n = a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?;
    Some(Exact::Small { n, d: b.checked_mul(d)? })
}

fn print_small(units: i128, decimals: u32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let Ok(units) = u64::try_from(units.unsigned_abs()) else {
        return print_units(&units.into(), decimals);
    };
    let unit = 10_u64.pow(decimals);
    match decimals {
        0 => format!("{sign}{units}"),
        _ => format!("{sign}{}.{:0width$}", units / unit, units % unit, width = decimals as usize),
    }
}

/// Prints a whole number of `10^-decimals`.
#[must_use]
pub fn print_units(units: &BigInt, decimals: u32) -> String {
    print_digits(units.sign() == Sign::Minus, &units.magnitude().to_string(), decimals)
}

fn print_digits(negative: bool, digits: &str, decimals: u32) -> String {
    let sign = if negative { "-" } else { "" };
    let decimals = decimals as usize;
    if decimals == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// Whether √`square` is at most `limit` etc. needs no root; printing does:
/// √(`n`/`d`) rounded half away from zero to so many decimals, in units of the
/// last, by an integer square root. `n` ≥ 0 and `d` > 0.
#[must_use]
pub fn rounded_root(n: &BigInt, d: &BigInt, decimals: u32) -> BigInt {
    // ⌊2·10^k·√q⌋ = ⌊√⌊4·10^2k·q⌋⌋, and ⌊v + ½⌋ = ⌊(⌊2v⌋ + 1) / 2⌋.
    let twice: BigInt = (n * 4_u32 * BigInt::from(10).pow(2 * decimals)).div_floor(d).sqrt();
    (twice + BigInt::one()).div_floor(&BigInt::from(2))
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Exact {}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Self::Small { n: a, d: b }, Self::Small { n: c, d }) = (self, other) {
            if b == d {
                return a.cmp(c);
            }
            if let (Some(left), Some(right)) = (a.checked_mul(*d), c.checked_mul(*b)) {
                return left.cmp(&right);
            }
        }
        self.to_big().cmp(&other.to_big())
    }
}

impl From<Amount> for Exact {
    fn from(amount: Amount) -> Self {
        amount.exact()
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Small { n, d: 1 } = self {
            return write!(f, "{n}");
        }
        let value = self.to_big();
        if value.denom().is_one() || value.is_zero() {
            write!(f, "{}", value.numer())
        } else {
            write!(f, "{}/{}", value.numer(), value.denom())
        }
    }
}

impl Serialize for Exact {
    /// As a reduced fraction, `9/2`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(n: i128, d: i128) -> Exact {
        Exact::quotient(n, d)
    }

    #[test]
    fn printing_rounds_half_away_from_zero() {
        for (n, d, decimals, printed) in [
            (1, 2, 0, "1"),
            (-1, 2, 0, "-1"),
            (4495, 1000, 2, "4.50"),
            (4494, 1000, 2, "4.49"),
            (5, 1000, 2, "0.01"),
            (4, 1000, 2, "0.00"),
            (2, 3, 3, "0.667"),
            (501_787, 1_000_000, 3, "0.502"),
            (501_787, 1_000_000, 2, "0.50"),
        ] {
            assert_eq!(exact(n, d).printed(decimals), printed, "{n}/{d}");
        }
    }

    #[test]
    fn what_overflows_goes_on_exactly() {
        let huge = exact(i128::MAX, 3);
        let sum = huge.add(&huge);
        assert!(matches!(sum, Exact::Big(_)));
        assert_eq!(sum, huge.times(&exact(2, 1)));
        assert_eq!(sum.minus(&huge), huge);
        assert!(exact(i128::MAX, 2) > exact(i128::MAX, 3));
    }

    #[test]
    fn roots_round_by_integers_alone() {
        for (n, d, decimals, units) in [(1, 4, 3, 500), (2, 1, 3, 1414), (1, 400, 1, 1), (0, 7, 3, 0)] {
            assert_eq!(rounded_root(&n.into(), &d.into(), decimals), units.into(), "√({n}/{d})");
        }
    }

    #[test]
    fn amounts_print_canonically() {
        for (text, printed) in [("4.50", "4.5"), ("-0.25", "-0.25"), ("12", "12"), ("0.000001", "0.000001")] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), printed);
        }
    }
}
