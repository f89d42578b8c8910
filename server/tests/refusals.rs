//! Every limit that a peer can be over on a running server: what is just within
//! it goes on, what is over it ends with a stable code, and is counted by the
//! limit's name.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use automerge::sync::{BloomFilter, ChunkList, Have, Message, MessageVersion};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ChangeHash, ROOT};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::ended::{counted, end, refusals};
use common::{Client, County, ROUND, SCHOOLS, Said, document, local};
use duxue_document::DocumentKind::Survey;
use duxue_document::PhotoHash;
use duxue_protocol::wire::{Message as Wire, Metadata};
use duxue_server::config::Limits;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Frame;

/// The defaults, and one of them by its name as in the settings.
fn limits(name: &str, value: u64) -> Limits {
    let mut limits = serde_json::to_value(Limits::default()).unwrap();
    let old = limits.as_object_mut().unwrap().insert(name.to_owned(), value.into());
    assert!(old.is_some(), "{name}");
    serde_json::from_value(limits).unwrap()
}

fn join(peer: String) -> Wire {
    Wire::Join {
        sender_id: peer,
        metadata: Metadata::default(),
        supported_protocol_versions: vec!["1".to_owned()],
    }
}

/// What a socket may say first. Each row: what it says, the code, and the limit
/// that counts it, if it is one.
#[tokio::test]
async fn the_first_word_of_a_socket_is_a_right_join() {
    let county = County::new().await;
    let most = usize::try_from(Limits::default().sender_bytes).unwrap();
    let server = {
        let mut client = Client::open(county.server.address, county.token("first"), "a").await;
        client.join().await;
        client.server().await
    };
    let rows: [(&str, Wire, Option<&str>, Option<&str>); 6] = [
        ("as long as it may be", join("x".repeat(most)), None, None),
        ("a byte longer", join("x".repeat(most + 1)), Some("join.sender"), Some("sender_bytes")),
        ("no name", join(String::new()), Some("join.sender"), None),
        ("the server's name", join(server), Some("join.sender"), None),
        ("no join", Wire::Leave { sender_id: "a".to_owned() }, Some("join.missing"), None),
        (
            "another version",
            Wire::Join {
                sender_id: "a".to_owned(),
                metadata: Metadata::default(),
                supported_protocol_versions: vec!["2".to_owned()],
            },
            Some("join.version"),
            None,
        ),
    ];
    for (name, first, code, limit) in rows {
        let reason = format!("duxue_sync_refused_sessions_total{{reason=\"{}\"}}", code.unwrap_or_default());
        let sessions = counted(&county, &reason).await;
        let over = refusals(&county, limit.unwrap_or("sender_bytes")).await;
        let mut client = Client::open(county.server.address, county.token("first"), "a").await;
        client.send(&first).await;
        let Some(code) = code else {
            client.server().await;
            assert_eq!(refusals(&county, "sender_bytes").await, over, "{name}");
            continue;
        };
        let close = if code == "join.version" { 1002 } else { 1008 };
        let expected = (Said::Error(code.to_owned()), Said::Closed(close, code.to_owned()));
        assert_eq!(end(&mut client).await, expected, "{name}");
        assert!(counted(&county, &reason).await > sessions, "{name}");
        let counts = u64::from(limit.is_some());
        assert_eq!(refusals(&county, "sender_bytes").await - over, counts, "{name}");
    }
}

#[tokio::test]
async fn a_socket_that_says_nothing_first_ends() {
    let county = County::within(limits("join_seconds", 1)).await;
    let before = refusals(&county, "join_seconds").await;
    let mut joined = county.client("first").await;
    let mut silent = Client::open(county.server.address, county.token("second"), "b").await;
    let expected = (Said::Error("join.timeout".to_owned()), Said::Closed(1008, "join.timeout".to_owned()));
    assert_eq!(end(&mut silent).await, expected);
    assert_eq!(refusals(&county, "join_seconds").await, before + 1);
    joined.sync(document(0, Survey), &mut local(Survey, 1)).await;
}

/// The first word of a stranger is short, of whatever kind it is.
#[tokio::test]
async fn a_strangers_first_word_has_so_many_bytes() {
    let county = County::within(limits("stranger_frame_bytes", 1_000)).await;
    for (length, code, counts) in [(1_000, "wire.not_a_message", 0), (1_001, "frame.too_large", 1)] {
        let before = refusals(&county, "stranger_frame_bytes").await;
        let mut client = Client::open(county.server.address, "no-token", "a").await;
        // An empty map, and bytes that no one looks at.
        client.raw(Frame::Binary([vec![0xa0], vec![0; length - 1]].concat().into())).await;
        let (last, _) = end(&mut client).await;
        let Said::Error(told) = last else { panic!("{last:?}") };
        assert!(told == code || counts == 0 && told.starts_with("wire."), "{length}: {told}");
        assert_eq!(refusals(&county, "stranger_frame_bytes").await, before + counts, "{length}");
    }
}

/// Ephemeral messages may be lost, so what is over is dropped; nobody is told.
#[tokio::test]
async fn ephemeral_messages_are_so_large_and_so_many_in_a_second() {
    let county = County::within(limits("ephemeral_bytes", 100)).await;
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
    let large = refusals(&county, "ephemeral_bytes").await;
    a.send(&said(vec![1; 101])).await;
    a.send(&said(vec![2; 100])).await;
    assert_eq!(b.hear().await, Said::Ephemeral(vec![2; 100]), "the larger one is dropped");
    assert_eq!(refusals(&county, "ephemeral_bytes").await, large + 1);

    // As many as may be, all of them within a second or not.
    let many = refusals(&county, "ephemeral_per_second").await;
    let rate = Limits::default().ephemeral_per_second;
    let mut a = Client::connect(county.server.address, county.token("first"), "peer-again").await;
    a.sync(id, &mut local(Survey, 3)).await;
    let said = |data: Vec<u8>| Wire::Ephemeral {
        sender_id: "peer-again".to_owned(),
        target_id: "server".to_owned(),
        document_id: id.to_string(),
        count: 1,
        session_id: "s".to_owned(),
        data,
    };
    for _ in 0..rate {
        a.send(&said(vec![3])).await;
    }
    a.round_trip().await;
    assert_eq!(refusals(&county, "ephemeral_per_second").await, many, "so many fit");
    // So many more that they cannot be within the rate.
    for _ in 0..rate * 40 {
        a.send(&said(vec![4])).await;
    }
    a.round_trip().await;
    assert!(refusals(&county, "ephemeral_per_second").await > many);
    assert_eq!(b.hear().await, Said::Ephemeral(vec![3]), "others hear those within");
}

/// Questions whose number is bounded: the path, who asks, and a body with so
/// many of what is counted.
#[tokio::test]
async fn requests_ask_for_so_much() {
    type Body = fn(usize) -> Value;
    let photos: Body = |count| {
        let photos: Vec<_> = (0..count).map(|n| PhotoHash::of(&n.to_be_bytes()).to_string()).collect();
        json!({ "photos": photos })
    };
    let heads: Body = |count| {
        let heads: Vec<_> = (0..count).map(|n| format!("{n:064x}")).collect();
        json!({ "heads": { document(0, Survey).to_string(): heads } })
    };
    let changes: Body = |count| {
        let change = json!({ "change": "buy_equipment", "school": SCHOOLS[0], "value_yuan": "1" });
        json!({ "changes": vec![change; count] })
    };
    let what_if = format!("/api/rounds/{ROUND}/what-if");
    let rows = [
        ("receipt_questions", "/api/receipts", "first", photos),
        ("receipt_questions", "/api/receipts", "first", heads),
        ("what_if_changes", what_if.as_str(), "bureau", changes),
    ];
    for (limit, path, who, body) in rows {
        let county = County::within(limits(limit, 3)).await;
        let before = refusals(&county, limit).await;
        let (_, answer) = county.server.post(county.token(who), path, &body(3)).await;
        assert_ne!(answer["code"], "request.invalid", "{limit}: {answer}");
        assert_eq!(refusals(&county, limit).await, before, "{limit}");
        let (status, answer) = county.server.post(county.token(who), path, &body(4)).await;
        assert_eq!((status, answer["code"].as_str()), (422, Some("request.invalid")), "{limit}: {answer}");
        assert_eq!(refusals(&county, limit).await, before + 1, "{limit}");
    }
}

#[tokio::test]
async fn a_round_has_so_many_schools() {
    // Two are there.
    let county = County::within(limits("schools_per_round", 3)).await;
    let before = refusals(&county, "schools_per_round").await;
    let import = async |schools: &[&str]| {
        let rows: String = schools.iter().map(|id| format!("{id},{id}小学,小学,城区,7,否,否\n")).collect();
        let heading =
            "学校标识码,学校名称,办学类型,城乡分类,举办者类型,是否寄宿制,是否人口密度过高的中心城区学校";
        let sheet = format!("{heading}\n{rows}");
        let path = format!("/api/rounds/{ROUND}/import?filename=register.csv");
        let request = county.server.http.post(county.server.url(&path)).bearer_auth(county.token("admin"));
        common::answer(request.header("content-type", "text/csv").body(sheet)).await
    };
    let (status, answer) = import(&["3601000003", "3601000004"]).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("request.invalid")), "{answer}");
    assert_eq!(refusals(&county, "schools_per_round").await, before + 1);
    // One more fits, and so do all that are there, again.
    for schools in [&["3601000003"][..], &[SCHOOLS[0], SCHOOLS[1], "3601000003"]] {
        let (status, answer) = import(schools).await;
        assert_eq!((status, &answer["written"]), (200, &json!(true)), "{answer}");
    }
    assert_eq!(refusals(&county, "schools_per_round").await, before + 1);
}

/// A sync message that brings these chunks, from someone with these summaries.
fn message(heads: Vec<ChangeHash>, have: Vec<Have>, chunks: Vec<Vec<u8>>) -> Vec<u8> {
    Message {
        heads,
        need: Vec::new(),
        have,
        changes: ChunkList::from(chunks),
        flags: None,
        version: MessageVersion::V1,
    }
    .encode()
}

/// Three people who put a value each, and one of them who takes in the others'
/// and puts another in their place.
fn merged() -> Automerge {
    let mut doc = Automerge::new().with_actor(ActorId::from([1; 16]));
    let put = |doc: &mut Automerge, values: &[(&str, i64)]| {
        let mut tx = doc.transaction();
        for (key, value) in values {
            tx.put(ROOT, *key, *value).unwrap();
        }
        tx.commit_with(CommitOptions::default().with_message("eight ch".to_owned()));
    };
    put(&mut doc, &[("a", 1)]);
    let others = [2, 3].map(|actor| doc.fork().with_actor(ActorId::from([actor; 16])));
    put(&mut doc, &[("a", 2), ("b", 2)]);
    for mut other in others {
        put(&mut other, &[("a", 3)]);
        doc.merge(&mut other).unwrap();
    }
    put(&mut doc, &[("a", 4)]);
    doc
}

/// A change that is deflated on its way.
fn deflated() -> Vec<u8> {
    let mut doc = Automerge::new().with_actor(ActorId::from([1; 16]));
    let mut tx = doc.transaction();
    tx.put(ROOT, "long", "0".repeat(1_000)).unwrap();
    tx.commit();
    doc.get_changes(&[])[0].clone().bytes().to_vec()
}

/// Each limit of the scan: as much as fits into it, and one less.
#[tokio::test]
async fn what_is_in_a_sync_message_is_bounded() {
    let doc = merged();
    let chunks: Vec<Vec<u8>> =
        doc.get_changes(&[]).into_iter().map(|change| change.raw_bytes().to_vec()).collect();
    let brings = message(Vec::new(), Vec::new(), chunks);
    let packed = deflated();
    // As a change by itself, which is a little more than what inflates.
    let inflates = automerge::Change::from_bytes(packed.clone()).unwrap().raw_bytes().len() as u64;
    assert!(packed.len() < 500 && inflates > 1_000, "{inflates}");
    let inflates_to = message(Vec::new(), Vec::new(), vec![packed]);
    let hashes = [1, 2, 3].map(|n| ChangeHash([n; 32]));
    let have = |hashes: &[ChangeHash]| Have {
        last_sync: Vec::new(),
        bloom: BloomFilter::from_hashes(hashes.iter().copied()),
    };
    let heads = message(hashes.to_vec(), Vec::new(), Vec::new());
    let haves = message(Vec::new(), vec![have(&[]), have(&[])], Vec::new());
    let bloom = message(Vec::new(), vec![have(&hashes)], Vec::new());
    let bloom_bytes = have(&hashes).bloom.to_bytes().len() as u64;
    let rows = [
        ("scan_ops_per_change", 2, &brings),
        ("scan_ops", 6, &brings),
        ("scan_changes", 5, &brings),
        // Beside its author.
        ("scan_actors", 2, &brings),
        ("scan_actor_bytes", 16, &brings),
        ("scan_deps", 3, &brings),
        ("scan_replaced", 3, &brings),
        ("scan_text_bytes", 8, &brings),
        ("scan_inflated_bytes", inflates, &inflates_to),
        ("scan_hashes", 3, &heads),
        ("scan_haves", 2, &haves),
        ("scan_bloom_bytes", bloom_bytes, &bloom),
    ];
    for (limit, has, data) in rows {
        for (most, over) in [(has, false), (has - 1, true)] {
            let county = County::within(limits(limit, most)).await;
            let before = refusals(&county, limit).await;
            let mut client = county.client("first").await;
            let id = document(0, Survey);
            client.say(id, data.clone()).await;
            if over {
                let expected = (
                    Said::Error("scan.over_limit".to_owned()),
                    Said::Closed(1008, "scan.over_limit".to_owned()),
                );
                assert_eq!(end(&mut client).await, expected, "{limit} = {most}");
                assert_eq!(client.about, Some(id), "{limit}");
            } else {
                let said = client.round_trip().await;
                assert!(
                    !said.iter().any(|said| matches!(said, Said::Error(_))),
                    "{limit} = {most}: {said:?}"
                );
            }
            assert_eq!(refusals(&county, limit).await - before, u64::from(over), "{limit} = {most}");
        }
    }
}

/// What one document may become. Each row: the limit, how much of it there may
/// be, the code, and changes that are over it.
#[tokio::test]
async fn a_document_has_limits() {
    type Chunks = fn() -> Vec<Vec<u8>>;
    fn of(actor: u8, values: &[String]) -> Automerge {
        let mut doc = local(Survey, actor);
        for (number, value) in values.iter().enumerate() {
            let mut tx = doc.transaction();
            tx.put(ROOT, format!("key-{number}"), value.as_str()).unwrap();
            tx.commit();
        }
        doc
    }
    fn raw_of(doc: &Automerge) -> Vec<Vec<u8>> {
        doc.get_changes(&[]).iter().skip(1).map(|change| change.raw_bytes().to_vec()).collect()
    }
    let chain: Chunks = || raw_of(&of(1, &vec!["x".to_owned(); 40]));
    let people: Chunks = || (1..=40).flat_map(|actor| raw_of(&of(actor, &["x".to_owned()]))).collect();
    let large: Chunks = || raw_of(&of(1, &["x".repeat(9_000)]));
    // The first is missing.
    let waiting: Chunks = || raw_of(&of(1, &vec!["x".to_owned(); 40])).split_off(1);
    let rows = [
        ("document_operations", 30, "document.full", chain),
        ("document_changes", 20, "document.full", chain),
        ("document_actors", 20, "document.full", people),
        ("document_heads", 20, "document.heads", people),
        ("document_bytes", 4_000, "document.full", large),
        ("document_waiting_changes", 20, "document.waits", waiting),
    ];
    for (limit, most, code, chunks) in rows {
        let county = County::within(limits(limit, most)).await;
        let before = refusals(&county, limit).await;
        let id = document(0, Survey);
        let mut client = county.client("first").await;
        let fits = raw_of(&of(50, &["fits".to_owned()]));
        client.say(id, message(Vec::new(), Vec::new(), fits)).await;
        let said = client.settle(&county, id).await;
        assert!(!said.iter().any(|said| matches!(said, Said::Error(_))), "{limit}: {said:?}");
        assert_eq!(refusals(&county, limit).await, before, "{limit}");
        let last = county.server.app.store.last();
        client.say(id, message(Vec::new(), Vec::new(), chunks())).await;
        let expected = (Said::Error(code.to_owned()), Said::Closed(1008, code.to_owned()));
        assert_eq!(end(&mut client).await, expected, "{limit}");
        assert_eq!(refusals(&county, limit).await, before + 1, "{limit}");
        assert_eq!(county.server.app.store.last(), last, "{limit}: nothing was written");
    }
}

/// A change that carries bytes for later versions.
#[tokio::test]
async fn bytes_for_later_versions_are_bounded() {
    use sha2::Digest;
    let doc = merged();
    let chunk = doc.get_changes(&[])[0].raw_bytes().to_vec();
    // Magic, checksum, kind, a length of one byte, contents.
    let contents = [&chunk[10..], &[0; 3]].concat();
    let length = u8::try_from(contents.len()).unwrap();
    assert!(length < 0x80);
    let hash = sha2::Sha256::new().chain_update([1, length]).chain_update(&contents).finalize();
    let longer = [&chunk[..4], &hash[..4], &[1, length], &contents].concat();
    let data = message(Vec::new(), Vec::new(), vec![longer]);
    for (most, over) in [(3, false), (2, true)] {
        let county = County::within(limits("scan_extra_bytes", most)).await;
        let before = refusals(&county, "scan_extra_bytes").await;
        let mut client = county.client("first").await;
        client.say(document(0, Survey), data.clone()).await;
        let told = client.round_trip().await.contains(&Said::Error("scan.over_limit".to_owned()));
        assert_eq!((told, refusals(&county, "scan_extra_bytes").await - before), (over, u64::from(over)));
    }
}

/// Each limit of a frame: as much as fits into it, and one less.
#[tokio::test]
async fn what_is_in_a_frame_is_bounded() {
    // A map of a map with two texts, of which nothing is understood.
    let frame = [&[0xa1, 0x61, b'a', 0xa1, 0x61, b'b', 0x6a][..], b"ten bytes."].concat();
    let rows = [("frame_text_bytes", 10), ("frame_depth", 2), ("frame_items", 5), ("frame_bytes", 17)];
    for (limit, has) in rows {
        let found = async |most: u64| {
            let county = County::within(limits(limit, most)).await;
            let before = refusals(&county, limit).await;
            let mut client = Client::open(county.server.address, county.token("first"), "a").await;
            client.raw(Frame::Binary(frame.clone().into())).await;
            let (told, _) = end(&mut client).await;
            (told, refusals(&county, limit).await - before)
        };
        let over = if limit == "frame_bytes" { "frame.too_large" } else { "wire.over_limit" };
        assert_eq!(found(has - 1).await, (Said::Error(over.to_owned()), 1), "{limit}");
        assert_eq!(found(has).await, (Said::Error("wire.not_a_message".to_owned()), 0), "{limit}");
    }
}

/// Guesses at a password, from one address and from many.
#[tokio::test]
async fn guesses_are_counted_by_what_makes_them_wait() {
    for (limit, guesses, addresses) in [("login_failures", 4, 1), ("login_failures_per_name", 4, 4)] {
        let county = County::set(|config| {
            config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
            config.limits = limits(limit, 4);
        })
        .await;
        let log_in = async |from: u64, password: &str| {
            let login = json!({ "name": "bureau", "password": password });
            let request = county.server.http.post(county.server.url("/api/login")).json(&login);
            common::answer(request.header("x-forwarded-for", format!("192.0.2.{from}"))).await
        };
        let before = refusals(&county, limit).await;
        for guess in 0..guesses {
            assert_eq!(log_in(guess % addresses, "a guess").await.0, 401, "{limit}");
        }
        assert_eq!(refusals(&county, limit).await, before, "{limit}");
        let (status, answer) = log_in(0, "another").await;
        assert_eq!((status, answer["code"].as_str()), (429, Some("login.too_many")), "{limit}");
        assert_eq!(refusals(&county, limit).await, before + 1, "{limit}");
        assert_eq!(log_in(100, common::PASSWORD).await.0, 200, "{limit}");
    }
}

/// Of uploads whose bytes are not what was declared so many are kept; the
/// sender is told the same.
#[tokio::test]
async fn so_much_of_wrong_uploads_is_kept() {
    for (limit, fits) in [("upload_aside_files", 2), ("upload_aside_bytes", 1_500)] {
        let county = County::within(limits(limit, fits)).await;
        let before = refusals(&county, limit).await;
        for (number, counts) in [(0, 0), (1, 1)] {
            let length = 600 + number;
            let hash = PhotoHash::of(&vec![1; length]).to_string();
            let pairs = [("sha256", hash.as_str()), ("round", ROUND), ("school", SCHOOLS[0])];
            let metadata = pairs.map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).join(",");
            let request = county.server.http.post(county.server.url("/api/files"));
            let request = request.bearer_auth(county.token("first")).header("tus-resumable", "1.0.0");
            let request = request.header("content-type", "application/offset+octet-stream");
            let request = request.header("upload-length", length).header("upload-metadata", metadata);
            let (status, answer) = common::answer(request.body(vec![2; length])).await;
            assert_eq!((status, answer["code"].as_str()), (460, Some("photo.hash")), "{limit}: {answer}");
            assert_eq!(refusals(&county, limit).await, before + counts, "{limit}");
        }
    }
}
