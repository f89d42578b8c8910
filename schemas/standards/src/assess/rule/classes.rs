//! Rules about single rooms and single classes.

use duxue_document::school::Part;

use super::compare::{distance, exact_pair};
use super::{Reading, Shortfall, ease};
use crate::assess::outcome::{Levels, Span};
use crate::assess::scope::stages;
use crate::assess::unit::Case;
use crate::figure::Bounds;
use crate::number::{Amount, Exact};
use crate::standard::{ByStage, Compare, Condition, Effect, Lack, Named, RoomNeed};

pub(super) fn rooms_per_classes<'a>(
    case: &Case,
    condition: &'a Condition,
    (per, of, rooms): (u32, &Named, &'a [RoomNeed]),
) -> Reading<'a> {
    let classes = (0..case.unit.campuses.len())
        .map(|campus| case.compulsory(campus, of))
        .fold(Bounds::exactly(Amount::ZERO), Bounds::plus);
    let per = Amount::whole(per).parts();
    let needed =
        |classes: Amount| classes.parts().div_euclid(per) + i128::from(classes.parts().rem_euclid(per) > 0);
    let need = (needed(classes.low), classes.high.map(needed));
    let stages = stages(case.unit);
    let area =
        |areas: &ByStage| stages.iter().filter_map(|stage| areas.get(stage)).map(|limit| limit.value).max();
    let mut lacks = Vec::new();
    let span_for = |areas: &dyn Fn(&RoomNeed) -> Option<Amount>, lacks: &mut Vec<Shortfall<'a>>| {
        rooms
            .iter()
            .map(|room| room_span(case, room, areas(room), need, lacks))
            .fold(Levels::MET, |all, span| all.and(Levels::strict(span)))
    };
    let strict = span_for(&|room| area(&room.area_m2), &mut lacks);
    let mut reading = Reading::new(strict.strict, Compare::AtLeast);
    reading.lacks = lacks;
    ease(case, condition, &mut reading, |effects| {
        let areas = |room: &RoomNeed| {
            let eased = effects.iter().filter_map(|effect| match effect {
                Effect::Areas(areas) => area(areas.get(&room.rooms.id)?),
                _ => None,
            });
            eased.chain(area(&room.area_m2)).min()
        };
        Some(span_for(&areas, &mut Vec::new()).strict)
    });
    reading
}

/// Whether there are enough rooms of one kind that are large enough.
fn room_span<'a>(
    case: &Case,
    room: &'a RoomNeed,
    area: Option<Amount>,
    (need_low, need_high): (i128, Option<i128>),
    lacks: &mut Vec<Shortfall<'a>>,
) -> Span {
    let least_area = area.unwrap_or(Amount::ZERO);
    let mut have = (0_i128, Some(0_i128));
    for campus in 0..case.unit.campuses.len() {
        let Some((figure, choice)) = case.figure(campus, &room.rooms, Part::Whole) else {
            have.1 = None;
            continue;
        };
        let count = figure.count(
            choice,
            |size| size.low >= least_area,
            |size| size.high.is_none_or(|high| high >= least_area),
        );
        have.0 += count.least as i128;
        have.1 = have.1.zip(count.most).map(|(have, most)| have + most as i128);
    }
    let certain = need_high.is_some_and(|need| have.0 >= need);
    let possible = have.1.is_none_or(|most| most >= need_low);
    if !certain && case.explains() {
        let whole = |n: i128| Exact::quotient(n.max(0), 1);
        lacks.push(Shortfall {
            least: have.1.map_or(Exact::ZERO, |most| whole(need_low - most)),
            most: need_high.map(|need| whole(need - have.0)),
            unit: &room.unit,
            decimals: 0,
            too_much: false,
        });
    }
    Span::from_bools(certain, possible)
}

/// The value is the largest class, by stage where there are several.
pub(super) fn every_class<'a>(
    case: &Case,
    of: &Named,
    limits: &ByStage,
    lack: Option<&'a Lack>,
) -> Reading<'a> {
    let mut over = (0_i128, Some(0_i128));
    let mut all = Bounds::exactly(Amount::ZERO);
    let mut highest = Amount::ZERO;
    let (mut printed, mut written) = (Vec::new(), Vec::new());
    for stage in stages(case.unit) {
        let Some(limit) = limits.get(&stage).map(|limit| limit.value) else { continue };
        let mut largest = Bounds::exactly(Amount::ZERO);
        for campus in 0..case.unit.campuses.len() {
            let Some((figure, choice)) = case.figure(campus, of, stage.part()) else { continue };
            let count = figure.count(
                choice,
                |size| size.low > limit,
                |size| size.high.is_none_or(|high| high > limit),
            );
            over.0 += count.least as i128;
            over.1 = over.1.zip(count.most).map(|(over, most)| over + most as i128);
            largest = largest.larger(figure.largest(choice));
        }
        all = all.larger(largest);
        highest = highest.max(limit);
        if case.explains() {
            printed.push(class_size(largest));
            written.push(limit.to_string());
        }
    }
    let mut reading = Reading::new(Span::from_bools(over.1 == Some(0), over.0 == 0), Compare::AtMost);
    if !case.explains() {
        return reading;
    }
    let whole = |n: i128| Exact::quotient(n, 1);
    let over = (whole(over.0), over.1.map(whole));
    reading.lacks = distance(&over.0, over.1.as_ref(), &Exact::ZERO, &whole(1), Compare::AtMost, lack);
    // One number cannot be held against several limits; sizes are whole, so
    // rounding changes nothing.
    reading.limit = Some((highest.exact(), written.join("/")));
    reading.value = Some(exact_pair(all));
    reading.printed = Some(printed.join("/"));
    reading
}

fn class_size(largest: Bounds) -> String {
    match largest.high {
        // No class is not a class of nobody.
        Some(Amount::ZERO) => "—".to_owned(),
        Some(high) if high == largest.low => high.to_string(),
        Some(high) => format!("{}–{high}", largest.low),
        None => format!("≥{}", largest.low),
    }
}
