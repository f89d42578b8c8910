//! Cells: what is printed, and why it is not one value yet.

use serde::Serialize;

use super::reasons::Reason;
use crate::assess::Outcome;
use crate::figure::Bounds;
use crate::number::Exact;
use crate::standard::Text;

/// Reasons named in one cell; the others are counted.
const NAMED: usize = 12;

/// One cell of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// As printed, in Chinese; empty where nothing is known, a range such as
    /// `4.20–4.50` where it is open.
    pub printed: String,
    /// The same in English, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
    /// Present where the cell is not settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<Open>,
    /// What a filer should know, such as that rounding hides the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Text>,
}

/// Why a cell is not settled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Open {
    /// What is missing or in conflict, at most a dozen.
    pub reasons: Vec<Reason>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Open {
    /// Each reason once.
    pub fn because(reasons: impl IntoIterator<Item = Reason>) -> Self {
        let mut each: Vec<Reason> = Vec::new();
        for reason in reasons {
            if !each.contains(&reason) {
                each.push(reason);
            }
        }
        let more = each.len().saturating_sub(NAMED);
        each.truncate(NAMED);
        Self { reasons: each, more }
    }
}

/// What a value comes to on paper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub text: String,
    /// Whether it could still be printed otherwise.
    pub open: bool,
}

impl Shown {
    /// Rounded half away from zero. Bounds that print alike are one value on
    /// paper; where nothing is known, nothing is printed.
    pub fn between(low: &Exact, high: Option<&Exact>, decimals: u32) -> Self {
        let least = low.printed(decimals);
        match high.map(|high| high.printed(decimals)) {
            Some(most) if most == least => Self { text: least, open: false },
            Some(most) => Self { text: format!("{least}–{most}"), open: true },
            None if *low == Exact::ZERO => Self { text: String::new(), open: true },
            None => Self { text: format!("≥{least}"), open: true },
        }
    }

    pub fn bounds(bounds: Bounds, decimals: u32) -> Self {
        let high = bounds.high.map(|high| high.exact());
        Self::between(&bounds.low.exact(), high.as_ref(), decimals)
    }

    /// What the engine printed, a value or a range.
    pub fn of_printed(printed: &str) -> Self {
        let text = |text: &str, open| Self { text: text.to_owned(), open };
        match (printed.split_once('–'), printed.strip_prefix('≥')) {
            (Some((least, most)), _) => text(if least == most { least } else { printed }, least != most),
            // At least nothing says nothing.
            (None, Some(least)) if least.trim_matches(['0', '.']).is_empty() => text("", true),
            (None, least) => text(printed, least.is_some()),
        }
    }

    /// A count that is at least and at most so much.
    pub fn count(least: usize, most: Option<usize>) -> Self {
        match most {
            Some(most) if most == least => Self { text: least.to_string(), open: false },
            Some(most) => Self { text: format!("{least}–{most}"), open: true },
            None if least == 0 => Self { text: String::new(), open: true },
            None => Self { text: format!("≥{least}"), open: true },
        }
    }
}

impl Cell {
    /// A word or a number that nothing could change.
    pub fn plain(printed: impl Into<String>) -> Self {
        Self { printed: printed.into(), ..Self::default() }
    }

    /// Words in both languages.
    pub fn said(text: Text) -> Self {
        let en = (text.en != text.zh).then_some(text.en);
        Self { printed: text.zh, en, ..Self::default() }
    }

    /// 不适用, as the forms print it.
    pub fn nothing() -> Self {
        Self::plain("——")
    }

    /// A value, with the reasons where it is open.
    pub(super) fn shown(shown: Shown, reasons: impl FnOnce() -> Vec<Reason>) -> Self {
        let open = shown.open.then(|| Open::because(reasons()));
        Self { printed: shown.text, open, ..Self::default() }
    }

    /// Nothing is known.
    pub fn unknown(reasons: impl FnOnce() -> Vec<Reason>) -> Self {
        Self::shown(Shown { text: String::new(), open: true }, reasons)
    }

    /// 达标 or 不达标; nothing while that is undetermined.
    pub fn outcome(outcome: Outcome, reasons: impl FnOnce() -> Vec<Reason>) -> Self {
        match outcome {
            Outcome::Undetermined => Self::unknown(reasons),
            decided => Self::said(decided.words()),
        }
    }
}
