//! Three-valued results, sound by construction.

use serde::{Deserialize, Serialize};

/// A result. Undetermined unless it is the same for every choice of candidates
/// and every possible value of what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// 不达标, for certain.
    NotMet,
    /// Not certain: something is open or missing that could decide it.
    Undetermined,
    /// Met for certain, but at least one possible case needs a transitional relief.
    Conditional,
    /// 达标, for certain and without a relief.
    Met,
}

impl Outcome {
    /// Whether it counts as met.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Self::Met | Self::Conditional)
    }
}

/// How far one case of an indicator comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Below the floor.
    Below,
    /// At least the floor (85 %).
    Floor,
    /// Met.
    Met,
}

/// The lowest and highest grade that is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub low: Grade,
    pub high: Grade,
}

impl Span {
    pub const MET: Self = Self { low: Grade::Met, high: Grade::Met };
    pub const UNKNOWN: Self = Self { low: Grade::Below, high: Grade::Met };

    /// From what certainly holds and what may hold.
    pub fn from_bools(certain: bool, possible: bool) -> Self {
        let grade = |met| if met { Grade::Met } else { Grade::Below };
        Self { low: grade(certain), high: grade(possible || certain) }
    }

    fn around(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn and(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.min(other.high) }
    }

    pub fn or(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.max(other.high) }
    }
}

/// Grades without and with the reliefs that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Levels {
    pub strict: Span,
    pub relief: Span,
}

impl Levels {
    pub const MET: Self = Self { strict: Span::MET, relief: Span::MET };
    pub const UNKNOWN: Self = Self { strict: Span::UNKNOWN, relief: Span::UNKNOWN };

    pub fn strict(span: Span) -> Self {
        Self { strict: span, relief: span }
    }

    /// With a relief that certainly (or only possibly) may be used.
    pub fn with_relief(self, eased: Span, certain: bool) -> Self {
        let eased = if certain { eased } else { Span { low: Grade::Below, high: eased.high } };
        Self { strict: self.strict, relief: self.relief.or(eased) }
    }

    pub fn around(self, other: Self) -> Self {
        Self { strict: self.strict.around(other.strict), relief: self.relief.around(other.relief) }
    }

    pub fn and(self, other: Self) -> Self {
        Self { strict: self.strict.and(other.strict), relief: self.relief.and(other.relief) }
    }

    /// Whether no choice could change it.
    pub fn is_decided(self) -> bool {
        self.strict.low == self.strict.high && self.relief.low == self.relief.high
    }

    pub fn outcome(self) -> Outcome {
        if self.strict.low == Grade::Met {
            Outcome::Met
        } else if self.relief.high < Grade::Met {
            Outcome::NotMet
        } else if self.relief.low == Grade::Met {
            Outcome::Conditional
        } else {
            Outcome::Undetermined
        }
    }

    /// Something that may not apply at all.
    pub fn unless_exempt(self, certain: bool, possible: bool) -> Self {
        match (certain, possible) {
            (true, _) => self,
            (false, true) => self.around(Self::MET),
            (false, false) => Self::MET,
        }
    }
}

/// Six of seven, and the rest at least at the floor.
pub(crate) fn six_of_seven(items: &[Levels], met_at_least: usize) -> Levels {
    let pass = |pick: &dyn Fn(&Levels) -> Grade| {
        items.iter().all(|item| pick(item) >= Grade::Floor)
            && items.iter().filter(|item| pick(item) == Grade::Met).count() >= met_at_least
    };
    Levels {
        strict: Span::from_bools(pass(&|l| l.strict.low), pass(&|l| l.strict.high)),
        relief: Span::from_bools(pass(&|l| l.relief.low), pass(&|l| l.relief.high)),
    }
}
