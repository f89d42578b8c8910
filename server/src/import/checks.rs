//! Checks between the cells of one school, and between schools.

use std::collections::BTreeMap;

use duxue_document::Decimal;
use duxue_document::SchoolId;
use duxue_document::school::{Part, RoomPurpose, Stage};

use super::cells::whole;
use super::draft::Draft;
use super::problems;
use super::report::Report;

/// Figures that are part of another: (part, whole), for one part of a school.
const SUBSETS: &[(&str, &str)] = &[
    ("teachers_above_required_degree", "teachers"),
    ("teachers_backbone", "teachers"),
    ("teachers_pe_art", "teachers"),
    ("teachers_certified", "teachers"),
    ("teachers_trained_360h", "teachers"),
    ("teachers_mid_title", "teachers"),
    ("max_class_size", "pupils"),
];

/// The same for the whole school. 室内体育用房 is one of 教学及辅助用房.
const WHOLE_SUBSETS: &[(&str, &str)] =
    &[("indoor_sports_area_m2", "teaching_area_m2"), ("training_funds_yuan", "public_funds_yuan")];

/// Grades that a stage can have: 六三, 五四 and places between.
const GRADES: [(Stage, u32); 2] = [(Stage::Primary, 6), (Stage::Junior, 4)];

/// Checks one school against itself.
pub(super) fn school(draft: &Draft, report: &mut Report) {
    for part in Part::ALL {
        for (inner, outer) in SUBSETS {
            subset(draft, part, inner, outer, report);
        }
    }
    for (inner, outer) in WHOLE_SUBSETS {
        subset(draft, Part::Whole, inner, outer, report);
    }
    for (stage, most) in GRADES {
        if let Some(grades) = draft.figure("grades", stage.part()).filter(|g| g.value > Decimal::from(most)) {
            report.error(grades.at, problems::OUT_OF_RANGE.with_detail(format!("1–{most}")));
        }
    }
    for stage in draft.stages() {
        if draft.figure("pupils", stage.part()).is_none() {
            report.warning(draft.at, problems::PUPILS_MISSING.with_detail(stage.part().as_str()));
        }
        class_size(draft, stage, report);
    }
    if !draft.unread_list {
        class_lists(draft, report);
        room_lists(draft, report);
    }
    migrant_pupils(draft, report);
}

fn subset(draft: &Draft, part: Part, inner: &str, outer: &str, report: &mut Report) {
    if let (Some(inner), Some(outer)) = (draft.figure(inner, part), draft.figure(outer, part))
        && inner.value > outer.value
    {
        report.error(inner.at, problems::SUBSET.with_detail(format!("{} > {}", inner.value, outer.value)));
    }
}

fn count(draft: &Draft, id: &str, part: Part) -> Option<u32> {
    whole(draft.figure(id, part)?.value)
}

/// Classes no larger than the largest must hold all pupils.
fn class_size(draft: &Draft, stage: Stage, report: &mut Report) {
    let part = stage.part();
    let (Some(pupils), Some(classes), Some(largest)) =
        (count(draft, "pupils", part), count(draft, "classes", part), count(draft, "max_class_size", part))
    else {
        return;
    };
    if u64::from(classes) * u64::from(largest) < u64::from(pupils)
        && let Some(figure) = draft.figure("max_class_size", part)
    {
        report
            .error(figure.at, problems::CLASS_SIZE.with_detail(format!("{classes} × {largest} < {pupils}")));
    }
}

/// A list of classes agrees with the figures beside it. The lists of all
/// stages are given or none: a stage left out would look like one without
/// classes.
fn class_lists(draft: &Draft, report: &mut Report) {
    let Some((_, at)) = draft.classes.values().next() else { return };
    for stage in draft.stages() {
        let Some((sizes, at)) = draft.classes.get(&stage) else {
            report.error(*at, problems::LIST_PARTIAL.with_detail(stage.part().as_str()));
            continue;
        };
        let part = stage.part();
        let sum = sizes.iter().fold(0_u32, |sum, size| sum.saturating_add(*size));
        let number = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
        let facts = [
            ("classes", number),
            ("max_class_size", sizes.iter().max().copied().unwrap_or(0)),
            ("pupils", sum),
        ];
        for (id, listed) in facts {
            if count(draft, id, part).is_some_and(|stated| stated != listed) {
                report.error(*at, problems::CLASSES_DIFFER.with_detail(format!("{id}: {listed}")));
            }
        }
    }
}

fn room_lists(draft: &Draft, report: &mut Report) {
    let lists = [(RoomPurpose::Music, "music_rooms"), (RoomPurpose::Art, "art_rooms")];
    let Some((_, any)) = draft.rooms.values().next() else { return };
    for (purpose, id) in lists {
        let Some((areas, at)) = draft.rooms.get(&purpose) else {
            report.error(*any, problems::LIST_PARTIAL.with_detail(id));
            continue;
        };
        let listed = u32::try_from(areas.len()).unwrap_or(u32::MAX);
        if count(draft, id, Part::Whole).is_some_and(|stated| stated != listed) {
            report.error(*at, problems::ROOMS_DIFFER.with_detail(listed.to_string()));
        }
    }
}

fn migrant_pupils(draft: &Draft, report: &mut Report) {
    let Some(migrants) = draft.figure("migrant_pupils", Part::Whole) else { return };
    let all: Option<Vec<u32>> =
        draft.stages().iter().map(|stage| count(draft, "pupils", stage.part())).collect();
    let Some(all) = all.filter(|all| !all.is_empty()) else { return };
    let sum = all.iter().fold(0_u32, |sum, n| sum.saturating_add(*n));
    if migrants.value > Decimal::from(sum) {
        report.error(migrants.at, problems::SUBSET.with_detail(format!("{} > {sum}", migrants.value)));
    }
}

/// Parents are in the register and are not branches themselves.
pub(super) fn parents(drafts: &[Draft], report: &mut Report) {
    let parents: BTreeMap<&SchoolId, Option<&SchoolId>> =
        drafts.iter().map(|draft| (&draft.school.id, draft.school.parent.as_ref())).collect();
    for draft in drafts {
        let (Some(parent), Some(at)) = (&draft.school.parent, draft.parent_at) else { continue };
        match parents.get(parent) {
            None => report.error(at, problems::PARENT_UNKNOWN.with_detail(parent.to_string())),
            Some(None) => {}
            Some(Some(_)) => report.error(at, problems::PARENT_CHAIN.with_detail(parent.to_string())),
        }
    }
}
