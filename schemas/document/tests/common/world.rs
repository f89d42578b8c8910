//! A seeded world: people and foreign clients edit, sync and decide in any
//! order.

use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use duxue_document::changed::Changed;
use duxue_document::consolidate::{Consolidator, Documents, Settings, consolidate};
use duxue_document::consolidated::ConsolidatedSchool;
use duxue_document::decision::{Outcome, Ruling, RulingChoice, Subject, Verdict};
use duxue_document::school::Declared;
use duxue_document::{DocumentKind, EntryPath, OpId, Value, genesis, write};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{captured, claim, doc, id, item, path, school};

const DEVICES: usize = 4;

const PATHS: [&str; 15] = [
    "rooms/r1/identity",
    "rooms/r2/identity",
    "rooms/r3/identity",
    "rooms/r1/size",
    "rooms/r2/size",
    "rooms/r1/multimedia",
    "classes/c1/identity",
    "classes/c2/identity",
    "classes/c1/pupils",
    "equipment/e1/count",
    "quantities/teachers:primary",
    "quantities/books:whole",
    "answers/A2-1",
    "sections/rooms",
    "rooms/r1/removed",
];

const ITEMS: [&str; 5] = ["rooms/r1", "rooms/r2", "rooms/r3", "classes/c1", "classes/c2"];

/// What somebody put, so that its fate can be asked after.
pub struct Put {
    pub path: EntryPath,
    pub op: OpId,
    pub value: Value,
}

/// One of the three documents in many hands; the last hand is the server's.
struct Hands {
    kind: DocumentKind,
    docs: Vec<Automerge>,
}

impl Hands {
    fn new(kind: DocumentKind, first: u8) -> Self {
        let hands = u8::try_from(DEVICES).unwrap() + 1;
        Self { kind, docs: (0..hands).map(|n| doc(kind, first + n)).collect() }
    }

    fn server(&self) -> &Automerge {
        self.docs.last().unwrap()
    }

    fn merge(&mut self, into: usize, from: usize) {
        if into != from {
            let mut other = self.docs[from].fork();
            self.docs[into].merge(&mut other).unwrap();
        }
    }
}

pub struct World {
    rng: ChaCha8Rng,
    survey: Hands,
    review: Hands,
    ruling: Hands,
    pub settings: Settings,
    pub puts: Vec<Put>,
    decisions: usize,
    consolidator: Consolidator,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let survey = Hands::new(DocumentKind::Survey, 1);
        let review = Hands::new(DocumentKind::Review, 51);
        let ruling = Hands::new(DocumentKind::Ruling, 101);
        let mut settings = Settings::default();
        settings.tolerance.insert("length_m".parse().unwrap(), "0.1".parse().unwrap());
        settings.require_acceptance = rng.next_u32().is_multiple_of(4);
        let documents =
            Documents { survey: survey.server(), review: review.server(), ruling: ruling.server() };
        let consolidator = Consolidator::new(school(), Declared::default(), settings.clone(), documents);
        Self { rng, survey, review, ruling, settings, puts: Vec::new(), decisions: 0, consolidator }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.rng.next_u32()).unwrap() % limit
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// One thing happens somewhere. `foreign` lets foreign clients take part.
    pub fn step(&mut self, foreign: bool) {
        let hand = self.below(DEVICES);
        match self.below(if foreign { 24 } else { 18 }) {
            0..=6 => self.capture(hand),
            7 => self.remove(hand),
            8..=9 => self.verdict(hand),
            10..=12 => self.rule(hand),
            13..=15 => self.exchange(),
            16..=17 => self.deliver(),
            _ => self.foreign(hand),
        }
    }

    fn capture(&mut self, hand: usize) {
        let at = path(self.pick(&PATHS));
        let text = self.statement(&at);
        let op =
            write::put_claims(&mut self.survey.docs[hand], &[(at.clone(), claim(&text))]).unwrap().remove(0);
        self.puts.push(Put { path: at, op, value: claim(&text).value });
    }

    fn statement(&mut self, at: &EntryPath) -> String {
        let n = self.below(3);
        match at.to_string().rsplit('/').next().unwrap() {
            "identity" if matches!(at, EntryPath::Item { kind, .. } if kind.as_str() == "rooms") => {
                format!("building=A number=10{n} purpose=music")
            }
            "identity" => format!("stage=primary grade={n} number=1"),
            "size" => format!("length_m=9.0{n} width_m={}", 6 + self.below(2)),
            "multimedia" | "A2-1" => format!("value={}", n == 0),
            "rooms" => format!("complete={}", n > 0),
            "removed" => format!("removed={}", n == 0),
            _ => format!("value={n}"),
        }
    }

    fn remove(&mut self, hand: usize) {
        let key = item(self.pick(&ITEMS));
        // The item may not have reached this hand yet.
        if let Ok(op) = write::remove_item(&mut self.survey.docs[hand], &key, "拆除", &captured(3)) {
            let at = path(&format!("{key}/removed"));
            let history =
                duxue_document::history::history_of_entry(&self.survey.docs[hand], DocumentKind::Survey, &at);
            let value = history.iter().find(|past| past.op == op).unwrap().claim.value.clone();
            self.puts.push(Put { path: at, op, value });
        }
    }

    /// What this hand sees.
    fn view(&self, hand: usize) -> ConsolidatedSchool {
        let docs = (&self.survey.docs[hand], &self.review.docs[hand], &self.ruling.docs[hand]);
        consolidate(&school(), &Declared::default(), &self.settings, docs.0, docs.1, docs.2)
    }

    fn next_decision(&mut self) -> String {
        self.decisions += 1;
        format!("d{}", self.decisions)
    }

    fn superseded(&mut self) -> std::collections::BTreeSet<duxue_document::DecisionId> {
        let some = self.below(3) == 0 && self.decisions > 1;
        let number = 1 + self.below(self.decisions.max(1));
        some.then(|| id(&format!("d{number}"))).into_iter().collect()
    }

    fn verdict(&mut self, hand: usize) {
        let entry = path(self.pick(&PATHS));
        let view = self.view(hand);
        let seen = view.entry(&entry).map(|entry| entry.candidates.iter().map(|c| c.op.clone()).collect());
        let outcome = match self.below(2) {
            0 => Outcome::Accepted,
            _ => Outcome::Returned { reason: "重测".to_owned() },
        };
        let name = self.next_decision();
        let supersedes = self.superseded();
        let verdict =
            Verdict { entry, saw: seen.unwrap_or_default(), outcome, supersedes, captured: captured(4) };
        unless_taken(write::put_verdict(&mut self.review.docs[hand], &id(&name), &verdict));
    }

    fn rule(&mut self, hand: usize) {
        let name = self.next_decision();
        let view = self.view(hand);
        let subject = match self.below(6) {
            0 => Subject::Merge { items: ["rooms/r1", "rooms/r2"].map(item).into() },
            1 => Subject::Merge { items: ["rooms/r2", "rooms/r3"].map(item).into() },
            2 => Subject::Separate { items: ["rooms/r1", self.pick(&ITEMS[1..3])].map(item).into() },
            3 => {
                let key = item(self.pick(&ITEMS));
                let saw = view
                    .thing(&key)
                    .map(|(_, thing)| thing.fields.values().flat_map(|entry| &entry.candidates))
                    .map(|candidates| candidates.map(|candidate| candidate.op.clone()).collect())
                    .unwrap_or_default();
                Subject::Removal { item: key, present: self.below(2) == 0, saw }
            }
            kind => {
                let at = path(self.pick(&PATHS));
                let candidates = view.entry(&at).map(|entry| entry.candidates.clone()).unwrap_or_default();
                let choice = match candidates.first() {
                    Some(candidate) if kind == 4 => RulingChoice::Select(candidate.op.clone()),
                    _ => RulingChoice::Set(claim(&self.statement(&at)).value),
                };
                let saw = candidates.iter().map(|candidate| candidate.op.clone()).collect();
                let verdicts = (1..=self.decisions).map(|n| id(&format!("d{n}"))).collect();
                Subject::Entry { path: at, choice, saw, verdicts }
            }
        };
        let supersedes = self.superseded();
        let ruling = Ruling { subject, reason: "复核".to_owned(), supersedes, captured: captured(5) };
        unless_taken(write::put_ruling(&mut self.ruling.docs[hand], &id(&name), &ruling));
    }

    /// Two hands exchange one of the documents, one way.
    fn exchange(&mut self) {
        let (into, from) = (self.below(DEVICES), self.below(DEVICES));
        match self.below(3) {
            0 => self.survey.merge(into, from),
            1 => self.review.merge(into, from),
            _ => self.ruling.merge(into, from),
        }
    }

    /// A hand delivers to the server, which consolidates what changed.
    fn deliver(&mut self) {
        let from = self.below(DEVICES);
        let hands = match self.below(3) {
            0 => &mut self.survey,
            1 => &mut self.review,
            _ => &mut self.ruling,
        };
        let before = hands.server().get_heads();
        hands.merge(DEVICES, from);
        let changed = Changed::since(hands.kind, hands.server(), &before);
        let documents = Documents {
            survey: self.survey.server(),
            review: self.review.server(),
            ruling: self.ruling.server(),
        };
        self.consolidator.update(documents, &changed);
    }

    /// Something that none of our code would write.
    fn foreign(&mut self, hand: usize) {
        let kind = self.below(3);
        let choice = self.below(12);
        let key = self.pick(&["r1", "r2", "c1", "d1", "d2", "", "bad key/\u{1F600}", "teachers:primary"]);
        let field =
            self.pick(&["size", "identity", "colour", "removed", "value", "captured", "saw", "entry"]);
        let number = i64::from(self.rng.next_u32() % 7);
        let hands = [&mut self.survey, &mut self.review, &mut self.ruling].into_iter().nth(kind).unwrap();
        let container_name = genesis::containers(hands.kind)[choice % genesis::containers(hands.kind).len()];
        let container = genesis::container(hands.kind, container_name).unwrap();
        let mut tx = hands.docs[hand].transaction();
        let item = map_at(&tx, &container, key);
        let entry = item.as_ref().and_then(|item| map_at(&tx, item, field));
        match choice {
            0 => drop(tx.put(&container, key, number)),
            1 => drop(tx.put_object(&container, key, ObjType::Map).map(|map| tx.put(map, field, "x"))),
            2 => drop(tx.put(ROOT, container_name, ScalarValue::Null)),
            3 => drop(tx.delete(ROOT, container_name)),
            4 => drop(tx.put_object(ROOT, key, ObjType::List)),
            5 => drop(tx.delete(&container, key)),
            6 => drop(item.map(|item| tx.put(item, field, 1.5))),
            7 => drop(item.map(|item| tx.delete(item, field))),
            8 => drop(entry.map(|entry| tx.put(entry, "length_m", number))),
            9 => drop(entry.map(|entry| {
                tx.put_object(entry, "method", ObjType::Text).map(|text| tx.splice_text(text, 0, 0, "tape"))
            })),
            10 => drop(entry.map(|entry| tx.delete(entry, "captured"))),
            _ => drop(item.map(|item| {
                tx.put_object(item, field, ObjType::Map).map(|map| tx.put(map, "width_m", "six"))
            })),
        }
        tx.commit();
    }

    /// What the server has consolidated step by step, and the whole of it.
    pub fn incremental_and_whole(&self) -> (String, String) {
        (bytes(self.consolidator.school()), bytes(&self.view(DEVICES)))
    }

    /// Everything reaches everybody, in an order of each one's own.
    pub fn meet(&mut self) -> Vec<String> {
        for hands in [&mut self.survey, &mut self.review, &mut self.ruling] {
            let all: Vec<Automerge> = hands.docs.iter().map(Automerge::fork).collect();
            for (index, doc) in hands.docs.iter_mut().enumerate() {
                for other in 0..all.len() {
                    let other = (index * 3 + other * 2 + index * other) % all.len();
                    doc.merge(&mut all[other].fork()).unwrap();
                }
                for other in &all {
                    doc.merge(&mut other.fork()).unwrap();
                }
            }
        }
        (0..=DEVICES).map(|hand| bytes(&self.view(hand))).collect()
    }

    pub fn survey(&self) -> &Automerge {
        self.survey.server()
    }

    pub fn review(&self) -> &Automerge {
        self.review.server()
    }

    pub fn ruling(&self) -> &Automerge {
        self.ruling.server()
    }

    /// What the server sees.
    pub fn consolidated(&self) -> ConsolidatedSchool {
        self.view(DEVICES)
    }

    /// The survey as an unrelated process would load it.
    pub fn reloaded(&self) -> String {
        let load = |hands: &Hands| {
            Automerge::load(&hands.server().save()).unwrap().with_actor(ActorId::from([250; 16]))
        };
        let (survey, review, ruling) = (load(&self.survey), load(&self.review), load(&self.ruling));
        bytes(&consolidate(&school(), &Declared::default(), &self.settings, &survey, &review, &ruling))
    }
}

/// A foreign client may have taken the id of a decision; nothing else may fail.
fn unless_taken(written: Result<(), write::WriteError>) {
    if let Err(error) = written {
        assert_eq!(error.code(), "write.exists");
    }
}

fn map_at(doc: &impl ReadDoc, map: &ObjId, key: &str) -> Option<ObjId> {
    let (value, id) = doc.get(map, key).ok()??;
    value.is_object().then_some(id)
}

pub fn bytes(school: &ConsolidatedSchool) -> String {
    serde_json::to_string_pretty(school).unwrap()
}
