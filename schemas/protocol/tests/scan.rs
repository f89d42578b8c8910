//! The scan against real documents, bombs and broken bytes.

mod scan_support;

use std::collections::BTreeSet;
use std::io::Write;

use automerge::legacy::OpType;
use automerge::sync::{State, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, Change, ROOT, ReadDoc};
use proptest::prelude::*;
use scan_support::*;

use duxue_protocol::scan::{self, ScanError, ScanLimits, ScanReport, ScannedChange};

/// What Automerge says about a change.
fn expected(change: &mut Change) -> ScannedChange {
    let deletes = change.decode().operations.iter().any(|op| matches!(op.action, OpType::Delete));
    ScannedChange {
        hash: change.hash(),
        actor: change.actor_id().clone(),
        seq: change.seq(),
        start_op: change.start_op().get(),
        time: change.timestamp(),
        deps: change.deps().to_vec(),
        ops: change.len() as u64,
        deletes,
        reserved: false,
        chunk: change.raw_bytes().to_vec(),
    }
}

fn all_expected(document: &Automerge) -> Vec<ScannedChange> {
    document.get_changes(&[]).iter_mut().map(expected).collect()
}

fn by_hash(mut changes: Vec<ScannedChange>) -> Vec<ScannedChange> {
    changes.sort_by_key(|change| change.hash);
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_chunk_of_a_real_document_is_read_as_automerge_reads_it(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let document = document(&steps);
        for change in &mut document.get_changes(&[]) {
            let expected = expected(change);
            let plain = scan_chunks(change.raw_bytes()).unwrap();
            prop_assert_eq!(&plain.changes, std::slice::from_ref(&expected));
            let compressed = change.bytes().into_owned();
            let report = scan_chunks(&compressed).unwrap();
            prop_assert_eq!(report.changes, [ScannedChange { chunk: compressed, ..expected }]);
        }
        let expected = by_hash(all_expected(&document));
        for saved in [document.save(), document.save_nocompress(), document.save_after(&[])] {
            let report = scan_chunks(&saved).unwrap();
            prop_assert_eq!(report.ops, expected.iter().map(|change| change.ops).sum::<u64>());
            let found = by_hash(report.changes);
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.into_iter().zip(&expected) {
                let chunk = expected.chunk.clone();
                prop_assert_eq!(ScannedChange { chunk, ..found }, expected.clone());
            }
        }
    }

    #[test]
    fn every_message_of_a_real_exchange_passes(steps in prop::collection::vec(step(), 1..60)) {
        let theirs = document(&steps);
        let (mut sending, mut receiving) = (State::new(), State::new());
        let mut ours = Automerge::new();
        let mut received = BTreeSet::new();
        loop {
            let there = theirs.generate_sync_message(&mut sending);
            let back = ours.generate_sync_message(&mut receiving);
            if there.is_none() && back.is_none() { break; }
            for (message, into_ours) in [(there, true), (back, false)] {
                let Some(message) = message else { continue };
                let bytes = message.clone().encode();
                let report = scan_sync_message(&bytes).unwrap();
                prop_assert_eq!(&report.heads, &message.heads);
                received.extend(report.changes.into_iter().map(|change| change.hash));
                if into_ours {
                    ours.receive_sync_message(&mut receiving, message).unwrap();
                } else {
                    theirs.clone().receive_sync_message(&mut sending, message).unwrap();
                }
            }
        }
        let expected: BTreeSet<_> = theirs.get_changes(&[]).iter().map(Change::hash).collect();
        prop_assert_eq!(received, expected);
    }
}

#[test]
fn runs_are_counted_without_being_expanded() {
    let small = plain_chunk(1, &change_of(&columns_of_nulls(100)));
    let report = scan_chunks(&small).unwrap();
    assert_eq!((report.ops, report.changes[0].ops), (101, 101));
    let loaded = Automerge::load(&small).expect("the attack is a valid change");
    let (_, list) = loaded.get(ROOT, "l").unwrap().unwrap();
    assert_eq!(loaded.length(&list), 100);

    let bomb = plain_chunk(1, &change_of(&columns_of_nulls(3_000_000)));
    assert!(bomb.len() < 130, "{} bytes", bomb.len());
    let used = allocation_counter::measure(|| {
        assert_eq!(
            scan_chunks(&bomb),
            Err(ScanError::OverLimit { what: "ops_per_change", limit: ScanLimits::default().ops_per_change })
        );
    });
    assert!(used.bytes_max < 4096, "{} bytes", used.bytes_max);
    assert!(used.count_total < 50, "{} allocations", used.count_total);
}

/// The same attack as a document: a few hundred bytes that are valid, and
/// that Automerge must not be asked to take apart.
#[test]
fn a_document_is_bounded_before_automerge_takes_it_apart() {
    let change = plain_chunk(1, &change_of(&columns_of_nulls(30_000)));
    let document = Automerge::load(&change).unwrap();
    for bomb in [document.save(), document.save_nocompress()] {
        assert!(bomb.len() < 400, "{} bytes", bomb.len());
        let used = allocation_counter::measure(|| {
            assert_eq!(
                scan_chunks(&bomb),
                Err(ScanError::OverLimit {
                    what: "ops_per_change",
                    limit: ScanLimits::default().ops_per_change
                })
            );
        });
        assert!(used.bytes_max < 100_000, "{} bytes", used.bytes_max);
        let limits = ScanLimits { ops_per_change: 40_000, ..ScanLimits::default() };
        assert_eq!(scan::scan_chunks(&bomb, &limits, &nobody).map(|report| report.ops), Ok(30_001));
    }
}

/// A run that is too long in any other column than the actions'.
#[test]
fn no_column_is_longer_than_the_actions() {
    let honest = columns_of_nulls(10);
    let cases: &[(u32, &[u8])] = &[
        (0x01, &[0, 12]),
        (0x02, &[12, 1]),
        (0x11, &[12, 0]),
        (0x13, &[12, 1]),
        (0x15, &[12, 1, b'x']),
        (0x34, &[12]),
        (0x56, &[12, 0]),
        (0x70, &[12, 0]),
        (0x34, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1]),
        (0x01, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (0x01, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0]),
    ];
    assert!(scan_chunks(&plain_chunk(1, &change_of(&honest))).is_ok());
    for (spec, contents) in cases {
        let mut columns = honest.clone();
        columns.iter_mut().filter(|(found, _)| found == spec).for_each(|(_, c)| *c = contents.to_vec());
        let result = scan_chunks(&plain_chunk(1, &change_of(&columns)));
        assert_eq!(result.as_ref().map_err(ScanError::code), Err("scan.malformed"), "{spec:#x}: {result:?}");
    }
}

#[test]
fn what_points_outside_is_refused() {
    let cases: &[(&str, u32, &[u8], &str)] = &[
        ("an actor that is not listed", 0x01, &[0, 1, 10, 1], "scan.number"),
        ("a counter above 32 bits", 0x02, &[0, 1, 10, 0x80, 0x80, 0x80, 0x80, 0x10], "scan.number"),
        ("a counter below zero", 0x13, &[11, 0x7f], "scan.number"),
        ("an unknown action", 0x42, &[11, 8], "scan.number"),
        ("no action", 0x42, &[0, 11], "scan.malformed"),
        ("values that are not there", 0x56, &[11, 0x16], "scan.malformed"),
        ("replaced operations that are not there", 0x70, &[11, 1], "scan.malformed"),
        ("too many replaced operations", 0x70, &[11, 0x80, 0x80, 0x80, 0x80, 0x01], "scan.over_limit"),
        ("a key that is not UTF-8", 0x15, &[0x7f, 1, 0xff, 0, 10], "scan.malformed"),
        ("a number with padding", 0x01, &[0, 1, 10, 0x80, 0], "scan.number"),
    ];
    for (name, spec, contents, code) in cases {
        let mut columns = columns_of_nulls(10);
        columns.iter_mut().filter(|(found, _)| found == spec).for_each(|(_, c)| *c = contents.to_vec());
        let result = scan_chunks(&plain_chunk(1, &change_of(&columns)));
        assert_eq!(result.as_ref().map_err(ScanError::code), Err(*code), "{name}: {result:?}");
    }
}

#[test]
fn what_the_scan_does_not_know_it_refuses() {
    let mut later = columns_of_nulls(10);
    later.push((0xf2, vec![11, 0]));
    let mut deflated = columns_of_nulls(10);
    deflated[0].0 |= 8;
    let mut unordered = columns_of_nulls(10);
    unordered.swap(0, 1);
    let change = change_of(&columns_of_nulls(10));
    let mut bad_checksum = plain_chunk(1, &change);
    bad_checksum[4] ^= 1;
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("a column of a later version", plain_chunk(1, &change_of(&later)), "scan.unknown"),
        ("a deflated column of a change", plain_chunk(1, &change_of(&deflated)), "scan.malformed"),
        ("columns out of order", plain_chunk(1, &change_of(&unordered)), "scan.malformed"),
        ("a bundle", plain_chunk(3, &change), "scan.unknown"),
        ("a chunk type of a later version", plain_chunk(4, &change), "scan.unknown"),
        ("not a chunk", b"hello, world".to_vec(), "scan.malformed"),
        ("a wrong checksum", bad_checksum, "scan.checksum"),
        ("bytes after a change", plain_chunk(1, &[change, vec![0; 1025]].concat()), "scan.over_limit"),
    ];
    for (name, chunk, code) in cases {
        let result = scan_chunks(chunk);
        assert_eq!(result.as_ref().map_err(ScanError::code), Err(*code), "{name}: {result:?}");
    }
    assert_eq!(scan_chunks(&[]), Ok(ScanReport::default()));
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn deflate_bombs_stop_at_the_limit() {
    let zeros = vec![0; 100 << 20];
    let change = chunk(2, &deflate(&zeros), 1, &zeros);
    let document = {
        let columns_of_changes = number(0);
        let of_ops = [number(1), number(0x57 | 8), number(deflate(&zeros).len() as u64)].concat();
        plain_chunk(0, &[vec![0, 0], columns_of_changes, of_ops, deflate(&zeros)].concat())
    };
    drop(zeros);
    let limits = ScanLimits { inflated_bytes: 1 << 20, ..ScanLimits::default() };
    for bomb in [change, document] {
        assert!(bomb.len() < 200_000, "{} bytes", bomb.len());
        let used = allocation_counter::measure(|| {
            assert_eq!(
                scan::scan_chunks(&bomb, &limits, &nobody),
                Err(ScanError::OverLimit { what: "inflated_bytes", limit: 1 << 20 })
            );
        });
        assert!(used.bytes_max < 4 << 20, "{} bytes", used.bytes_max);
    }
}

#[test]
fn inflation_is_counted_over_the_whole_message() {
    let mut document = Automerge::new();
    let mut tx = document.transaction();
    tx.put(ROOT, "note", "x".repeat(3000)).unwrap();
    tx.commit();
    let compressed = document.get_changes(&[])[0].bytes().into_owned();
    assert_eq!(compressed[8], 2);
    let one = scan_chunks(&compressed).unwrap().inflated_bytes;
    assert!(one > 3000);
    let limits = ScanLimits { inflated_bytes: one * 2, ..ScanLimits::default() };
    let times =
        |n: usize| scan::scan_chunks(&compressed.repeat(n), &limits, &nobody).map(|r| r.inflated_bytes);
    assert_eq!(times(2), Ok(one * 2));
    assert_eq!(times(3), Err(ScanError::OverLimit { what: "inflated_bytes", limit: one * 2 }));
}

#[test]
fn each_limit_is_a_limit() {
    let steps = [
        Step::Put(1, 1),
        Step::Commit { message: Some("a message".into()), time: 1 },
        Step::Fork,
        Step::PutText(1, "text".into()),
        Step::Commit { message: None, time: 1 },
        Step::PutText(1, "other text".into()),
        Step::Commit { message: None, time: 1 },
        Step::Merge,
        Step::Put(1, 7),
        Step::Commit { message: None, time: 1 },
    ];
    let document = document(&steps);
    let largest = ScanLimits::default();
    let cases: &[(&str, ScanLimits)] = &[
        ("ops_per_change", ScanLimits { ops_per_change: 1, ..largest }),
        ("ops", ScanLimits { ops: 4, ..largest }),
        ("changes", ScanLimits { changes: 2, ..largest }),
        ("actors", ScanLimits { actors: 0, ..largest }),
        ("actor_bytes", ScanLimits { actor_bytes: 15, ..largest }),
        ("deps", ScanLimits { deps: 0, ..largest }),
        ("replaced", ScanLimits { replaced: 0, ..largest }),
        ("text_bytes", ScanLimits { text_bytes: 8, ..largest }),
    ];
    for bytes in [document.save(), document.save_after(&[])] {
        assert!(scan_chunks(&bytes).is_ok());
        for (name, limits) in cases {
            let result = scan::scan_chunks(&bytes, limits, &nobody);
            assert!(
                matches!(result, Err(ScanError::OverLimit { what, .. }) if what == *name),
                "{name}: {result:?}"
            );
        }
    }
}

#[test]
fn deletes_are_marked_wherever_they_come_from() {
    let steps = [Step::Put(1, 1), Step::Commit { message: None, time: 0 }, Step::Delete(1)];
    let document = document(&steps);
    for bytes in [document.save(), document.save_after(&[])] {
        let report = scan_chunks(&bytes).unwrap();
        let marked: Vec<_> = report.changes.iter().map(|change| (change.seq, change.deletes)).collect();
        assert_eq!(marked, [(1, false), (2, true)]);
    }
}

#[test]
fn a_reserved_actor_has_one_change_only() {
    let genesis = ActorId::from(*b"duxue-genesis-01");
    let made = |value: i64| {
        let mut document = Automerge::new().with_actor(genesis.clone());
        let mut tx = document.transaction();
        tx.put(ROOT, "v", value).unwrap();
        tx.commit();
        document
    };
    let real = made(1).get_heads()[0];
    let reserved = |actor: &[u8]| (actor == genesis.to_bytes()).then_some(real.0);
    let limits = ScanLimits::default();
    for (document, allowed) in [(made(1), true), (made(2), false)] {
        for bytes in [document.save(), document.save_after(&[])] {
            let result = scan::scan_chunks(&bytes, &limits, &reserved);
            if allowed {
                assert!(result.unwrap().changes[0].reserved);
            } else {
                assert_eq!(result, Err(ScanError::ReservedActor));
            }
        }
    }
}

/// An envelope around nothing, with this Bloom filter.
fn envelope(bloom: &[u8]) -> Vec<u8> {
    [vec![0x42, 0, 0, 1, 0], prefixed(bloom), vec![0, 2, 2, 0x84]].concat()
}

#[test]
fn envelopes_within_the_limits_only() {
    let hashes = |count: u64| [number(count), vec![9; 32 * count as usize]].concat();
    let cases: &[(&str, Vec<u8>, Result<(), &str>)] = &[
        ("what npm sends first", vec![0x42, 0, 0, 1, 0, 0, 0, 2, 2, 0x84], Ok(())),
        ("what old peers send", vec![0x42, 0, 0, 1, 0, 0, 0], Ok(())),
        ("an old flag", vec![0x42, 0, 0, 1, 0, 0, 0, 1, 2], Ok(())),
        ("a real filter", envelope(&[1, 10, 7, 0xff, 0xff]), Ok(())),
        ("a filter without bits", envelope(&[1, 0, 7]), Err("scan.malformed")),
        ("a filter without entries", envelope(&[0, 10, 7]), Err("scan.malformed")),
        ("a filter that is too short", envelope(&[1, 10, 7, 0xff]), Err("scan.malformed")),
        ("2^32 probes", envelope(&[1, 10, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff]), Err("scan.malformed")),
        (
            "2^64 bits",
            envelope(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 10, 7]),
            Err("scan.number"),
        ),
        ("a large filter", envelope(&[0; (64 << 10) + 1]), Err("scan.over_limit")),
        ("many needs", [vec![0x42, 0], hashes(4097), vec![0, 0]].concat(), Err("scan.over_limit")),
        ("as many needs as allowed", [vec![0x42, 0], hashes(4096), vec![0, 0]].concat(), Ok(())),
        ("declared needs", [vec![0x42, 0], number(u64::MAX)].concat(), Err("scan.over_limit")),
        ("many haves", [vec![0x42, 0, 0, 17], vec![0; 17 * 2], vec![0]].concat(), Err("scan.over_limit")),
        ("declared changes", [vec![0x42, 0, 0, 0], number(u64::MAX)].concat(), Err("scan.over_limit")),
        ("another version", vec![0x44, 0, 0, 0, 0], Err("scan.unknown")),
        ("nothing", vec![], Err("scan.truncated")),
        ("many flags", [vec![0x42, 0, 0, 0, 0, 17], vec![0x80; 17]].concat(), Err("scan.malformed")),
        ("bytes after it", vec![0x42, 0, 0, 0, 0, 2, 2, 0x84, 0], Err("scan.malformed")),
    ];
    for (name, bytes, expected) in cases {
        let result = scan_sync_message(bytes).map(|_| ());
        assert_eq!(result.as_ref().copied().map_err(ScanError::code), *expected, "{name}: {result:?}");
        if expected.is_ok() {
            automerge::sync::Message::decode(bytes).expect(name);
        }
    }
}

/// The filters that the scan refuses are those that bring Automerge down.
#[test]
fn a_filter_without_bits_panics_in_automerge() {
    let message = automerge::sync::Message::decode(&envelope(&[1, 0, 7])).expect("Automerge takes it");
    let panicked =
        std::panic::catch_unwind(|| message.have[0].bloom.contains_hash(&automerge::ChangeHash([1; 32])));
    assert!(panicked.is_err(), "Automerge has become safe; the scan may relax");
}

fn sample() -> Automerge {
    let commit = |message: &str| Step::Commit { message: Some(message.into()), time: 1_763_700_000 };
    document(&[
        Step::Put(1, 3),
        Step::Splice("measured twice".into()),
        Step::Mark(true),
        commit("a"),
        Step::Fork,
        Step::PutText(1, "走廊 ".repeat(60)),
        Step::Insert(0, 5),
        commit("b"),
        Step::Nested(2),
        Step::Delete(1),
        Step::Insert(0, 6),
        commit("c"),
        Step::Merge,
        Step::Increment(1, 2),
    ])
}

/// Chunks of every kind and a sync message of each version.
fn samples() -> Vec<Vec<u8>> {
    let document = sample();
    let changes = document.get_changes(&[]);
    let mut samples = vec![document.save(), document.save_nocompress()];
    for mut change in changes {
        samples.push(change.raw_bytes().to_vec());
        if change.bytes()[8] == 2 {
            samples.push(change.bytes().into_owned());
        }
    }
    assert!(samples.iter().any(|sample| sample[8] == 2), "a compressed change");
    samples
}

fn sample_messages() -> Vec<Vec<u8>> {
    let document = sample();
    let chunk = document.save();
    let changes = document.get_changes(&[]);
    let message = |version, parts: Vec<Vec<u8>>| {
        automerge::sync::Message {
            heads: document.get_heads(),
            need: changes.iter().map(Change::hash).take(1).collect(),
            have: vec![automerge::sync::Have {
                last_sync: vec![],
                bloom: automerge::sync::BloomFilter::from_hashes(changes.iter().map(Change::hash)),
            }],
            changes: parts.into(),
            flags: Some(automerge::sync::MessageFlags::new()),
            version,
        }
        .encode()
    };
    let parts = changes.iter().map(|change| change.raw_bytes().to_vec()).collect();
    vec![
        message(automerge::sync::MessageVersion::V1, parts),
        message(automerge::sync::MessageVersion::V2, vec![chunk]),
    ]
}

#[test]
fn cut_off_anywhere_is_refused() {
    for whole in samples() {
        assert!(scan_chunks(&whole).is_ok());
        for length in 1..whole.len() {
            assert!(scan_chunks(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }
    for whole in sample_messages() {
        let flags = 3;
        assert!(scan_sync_message(&whole).is_ok());
        for length in (0..whole.len()).filter(|length| *length != whole.len() - flags) {
            assert!(scan_sync_message(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }
}

/// What Automerge makes of chunks, if it takes them; a panic is a refusal.
fn by_automerge(bytes: &[u8]) -> Option<Vec<ScannedChange>> {
    std::panic::catch_unwind(|| Automerge::load(bytes).ok().map(|document| by_hash(all_expected(&document))))
        .ok()
        .flatten()
}

/// Seals contents again after a change, as an attacker would.
fn sealed(kind: u8, data: &[u8]) -> Option<Vec<u8>> {
    if kind != 2 {
        return Some(plain_chunk(kind, data));
    }
    let mut inflated = Vec::new();
    std::io::copy(&mut flate2::bufread::DeflateDecoder::new(data), &mut inflated).ok()?;
    Some(chunk(2, data, 1, &inflated))
}

/// Whatever is broken inside a correctly sealed chunk, the scan does not
/// panic, and what it takes means to Automerge what it says.
#[test]
fn flipped_bits_are_refused_or_mean_the_same() {
    let (mut taken, mut flips) = (0, 0);
    for whole in samples() {
        let (kind, data) = open(&whole);
        for bit in 0..data.len() * 8 {
            let mut data = data.to_vec();
            data[bit / 8] ^= 1 << (bit % 8);
            let Some(broken) = sealed(kind, &data) else { continue };
            flips += 1;
            let Ok(report) = scan_chunks(&broken) else { continue };
            taken += 1;
            // A change whose dependencies are missing loads to nothing.
            let alone = kind != 0;
            if let Some(expected) = by_automerge(&broken)
                && !(alone && expected.is_empty())
            {
                let mut found = by_hash(report.changes);
                if kind == 2 {
                    found[0].chunk.clone_from(&expected[0].chunk);
                }
                assert_eq!(found, expected, "bit {bit} of a chunk of type {kind}");
            }
        }
    }
    assert!(taken > 100 && taken < flips, "{taken} of {flips} were taken");
}

#[test]
fn flipped_bits_of_an_envelope_do_not_panic() {
    for whole in sample_messages() {
        for bit in 0..whole.len() * 8 {
            let mut broken = whole.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            if scan_sync_message(&broken).is_ok() {
                automerge::sync::Message::decode(&broken).expect("what the scan takes has the form");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_in_bounded_memory(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let sealed = [plain_chunk(0, &bytes), plain_chunk(1, &bytes), chunk(2, &bytes, 1, &bytes)];
        for chunk in sealed {
            let used = allocation_counter::measure(|| { let _ = scan_chunks(&chunk); });
            prop_assert!(used.bytes_max < 200_000, "{} bytes", used.bytes_max);
        }
        let message = [vec![0x42], bytes].concat();
        let used = allocation_counter::measure(|| { let _ = scan_sync_message(&message); });
        prop_assert!(used.bytes_max < 200_000, "{} bytes", used.bytes_max);
    }
}
