//! Commands from JSON with values typed by their fields.
//!
//! In JSON a room's number `"007"` and a length `"9.20"` look alike. The
//! schema says which is text, so the values of claims are read by it.

use duxue_document::collections::BTreeMap;

use duxue_client_core::{Command, Statement};
use duxue_document::decision::{self, RulingChoice};
use duxue_document::path::ItemKind;
use duxue_document::schema::{self, FieldType};
use duxue_document::{EntryPath, FieldId, ItemId, Scalar, Value};
use serde_json::Value as Json;

/// Reads a command.
///
/// # Errors
/// What is malformed.
pub fn command(text: &str) -> Result<Command, String> {
    let mut command: Command =
        duxue_protocol::json::read(text.as_bytes()).map_err(|error| error.to_string())?;
    let json = fields(text)?;
    match &mut command {
        Command::PutClaims { claims: put, .. } | Command::PutCounty { claims: put, .. } => {
            claims(put, &json["claims"])?;
        }
        Command::AddItem { kind, fields, .. } => of_item(*kind, fields, &json["fields"])?,
        Command::CopyItem { item, changes, .. } => of_item(item.kind, changes, &json["changes"])?,
        Command::Rule {
            about: decision::Subject::Entry { path, choice: RulingChoice::Set(value), .. },
            ..
        } => {
            values(path, value, &json["about"]["choice"]["with"])?;
        }
        _ => {}
    }
    Ok(command)
}

/// What a command or a query brings, `{"name": {…}}`, as it was written.
///
/// # Errors
/// Text that is not JSON.
pub fn fields(text: &str) -> Result<Json, String> {
    let json: Json = duxue_protocol::json::read(text.as_bytes()).map_err(|error| error.to_string())?;
    let Json::Object(named) = json else { return Ok(Json::Null) };
    Ok(named.into_iter().next().map_or(Json::Null, |(_, fields)| fields))
}

/// Types the values of claims by their raw JSON, `[[path, statement], …]`.
///
/// # Errors
/// A value that is neither text, number nor yes or no.
pub fn claims(claims: &mut [(EntryPath, Statement)], raw: &Json) -> Result<(), String> {
    for (index, (path, statement)) in claims.iter_mut().enumerate() {
        retype(path, statement, &raw[index][1]["value"])?;
    }
    Ok(())
}

fn of_item(kind: ItemKind, fields: &mut BTreeMap<FieldId, Statement>, raw: &Json) -> Result<(), String> {
    // The type of a field does not depend on which item it is in.
    let item = ItemId::new("new").map_err(|error| error.to_string())?;
    for (field, statement) in fields {
        let path = EntryPath::Item { kind, item: item.clone(), field: field.clone() };
        retype(&path, statement, &raw[field.as_str()]["value"])?;
    }
    Ok(())
}

fn retype(path: &EntryPath, statement: &mut Statement, raw: &Json) -> Result<(), String> {
    values(path, &mut statement.value, raw)
}

fn values(path: &EntryPath, value: &mut Value, raw: &Json) -> Result<(), String> {
    for (field, scalar) in value {
        let wrong = || format!("{path}/{field}");
        *scalar = match (&raw[field.as_str()], schema::field_type(path, field.as_str())) {
            (Json::Bool(bool), _) => Scalar::Bool(*bool),
            (Json::String(text), FieldType::Number) => Scalar::Number(text.parse().map_err(|_| wrong())?),
            (Json::String(text), _) => Scalar::Text(text.clone()),
            _ => return Err(wrong()),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_text_or_a_number_as_the_field_says() {
        let text = r#"{"add_item":{"subject":{"round":"r","school":"9901010012"},"kind":"rooms","fields":{
            "identity":{"value":{"building":"1","number":"007","purpose":"music"}},
            "size":{"value":{"length_m":"9.20","width_m":"8"}},
            "multimedia":{"value":{"value":true}}}}}"#;
        let Command::AddItem { fields, .. } = command(text).unwrap() else { panic!("another command") };
        let scalar = |field: &str, name: &str| {
            fields[&field.parse::<FieldId>().unwrap()].value[&name.parse::<FieldId>().unwrap()].clone()
        };
        assert_eq!(scalar("identity", "number"), Scalar::Text("007".to_owned()));
        assert_eq!(scalar("identity", "building"), Scalar::Text("1".to_owned()));
        assert_eq!(scalar("size", "length_m"), Scalar::Number("9.2".parse().unwrap()));
        assert_eq!(scalar("multimedia", "value"), Scalar::Bool(true));
        assert!(command(&text.replace("9.20", "wide")).is_err());
    }

    #[test]
    fn a_ruled_value_is_typed_like_a_claim() {
        let text = r#"{"rule":{"subject":{"round":"r","school":"9901010012"},"rulings":[],"reason":"x",
            "about":{"subject":"entry","path":"rooms/a/identity","saw":["1@aa"],"verdicts":[],
                "choice":{"choice":"set","with":{"building":"1","number":"007","purpose":"music"}}}}}"#;
        let Command::Rule {
            about: decision::Subject::Entry { choice: RulingChoice::Set(value), .. }, ..
        } = command(text).unwrap()
        else {
            panic!("another command")
        };
        assert_eq!(value[&"number".parse::<FieldId>().unwrap()], Scalar::Text("007".to_owned()));
    }
}
