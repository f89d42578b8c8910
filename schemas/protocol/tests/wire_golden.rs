//! Frames as the npm packages send them (`golden/npm`, recorded by
//! `golden/generate.mjs` from the versions in `golden/versions.json`), and
//! what we make of them (`golden/ours`, which the same script checks with
//! cbor-x). `UPDATE_GOLDEN=1` writes `golden/ours` anew.

use std::collections::BTreeMap;
use std::path::PathBuf;

use duxue_protocol::wire::{self, Limits, Message, Metadata, StorageHeads};

fn path(source: &str, kind: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden", source, &format!("{kind}.hex")].iter().collect()
}

fn read(source: &str, kind: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path(source, kind)).unwrap();
    let digits = text.trim().as_bytes();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Every recorded frame with its meaning; `data` only by its first bytes.
fn cases() -> Vec<(&'static str, Message)> {
    let (client, server) = ("golden-client".to_owned(), "golden-server".to_owned());
    let document = "rFf4RRfkEtEv89CrV8RPVHE9rrb".to_owned();
    let store = "d24e257e-0c83".to_owned();
    vec![
        (
            "join",
            Message::Join {
                sender_id: client.clone(),
                metadata: Metadata { storage_id: None, is_ephemeral: Some(true) },
                supported_protocol_versions: vec!["1".to_owned()],
            },
        ),
        (
            "peer",
            Message::Peer {
                sender_id: server.clone(),
                metadata: Metadata { storage_id: Some(store.clone()), is_ephemeral: Some(false) },
                selected_protocol_version: "1".to_owned(),
                target_id: client.clone(),
            },
        ),
        (
            "error",
            Message::Error {
                sender_id: Some(server.clone()),
                message: "unsupported protocol version".to_owned(),
                target_id: Some("stranger".to_owned()),
                document_id: None,
            },
        ),
        (
            "request",
            Message::Request {
                sender_id: "golden-stored".to_owned(),
                target_id: server.clone(),
                document_id: document.clone(),
                data: vec![0x42],
            },
        ),
        (
            "sync",
            Message::Sync {
                sender_id: client.clone(),
                target_id: server.clone(),
                document_id: document.clone(),
                data: vec![0x42],
            },
        ),
        (
            "doc-unavailable",
            Message::DocUnavailable {
                sender_id: server.clone(),
                target_id: client.clone(),
                document_id: document.clone(),
            },
        ),
        (
            "ephemeral",
            Message::Ephemeral {
                sender_id: client.clone(),
                target_id: server.clone(),
                document_id: document.clone(),
                count: 1,
                session_id: "session".to_owned(),
                data: vec![0xb9],
            },
        ),
        (
            "remote-subscription-change",
            Message::RemoteSubscriptionChange {
                sender_id: client.clone(),
                target_id: server.clone(),
                add: vec![store.clone()],
                remove: vec![],
            },
        ),
        (
            "remote-heads-changed",
            Message::RemoteHeadsChanged {
                sender_id: server,
                target_id: client,
                document_id: document,
                new_heads: BTreeMap::from([(
                    store,
                    StorageHeads { heads: vec!["head".to_owned()], timestamp: 1_795_288_072_582 },
                )]),
            },
        ),
    ]
}

/// Replaces what the packages draw at random, after checking its form.
fn settle(message: &mut Message) {
    let document = |id: &mut String| {
        let parsed = wire::document_id(id).expect("a document id");
        assert_eq!(parsed.to_string(), *id);
        *id = "rFf4RRfkEtEv89CrV8RPVHE9rrb".to_owned();
    };
    let store = |id: &mut String| {
        assert_eq!((id.len(), id.matches('-').count()), (36, 4), "a UUID: {id}");
        *id = "d24e257e-0c83".to_owned();
    };
    match message {
        Message::Peer { metadata: Metadata { storage_id: Some(id), .. }, .. } => store(id),
        Message::Request { document_id, data, .. } | Message::Sync { document_id, data, .. } => {
            document(document_id);
            automerge::sync::Message::decode(data).expect("a sync message");
            data.truncate(1);
        }
        Message::DocUnavailable { document_id, .. } => document(document_id),
        Message::Ephemeral { document_id, session_id, data, .. } => {
            document(document_id);
            assert!(!session_id.is_empty());
            *session_id = "session".to_owned();
            data.truncate(1);
        }
        Message::RemoteSubscriptionChange { add, .. } => add.iter_mut().for_each(store),
        Message::RemoteHeadsChanged { document_id, new_heads, .. } => {
            document(document_id);
            *new_heads = std::mem::take(new_heads)
                .into_iter()
                .map(|(mut id, mut heads)| {
                    store(&mut id);
                    assert!(heads.heads.iter().all(|head| head.len() > 45));
                    heads.heads = vec!["head".to_owned(); heads.heads.len()];
                    assert!(heads.timestamp > 1_700_000_000_000, "milliseconds: {}", heads.timestamp);
                    heads.timestamp = 1_795_288_072_582;
                    (id, heads)
                })
                .collect();
        }
        _ => {}
    }
}

#[test]
fn frames_of_the_npm_packages_are_understood_and_written_back() {
    let recorded = std::fs::read_dir(path("npm", "join").parent().unwrap()).unwrap().count();
    assert_eq!(recorded, cases().len(), "a recorded frame without a case");

    for (kind, expected) in cases() {
        let decoded = wire::decode(&read("npm", kind), &Limits::default()).expect(kind);
        let ours = wire::encode(&decoded);
        assert_eq!(wire::decode(&ours, &Limits::default()).as_ref(), Ok(&decoded), "{kind}");

        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let hex: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
            std::fs::create_dir_all(path("ours", kind).parent().unwrap()).unwrap();
            std::fs::write(path("ours", kind), hex + "\n").unwrap();
        }
        assert_eq!(ours, read("ours", kind), "{kind}: what cbor-x was shown has changed");

        let mut settled = decoded;
        settle(&mut settled);
        assert_eq!(settled, expected, "{kind}");
    }
}
