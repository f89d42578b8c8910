//! The county's own figures and answers, written by the bureau.

use std::collections::BTreeMap;

use duxue_client_core::Packet;
use duxue_document::consolidated::{Candidate, Entry, ValueState};
use duxue_document::school::{FigureKey, Part};
use duxue_document::{EntryPath, RoundId};
use duxue_protocol::api::{CandidateView, CountyConflictView, CountyView};
use duxue_standards::standard::Level;

use super::args::{CountyAction, YesNo};
use super::batch::{Record, Target};
use super::context::{Context, Failure};
use super::{capture, desk, times, words};

pub async fn county(cx: &mut Context, action: CountyAction) -> Result<(), Failure> {
    let round = cx.round()?.id;
    let target = Target::County(round.clone());
    match action {
        CountyAction::Show => show(cx, &round),
        CountyAction::Set { quantity, value, part, note } => {
            let mut record = Record::of("quantity", Vec::new(), note);
            record.put("quantity", Some(quantity));
            record.put("part", Some(part));
            record.put("value", Some(value));
            capture::record_one(cx, &target, record).await
        }
        CountyAction::Answer { question, answer, note } => {
            capture::record_one(cx, &target, Record::answer(question, answer == YesNo::Yes, note)).await
        }
        CountyAction::Capture { batch } => capture::batch(cx, &target, &batch).await,
    }
}

/// What this device knows: what was written, and beside it what was reported.
/// What the standard asks for is listed whether or not there is anything.
fn show(cx: &Context, round: &RoundId) -> Result<(), Failure> {
    let reading = cx.driver.engine().county(round)?;
    cx.out.json(&reading);
    cx.synthetic(round);
    let packet = cx.driver.engine().packets().find(|packet| packet.packet.round.id == *round);
    let county = &reading.consolidated;
    let mut names = asked(cx, packet);
    let figures = county.declared.figures.keys().cloned().map(EntryPath::Quantity);
    let answers = county.declared.answers.keys().cloned().map(EntryPath::Answer);
    for path in county.entries.keys().cloned().chain(figures).chain(answers) {
        names.entry(path).or_default();
    }
    let declared = |path: &EntryPath| match path {
        EntryPath::Quantity(key) => county.declared.figures.get(key).map(ToString::to_string),
        EntryPath::Answer(question) => {
            let answer = county.declared.answers.get(question);
            answer.map(|yes| words::scalar(&duxue_document::Scalar::Bool(*yes)))
        }
        _ => None,
    };
    let row = |(path, name): (&EntryPath, &String)| {
        let entry = county.entries.get(path);
        let (value, state) = match entry {
            Some(entry) => (words::entry(entry), words::state(&cx.out, entry)),
            None => (String::new(), String::new()),
        };
        let who = entry.map(|entry| authors(cx, round, entry)).unwrap_or_default();
        vec![path.to_string(), name.clone(), value, declared(path).unwrap_or_default(), state, who]
    };
    cx.out.table(
        &[
            ("条目", "entry"),
            ("名称", "name"),
            ("填写", "written"),
            ("导入", "imported"),
            ("状态", "state"),
            ("谁", "who"),
        ],
        names.iter().map(row).collect(),
    );
    if !reading.conflicts.is_empty() {
        say_how(cx);
    }
    Ok(())
}

/// What the round's standard asks of the county, with its words.
fn asked(cx: &Context, packet: Option<&Packet>) -> BTreeMap<EntryPath, String> {
    let Some(standard) = packet.and_then(|packet| packet.standard.as_ref().ok()) else {
        return BTreeMap::new();
    };
    let quantities = standard.quantities.values().filter(|quantity| quantity.county).map(|quantity| {
        let key = FigureKey { quantity: quantity.id.clone(), part: Part::Whole };
        (EntryPath::Quantity(key), cx.out.say(&quantity.name.zh, &quantity.name.en).to_owned())
    });
    let questions = standard.questions().into_iter().filter(|(_, level, _)| *level == Level::County);
    let questions = questions
        .map(|(question, _, name)| (EntryPath::Answer(question), cx.out.say(&name.zh, &name.en).to_owned()));
    quantities.chain(questions).collect()
}

fn authors(cx: &Context, round: &RoundId, entry: &Entry) -> String {
    // Who wrote what does not differ is asked of the history, not of a list.
    let shown: &[Candidate] = match entry.value {
        ValueState::Conflicting { .. } => &entry.candidates,
        _ => entry.candidates.get(..1).unwrap_or_default(),
    };
    shown.iter().map(|found| cx.person(round, &found.op)).collect::<Vec<_>>().join(" | ")
}

fn say_how(cx: &Context) {
    cx.out.line(
        "县级数据的冲突不用裁决：核实后再填一次（duxue county set 或 county answer）并同步即可",
        "a conflict in the county's data needs no ruling: state it again (duxue county set or county answer) and sync",
    );
}

/// Shows the conflicts in the county document and says how many there are: as
/// the server has them, or else as this device knows them.
pub async fn conflicts(cx: &Context, round: &RoundId) -> Result<usize, Failure> {
    let found = match desk::get::<CountyView>(cx, &format!("/api/rounds/{round}/county")).await {
        Ok(view) => view.conflicts,
        Err(_) => known_here(cx, round)?,
    };
    if found.is_empty() {
        return Ok(0);
    }
    cx.out.json(&serde_json::json!({ "county_conflicts": found }));
    for conflict in &found {
        let path = &conflict.path;
        let flips = if conflict.flips { cx.out.say(" · 影响达标", " · decides a result") } else { "" };
        cx.out.line(format!("县级数据：{path}{flips}"), format!("the county's own: {path}{flips}"));
        let row = |candidate: &CandidateView| {
            let found = candidate.candidate.as_ref();
            let value = found.map(|found| words::value(&found.value)).unwrap_or_default();
            let by = candidate.by.as_ref().map(|by| by.person_name.clone());
            let by = by.or_else(|| Some(cx.person(round, candidate.op.as_ref()?)));
            let note = found.and_then(|found| found.note.clone());
            let when = found.map(|found| times::captured(&cx.out, &found.captured));
            vec![value, by.unwrap_or_default(), when.unwrap_or_default(), note.unwrap_or_default()]
        };
        cx.out.table(
            &[("取值", "value"), ("谁", "who"), ("设备时间", "device time"), ("备注", "remark")],
            conflict.candidates.iter().map(row).collect(),
        );
    }
    say_how(cx);
    Ok(found.len())
}

fn known_here(cx: &Context, round: &RoundId) -> Result<Vec<CountyConflictView>, Failure> {
    let county = cx.driver.engine().county(round)?.consolidated;
    let conflict = |(path, entry): (&EntryPath, &Entry)| {
        let candidate = |found: &Candidate| CandidateView {
            op: Some(found.op.clone()),
            choice: None,
            value: None,
            candidate: Some(found.clone()),
            by: None,
            effects: BTreeMap::new(),
        };
        matches!(entry.value, ValueState::Conflicting { .. }).then(|| CountyConflictView {
            id: format!("entry:{path}"),
            path: path.clone(),
            candidates: entry.candidates.iter().map(candidate).collect(),
            flips: false,
        })
    };
    Ok(county.entries.iter().filter_map(conflict).collect())
}
