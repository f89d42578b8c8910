//! What a peer may cost: each limit ends what is over it with its code, is
//! counted, and leaves everyone else alone.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use automerge::Automerge;
use automerge::transaction::Transactable;
use base64::Engine;
use common::ended::{counted, end, refusals};
use common::{Client, County, ROUND, Said, document, entries, local, message_with, put, receipt};
use duxue_document::DeviceId;
use duxue_document::DocumentKind::{Review, Survey};
use duxue_protocol::api::{Assignment, Role};
use duxue_protocol::wire::Message as Wire;
use duxue_server::config::Limits;

const PUPILS: &str = "quantities/pupils:primary";

async fn held(county: &County) -> Vec<serde_json::Value> {
    let (status, held) =
        county.server.get(county.token("supervisor"), &format!("/api/rounds/{ROUND}/held")).await;
    assert_eq!(status, 200, "{held}");
    held.as_array().unwrap().clone()
}

#[tokio::test]
async fn what_is_over_the_quota_of_held_changes_is_refused_whole() {
    // Four changes fit, and so do the bytes of some; five do not.
    let of = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    for (limits, limit, code) in [
        (of(|limits| limits.held_changes_per_person = 4), "held_changes_per_person", "held.person_full"),
        (of(|limits| limits.held_bytes_per_person = 700), "held_bytes_per_person", "held.person_full"),
        (
            of(|limits| limits.held_changes_per_document = 4),
            "held_changes_per_document",
            "held.document_full",
        ),
        (of(|limits| limits.held_bytes_per_document = 700), "held_bytes_per_document", "held.document_full"),
    ] {
        let county = County::within(limits).await;
        let id = document(0, Survey);
        let mut doc = local(Survey, 2);
        county.client("second").await.sync(id, &mut doc).await;
        county.assign("second", &[]).await;
        let before = county.server.app.store.last();
        let refused = refusals(&county, limit).await;

        let mut whole = doc.clone();
        for pupils in 0..5 {
            put(&mut whole, PUPILS, &pupils.to_string());
        }
        let mut client = county.client("second").await;
        // The server answers the first message, then refuses what it asked for.
        client.speak(id, &whole).await;
        let mut last = Said::Gone;
        loop {
            match client.hear().await {
                Said::Sync(_, data) => {
                    client.take(id, &mut whole, &data);
                    client.speak(id, &whole).await;
                }
                closed @ (Said::Closed(..) | Said::Gone) => {
                    assert_eq!(last, Said::Error(code.to_owned()));
                    assert_eq!(closed, Said::Closed(1008, code.to_owned()));
                    break;
                }
                other => last = other,
            }
        }
        assert_eq!(county.server.app.store.last(), before, "nothing was written");
        assert_eq!(held(&county).await, Vec::<serde_json::Value>::new());
        assert!(refusals(&county, limit).await > refused, "{limit}");

        // What fits is held.
        put(&mut doc, PUPILS, "7");
        county.client("second").await.exchange(&county, id, &mut doc).await;
        assert_eq!(held(&county).await.len(), 1);
    }
}

#[tokio::test]
async fn one_person_cannot_fill_the_journal_with_what_compresses_well() {
    let limits = Limits { journal_bytes_per_person: 20_000, ..Limits::default() };
    let county = County::within(limits).await;
    let id = document(0, Survey);
    let mut doc = local(Survey, 1);
    county.client("first").await.sync(id, &mut doc).await;
    let refused = refusals(&county, "journal_bytes_per_person").await;
    let mut whole = doc.clone();
    for books in 0..300 {
        put(&mut whole, "quantities/books:whole", &books.to_string());
    }
    let before = county.server.app.store.last();
    let mut client = county.client("first").await;
    client.speak(id, &whole).await;
    let last = loop {
        match client.hear().await {
            Said::Sync(_, data) => {
                client.take(id, &mut whole, &data);
                client.speak(id, &whole).await;
            }
            Said::Closed(..) | Said::Gone => panic!("without a reason"),
            other => break other,
        }
    };
    assert_eq!(last, Said::Error("journal.person_full".to_owned()));
    assert_eq!(client.about, Some(id), "others go on");
    assert!(whole.save().len() < 20_000, "it is little on the way");
    assert_eq!(county.server.app.store.last(), before, "nothing was written");
    assert!(refusals(&county, "journal_bytes_per_person").await > refused);
    // What fits is taken, from the same person and from others.
    put(&mut doc, PUPILS, "7");
    county.client("first").await.sync(id, &mut doc).await;
    let mut other = local(Survey, 2);
    put(&mut other, "quantities/books:whole", "9");
    county.client("second").await.sync(id, &mut other).await;
    // Receipts count too: each is an event in the journal.
    let asked = serde_json::json!({ "heads": {} });
    let mut answers = Vec::new();
    while answers.last().is_none_or(|(status, _)| *status == 200) {
        answers.push(county.server.post(county.token("first"), "/api/receipts", &asked).await);
    }
    let (status, body) = answers.last().unwrap();
    assert_eq!((*status, body["code"].as_str()), (429, Some("journal.person_full")), "{body}");
    assert!((2..=200).contains(&answers.len()), "{} receipts", answers.len());
    let (status, _) = county.server.post(county.token("second"), "/api/receipts", &asked).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_its_owner_brings_leaves_the_list_and_lets_in_what_waited() {
    let county = County::new().await;
    let id = document(0, Survey);
    let (mut owner, mut other) = (local(Survey, 1), local(Survey, 2));
    put(&mut owner, PUPILS, "1");
    county.client("first").await.sync(id, &mut owner).await;
    let mut relayed = owner.clone();
    put(&mut relayed, PUPILS, "2");
    county.client("second").await.exchange(&county, id, &mut relayed.clone()).await;
    // Someone builds on what is held, in their own name.
    other.merge(&mut relayed.clone()).unwrap();
    put(&mut other, "quantities/books:whole", "9");
    county.client("second").await.exchange(&county, id, &mut other).await;
    let reasons: Vec<String> =
        held(&county).await.iter().map(|item| item["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["other_actor", "depends"]);

    county.client("first").await.exchange(&county, id, &mut relayed).await;
    let now = entries(&county).await;
    assert_eq!(now[PUPILS]["value"]["value"]["value"], "2", "{now}");
    assert!(now["quantities/books:whole"].is_object(), "what waited for it follows");
    let left = held(&county).await;
    assert!(left.iter().all(|item| item["admitted"] == true), "nothing waits for a decision: {left:?}");
    assert!(left.iter().all(|item| item["reason"] != "other_actor"), "{left:?}");
    assert!(receipt(&county, "second", id, &other).await["held_heads"].as_object().unwrap().is_empty());
}

#[tokio::test]
async fn nobody_decides_about_held_changes_of_their_own() {
    let mut county = County::new().await;
    let admin = county.token("admin").to_owned();
    for name in ["two", "three"] {
        let person = common::add_person(&county.server, &admin, name).await;
        let assignment = Assignment {
            person,
            role: Role::Supervisor,
            schools: std::collections::BTreeSet::new(),
            ended: false,
        };
        let path = format!("/api/rounds/{ROUND}/assignments");
        assert_eq!(county.server.post(&admin, &path, &assignment).await.0, 204);
        let session = county.server.login(name).await;
        county.tokens.insert(name, session);
    }
    let id = document(0, Review);
    let edit = |doc: &mut Automerge, key: &str| {
        let mut tx = doc.transaction();
        automerge::transaction::Transactable::put(&mut tx, automerge::ROOT, key, 1).unwrap();
        tx.commit();
    };
    let mut doc = local(Review, 5);
    edit(&mut doc, "x");
    county.client("two").await.sync(id, &mut doc).await;
    // In the name of an actor of another supervisor.
    edit(&mut doc, "y");
    county.client("supervisor").await.exchange(&county, id, &mut doc).await;
    let items = held(&county).await;
    assert_eq!(items[0]["released_by"], serde_json::json!(["supervisor"]));
    let decide = format!("/api/rounds/{ROUND}/held/{}", items[0]["number"]);
    let admit = serde_json::json!({ "admit": true });
    for (name, status, code) in [
        ("supervisor", 409, Some("held.own")),
        ("two", 409, Some("held.own")),
        ("three", 200, None),
        ("three", 409, Some("held.decided")),
    ] {
        let (answered, body) = county.server.post(county.token(name), &decide, &admit).await;
        assert_eq!((answered, body["code"].as_str()), (status, code), "{name}: {body}");
    }
    assert_eq!(held(&county).await[0]["released_by"], serde_json::json!([]), "it is decided");
}

#[tokio::test]
async fn one_person_cannot_take_every_place() {
    let county = County::within(Limits { connections_per_person: 2, ..Limits::default() }).await;
    let id = document(0, Survey);
    let address = county.server.address;
    let mut first = county.client("first").await;
    let second = Client::connect(address, county.token("first"), "tab").await;
    let mut third = Client::open(address, county.token("first"), "tab").await;
    third.join().await;
    assert_eq!(end(&mut third).await.0, Said::Error("connections.too_many".to_owned()));
    assert!(refusals(&county, "connections_per_person").await > 0);
    // Neither the person's other sockets nor other people notice.
    first.sync(id, &mut local(Survey, 1)).await;
    county.client("second").await.sync(id, &mut local(Survey, 2)).await;
    drop(second);
}

#[tokio::test]
async fn frames_and_documents_have_limits() {
    let limits = Limits { documents_per_connection: 1, frame_bytes: 10_000, ..Limits::default() };
    let county = County::within(limits).await;
    let mut client = county.client("first").await;
    client.sync(document(0, Survey), &mut local(Survey, 1)).await;
    client.speak(document(1, Survey), &local(Survey, 1)).await;
    assert_eq!(end(&mut client).await.0, Said::Error("documents.too_many".to_owned()));
    let mut client = county.client("first").await;
    client.say(document(0, Survey), vec![0; 20_000]).await;
    assert_eq!(end(&mut client).await.0, Said::Error("frame.too_large".to_owned()));
    for limit in ["documents_per_connection", "frame_bytes"] {
        assert!(refusals(&county, limit).await > 0, "{limit}");
    }
}

#[tokio::test]
async fn a_document_that_nobody_has_open_is_closed_and_opens_again() {
    let county = County::within(Limits { document_idle_seconds: 1, ..Limits::default() }).await;
    let id = document(0, Survey);
    let mut doc = local(Survey, 1);
    put(&mut doc, PUPILS, "500");
    let mut client = county.client("first").await;
    client.sync(id, &mut doc).await;
    assert!(county.server.app.hub.open_documents() > 0);
    client.send(&Wire::Leave { sender_id: client.peer.clone() }).await;
    for asked in 0.. {
        let (_, health) = county.server.get("", "/health").await;
        if health["open_documents"] == 0 {
            break;
        }
        assert!(asked < 100_000, "{health}");
    }
    let mut again = local(Survey, 2);
    county.client("second").await.sync(id, &mut again).await;
    assert_eq!(again.get_heads(), doc.get_heads());
}

#[tokio::test]
async fn what_can_never_be_applied_is_bounded_and_spends_nothing_of_what_may_be_held() {
    let limits = Limits { set_aside_changes_per_person: 1, held_changes_per_person: 1, ..Limits::default() };
    let county = County::within(limits).await;
    let id = document(0, Survey);
    let (mut right, mut copied) = (local(Survey, 1), local(Survey, 1));
    for pupils in ["500", "501"] {
        put(&mut right, PUPILS, pupils);
        put(&mut copied, PUPILS, &format!("9{pupils}"));
    }
    county.client("first").await.sync(id, &mut right).await;
    let refused = refusals(&county, "set_aside_changes_per_person").await;
    let before = county.server.app.store.last();
    let mut copy = county.client("first").await;
    copy.say(id, message_with(&copied)).await;
    let said = copy.settle(&county, id).await;
    assert!(said.contains(&Said::Error("journal.person_full".to_owned())), "{said:?}");
    assert_eq!(copy.about, Some(id), "others go on");
    assert_eq!(county.server.app.store.last(), before, "nothing was written");
    assert!(refusals(&county, "set_aside_changes_per_person").await > refused);
    // One fits, and leaves the room for what is held and for what is taken.
    let mut one = local(Survey, 1);
    put(&mut one, PUPILS, "999");
    let mut copy = county.client("first").await;
    copy.say(id, message_with(&one)).await;
    let said = copy.settle(&county, id).await;
    assert!(said.contains(&Said::Error("change.set_aside".to_owned())), "{said:?}");
    put(&mut right, PUPILS, "502");
    county.client("first").await.sync(id, &mut right).await;
    county.assign("first", &[]).await;
    put(&mut right, PUPILS, "503");
    county.client("first").await.exchange(&county, id, &mut right).await;
    assert_eq!(held(&county).await.len(), 1);
}

#[tokio::test]
async fn a_socket_that_answers_no_ping_ends() {
    let county = County::within(Limits { ping_seconds: 1, ..Limits::default() }).await;
    let before = refusals(&county, "ping_seconds").await;
    // Pings are answered while reading, and this one does not read.
    let mut silent = county.client("first").await;
    for asked in 0.. {
        if refusals(&county, "ping_seconds").await > before {
            break;
        }
        assert!(asked < 100_000);
    }
    assert_eq!(end(&mut silent).await.0, Said::Error("ping.unanswered".to_owned()));
}

#[tokio::test]
async fn a_slow_reader_converges_when_it_reads_again() {
    let limits = Limits { outbound_frames: 1, outbound_bytes: 1, ..Limits::default() };
    let county = County::within(limits).await;
    let id = document(0, Survey);
    let (mut writing, mut slow) = (county.client("first").await, county.client("second").await);
    let (mut of_first, mut of_second) = (local(Survey, 1), local(Survey, 2));
    slow.sync(id, &mut of_second).await;
    for batch in 0..100 {
        for edit in 0..20 {
            put(&mut of_first, PUPILS, &(batch * 20 + edit).to_string());
        }
        writing.sync(id, &mut of_first).await;
    }
    let now = of_first.get_heads();
    slow.until(id, &mut of_second, |doc| doc.get_heads() == now).await;
}

/// How much of a limit is in use, as the metrics say.
async fn in_use(county: &County, limit: &str) -> u64 {
    counted(county, &format!("duxue_limit_in_use{{limit=\"{limit}\"}}")).await
}

#[tokio::test]
async fn the_metrics_say_how_much_of_a_limit_is_in_use() {
    let county = County::new().await;
    let (_one, _two) = (county.client("first").await, county.client("second").await);
    let _three = Client::connect(county.server.address, county.token("first"), "tab").await;
    // Other tests of this process show theirs at the same place in between.
    for asked in 0.. {
        if in_use(&county, "connections_per_person").await == 2 {
            break;
        }
        assert!(asked < 10_000);
    }
    let (_, text) = county.server.get("", "/metrics").await;
    for limit in
        ["in_flight_bytes", "document_events", "outbound_frames", "outbound_bytes", "uploads_per_person"]
    {
        let line = format!("duxue_limit_in_use{{limit=\"{limit}\"}}");
        assert!(text.as_str().unwrap().contains(&line), "{limit}");
    }
}

#[tokio::test]
async fn bodies_have_limits_that_can_be_set() {
    let limits =
        Limits { stranger_json_bytes: 1_000, json_bytes: 2_000, import_bytes: 3_000, ..Limits::default() };
    let county = County::within(limits).await;
    let spaces = |count: usize| vec![b' '; count];
    let import = format!("/api/rounds/{ROUND}/import");
    for (path, token, limit, most) in [
        ("/api/login", "", "stranger_json_bytes", 1_000),
        ("/api/people", county.token("admin"), "json_bytes", 2_000),
        (import.as_str(), county.token("admin"), "import_bytes", 3_000),
    ] {
        let refused = refusals(&county, limit).await;
        let send =
            |count| county.server.http.post(county.server.url(path)).bearer_auth(token).body(spaces(count));
        let (status, body) = common::answer(send(most + 1)).await;
        assert_eq!((status, body["code"].as_str()), (413, Some("request.too_large")), "{path}: {body}");
        assert!(body["detail"].as_str().unwrap().contains(limit), "{body}");
        assert!(refusals(&county, limit).await > refused, "{limit}");
        let (status, body) = common::answer(send(most)).await;
        assert_ne!(status, 413, "{path}: {body}");
    }
}

/// Opens one more session of a device that was enrolled by the tests.
async fn device_session(county: &County, device: &DeviceId) -> (u16, serde_json::Value) {
    use ed25519_dalek::Signer;
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let asked = serde_json::json!({ "device": device });
    let (_, answer) = county.server.post("", "/api/challenges", &asked).await;
    let challenge = answer["challenge"].as_str().unwrap().to_owned();
    let statement = duxue_server::accounts::device_statement(device, &challenge);
    let signature = duxue_server::random::hex(&key.sign(statement.as_bytes()).to_bytes());
    let proof = duxue_protocol::api::DeviceSession { device: device.clone(), challenge, signature };
    county.server.post("", "/api/device-sessions", &proof).await
}

/// Whoever logs in and out, or whose device asks again and again, writes into
/// the journal each time.
#[tokio::test]
async fn nobody_opens_sessions_without_end() {
    // One of each is there since the set-up.
    let county = County::within(Limits { sessions_opened_per_person: 3, ..Limits::default() }).await;
    let device = county.tokens["first"].device.clone().unwrap();
    let login = serde_json::json!({ "name": "bureau", "password": common::PASSWORD });
    for more in 0..4 {
        let before = county.server.app.store.last();
        let answers =
            [county.server.post("", "/api/login", &login).await, device_session(&county, &device).await];
        for (status, body) in answers {
            if more < 2 {
                assert_eq!(status, 200, "{body}");
                let token = body["token"].as_str().unwrap();
                let logout = county.server.http.delete(county.server.url("/api/session")).bearer_auth(token);
                assert_eq!(common::answer(logout).await.0, 204, "who has come in may go");
            } else {
                assert_eq!((status, body["code"].as_str()), (429, Some("journal.person_full")), "{body}");
            }
        }
        assert_eq!(county.server.app.store.last() == before, more >= 2, "what is refused writes nothing");
    }
    assert!(refusals(&county, "sessions_opened_per_person").await > 0);
    for (name, path) in [("bureau", "/api/rounds"), ("first", "/api/me"), ("second", "/api/me")] {
        assert_eq!(county.server.get(county.token(name), path).await.0, 200, "sessions that stand stay");
    }
    let login = serde_json::json!({ "name": "supervisor", "password": common::PASSWORD });
    assert_eq!(county.server.post("", "/api/login", &login).await.0, 200, "others have a share of their own");
}

/// What is recorded of wrong bytes counts like everything else that a person
/// has written.
#[tokio::test]
async fn bytes_that_are_not_what_was_declared_count_for_whoever_sends_them() {
    let county = County::within(Limits { journal_bytes_per_person: 1_200, ..Limits::default() }).await;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let hash = duxue_document::PhotoHash::of(b"abc").to_string();
    let metadata = [("sha256", hash.as_str()), ("round", ROUND), ("school", common::SCHOOLS[0])];
    let metadata = metadata.map(|(key, value)| format!("{key} {}", encode(value))).join(",");
    let send = async |name: &str, body: &'static str| {
        let request = county.server.http.post(county.server.url("/api/files"));
        let request = request.bearer_auth(county.token(name)).header("tus-resumable", "1.0.0");
        let request = request.header("content-type", "application/offset+octet-stream");
        let request = request.header("upload-length", "3").header("upload-metadata", &metadata);
        let (status, body) = common::answer(request.body(body)).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = refusals(&county, "journal_bytes_per_person").await;
    for expected in [(460, "photo.hash"), (460, "photo.hash"), (429, "journal.person_full")] {
        let (status, code) = send("first", "abd").await;
        assert_eq!((status, code.as_str()), expected);
    }
    assert!(refusals(&county, "journal_bytes_per_person").await > refused);
    assert_eq!(send("second", "abd").await.0, 460, "others have a share of their own");
    assert_eq!(send("first", "abc").await.0, 201, "a photo is bounded by its own quota");
}

#[tokio::test]
async fn a_device_has_few_sessions_and_a_person_not_too_many() {
    let limits = Limits { sessions_per_device: 2, sessions_per_person: 3, ..Limits::default() };
    let county = County::within(limits).await;
    let first = county.tokens["first"].clone();
    let device = first.device.unwrap();
    let mut tokens = vec![first.token];
    let refused = refusals(&county, "sessions_per_device").await;
    for _ in 0..3 {
        let (status, session) = device_session(&county, &device).await;
        assert_eq!(status, 200, "a device is never locked out: {session}");
        tokens.push(session["token"].as_str().unwrap().to_owned());
    }
    assert!(refusals(&county, "sessions_per_device").await >= refused + 2);
    let mut valid = Vec::new();
    for token in &tokens {
        valid.push(county.server.get(token, "/api/rounds").await.0 == 200);
    }
    assert!(!valid[0] && valid[3], "the oldest ends: {valid:?}");
    assert_eq!(valid.iter().filter(|valid| **valid).count(), 2);

    // One is there since the set-up.
    for more in 0..3 {
        let login = serde_json::json!({ "name": "bureau", "password": common::PASSWORD });
        let (status, body) = county.server.post("", "/api/login", &login).await;
        if more < 2 {
            assert_eq!(status, 200, "{body}");
        } else {
            assert_eq!((status, body["code"].as_str()), (429, Some("login.sessions")));
        }
    }
    assert!(refusals(&county, "sessions_per_person").await > 0);
    assert_eq!(county.server.get(county.token("bureau"), "/api/rounds").await.0, 200, "others stay");
}

/// Changes that wait for one decision may be more than one commit takes.
#[tokio::test]
async fn what_a_commit_cannot_take_stays_listed_and_is_decided_next() {
    let limits = Limits { held_bytes_per_person: 64 << 20, ..Limits::default() };
    let county = County::within(limits).await;
    let id = document(0, Survey);
    let mut owner = local(Survey, 1);
    put(&mut owner, PUPILS, "1");
    county.client("first").await.sync(id, &mut owner).await;
    let mut relayed = owner.clone();
    put(&mut relayed, PUPILS, "2");
    county.client("second").await.exchange(&county, id, &mut relayed).await;
    for actor in 2..5 {
        let mut builds = local(Survey, actor);
        builds.merge(&mut relayed).unwrap();
        let mut tx = builds.transaction();
        tx.put(automerge::ROOT, "large", "0".repeat(6 << 20)).unwrap();
        tx.commit();
        county.client("second").await.exchange(&county, id, &mut builds).await;
    }
    let open = async || {
        let items = held(&county).await.into_iter().filter(|item| item["admitted"].is_null());
        items.map(|item| item["number"].to_string()).collect::<Vec<String>>()
    };
    assert_eq!(open().await.len(), 4);
    for left in [1, 0] {
        let first = open().await.swap_remove(0);
        let path = format!("/api/rounds/{ROUND}/held/{first}");
        let admit = serde_json::json!({ "admit": true });
        let (status, body) = county.server.post(county.token("supervisor"), &path, &admit).await;
        assert!(status < 300, "{status} {body}");
        assert_eq!(open().await.len(), left);
    }
}
