//! Sums and counts over schools.

use duxue_document::school::{Part, SchoolKind, Stage};

use super::cell::Shown;
use super::reasons::{Known, Reason, figure, key, preferred};
use crate::figure::Bounds;
use crate::input::SchoolInput;
use crate::number::Amount;

const ZERO: Bounds = Bounds { low: Amount::ZERO, high: Some(Amount::ZERO) };

/// A school with its branch sites, itself first.
pub(super) type Sites<'a> = Vec<&'a SchoolInput>;

/// The schools of these kinds with their branch sites.
pub(super) fn schools<'a>(known: &Known<'a>, kinds: &[SchoolKind]) -> Vec<Sites<'a>> {
    let inputs = known.assessor.inputs();
    let of_kind = inputs.iter().filter(|(_, input)| kinds.contains(&input.school.kind));
    of_kind
        .filter_map(|(id, _)| known.assessor.sites(id))
        .map(|sites| sites.iter().filter_map(|id| inputs.get(id)).map(|input| &**input).collect())
        .collect()
}

/// A quantity of some parts over sites.
pub(super) fn total(sites: &[&SchoolInput], quantity: &str, parts: &[Part]) -> Bounds {
    let each = sites.iter().flat_map(|site| parts.iter().map(|part| figure(site, quantity, *part)));
    each.fold(ZERO, Bounds::plus)
}

/// Why it is open.
pub(super) fn why(known: &Known, sites: &[&SchoolInput], quantity: &str, parts: &[Part]) -> Vec<Reason> {
    let keys = parts.iter().filter_map(|part| key(quantity, *part)).collect::<Vec<_>>();
    let each =
        sites.iter().flat_map(|site| keys.iter().map(move |key| known.why(site.school.id.as_str(), key)));
    each.flatten().collect()
}

/// 小学 and 初中.
pub(super) const COMPULSORY: [Part; 2] = [Part::Primary, Part::Junior];

/// A quantity of a stage over all schools.
pub(super) fn of_stage(known: &Known, quantity: &str, stage: Stage) -> (Shown, Vec<Reason>) {
    let sites: Sites = known.inputs().collect();
    let parts = [stage.part()];
    let shown = Shown::bounds(total(&sites, quantity, &parts), 0);
    let reasons = if shown.open { why(known, &sites, quantity, &parts) } else { Vec::new() };
    (shown, reasons)
}

/// How many of the schools have pupils for whom `test` holds.
pub(super) fn with_pupils(
    known: &Known,
    schools: &[Sites],
    test: impl Fn(Amount) -> bool,
) -> (Shown, Vec<Reason>) {
    let (mut least, mut most) = (0, 0);
    let mut reasons = Vec::new();
    for sites in schools {
        let pupils = total(sites, "pupils", &COMPULSORY);
        let (low, high) = (test(pupils.low), pupils.high.is_none_or(&test));
        // The test is about a limit, so it changes at most once between the bounds.
        least += usize::from(low && high);
        most += usize::from(low || high);
        if low != high {
            reasons.extend(why(known, sites, "pupils", &COMPULSORY));
        }
    }
    (Shown::count(least, Some(most)), reasons)
}

/// How many classes of a stage are larger than so many pupils.
pub(super) fn classes_above(known: &Known, stage: Stage, limit: u32) -> (Shown, Vec<Reason>) {
    let limit = Amount::whole(limit);
    let (mut least, mut most) = (0, Some(0));
    let mut reasons = Vec::new();
    let Some(key) = key("max_class_size", stage.part()) else { return (Shown::count(0, None), reasons) };
    for input in known.inputs() {
        let Some(figure) = input.figures.get(&key) else { continue };
        let choice = preferred(&input.variables);
        let above = |size: Bounds| size.high.is_none_or(|high| high > limit);
        let count = figure.count(&choice, |size| size.low > limit, above);
        least += count.least;
        most = most.zip(count.most).map(|(a, b)| a + b);
        if count.most != Some(count.least) {
            let known_largest = Reason {
                school: Some(input.school.id.clone()),
                school_name: Some(input.school.name.clone()),
                text: crate::standard::Text::new(
                    "只知道最大班额,不知道超过的班级有几个",
                    "only the largest class is known, not how many are too large",
                ),
            };
            let why = known.why(input.school.id.as_str(), &key);
            reasons.extend(if why.is_empty() { vec![known_largest] } else { why });
        }
    }
    (Shown::count(least, most), reasons)
}

/// A quantity over the schools that have fewer than 100 pupils. One that may
/// have fewer adds to the upper bound.
pub(super) fn of_small_schools(
    known: &Known,
    schools: &[Sites],
    quantity: &str,
    parts: &[Part],
) -> (Shown, Vec<Reason>) {
    let small = Amount::whole(100);
    let mut sum = ZERO;
    let mut reasons = Vec::new();
    for sites in schools {
        let pupils = total(sites, "pupils", &COMPULSORY);
        let own = total(sites, quantity, parts);
        let certainly = pupils.high.is_some_and(|high| high < small);
        if pupils.low >= small {
            continue;
        }
        sum = sum.plus(if certainly { own } else { Bounds { low: Amount::ZERO, high: own.high } });
        if !certainly {
            reasons.extend(why(known, sites, "pupils", &COMPULSORY));
        }
        reasons.extend(why(known, sites, quantity, parts));
    }
    (Shown::bounds(sum, 0), reasons)
}
