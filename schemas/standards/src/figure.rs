//! Figures: what is known of a quantity, including what is still open.
//!
//! An open conflict is a *variable* with a finite number of options. A figure
//! is a list of *things* (the one value of a register; a room; a class), some
//! of them fixed, some dependent on variables. Bounds of a figure under a
//! partial choice of options hold for every completion of that choice.

use duxue_document::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use duxue_document::path::ItemKey;
use duxue_document::school::FigureKey;
use duxue_document::{EntryPath, OpId, PhotoHash};

use crate::number::Amount;

/// Values at least `low` and at most `high`; `None` is unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Lower bound, at least 0.
    pub low: Amount,
    /// Upper bound.
    pub high: Option<Amount>,
}

impl Bounds {
    /// Exactly this.
    #[must_use]
    pub fn exactly(value: Amount) -> Self {
        Self { low: value, high: Some(value) }
    }

    /// Anything from 0 to `bound`.
    #[must_use]
    pub fn unknown(bound: Option<Amount>) -> Self {
        Self { low: Amount::ZERO, high: bound }
    }

    /// The value, if there is only one.
    #[must_use]
    pub fn value(self) -> Option<Amount> {
        self.high.filter(|high| *high == self.low)
    }

    /// The sum; a sum that does not fit has no upper bound.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        // The lower bound may only be understated.
        let low = self.low.plus(other.low).unwrap_or(self.low.max(other.low));
        let high = self.high.zip(other.high).and_then(|(a, b)| a.plus(b));
        Self { low, high }
    }

    /// The larger of both.
    #[must_use]
    pub fn larger(self, other: Self) -> Self {
        let high = self.high.zip(other.high).map(|(a, b)| a.max(b));
        Self { low: self.low.max(other.low), high }
    }

    /// The smallest bounds around both.
    #[must_use]
    pub fn around(self, other: Self) -> Self {
        let high = self.high.zip(other.high).map(|(a, b)| a.max(b));
        Self { low: self.low.min(other.low), high }
    }
}

/// One room, class or value. A thing that is not certain may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Thing {
    /// Whether it is there in every case.
    pub certain: bool,
    /// Its area, pupils, value; 1 where only the number counts.
    pub size: Bounds,
    /// Whether it stands for any number of things: nobody knows how many. Of a
    /// thing that is certain, at least one; it is the largest.
    #[serde(skip)]
    pub many: bool,
}

impl Thing {
    /// Certainly there, exactly so large.
    #[must_use]
    pub fn exactly(size: Amount) -> Self {
        Self { certain: true, size: Bounds::exactly(size), many: false }
    }

    /// Something that is not known: nothing, or any number of things that
    /// together are at most `bound`.
    #[must_use]
    pub fn unknown(bound: Option<Amount>) -> Self {
        Self { certain: false, size: Bounds::unknown(bound), many: true }
    }

    fn in_sum(self) -> Bounds {
        Bounds { low: if self.certain { self.size.low } else { Amount::ZERO }, high: self.size.high }
    }
}

/// Index of a variable of one input.
pub type VariableIndex = usize;

/// Things that depend on variables: one list of things for each combination of
/// their options, the last variable running fastest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Term {
    /// The variables, each once.
    pub variables: Vec<VariableIndex>,
    /// The number of options of each.
    pub options: Vec<usize>,
    /// By combination.
    pub cases: Vec<Vec<Thing>>,
}

/// A partial choice: for each variable, the option chosen or none yet.
pub type Choice = [Option<usize>];

impl Term {
    /// The same where a variable, which is not among its own, has an option
    /// whose mark is `wanted`; nothing under the others.
    fn only_under(&self, variable: VariableIndex, marked: &[bool], wanted: bool) -> Self {
        let nothing = || vec![Vec::new(); self.cases.len()];
        Self {
            variables: std::iter::once(variable).chain(self.variables.iter().copied()).collect(),
            options: std::iter::once(marked.len()).chain(self.options.iter().copied()).collect(),
            cases: marked
                .iter()
                .flat_map(|mark| if *mark == wanted { self.cases.clone() } else { nothing() })
                .collect(),
        }
    }

    /// The cases that a partial choice leaves possible.
    pub fn possible<'a>(&'a self, choice: &'a Choice) -> impl Iterator<Item = &'a [Thing]> + 'a {
        self.cases.iter().enumerate().filter_map(move |(index, things)| {
            let mut rest = index;
            for (variable, options) in self.variables.iter().zip(&self.options).rev() {
                if choice.get(*variable).copied().flatten().is_some_and(|chosen| chosen != rest % options) {
                    return None;
                }
                rest /= options;
            }
            Some(things.as_slice())
        })
    }
}

/// Where a figure comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The quantity's register, as verified on site.
    ObservedRegister,
    /// Items of a section that was marked complete.
    ObservedItems,
    /// Reported by the school or county.
    Declared,
    /// Set by a what-if.
    Assumed,
    /// Nothing gives it.
    Missing,
}

/// Why a figure, or a part of it, is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// Neither observed nor declared.
    NotCaptured,
    /// Returned by a supervisor and not captured again.
    Returned,
    /// The round requires acceptance, and nobody accepted it yet.
    AwaitsAcceptance,
    /// Verdicts or rulings contradict each other.
    Disputed,
    /// What was captured is not a possible value.
    NotAValue,
}

/// An entry behind a figure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EntryRef {
    /// Where.
    pub path: EntryPath,
    /// The live claims.
    pub ops: BTreeSet<OpId>,
    /// Photos that support them.
    pub photos: BTreeSet<PhotoHash>,
    /// Whether no verdict holds on it.
    pub unreviewed: bool,
    /// Why it does not count, if it does not.
    pub gap: Option<Gap>,
}

/// The part seen of a section that nobody marked complete, or what another
/// source says; shown beside the figure, never used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Beside {
    /// What it comes from.
    pub source: Source,
    /// How much; of classes, the largest.
    pub value: Bounds,
    /// The number of items seen.
    pub items: usize,
}

/// The source of a figure by option of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Either {
    /// The variable.
    pub variable: VariableIndex,
    /// By option.
    pub sources: Vec<Source>,
}

/// What is known of a quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Where it comes from.
    pub source: Source,
    /// Where it comes from by the choice of a variable, if that decides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub either: Option<Either>,
    /// Things that depend on nothing.
    pub fixed: Vec<Thing>,
    /// Things that depend on open conflicts.
    pub open: Vec<Term>,
    /// The entries behind it.
    pub entries: Vec<EntryRef>,
    /// Why something is not known; empty if all is.
    pub gaps: BTreeSet<Gap>,
    /// Shown beside.
    pub beside: Vec<Beside>,
}

impl Figure {
    /// A single known value.
    #[must_use]
    pub fn known(source: Source, value: Amount) -> Self {
        Self::of_things(source, vec![Thing::exactly(value)])
    }

    /// Known things.
    #[must_use]
    pub fn of_things(source: Source, fixed: Vec<Thing>) -> Self {
        Self {
            source,
            either: None,
            fixed,
            open: Vec::new(),
            entries: Vec::new(),
            gaps: BTreeSet::new(),
            beside: Vec::new(),
        }
    }

    /// Not known at all: anything from 0 to `bound`.
    #[must_use]
    pub fn missing(bound: Option<Amount>) -> Self {
        let mut figure = Self::of_things(Source::Missing, vec![Thing::unknown(bound)]);
        figure.gaps.insert(Gap::NotCaptured);
        figure
    }

    /// One figure under the options of a variable that are marked, another
    /// under the rest.
    #[must_use]
    pub fn either(variable: VariableIndex, marked: &[bool], one: Self, other: Self) -> Self {
        let mut open = vec![Term {
            variables: vec![variable],
            options: vec![marked.len()],
            cases: marked
                .iter()
                .map(|first| if *first { one.fixed.clone() } else { other.fixed.clone() })
                .collect(),
        }];
        open.extend(one.open.iter().map(|term| term.only_under(variable, marked, true)));
        open.extend(other.open.iter().map(|term| term.only_under(variable, marked, false)));
        let sources = marked.iter().map(|first| if *first { one.source } else { other.source }).collect();
        Self {
            source: one.source,
            either: Some(Either { variable, sources }),
            fixed: Vec::new(),
            open,
            entries: [one.entries, other.entries].concat(),
            gaps: one.gaps.union(&other.gaps).copied().collect(),
            beside: Vec::new(),
        }
    }

    /// The sum of the things under a partial choice.
    #[must_use]
    pub fn total(&self, choice: &Choice) -> Bounds {
        if let ([thing], []) = (self.fixed.as_slice(), self.open.as_slice()) {
            return thing.in_sum();
        }
        let sum = |things: &[Thing]| {
            things.iter().fold(Bounds::exactly(Amount::ZERO), |sum, thing| sum.plus(thing.in_sum()))
        };
        self.fold(choice, Bounds::exactly(Amount::ZERO), sum, Bounds::plus)
    }

    /// The size of the largest of the things under a partial choice; 0 if there
    /// are none.
    #[must_use]
    pub fn largest(&self, choice: &Choice) -> Bounds {
        let of = |things: &[Thing]| {
            let each = things.iter().map(|thing| thing.in_sum());
            each.fold(Bounds::exactly(Amount::ZERO), Bounds::larger)
        };
        self.fold(choice, Bounds::exactly(Amount::ZERO), of, Bounds::larger)
    }

    /// How many things are (`low`) and may be (`high`) such. `may` must hold
    /// for a size range if some size in it is such; `must` only if all are.
    #[must_use]
    pub fn count(
        &self,
        choice: &Choice,
        must: impl Fn(Bounds) -> bool,
        may: impl Fn(Bounds) -> bool,
    ) -> Count {
        let count = |things: &[Thing]| Count {
            least: things.iter().filter(|thing| thing.certain && must(thing.size)).count(),
            most: things
                .iter()
                .filter(|thing| may(thing.size))
                .try_fold(0, |n: usize, thing| (!thing.many).then_some(n + 1)),
        };
        self.fold(choice, Count { least: 0, most: Some(0) }, count, Count::plus)
    }

    fn fold<T: Around>(
        &self,
        choice: &Choice,
        zero: T,
        one: impl Fn(&[Thing]) -> T,
        plus: fn(T, T) -> T,
    ) -> T {
        self.open.iter().fold(plus(zero, one(&self.fixed)), |sum, term| {
            let hull = term.possible(choice).map(&one).reduce(T::around);
            hull.map_or(sum, |hull| plus(sum, hull))
        })
    }

    /// The variables it depends on.
    pub fn variables(&self) -> impl Iterator<Item = VariableIndex> + '_ {
        self.open.iter().flat_map(|term| term.variables.iter().copied())
    }
}

trait Around: Copy {
    fn around(self, other: Self) -> Self;
}

impl Around for Bounds {
    fn around(self, other: Self) -> Self {
        Bounds::around(self, other)
    }
}

impl Around for Count {
    fn around(self, other: Self) -> Self {
        let most = self.most.zip(other.most).map(|(a, b)| a.max(b));
        Self { least: self.least.min(other.least), most }
    }
}

/// A number of things between bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// At least.
    pub least: usize,
    /// At most; `None` is unbounded.
    pub most: Option<usize>,
}

impl Count {
    fn plus(self, other: Self) -> Self {
        Self { least: self.least + other.least, most: self.most.zip(other.most).map(|(a, b)| a + b) }
    }
}

/// What a variable decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// Which candidate of an entry holds.
    Entry {
        /// The entry.
        path: EntryPath,
    },
    /// Whether items are one thing (`merge`) or several (`separate`).
    Duplicate {
        /// The items.
        items: BTreeSet<ItemKey>,
    },
    /// Whether an item edited after its removal is `removed` or `present`.
    Removal {
        /// The item.
        item: ItemKey,
    },
}

/// One way in which a variable may come out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariableOption {
    /// The candidates that say so (several where they are equal).
    pub ops: BTreeSet<OpId>,
    /// A word where there is no candidate: `merge`, `separate`, `removed`,
    /// `present`, `ruled_before`.
    pub word: Option<String>,
}

/// An open conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// What it decides.
    pub subject: Subject,
    /// Whether its candidates agree within tolerance, so that the first is
    /// used wherever the choice does not matter.
    pub within_tolerance: bool,
    /// At least two.
    pub options: Vec<VariableOption>,
}

/// A figure of which school (by position among the campuses of a school).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FigureRef {
    /// The school or branch site; empty for the county.
    pub school: Arc<str>,
    /// The figure.
    pub key: FigureKey,
}

/// A figure shared between an input and the results made from it.
pub type SharedFigure = Arc<Figure>;
