use proptest::prelude::*;

use super::*;

fn read(frame: &[u8]) -> Result<Message, WireError> {
    decode(frame, &Limits::default())
}

/// The same typed fields read by another CBOR implementation.
fn by_ciborium(frame: &[u8]) -> Option<Message> {
    let mut rest = frame;
    let de::Read(message) = ciborium::from_reader(&mut rest).ok()?;
    if rest.is_empty() { message.ok() } else { None }
}

#[test]
fn what_a_lenient_reader_must_take() {
    let leave = Message::Leave { sender_id: "a".into() };
    let subscription = |add: &[&str]| Message::RemoteSubscriptionChange {
        sender_id: "a".into(),
        target_id: "b".into(),
        add: add.iter().map(|id| (*id).to_owned()).collect(),
        remove: vec![],
    };
    let join = |storage_id: Option<&str>| Message::Join {
        sender_id: "a".into(),
        metadata: Metadata { storage_id: storage_id.map(Into::into), is_ephemeral: None },
        supported_protocol_versions: vec![],
    };
    let cases: &[(&str, &[u8], Message)] = &[
        ("short map head", b"\xa2\x64type\x65leave\x68senderId\x61a", leave.clone()),
        ("16-bit map head", b"\xb9\x00\x02\x64type\x65leave\x68senderId\x61a", leave.clone()),
        ("32-bit map head", b"\xba\x00\x00\x00\x02\x64type\x65leave\x68senderId\x61a", leave.clone()),
        ("indefinite map", b"\xbf\x64type\x65leave\x68senderId\x61a\xff", leave.clone()),
        ("text in parts", b"\xa2\x64type\x7f\x62le\x63ave\xff\x68senderId\x61a", leave.clone()),
        ("another order", b"\xa2\x68senderId\x61a\x64type\x65leave", leave.clone()),
        ("unknown keys", b"\xa3\x61x\x82\xa1\x61y\x01\xf5\x64type\x65leave\x68senderId\x61a", leave),
        (
            "undefined list",
            b"\xa5\x64type\x78\x1aremote-subscription-change\x68senderId\x61a\x68targetId\x61b\x63add\x81\x61c\x66remove\xf7",
            subscription(&["c"]),
        ),
        (
            "null list",
            b"\xa4\x64type\x78\x1aremote-subscription-change\x68senderId\x61a\x68targetId\x61b\x63add\xf6",
            subscription(&[]),
        ),
        (
            "peerMetadata with undefined",
            b"\xa3\x64type\x64join\x68senderId\x61a\x6cpeerMetadata\xa1\x69storageId\xf7",
            join(None),
        ),
        (
            "metadata, as the README has it",
            b"\xa3\x64type\x64join\x68senderId\x61a\x68metadata\xa1\x69storageId\x61s",
            join(Some("s")),
        ),
        ("type of a later version", b"\xa1\x64type\x65hello", Message::Unknown { kind: "hello".into() }),
        (
            "error as the README has it",
            b"\xa2\x64type\x65error\x67message\x62no",
            Message::Error { sender_id: None, message: "no".into(), target_id: None, document_id: None },
        ),
    ];
    for (name, frame, expected) in cases {
        assert_eq!(read(frame).as_ref(), Ok(expected), "{name}");
        assert_eq!(by_ciborium(frame).as_ref(), Some(expected), "{name} by ciborium");
    }
}

#[test]
fn integers_come_as_javascript_writes_them() {
    let count = |integer: &[u8]| {
        let head = b"\xa7\x64type\x69ephemeral\x68senderId\x61a\x68targetId\x61b\x6adocumentId\x61d\x69sessionId\x61s\x64data\x41\x01\x65count";
        match read(&[head.as_slice(), integer].concat()) {
            Ok(Message::Ephemeral { count, .. }) => Some(count),
            _ => None,
        }
    };
    let float = |value: f64| [&[0xfb], value.to_be_bytes().as_slice()].concat();
    let cases: &[(&str, Vec<u8>, Option<u64>)] = &[
        ("small", vec![0x07], Some(7)),
        ("64 bits", vec![0x1b, 0, 0, 1, 0, 0, 0, 0, 0], Some(1 << 40)),
        ("float", float((1_u64 << 41) as f64), Some(1 << 41)),
        ("half float", vec![0xf9, 0x3c, 0x00], Some(1)),
        ("2^53", float((1_u64 << 53) as f64), Some(1 << 53)),
        ("above 2^53", float((1_u64 << 54) as f64), None),
        ("a fraction", float(1.5), None),
        ("negative", vec![0x20], None),
        ("negative float", float(-1.0), None),
        ("infinity", float(f64::INFINITY), None),
        ("not a number", float(f64::NAN), None),
        ("text", vec![0x61, b'1'], None),
    ];
    for (name, integer, expected) in cases {
        assert_eq!(count(integer), *expected, "{name}");
    }
}

#[test]
fn what_is_refused_and_why() {
    let limits = Limits { frame_bytes: 100, text_bytes: 10, depth: 3, items: 20 };
    let nested = |depth: usize| [vec![0x81; depth], vec![0x00]].concat();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("nothing", vec![], "wire.not_cbor"),
        ("a long frame", vec![0x00; 101], "wire.over_limit"),
        ("a long text", [b"\x6b".as_slice(), &[b'x'; 11]].concat(), "wire.over_limit"),
        ("a long text in parts", b"\x7f\x66xxxxxx\x66xxxxxx\xff".to_vec(), "wire.over_limit"),
        ("too deep", nested(4), "wire.over_limit"),
        ("deep tags", [vec![0xc1; 4], vec![0x00]].concat(), "wire.over_limit"),
        ("too many members", [vec![0x98, 21], vec![0x00; 21]].concat(), "wire.over_limit"),
        (
            "too many declared members",
            vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "wire.not_cbor",
        ),
        (
            "too many declared entries",
            vec![0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "wire.not_cbor",
        ),
        ("bytes that are not there", vec![0x5b, 0x40, 0, 0, 0, 0, 0, 0, 0], "wire.not_cbor"),
        (
            "text that is not there",
            vec![0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            "wire.not_cbor",
        ),
        ("a break alone", vec![0xff], "wire.not_cbor"),
        ("a reserved head", vec![0x1c], "wire.not_cbor"),
        ("an indefinite integer", vec![0x1f], "wire.not_cbor"),
        ("parts of another type", b"\x7f\x41x\xff".to_vec(), "wire.not_cbor"),
        ("two items", vec![0x00, 0x00], "wire.not_cbor"),
        ("not a map", vec![0x00], "wire.not_a_message"),
        ("no type", b"\xa1\x61x\x00".to_vec(), "wire.not_a_message"),
        ("a type that is not text", b"\xa1\x64type\x00".to_vec(), "wire.not_a_message"),
        ("a missing field", b"\xa1\x64type\x65leave".to_vec(), "wire.not_a_message"),
        ("bad UTF-8", b"\xa1\x64type\x61\xff".to_vec(), "wire.not_a_message"),
        ("the same key twice", b"\xa2\x64type\x61a\x64type\x61b".to_vec(), "wire.not_a_message"),
    ];
    for (name, frame, code) in cases {
        let result = decode(frame, &limits);
        assert_eq!(result.as_ref().map_err(WireError::code), Err(*code), "{name}: {result:?}");
    }
    assert_eq!(preflight::check(&nested(3), &limits), Ok(()), "the depth that is allowed");
}

/// Frames that declare much and hold little must not make anyone allocate.
#[test]
fn memory_is_bounded_by_the_frame() {
    let mut frames: Vec<Vec<u8>> = [0x5b_u8, 0x7b, 0x9b, 0xbb]
        .iter()
        .map(|head| [b"\xa1\x64data".as_slice(), &[*head], &[0x3f; 8]].concat())
        .collect();
    frames.push([b"\xa2\x64type\x65leave\x63add".as_slice(), &[0x81; 100_000]].concat());
    frames.push([b"\xa2\x64type\x65leave\x63add".as_slice(), &[0x9f; 100_000]].concat());
    frames.push([b"\xa2\x64type\x65leave\x63add\x99\x3f\x00".as_slice(), &[0x60; 0x3f00]].concat());
    frames.push([b"\xa2\x64type\x64sync\x64data\x99\x3f\x00".as_slice(), &[0x00; 0x3f00]].concat());
    for frame in frames {
        let used = allocation_counter::measure(|| {
            let _ = read(&frame);
        });
        // A list of empty texts costs 24 bytes a member, doubled while growing.
        let allowed = 4096 + 24 * 3 * frame.len().min(Limits::default().items) as u64;
        assert!(used.bytes_max <= allowed, "{} bytes for a frame of {}", used.bytes_max, frame.len());
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9督学-]{0,40}"
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn js_integer() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..=u64::from(u32::MAX) + 1, 0..=(1_u64 << 53)]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    (prop::option::of(text()), prop::option::of(any::<bool>()))
        .prop_map(|(storage_id, is_ephemeral)| Metadata { storage_id, is_ephemeral })
}

fn known(kind: &str) -> bool {
    let kinds = ["join", "peer", "error", "leave", "request", "sync", "doc-unavailable", "ephemeral"];
    kinds.contains(&kind) || kind.starts_with("remote-")
}

fn any_message() -> impl Strategy<Value = Message> {
    let texts = || prop::collection::vec(text(), 0..5);
    let heads = (texts(), js_integer()).prop_map(|(heads, timestamp)| StorageHeads { heads, timestamp });
    prop_oneof![
        (text(), metadata(), texts()).prop_map(|(sender_id, metadata, supported_protocol_versions)| {
            Message::Join { sender_id, metadata, supported_protocol_versions }
        }),
        (text(), metadata(), text(), text()).prop_map(
            |(sender_id, metadata, selected_protocol_version, target_id)| Message::Peer {
                sender_id,
                metadata,
                selected_protocol_version,
                target_id
            }
        ),
        (prop::option::of(text()), text(), prop::option::of(text()), prop::option::of(text())).prop_map(
            |(sender_id, message, target_id, document_id)| Message::Error {
                sender_id,
                message,
                target_id,
                document_id
            }
        ),
        text().prop_map(|sender_id| Message::Leave { sender_id }),
        (text(), text(), text(), data()).prop_map(|(sender_id, target_id, document_id, data)| {
            Message::Request { sender_id, target_id, document_id, data }
        }),
        (text(), text(), text(), data()).prop_map(|(sender_id, target_id, document_id, data)| {
            Message::Sync { sender_id, target_id, document_id, data }
        }),
        (text(), text(), text()).prop_map(|(sender_id, target_id, document_id)| {
            Message::DocUnavailable { sender_id, target_id, document_id }
        }),
        (text(), text(), text(), js_integer(), text(), data()).prop_map(
            |(sender_id, target_id, document_id, count, session_id, data)| Message::Ephemeral {
                sender_id,
                target_id,
                document_id,
                count,
                session_id,
                data
            }
        ),
        (text(), text(), texts(), texts()).prop_map(|(sender_id, target_id, add, remove)| {
            Message::RemoteSubscriptionChange { sender_id, target_id, add, remove }
        }),
        (text(), text(), text(), prop::collection::btree_map(text(), heads, 0..4)).prop_map(
            |(sender_id, target_id, document_id, new_heads)| Message::RemoteHeadsChanged {
                sender_id,
                target_id,
                document_id,
                new_heads
            }
        ),
        text().prop_filter("a known type", |kind| !known(kind)).prop_map(|kind| Message::Unknown { kind }),
    ]
}

/// A message's bytes with some of them changed, cut off or added.
fn mutated_frame() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (any_message(), changes, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..3)).prop_map(
        |(message, changes, cut, tail)| {
            let mut frame = encode(&message);
            for (at, byte) in changes {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            if cut.index(3) == 0 {
                frame.truncate(cut.index(frame.len()));
            }
            frame.extend(tail);
            frame
        },
    )
}

fn has_tag_or_break(frame: &[u8]) -> bool {
    frame.iter().any(|byte| byte >> 5 == 6 || byte & 0x1f == 0x1f)
}

proptest! {
    #[test]
    fn a_message_survives_both_implementations(message in any_message()) {
        let frame = encode(&message);
        prop_assert_eq!(read(&frame), Ok(message.clone()));
        prop_assert_eq!(by_ciborium(&frame), Some(message.clone()));

        let mut theirs = Vec::new();
        ciborium::into_writer(&ser::Frame(&message), &mut theirs).unwrap();
        prop_assert_eq!(read(&theirs), Ok(message));
    }

    /// What we take, another implementation takes for the same message. Tags
    /// and indefinite forms are left out: serde_cbor drops tags, ciborium
    /// gives them to the type; the table above covers indefinite forms.
    #[test]
    fn broken_frames_are_refused_or_mean_the_same(frame in mutated_frame()) {
        if let Ok(message) = read(&frame) && !has_tag_or_break(&frame) {
            prop_assert_eq!(by_ciborium(&frame), Some(message));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let used = allocation_counter::measure(|| { let _ = read(&frame); });
        prop_assert!(used.bytes_max < 20_000);
    }
}
