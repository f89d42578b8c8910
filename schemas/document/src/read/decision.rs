//! Verdicts and rulings as they are found.

use crate::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use automerge::ObjId;

use super::claim;
use super::raw::{At, Raw, Source, elements, fields, values};
use super::{Findings, Read};
use crate::decision::{Outcome, Ruling, RulingChoice, Subject, Verdict};
use crate::{DecisionId, DocumentKind, EntryPath, FieldId, Value, genesis};

/// Reads the verdict of this id; `None` where nothing is live under it.
/// `what` is `None` where it cannot be used, which is then a finding.
pub(crate) fn verdict(doc: &Source<'_>, id: &DecisionId) -> Option<Read<Option<Verdict>>> {
    decision(doc, DocumentKind::Review, "verdicts", id, verdict_of)
}

/// Reads the ruling of this id, like [`verdict`].
pub(crate) fn ruling(doc: &Source<'_>, id: &DecisionId) -> Option<Read<Option<Ruling>>> {
    decision(doc, DocumentKind::Ruling, "rulings", id, ruling_of)
}

fn decision<D: PartialEq>(
    doc: &Source<'_>,
    kind: DocumentKind,
    container: &str,
    id: &DecisionId,
    read: fn(&mut Decision<'_>) -> Option<D>,
) -> Option<Read<Option<D>>> {
    let map = genesis::container(kind, container)?;
    let live = values(doc, &map, id.as_str(), None);
    if live.is_empty() {
        return None;
    }
    let path = format!("{container}/{id}");
    let mut findings = Findings::of(kind);
    let mut found: Vec<D> = Vec::new();
    for (raw, _) in &live {
        let Raw::Map(map) = raw else {
            findings.add("decision.not_map", &path, raw.describe());
            continue;
        };
        match put_by_one_change(doc, map, &path, &mut findings).as_mut().and_then(read) {
            Some(decision) if found.contains(&decision) => {}
            Some(decision) => found.push(decision),
            None => findings.add("decision.unusable", &path, raw.describe()),
        }
    }
    if found.len() > 1 {
        // Ids are random, so this is no accident; neither can be preferred.
        findings.add("decision.twice", &path, format!("{} decisions under one id", found.len()));
        found.clear();
    }
    Some(Read { what: found.pop(), findings: findings.into_set() })
}

/// A decision's fields, as they were put: an edit by another change does not
/// count, since a decision is changed only by one that supersedes it.
fn put_by_one_change<'a>(
    doc: &'a Source<'a>,
    map: &ObjId,
    path: &'a str,
    findings: &'a mut Findings,
) -> Option<Decision<'a>> {
    let mut decision = Decision { doc, at: None, path, fields: BTreeMap::new(), findings };
    let inner = decision.load(map);
    if claim::edits(doc, map, &inner).is_empty() {
        return Some(decision);
    }
    decision.findings.add("decision.edited", path, "edited after it was put".to_owned());
    decision.at = Some([doc.hash_for_opid(map)?]);
    decision.load(map);
    Some(decision)
}

struct Decision<'a> {
    doc: &'a Source<'a>,
    at: Option<[automerge::ChangeHash; 1]>,
    path: &'a str,
    fields: BTreeMap<String, Raw>,
    findings: &'a mut Findings,
}

impl Decision<'_> {
    fn load(&mut self, map: &ObjId) -> Vec<ObjId> {
        let mut ops = Vec::new();
        self.fields.clear();
        for field in fields(self.doc, map, self.at()) {
            claim::all_ops(self.doc, map, &field, self.at(), &mut ops);
            if let Raw::Map(inner) = &field.raw {
                for field in fields(self.doc, inner, self.at()) {
                    claim::all_ops(self.doc, inner, &field, self.at(), &mut ops);
                }
            }
            self.fields.insert(field.key, field.raw);
        }
        ops
    }

    fn at(&self) -> At<'_> {
        self.at.as_ref().map(<[_; 1]>::as_slice)
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.text()
    }

    fn parsed<T: FromStr>(&self, field: &str) -> Option<T> {
        self.text(field)?.parse().ok()
    }

    /// Ids as one text joined by spaces, or as a list.
    fn ids<T: FromStr + Ord>(&mut self, field: &str) -> BTreeSet<T> {
        let texts: Vec<String> = match self.fields.get(field) {
            None => return BTreeSet::new(),
            Some(Raw::Text(text)) => text.split_whitespace().map(str::to_owned).collect(),
            Some(Raw::List(list)) => elements(self.doc, list, self.at())
                .iter()
                .map(|(raw, _)| raw.text().map_or_else(|| raw.describe(), str::to_owned))
                .collect(),
            Some(other) => vec![other.describe()],
        };
        let mut ids = BTreeSet::new();
        for text in texts {
            match text.parse() {
                Ok(id) => {
                    ids.insert(id);
                }
                // An id that cannot be read is left out: the decision then
                // covers less, never more.
                Err(_) => self.findings.add_in("decision.ids", self.path, field, super::raw::shorten(&text)),
            }
        }
        ids
    }

    fn captured(&mut self) -> crate::Captured {
        let at = self.at;
        match self.fields.get("captured") {
            Some(raw) => {
                let at = at.as_ref().map(<[_; 1]>::as_slice);
                claim::captured(self.doc, &self.path, raw, at, &mut Vec::new(), self.findings)
            }
            None => {
                self.findings.add("decision.captured", self.path, "missing".to_owned());
                crate::Captured::default()
            }
        }
    }

    fn value(&mut self, path: &EntryPath) -> Option<Value> {
        let Some(Raw::Map(map)) = self.fields.get("set") else { return None };
        let mut value = Value::new();
        for field in fields(self.doc, map, self.at()) {
            let id = FieldId::new(field.key.as_str()).ok()?;
            value.insert(id, claim::scalar(path, &field.key, &field.raw, self.findings)?);
        }
        (!value.is_empty()).then_some(value)
    }
}

fn verdict_of(decision: &mut Decision<'_>) -> Option<Verdict> {
    let outcome = match decision.text("outcome")? {
        "accepted" => Outcome::Accepted,
        "returned" => Outcome::Returned { reason: decision.text("reason").unwrap_or_default().to_owned() },
        _ => return None,
    };
    Some(Verdict {
        entry: decision.parsed("entry")?,
        saw: decision.ids("saw"),
        outcome,
        supersedes: decision.ids("supersedes"),
        captured: decision.captured(),
    })
}

fn ruling_of(decision: &mut Decision<'_>) -> Option<Ruling> {
    let subject = match decision.text("subject")? {
        "entry" => entry_subject(decision)?,
        "merge" => Subject::Merge { items: items(decision)? },
        "separate" => Subject::Separate { items: items(decision)? },
        "removal" => Subject::Removal {
            item: decision.parsed("item")?,
            present: match decision.fields.get("present")? {
                Raw::Bool(present) => *present,
                _ => return None,
            },
            saw: decision.ids("saw"),
        },
        _ => return None,
    };
    Some(Ruling {
        subject,
        reason: decision.text("reason").unwrap_or_default().to_owned(),
        supersedes: decision.ids("supersedes"),
        captured: decision.captured(),
    })
}

fn entry_subject(decision: &mut Decision<'_>) -> Option<Subject> {
    let path: EntryPath = decision.parsed("path")?;
    let choice = match (decision.fields.get("select"), decision.fields.get("set")) {
        (Some(Raw::Text(op)), None) => RulingChoice::Select(op.parse().ok()?),
        (None, Some(_)) => RulingChoice::Set(decision.value(&path)?),
        _ => return None,
    };
    Some(Subject::Entry { path, choice, saw: decision.ids("saw"), verdicts: decision.ids("verdicts") })
}

/// At least two items of one kind.
fn items(decision: &mut Decision<'_>) -> Option<BTreeSet<crate::path::ItemKey>> {
    let items: BTreeSet<crate::path::ItemKey> = decision.ids("items");
    let one_kind = items.iter().map(|item| item.kind).collect::<BTreeSet<_>>().len() == 1;
    (items.len() > 1 && one_kind).then_some(items)
}
