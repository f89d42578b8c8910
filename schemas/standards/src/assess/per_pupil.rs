//! Resources per pupil of a stage, with the resources of combined schools
//! split by weighted pupils (1 : 1.1 : 1.32).

use duxue_document::school::{Part, Stage};

use super::unit::Case;
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::Sum;

/// Resource per pupil of one row.
pub(crate) struct PerPupil {
    pub low: Exact,
    pub high: Option<Exact>,
    /// How much of the resource, as the school counts it, raises the value by
    /// one; absent while the pupils are open.
    pub per_unit: Option<Exact>,
}

/// Whole pupils between bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pupils {
    pub low: i128,
    pub high: Option<i128>,
}

impl Pupils {
    pub fn of(bounds: Bounds) -> Self {
        let whole = |amount: Amount| amount.parts() / Amount::ONE.parts();
        Self { low: whole(bounds.low), high: bounds.high.map(whole) }
    }

    fn times(self, weight: i128) -> Option<Self> {
        let high = self.high.map(|high| high.checked_mul(weight));
        if high == Some(None) {
            return None;
        }
        Some(Self { low: self.low.checked_mul(weight)?, high: high.flatten() })
    }

    fn plus(self, other: Self) -> Self {
        let high = self.high.zip(other.high).and_then(|(a, b)| a.checked_add(b));
        Self { low: self.low.saturating_add(other.low), high }
    }

    pub fn value(self) -> Option<i128> {
        self.high.filter(|high| *high == self.low)
    }
}

/// The pupils of a stage in all campuses.
pub(crate) fn pupils_of(case: &Case, stage: Stage) -> Pupils {
    (0..case.unit.campuses.len())
        .map(|campus| Pupils::of(case.total_of_pupils(campus, stage.part())))
        .fold(Pupils { low: 0, high: Some(0) }, Pupils::plus)
}

/// What the stage has of a resource: counted whole, and counted for the stage.
struct Resource {
    whole: Bounds,
    staged: Bounds,
}

fn resource(case: &Case, campus: usize, stage: Stage, sum: &Sum) -> Resource {
    let nothing = Bounds::exactly(Amount::ZERO);
    let mut plus = (nothing, nothing);
    let mut minus = (nothing, nothing);
    for (ids, total) in [(&sum.plus, &mut plus), (&sum.minus, &mut minus)] {
        for id in ids {
            if id.whole {
                total.0 = total.0.plus(case.total(campus, id, Part::Whole));
            } else {
                total.1 = total.1.plus(case.total(campus, id, stage.part()));
            }
        }
    }
    Resource { whole: difference(plus.0, minus.0), staged: difference(plus.1, minus.1) }
}

/// The difference, never below zero.
pub(crate) fn difference(a: Bounds, b: Bounds) -> Bounds {
    let low = b.high.map_or(Amount::ZERO, |high| a.low.less(high));
    Bounds { low, high: a.high.map(|high| high.less(b.low)) }
}

/// The resource per pupil of the stage. The row counts only if it has pupils,
/// so at least one is assumed.
pub(crate) fn per_pupil(case: &Case, stage: Stage, sum: &Sum) -> PerPupil {
    if case.unit.campuses.len() == 1 {
        of_one_campus(case, stage, sum)
    } else {
        of_campuses(case, stage, sum)
    }
}

fn of_one_campus(case: &Case, stage: Stage, sum: &Sum) -> PerPupil {
    let resource = resource(case, 0, stage, sum);
    let own = Pupils::of(case.total_of_pupils(0, stage.part()));
    let own = Pupils { low: own.low.max(1), high: own.high.map(|high| high.max(1)) };
    let Some((weight, weighted)) = weighted(case, 0, stage) else { return unknown() };
    if resource.whole == Bounds::exactly(Amount::ZERO) {
        // Counted by stage: nothing to split.
        let (low, high) = quotient(resource.staged, 1, own);
        let per_unit = own.value().map(|pupils| Exact::quotient(pupils, 1));
        return PerPupil { low, high, per_unit };
    }
    let (low, high) = quotient(resource.whole, weight, weighted);
    let (staged_low, staged_high) = quotient(resource.staged, 1, own);
    PerPupil {
        low: low.add(&staged_low),
        high: high.zip(staged_high).map(|(a, b)| a.add(&b)),
        per_unit: weighted.value().map(|pupils| Exact::quotient(pupils, weight)),
    }
}

/// The weight of the stage's pupil and the weighted pupils of the campus, at
/// least one of them of the stage. Weights are whole numbers (50, 55, 66).
fn weighted(case: &Case, campus: usize, stage: Stage) -> Option<(i128, Pupils)> {
    let parts = case.unit.parts.get(campus)?;
    let weights = case.unit.standard.whole_weights();
    if parts.iter().filter(|part| weights.contains_key(part)).count() < 2 {
        let own = Pupils::of(case.total_of_pupils(campus, stage.part()));
        return Some((1, Pupils { low: own.low.max(1), high: own.high.map(|high| high.max(1)) }));
    }
    let mut sum = Pupils { low: 0, high: Some(0) };
    for part in parts {
        let Some(weight) = weights.get(part) else { continue };
        let mut pupils = Pupils::of(case.total_of_pupils(campus, *part));
        if *part == stage.part() {
            pupils = Pupils { low: pupils.low.max(1), high: pupils.high.map(|high| high.max(1)) };
        }
        sum = sum.plus(pupils.times(*weight)?);
    }
    Some((*weights.get(&stage.part())?, sum))
}

/// `resource × weight ÷ pupils` between bounds.
fn quotient(resource: Bounds, weight: i128, pupils: Pupils) -> (Exact, Option<Exact>) {
    let over = |amount: Amount, pupils: i128| {
        let pupils = Exact::quotient(pupils, weight);
        amount.exact().over(&pupils).unwrap_or(Exact::ZERO)
    };
    let low = pupils.high.map_or(Exact::ZERO, |pupils| over(resource.low, pupils));
    let high = resource.high.map(|amount| over(amount, pupils.low.max(1)));
    (low, high)
}

/// A school with branch sites: each site's resources are split over the pupils
/// at that site; a site with one stage gives all of them to it.
fn of_campuses(case: &Case, stage: Stage, sum: &Sum) -> PerPupil {
    let mut total = (Exact::ZERO, Some(Exact::ZERO));
    let mut pupils = 0;
    for campus in 0..case.unit.campuses.len() {
        let Some((share, own)) = share_at(case, campus, stage) else { return unknown() };
        pupils += own;
        let resource = resource(case, campus, stage, sum);
        let part = |amount: Amount, staged: Amount| amount.exact().times(&share).add(&staged.exact());
        total.0 = total.0.add(&part(resource.whole.low, resource.staged.low));
        let high = resource.whole.high.zip(resource.staged.high).map(|(whole, staged)| part(whole, staged));
        total.1 = total.1.zip(high).map(|(a, b)| a.add(&b));
    }
    let all = Exact::quotient(pupils.max(1), 1);
    PerPupil {
        low: total.0.over(&all).unwrap_or(Exact::ZERO),
        high: total.1.and_then(|high| high.over(&all)),
        per_unit: Some(all),
    }
}

/// The stage's share of a campus, and its pupils there; `None` while the pupils
/// are open. A site without pupils (a sports ground) is shared as the whole
/// school is.
fn share_at(case: &Case, campus: usize, stage: Stage) -> Option<(Exact, i128)> {
    let weights = case.unit.standard.whole_weights();
    let weighted_at = |campus: usize| {
        let parts = case.unit.parts.get(campus)?;
        let mut all = 0_i128;
        let mut own = 0_i128;
        let mut heads = 0_i128;
        for part in parts {
            let Some(weight) = weights.get(part) else { continue };
            let pupils = Pupils::of(case.total_of_pupils(campus, *part)).value()?;
            all = all.checked_add(pupils.checked_mul(*weight)?)?;
            if *part == stage.part() {
                own = pupils.checked_mul(*weight)?;
                heads = pupils;
            }
        }
        Some((own, all, heads))
    };
    let (mut own, mut all, heads) = weighted_at(campus)?;
    if all == 0 {
        for other in 0..case.unit.campuses.len() {
            let (a, b, _) = weighted_at(other)?;
            own = own.checked_add(a)?;
            all = all.checked_add(b)?;
        }
    }
    let share = if all == 0 { Exact::ZERO } else { Exact::quotient(own, all) };
    Some((share, heads))
}

fn unknown() -> PerPupil {
    PerPupil { low: Exact::ZERO, high: None, per_unit: None }
}
