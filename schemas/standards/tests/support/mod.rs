//! Schools for tests, from figures in short form.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use duxue_document::Decimal;
use duxue_document::consolidated::{
    Candidate, ConsolidatedCounty, ConsolidatedSchool, Entry, ReviewState, ValueState,
};
use duxue_document::path::Section;
use duxue_document::school::{Declared, FigureKey, School, SchoolKind, Setting};
use duxue_document::{Captured, EntryPath, OpId, Scalar, SchoolId, Value};
use duxue_standards::input::{InputSettings, SchoolInput, county_input, school_input};
use duxue_standards::{Standard, builtin};

pub fn standard(ids: &[&str]) -> Standard {
    let texts: Vec<&str> = ids.iter().map(|id| builtin::text(id).unwrap()).collect();
    Standard::load(&texts).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

pub fn youzhi() -> Standard {
    standard(&["cn-youzhi-2017"])
}

pub fn jiben() -> Standard {
    standard(&["cn-jiben-2012"])
}

pub fn school_id(number: u32) -> SchoolId {
    SchoolId::new(format!("{number:010}")).unwrap()
}

pub fn school(number: u32, kind: SchoolKind) -> School {
    School {
        id: school_id(number),
        name: format!("学校{number}"),
        jurisdiction: duxue_document::JurisdictionCode::new("340207").unwrap(),
        kind,
        parent: None,
        attached: BTreeSet::new(),
        setting: Setting::Urban,
        sponsor: 7,
        built_year: Some(2018),
        boarding: false,
        dense_centre: false,
        place: None,
    }
}

pub fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn key(text: &str) -> FigureKey {
    let text = if text.contains(':') { text.to_owned() } else { format!("{text}:whole") };
    text.parse().unwrap()
}

/// `("pupils:primary", "120")`; without a part it is `whole`.
pub fn declared(figures: &[(&str, &str)]) -> Declared {
    Declared { figures: figures.iter().map(|(k, v)| (key(k), decimal(v))).collect(), ..Declared::default() }
}

pub fn consolidated(school: School, declared: Declared) -> ConsolidatedSchool {
    ConsolidatedSchool {
        school,
        declared,
        items: BTreeMap::new(),
        entries: BTreeMap::new(),
        complete: BTreeSet::new(),
        duplicates: Vec::new(),
        findings: Vec::new(),
    }
}

pub fn input(standard: &Standard, school: School, figures: &[(&str, &str)]) -> SchoolInput {
    school_input(standard, &consolidated(school, declared(figures)), &InputSettings::default())
}

pub fn county(
    standard: &Standard,
    figures: &[(&str, &str)],
    yes: &[&str],
    no: &[&str],
) -> duxue_standards::input::CountyInput {
    let mut reported = declared(figures);
    for (questions, answer) in [(yes, true), (no, false)] {
        reported.answers.extend(questions.iter().map(|q| (q.parse().unwrap(), answer)));
    }
    let county = ConsolidatedCounty { declared: reported, entries: BTreeMap::new(), findings: Vec::new() };
    county_input(standard, &county)
}

/// Marks a section complete or not: one inspector, or several who differ.
pub fn mark(school: &mut ConsolidatedSchool, section: Section, says: &[bool]) {
    let marks = says.iter().map(|complete| value(&[("complete", Scalar::Bool(*complete))])).collect();
    school.entries.insert(EntryPath::Section(section), entry(marks));
    if says == [true] {
        school.complete.insert(section);
    }
}

pub fn op(number: u64) -> OpId {
    OpId::new(format!("{number}@aa")).unwrap()
}

pub fn value(fields: &[(&str, Scalar)]) -> Value {
    fields.iter().map(|(field, scalar)| (field.parse().unwrap(), scalar.clone())).collect()
}

pub fn number(text: &str) -> Scalar {
    Scalar::Number(decimal(text))
}

pub fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

pub fn candidate(number: u64, value: Value) -> Candidate {
    Candidate { op: op(number), value, captured: Captured::default(), photos: Vec::new(), note: None }
}

/// An entry whose candidates are these; one is agreed, several conflict.
pub fn entry(values: Vec<Value>) -> Entry {
    let candidates: Vec<Candidate> =
        values.into_iter().zip(1..).map(|(value, op)| candidate(op, value)).collect();
    let value = match candidates.as_slice() {
        [] => ValueState::Missing,
        [one] => ValueState::Agreed { op: one.op.clone(), value: one.value.clone() },
        _ => ValueState::Conflicting { ruled_before: None, contradicting: Vec::new() },
    };
    Entry { candidates, value, review: ReviewState::Unreviewed }
}

/// An observed quantity: one value, or several in conflict.
pub fn observe(school: &mut ConsolidatedSchool, quantity: &str, values: &[&str]) {
    let values = values.iter().map(|v| value(&[("value", number(v))])).collect();
    school.entries.insert(EntryPath::Quantity(key(quantity)), entry(values));
}
