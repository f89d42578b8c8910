//! The tree reads what serde_json reads from the text.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::read;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plain {
    Unit,
    Newtype(u8),
    Pair(i64, String),
    Named { a: bool },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Tagged {
    Nothing,
    Number { of: Id },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Bool(bool),
    Text(String),
    Float(f64),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Id(String);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Unit,
    Newtype,
}

#[derive(Debug, PartialEq, Deserialize)]
struct All {
    #[serde(default)]
    plain: Vec<Plain>,
    tagged: Option<Tagged>,
    untagged: Option<Untagged>,
    by_id: Option<BTreeMap<Id, (u64, f64)>>,
    by_key: Option<BTreeMap<Key, ()>>,
}

fn same<T: DeserializeOwned + PartialEq + Debug>(text: &str) -> Result<(), TestCaseError> {
    let (ours, theirs) = (read::<T>(text.as_bytes()), serde_json::from_str::<T>(text));
    prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?}, {:?}", text, ours, theirs);
    if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
        prop_assert_eq!(ours, theirs, "{}", text);
    }
    Ok(())
}

/// Values of all kinds, mostly of the shapes above, with names that they have.
fn values() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec!["unit", "newtype", "pair", "named", "nothing", "number", "x"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-3_i64..300).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let names = ["unit", "newtype", "pair", "named", "kind", "of", "a", "by_id", "by_key", "plain", "tagged"];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let name = prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A structure as a list is the one thing that only serde_json reads.
fn has_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(entries) => entries.values().any(has_list),
        _ => false,
    }
}

proptest! {
    #[test]
    fn the_tree_reads_what_the_text_reads(value in values()) {
        let text = value.to_string();
        same::<Value>(&text)?;
        same::<Vec<Value>>(&text)?;
        same::<(u64, Id)>(&text)?;
        same::<Untagged>(&text)?;
        same::<Option<Key>>(&text)?;
        same::<BTreeMap<Id, Option<u8>>>(&text)?;
        if !has_list(&value) {
            same::<Plain>(&text)?;
            same::<Tagged>(&text)?;
            same::<All>(&text)?;
        }
    }
}

#[test]
fn every_shape_is_read() {
    let text = json!({
        "plain": ["unit", {"unit": null}, {"newtype": 7}, {"pair": [-1, "x"]}, {"named": {"a": true, "b": 0}}],
        "tagged": {"of": "seven", "kind": "number"},
        "untagged": 1.5,
        "by_id": {"a": [1, 2]},
        "by_key": {"unit": null},
        "unknown": {"deep": [1, {}]},
    })
    .to_string();
    let all: All = read(text.as_bytes()).unwrap();
    assert_eq!(all.plain.len(), 5);
    assert_eq!(all.tagged, Some(Tagged::Number { of: Id("seven".to_owned()) }));
    assert_eq!(all, serde_json::from_str(&text).unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let cases = [
        ("not JSON", r#"{"plain": [}"#),
        ("something after it", "{} {}"),
        ("a name twice", r#"{"plain": [], "plain": []}"#),
        ("a structure as a list", r#"[[], null, null, null, null]"#),
        ("a variant with two names", r#"{"plain": [{"newtype": 1, "unit": null}]}"#),
        ("a variant that there is not", r#"{"plain": ["other"]}"#),
        ("a variant without what it holds", r#"{"plain": ["newtype"]}"#),
        ("a variant with something that holds nothing", r#"{"plain": [{"unit": 1}]}"#),
        ("a number that is too large", r#"{"plain": [{"newtype": 256}]}"#),
        ("a member too many", r#"{"by_id": {"a": [1, 2, 3]}}"#),
    ];
    for (name, text) in cases {
        assert!(read::<All>(text.as_bytes()).is_err(), "{name}");
    }
}
