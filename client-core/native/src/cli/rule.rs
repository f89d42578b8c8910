//! Ruling on conflicts. What a ruling settles is what its author was shown.

use std::collections::{BTreeMap, BTreeSet};

use duxue_client_core::{Command, Subject};
use duxue_document::consolidated::{Entry, Item, fields};
use duxue_document::decision::{RulingChoice, Subject as About};
use duxue_document::path::ItemKey;
use duxue_document::{DocumentKind, EntryPath, FieldId, OpId, RoundId, Scalar, SchoolId};
use duxue_protocol::api::{CandidateView, ConflictSubject, ConflictView};
use duxue_protocol::problem::Problem;

use super::args::RuleArgs;
use super::context::{Context, Failure};
use super::desk::{name, open_conflicts, school_view};
use super::sync::Delivery;
use super::{capture, words};

/// Removed items that were edited, as the server has them, by school and item.
pub type Removals = BTreeMap<(SchoolId, ItemKey), Item>;

/// Rules on one conflict, syncs, and shows what became of it.
pub async fn rule(cx: &mut Context, args: RuleArgs) -> Result<(), Failure> {
    let subject = cx.subject(&args.school)?;
    // The ruling must know the rulings before it, to replace them.
    cx.run(Command::Open { subject: subject.clone() }).await?;
    super::sync::quietly(cx).await?;
    let found = open_conflicts(cx, Some(&subject)).await?;
    let conflict = pick(found, &args)?;
    cx.viewer(&subject.round)?.check_conflict(&conflict)?;
    let about = decision(cx, &subject, &conflict, &args).await?;
    let rulings = conflict.rulings.clone();
    cx.run(Command::Rule { subject: subject.clone(), about, rulings, reason: args.reason }).await?;
    let delivery = super::sync::deliver(cx, &subject, DocumentKind::Ruling).await?;
    let (what, (zh, en)) = (name(&conflict.subject), delivery.words());
    let held = delivery == Delivery::Held;
    cx.out.json(&serde_json::json!({ "ruled": what, "school": subject.school, "held": held }));
    cx.out.line(format!("已裁决 {what}，{zh}"), format!("ruled on {what}; {en}"));
    Ok(())
}

fn pick(found: Vec<ConflictView>, args: &RuleArgs) -> Result<ConflictView, Failure> {
    let wanted = args.conflict.trim_start_matches("entry:").trim_start_matches("duplicate:");
    let wanted = wanted.trim_start_matches("removal:");
    let fits = |conflict: &ConflictView| match &conflict.subject {
        // `--removed` and `--present` are about the item, not an entry of it.
        ConflictSubject::Removal { .. } if !(args.removed || args.present) => false,
        ConflictSubject::Entry { .. } | ConflictSubject::Duplicate { .. } if args.removed || args.present => {
            false
        }
        subject => name(subject) == wanted || name(subject).starts_with(wanted),
    };
    let mut fitting: Vec<ConflictView> = found.into_iter().filter(fits).collect();
    if let Some(exact) = fitting.iter().position(|conflict| name(&conflict.subject) == wanted) {
        return Ok(fitting.swap_remove(exact));
    }
    match fitting.len() {
        1 => Ok(fitting.swap_remove(0)),
        0 => Err(Problem::new(
            "desk.no_such_conflict",
            "没有这个待裁决的冲突：用 duxue conflicts 查看",
            "there is no such open conflict: see duxue conflicts",
        )
        .with_detail(args.conflict.clone())
        .into()),
        _ => Err(Problem::new(
            "desk.ambiguous_conflict",
            "有几个冲突符合：请写完整",
            "several conflicts match: write more of it",
        )
        .with_detail(fitting.iter().map(|conflict| name(&conflict.subject)).collect::<Vec<_>>().join(", "))
        .into()),
    }
}

async fn decision(
    cx: &Context,
    subject: &Subject,
    conflict: &ConflictView,
    args: &RuleArgs,
) -> Result<About, Failure> {
    match &conflict.subject {
        ConflictSubject::Entry { path } => on_entry(conflict, path, args),
        ConflictSubject::Duplicate { duplicate } => {
            let key = |item: &duxue_document::ItemId| ItemKey { kind: duplicate.kind, item: item.clone() };
            let items = duplicate.items.iter().map(key).collect();
            match (args.merge, args.separate) {
                (true, _) => Ok(About::Merge { items }),
                (_, true) => Ok(About::Separate { items }),
                (false, false) => Err(choice_missing("--merge | --separate")),
            }
        }
        ConflictSubject::Removal { item } => {
            if !args.removed && !args.present {
                return Err(choice_missing("--removed | --present"));
            }
            let now = removals(cx, &subject.round, std::slice::from_ref(conflict)).await?;
            let saw = now.values().flat_map(ops_of).collect();
            cx.viewer(&subject.round)?.check_removal(conflict, &saw)?;
            Ok(About::Removal { item: item.clone(), present: args.present, saw })
        }
    }
}

fn on_entry(conflict: &ConflictView, path: &EntryPath, args: &RuleArgs) -> Result<About, Failure> {
    let choice = match (&args.select, args.set.is_empty()) {
        (Some(select), _) => {
            let chosen = selected(conflict, select)?;
            match (&chosen.op, &chosen.value) {
                (Some(op), _) => RulingChoice::Select(op.clone()),
                // As ruled before: nobody's candidate, so it is set again.
                (None, Some(value)) => RulingChoice::Set(value.clone()),
                (None, None) => return Err(no_such_candidate(conflict, select)),
            }
        }
        (None, false) => RulingChoice::Set(capture::assignments(path, &args.set)?),
        (None, true) => return Err(choice_missing("--select | --set")),
    };
    let saw = conflict.candidates.iter().filter_map(|candidate| candidate.op.clone()).collect();
    Ok(About::Entry { path: path.clone(), choice, saw, verdicts: conflict.verdicts.clone() })
}

/// The items that these conflicts say were edited after their removal.
pub async fn removals(
    cx: &Context,
    round: &RoundId,
    conflicts: &[ConflictView],
) -> Result<Removals, Failure> {
    let mut wanted: BTreeMap<SchoolId, Vec<ItemKey>> = BTreeMap::new();
    for conflict in conflicts {
        if let ConflictSubject::Removal { item } = &conflict.subject {
            wanted.entry(conflict.school.clone()).or_default().push(item.clone());
        }
    }
    let mut found = Removals::new();
    for (school, items) in wanted {
        let view = school_view(cx, &Subject { round: round.clone(), school: school.clone() }).await?;
        for item in items {
            if let Some((_, thing)) = view.consolidated.thing(&item) {
                found.insert((school.clone(), item), thing.clone());
            }
        }
    }
    Ok(found)
}

/// Every live op of an item, its removals included.
pub fn ops_of(item: &Item) -> BTreeSet<OpId> {
    let candidates = item.fields.values().flat_map(|entry| &entry.candidates);
    candidates.map(|candidate| candidate.op.clone()).collect()
}

/// What the ruling on its removal will cover.
pub fn show_item(cx: &Context, item: &Item) {
    let row = |(field, entry): (&FieldId, &Entry)| {
        let said = if field.as_str() == fields::REMOVED { reasons(entry) } else { words::entry(entry) };
        vec![field.to_string(), said, words::state(&cx.out, entry)]
    };
    cx.out.table(
        &[("条目", "entry"), ("内容", "value"), ("状态", "state")],
        item.fields.iter().map(row).collect(),
    );
}

/// Why people removed it.
fn reasons(entry: &Entry) -> String {
    let reason = |candidate: &duxue_document::consolidated::Candidate| {
        let (_, found) = candidate.value.iter().find(|(field, _)| field.as_str() == "reason")?;
        match found {
            Scalar::Text(text) => Some(text.clone()),
            Scalar::Bool(_) | Scalar::Number(_) => None,
        }
    };
    entry.candidates.iter().filter_map(reason).collect::<Vec<_>>().join(" | ")
}

fn selected<'a>(conflict: &'a ConflictView, select: &str) -> Result<&'a CandidateView, Failure> {
    let by_number =
        select.parse::<usize>().ok().and_then(|number| conflict.candidates.get(number.wrapping_sub(1)));
    let by_op =
        || conflict.candidates.iter().find(|found| found.op.as_ref().is_some_and(|op| op.as_str() == select));
    by_number.or_else(by_op).ok_or_else(|| no_such_candidate(conflict, select))
}

/// The detail lists what there is to choose from.
fn no_such_candidate(conflict: &ConflictView, select: &str) -> Failure {
    let known = conflict.candidates.iter().enumerate().map(|(index, candidate)| {
        let stated = candidate.candidate.as_ref().map(|found| &found.value).or(candidate.value.as_ref());
        let value = stated.map(words::value).unwrap_or_default();
        let op = candidate.op.as_ref().map(|op| format!(" {op}")).unwrap_or_default();
        format!("{}: {value}{op}", index + 1)
    });
    let known: Vec<String> = known.collect();
    Problem::new(
        "desk.no_such_candidate",
        "没有这个候选：请从括号里列出的序号或操作号中选择",
        "there is no such candidate: choose one of those listed, by number or op id",
    )
    .with_detail(format!("{select}; {}", known.join(", ")))
    .into()
}

fn choice_missing(options: &str) -> Failure {
    Problem::new("desk.choice_missing", "请写明怎样裁决", "say how to settle it").with_detail(options).into()
}

#[cfg(test)]
mod tests {
    use duxue_document::Value;

    use super::*;

    fn candidate(op: Option<&str>, ruled: Option<&Value>) -> CandidateView {
        CandidateView {
            op: op.map(|op| op.parse().unwrap()),
            choice: ruled.map(|_| "ruled_before".to_owned()),
            value: ruled.cloned(),
            candidate: None,
            by: None,
            effects: BTreeMap::new(),
        }
    }

    fn args(select: Option<&str>, set: &[&str]) -> RuleArgs {
        RuleArgs {
            school: "s".to_owned(),
            conflict: "c".to_owned(),
            select: select.map(str::to_owned),
            set: set.iter().map(|word| (*word).to_owned()).collect(),
            merge: false,
            separate: false,
            removed: false,
            present: false,
            reason: "r".to_owned(),
        }
    }

    #[test]
    fn a_choice_by_number_or_op_is_the_candidate_and_a_value_ruled_before_is_set_again() {
        let path: EntryPath = "quantities/books:whole".parse().unwrap();
        let value = |text: &str| super::super::batch::value_of(&path, "value", text).unwrap();
        let ruled = value("950");
        let conflict = ConflictView {
            id: String::new(),
            school: "1234567890".parse().unwrap(),
            school_name: String::new(),
            subject: ConflictSubject::Entry { path: path.clone() },
            candidates: vec![
                candidate(Some("1@aa"), None),
                candidate(Some("2@bb"), None),
                candidate(None, Some(&ruled)),
            ],
            flips: false,
            folded: false,
            pupils: 0,
            review: None,
            verdicts: BTreeSet::from(["v1".parse().unwrap()]),
            rulings: BTreeSet::new(),
        };
        let select = |op: &str| Ok(RulingChoice::Select(op.parse().unwrap()));
        let cases = [
            (args(Some("2"), &[]), select("2@bb")),
            (args(Some("1@aa"), &[]), select("1@aa")),
            (args(Some("3"), &[]), Ok(RulingChoice::Set(ruled.clone()))),
            (args(None, &["960"]), Ok(RulingChoice::Set(value("960")))),
            (args(Some("0"), &[]), Err("desk.no_such_candidate")),
            (args(Some("4"), &[]), Err("desk.no_such_candidate")),
            (args(None, &[]), Err("desk.choice_missing")),
        ];
        for (args, expected) in cases {
            let select = args.select.clone();
            match (on_entry(&conflict, &path, &args), expected) {
                (Ok(About::Entry { choice, saw, verdicts, .. }), Ok(expected)) => {
                    assert_eq!(choice, expected, "{select:?}");
                    assert_eq!(saw, BTreeSet::from(["1@aa".parse().unwrap(), "2@bb".parse().unwrap()]));
                    assert_eq!(verdicts, conflict.verdicts, "the ruling knows of the verdicts");
                }
                (Err(failure), Err(code)) => {
                    assert_eq!(failure.problem.code, code, "{select:?}");
                    let detail = failure.problem.detail.unwrap_or_default();
                    assert!(select.is_none() || detail.contains("2:  2@bb, 3: 950"), "{detail}");
                }
                (found, _) => panic!("{select:?} {:?}", found.is_ok()),
            }
        }
    }
}
