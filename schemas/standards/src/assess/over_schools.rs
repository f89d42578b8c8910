//! Quantities summed over all schools, changed by one school's difference.

use duxue_document::collections::{BTreeMap, BTreeSet};
use std::cell::RefCell;

use duxue_document::SchoolId;
use duxue_document::school::Part;

use super::Outcome;
use super::result::{IndicatorResult, Missing, Open};
use super::running::Step;
use super::unit::{Case, Detail, Trace, Unit};
use crate::figure::Bounds;
use crate::number::Amount;
use crate::standard::{Indicator, Named, Rule, Standard};

/// What one school with its sites adds to the sum of one quantity, in all parts
/// of compulsory education.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    each: Vec<Bounds>,
    doubts: Doubts,
}

/// What leaves a sum open.
#[derive(Debug, Clone, Default)]
struct Doubts {
    missing: Vec<Missing>,
    open: Vec<Open>,
}

/// The shares of a school in every quantity that is summed over schools.
pub(crate) fn shares(unit: &Unit) -> Vec<Share> {
    unit.standard.special.over_schools.iter().map(|quantity| share(unit, quantity)).collect()
}

fn share(unit: &Unit, quantity: &Named) -> Share {
    let trace = RefCell::new(Trace::default());
    let choice = unit.open_choice();
    let case = Case { unit, choice: &choice, trace: Some(&trace), detail: Detail::Reasons };
    let mut each = Vec::new();
    for campus in 0..unit.campuses.len() {
        for part in [Part::Whole, Part::Primary, Part::Junior] {
            let figure = case.figure(campus, quantity, part);
            each.extend(figure.map(|(figure, choice)| figure.total(choice)));
        }
    }
    let trace = trace.into_inner();
    Share { each, doubts: Doubts { missing: trace.missing(unit), open: trace.open(unit) } }
}

/// A sum that terms can be taken out of again.
#[derive(Debug, Clone, Default)]
struct Total {
    /// In parts of an [`Amount`].
    low: i128,
    high: i128,
    /// Terms without an upper bound, or with one too large to add.
    unbounded: usize,
    doubts: BTreeMap<SchoolId, Doubts>,
}

impl Total {
    fn change(&mut self, school: &SchoolId, share: &Share, step: Step) {
        let sign = if step == Step::Add { 1 } else { -1 };
        // Far below the limit of the type, so that a million terms still fit.
        let fits = |amount: Amount| Some(amount.parts()).filter(|parts| *parts < i128::MAX >> 24);
        for bounds in &share.each {
            // A lower bound may be understated.
            self.low += sign * fits(bounds.low).unwrap_or_default();
            match bounds.high.and_then(fits) {
                Some(high) => self.high += sign * high,
                None => step.count(&mut self.unbounded, 1),
            }
        }
        let Doubts { missing, open } = &share.doubts;
        if !missing.is_empty() || !open.is_empty() {
            match step {
                Step::Add => self.doubts.insert(school.clone(), share.doubts.clone()),
                Step::TakeOut => self.doubts.remove(school),
            };
        }
    }

    fn bounds(&self) -> Bounds {
        let amount = |parts| Amount::ZERO.plus_parts(parts);
        let high = if self.unbounded == 0 { amount(self.high) } else { None };
        Bounds { low: amount(self.low).unwrap_or(Amount::ZERO), high }
    }
}

/// The sums of all quantities that some indicator sums over schools.
#[derive(Debug, Clone, Default)]
pub(crate) struct OverSchools {
    schools: usize,
    /// By the quantity's place in the standard's list of them.
    totals: BTreeMap<usize, Total>,
}

impl OverSchools {
    /// Adds a school's shares, or takes them out.
    pub fn change(&mut self, school: &SchoolId, shares: &[Share], step: Step) {
        step.count(&mut self.schools, 1);
        for (place, share) in shares.iter().enumerate() {
            self.totals.entry(place).or_default().change(school, share, step);
        }
    }

    fn total(&self, standard: &Standard, quantity: &Named) -> Option<&Total> {
        let place = standard.special.over_schools.iter().position(|known| known == quantity)?;
        self.totals.get(&place)
    }

    /// A quantity over all schools; unknown without any.
    pub fn sum(&self, standard: &Standard, quantity: &Named) -> Bounds {
        let total = self.total(standard, quantity).filter(|_| self.schools > 0);
        total.map_or(Bounds::unknown(None), Total::bounds)
    }

    /// Names what leaves the sums behind a result open.
    pub fn explain(&self, standard: &Standard, indicator: &Indicator, result: &mut IndicatorResult) {
        if result.outcome == Outcome::Met {
            return;
        }
        let mut missing: BTreeSet<Missing> = result.missing.drain(..).collect();
        let mut open: BTreeSet<Open> = result.open.drain(..).collect();
        for total in summed(indicator).filter_map(|quantity| self.total(standard, quantity)) {
            missing.extend(total.doubts.values().flat_map(|doubts| &doubts.missing).cloned());
            open.extend(total.doubts.values().flat_map(|doubts| &doubts.open).cloned());
        }
        result.missing = missing.into_iter().collect();
        result.open = open.into_iter().collect();
    }
}

/// The quantities that an indicator sums over schools.
pub(crate) fn summed(indicator: &Indicator) -> impl Iterator<Item = &Named> {
    let sums = indicator.conditions.iter().filter_map(|condition| match &condition.rule {
        Rule::Share { of, over, over_schools: true, .. } => Some([of, over]),
        _ => None,
    });
    sums.flatten().flat_map(|sum| sum.plus.iter().chain(&sum.minus))
}
