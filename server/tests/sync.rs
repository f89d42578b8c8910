//! Raw automerge clients and a whole server: what is taken, what is answered,
//! and what a failure costs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{
    Client, County, Faulty, ROUND, Running, Said, claim, document, entries, folder, heads, local,
    message_with, path, put, receipt,
};
use duxue_document::DocumentKind::{self, County as CountyKind, Plan, Review, Ruling, Survey};
use duxue_document::{DocumentId, write};
use duxue_protocol::wire::{self, Message as Wire};
use duxue_server::store::memory::MemoryStore;
use duxue_server::store::{JournalNumber, Record, Store};
use tokio_tungstenite::tungstenite::Message;

const PUPILS: &str = "quantities/pupils:primary";

#[tokio::test]
async fn two_inspectors_edit_one_survey_and_converge() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut a, mut b) = (county.client("first").await, county.client("second").await);
    let (mut of_a, mut of_b) = (local(Survey, 1), local(Survey, 2));
    put(&mut of_a, PUPILS, "500");
    put(&mut of_b, PUPILS, "510");
    put(&mut of_b, "quantities/books:whole", "9000");
    a.sync(id, &mut of_a).await;
    b.sync(id, &mut of_b).await;
    let both = of_b.get_heads();
    a.until(id, &mut of_a, |doc| doc.get_heads() == both).await;
    let entry = &entries(&county).await[PUPILS];
    assert_eq!(entry["value"]["state"], "conflicting");
    assert_eq!(entry["candidates"].as_array().map(Vec::len), Some(2));

    let conflicts = format!("/api/rounds/{ROUND}/conflicts?school=3601000001");
    let (status, found) = county.server.get(county.token("bureau"), &conflicts).await;
    assert_eq!(status, 200, "{found}");
    let names: Vec<&str> = found[0]["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["by"]["person_name"].as_str())
        .collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(
        county.server.get(county.token("bureau"), &format!("/api/rounds/{ROUND}/assessment")).await.0,
        200
    );
}

#[tokio::test]
async fn a_ruling_that_no_longer_covers_all_candidates_is_named_with_its_value() {
    let county = County::new().await;
    let (id, at) = (document(0, Survey), "quantities/computers:whole");
    let mut doc = local(Survey, 1);
    put(&mut doc, at, "40");
    county.client("first").await.sync(id, &mut doc).await;
    let mut rulings = local(Ruling, 3);
    let ruling = duxue_document::decision::Ruling {
        subject: duxue_document::decision::Subject::Entry {
            path: path(at),
            choice: duxue_document::decision::RulingChoice::Set(claim("41").value),
            saw: std::collections::BTreeSet::new(),
            verdicts: std::collections::BTreeSet::new(),
        },
        reason: "复核".to_owned(),
        supersedes: std::collections::BTreeSet::new(),
        captured: claim("41").captured,
    };
    let named = "ruling-1".parse().unwrap();
    duxue_document::write::put_ruling(&mut rulings, &named, &ruling).unwrap();
    county.client("bureau").await.sync(document(0, Ruling), &mut rulings).await;
    let (status, found) =
        county.server.get(county.token("bureau"), &format!("/api/rounds/{ROUND}/conflicts")).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(found[0]["rulings"], serde_json::json!(["ruling-1"]), "{found}");
    assert_eq!(found[0]["review"]["state"], "unreviewed");
    let before = &found[0]["candidates"][1];
    assert_eq!(before["choice"], "ruled_before");
    assert_eq!(before["value"], serde_json::to_value(claim("41").value).unwrap());
}

#[tokio::test]
async fn an_open_subscriber_hears_of_each_edit() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut a, mut b) = (county.client("first").await, county.client("second").await);
    let (mut of_a, mut of_b) = (local(Survey, 1), local(Survey, 2));
    a.sync(id, &mut of_a).await;
    b.sync(id, &mut of_b).await;
    for pupils in 1..20 {
        put(&mut of_a, PUPILS, &pupils.to_string());
        a.sync(id, &mut of_a).await;
        let now = of_a.get_heads();
        b.until(id, &mut of_b, |doc| doc.get_heads() == now).await;
    }
}

#[tokio::test]
async fn work_of_two_offline_days_merges_on_reconnect() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut of_a, mut of_b) = (local(Survey, 1), local(Survey, 2));
    for day in 0..3 {
        for (name, doc) in [("first", &mut of_a), ("second", &mut of_b)] {
            for entry in 0..30 {
                put(doc, &format!("quantities/q{entry}:whole"), &format!("{day}"));
            }
            county.client(name).await.sync(id, doc).await;
        }
    }
    county.client("first").await.sync(id, &mut of_a).await;
    assert_eq!(of_a.get_heads(), of_b.get_heads());
}

#[tokio::test]
async fn a_full_disk_is_no_acknowledgement_and_passes() {
    let store = Arc::new(Faulty::default());
    let county = County::on(Arc::clone(&store) as Arc<dyn Store>, folder()).await;
    let id = document(0, Survey);
    let mut doc = local(Survey, 1);
    let mut client = county.client("first").await;
    client.sync(id, &mut doc).await;
    let mut watching = county.client("second").await;
    let mut seen = local(Survey, 2);
    watching.sync(id, &mut seen).await;

    store.full.store(true, Ordering::SeqCst);
    let before = store.last();
    put(&mut doc, PUPILS, "500");
    client.speak(id, &doc).await;
    assert_eq!(client.hear().await, Said::Error("store.full".to_owned()));
    assert_eq!(client.hear().await, Said::Closed(1011, "store.full".to_owned()));
    assert_eq!(store.last(), before);
    assert_eq!(county.server.get("", "/health").await.0, 503);
    assert_eq!(watching.settle(&county, id).await, [], "nobody is told of what is not flushed");
    assert_eq!(entries(&county).await[PUPILS], serde_json::Value::Null);

    store.full.store(false, Ordering::SeqCst);
    let mut client = county.client("first").await;
    client.sync(id, &mut doc).await;
    let now = doc.get_heads();
    watching.until(id, &mut seen, |doc| doc.get_heads() == now).await;
    assert_eq!(county.server.get("", "/health").await.0, 200);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let (store, data) = (MemoryStore::new(), folder());
    let id = document(0, Survey);
    let mut doc = local(Survey, 1);
    let county = County::on(Arc::new(store.clone()), Arc::clone(&data)).await;
    put(&mut doc, PUPILS, "500");
    county.client("first").await.sync(id, &mut doc).await;
    let token = county.token("second").to_owned();
    county.server.kill();

    let again = Running::on(Arc::new(store), data).await;
    let mut other = local(Survey, 2);
    Client::connect(again.address, &token, "peer").await.sync(id, &mut other).await;
    assert_eq!(other.get_heads(), doc.get_heads());
}

#[tokio::test]
async fn who_may_only_read_changes_nothing() {
    let county = County::new().await;
    let cases: [(&str, DocumentKind, usize); 5] = [
        ("supervisor", Survey, 0),
        ("bureau", Survey, 0),
        ("first", Review, 0),
        ("first", Ruling, 0),
        ("bureau", Review, 1),
    ];
    for (actor, (name, kind, school)) in cases.into_iter().enumerate() {
        let id = document(school, kind);
        let mut doc = local(kind, 50 + u8::try_from(actor).unwrap());
        let before = county.server.app.store.last();
        let mut tx = doc.transaction();
        automerge::transaction::Transactable::put(&mut tx, automerge::ROOT, "x", 1).unwrap();
        tx.commit();
        let mut client = county.client(name).await;
        client.exchange(&county, id, &mut doc).await;
        assert_eq!(county.server.app.store.last(), before, "{name} {kind}: nothing was written");
        let answer = receipt(&county, name, id, &doc).await;
        assert!(answer["missing_heads"][id.to_string()].is_array(), "{answer}");
    }
}

#[tokio::test]
async fn each_role_writes_its_own_documents() {
    let county = County::new().await;
    let mut county_document = local(CountyKind, 30);
    put(&mut county_document, "quantities/x:whole", "1");
    let county_id = DocumentId::derive(&common::round(), ROUND, CountyKind);
    county.client("bureau").await.sync(county_id, &mut county_document).await;
    for (actor, (name, kind)) in
        [("supervisor", Review), ("supervisor", Plan), ("bureau", Plan), ("bureau", Ruling)]
            .into_iter()
            .enumerate()
    {
        let mut doc = local(kind, 60 + u8::try_from(actor).unwrap());
        let mut tx = doc.transaction();
        automerge::transaction::Transactable::put(&mut tx, automerge::ROOT, "x", name).unwrap();
        tx.commit();
        let id = document(0, kind);
        county.client(name).await.sync(id, &mut doc).await;
        assert!(receipt(&county, name, id, &doc).await["missing_heads"].as_object().unwrap().is_empty());
    }
}

#[tokio::test]
async fn not_yours_is_the_same_as_not_there() {
    let county = County::new().await;
    let county_id = DocumentId::derive(&common::round(), ROUND, CountyKind);
    let unknown = DocumentId([9; 16]);
    for (name, id) in [
        ("second", document(1, Survey)),
        ("second", unknown),
        ("second", county_id),
        ("admin", document(0, Survey)),
    ] {
        let mut client = county.client(name).await;
        client.speak(id, &local(Survey, 9)).await;
        assert_eq!(client.hear().await, Said::Unavailable(id.to_string()), "{name}");
        assert_eq!(client.round_trip().await, []);
    }
}

#[tokio::test]
async fn hostile_frames_cost_their_sender_the_connection_and_no_one_else() {
    let county = County::new().await;
    let id = document(0, Survey);
    let mut bystander = county.client("first").await;
    let mut doc = local(Survey, 1);
    bystander.sync(id, &mut doc).await;
    let sync = |data: Vec<u8>| {
        Message::Binary(
            wire::encode(&Wire::Sync {
                sender_id: "peer-second".to_owned(),
                target_id: "server".to_owned(),
                document_id: id.to_string(),
                data,
            })
            .into(),
        )
    };
    let frames = [
        (Message::Text("{}".into()), "frame.text"),
        (Message::Binary(vec![0xff; 40].into()), "wire.not_cbor"),
        (Message::Binary(vec![0xa0].into()), "wire.not_a_message"),
        (sync(vec![0x42]), "scan.truncated"),
        (sync(vec![0x99; 30]), "scan.unknown"),
        (sync(forged_genesis()), "scan.reserved_actor"),
    ];
    for (frame, code) in frames {
        let mut client = county.client("second").await;
        client.raw(frame).await;
        assert_eq!(client.hear().await, Said::Error(code.to_owned()));
        assert!(matches!(client.hear().await, Said::Closed(..)), "{code}");
    }
    put(&mut doc, PUPILS, "500");
    bystander.sync(id, &mut doc).await;
}

/// A sync message with a change of the reserved actor that is not genesis.
fn forged_genesis() -> Vec<u8> {
    let chunk = duxue_document::genesis::chunk(Survey);
    let actor = automerge::Change::from_bytes(chunk.to_vec()).unwrap().actor_id().clone();
    let mut doc = automerge::Automerge::new().with_actor(actor);
    let mut tx = doc.transaction();
    automerge::transaction::Transactable::put(&mut tx, automerge::ROOT, "rooms", 1).unwrap();
    tx.commit();
    message_with(&doc)
}

#[tokio::test]
async fn strangers_are_told_and_closed_and_who_takes_a_name_locks_nobody_out() {
    let county = County::new().await;
    let id = document(0, Survey);
    // Peers see each other's names in ephemeral messages.
    let mut taker = Client::connect(county.server.address, county.token("second"), "peer-first").await;
    let mut owner = county.client("first").await;
    let mut stranger = Client::open(county.server.address, "no-such-token", "stranger").await;
    stranger.join().await;
    assert_eq!(stranger.hear().await, Said::Error("session.missing".to_owned()));
    assert_eq!(stranger.hear().await, Said::Closed(1008, "session.missing".to_owned()));
    let mut doc = local(Survey, 1);
    put(&mut doc, PUPILS, "500");
    owner.sync(id, &mut doc).await;
    let mut copy = local(Survey, 2);
    taker.sync(id, &mut copy).await;
    assert_eq!(copy.get_heads(), doc.get_heads(), "each hears what is its own");
}

#[tokio::test]
async fn a_message_under_another_name_is_ignored() {
    let county = County::new().await;
    let id = document(0, Survey);
    let mut client = county.client("first").await;
    let mut doc = local(Survey, 1);
    put(&mut doc, PUPILS, "500");
    let own = std::mem::replace(&mut client.peer, "peer-second".to_owned());
    client.speak(id, &doc).await;
    client.peer = own;
    assert_eq!(client.settle(&county, id).await, []);
    assert_eq!(entries(&county).await[PUPILS], serde_json::Value::Null);
}

#[tokio::test]
async fn logging_out_ends_the_session() {
    let county = County::new().await;
    let token = county.server.login("supervisor").await.token;
    let mut client = Client::connect(county.server.address, &token, "desk").await;
    let url = county.server.url("/api/session");
    let status = county.server.http.delete(url).bearer_auth(&token).send().await.unwrap().status();
    assert_eq!(status, 204);
    assert_eq!(client.hear().await, Said::Error("session.missing".to_owned()));
}

#[tokio::test]
async fn changes_after_the_right_has_ended_are_held_until_admitted() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut of_first, mut of_second) = (local(Survey, 1), local(Survey, 2));
    county.client("second").await.sync(id, &mut of_second).await;
    put(&mut of_second, PUPILS, "510");
    county.assign("second", &[]).await;

    let mut second = county.client("second").await;
    second.exchange(&county, id, &mut of_second).await;
    let answer = receipt(&county, "second", id, &of_second).await;
    assert_eq!(answer["held_heads"][id.to_string()], serde_json::json!(heads(&of_second)));
    assert_eq!(entries(&county).await[PUPILS], serde_json::Value::Null);

    // What the first inspector builds on it is held with it.
    of_first.merge(&mut of_second).unwrap();
    write::put_claims(&mut of_first, &[(path("quantities/books:whole"), claim("9"))]).unwrap();
    let mut first = county.client("first").await;
    first.exchange(&county, id, &mut of_first).await;
    let list = format!("/api/rounds/{ROUND}/held");
    assert_eq!(county.server.get(county.token("bureau"), &list).await.0, 404, "supervisors only");
    let (_, held) = county.server.get(county.token("supervisor"), &list).await;
    let reasons: Vec<&str> =
        held.as_array().unwrap().iter().filter_map(|item| item["reason"].as_str()).collect();
    assert_eq!(reasons, ["right_ended", "depends"]);
    assert_eq!(held[0]["by"]["person_name"], "second");

    // What they say is to be read before anyone decides; also of what waits
    // for others.
    let said = |preview: &serde_json::Value| -> Vec<[String; 3]> {
        let one = |said: &serde_json::Value| {
            [&said["path"], &said["claim"]["value"]["value"], &said["by"]["person_name"]]
                .map(|text| text.as_str().unwrap_or_default().to_owned())
        };
        preview["statements"].as_array().unwrap().iter().map(one).collect()
    };
    for (item, expected) in [(0, [PUPILS, "510", "second"]), (1, ["quantities/books:whole", "9", "first"])] {
        let path = format!("{list}/{}", held[item]["number"]);
        assert_eq!(county.server.get(county.token("bureau"), &path).await.0, 404, "supervisors only");
        let (status, preview) = county.server.get(county.token("supervisor"), &path).await;
        assert_eq!((status, said(&preview)), (200, vec![expected.map(str::to_owned)]), "{preview}");
        assert_eq!((&preview["total"], &preview["loose"]), (&1.into(), &0.into()));
        let (_, rest) = county.server.get(county.token("supervisor"), &format!("{path}?from=1")).await;
        assert_eq!((said(&rest), &rest["total"]), (vec![], &1.into()));
    }
    assert_eq!(entries(&county).await[PUPILS], serde_json::Value::Null, "looking changes nothing");

    let decide = format!("{list}/{}", held[0]["number"]);
    let admit = serde_json::json!({ "admit": true });
    assert_eq!(county.server.post(county.token("supervisor"), &decide, &admit).await.0, 200);
    let (status, gone) = county.server.get(county.token("supervisor"), &decide).await;
    assert_eq!((status, gone["code"].as_str()), (409, Some("held.decided")));
    let now = entries(&county).await;
    assert_eq!(now[PUPILS]["value"]["value"]["value"], "510", "{now}");
    assert!(now["quantities/books:whole"].is_object());
    let (status, again) = county.server.post(county.token("supervisor"), &decide, &admit).await;
    assert_eq!((status, again["code"].as_str()), (409, Some("held.decided")));
    assert!(receipt(&county, "first", id, &of_first).await["held_heads"].as_object().unwrap().is_empty());
}

#[tokio::test]
async fn what_waits_for_held_changes_comes_in_after_them_or_not_at_all() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut of_first, mut of_second) = (local(Survey, 1), local(Survey, 2));
    put(&mut of_second, PUPILS, "510");
    county.assign("second", &[]).await;
    county.client("second").await.exchange(&county, id, &mut of_second).await;
    of_first.merge(&mut of_second).unwrap();
    put(&mut of_first, "quantities/books:whole", "9");
    county.client("first").await.exchange(&county, id, &mut of_first).await;

    let list = format!("/api/rounds/{ROUND}/held");
    let supervisor = county.token("supervisor");
    let (_, held) = county.server.get(supervisor, &list).await;
    let (ended, depends) = (held[0]["number"].to_string(), held[1]["number"].to_string());
    assert_eq!(held[1]["reason"], "depends");
    let decide = async |number: &str, admit: bool| {
        let body = serde_json::json!({ "admit": admit });
        let (status, said) = county.server.post(supervisor, &format!("{list}/{number}"), &body).await;
        (status, said["code"].as_str().unwrap_or_default().to_owned(), said["detail"].clone())
    };
    let waits = |for_what: &str| (409, "held.waits".to_owned(), serde_json::json!(for_what));
    assert_eq!(decide(&depends, true).await, waits(&ended));
    assert_eq!(entries(&county).await["quantities/books:whole"], serde_json::Value::Null);
    let url = format!("{list}/{ended}");
    let left_out = county.server.post(supervisor, &url, &serde_json::json!({ "admit": false })).await;
    assert_eq!(left_out, (200, serde_json::json!({ "set_aside": 1 })));
    // The one that wrote it hears that it was left out, and the one that built
    // on it that it has to state its own again.
    let told = [("second", &of_second, "left_out_heads"), ("first", &of_first, "set_aside_heads")];
    for (name, doc, word) in told {
        let answer = receipt(&county, name, id, doc).await;
        assert_eq!(answer[word][id.to_string()], serde_json::json!(heads(doc)), "{name}");
        assert_eq!(answer["held_heads"], serde_json::json!({}), "{name}");
    }
    assert_eq!(decide(&depends, true).await.1, "not_found", "nobody has to decide about it");
    let (_, aside) = county.server.get(supervisor, &format!("/api/rounds/{ROUND}/set-aside")).await;
    assert_eq!(
        (&aside[0]["reason"], &aside[0]["by"]["person_name"]),
        (&"change.depends".into(), &"first".into())
    );
}

#[tokio::test]
async fn an_ended_right_gives_no_changes_of_others() {
    let county = County::new().await;
    let id = document(0, Survey);
    let mut of_first = local(Survey, 1);
    put(&mut of_first, PUPILS, "500");
    county.client("first").await.sync(id, &mut of_first).await;
    county.assign("second", &[]).await;
    let mut doc = local(Survey, 2);
    let mut second = county.client("second").await;
    second.exchange(&county, id, &mut doc).await;
    assert_eq!(doc.get_heads(), local(Survey, 2).get_heads());
}

#[tokio::test]
async fn who_loses_the_right_to_read_is_told_at_once() {
    let county = County::new().await;
    let id = document(1, Survey);
    let supervisor = county.token("supervisor").to_owned();
    let me: serde_json::Value = county.server.get(&supervisor, "/api/me").await.1;
    let assignment = serde_json::json!({
        "person": me["person"], "role": "supervisor", "schools": [], "ended": true,
    });
    let mut desk = Client::connect(county.server.address, &supervisor, "desk").await;
    desk.sync(id, &mut local(Survey, 4)).await;
    let path = format!("/api/rounds/{ROUND}/assignments");
    assert_eq!(county.server.post(county.token("admin"), &path, &assignment).await.0, 204);
    assert_eq!(desk.hear().await, Said::Unavailable(id.to_string()));
}

#[tokio::test]
async fn a_change_that_cannot_be_applied_is_set_aside_once() {
    let store = MemoryStore::new();
    let county = County::on(Arc::new(store.clone()), folder()).await;
    let id = document(0, Survey);
    let (mut right, mut copied) = (local(Survey, 1), local(Survey, 1));
    put(&mut right, PUPILS, "500");
    let mut first = county.client("first").await;
    first.sync(id, &mut right).await;
    // A copied store: the same actor and number with other content.
    put(&mut copied, PUPILS, "999");
    for expected in [Some(Said::Error("change.set_aside".to_owned())), None] {
        let mut copy = Client::connect(county.server.address, county.token("first"), "copy").await;
        copy.say(id, message_with(&copied)).await;
        let said = copy.settle(&county, id).await;
        let closed = said.into_iter().find(|said| !matches!(said, Said::Sync(..)));
        assert_eq!(closed, expected, "the second time it is known");
    }
    put(&mut right, "quantities/books:whole", "9");
    first.sync(id, &mut right).await;
    let records = store.records(JournalNumber(1), 10_000).await.unwrap();
    let aside: Vec<_> =
        records.iter().filter(|(_, record)| matches!(record, Record::SetAside { .. })).collect();
    assert_eq!(aside.len(), 1, "kept once, with its record");
    assert_eq!(entries(&county).await[PUPILS]["value"]["value"]["value"], "500");
}

#[tokio::test]
async fn a_repeated_number_costs_nothing_that_came_with_it_and_is_shown() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut right, mut copied, mut good) = (local(Survey, 1), local(Survey, 1), local(Survey, 9));
    put(&mut right, PUPILS, "500");
    county.client("first").await.sync(id, &mut right).await;
    // A restored phone: its old actor goes on from an earlier number, beside a
    // day's work under another actor.
    put(&mut copied, PUPILS, "999");
    let repeated = heads(&copied);
    put(&mut copied, "quantities/computers:whole", "40");
    let built_on = heads(&copied);
    put(&mut good, "quantities/books:whole", "9");
    copied.merge(&mut good).unwrap();
    let mut phone = Client::connect(county.server.address, county.token("first"), "restored").await;
    phone.say(id, message_with(&copied)).await;
    let said = phone.settle(&county, id).await;
    assert!(said.contains(&Said::Error("change.set_aside".to_owned())), "{said:?}");
    let now = entries(&county).await;
    assert_eq!(now["quantities/books:whole"]["value"]["value"]["value"], "9", "{now}");
    assert_eq!(now[PUPILS]["value"]["value"]["value"], "500");

    let answer = receipt(&county, "first", id, &copied).await;
    assert_eq!(answer["set_aside_heads"][id.to_string()], serde_json::json!(built_on), "{answer}");
    assert_eq!(answer["missing_heads"], serde_json::json!({}));
    let list = format!("/api/rounds/{ROUND}/set-aside");
    let (status, aside) = county.server.get(county.token("supervisor"), &list).await;
    assert_eq!(status, 200, "{aside}");
    let aside: std::collections::BTreeMap<&str, &str> = aside
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["hash"].as_str().unwrap(), row["reason"].as_str().unwrap()))
        .collect();
    let (first, second) = (repeated.first().unwrap().as_str(), built_on.first().unwrap().as_str());
    let expected = [(first, "change.number_used"), (second, "change.depends")];
    assert_eq!(aside, expected.into_iter().collect());
    let (_, audit) = county.server.get(county.token("admin"), "/api/audit?limit=500").await;
    let rows = audit["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["kind"] == "set_aside").expect("in the audit log");
    assert_eq!((&row["by"]["person_name"], &row["detail"]["changes"]), (&"first".into(), &1.into()), "{row}");
}

#[tokio::test]
async fn many_edits_are_folded_into_a_snapshot() {
    let store = MemoryStore::new();
    let county = County::on(Arc::new(store.clone()), folder()).await;
    let id = document(0, Survey);
    let mut doc = local(Survey, 1);
    let mut client = county.client("first").await;
    for round in 0..400 {
        for entry in 0..4 {
            put(&mut doc, &format!("quantities/q{entry}:whole"), &round.to_string());
        }
        client.sync(id, &mut doc).await;
        if store.load(id).await.unwrap().snapshot.is_some() {
            let mut other = local(Survey, 2);
            county.client("second").await.sync(id, &mut other).await;
            assert_eq!(other.get_heads(), doc.get_heads());
            return;
        }
    }
    panic!("no snapshot was made");
}

#[tokio::test]
async fn ephemeral_messages_reach_those_who_read_the_document() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut a, mut b) = (county.client("first").await, county.client("second").await);
    a.sync(id, &mut local(Survey, 1)).await;
    b.sync(id, &mut local(Survey, 2)).await;
    let said = |data: Vec<u8>| Wire::Ephemeral {
        sender_id: "peer-first".to_owned(),
        target_id: "server".to_owned(),
        document_id: id.to_string(),
        count: 1,
        session_id: "s".to_owned(),
        data,
    };
    a.send(&said(vec![0; 64 << 10])).await;
    a.send(&said(vec![1, 2])).await;
    assert_eq!(b.hear().await, Said::Ephemeral(vec![1, 2]), "the one above the limit is dropped");
}
