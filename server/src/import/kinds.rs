//! The register's words: kinds of school, settings, sponsors, attached classes.

use std::collections::BTreeSet;

use duxue_document::school::{Part, SchoolKind, Setting};

use super::words::{half_width, key, list};

/// What the cell of 办学类型 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KindWord {
    Kind(SchoolKind),
    Kindergarten,
    Unknown,
}

const KINDS: &[(SchoolKind, &[&str])] = &[
    (SchoolKind::Primary, &["小学", "普通小学", "完全小学"]),
    (SchoolKind::Junior, &["初中", "初级中学", "普通初中"]),
    (SchoolKind::NineYear, &["九年一贯制", "九年一贯制学校", "九年制学校"]),
    (SchoolKind::TwelveYear, &["十二年一贯制", "十二年一贯制学校"]),
    (SchoolKind::CompleteSecondary, &["完全中学"]),
    (SchoolKind::Senior, &["高级中学", "高中", "普通高中"]),
    (SchoolKind::Vocational, &["职业学校", "中等职业学校", "职业高中", "职业中学"]),
    (SchoolKind::Special, &["特殊教育学校", "特教学校"]),
    (SchoolKind::TeachingPoint, &["教学点", "小学教学点"]),
];

/// Reads 办学类型.
pub(super) fn kind(text: &str) -> KindWord {
    let text = key(text);
    if text.contains("幼儿园") {
        return KindWord::Kindergarten;
    }
    KINDS
        .iter()
        .find(|(_, names)| names.contains(&text.as_str()))
        .map_or(KindWord::Unknown, |(kind, _)| KindWord::Kind(*kind))
}

/// The kind's name in our own sheets.
pub(super) fn kind_name(kind: SchoolKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).and_then(|(_, names)| names.first()).copied().unwrap_or("")
}

/// The parts that a school of this kind has by itself.
pub(super) fn own_parts(kind: SchoolKind) -> &'static [Part] {
    match kind {
        SchoolKind::Primary | SchoolKind::TeachingPoint => &[Part::Primary],
        SchoolKind::Junior => &[Part::Junior],
        SchoolKind::NineYear => &[Part::Primary, Part::Junior],
        SchoolKind::TwelveYear => &[Part::Primary, Part::Junior, Part::Senior],
        SchoolKind::CompleteSecondary => &[Part::Junior, Part::Senior],
        SchoolKind::Senior | SchoolKind::Vocational => &[Part::Senior],
        SchoolKind::Special => &[Part::Special, Part::Primary, Part::Junior],
    }
}

const SETTINGS: &[(Setting, &[&str])] = &[
    (Setting::Urban, &["城区", "主城区", "城乡结合区", "城市"]),
    (Setting::Town, &["镇区", "镇中心区", "镇乡结合区", "特殊区域", "县镇"]),
    (Setting::Rural, &["乡村", "乡中心区", "村庄", "农村"]),
];

/// Reads 城乡分类.
pub(super) fn setting(text: &str) -> Option<Setting> {
    let text = key(text);
    SETTINGS.iter().find(|(_, names)| names.contains(&text.as_str())).map(|(setting, _)| *setting)
}

/// The setting's name in our own sheets.
pub(super) fn setting_name(setting: Setting) -> &'static str {
    SETTINGS
        .iter()
        .find(|(known, _)| *known == setting)
        .and_then(|(_, names)| names.first())
        .copied()
        .unwrap_or("")
}

/// 举办者类型 in the order of its codes 1 to 10.
const SPONSORS: [&str; 10] = [
    "中央教育部门",
    "中央其他部门",
    "省级教育部门",
    "省级其他部门",
    "地级教育部门",
    "地级其他部门",
    "县级教育部门",
    "县级其他部门",
    "地方企业",
    "民办",
];

/// Reads 举办者类型: the code or its name.
pub(super) fn sponsor(text: &str) -> Option<u8> {
    let text = half_width(text);
    if let Ok(code) = text.trim().parse::<u8>() {
        return (1..=10).contains(&code).then_some(code);
    }
    let text = key(&text);
    (1..).zip(SPONSORS).find(|(_, name)| *name == text).map(|(code, _)| code)
}

const ATTACHED: &[(Part, &[&str])] = &[
    (Part::Kindergarten, &["附设幼儿班", "幼儿班", "幼儿园"]),
    (Part::Primary, &["附设小学班", "小学班", "小学"]),
    (Part::Junior, &["附设初中班", "附设普通初中班", "初中班", "初中"]),
    (Part::Senior, &["附设高中班", "附设普通高中班", "高中班", "高中"]),
    (Part::Special, &["附设特教班", "特教班"]),
];

/// Reads the list of 附设班; the item that is unknown, if any.
pub(super) fn attached(text: &str) -> Result<BTreeSet<Part>, String> {
    let mut parts = BTreeSet::new();
    for item in list(text) {
        let word = key(&item);
        let (part, _) = ATTACHED.iter().find(|(_, names)| names.contains(&word.as_str())).ok_or(item)?;
        parts.insert(*part);
    }
    Ok(parts)
}

/// The name of attached classes in our own sheets.
pub(super) fn attached_name(part: Part) -> &'static str {
    ATTACHED
        .iter()
        .find(|(known, _)| *known == part)
        .and_then(|(_, names)| names.first())
        .copied()
        .unwrap_or("")
}
