//! Words for people: names of sections, states and values.

use duxue_document::consolidated::{Entry, ReviewState, ValueState};
use duxue_document::path::Section;
use duxue_document::{Scalar, Value};

use super::out::Out;

pub fn section(out: &Out, section: Section) -> &'static str {
    match section {
        Section::Classes => out.say("班级", "classes"),
        Section::Rooms => out.say("用房", "rooms"),
        Section::Grounds => out.say("运动场地", "grounds"),
        Section::Equipment => out.say("仪器设备", "equipment"),
        Section::Quantities => out.say("数量", "quantities"),
        Section::Checklist => out.say("核查清单", "checklist"),
    }
}

pub fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Bool(true) => "✓".to_owned(),
        Scalar::Bool(false) => "✗".to_owned(),
        Scalar::Number(number) => number.to_string(),
        Scalar::Text(text) => text.clone(),
    }
}

/// `9.2 × 8 m`, `45`, `building=教学楼 number=101`.
pub fn value(value: &Value) -> String {
    let field =
        |name: &str| value.iter().find(|(field, _)| field.as_str() == name).map(|(_, found)| scalar(found));
    if let (Some(length), Some(width)) = (field("length_m"), field("width_m")) {
        return format!("{length} × {width} m");
    }
    if let Some(area) = field("area_m2") {
        return format!("{area} m²");
    }
    if value.len() == 1 {
        return value.values().map(scalar).collect();
    }
    value.iter().map(|(field, found)| format!("{field}={}", scalar(found))).collect::<Vec<_>>().join(" ")
}

/// What supervisors said, with the reason of a return; empty for nothing.
pub fn review(out: &Out, review: &ReviewState) -> String {
    match review {
        ReviewState::Unreviewed => String::new(),
        ReviewState::Awaiting { .. } => out.say("待采信", "awaits acceptance").to_owned(),
        ReviewState::Accepted { .. } => out.say("已采信", "accepted").to_owned(),
        ReviewState::Returned { overruled: false, reason, .. } => {
            format!("{}{reason}", out.say("退回：", "returned: "))
        }
        ReviewState::Returned { overruled: true, .. } => {
            out.say("退回后裁定有效", "returned, overruled").to_owned()
        }
        ReviewState::Disputed { .. } => out.say("审核意见不一", "disputed").to_owned(),
    }
}

/// What an entry comes to, in a word or two.
pub fn state(out: &Out, entry: &Entry) -> String {
    let found = match &entry.value {
        ValueState::Missing => out.say("缺", "missing").to_owned(),
        ValueState::Agreed { .. } => String::new(),
        ValueState::WithinTolerance { .. } => out.say("在允差内", "within tolerance").to_owned(),
        ValueState::Conflicting { .. } => {
            format!("{} ×{}", out.say("冲突", "conflict"), entry.candidates.len())
        }
        ValueState::Settled { .. } => out.say("已裁决", "ruled").to_owned(),
    };
    let review = review(out, &entry.review);
    [found, review].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// The value shown for an entry: all candidates where they differ.
pub fn entry(entry: &Entry) -> String {
    match &entry.value {
        ValueState::Conflicting { .. } => {
            entry.candidates.iter().map(|candidate| value(&candidate.value)).collect::<Vec<_>>().join(" | ")
        }
        ValueState::Agreed { value: found, .. }
        | ValueState::WithinTolerance { value: found, .. }
        | ValueState::Settled { value: found, .. } => value(found),
        ValueState::Missing => String::new(),
    }
}
