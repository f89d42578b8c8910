//! Decimal figures as people write them; exact, and never floating point.

use std::fmt;
use std::str::FromStr;

use num_bigint::BigInt;
use num_rational::BigRational;
use serde::{Deserialize, Serialize};

/// A decimal number of at most 15 digits before and 6 after the point.
///
/// The text form is canonical: no exponent, no trailing zeros, no `-0`.
/// Equality and order are numeric. Quotients are not decimals: compute them
/// as [`BigRational`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(rust_decimal::Decimal);

/// Text that is not a decimal within the bounds of [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number of at most 15 digits and 6 decimals")]
pub struct DecimalError;

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self(rust_decimal::Decimal::ZERO);

    /// The exact value.
    #[must_use]
    pub fn to_rational(self) -> BigRational {
        let scale = BigInt::from(10).pow(self.0.scale());
        BigRational::new(BigInt::from(self.0.mantissa()), scale)
    }

    /// The exact value in millionths. At most 21 digits, so it always fits.
    #[must_use]
    pub fn to_micros(self) -> i128 {
        self.0.mantissa() * 10_i128.pow(6_u32.saturating_sub(self.0.scale()))
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    fn checked(value: rust_decimal::Decimal) -> Result<Self, DecimalError> {
        let value = value.normalize();
        let whole_digits = value.trunc().mantissa().unsigned_abs().checked_ilog10().map_or(0, |n| n + 1);
        if value.scale() > 6 || whole_digits > 15 {
            return Err(DecimalError);
        }
        Ok(Self(if value.is_zero() { rust_decimal::Decimal::ZERO } else { value }))
    }
}

impl From<i32> for Decimal {
    fn from(value: i32) -> Self {
        Self(value.into())
    }
}

impl From<u32> for Decimal {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl TryFrom<i64> for Decimal {
    type Error = DecimalError;
    fn try_from(value: i64) -> Result<Self, DecimalError> {
        Self::checked(value.into())
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads plain decimal notation with an optional sign: `12`, `-3.50`.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let plain = text.len() <= 40
            && text.bytes().any(|b| b.is_ascii_digit())
            && text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if !plain {
            return Err(DecimalError);
        }
        Self::checked(rust_decimal::Decimal::from_str_exact(text).map_err(|_| DecimalError)?)
    }
}

impl TryFrom<String> for Decimal {
    type Error = DecimalError;
    fn try_from(text: String) -> Result<Self, DecimalError> {
        text.parse()
    }
}

impl From<Decimal> for String {
    fn from(value: Decimal) -> String {
        value.to_string()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_canonical_and_equality_numeric() {
        for (text, canonical) in
            [("12", "12"), ("-3.50", "-3.5"), ("0.0", "0"), ("-0", "0"), ("007.10", "7.1")]
        {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn micros_are_exact() {
        for (text, micros) in [
            ("0", 0),
            ("-3.5", -3_500_000),
            ("0.000001", 1),
            ("999999999999999.999999", 999_999_999_999_999_999_999),
        ] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_micros(), micros, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1e3",
            "+1",
            "1,000",
            "NaN",
            "0x10",
            "1.2345678",
            "1234567890123456",
            " 1",
            "1.2.3",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError), "{text:?}");
        }
    }
}
