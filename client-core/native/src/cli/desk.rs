//! The desk: conflicts, rulings, verdicts, assessments, import.
//!
//! Reading is by HTTP; what is decided is written into documents, synced, and
//! confirmed by a receipt like everything else.

use std::collections::BTreeMap;

use duxue_client_core::{Command, CommandError, Seen, Subject};
use duxue_document::decision::Outcome;
use duxue_document::{DocumentKind, EntryPath};
use duxue_protocol::api::{
    CandidateView, ConflictSubject, ConflictView, HeldDecided, HeldView, ImportReport, SchoolView,
};
use duxue_protocol::problem::Problem;
use serde::de::DeserializeOwned;

use super::context::{Context, Failure, parsed};
use super::shown::seen_by_script;
use super::sync::Delivery;
use super::{capture, county, result, rule, times, words};

/// Asks the server and reads the answer.
pub async fn get<T: DeserializeOwned>(cx: &Context, path: &str) -> Result<T, Failure> {
    let body = cx.driver.ask("GET", path, None).await?;
    serde_json::from_slice(&body).map_err(|_| CommandError::BadAnswer.into())
}

/// The open conflicts of the round, or of one school.
pub async fn open_conflicts(cx: &Context, subject: Option<&Subject>) -> Result<Vec<ConflictView>, Failure> {
    let path = match subject {
        Some(subject) => format!("/api/rounds/{}/conflicts?school={}", subject.round, subject.school),
        None => format!("/api/rounds/{}/conflicts", cx.round()?.id),
    };
    get(cx, &path).await
}

/// What the conflict is called on the command line.
pub fn name(subject: &ConflictSubject) -> String {
    match subject {
        ConflictSubject::Entry { path } => path.to_string(),
        ConflictSubject::Duplicate { duplicate } => {
            let items: Vec<&str> = duplicate.items.iter().map(|item| item.as_str()).collect();
            format!("{}/{}", duplicate.kind.as_str(), items.join("+"))
        }
        ConflictSubject::Removal { item } => item.to_string(),
    }
}

pub async fn conflicts(cx: &Context, school: Option<&str>) -> Result<(), Failure> {
    let subject = school.map(|school| cx.subject(school)).transpose()?;
    let found = open_conflicts(cx, subject.as_ref()).await?;
    let round = match &subject {
        Some(subject) => subject.round.clone(),
        None => cx.round()?.id,
    };
    let removals = rule::removals(cx, &round, &found).await?;
    cx.viewer(&round)?.remember_conflicts(&found, &removals)?;
    cx.out.json(&found);
    cx.synthetic(&round);
    for conflict in &found {
        show_conflict(cx, conflict);
        if let ConflictSubject::Removal { item } = &conflict.subject
            && let Some(shown) = removals.get(&(conflict.school.clone(), item.clone()))
        {
            rule::show_item(cx, shown);
        }
    }
    let in_county = if subject.is_none() { county::conflicts(cx, &round).await? } else { 0 };
    if found.is_empty() && in_county == 0 {
        cx.out.line("没有待裁决的冲突", "no open conflicts");
    } else if !found.is_empty() {
        cx.out.line(
            "裁决：duxue rule 学校 冲突 --select 序号 --reason 理由",
            "to rule: duxue rule SCHOOL CONFLICT --select NUMBER --reason WHY",
        );
    }
    Ok(())
}

fn show_conflict(cx: &Context, conflict: &ConflictView) {
    let flips = if conflict.flips { cx.out.say(" · 影响达标", " · decides a result") } else { "" };
    let (school, what, pupils) = (&conflict.school_name, name(&conflict.subject), conflict.pupils);
    cx.out.line(
        format!("{school} ({})：{what}{flips} · 涉及学生 {pupils}", conflict.school),
        format!("{school} ({}): {what}{flips} · {pupils} pupils", conflict.school),
    );
    if let ConflictSubject::Duplicate { duplicate } = &conflict.subject {
        cx.out
            .line(format!("可能是同一项：{}", duplicate.key), format!("may be one thing: {}", duplicate.key));
    }
    let review = conflict.review.as_ref().map(|review| words::review(&cx.out, review)).unwrap_or_default();
    if !review.is_empty() {
        cx.out.line(format!("审核：{review}"), format!("review: {review}"));
    }
    if !conflict.rulings.is_empty() {
        let count = conflict.rulings.len();
        cx.out.line(
            format!("已有 {count} 项裁决，新的裁决将取代它们"),
            format!("{count} rulings stand; yours will replace them"),
        );
    }
    let row = |(index, candidate): (usize, &CandidateView)| {
        let value = match (&candidate.candidate, &candidate.choice) {
            (Some(found), _) => words::value(&found.value),
            (None, Some(choice)) => {
                let ruled = candidate.value.as_ref().map(words::value).unwrap_or_default();
                format!("{} {ruled}", choice_in_words(cx, choice)).trim_end().to_owned()
            }
            (None, None) => String::new(),
        };
        let by = candidate.by.as_ref().map(|by| by.person_name.clone()).unwrap_or_default();
        let effects: Vec<String> = candidate
            .effects
            .iter()
            .map(|(indicator, found)| result::effect(&cx.out, indicator, found))
            .collect();
        let stated = candidate.candidate.as_ref();
        let when = stated.map(|found| times::captured(&cx.out, &found.captured)).unwrap_or_default();
        let note = stated.and_then(|found| found.note.clone()).unwrap_or_default();
        vec![(index + 1).to_string(), value, by, when, note, effects.join("\n")]
    };
    cx.out.table(
        &[
            ("序号", "number"),
            ("取值", "value"),
            ("谁", "who"),
            ("设备时间", "device time"),
            ("备注", "remark"),
            ("结果会是", "result would be"),
        ],
        conflict.candidates.iter().enumerate().map(row).collect(),
    );
}

fn choice_in_words<'a>(cx: &Context, choice: &'a str) -> &'a str {
    match choice {
        "merge" => cx.out.say("合并为一项 --merge", "one thing --merge"),
        "separate" => cx.out.say("是两项 --separate", "different things --separate"),
        "removed" => cx.out.say("已不存在 --removed", "not there --removed"),
        "ruled_before" => cx.out.say("以前裁定的值", "as ruled before:"),
        "present" => cx.out.say("仍然存在 --present", "there --present"),
        other => other,
    }
}

/// The consolidated survey of a school as the server has it.
pub async fn school_view(cx: &Context, subject: &Subject) -> Result<SchoolView, Failure> {
    get(cx, &format!("/api/rounds/{}/schools/{}", subject.round, subject.school)).await
}

/// Accepts entries, or returns them with a reason.
pub async fn judge(
    cx: &mut Context,
    school: &str,
    entries: &[String],
    saw: &[String],
    returned: Option<String>,
) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    let saw = seen_by_script(saw)?;
    cx.run(Command::Open { subject: subject.clone() }).await?;
    super::sync::quietly(cx).await?;
    let view = school_view(cx, &subject).await?;
    let mut judged: BTreeMap<EntryPath, Seen> = BTreeMap::new();
    for text in entries {
        let path: EntryPath = parsed(text)?;
        let entry = view.consolidated.entry(&path).ok_or_else(|| {
            Problem::new("desk.no_such_entry", "没有这个条目", "there is no such entry")
                .with_detail(text.clone())
        })?;
        let seen = cx.viewer(&subject.round)?.check_entry(&subject.school, &path, entry, saw.as_ref())?;
        judged.insert(path, seen);
    }
    let outcome = match returned {
        None => Outcome::Accepted,
        Some(reason) => Outcome::Returned { reason },
    };
    let count = judged.len();
    let command = Command::Judge { subject: subject.clone(), entries: judged, outcome: outcome.clone() };
    cx.run(command).await?;
    let delivery = super::sync::deliver(cx, &subject, DocumentKind::Review).await?;
    let (held, (zh, en)) = (delivery == Delivery::Held, delivery.words());
    cx.out.json(&serde_json::json!({ "judged": entries, "judgement": outcome, "held": held }));
    match outcome {
        Outcome::Accepted => {
            cx.out.line(format!("已采信 {count} 个条目，{zh}"), format!("accepted {count} entries; {en}"))
        }
        Outcome::Returned { .. } => {
            cx.out.line(format!("已退回 {count} 个条目，{zh}"), format!("returned {count} entries; {en}"))
        }
    }
    Ok(())
}

/// The county's result, or one school's.
pub async fn assessment(cx: &Context, school: Option<&str>) -> Result<(), Failure> {
    match school {
        Some(school) => {
            let subject = cx.subject(school)?;
            let path = format!("/api/rounds/{}/schools/{}/assessment", subject.round, subject.school);
            let found: serde_json::Value = get(cx, &path).await?;
            cx.out.json(&found);
            cx.synthetic(&subject.round);
            result::school(&cx.out, &cx.names(&subject.round), &found);
        }
        None => {
            let round = cx.round()?;
            let found: serde_json::Value = get(cx, &format!("/api/rounds/{}/assessment", round.id)).await?;
            cx.out.json(&found);
            cx.synthetic(&round.id);
            result::county(&cx.out, &cx.names(&round.id), &found);
        }
    }
    Ok(())
}

pub async fn what_if(cx: &Context, changes: &str) -> Result<(), Failure> {
    let round = cx.round()?;
    let body = capture::read_source(changes)?;
    let path = format!("/api/rounds/{}/what-if", round.id);
    let answer = cx.driver.ask("POST", &path, Some(("application/json", body.into_bytes()))).await?;
    let found: serde_json::Value = serde_json::from_slice(&answer).map_err(|_| CommandError::BadAnswer)?;
    cx.out.json(&found);
    result::what_if(&cx.out, &cx.names(&round.id), &found);
    Ok(())
}

/// Sends a workbook. Nothing is written when anything in it is wrong.
pub async fn import(cx: &Context, file: &std::path::Path, dry_run: bool) -> Result<(), Failure> {
    let round = cx.wanted_round()?.map_or_else(|| cx.round().map(|round| round.id), Ok)?;
    let bytes = std::fs::read(file).map_err(|error| {
        Problem::new("cli.no_file", "文件无法读取", "the file cannot be read")
            .with_detail(format!("{}: {error}", file.display()))
    })?;
    let csv = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let media =
        if csv { "text/csv" } else { "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" };
    let kind = if csv { "csv" } else { "xlsx" };
    let path = format!("/api/rounds/{round}/import?dry_run={dry_run}&filename=import.{kind}");
    let answer = cx.driver.ask("POST", &path, Some((media, bytes))).await?;
    let report: ImportReport = serde_json::from_slice(&answer).map_err(|_| CommandError::BadAnswer)?;
    cx.out.json(&report);
    let row = |level: &str, error: &duxue_protocol::api::CellError| {
        let problem = &error.problem;
        let detail = problem.detail.clone().unwrap_or_default();
        let message = format!("{} {detail}", cx.out.say(&problem.message_zh, &problem.message_en));
        vec![level.to_owned(), error.sheet.clone(), error.cell.clone(), message]
    };
    let errors = report.errors.iter().map(|error| row(cx.out.say("错误", "error"), error));
    let warnings = report.warnings.iter().map(|error| row(cx.out.say("注意", "note"), error));
    let rows: Vec<Vec<String>> = errors.chain(warnings).collect();
    if !rows.is_empty() {
        cx.out.table(&[("", ""), ("工作表", "sheet"), ("单元格", "cell"), ("问题", "problem")], rows);
    }
    let (schools, figures) = (report.schools, report.figures);
    if !report.errors.is_empty() {
        return Err(Problem::new(
            "import.errors",
            "文件有错误，什么都没有写入：改正后再导入",
            "the file has errors and nothing was written: correct it and import again",
        )
        .with_detail(format!("{0} 处 / {0} errors", report.errors.len()))
        .into());
    }
    let (zh, en) = if report.written { ("已导入", "imported") } else { ("检查通过", "checked") };
    cx.out.line(
        format!("{zh}：{schools} 所学校，{figures} 个数"),
        format!("{en}: {schools} schools, {figures} figures"),
    );
    Ok(())
}

/// Changes kept outside their documents until someone decides.
pub async fn held(cx: &Context, decide: Option<(u64, bool)>) -> Result<(), Failure> {
    let round = cx.round()?.id;
    if let Some((number, admit)) = decide {
        let body = serde_json::json!({ "admit": admit }).to_string().into_bytes();
        let path = format!("/api/rounds/{round}/held/{number}");
        let answer = cx.driver.ask("POST", &path, Some(("application/json", body))).await?;
        let decided: HeldDecided = serde_json::from_slice(&answer).map_err(|_| CommandError::BadAnswer)?;
        if decided.set_aside > 0 {
            cx.out.line(
                format!("其中 {} 项更改无法合并，采集设备会重新写入", decided.set_aside),
                format!("{} changes can never be merged; their device states them again", decided.set_aside),
            );
        }
    }
    let found: Vec<HeldView> = get(cx, &format!("/api/rounds/{round}/held")).await?;
    cx.out.json(&found);
    let row = |held: &HeldView| {
        let state = match held.admitted {
            None => cx.out.say("待处理", "undecided"),
            Some(true) => cx.out.say("已接收", "admitted"),
            Some(false) => cx.out.say("不接收", "left out"),
        };
        let school = held.school.as_ref().map(|school| cx.school_name(school)).unwrap_or_default();
        let (by, changes) = (held.by.person_name.clone(), held.hashes.len().to_string());
        vec![
            held.number.to_string(),
            school,
            words::document(&cx.out, held.kind).to_owned(),
            by,
            words::held(&cx.out, &held.reason).to_owned(),
            changes,
            state.to_owned(),
            words::released_by(&cx.out, &held.released_by),
        ]
    };
    cx.out.table(
        &[
            ("编号", "number"),
            ("学校", "school"),
            ("文档", "document"),
            ("谁", "who"),
            ("原因", "reason"),
            ("更改数", "changes"),
            ("处理", "state"),
            ("由谁处理", "decided by"),
        ],
        found.iter().map(row).collect(),
    );
    Ok(())
}
