//! The county's own figures and answers, written by the bureau.

use std::collections::BTreeMap;

use duxue_client_core::Packet;
use duxue_document::conflict::{Conflict, ConflictSubject};
use duxue_document::consolidated::{Candidate, Entry, ValueState};
use duxue_document::school::{FigureKey, Part};
use duxue_document::{EntryPath, RoundId};
use duxue_protocol::api::{CandidateView, CountyConflictView, CountyView};
use duxue_protocol::problem::Problem;
use duxue_standards::standard::Level;

use super::args::{CountyAction, YesNo};
use super::batch::{Record, Target};
use super::context::{Context, Failure};
use super::{capture, desk, result, times, words};

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
/// the server has them, or, where it cannot be reached, as this device knows
/// them.
pub async fn conflicts(cx: &Context, round: &RoundId) -> Result<usize, Failure> {
    let asked = desk::get::<CountyView>(cx, &format!("/api/rounds/{round}/county")).await;
    let found = or_known_here(asked.map(|view| view.conflicts), || known_here(cx, round))?;
    if let Known::Here { problem, .. } = &found {
        cx.out.warning(problem);
    }
    if !found.conflicts().is_empty() {
        cx.out.json(&found.json());
    }
    let (conflicts, is_here) = (found.conflicts(), matches!(found, Known::Here { .. }));
    for conflict in conflicts {
        let path = &conflict.path;
        let flips = match (is_here, conflict.flips) {
            // Only the server has the whole county to try each choice on.
            (true, _) => cx.out.say(" · 是否影响达标：未知", " · whether it decides a result is not known"),
            (false, true) => cx.out.say(" · 影响达标", " · decides a result"),
            (false, false) => "",
        };
        cx.out.line(format!("县级数据：{path}{flips}"), format!("the county's own: {path}{flips}"));
        candidates(cx, round, conflict);
    }
    if !conflicts.is_empty() {
        say_how(cx);
    }
    Ok(conflicts.len())
}

fn candidates(cx: &Context, round: &RoundId, conflict: &CountyConflictView) {
    let row = |candidate: &CandidateView| {
        let found = candidate.candidate.as_ref();
        let value = found.map(|found| words::value(&found.value)).unwrap_or_default();
        let by = candidate.by.as_ref().map(|by| by.person_name.clone());
        let by = by.or_else(|| Some(cx.person(round, candidate.op.as_ref()?)));
        let note = found.and_then(|found| found.note.clone());
        let when = found.map(|found| times::captured(&cx.out, &found.captured));
        let effects = candidate.effects.iter();
        let effects = effects.map(|(indicator, found)| result::effect(&cx.out, indicator, found));
        let effects = effects.collect::<Vec<_>>().join("\n");
        vec![value, by.unwrap_or_default(), when.unwrap_or_default(), note.unwrap_or_default(), effects]
    };
    cx.out.table(
        &[
            ("取值", "value"),
            ("谁", "who"),
            ("设备时间", "device time"),
            ("备注", "remark"),
            ("结果会是", "result would be"),
        ],
        conflict.candidates.iter().map(row).collect(),
    );
}

/// The county's conflicts, and from where.
#[derive(Debug)]
enum Known {
    Server(Vec<CountyConflictView>),
    /// As this device knows them: others may have written since.
    Here {
        conflicts: Vec<CountyConflictView>,
        problem: Problem,
    },
}

impl Known {
    fn conflicts(&self) -> &[CountyConflictView] {
        match self {
            Self::Server(conflicts) | Self::Here { conflicts, .. } => conflicts,
        }
    }

    /// What only the server can know is null where it was not asked.
    fn json(&self) -> serde_json::Value {
        let mut conflicts = serde_json::json!(self.conflicts());
        if let Self::Here { .. } = self {
            for conflict in conflicts.as_array_mut().into_iter().flatten() {
                conflict["flips"] = serde_json::Value::Null;
            }
        }
        serde_json::json!({ "county_conflicts": conflicts, "stale": matches!(self, Self::Here { .. }) })
    }
}

/// What the server says. Only where it cannot be reached does this device's
/// own knowledge stand in; any other refusal is one.
fn or_known_here(
    asked: Result<Vec<CountyConflictView>, Failure>,
    known_here: impl FnOnce() -> Result<Vec<CountyConflictView>, Failure>,
) -> Result<Known, Failure> {
    match asked {
        Ok(conflicts) => Ok(Known::Server(conflicts)),
        Err(failure) if failure.problem.code == "network.unreachable" => Ok(Known::Here {
            conflicts: known_here()?,
            problem: Problem::new(
                "county.known_here",
                "连不上服务器：下面的县级冲突是本机上次同步时所知的，可能已经过时",
                "the server cannot be reached: the county's conflicts below are as this device last knew them",
            ),
        }),
        Err(failure) => Err(failure),
    }
}

fn known_here(cx: &Context, round: &RoundId) -> Result<Vec<CountyConflictView>, Failure> {
    let reading = cx.driver.engine().county(round)?;
    let candidate = |found: &Candidate| CandidateView {
        op: Some(found.op.clone()),
        choice: None,
        value: None,
        candidate: Some(found.clone()),
        by: None,
        effects: BTreeMap::new(),
    };
    let view = |conflict: Conflict| {
        let ConflictSubject::Entry { path, .. } = conflict.subject else { return None };
        let entry = reading.consolidated.entries.get(&path)?;
        let candidates = entry.candidates.iter().map(candidate).collect();
        Some(CountyConflictView { id: conflict.id, path, candidates, flips: false })
    };
    Ok(reading.conflicts.iter().cloned().filter_map(view).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict() -> CountyConflictView {
        let path: EntryPath = "answers/A2-1".parse().unwrap();
        CountyConflictView { id: format!("entry:{path}"), path, candidates: Vec::new(), flips: false }
    }

    #[test]
    fn only_where_the_server_cannot_be_reached_what_is_known_here_stands_in_and_says_so() {
        let problem = |code| Failure::from(Problem::new(code, "错", "wrong"));
        let here = || Ok(vec![conflict(), conflict()]);
        let server = or_known_here(Ok(vec![conflict()]), here).unwrap();
        assert_eq!(server.json()["county_conflicts"].as_array().unwrap().len(), 1);
        assert_eq!(server.json()["county_conflicts"][0]["flips"], false);
        assert_eq!(server.json()["stale"], false);
        let local = or_known_here(Err(problem("network.unreachable")), here).unwrap();
        assert_eq!(local.conflicts().len(), 2);
        assert_eq!(local.json()["stale"], true);
        assert_eq!(
            local.json()["county_conflicts"][1]["flips"],
            serde_json::Value::Null,
            "unknown is not no"
        );
        for code in ["session.ended", "network.bad_answer", "http.500", "network.insecure"] {
            let refused = or_known_here(Err(problem(code)), here).unwrap_err();
            assert_eq!(refused.problem.code, code);
        }
    }
}
