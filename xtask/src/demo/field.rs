//! Recorded field sheets: what three inspectors capture, in the batch format
//! of the command line (`docs/batch.md`), and their photos.
//!
//! Two are in the same school and agree on all but two things: one room that
//! both measure (and one tape gives less than a music room needs), and the
//! number of multimedia rooms, on which the school's verdict hangs. The third
//! is alone at a teaching point.

use serde_json::{Value, json};

use super::County;
use super::school::{School, Stage, id};
use crate::process::{Failure, Outcome};

/// Number of the school that two inspectors visit.
pub const SHARED_SCHOOL: u64 = 12;
/// Number of the teaching point that the third visits.
pub const POINT: u64 = 24;

/// What one inspector captures in one school.
pub struct FieldSheet {
    /// The inspector's id.
    pub inspector: &'static str,
    /// The inspector's name.
    pub name: &'static str,
    /// The school's id.
    pub school: String,
    /// One record a line.
    pub records: Vec<Value>,
}

impl FieldSheet {
    /// The file in the county's folder.
    #[must_use]
    pub fn file(&self) -> String {
        format!("field/{}.jsonl", self.inspector)
    }

    /// The sheet as JSON lines.
    #[must_use]
    pub fn text(&self) -> String {
        self.records.iter().map(|record| format!("{record}\n")).collect()
    }
}

/// The photos: file name and bytes. `data/photos/README.md` says where they are from.
pub const PHOTOS: [(&str, &[u8]); 3] = [
    ("iphone-6-plus.jpg", include_bytes!("data/photos/iphone-6-plus.jpg")),
    ("lumia-820.jpg", include_bytes!("data/photos/lumia-820.jpg")),
    ("powershot-s400.jpg", include_bytes!("data/photos/powershot-s400.jpg")),
];

/// The three sheets.
///
/// # Errors
/// [`Failure`] if the county does not have the schools.
pub fn sheets(county: &County) -> Outcome<Vec<FieldSheet>> {
    let find = |number: u64| {
        let school = county.schools.iter().find(|school| school.id == id(number));
        school.ok_or_else(|| Failure(format!("the county has no school {number}")))
    };
    let shared = find(SHARED_SCHOOL)?;
    let point = find(POINT)?;
    Ok(vec![
        FieldSheet {
            inspector: "wang-min",
            name: "王敏",
            school: shared.id.clone(),
            records: main_building(shared),
        },
        FieldSheet {
            inspector: "li-qiang",
            name: "李强",
            school: shared.id.clone(),
            records: side_building(shared),
        },
        FieldSheet {
            inspector: "chen-jing",
            name: "陈静",
            school: point.id.clone(),
            records: teaching_point(point),
        },
    ])
}

/// Classrooms, the first music room, the ground, and a count of multimedia rooms.
fn main_building(school: &School) -> Vec<Value> {
    let classes = school.stages[0].as_ref().map_or(0, |stage| stage.classes.len());
    let mut records: Vec<Value> = (0..classes)
        .map(|index| {
            let number = format!("{}{:02}", index / 8 + 1, index % 8 + 1);
            let mut room = room("教学楼", &number, "classroom", "9.20", "7.40");
            // The last rooms of the corridor have no screen yet.
            room["multimedia"] = json!(index < 14);
            room
        })
        .collect();
    records[0]["note"] = json!("合成数据，非真实学校 / synthetic");
    let mut music = room("教学楼", "301", "music", "12.00", "8.00");
    music["photos"] = json!(["../photos/iphone-6-plus.jpg"]);
    music["note"] = json!("沿墙根量 / measured along the wall");
    records.extend([
        music,
        room("教学楼", "302", "art", "11.50", "8.20"),
        json!({ "type": "complete", "section": "rooms" }),
        ground("操场", "80.00", "58.00", None),
        ground("篮球场", "28.00", "30.00", None),
        json!({ "type": "complete", "section": "grounds" }),
        json!({ "type": "quantity", "quantity": "multimedia_rooms", "value": "15" }),
        answer("A3-6"),
        answer("A3-7"),
    ]);
    records
}

/// Classes, the side building, the first music room once more, and equipment.
fn side_building(school: &School) -> Vec<Value> {
    let mut records = classes(school);
    let mut music = room("教学楼", "301", "music", "11.90", "8.00");
    music["photos"] = json!(["../photos/lumia-820.jpg"]);
    music["note"] = json!("扣除柱子 / without the column");
    records.extend([
        json!({ "type": "complete", "section": "classes" }),
        music,
        // The same room as the other sheet's, measured the same.
        room("教学楼", "302", "art", "11.50", "8.20"),
        room("综合楼", "201", "music", "12.20", "8.10"),
        room("综合楼", "202", "art", "11.00", "8.30"),
        equipment("JY-0001", "交互式电子白板", "综合楼 201", 2, "15800"),
        equipment("JY-0104", "钢琴", "综合楼 201", 1, "18650.50"),
        json!({ "type": "quantity", "quantity": "multimedia_rooms", "value": "14" }),
        answer("A3-3"),
        answer("A3-8"),
    ]);
    records
}

/// A whole visit: every section complete but the checklist.
fn teaching_point(school: &School) -> Vec<Value> {
    let mut records = classes(school);
    records.push(json!({ "type": "complete", "section": "classes" }));
    for index in 1..=4 {
        let mut room = room("校舍", &format!("10{index}"), "classroom", "8.40", "6.60");
        room["multimedia"] = json!(index <= 2);
        records.push(room);
    }
    // What an inspector does not state is unknown, not absent.
    for (number, purpose, length) in [("105", "music", "10.00"), ("106", "art", "9.50")] {
        let mut room = room("校舍", number, purpose, length, "6.00");
        room["multimedia"] = json!(false);
        records.push(room);
    }
    records.extend([
        json!({ "type": "complete", "section": "rooms" }),
        ground("操场", "40.00", "25.50", Some("../photos/powershot-s400.jpg")),
        json!({ "type": "complete", "section": "grounds" }),
        equipment("JY-0012", "学生用计算机", "校舍 105", 20, "3800"),
        equipment("JY-0001", "交互式电子白板", "校舍 101", 3, "15800"),
        json!({ "type": "complete", "section": "equipment" }),
        json!({ "type": "quantity", "quantity": "teachers_pe_art", "part": "primary", "value": "1" }),
        answer("A3-3"),
        answer("A3-8"),
    ]);
    records
}

fn room(building: &str, number: &str, purpose: &str, length: &str, width: &str) -> Value {
    json!({
        "type": "room", "building": building, "number": number, "purpose": purpose, "stage": "primary",
        "length_m": length, "width_m": width, "method": "tape",
    })
}

fn ground(name: &str, length: &str, width: &str, photo: Option<&str>) -> Value {
    let mut ground = json!({
        "type": "ground", "kind": "outdoor", "name": name, "length_m": length, "width_m": width, "method": "wheel",
    });
    if let Some(photo) = photo {
        ground["photos"] = json!([photo]);
    }
    ground
}

fn equipment(code: &str, name: &str, room: &str, count: u32, unit_value: &str) -> Value {
    json!({
        "type": "equipment", "code": code, "name": name, "room": room, "count": count.to_string(),
        "unit_value_yuan": unit_value,
    })
}

fn answer(question: &str) -> Value {
    json!({ "type": "answer", "question": question, "value": true })
}

/// The classes as declared, spread over the grades.
fn classes(school: &School) -> Vec<Value> {
    let Some(Stage { classes, grades, .. }) = &school.stages[0] else { return Vec::new() };
    let per_grade = (classes.len() as u64).div_ceil(*grades).max(1);
    (0..)
        .zip(classes)
        .map(|(index, pupils)| {
            json!({
                "type": "class", "stage": "primary", "grade": (index / per_grade + 1).to_string(),
                "number": (index % per_grade + 1).to_string(), "pupils": pupils.to_string(),
            })
        })
        .collect()
}
