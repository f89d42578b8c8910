//! Hostile input to a real server over real sockets: each is told why in a
//! stable code, the server's memory stays bounded, and a bystander syncs on.

use std::io::Write;

use automerge::Automerge;
use duxue_document::{DocumentId, DocumentKind, PhotoHash, genesis};
use duxue_tests::deadline::DEADLINE;
use duxue_tests::hostile::{self, Attacker, chunk, message, short_change_of};
use duxue_tests::processes::Api;
use duxue_tests::round::{ROUND, Round, password};
use tokio_tungstenite::tungstenite::Message;

/// A school of the demonstration county.
const SCHOOL: &str = "9901010012";
/// What all of it together may cost the server at its peak, in KiB, beyond
/// what it used before: a frame of 4 MiB, 32 MiB that it inflates to, and as
/// much again for what the allocator keeps.
const MEMORY_MAX_KIB: u64 = 72 << 10;

fn survey() -> DocumentId {
    let round = ROUND.parse().expect("an id");
    DocumentId::derive(&round, SCHOOL, DocumentKind::Survey)
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

/// A compressed change that inflates to so many bytes.
fn bomb(bytes: usize) -> Vec<u8> {
    let zeros = vec![0; bytes];
    chunk(2, &deflated(&zeros), 1, &zeros)
}

/// What is sent, and the code that comes back.
fn frames() -> Vec<(&'static str, Sent, &'static str)> {
    let deep = [vec![0x81; 200_000], vec![0]].concat();
    let long_text = [vec![0xa1, 0x64], b"type".to_vec(), vec![0x7b], vec![0xff; 8]].concat();
    vec![
        ("text", Sent::Frame(Message::Text("{}".into())), "frame.text"),
        ("not CBOR", Sent::Frame(Message::Binary(vec![0xff; 40].into())), "wire.not_cbor"),
        ("an empty map", Sent::Frame(Message::Binary(vec![0xa0].into())), "wire.not_a_message"),
        ("200 000 arrays in each other", Sent::Frame(Message::Binary(deep.into())), "wire."),
        ("a text of 2^64 bytes", Sent::Frame(Message::Binary(long_text.into())), "wire."),
        ("a second join", Sent::Join, "join.again"),
        ("an empty sync message", Sent::Sync(vec![0x42]), "scan.truncated"),
        ("an unknown sync message", Sent::Sync(vec![0x99; 30]), "scan.unknown"),
        ("a short change of 10^8 operations", Sent::Sync(message(&[short_change_of(100_000_000)])), "scan."),
        ("a change that inflates to 100 MiB", Sent::Sync(message(&[bomb(100 << 20)])), "scan.over_limit"),
        ("a thousand chunks of nothing", Sent::Sync(message(&vec![vec![0x85]; 1000])), "scan."),
        ("a frame of 6 MiB", Sent::Frame(Message::Binary(vec![0; 6 << 20].into())), "frame.too_large"),
    ]
}

enum Sent {
    Frame(Message),
    Sync(Vec<u8>),
    Join,
}

/// Puts a value and syncs until the server has said that it has it.
async fn syncs_on(bystander: &mut Attacker, doc: &mut Automerge, value: i64) {
    use automerge::sync::{self, SyncDoc};
    use automerge::transaction::Transactable;
    let mut transaction = doc.transaction();
    transaction.put(automerge::ROOT, "bystander", value).expect("a put");
    transaction.commit();
    let mut state = sync::State::new();
    let heads = doc.get_heads();
    loop {
        if let Some(own) = doc.generate_sync_message(&mut state) {
            bystander.sync(survey(), own.encode()).await;
        }
        let Some(duxue_protocol::wire::Message::Sync { data, .. }) = bystander.hear().await else {
            panic!("the bystander was not heard");
        };
        let theirs = sync::Message::decode(&data).expect("a sync message");
        let there = heads.iter().all(|head| theirs.heads.contains(head));
        doc.receive_sync_message(&mut state, theirs).expect("changes that apply");
        if there {
            return;
        }
    }
}

#[tokio::test]
async fn hostile_frames_are_told_why_and_cost_nobody_else_anything() {
    let round = Round::open();
    for name in ["attacker", "bystander"] {
        round.inspector(name, &[SCHOOL]);
    }
    let log_in = |name: &str| Api::login(&round.url(), name, &password(name));
    let (attacking, standing_by) = (log_in("attacker"), log_in("bystander"));
    let mut bystander = Attacker::join(round.address(), standing_by.token(), "bystander-1").await;
    let mut doc = genesis::document(DocumentKind::Survey, automerge::ActorId::from([3_u8; 16]));
    let before = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    for (number, (name, sent, code)) in frames().into_iter().enumerate() {
        let own_name = format!("attacker-{number}");
        let mut attacker = Attacker::join(round.address(), attacking.token(), &own_name).await;
        match sent {
            Sent::Frame(frame) => attacker.send(frame).await,
            Sent::Sync(data) => attacker.sync(survey(), data).await,
            Sent::Join => attacker.join_again().await,
        }
        let told = tokio::time::timeout(DEADLINE, attacker.told()).await.expect("an answer");
        assert!(told.as_deref().is_some_and(|told| told.starts_with(code)), "{name}: {told:?}");
        let number = i64::try_from(number).expect("a few");
        tokio::time::timeout(DEADLINE, syncs_on(&mut bystander, &mut doc, number))
            .await
            .unwrap_or_else(|_| panic!("the bystander waits after {name}"));
    }
    let peak = hostile::peak_memory_kib(&round.path("server")).expect("Linux tells");
    println!("peak memory of the server: {} MiB before and {} MiB after", before >> 10, peak >> 10);
    assert!(peak - before < MEMORY_MAX_KIB, "{before} KiB before, {peak} KiB after");
}

/// One request to the upload interface.
struct Upload<'a> {
    api: &'a Api,
    url: String,
}

impl Upload<'_> {
    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> (u16, String, String) {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        let request = request.header("authorization", format!("Bearer {}", self.api.token()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(DEADLINE))
            .build()
            .into();
        let mut answer = agent.run(request.body(body).expect("a request")).expect("an answer");
        let location =
            answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let location = location.to_owned();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let code = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        (answer.status().as_u16(), code["code"].as_str().unwrap_or_default().to_owned(), location)
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn hostile_uploads_are_told_why() {
    let round = Round::open();
    round.inspector("attacker", &[SCHOOL]);
    let api = Api::login(&round.url(), "attacker", &password("attacker"));
    let upload = Upload { api: &api, url: round.url() };
    let photo = [&[0xff, 0xd8, 0xff, 0xe0][..], &[7; 996]].concat();
    let hash = PhotoHash::of(&photo).to_string();
    let tus = || vec![("tus-resumable", "1.0.0".to_owned())];
    let metadata = |hash: &str| {
        let pair = |(name, value): (&str, &str)| format!("{name} {}", base64(value.as_bytes()));
        [("sha256", hash), ("round", ROUND), ("school", SCHOOL)].map(pair).join(",")
    };
    let create = |length: &str, metadata: String| {
        let more = vec![("upload-length", length.to_owned()), ("upload-metadata", metadata)];
        upload.send("POST", "/api/files", &[tus(), more].concat(), &[])
    };
    let refused = [
        ("no length", create("", metadata(&hash)), 400, "photo.header"),
        ("a length beyond all", create("99999999999999999999", metadata(&hash)), 400, "photo.header"),
        ("a terabyte", create("1099511627776", metadata(&hash)), 413, "photo.too_large"),
        ("a hash that is none", create("1000", metadata("../../../etc/passwd")), 400, "photo.metadata"),
    ];
    for (name, (status, code, _), expected, expected_code) in refused {
        assert_eq!((status, code.as_str()), (expected, expected_code), "{name}");
    }
    let (status, _, location) = create("1000", metadata(&hash));
    assert_eq!(status, 201);
    let path = location.strip_prefix(&round.url()).unwrap_or(&location).to_owned();
    let patch = |offset: &str, more: &[(&'static str, String)], body: &[u8]| {
        let mut headers = tus();
        headers.push(("content-type", "application/offset+octet-stream".to_owned()));
        headers.push(("upload-offset", offset.to_owned()));
        headers.extend_from_slice(more);
        let (status, code, _) = upload.send("PATCH", &path, &headers, body);
        (status, code)
    };
    let wrong_sum = vec![("upload-checksum", format!("sha256 {}", base64(&[0; 32])))];
    let odd_sum = vec![("upload-checksum", "md5 AAAA".to_owned())];
    let parts: [(&str, (u16, String), u16, &str); 5] = [
        ("an offset ahead", patch("500", &[], &photo[500..]), 409, "photo.offset"),
        ("an offset that is none", patch("-1", &[], &photo), 400, "photo.header"),
        ("more than declared", patch("0", &[], &[&photo[..], b"more"].concat()), 413, "photo.too_large"),
        ("a wrong checksum", patch("0", &wrong_sum, &photo[..500]), 460, "photo.checksum"),
        ("an unknown checksum", patch("0", &odd_sum, &photo[..500]), 400, "photo.checksum_algorithm"),
    ];
    for (name, (status, code), expected, expected_code) in parts {
        assert_eq!((status, code.as_str()), (expected, expected_code), "{name}");
    }
    // Other bytes than those of the name are not taken, and the right ones are.
    assert_eq!(patch("0", &[], &[7; 1000]), (460, "photo.hash".to_owned()));
    let (status, _, location) = create("1000", metadata(&hash));
    assert_eq!(status, 201);
    let path = location.strip_prefix(&round.url()).unwrap_or(&location).to_owned();
    let mut headers = tus();
    headers.push(("content-type", "application/offset+octet-stream".to_owned()));
    headers.push(("upload-offset", "0".to_owned()));
    assert_eq!(upload.send("PATCH", &path, &headers, &photo).0, 204);
}
