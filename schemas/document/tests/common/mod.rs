//! A small language for scenes in which people capture, review and rule.
#![allow(dead_code)] // Each test file uses its own part of it.

pub mod world;

use std::collections::BTreeSet;

use automerge::{ActorId, Automerge};
use duxue_document::consolidate::{Settings, consolidate};
use duxue_document::consolidated::{ConsolidatedSchool, Entry};
use duxue_document::decision::{Outcome, Ruling, RulingChoice, Subject, Verdict};
use duxue_document::path::ItemKey;
use duxue_document::school::{Declared, School, SchoolKind, Setting};
use duxue_document::{
    Captured, Claim, DecisionId, DocumentKind, EntryPath, FieldId, OpId, Scalar, Value, genesis, write,
};

pub fn school() -> School {
    School {
        id: "3401000001".parse().unwrap(),
        name: "实验小学".to_owned(),
        jurisdiction: "340100".parse().unwrap(),
        kind: SchoolKind::Primary,
        parent: None,
        attached: BTreeSet::new(),
        setting: Setting::Urban,
        sponsor: 1,
        built_year: None,
        boarding: false,
        dense_centre: false,
        place: None,
    }
}

pub fn doc(kind: DocumentKind, actor: u8) -> Automerge {
    genesis::document(kind, ActorId::from([actor; 16]))
}

pub fn path(text: &str) -> EntryPath {
    text.parse().unwrap()
}

pub fn item(text: &str) -> ItemKey {
    text.parse().unwrap()
}

/// `length_m=7.2 width_m=6 method=tape`: numbers where the text is a decimal
/// and the field is not one that holds text, bools, else text.
pub fn value(text: &str) -> Value {
    text.split_whitespace()
        .map(|pair| {
            let (name, scalar) = pair.split_once('=').unwrap();
            (FieldId::new(name).unwrap(), scalar_of(name, scalar))
        })
        .collect()
}

fn scalar_of(name: &str, text: &str) -> Scalar {
    let is_text = ["number", "building", "name", "code", "room"].contains(&name);
    match (text, text.parse()) {
        ("true", _) => Scalar::Bool(true),
        ("false", _) => Scalar::Bool(false),
        (_, Ok(number)) if !is_text => Scalar::Number(number),
        _ => Scalar::Text(text.to_owned()),
    }
}

pub fn captured(counter: u64) -> Captured {
    Captured { device_time_ms: 1_700_000_000_000, boot_id: "boot".to_owned(), counter, ..Captured::default() }
}

pub fn claim(text: &str) -> Claim {
    Claim { value: value(text), captured: captured(1), ..Claim::default() }
}

/// Puts one claim.
pub fn put(doc: &mut Automerge, at: &str, text: &str) -> OpId {
    write::put_claims(doc, &[(path(at), claim(text))]).unwrap().remove(0)
}

/// A second device: the same document under another actor.
pub fn fork(doc: &Automerge, actor: u8) -> Automerge {
    doc.fork().with_actor(ActorId::from([actor; 16]))
}

pub fn ops(ops: &[&OpId]) -> BTreeSet<OpId> {
    ops.iter().map(|op| (*op).clone()).collect()
}

pub fn id(text: &str) -> DecisionId {
    text.parse().unwrap()
}

pub fn ids(text: &str) -> BTreeSet<DecisionId> {
    text.split_whitespace().map(id).collect()
}

/// The three documents about a school, in one hand.
pub struct Scene {
    pub survey: Automerge,
    pub review: Automerge,
    pub ruling: Automerge,
    pub settings: Settings,
}

impl Scene {
    pub fn new() -> Self {
        Self {
            survey: doc(DocumentKind::Survey, 1),
            review: doc(DocumentKind::Review, 101),
            ruling: doc(DocumentKind::Ruling, 201),
            settings: Settings::default(),
        }
    }

    /// Puts claims for one entry as concurrent devices would, each with the
    /// same knowledge: the survey before. Gives their ops.
    pub fn concurrently(&mut self, at: &str, values: &[&str]) -> Vec<OpId> {
        let before = self.survey.fork();
        let mut put_ops = Vec::new();
        for (index, text) in values.iter().enumerate() {
            let mut device = fork(&before, 10 + u8::try_from(self.survey.get_heads().len() + index).unwrap());
            device.set_actor(ActorId::from(next_actor().to_be_bytes()));
            put_ops.push(put(&mut device, at, text));
            self.survey.merge(&mut device).unwrap();
        }
        put_ops
    }

    pub fn verdict(&mut self, name: &str, at: &str, saw: &[&OpId], returned: Option<&str>, supersedes: &str) {
        let outcome = match returned {
            None => Outcome::Accepted,
            Some(reason) => Outcome::Returned { reason: reason.to_owned() },
        };
        let (entry, saw, supersedes) = (path(at), ops(saw), ids(supersedes));
        let verdict = Verdict { entry, saw, outcome, supersedes, captured: captured(1) };
        write::put_verdict(&mut self.review, &id(name), &verdict).unwrap();
    }

    pub fn rule(&mut self, name: &str, subject: Subject, supersedes: &str) {
        let ruling =
            Ruling {
                subject, reason: "复核".to_owned(), supersedes: ids(supersedes), captured: captured(1)
            };
        write::put_ruling(&mut self.ruling, &id(name), &ruling).unwrap();
    }

    pub fn select(&mut self, name: &str, at: &str, op: &OpId, saw: &[&OpId], supersedes: &str) {
        let choice = RulingChoice::Select(op.clone());
        let subject = Subject::Entry { path: path(at), choice, saw: ops(saw), verdicts: ids("") };
        self.rule(name, subject, supersedes);
    }

    pub fn set(&mut self, name: &str, at: &str, to: &str, saw: &[&OpId], supersedes: &str) {
        let choice = RulingChoice::Set(value(to));
        let subject = Subject::Entry { path: path(at), choice, saw: ops(saw), verdicts: ids("") };
        self.rule(name, subject, supersedes);
    }

    pub fn merge(&mut self, name: &str, items: &str, supersedes: &str) {
        self.rule(name, Subject::Merge { items: items.split(' ').map(item).collect() }, supersedes);
    }

    pub fn separate(&mut self, name: &str, items: &str, supersedes: &str) {
        self.rule(name, Subject::Separate { items: items.split(' ').map(item).collect() }, supersedes);
    }

    pub fn see(&self) -> ConsolidatedSchool {
        consolidate(&school(), &Declared::default(), &self.settings, &self.survey, &self.review, &self.ruling)
    }

    pub fn entry(&self, at: &str) -> Entry {
        self.see().entry(&path(at)).cloned().unwrap_or_else(|| panic!("no entry {at}"))
    }
}

/// A fresh actor for every call.
pub fn next_actor() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1_000);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Codes and paths of the findings.
pub fn findings(school: &ConsolidatedSchool) -> Vec<(String, String)> {
    school.findings.iter().map(|finding| (finding.code.clone(), finding.path.clone())).collect()
}
