//! The records of field sheets; `docs/batch.md` describes the format.
//!
//! A record is flat: a `type` and fields. Both formats come to the same
//! [`Record`] (see [`super::sheet`]), and so do the commands that capture one
//! thing by hand.

use std::collections::{BTreeMap, BTreeSet};

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
    pub kind: String,
    fields: BTreeMap<String, String>,
    pub photos: Vec<String>,
    pub note: Option<String>,
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

/// The value fields that an entry may hold. Others no reader knows: a slip of
/// the pen would be kept and never be seen again.
fn known_fields(path: &EntryPath) -> Vec<&'static str> {
    match path {
        EntryPath::Item { kind, field, .. } => {
            let fits =
                |(_, entry, value): &(&str, &str, &'static str)| (*entry == field.as_str()).then_some(*value);
            layout(*kind).iter().filter_map(fits).collect()
        }
        EntryPath::Quantity(_) | EntryPath::Answer(_) => vec!["value"],
        EntryPath::Section(_) => vec!["complete"],
        EntryPath::Evidence(_) => vec!["entries", "media", "bytes"],
    }
}

fn layout(kind: ItemKind) -> Layout {
    match kind {
        ItemKind::Classes => CLASS,
        ItemKind::Rooms => ROOM,
        ItemKind::Grounds => GROUND,
        ItemKind::Equipment => EQUIPMENT,
    }
}

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
            "class" => Some(ItemKind::Classes),
            "room" => Some(ItemKind::Rooms),
            "ground" => Some(ItemKind::Grounds),
            "equipment" => Some(ItemKind::Equipment),
            _ => None,
        };
        if let Some(kind) = item {
            let fields = self.item_fields(kind, &hashes)?;
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
        let statement = Statement { value: claim.1, photos: hashes, note: self.note, ..Statement::default() };
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
        photos: &[PhotoHash],
    ) -> Result<BTreeMap<FieldId, Statement>, Problem> {
        let mut found: BTreeMap<FieldId, Statement> = BTreeMap::new();
        for (name, entry, field) in layout(kind) {
            let Some(text) = self.fields.remove(*name) else { continue };
            let entry: FieldId = id(entry)?;
            let path = in_new_item(kind, entry.clone())?;
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
    Ok(Statement { value, photos: vec![photo.photo], ..Statement::default() })
}

/// An entry of an item that is still to be added. Which item it will be does
/// not matter for what the entry holds.
pub fn in_new_item(kind: ItemKind, field: FieldId) -> Result<EntryPath, Problem> {
    let item = ItemId::new("new").map_err(|error| bad(error.to_string()))?;
    Ok(EntryPath::Item { kind, item, field })
}

/// Reads one field of a value as its entry wants it.
///
/// # Errors
/// Where the entry has no such field, or it is not a plain decimal number, or
/// not yes or no.
pub fn value_of(path: &EntryPath, field: &str, text: &str) -> Result<Value, Problem> {
    let text = text.trim();
    let known = known_fields(path);
    if known.is_empty() {
        return Err(bad(format!("{path}: 没有这种条目 / there is no such entry")));
    }
    if !known.contains(&field) {
        let known = known.join(", ");
        return Err(bad(format!("{path}: {field}: 不认识的字段 / unknown field ({known})")));
    }
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

pub fn bad(detail: String) -> Problem {
    Problem::new("batch.bad_record", "这条记录写得不对", "this record cannot be used").with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::super::sheet::read;
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
    fn wrong_lines_are_refused_with_their_number_and_reason() {
        let cases = [
            (r#"{"type":"room","number":"1","purpose":"music","length_m":"9,2","width_m":"8"}"#, "length_m"),
            (r#"{"type":"room","number":"1","purpose":"music","heigth_m":"3"}"#, "heigth_m"),
            (r#"{"type":"spaceship","number":"1"}"#, "spaceship"),
            (r#"{"type":"quantity","value":"12"}"#, "quantity"),
            (r#"{"type":"quantity","quantity":"pupils:nowhere","value":"12"}"#, "pupils:nowhere"),
            (r#"{"type":"answer","question":"A2-1","value":"maybe"}"#, "maybe"),
            (r#"{"type":"complete","section":"roof"}"#, "roof"),
            (r#"{"type":"set","entry":"rooms/a/size","heigth_m":"3","area_m2":"50"}"#, "heigth_m"),
            (r#"{"type":"set","entry":"rooms/a/size","colour":"red"}"#, "length_m, width_m"),
            (r#"{"type":"set","entry":"rooms/a/colour","value":"red"}"#, "rooms/a/colour"),
            (r#"{"type":"set","entry":"rooms/a/removed","removed":"true"}"#, "rooms/a/removed"),
        ];
        for (line, named) in cases {
            let (_, record) = read(line).unwrap().remove(0);
            let problem = record.command(&school(), Vec::new(), None).err().unwrap();
            assert_eq!(problem.code, "batch.bad_record");
            assert!(problem.detail.as_deref().unwrap_or_default().contains(named), "{line}: {problem:?}");
        }
    }
}
