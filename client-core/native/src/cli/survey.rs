//! Schools, surveys and the offline preview.

use std::collections::BTreeSet;

use duxue_client_core::CommandError;
use duxue_client_core::views::{OpenPoint, SurveyView};
use duxue_document::conflict::ConflictSubject;
use duxue_document::consolidated::{ConsolidatedSchool, Entry, Removal, fields};
use duxue_document::path::{ItemKind, Section};
use duxue_document::{EntryPath, FieldId};
use duxue_protocol::api::{Role, SchoolView};
use serde::Serialize;

use super::context::{Context, Failure};
use super::{result, words};

pub fn schools(cx: &Context) -> Result<(), Failure> {
    let schools = cx.driver.engine().schools();
    cx.out.json(&schools);
    if schools.is_empty() {
        cx.round()?;
    }
    let row = |school: &duxue_client_core::views::SchoolProgress| {
        let mark = if school.assigned { "●" } else { "" };
        vec![
            mark.to_owned(),
            school.subject.school.to_string(),
            school.school.name.clone(),
            format!("{}/6", school.complete),
            school.entries.to_string(),
            school.conflicts.to_string(),
            school.returned.to_string(),
            school.photos_waiting.to_string(),
        ]
    };
    cx.out.table(
        &[
            ("负责", "mine"),
            ("标识码", "code"),
            ("学校", "school"),
            ("完成", "done"),
            ("条目", "entries"),
            ("冲突", "conflicts"),
            ("退回", "returned"),
            ("待传照片", "photos waiting"),
        ],
        schools.iter().map(row).collect(),
    );
    Ok(())
}

/// An inspector's survey comes from this device; the desk reads the server's.
pub async fn survey(cx: &mut Context, school: &str) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    if cx.has_role(&subject.round, Role::Inspector) {
        let view = cx.driver.engine().survey(&subject)?;
        let replaced = cx.driver.engine().replaced_others(&subject);
        cx.out.json(&WithReplaced { view: &view, replaced: &replaced });
        returned(cx, &view);
        show(cx, &view.consolidated, &replaced);
        open_points(cx, &view);
        cx.viewer(&subject.round)?.remember_entries(&view.consolidated)?;
    } else {
        let path = format!("/api/rounds/{}/schools/{}", subject.round, subject.school);
        let view: SchoolView = super::desk::get(cx, &path).await?;
        cx.out.json(&view);
        show(cx, &view.consolidated, &view.replaced);
        cx.viewer(&subject.round)?.remember_entries(&view.consolidated)?;
    }
    Ok(())
}

/// A survey with the entries whose value took the place of another person's,
/// named as in the server's [`SchoolView`].
#[derive(Serialize)]
struct WithReplaced<'a> {
    #[serde(flatten)]
    view: &'a SurveyView,
    replaced: &'a Replaced,
}

type Replaced = BTreeSet<EntryPath>;

/// What an entry comes to, and whether its value replaced a colleague's.
fn state(cx: &Context, path: &EntryPath, entry: &Entry, replaced: &Replaced) -> String {
    let known = words::state(&cx.out, entry);
    if !replaced.contains(path) {
        return known;
    }
    let mark = cx.out.say("取代了他人的值（duxue history）", "replaced another's value (duxue history)");
    if known.is_empty() { mark.to_owned() } else { format!("{known} · {mark}") }
}

/// What was sent back comes first: it is what its author came for.
fn returned(cx: &Context, view: &SurveyView) {
    for point in &view.open {
        if let OpenPoint::Returned { path, reason } = point {
            cx.out.line(format!("退回：{path} {reason}"), format!("returned: {path} {reason}"));
        }
    }
}

fn show(cx: &Context, school: &ConsolidatedSchool, replaced: &Replaced) {
    cx.out.line(
        format!("{} {}", school.school.id, school.school.name),
        format!("{} {}", school.school.id, school.school.name),
    );
    for (kind, section) in [
        (ItemKind::Classes, Section::Classes),
        (ItemKind::Rooms, Section::Rooms),
        (ItemKind::Grounds, Section::Grounds),
        (ItemKind::Equipment, Section::Equipment),
    ] {
        items(cx, school, (kind, section), replaced);
    }
    let mut rows = Vec::new();
    for (path, entry) in &school.entries {
        let name = match path {
            EntryPath::Quantity(key) => format!("quantities/{key}"),
            EntryPath::Answer(_) => path.to_string(),
            EntryPath::Section(_) | EntryPath::Evidence(_) | EntryPath::Item { .. } => continue,
        };
        let declared = match path {
            EntryPath::Quantity(key) => school.declared.figures.get(key).map(ToString::to_string),
            _ => None,
        };
        rows.push(vec![
            name,
            words::entry(entry),
            declared.unwrap_or_default(),
            state(cx, path, entry, replaced),
        ]);
    }
    if !rows.is_empty() {
        cx.out
            .table(&[("条目", "entry"), ("实测", "observed"), ("上报", "declared"), ("状态", "state")], rows);
    }
}

fn items(
    cx: &Context,
    school: &ConsolidatedSchool,
    (kind, section): (ItemKind, Section),
    replaced: &Replaced,
) {
    let here = school.items.iter().filter(|(key, _)| key.kind == kind);
    let mut rows = Vec::new();
    for (key, item) in here {
        let field = |name: &str| {
            let known: Option<&_> = name.parse::<FieldId>().ok().and_then(|field| item.fields.get(&field));
            known.map(words::entry).unwrap_or_default()
        };
        let others =
            item.fields.keys().filter(|name| !matches!(name.as_str(), fields::IDENTITY | fields::REMOVED));
        let values: Vec<String> = others.map(|name| format!("{name}: {}", field(name.as_str()))).collect();
        let mut states: Vec<String> = item
            .fields
            .iter()
            .map(|(name, entry)| {
                let (kind, item) = (key.kind, key.item.clone());
                let path = EntryPath::Item { kind, item, field: name.clone() };
                (name, state(cx, &path, entry, replaced))
            })
            .filter(|(_, state)| !state.is_empty())
            .map(|(name, state)| format!("{name}: {state}"))
            .collect();
        match item.removal {
            Removal::Present => {}
            Removal::Removed => states.push(cx.out.say("已删除", "removed").to_owned()),
            Removal::EditedAfterRemoval { .. } => {
                states.push(cx.out.say("删除后又有修改", "edited after removal").to_owned());
            }
        }
        let identity = fields::IDENTITY.parse::<FieldId>().ok();
        let identity = identity.and_then(|field| item.fields.get(&field));
        let what = identity.map(|entry| words::identity(&cx.out, entry)).unwrap_or_default();
        rows.push(vec![key.to_string(), what, values.join("; "), states.join("; ")]);
    }
    let done = if school.complete.contains(&section) { " ✓" } else { "" };
    let name = words::section(&cx.out, section);
    if rows.is_empty() {
        cx.out.line(format!("{name}{done}：无"), format!("{name}{done}: none"));
    } else {
        cx.out.line(format!("{name}{done}"), format!("{name}{done}"));
        cx.out.table(&[("项", "item"), ("是什么", "what"), ("内容", "values"), ("状态", "state")], rows);
    }
}

fn open_points(cx: &Context, view: &SurveyView) {
    let row = |point: &OpenPoint| match point {
        OpenPoint::Section { section } => vec![
            cx.out.say("未完成", "not complete").to_owned(),
            words::section(&cx.out, *section).to_owned(),
            String::new(),
        ],
        OpenPoint::Returned { path, reason } => {
            vec![cx.out.say("退回", "returned").to_owned(), path.to_string(), reason.clone()]
        }
        OpenPoint::Conflict { conflict } => {
            let what = match &conflict.subject {
                ConflictSubject::Entry { .. } => cx.out.say("取值不同", "values differ"),
                ConflictSubject::Duplicate { .. } => cx.out.say("可能重复", "may be the same"),
                ConflictSubject::Removal { .. } => cx.out.say("删除后又有修改", "edited after removal"),
            };
            vec![cx.out.say("冲突", "conflict").to_owned(), conflict.id.clone(), what.to_owned()]
        }
        OpenPoint::Finding { finding } => vec![
            cx.out.say("不合格式", "does not fit").to_owned(),
            finding.path.clone(),
            words::finding(&cx.out, finding),
        ],
    };
    if view.open.is_empty() {
        cx.out.line("没有待办", "nothing is open");
    } else {
        cx.out.line("待办", "open points");
        cx.out.table(
            &[("待办", "open"), ("在哪里", "where"), ("说明", "detail")],
            view.open.iter().map(row).collect(),
        );
    }
}

/// The indicators as this device sees them, without a network.
pub fn preview(cx: &Context, school: &str) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    let preview = cx.driver.engine().preview(&subject)?;
    cx.out.json(&preview);
    if cx.out.is_json() {
        return Ok(());
    }
    cx.synthetic(&subject.round);
    let name = cx.school_name(&subject.school);
    let standard = &preview.standard;
    cx.out.line(
        format!("{name} · 预览（仅供参考，以服务器评估为准）· 标准 {standard}"),
        format!("{name} · provisional preview; the server's assessment counts · standard {standard}"),
    );
    let value = serde_json::to_value(&preview.assessment).map_err(|_| CommandError::BadAnswer)?;
    result::school(&cx.out, &cx.names(&subject.round), &value);
    Ok(())
}
