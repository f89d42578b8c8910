//! Words for people: names of sections, states and values.

use duxue_document::consolidated::{Entry, Finding, ReviewState, ValueState};
use duxue_document::path::Section;
use duxue_document::{DocumentKind, Scalar, Value};
use duxue_protocol::api::{Instead, Role};

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

/// What a document holds.
pub fn document(out: &Out, kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Survey => out.say("调查", "survey"),
        DocumentKind::Review => out.say("审核", "review"),
        DocumentKind::Ruling => out.say("裁决", "ruling"),
        DocumentKind::County => out.say("县级数据", "county"),
        DocumentKind::Plan => out.say("整改台账", "plan"),
    }
}

/// Why changes are held, by the server's code.
pub fn held<'a>(out: &Out, reason: &'a str) -> &'a str {
    match reason {
        "right_ended" => out.say("提交时已无权限", "the right had ended"),
        "other_actor" => out.say("标识属于他人或其他设备", "its actor is bound to another person or device"),
        "depends" => out.say("依赖于其他被扣留的更改", "depends on other held changes"),
        other => other,
    }
}

/// Who may decide about what is held.
pub fn released_by(out: &Out, roles: &[Role]) -> String {
    let role = |role: &Role| match role {
        Role::Inspector => out.say("督学", "inspector"),
        Role::Supervisor => out.say("督导负责人", "supervisor"),
        Role::Bureau => out.say("教体局", "bureau"),
        Role::Administrator => out.say("管理员", "administrator"),
    };
    let roles: Vec<&str> = roles.iter().map(role).collect();
    if roles.is_empty() {
        return String::new();
    }
    let roles = roles.join(out.say("、", ", "));
    format!("{roles}{}", out.say("（非本人）", ", not their own"))
}

/// What happens where nobody may let a change in.
pub fn instead(out: &Out, instead: Instead) -> &'static str {
    match instead {
        Instead::StatedAgain => out.say("无人；采集设备会重新写入", "nobody; its device states it again"),
    }
}

/// Why a change was set aside.
pub fn aside<'a>(out: &Out, reason: &'a str) -> &'a str {
    match reason {
        "change.number_used" => {
            out.say("同一标识和序号已有另一项更改", "its actor has another change with this number")
        }
        "change.author_twice" => out.say("同一标识两次声明作者", "its actor names its author twice"),
        "change.depends" => out.say("依赖于不能使用的更改", "it depends on a change that cannot be used"),
        "chunk.not_applicable" | "chunk.panic" | "chunk.unreadable" => {
            out.say("无法读入", "it cannot be applied")
        }
        other => other,
    }
}

/// Why something in a document cannot be used, with what is there.
pub fn finding(out: &Out, finding: &Finding) -> String {
    let (about, what) = finding.code.split_once('.').unwrap_or((&finding.code, ""));
    let (zh, en) = match (about, what) {
        (_, "deleted" | "deleted_more") => ("用其他软件删除过，原值仍可查", "deleted by another program"),
        (_, "edited") => ("用其他软件改动过局部", "edited in part by another program"),
        (_, "twice") => ("同一位置写了两次", "written twice"),
        (_, "not_map" | "bare") => ("格式不对，未采用", "not in the form of an entry, not used"),
        (_, "number") => ("不是数字，未采用", "not a number, not used"),
        (_, "type") => ("类型不对，未采用", "of another type, not used"),
        (_, "field" | "field_name") => ("字段无法识别", "a field that is not known"),
        (_, "unknown" | "key") => ("条目无法识别", "an entry that is not known"),
        (_, "captured") => ("采集时间地点不完整", "when and where it was captured is not complete"),
        (_, "photos") => ("照片编号不对", "a photo's hash is wrong"),
        (_, "note") => ("备注不是文字", "the remark is not text"),
        (_, "empty") => ("没有填写内容", "nothing is stated"),
        ("decision", _) => ("审核或裁决无法采用", "a verdict or ruling that cannot be used"),
        ("document", "genesis" | "foreign") => ("资料不是由督学建立的", "not a document of this kind"),
        _ => (finding.code.as_str(), finding.code.as_str()),
    };
    format!("{} {}", out.say(zh, en), finding.detail).trim_end().to_owned()
}

/// What an item is, in words: `小学 三年级 3班`, `教学楼 101 音乐`. All
/// candidates where they differ.
pub fn identity(out: &Out, entry: &Entry) -> String {
    let shown: Vec<&Value> = match &entry.value {
        ValueState::Conflicting { .. } => entry.candidates.iter().map(|candidate| &candidate.value).collect(),
        ValueState::Agreed { value, .. }
        | ValueState::WithinTolerance { value, .. }
        | ValueState::Settled { value, .. } => vec![value],
        ValueState::Missing => Vec::new(),
    };
    shown.into_iter().map(|value| identity_words(out, value)).collect::<Vec<_>>().join(" | ")
}

/// The order in which people say the parts of an identity.
const PARTS: [&str; 9] = ["stage", "grade", "building", "room", "code", "number", "name", "purpose", "kind"];

fn identity_words(out: &Out, value: &Value) -> String {
    let is_class = value.keys().any(|field| field.as_str() == "grade");
    let part = |name: &&str| {
        let (_, found) = value.iter().find(|(field, _)| field.as_str() == *name)?;
        let text = scalar(found);
        Some(match *name {
            "grade" => format!("{}{text}{}", out.say("", "grade "), out.say("年级", "")),
            "number" if is_class => format!("{}{text}{}", out.say("", "class "), out.say("班", "")),
            "stage" | "purpose" | "kind" => term(out, &text),
            _ => text,
        })
    };
    PARTS.iter().filter_map(part).collect::<Vec<_>>().join(" ")
}

/// The word for a code of the capture forms; other text stays.
fn term(out: &Out, code: &str) -> String {
    let zh = match code {
        "primary" => "小学",
        "junior" => "初中",
        "classroom" => "普通教室",
        "music" => "音乐",
        "art" => "美术",
        "laboratory" => "实验室",
        "computer" => "计算机",
        "library" => "图书馆",
        "indoor_sports" => "室内体育",
        "counselling" => "心理辅导",
        "other" => "其他",
        "outdoor" => "室外",
        "rooftop" => "屋顶",
        "basement" => "地下",
        "leased" => "租借",
        other => other,
    };
    out.say(zh, code).to_owned()
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

#[cfg(test)]
mod tests {
    use super::super::args::Lang;
    use super::*;

    #[test]
    fn an_identity_is_said_in_words() {
        let value = |parts: &[(&str, &str)]| -> Value {
            let part =
                |(field, text): &(&str, &str)| (field.parse().unwrap(), Scalar::Text((*text).to_owned()));
            parts.iter().map(part).collect()
        };
        let class = value(&[("stage", "primary"), ("grade", "3"), ("number", "3")]);
        let room = value(&[("building", "教学楼"), ("number", "101"), ("purpose", "music")]);
        let (zh, en) = (Out::new(false, Lang::Zh), Out::new(false, Lang::En));
        assert_eq!(identity_words(&zh, &class), "小学 3年级 3班");
        assert_eq!(identity_words(&en, &class), "primary grade 3 class 3");
        assert_eq!(identity_words(&zh, &room), "教学楼 101 音乐");
    }
}
