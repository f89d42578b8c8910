//! A school while its rows are being read, and what its figures add up to.

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::school::{
    Declared, DeclaredClass, DeclaredRoom, FigureKey, Part, RoomPurpose, School, SchoolKind, Stage,
};
use duxue_document::{Decimal, QuestionId};

use super::cells::whole;
use super::columns::{self, COMPONENTS, Quantity};
use super::kinds;
use super::problems;
use super::report::{At, Report};

/// A figure with the cell it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub value: Decimal,
    pub at: At,
}

/// A school while its rows are being read.
#[derive(Debug)]
pub(super) struct Draft {
    pub school: School,
    /// Where its id stands.
    pub at: At,
    pub parent_at: Option<At>,
    pub figures: BTreeMap<FigureKey, Figure>,
    /// Figures by part that name no part: totals, or the only part's.
    pub totals: BTreeMap<&'static str, Figure>,
    /// Components by (quantity, part): those given.
    pub components: BTreeMap<(&'static str, Part), BTreeMap<usize, Figure>>,
    pub rooms: BTreeMap<RoomPurpose, (Vec<Decimal>, At)>,
    pub classes: BTreeMap<Stage, (Vec<u32>, At)>,
    pub answers: BTreeMap<QuestionId, bool>,
    /// Whether a list could not be read, so that a missing one says nothing.
    pub unread_list: bool,
    /// The stages of its rows, where the sheet has a column 学段.
    pub stages: BTreeSet<Stage>,
}

impl Draft {
    fn parts(&self) -> BTreeSet<Part> {
        kinds::own_parts(self.school.kind)
            .iter()
            .copied()
            .chain(self.school.attached.iter().copied())
            .collect()
    }

    /// The stages of compulsory education that the school has for certain.
    /// A special school may have either or none.
    pub fn stages(&self) -> Vec<Stage> {
        if self.school.kind == SchoolKind::Special {
            return Vec::new();
        }
        let parts = self.parts();
        Stage::ALL.into_iter().filter(|stage| parts.contains(&stage.part())).collect()
    }

    pub fn figure(&self, id: &str, part: Part) -> Option<Figure> {
        let key = columns::key_of(columns::quantity(id)?, part)?;
        self.figures.get(&key).copied()
    }

    /// What the checks left standing.
    pub fn finish(self) -> (School, Declared) {
        let figures = self.figures.into_iter().map(|(key, figure)| (key, figure.value)).collect();
        let rooms = (!self.rooms.is_empty()).then(|| declared_rooms(&self.rooms));
        let classes = (!self.classes.is_empty()).then(|| {
            let of_stage = |(stage, (sizes, _)): (&Stage, &(Vec<u32>, At))| -> Vec<DeclaredClass> {
                sizes.iter().map(|pupils| DeclaredClass { stage: *stage, pupils: *pupils }).collect()
            };
            self.classes.iter().flat_map(of_stage).collect()
        });
        (self.school, Declared { figures, rooms, classes, answers: self.answers })
    }
}

fn declared_rooms(rooms: &BTreeMap<RoomPurpose, (Vec<Decimal>, At)>) -> Vec<DeclaredRoom> {
    let mut declared = Vec::new();
    for (purpose, (areas, _)) in rooms {
        let word = if *purpose == RoomPurpose::Music { "音乐教室" } else { "美术教室" };
        for (number, area) in (1..).zip(areas) {
            declared.push(DeclaredRoom {
                name: format!("{word}{number}"),
                purpose: *purpose,
                area_m2: *area,
            });
        }
    }
    declared
}

/// The part that a figure without a part belongs to, if there is only one.
pub(super) fn only_part(draft: &Draft) -> Option<Part> {
    if draft.school.kind == SchoolKind::Special {
        return Some(Part::Special);
    }
    let parts = draft.parts();
    let mut parts = parts.into_iter();
    parts.next().filter(|_| parts.next().is_none())
}

/// Puts a figure under the part it is of.
pub(super) fn put_figure(
    draft: &mut Draft,
    quantity: &'static Quantity,
    part: Option<Part>,
    figure: Figure,
    report: &mut Report,
) {
    if !quantity.by_part {
        insert(draft, quantity, Part::Whole, figure, report);
        return;
    }
    match part {
        Some(part) if draft.parts().contains(&part) => insert(draft, quantity, part, figure, report),
        // Workbooks give every column to every school: zero pupils in a part
        // that a school does not have is what everyone writes.
        Some(_) if figure.value == Decimal::ZERO => {}
        Some(_) => report.error(figure.at, problems::PART_NOT_IN_SCHOOL),
        None => drop(draft.totals.insert(quantity.id, figure)),
    }
}

fn insert(draft: &mut Draft, quantity: &'static Quantity, part: Part, figure: Figure, report: &mut Report) {
    let Some(key) = columns::key_of(quantity, part) else { return };
    if let Some(earlier) = draft.figures.insert(key, figure)
        && earlier.value != figure.value
    {
        report.error(figure.at, problems::ROWS_DIFFER.with_detail(earlier.value.to_string()));
    }
}

/// Puts a part of a figure that is a sum.
pub(super) fn put_component(
    draft: &mut Draft,
    index: usize,
    part: Option<Part>,
    figure: Figure,
    report: &mut Report,
) {
    match part {
        Some(part) if draft.parts().contains(&part) => {
            draft.components.entry((COMPONENTS[index].of, part)).or_default().insert(index, figure);
        }
        Some(_) if figure.value == Decimal::ZERO => {}
        Some(_) => report.error(figure.at, problems::PART_NOT_IN_SCHOOL),
        None => report.error(figure.at, problems::STAGE_NEEDED),
    }
}

/// Turns what was given as totals and components into figures.
pub(super) fn settle(draft: &mut Draft, report: &mut Report) {
    for ((id, part), given) in std::mem::take(&mut draft.components) {
        settle_components(draft, id, part, &given, report);
    }
    for (id, total) in std::mem::take(&mut draft.totals) {
        settle_total(draft, id, total, report);
    }
}

fn settle_components(
    draft: &mut Draft,
    id: &'static str,
    part: Part,
    given: &BTreeMap<usize, Figure>,
    report: &mut Report,
) {
    let Some(quantity) = columns::quantity(id) else { return };
    let counting: Vec<usize> = (0..COMPONENTS.len())
        .filter(|index| COMPONENTS[*index].of == id && COMPONENTS[*index].parts.contains(&part))
        .collect();
    let present: Vec<u32> = counting.iter().filter_map(|index| whole(given.get(index)?.value)).collect();
    let Some(figure) = given.values().next() else { return };
    if counting.is_empty() || present.is_empty() {
        return;
    }
    if present.len() < counting.len() {
        report.warning(
            figure.at,
            problems::COMPONENT_MISSING.with_detail(quantity.names.first().copied().unwrap_or(id)),
        );
        return;
    }
    let Some(sum) = present.iter().try_fold(0_u32, |sum, n| sum.checked_add(*n)) else {
        report.error(figure.at, problems::OUT_OF_RANGE);
        return;
    };
    let sum = Figure { value: Decimal::from(sum), at: figure.at };
    match draft.figure(id, part) {
        Some(stated) if stated.value != sum.value => {
            report.error(stated.at, problems::TOTAL_DIFFERS.with_detail(sum.value.to_string()));
        }
        Some(_) => {}
        None => insert(draft, quantity, part, sum, report),
    }
}

/// A figure without a part is the only part's, or a total to check. A total
/// alone says nothing about the parts of a school that has several.
fn settle_total(draft: &mut Draft, id: &'static str, total: Figure, report: &mut Report) {
    let Some(quantity) = columns::quantity(id) else { return };
    if let Some(part) = only_part(draft) {
        match draft.figure(id, part) {
            Some(stated) if stated.value != total.value => {
                report.error(total.at, problems::TOTAL_DIFFERS.with_detail(stated.value.to_string()));
            }
            Some(_) => {}
            None => insert(draft, quantity, part, total, report),
        }
        return;
    }
    let stated: Vec<u32> =
        draft.parts().iter().filter_map(|part| whole(draft.figure(id, *part)?.value)).collect();
    if stated.is_empty() {
        if total.value != Decimal::ZERO {
            report.error(
                total.at,
                problems::STAGE_NEEDED.with_detail(quantity.names.first().copied().unwrap_or(id)),
            );
        }
        return;
    }
    // The largest class of the school is the largest of its parts'; grades
    // and the rest add up. Parts that are left out can only add.
    let expected = if id == "max_class_size" {
        stated.iter().max().copied()
    } else {
        Some(stated.iter().fold(0_u32, |sum, n| sum.saturating_add(*n)))
    };
    let complete = stated.len() == draft.parts().len();
    let Some((expected, value)) = expected.zip(whole(total.value)) else { return };
    if (complete && value != expected) || value < expected {
        report.error(total.at, problems::TOTAL_DIFFERS.with_detail(expected.to_string()));
    }
}
