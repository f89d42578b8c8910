//! The read model: what was brought up to date equals what is read anew, what
//! it was made from is named exactly, and dear work is not multiplied.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use automerge::{Automerge, ChangeHash};
use common::{Client, County, ROUND, claim, document, folder, local, path, put, round, school};
use duxue_document::DocumentKind::{Plan, Review, Ruling, Survey};
use duxue_document::decision::{Outcome, Verdict};
use duxue_document::{DocumentId, Scalar, genesis, write};
use duxue_server::hub::rows::{ACTORS, ActorRow};
use duxue_server::random::{from_hex, hex};
use duxue_server::readmodel::{KEPT, ReadModel, RoundModel, TICK};
use duxue_standards::assess::hash;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

const PATHS: [&str; 7] = [
    "quantities/pupils:primary",
    "quantities/computers:whole",
    "quantities/area_m2:whole",
    "rooms/room1/size",
    "rooms/room2/size",
    "rooms/room1/multimedia",
    "quantities/teachers:primary",
];

const WRITERS: [&str; 4] = ["first", "second", "supervisor", "bureau"];

/// Everything that a model says, as text.
async fn said(model: &ReadModel) -> Vec<String> {
    let look = |model: &mut RoundModel| {
        let mut said = vec![
            serde_json::to_string(&model.document_heads()).unwrap(),
            serde_json::to_string(&*model.county()?).unwrap(),
            model.assessor().assessment().to_json(),
            serde_json::to_string(&model.snapshot().conflicts()).unwrap(),
        ];
        for school in model.schools().values() {
            said.push(serde_json::to_string(school.school()).unwrap());
            said.push(format!("{:?}", school.summary()));
        }
        Ok(said)
    };
    model.look(&round(), look).await.unwrap()
}

/// People with their documents, who write at random.
#[derive(Default)]
struct People {
    documents: BTreeMap<(usize, DocumentId), Automerge>,
    decisions: u32,
    /// Where their actors begin: one is bound to its person for ever.
    actors: u8,
}

impl People {
    /// One edit, synced or kept back so that it becomes concurrent.
    async fn act(&mut self, county: &County, random: &mut ChaCha8Rng) {
        let (who, synced) = (below(random, WRITERS.len()), below(random, 3) > 0);
        let at = if WRITERS[who] == "second" { 0 } else { below(random, 2) };
        let kind = [Survey, Survey, Review, Ruling][who];
        let (id, actor) = (document(at, kind), self.actors + u8::try_from(16 * (who + 1) + at).unwrap());
        let doc = self.documents.entry((who, id)).or_insert_with(|| local(kind, actor));
        // Rulings here set a single number, which only quantities take.
        let path = PATHS[below(random, if kind == Ruling { 3 } else { PATHS.len() })];
        let value = (below(random, 5) + 1).to_string();
        self.decisions += 1;
        let name = format!("decision-{}-{}", self.actors, self.decisions);
        match kind {
            Review => {
                let outcome = match below(random, 2) {
                    0 => Outcome::Accepted,
                    _ => Outcome::Returned { reason: "重测".to_owned() },
                };
                let verdict = Verdict {
                    entry: path.parse().unwrap(),
                    saw: BTreeSet::new(),
                    outcome,
                    supersedes: BTreeSet::new(),
                    captured: claim("1").captured,
                };
                write::put_verdict(doc, &name.parse().unwrap(), &verdict).unwrap();
            }
            Ruling => common::rule(doc, &name, path, &value),
            _ => stated(doc, path, &value),
        }
        if synced {
            Client::connect(county.server.address, county.token(WRITERS[who]), &name)
                .await
                .sync(id, doc)
                .await;
        }
    }
}

/// A claim that fits the path.
fn stated(doc: &mut Automerge, at: &str, value: &str) {
    let number = || Scalar::Number(value.parse().unwrap());
    let mut claim = claim(value);
    if at.ends_with("/size") {
        let fields = ["length_m", "width_m"].map(|field| (field.parse().unwrap(), number()));
        claim.value = fields.into_iter().collect();
    }
    if at.ends_with("/multimedia") {
        let yes = Scalar::Bool(value == "1");
        claim.value = [("value".parse().unwrap(), yes)].into_iter().collect();
    }
    write::put_claims(doc, &[(path(at), claim)]).unwrap();
}

fn below(random: &mut ChaCha8Rng, limit: usize) -> usize {
    usize::try_from(random.next_u32()).unwrap() % limit
}

#[tokio::test]
async fn a_refreshed_model_says_what_one_read_anew_says() {
    let county = County::new().await;
    let app = &county.server.app;
    for seed in 0..3 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut people = People { actors: u8::try_from(70 * seed).unwrap(), ..People::default() };
        for step in 0..25 {
            people.act(&county, &mut random).await;
            if step == 12 {
                let mut row = common::register_row(1);
                row.built_year = Some(2000 + u16::try_from(seed).unwrap());
                let rows = vec![(row, duxue_document::school::Declared::default())];
                let by = duxue_server::audit::By::CommandLine;
                app.rounds.import(&round(), rows, None, &by, 0).await.unwrap();
                app.register_changed(&round());
            }
            if step % 4 == 0 {
                let anew = ReadModel::new(Arc::clone(&app.rounds), Arc::clone(&app.store));
                anew.connect(&app.hub);
                let (refreshed, anew) = (said(&app.readmodel).await, said(&anew).await);
                assert_eq!(refreshed, anew, "seed {seed}, step {step}");
            }
        }
    }
    let conflicts = &said(&app.readmodel).await[3];
    assert!(conflicts.len() > 2, "the edits make no conflict");
}

/// The bindings of the actors that wrote in these documents up to these heads,
/// and their hash as an assessment names it.
async fn bindings(county: &County, documents: &Value) -> String {
    let app = &county.server.app;
    let mut all: BTreeMap<DocumentId, BTreeMap<String, ActorRow>> = BTreeMap::new();
    for (id, heads) in documents.as_object().unwrap() {
        let id: DocumentId = id.parse().unwrap();
        let name = app.rounds.document(&id).unwrap();
        let heads: Vec<ChangeHash> = heads
            .as_array()
            .unwrap()
            .iter()
            .map(|head| ChangeHash(from_hex::<32>(head.as_str().unwrap()).unwrap()))
            .collect();
        let then = app.hub.read(&name).await.unwrap().read().fork_at(&heads).unwrap();
        let wrote: BTreeSet<String> =
            then.get_changes(&[]).iter().map(|change| hex(change.actor_id().to_bytes())).collect();
        let rows = ACTORS.rows(&*app.store, &id.0).await.unwrap();
        let own = rows.into_iter().map(|(_, row)| row).filter(|row| wrote.contains(&row.actor));
        all.insert(id, own.map(|row| (row.actor.clone(), row)).collect());
    }
    hash(&all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assessment_names_the_bindings_of_its_documents_and_no_others() {
    let county = Arc::new(County::new().await);
    // Bound, but in a document that no assessment is made from.
    let mut plan = genesis::document(Plan, automerge::ActorId::from([99; 16]));
    county.client("bureau").await.sync(document(0, Plan), &mut plan).await;

    let done = Arc::new(AtomicBool::new(false));
    let (reader, stop) = (Arc::clone(&county), Arc::clone(&done));
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let (status, body) =
                reader.server.get(reader.token("bureau"), &format!("/api/rounds/{ROUND}/assessment")).await;
            assert_eq!(status, 200);
            seen.push(body["made_from"]["inputs"].clone());
        }
        seen
    });
    // Every change comes from a new actor.
    for actor in 1..=30 {
        let (who, at) = if actor % 2 == 0 { ("first", 1) } else { ("second", 0) };
        let mut doc = local(Survey, actor);
        put(&mut doc, PATHS[0], &actor.to_string());
        county.client(who).await.sync(document(at, Survey), &mut doc).await;
    }
    done.store(true, Ordering::SeqCst);
    let mut seen = reading.await.unwrap();
    let path = format!("/api/rounds/{ROUND}/assessment");
    let (_, last) = county.server.get(county.token("bureau"), &path).await;
    seen.push(last["made_from"]["inputs"].clone());
    let distinct: BTreeSet<String> = seen.iter().map(|inputs| inputs["documents"].to_string()).collect();
    assert!(distinct.len() > 1, "every answer was made from the same documents");
    for inputs in seen {
        let expected = bindings(&county, &inputs["documents"]).await;
        assert_eq!(inputs["actor_bindings"], json!(expected), "{inputs:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_and_readers_do_not_multiply_the_work_on_conflicts() {
    let county = Arc::new(County::new().await);
    for (name, actor) in [("first", 11), ("second", 12)] {
        let mut doc = local(Survey, actor);
        put(&mut doc, PATHS[1], &actor.to_string());
        county.client(name).await.sync(document(0, Survey), &mut doc).await;
    }
    let model = Arc::clone(&county.server.app.readmodel);
    let (begun, before) = (tokio::time::Instant::now(), model.workings());
    let writers = [("first", 1, 1), ("second", 2, 0)].map(|(name, actor, at)| {
        let county = Arc::clone(&county);
        tokio::spawn(async move {
            let (mut client, mut doc) = (county.client(name).await, local(Survey, actor));
            for number in 1..=40 {
                put(&mut doc, PATHS[0], &(number * 10 + u32::from(actor)).to_string());
                client.sync(document(at, Survey), &mut doc).await;
                // Acknowledged, so whoever asks now is told of it.
                if number % 8 == 0 {
                    let path = format!("/api/rounds/{ROUND}/schools/{}", school(at));
                    let (_, body) = county.server.get(county.token("first"), &path).await;
                    let told = body["heads"][document(at, Survey).to_string()].clone();
                    assert_eq!(told, json!(common::heads(&doc)), "{body}");
                }
            }
        })
    });
    let readers = [0; 6].map(|_| {
        let county = Arc::clone(&county);
        tokio::spawn(async move {
            for _ in 0..10 {
                let path = format!("/api/rounds/{ROUND}/conflicts");
                let (status, found) = county.server.get(county.token("bureau"), &path).await;
                assert_eq!((status, found.as_array().map(Vec::len)), (200, Some(1)), "{found}");
            }
        })
    });
    for task in writers.into_iter().chain(readers) {
        task.await.unwrap();
    }
    let worked = model.workings() - before;
    let ticks = begun.elapsed().as_millis() / TICK.as_millis() + 2;
    assert!(worked >= 1 && u128::from(worked) <= ticks, "{worked} workings in {ticks} ticks");
}

#[tokio::test]
async fn whoever_asks_after_an_acknowledgement_is_told_of_its_conflict() {
    let county = County::new().await;
    let path = format!("/api/rounds/{ROUND}/conflicts");
    let mut docs = [local(Survey, 1), local(Survey, 2)];
    let mut clients = [county.client("first").await, county.client("second").await];
    for (number, at) in PATHS[..3].iter().enumerate() {
        for (index, (doc, client)) in docs.iter_mut().zip(&mut clients).enumerate() {
            if index == 0 {
                put(doc, at, "10");
                client.sync(document(0, Survey), doc).await;
            } else {
                // Without having seen the first.
                let mut apart = local(Survey, u8::try_from(10 + number).unwrap());
                put(&mut apart, at, "20");
                Client::connect(county.server.address, county.token("second"), &format!("apart-{number}"))
                    .await
                    .sync(document(0, Survey), &mut apart)
                    .await;
            }
        }
        let (status, found) = county.server.get(county.token("bureau"), &path).await;
        assert_eq!(status, 200);
        let named: BTreeSet<&str> =
            found.as_array().unwrap().iter().filter_map(|view| view["subject"]["path"].as_str()).collect();
        assert_eq!(named.len(), number + 1, "{found:#}");
    }
}

#[tokio::test]
async fn a_round_is_in_memory_only_while_it_is_asked_for() {
    let county = County::new().await;
    let model = Arc::clone(&county.server.app.readmodel);
    let path = format!("/api/rounds/{ROUND}/conflicts");
    let mut number = 0;
    for (round, at) in PATHS.iter().enumerate().take(2) {
        for name in ["first", "second"] {
            number += 1;
            let mut doc = local(Survey, number);
            put(&mut doc, at, &number.to_string());
            county.client(name).await.sync(document(0, Survey), &mut doc).await;
        }
        assert_eq!(model.in_memory(), 0, "changes alone have a round read");
        let worked = model.workings();
        let (_, found) = county.server.get(county.token("bureau"), &path).await;
        assert_eq!(found.as_array().map(Vec::len), Some(round + 1), "{found}");
        assert_eq!((model.in_memory(), model.workings()), (1, worked + 1));
        tokio::time::pause();
        tokio::time::advance(KEPT).await;
        while model.in_memory() > 0 {
            tokio::time::advance(TICK).await;
        }
        tokio::time::resume();
    }
}

/// Invariant 8 for a whole document: the other schools stay readable, and the
/// one whose survey cannot be read is undetermined and says why, until it can.
#[tokio::test]
async fn a_document_that_cannot_be_read_stops_its_own_school_only() {
    let (store, data) = (Arc::new(common::Faulty::default()), folder());
    let county = County::on(Arc::clone(&store) as _, Arc::clone(&data)).await;
    let mut doc = local(Survey, 1);
    put(&mut doc, PATHS[0], "10");
    county.client("first").await.sync(document(0, Survey), &mut doc).await;
    let token = county.token("bureau").to_owned();
    county.server.stop().await;
    *store.damaged.lock().unwrap() = Some(document(0, Survey));
    let server = common::Running::on(Arc::clone(&store) as _, data).await;
    let findings = async |index: usize| {
        let path = format!("/api/rounds/{ROUND}/schools/{}", school(index));
        let (status, view) = server.get(&token, &path).await;
        assert_eq!(status, 200, "{view}");
        let findings = view["consolidated"]["findings"].as_array().unwrap();
        (findings.iter().map(|finding| finding["code"].clone()).collect::<Vec<_>>(), view)
    };
    let assessed = async || {
        let (status, body) = server.get(&token, &format!("/api/rounds/{ROUND}/assessment")).await;
        assert_eq!(status, 200, "{body}");
        body["made_from"]["inputs"]["documents"][document(0, Survey).to_string()].clone()
    };
    assert_eq!(findings(0).await.0, [json!("document.unreadable")]);
    assert!(findings(1).await.0.is_empty());
    assert_eq!(server.get(&token, &format!("/api/rounds/{ROUND}/conflicts")).await.0, 200);
    assert_eq!(assessed().await, json!(["document.unreadable"]));
    let (status, rows) = server.get(&token, &format!("/api/rounds/{ROUND}/schools")).await;
    assert_eq!((status, &rows[0]["findings"], &rows[0]["entries"]), (200, &json!(1), &json!(0)));
    *store.damaged.lock().unwrap() = None;
    let (codes, view) = findings(0).await;
    assert!(codes.is_empty(), "{view}");
    assert!(view["consolidated"]["entries"]["quantities/pupils:primary"].is_object(), "{view}");
    assert_eq!(assessed().await, json!(common::heads(&doc)));
    server.stop().await;
}

/// Two figures of the county's own that do not agree: each says what it would
/// make of the county, and that it decides a result.
#[tokio::test]
async fn a_county_conflict_shows_what_each_figure_would_do() {
    let county = County::new().await;
    let id = common::county_document();
    let figures = [("survey_satisfaction_percent", ["90", "60"]), ("no_such_figure", ["1", "2"])];
    for (index, peer) in ["one", "two"].into_iter().enumerate() {
        let mut doc = local(duxue_document::DocumentKind::County, u8::try_from(index + 1).unwrap());
        for (quantity, values) in figures {
            put(&mut doc, &format!("quantities/{quantity}:whole"), values[index]);
        }
        let mut client = Client::connect(county.server.address, county.token("bureau"), peer).await;
        client.sync(id, &mut doc).await;
    }
    let (status, view) =
        county.server.get(county.token("bureau"), &format!("/api/rounds/{ROUND}/county")).await;
    assert_eq!(status, 200, "{view}");
    let conflict = |quantity: &str| {
        let conflicts = view["conflicts"].as_array().unwrap().iter();
        let path = format!("quantities/{quantity}:whole");
        conflicts.clone().find(|conflict| conflict["path"] == json!(path)).unwrap().clone()
    };
    let decides = conflict("survey_satisfaction_percent");
    assert_eq!(decides["flips"], json!(true), "{decides:#}");
    let effects: Vec<(&str, &Value)> = decides["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|view| (view["candidate"]["value"]["value"].as_str().unwrap(), &view["effects"]))
        .collect();
    for (value, effects) in &effects {
        let outcomes: Vec<&str> =
            effects.as_object().unwrap().values().filter_map(|shown| shown.as_str()).collect();
        let wanted = if *value == "90" { "met" } else { "not_met" };
        assert!(outcomes.iter().any(|shown| shown.split(' ').next() == Some(wanted)), "{value}: {effects:#}");
    }
    let idle = conflict("no_such_figure");
    assert_eq!((&idle["flips"], &idle["candidates"][0]["effects"]), (&json!(false), &json!({})));
}
