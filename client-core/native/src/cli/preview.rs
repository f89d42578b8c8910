//! What held changes say, before anyone decides about them.

use std::collections::BTreeSet;

use duxue_document::decision::{Outcome, RulingChoice, Subject};
use duxue_document::path::ItemKey;
use duxue_protocol::api::{Decision, HeldPreview, HeldStatement, HeldWords};

use super::context::{Context, Failure};
use super::desk::get;
use super::out::Out;
use super::{times, words};

/// Every statement of one held item, page by page.
pub async fn show(cx: &Context, number: u64) -> Result<(), Failure> {
    let round = cx.round()?.id;
    let mut all: Option<HeldPreview> = None;
    loop {
        let from = all.as_ref().map_or(0, |all| all.statements.len());
        let page: HeldPreview = get(cx, &format!("/api/rounds/{round}/held/{number}?from={from}")).await?;
        let is_last = page.statements.is_empty();
        match &mut all {
            None => all = Some(page),
            Some(all) => all.statements.extend(page.statements),
        }
        let Some(all) = &all else { continue };
        if is_last || all.statements.len() as u64 >= all.total {
            break;
        }
    }
    let Some(all) = all else { return Ok(()) };
    cx.out.json(&all);
    if all.loose > 0 {
        let loose = all.loose;
        cx.out.line(
            format!("有 {loose} 项更改所依赖的内容不在这里，只能读出片段"),
            format!("{loose} changes depend on what is not here: only fragments of them can be read"),
        );
    }
    cx.out.table(
        &[
            ("条目", "entry"),
            ("内容", "what"),
            ("谁", "who"),
            ("设备时间", "device time"),
            ("照片", "photos"),
        ],
        all.statements.iter().map(|one| row(&cx.out, one)).collect(),
    );
    Ok(())
}

fn row(out: &Out, said: &HeldStatement) -> Vec<String> {
    let who = said.by.as_ref().map(|by| by.person_name.clone()).unwrap_or_default();
    let (entry, what, captured, photos) = match &said.words {
        HeldWords::Claim { path, claim, .. } => {
            (path.to_string(), words::value(&claim.value), Some(&claim.captured), claim.photos.len())
        }
        HeldWords::Decision { decision: Decision::Verdict(verdict) } => {
            let what = match &verdict.outcome {
                Outcome::Accepted => out.say("采信", "accepted").to_owned(),
                Outcome::Returned { reason } => format!("{} {reason}", out.say("退回：", "returned:")),
            };
            (verdict.entry.to_string(), what, Some(&verdict.captured), 0)
        }
        HeldWords::Decision { decision: Decision::Ruling(ruling) } => {
            let (about, choice) = ruled(out, &ruling.subject);
            (about, format!("{choice} · {}", ruling.reason), Some(&ruling.captured), 0)
        }
        HeldWords::Fragment { field, value } => (String::new(), format!("{field}={value}"), None, 0),
    };
    let when = captured.map(|captured| times::captured(out, captured)).unwrap_or_default();
    vec![entry, what, who, when, photos.to_string()]
}

/// What a ruling is about, and what it says.
fn ruled(out: &Out, subject: &Subject) -> (String, String) {
    match subject {
        Subject::Entry { path, choice: RulingChoice::Set(value), .. } => {
            (path.to_string(), words::value(value))
        }
        Subject::Entry { path, choice: RulingChoice::Select(op), .. } => (path.to_string(), op.to_string()),
        Subject::Merge { items } => (named(items), out.say("合并", "merged").to_owned()),
        Subject::Separate { items } => (named(items), out.say("分别保留", "kept apart").to_owned()),
        Subject::Removal { item, present: true, .. } => {
            (item.to_string(), out.say("仍然存在", "it is there").to_owned())
        }
        Subject::Removal { item, present: false, .. } => {
            (item.to_string(), out.say("已不存在", "it is gone").to_owned())
        }
    }
}

fn named(items: &BTreeSet<ItemKey>) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
