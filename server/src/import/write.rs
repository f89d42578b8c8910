//! Writes the sheets that [`super::parse`] reads: empty as a form to fill
//! in, or filled for export and for the demonstration county.
//!
//! The law: what is written is read back equal, as far as the sheets can say
//! it (music and art rooms, not other rooms).

use std::collections::BTreeSet;

use duxue_document::school::{Declared, FigureKey, Part, RoomPurpose, School, Stage};
use duxue_document::{QuantityId, QuestionId};

use super::columns::{ATTRIBUTES, Attribute, QUANTITIES};
use super::county::COUNTY_QUANTITIES;
use super::kinds;

/// The parts that a figure by part may have a column for.
const COLUMN_PARTS: [(Part, &str); 5] = [
    (Part::Primary, "小学"),
    (Part::Junior, "初中"),
    (Part::Senior, "高中"),
    (Part::Kindergarten, "附设幼儿班"),
    (Part::Special, "附设特教班"),
];

/// What a column of our own sheets holds.
pub(super) enum Column {
    Attribute(Attribute),
    Figure(FigureKey),
    Rooms(RoomPurpose),
    ClassSizes(Stage),
    Answer(QuestionId),
}

/// The columns of the school sheet with their titles.
pub(super) fn columns(schools: &[(School, Declared)]) -> Vec<(String, Column)> {
    let mut columns = Vec::new();
    for (attribute, names) in ATTRIBUTES.iter().filter(|(attribute, _)| *attribute != Attribute::Stage) {
        let name = names.first().copied().unwrap_or_default();
        columns.push((name.to_owned(), Column::Attribute(*attribute)));
    }
    for quantity in QUANTITIES {
        let Ok(id) = QuantityId::new(quantity.id) else { continue };
        let name = quantity.names.first().copied().unwrap_or_default();
        if !quantity.by_part {
            let unit = match quantity.measure.unit_word() {
                "" => String::new(),
                word => format!("（{word}）"),
            };
            let key = FigureKey { quantity: id, part: Part::Whole };
            columns.push((format!("{name}{unit}"), Column::Figure(key)));
            continue;
        }
        for (part, word) in COLUMN_PARTS {
            let key = FigureKey { quantity: id.clone(), part };
            // Few schools have these parts; their columns appear when used.
            let common = matches!(part, Part::Primary | Part::Junior) || quantity.id == "pupils";
            if common || schools.iter().any(|(_, declared)| declared.figures.contains_key(&key)) {
                columns.push((format!("{word}{name}"), Column::Figure(key)));
            }
        }
    }
    columns.push(("音乐教室面积（平方米）".to_owned(), Column::Rooms(RoomPurpose::Music)));
    columns.push(("美术教室面积（平方米）".to_owned(), Column::Rooms(RoomPurpose::Art)));
    columns.push(("小学各班人数".to_owned(), Column::ClassSizes(Stage::Primary)));
    columns.push(("初中各班人数".to_owned(), Column::ClassSizes(Stage::Junior)));
    let answers: BTreeSet<&QuestionId> =
        schools.iter().flat_map(|(_, declared)| declared.answers.keys()).collect();
    columns
        .extend(answers.into_iter().map(|question| (question.to_string(), Column::Answer(question.clone()))));
    columns
}

/// The school sheet: a header row and one row a school.
#[must_use]
pub fn school_sheet(schools: &[(School, Declared)]) -> Vec<Vec<String>> {
    let columns = columns(schools);
    let mut rows = vec![columns.iter().map(|(name, _)| name.clone()).collect()];
    for (school, declared) in schools {
        rows.push(columns.iter().map(|(_, column)| cell(column, school, declared)).collect());
    }
    rows
}

/// The county sheet: a header row and one row an item.
#[must_use]
pub fn county_sheet(declared: &Declared) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["填报项目".to_owned(), "单位".to_owned(), "填报值".to_owned()]];
    for quantity in COUNTY_QUANTITIES {
        let value = QuantityId::new(quantity.id)
            .ok()
            .and_then(|id| declared.figures.get(&FigureKey { quantity: id, part: Part::Whole }));
        let unit = quantity.measure.unit_word();
        let name = quantity.names.first().copied().unwrap_or_default();
        rows.push(vec![name.to_owned(), unit.to_owned(), value.map(ToString::to_string).unwrap_or_default()]);
    }
    for (question, yes) in &declared.answers {
        rows.push(vec![question.to_string(), String::new(), yes_no(*yes)]);
    }
    rows
}

/// A sheet as CSV with a byte order mark, which Excel needs to see UTF-8.
#[must_use]
pub fn csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut text = String::from('\u{feff}');
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Text that no spreadsheet takes for a formula: an apostrophe goes before
/// `=`, `+`, `-` and `@`. The reader takes it off again.
#[must_use]
pub fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() }
}

fn csv_cell(text: &str) -> String {
    let text = harmless(text);
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn yes_no(yes: bool) -> String {
    if yes { "是" } else { "否" }.to_owned()
}

/// What a school's cell in a column says.
pub(super) fn cell(column: &Column, school: &School, declared: &Declared) -> String {
    match column {
        Column::Attribute(attribute) => attribute_cell(*attribute, school),
        Column::Figure(key) => declared.figures.get(key).map(ToString::to_string).unwrap_or_default(),
        Column::Rooms(purpose) => match &declared.rooms {
            None => String::new(),
            Some(rooms) => list(
                rooms.iter().filter(|room| room.purpose == *purpose).map(|room| room.area_m2.to_string()),
            ),
        },
        Column::ClassSizes(stage) => match &declared.classes {
            Some(classes) if has_stage(school, *stage) => list(
                classes.iter().filter(|class| class.stage == *stage).map(|class| class.pupils.to_string()),
            ),
            _ => String::new(),
        },
        Column::Answer(question) => {
            declared.answers.get(question).map(|yes| yes_no(*yes)).unwrap_or_default()
        }
    }
}

fn has_stage(school: &School, stage: Stage) -> bool {
    kinds::own_parts(school.kind).contains(&stage.part()) || school.attached.contains(&stage.part())
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "无".to_owned() } else { items.join(";") }
}

fn attribute_cell(attribute: Attribute, school: &School) -> String {
    let place = |pick: fn(&(duxue_document::Decimal, duxue_document::Decimal)) -> String| {
        school.place.as_ref().map(pick).unwrap_or_default()
    };
    match attribute {
        Attribute::Id => school.id.to_string(),
        Attribute::Name => school.name.clone(),
        Attribute::Jurisdiction => school.jurisdiction.to_string(),
        Attribute::Kind => kinds::kind_name(school.kind).to_owned(),
        Attribute::Parent => school.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        Attribute::Attached => {
            let names: Vec<&str> = school.attached.iter().map(|part| kinds::attached_name(*part)).collect();
            names.join(";")
        }
        Attribute::Setting => kinds::setting_name(school.setting).to_owned(),
        Attribute::Sponsor => school.sponsor.to_string(),
        Attribute::BuiltYear => school.built_year.map(|year| year.to_string()).unwrap_or_default(),
        Attribute::Boarding => yes_no(school.boarding),
        Attribute::DenseCentre => yes_no(school.dense_centre),
        Attribute::Latitude => place(|(latitude, _)| latitude.to_string()),
        Attribute::Longitude => place(|(_, longitude)| longitude.to_string()),
        Attribute::Stage => String::new(),
    }
}
