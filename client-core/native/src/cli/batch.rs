//! Field sheets as JSON lines or CSV: `docs/batch.md` describes the format.
//!
//! A record is flat: a `type` and fields. Both formats come to the same
//! [`Record`], and so do the commands that capture one thing by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use duxue_client_core::{Command, Mark, NewPhoto, Statement, Subject};
use duxue_document::consolidated::fields;
use duxue_document::path::{ItemKind, Section};
use duxue_document::schema::{self, FieldType};
use duxue_document::school::FigureKey;
use duxue_document::{EntryPath, FieldId, ItemId, PhotoHash, RoundId, Scalar, Value};
use duxue_protocol::problem::Problem;

/// One line of a field sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    kind: String,
    fields: BTreeMap<String, String>,
    photos: Vec<String>,
    note: Option<String>,
}

/// What a sheet is recorded in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The survey of a school.
    School(Subject),
    /// The county document of a round.
    County(RoundId),
}

/// What a kind of record may hold: field, entry, value field.
type Layout = &'static [(&'static str, &'static str, &'static str)];

const CLASS: Layout = &[
    ("stage", fields::IDENTITY, "stage"),
    ("grade", fields::IDENTITY, "grade"),
    ("number", fields::IDENTITY, "number"),
    ("pupils", fields::PUPILS, "value"),
];
const ROOM: Layout = &[
    ("building", fields::IDENTITY, "building"),
    ("number", fields::IDENTITY, "number"),
    ("purpose", fields::IDENTITY, "purpose"),
    ("stage", fields::IDENTITY, "stage"),
    ("length_m", fields::SIZE, "length_m"),
    ("width_m", fields::SIZE, "width_m"),
    ("area_m2", fields::SIZE, "area_m2"),
    ("method", fields::SIZE, "method"),
    ("multimedia", fields::MULTIMEDIA, "value"),
];
const GROUND: Layout = &[
    ("kind", fields::IDENTITY, "kind"),
    ("name", fields::IDENTITY, "name"),
    ("length_m", fields::SIZE, "length_m"),
    ("width_m", fields::SIZE, "width_m"),
    ("area_m2", fields::SIZE, "area_m2"),
    ("method", fields::SIZE, "method"),
];
const EQUIPMENT: Layout = &[
    ("code", fields::IDENTITY, "code"),
    ("name", fields::IDENTITY, "name"),
    ("room", fields::IDENTITY, "room"),
    ("count", fields::COUNT, "value"),
    ("unit_value_yuan", fields::UNIT_VALUE, "value_yuan"),
];

impl Record {
    pub fn of(kind: &str, photos: Vec<String>, note: Option<String>) -> Self {
        Self { kind: kind.to_owned(), fields: BTreeMap::new(), photos, note }
    }

    pub fn put(&mut self, field: &str, value: Option<String>) {
        if let Some(value) = value {
            self.fields.insert(field.to_owned(), value);
        }
    }

    /// An answer to a checklist item.
    pub fn answer(question: String, answer: bool, note: Option<String>) -> Self {
        let mut record = Self::of("answer", Vec::new(), note);
        record.put("question", Some(question));
        record.put("value", Some(answer.to_string()));
        record
    }

    fn take(&mut self, field: &str) -> Result<String, Problem> {
        self.fields.remove(field).ok_or_else(|| bad(format!("{}: {field}: 缺 / missing", self.kind)))
    }

    /// The photos' files, as written.
    pub fn photo_files(&self) -> &[String] {
        &self.photos
    }

    /// The command that captures this record.
    ///
    /// # Errors
    /// What is wrong with it: an unknown type or field, a number that is not
    /// one, a missing field.
    pub fn command(
        mut self,
        target: &Target,
        photos: Vec<NewPhoto>,
        mark: Option<Mark>,
    ) -> Result<Command, Problem> {
        let subject = match target {
            Target::School(subject) => subject.clone(),
            Target::County(round) => return self.county(round.clone(), mark),
        };
        let hashes: Vec<PhotoHash> = photos.iter().map(|photo| photo.photo).collect();
        let item = match self.kind.as_str() {
            "class" => Some((ItemKind::Classes, CLASS)),
            "room" => Some((ItemKind::Rooms, ROOM)),
            "ground" => Some((ItemKind::Grounds, GROUND)),
            "equipment" => Some((ItemKind::Equipment, EQUIPMENT)),
            _ => None,
        };
        if let Some((kind, layout)) = item {
            let fields = self.item_fields(kind, layout, &hashes)?;
            return Ok(Command::AddItem { subject, kind, fields, photos, mark });
        }
        let claim = match self.kind.as_str() {
            "quantity" => self.quantity()?,
            "answer" => self.answered()?,
            "complete" => {
                let path = EntryPath::Section(section(&self.take("section")?)?);
                let mark = self.fields.remove("value").unwrap_or_else(|| "true".to_owned());
                let value = value_of(&path, "complete", &mark)?;
                (path, value)
            }
            "photo" => return self.photo(subject, photos, mark),
            "set" => {
                let path: EntryPath = id(&self.take("entry")?)?;
                let mut value = Value::new();
                for (field, text) in std::mem::take(&mut self.fields) {
                    value.extend(value_of(&path, &field, &text)?);
                }
                (path, value)
            }
            other => return Err(bad(format!("type: {other}"))),
        };
        self.nothing_left()?;
        let statement = Statement { value: claim.1, photos: hashes, note: self.note, place: None };
        Ok(Command::PutClaims { subject, claims: vec![(claim.0, statement)], photos, mark })
    }

    /// The county document holds figures and answers, and no photos: those
    /// belong to schools.
    fn county(mut self, round: RoundId, mark: Option<Mark>) -> Result<Command, Problem> {
        if !self.photos.is_empty() {
            return Err(bad(format!("{}: photos: 县级数据不带照片 / not in the county document", self.kind)));
        }
        let (path, value) = match self.kind.as_str() {
            "quantity" => self.quantity()?,
            "answer" => self.answered()?,
            other => return Err(bad(format!("type: {other} (quantity, answer)"))),
        };
        self.nothing_left()?;
        let statement = Statement { value, note: self.note, ..Statement::default() };
        Ok(Command::PutCounty { round, claims: vec![(path, statement)], mark })
    }

    fn answered(&mut self) -> Result<(EntryPath, Value), Problem> {
        let path = EntryPath::Answer(id(&self.take("question")?)?);
        let value = value_of(&path, "value", &self.take("value")?)?;
        Ok((path, value))
    }

    fn item_fields(
        &mut self,
        kind: ItemKind,
        layout: Layout,
        photos: &[PhotoHash],
    ) -> Result<BTreeMap<FieldId, Statement>, Problem> {
        let mut found: BTreeMap<FieldId, Statement> = BTreeMap::new();
        for (name, entry, field) in layout {
            let Some(text) = self.fields.remove(*name) else { continue };
            let entry: FieldId = id(entry)?;
            // Which item it will be does not matter for what a field holds.
            let item = ItemId::new("new").map_err(|error| bad(error.to_string()))?;
            let path = EntryPath::Item { kind, item, field: entry.clone() };
            let value = value_of(&path, field, &text)?;
            found.entry(entry).or_default().value.extend(value);
        }
        self.nothing_left()?;
        // A sheet's photos and remark belong to what was measured; where
        // nothing was, to the item itself.
        let measured = [fields::SIZE, fields::COUNT, fields::PUPILS, fields::IDENTITY];
        let main = measured.iter().find_map(|name| found.keys().find(|key| key.as_str() == *name).cloned());
        if let Some(statement) = main.and_then(|key| found.get_mut(&key)) {
            statement.photos = photos.to_vec();
            statement.note = self.note.take();
        }
        Ok(found)
    }

    fn quantity(&mut self) -> Result<(EntryPath, Value), Problem> {
        let mut key = self.take("quantity")?;
        if let Some(part) = self.fields.remove("part") {
            key = format!("{key}:{part}");
        }
        if !key.contains(':') {
            key.push_str(":whole");
        }
        let path = EntryPath::Quantity(id::<FigureKey>(&key)?);
        let value = value_of(&path, "value", &self.take("value")?)?;
        Ok((path, value))
    }

    fn photo(
        mut self,
        subject: Subject,
        photos: Vec<NewPhoto>,
        mark: Option<Mark>,
    ) -> Result<Command, Problem> {
        let entries = self.take("entries")?;
        let entries: BTreeSet<EntryPath> =
            entries.split([' ', ';']).filter(|entry| !entry.is_empty()).map(id).collect::<Result<_, _>>()?;
        self.nothing_left()?;
        let mut claims = Vec::new();
        for photo in &photos {
            claims.push((EntryPath::Evidence(photo.photo), evidence(photo, &entries)?));
        }
        if claims.is_empty() {
            return Err(bad("photo: photos: 缺 / missing".to_owned()));
        }
        Ok(Command::PutClaims { subject, claims, photos, mark })
    }

    fn nothing_left(&self) -> Result<(), Problem> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(field) => Err(bad(format!("{}: {field}: 不认识的字段 / unknown field", self.kind))),
        }
    }
}

fn evidence(photo: &NewPhoto, entries: &BTreeSet<EntryPath>) -> Result<Statement, Problem> {
    let text = entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let value = Value::from([
        (id::<FieldId>("entries")?, Scalar::Text(text)),
        (id::<FieldId>("media")?, Scalar::Text(photo.media.clone())),
        (id::<FieldId>("bytes")?, Scalar::Text(photo.length.to_string())),
    ]);
    Ok(Statement { value, photos: vec![photo.photo], note: None, place: None })
}

/// Reads one field of a value as its entry wants it.
///
/// # Errors
/// Where it is not a plain decimal number, or not yes or no.
pub fn value_of(path: &EntryPath, field: &str, text: &str) -> Result<Value, Problem> {
    let text = text.trim();
    let scalar = match schema::field_type(path, field) {
        FieldType::Number => {
            Scalar::Number(text.parse().map_err(|error| bad(format!("{field} = {text}: {error}")))?)
        }
        FieldType::Bool => Scalar::Bool(match text.to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "是" | "有" => true,
            "false" | "no" | "n" | "0" | "否" | "无" => false,
            _ => return Err(bad(format!("{field} = {text}: yes / no"))),
        }),
        FieldType::Text | FieldType::Unknown => Scalar::Text(text.to_owned()),
    };
    Ok(Value::from([(id(field)?, scalar)]))
}

/// A section by its name.
pub fn section(name: &str) -> Result<Section, Problem> {
    let found = Section::ALL.into_iter().find(|section| section.as_str() == name);
    found.ok_or_else(|| bad(format!("section = {name}: {}", Section::ALL.map(Section::as_str).join(", "))))
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| bad(format!("{text}: {error}")))
}

fn bad(detail: String) -> Problem {
    Problem::new("batch.bad_record", "这条记录写得不对", "this record cannot be used").with_detail(detail)
}

/// Reads a whole sheet, so that a wrong line is known before anything is
/// captured. JSON lines if the first character is `{`, else CSV with a header.
///
/// # Errors
/// The first wrong line, with its number.
pub fn read(text: &str) -> Result<Vec<(usize, Record)>, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') { json_lines(text) } else { csv_rows(text) }
}

fn json_lines(text: &str) -> Result<Vec<(usize, Record)>, Problem> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let at = |problem: Problem| at_line(index + 1, problem);
            let map: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(line).map_err(|error| at(bad(error.to_string())))?;
            Ok((index + 1, from_json(map).map_err(at)?))
        })
        .collect()
}

fn from_json(map: serde_json::Map<String, serde_json::Value>) -> Result<Record, Problem> {
    let mut record = Record::default();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("type", serde_json::Value::String(kind)) => record.kind = kind,
            ("note", serde_json::Value::String(note)) => record.note = Some(note),
            ("photos", serde_json::Value::Array(list)) => {
                for file in list {
                    let file = file.as_str().ok_or_else(|| bad("photos".to_owned()))?;
                    record.photos.push(file.to_owned());
                }
            }
            ("entries", serde_json::Value::Array(list)) => {
                let entries: Vec<&str> = list.iter().filter_map(serde_json::Value::as_str).collect();
                record.put("entries", Some(entries.join(" ")));
            }
            (_, serde_json::Value::String(text)) => record.put(&key, Some(text)),
            (_, serde_json::Value::Number(number)) => record.put(&key, Some(number.to_string())),
            (_, serde_json::Value::Bool(bool)) => record.put(&key, Some(bool.to_string())),
            (_, serde_json::Value::Null) => {}
            _ => return Err(bad(key)),
        }
    }
    Ok(record)
}

fn csv_rows(text: &str) -> Result<Vec<(usize, Record)>, Problem> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| bad(error.to_string()))?.clone();
    if !header.iter().any(|name| name == "type") {
        return Err(bad("type: 缺这一列 / column missing".to_owned()));
    }
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| bad(error.to_string()))?;
        let line = row.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        let mut record = Record::default();
        for (name, cell) in header.iter().zip(&row).filter(|(_, cell)| !cell.is_empty()) {
            match name {
                "type" => cell.clone_into(&mut record.kind),
                "note" => record.note = Some(cell.to_owned()),
                "photos" => record.photos = cell.split(';').map(|file| file.trim().to_owned()).collect(),
                _ => record.put(name, Some(cell.to_owned())),
            }
        }
        records.push((line, record));
    }
    Ok(records)
}

/// The same problem with the line that it is on.
pub fn at_line(line: usize, problem: Problem) -> Problem {
    let detail = problem.detail.clone().unwrap_or_default();
    problem.with_detail(format!("第 {line} 行 / line {line}: {detail}"))
}

/// Photos are named beside the sheet.
pub fn beside(sheet: Option<&Path>, file: &str) -> std::path::PathBuf {
    sheet.and_then(Path::parent).unwrap_or_else(|| Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn school() -> Target {
        Target::School(Subject { round: "r".parse().unwrap(), school: "3402070001".parse().unwrap() })
    }

    fn county() -> Target {
        Target::County("r".parse().unwrap())
    }

    #[test]
    fn a_county_sheet_holds_figures_and_answers_only() {
        let lines = [
            (
                r#"{"type":"quantity","quantity":"survey_satisfaction_percent","value":"86.5"}"#,
                Ok("quantities/survey_satisfaction_percent:whole"),
            ),
            (r#"{"type":"answer","question":"A2-1","value":"是"}"#, Ok("answers/A2-1")),
            (r#"{"type":"room","number":"1","purpose":"music"}"#, Err("room")),
            (r#"{"type":"complete","section":"rooms"}"#, Err("complete")),
            (r#"{"type":"answer","question":"A2-1","value":"yes","photos":["a.jpg"]}"#, Err("photos")),
            (r#"{"type":"answer","question":"A2-1","value":"yes","school":"x"}"#, Err("school")),
        ];
        for (line, expected) in lines {
            let (_, record) = read(line).unwrap().remove(0);
            match (record.command(&county(), Vec::new(), None), expected) {
                (Ok(Command::PutCounty { claims, .. }), Ok(path)) => {
                    assert_eq!(claims[0].0.to_string(), path, "{line}");
                }
                (Err(problem), Err(named)) => {
                    assert!(
                        problem.detail.as_deref().unwrap_or_default().contains(named),
                        "{line}: {problem:?}"
                    );
                }
                _ => panic!("{line}"),
            }
        }
    }

    #[test]
    fn json_lines_and_csv_come_to_the_same_records() {
        let json = r#"{"type":"room","number":"101","purpose":"music","length_m":9.2,"width_m":"8","note":"窗边"}

{"type":"quantity","quantity":"pupils","part":"primary","value":812,"photos":["a.jpg","b.jpg"]}"#;
        let csv = "\u{feff}type,number,purpose,length_m,width_m,quantity,part,value,photos,note\n\
                   room,101,music,9.2,8,,,,,窗边\n\
                   quantity,,,,,pupils,primary,812,a.jpg; b.jpg,\n";
        let from_json: Vec<Record> = read(json).unwrap().into_iter().map(|(_, record)| record).collect();
        let from_csv: Vec<Record> = read(csv).unwrap().into_iter().map(|(_, record)| record).collect();
        assert_eq!(from_json, from_csv);
    }

    #[test]
    fn wrong_lines_are_refused_with_their_number_and_reason() {
        let cases = [
            (r#"{"type":"room","number":"1","purpose":"music","length_m":"9,2","width_m":"8"}"#, "length_m"),
            (r#"{"type":"room","number":"1","purpose":"music","heigth_m":"3"}"#, "heigth_m"),
            (r#"{"type":"spaceship","number":"1"}"#, "spaceship"),
            (r#"{"type":"quantity","value":"12"}"#, "quantity"),
            (r#"{"type":"quantity","quantity":"pupils:nowhere","value":"12"}"#, "pupils:nowhere"),
            (r#"{"type":"answer","question":"A2-1","value":"maybe"}"#, "maybe"),
            (r#"{"type":"complete","section":"roof"}"#, "roof"),
        ];
        for (line, named) in cases {
            let (_, record) = read(line).unwrap().remove(0);
            let problem = record.command(&school(), Vec::new(), None).err().unwrap();
            assert_eq!(problem.code, "batch.bad_record");
            assert!(problem.detail.as_deref().unwrap_or_default().contains(named), "{line}: {problem:?}");
        }
        let problem = read("{\"type\":\"room\"}\n{oops").unwrap_err();
        assert!(problem.detail.unwrap().contains("line 2"));
    }

    #[test]
    fn numbers_stay_exact() {
        let (_, record) =
            read(r#"{"type":"equipment","code":"1","name":"n","count":3,"unit_value_yuan":"1234.56"}"#)
                .unwrap()
                .remove(0);
        let Command::AddItem { fields, .. } = record.command(&school(), Vec::new(), None).unwrap() else {
            panic!("not an item")
        };
        let value = &fields[&"unit_value".parse().unwrap()].value;
        assert_eq!(value[&"value_yuan".parse().unwrap()], Scalar::Number("1234.56".parse().unwrap()));
    }
}
