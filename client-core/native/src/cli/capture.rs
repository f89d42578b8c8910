//! Capturing: batches and single things by hand.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use duxue_client_core::identity::Identity;
use duxue_client_core::{Command, Mark, NewPhoto, Reply, Saved, Statement};
use duxue_document::path::ItemKey;
use duxue_document::{EntryPath, FieldId, PhotoHash, Value};
use duxue_protocol::problem::Problem;

use super::batch::{self, Record, Target};
use super::check::check;
use super::context::{Context, Failure, parsed};
use super::sheet;

/// Captures a whole sheet. Every line is on disk before it is reported. A
/// sheet that was cut off goes on where it stopped: how far it is, is stored
/// with each line's claims.
pub async fn batch(cx: &mut Context, target: &Target, source: &str) -> Result<(), Failure> {
    let text = read_source(source)?;
    let records = sheet::read(&text)?;
    let beside = (source != "-").then(|| Path::new(source));
    // Every line is checked before the first is captured.
    for (line, record) in &records {
        let command = record.clone().command(target, photos_of_shape(record), None);
        command.and_then(|command| check(&command)).map_err(|problem| sheet::at_line(*line, problem))?;
        for file in &record.photos {
            let path = sheet::beside(beside, file);
            if !path.is_file() {
                return Err(sheet::at_line(*line, no_file(&path)).into());
            }
        }
    }
    let form = batch_form(target, cx.driver.engine().identity(), &text);
    let done: usize = cx.driver.engine().drafts().get(&form).and_then(|text| text.parse().ok()).unwrap_or(0);
    if done > 0 {
        cx.out.line(
            format!("这份文件已录入 {done} 条，从下一条继续"),
            format!("{done} records of this sheet are saved already; going on after them"),
        );
    }
    let progress = progress(cx, records.len());
    for (index, (line, record)) in records.into_iter().enumerate().skip(done) {
        let mark = Mark { form: form.clone(), text: (index + 1).to_string() };
        let saved = capture_record(cx, target, record, beside, Some(mark)).await;
        let saved = saved.map_err(|failure| Failure::from(sheet::at_line(line, failure.problem)))?;
        if let Some(bar) = &progress {
            bar.inc(1);
        }
        report(cx, Some(line), &saved, progress.is_none());
    }
    if let Some(bar) = progress {
        bar.finish_and_clear();
    }
    cx.out.line(
        "已全部保存在本机；联网后运行 duxue sync",
        "all saved on this device; run duxue sync when online",
    );
    Ok(())
}

/// Where the progress of a sheet is kept: the same text for another round or
/// by another person is another work.
fn batch_form(target: &Target, identity: Option<&Identity>, text: &str) -> String {
    let person = identity.map(|identity| identity.person.as_str()).unwrap_or_default();
    let (round, of) = match target {
        Target::School(subject) => (&subject.round, subject.school.as_str()),
        Target::County(round) => (round, "county"),
    };
    format!("batch/{round}/{of}/{person}/{}", PhotoHash::of(text.as_bytes()))
}

fn progress(cx: &Context, count: usize) -> Option<indicatif::ProgressBar> {
    let style = indicatif::ProgressStyle::with_template("{bar:30} {pos}/{len}").ok()?;
    let show = cx.out.is_live() && count > 20;
    show.then(|| indicatif::ProgressBar::new(count as u64).with_style(style))
}

/// Captures one record by hand.
pub async fn one(cx: &mut Context, school: &str, record: Record) -> Result<(), Failure> {
    let target = Target::School(cx.subject(school)?);
    record_one(cx, &target, record).await
}

/// Captures one record wherever it belongs.
pub async fn record_one(cx: &mut Context, target: &Target, record: Record) -> Result<(), Failure> {
    let saved = capture_record(cx, target, record, None, None).await?;
    report(cx, None, &saved, true);
    Ok(())
}

/// The lines are checked without reading photos: only their number matters.
fn photos_of_shape(record: &Record) -> Vec<NewPhoto> {
    let shape = |file: &String| NewPhoto::new(PhotoHash::of(file.as_bytes()), 0, String::new());
    record.photos.iter().map(shape).collect()
}

async fn capture_record(
    cx: &mut Context,
    target: &Target,
    record: Record,
    beside: Option<&Path>,
    mark: Option<Mark>,
) -> Result<Saved, Failure> {
    let mut photos = Vec::new();
    for file in &record.photos {
        photos.push(super::photos::store(cx, &sheet::beside(beside, file))?);
    }
    let command = record.command(target, photos, mark)?;
    saved(cx.run(command).await?)
}

fn saved(reply: Reply) -> Result<Saved, Failure> {
    match reply {
        Reply::Saved(saved) => Ok(saved),
        _ => Err(duxue_client_core::CommandError::BadAnswer.into()),
    }
}

fn report(cx: &Context, line: Option<usize>, saved: &Saved, talk: bool) {
    cx.out.json(&serde_json::json!({
        "saved": true, "line": line, "item": saved.item, "claims": saved.claims, "warnings": saved.warnings,
    }));
    if talk {
        let paths: Vec<String> = saved.claims.iter().map(|(path, _)| path.to_string()).collect();
        let number = line.map(|line| format!("{line}: ")).unwrap_or_default();
        cx.out.line(
            format!("{number}已保存 {}", paths.join(" ")),
            format!("{number}saved {}", paths.join(" ")),
        );
    }
    // In JSON they are in the line above.
    if !cx.out.is_json() {
        saved.warnings.iter().for_each(|warning| cx.out.warning(&warning.problem));
    }
}

/// States an entry again.
pub async fn set(
    cx: &mut Context,
    school: &str,
    entry: &str,
    values: &[String],
    note: Option<String>,
) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    let path: EntryPath = parsed(entry)?;
    let statement = Statement { value: assignments(&path, values)?, note, ..Statement::default() };
    let claims = vec![(path, statement)];
    let reply = cx.run(Command::PutClaims { subject, claims, photos: Vec::new(), mark: None }).await?;
    report(cx, None, &saved(reply)?, true);
    Ok(())
}

/// Reads `field=value` words.
pub fn assignments(path: &EntryPath, words: &[String]) -> Result<Value, Failure> {
    let mut value = Value::new();
    for word in words {
        // A single plain word is the entry's only value.
        let (field, text) = word.split_once('=').unwrap_or(("value", word));
        value.extend(batch::value_of(path, field, text)?);
    }
    Ok(value)
}

pub async fn complete(cx: &mut Context, school: &str, section: &str, complete: bool) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    let section = batch::section(section)?;
    let reply = cx.run(Command::MarkSection { subject, section, complete }).await?;
    report(cx, None, &saved(reply)?, true);
    Ok(())
}

pub async fn copy(cx: &mut Context, school: &str, item: &str, values: &[String]) -> Result<(), Failure> {
    let subject = cx.subject(school)?;
    let item: ItemKey = parsed(item)?;
    let mut changes: BTreeMap<FieldId, Statement> = BTreeMap::new();
    for word in values {
        let (entry, assignment) = word.split_once('.').ok_or_else(|| bad_word(word))?;
        let entry: FieldId = parsed(entry)?;
        let path = EntryPath::Item { kind: item.kind, item: item.item.clone(), field: entry.clone() };
        let value = assignments(&path, &[assignment.to_owned()])?;
        changes.entry(entry).or_default().value.extend(value);
    }
    let reply = cx.run(Command::CopyItem { subject, item, changes }).await?;
    report(cx, None, &saved(reply)?, true);
    Ok(())
}

pub async fn undo(cx: &mut Context, school: &str, entry: &str) -> Result<(), Failure> {
    let (subject, path) = (cx.subject(school)?, parsed(entry)?);
    let reply = cx.run(Command::Undo { subject, path }).await?;
    report(cx, None, &saved(reply)?, true);
    Ok(())
}

pub async fn remove(cx: &mut Context, school: &str, item: &str, reason: String) -> Result<(), Failure> {
    let (subject, item) = (cx.subject(school)?, parsed(item)?);
    let reply = cx.run(Command::RemoveItem { subject, item, reason }).await?;
    report(cx, None, &saved(reply)?, true);
    Ok(())
}

fn bad_word(word: &str) -> Failure {
    Problem::new("cli.bad_argument", "应写成 条目.字段=值", "write entry.field=value")
        .with_detail(word)
        .into()
}

/// The text of a file, or of standard input for `-`.
pub fn read_source(source: &str) -> Result<String, Failure> {
    let read = if source == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(source)
    };
    read.map_err(|error| {
        Problem::new("cli.no_file", "文件无法读取", "the file cannot be read")
            .with_detail(format!("{source}: {error}"))
            .into()
    })
}

fn no_file(path: &Path) -> Problem {
    Problem::new("cli.no_file", "文件无法读取", "the file cannot be read")
        .with_detail(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_new_work_for_another_round_school_or_person() {
        let school = |round: &str, school: &str| {
            let (round, school) = (round.parse().unwrap(), school.parse().unwrap());
            Target::School(duxue_client_core::Subject { round, school })
        };
        let identity = |person: &str| Identity {
            server: String::new(),
            token: String::new(),
            person: person.parse().unwrap(),
            device: None,
            expires_ms: 0,
            server_key: String::new(),
            clock_offset_ms: 0,
            device_secret: None,
        };
        let form =
            |target: Target, person| batch_form(&target, Some(&identity(person)), "{\"type\":\"answer\"}");
        let first = form(school("r1", "3402070001"), "li");
        assert_eq!(first, form(school("r1", "3402070001"), "li"));
        let others = [
            form(school("r2", "3402070001"), "li"),
            form(school("r1", "3402070002"), "li"),
            form(school("r1", "3402070001"), "wang"),
            form(Target::County("r1".parse().unwrap()), "li"),
        ];
        assert!(!others.contains(&first), "{others:?}");
    }
}
