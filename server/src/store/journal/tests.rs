//! The journal against cut files, flipped bits, full disks and crashes.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::open::{Opened, open};
use super::segment::{self, HEADER_BYTES, Head, SEAL_BYTES};
use super::{Group, Options, salvage};
use crate::store::conformance::{chunk, event, put};
use crate::store::faulty::{DiskFaults, SimulatedDisk};
use crate::store::{JournalNumber, Record, StoreError};

const LARGE: Options = Options { segment_bytes: 1 << 20, reserve_bytes: 0 };
const SMALL: Options = Options { segment_bytes: 900, reserve_bytes: 0 };

fn open_at_least(disk: &SimulatedDisk, options: Options, at_least: u64) -> Result<Opened, StoreError> {
    open(Arc::new(disk.clone()), options, JournalNumber(at_least))
}

fn opened(disk: &SimulatedDisk, options: Options) -> Opened {
    open_at_least(disk, options, 0).unwrap()
}

fn append(opened: &mut Opened, groups: &[Vec<Record>]) -> Result<(), StoreError> {
    let groups = groups.iter().map(|group| Group::new(group.clone()).unwrap()).collect();
    opened.writer.append(groups).map(drop)
}

fn read(opened: &Opened) -> Vec<Record> {
    let mut records = Vec::new();
    opened
        .segments
        .read(JournalNumber(1), usize::MAX, |placed| {
            records.push(placed.record);
            assert_eq!(placed.number.0, records.len() as u64);
        })
        .unwrap();
    records
}

/// Batches of groups: what one flush took together.
fn batches() -> Vec<Vec<Vec<Record>>> {
    vec![
        vec![vec![event("a")]],
        vec![vec![chunk(1, b"b"), put("people", b"k", b"v"), event("c")], vec![event("d"), event("e")]],
        vec![vec![chunk(2, b"ff"), chunk(1, b"")]],
        vec![vec![event("g")], vec![event("h")], vec![chunk(3, b"i"), event("j")]],
    ]
}

/// A disk with all batches, and the end of each group in the last segment.
fn written(options: Options) -> (SimulatedDisk, Vec<Record>) {
    let disk = SimulatedDisk::new(0);
    let mut journal = opened(&disk, options);
    for batch in batches() {
        append(&mut journal, &batch).unwrap();
    }
    (disk, batches().into_iter().flatten().flatten().collect())
}

fn segment_files(disk: &SimulatedDisk) -> Vec<(String, Vec<u8>)> {
    use super::Disk;
    let mut names: Vec<String> = disk.list().unwrap().into_iter().filter(|n| n.ends_with(".seg")).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), disk.bytes(&name).unwrap())).collect()
}

fn disk_of(files: &[(String, Vec<u8>)]) -> SimulatedDisk {
    let disk = SimulatedDisk::new(0);
    for (name, bytes) in files {
        disk.put(name, bytes);
    }
    disk
}

/// Where groups end: (offset after the group, records up to there).
fn group_ends(bytes: &[u8]) -> Vec<(usize, usize)> {
    let groups: Vec<usize> = batches().iter().flatten().map(Vec::len).collect();
    let mut ends = Vec::new();
    let (mut offset, mut records) = (HEADER_BYTES, 0);
    for length in groups {
        for _ in 0..length {
            offset += segment::frame(&bytes[offset..]).unwrap().1;
        }
        records += length;
        ends.push((offset, records));
    }
    assert_eq!(offset, bytes.len());
    ends
}

#[test]
fn a_tail_cut_at_any_byte_leaves_the_whole_groups_before_it() {
    let (disk, records) = written(LARGE);
    let (name, bytes) = segment_files(&disk).pop().unwrap();
    let ends = group_ends(&bytes);
    for cut in 0..=bytes.len() {
        let disk = disk_of(&[(name.clone(), bytes[..cut].to_vec())]);
        let mut journal = opened(&disk, LARGE);
        let (end, whole) = *ends.iter().rfind(|(end, _)| *end <= cut).unwrap_or(&(HEADER_BYTES, 0));
        assert_eq!(read(&journal), records[..whole], "cut at {cut}");
        match &journal.report.torn {
            None => assert!(cut == end, "cut at {cut}: {} bytes went unmentioned", cut - end),
            Some(torn) => {
                let from = if cut < HEADER_BYTES { 0 } else { end };
                assert_eq!(disk.bytes(&torn.kept_as).as_deref(), Some(&bytes[from..cut]), "cut at {cut}");
            }
        }
        append(&mut journal, &[vec![event("after")]]).unwrap();
        drop(journal);
        let journal = opened(&disk, LARGE);
        assert_eq!(journal.report.torn, None);
        assert_eq!(read(&journal).len(), whole + 1);
        journal.segments.verify().unwrap();
    }
}

#[test]
fn what_a_killed_process_did_not_flush_is_flushed_before_it_counts() {
    use super::Disk;
    let (whole, records) = written(LARGE);
    let (name, mut sealed) = segment_files(&whole).pop().unwrap();
    let bytes = sealed.clone();
    sealed.extend(segment::seal(opened(&whole, LARGE).segments.durable().head).unwrap());
    for (case, bytes) in [("records", bytes), ("a seal", sealed)] {
        for seed in 0..32 {
            let disk = SimulatedDisk::new(seed);
            disk.create(&name).unwrap().write_at(&bytes, 0).unwrap();
            let mut journal = opened(&disk, LARGE);
            if case == "a seal" {
                append(&mut journal, &[vec![event("in the next segment")]]).unwrap();
            }
            let told = journal.segments.durable().head.last;
            drop(journal);
            disk.crash();
            let journal =
                open_at_least(&disk, LARGE, told.0).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(read(&journal)[..records.len()], records, "{case}");
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_wherever_it_is() {
    let (disk, records) = written(SMALL);
    let files = segment_files(&disk);
    assert!(files.len() >= 3, "{} segments", files.len());
    let last_batch = batches().pop().unwrap().iter().flatten().count();
    let (mut refused, mut torn) = (0, 0);
    for (file, (name, bytes)) in files.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut files = files.clone();
            files[file].1[at] ^= 1 << (at % 8);
            let disk = disk_of(&files);
            let place = format!("{name}, byte {at}");
            match open_at_least(&disk, SMALL, 0) {
                Err(StoreError::Damaged(what)) => {
                    assert!(what.contains(name) && what.contains("offset"), "{place}: {what}");
                    assert_eq!(segment_files(&disk), files, "{place}: nothing was changed");
                    refused += 1;
                }
                Err(error) => panic!("{place}: {error}"),
                Ok(journal) if journal.report.torn.is_some() => {
                    // Only the last flush can look torn, and it is said so.
                    let left = read(&journal);
                    assert!(left.len() >= records.len() - last_batch, "{place}: {} records", left.len());
                    assert_eq!(left, records[..left.len()], "{place}");
                    torn += 1;
                }
                Ok(journal) => {
                    // What opening does not read, reading and verifying find.
                    let error = journal.segments.verify().expect_err(&place);
                    assert!(error.to_string().contains(name), "{place}: {error}");
                    let mut read = Vec::new();
                    let whole = journal.segments.read(JournalNumber(1), usize::MAX, |placed| {
                        read.push(placed.record);
                    });
                    assert!(whole.is_err() && records.starts_with(&read), "{place}");
                    refused += 1;
                }
            }
            // With a witness of what was acknowledged nothing is cut off.
            let disk = disk_of(&files);
            let witnessed = open_at_least(&disk, SMALL, records.len() as u64);
            assert!(witnessed.map_or(true, |journal| journal.segments.verify().is_err()), "{place}");
            assert_eq!(segment_files(&disk), files, "{place}: nothing was cut off");
        }
    }
    assert!(refused > 1000 && torn > 100, "{refused} refused, {torn} torn");
}

#[test]
fn damage_before_the_last_flush_is_not_taken_for_a_torn_write() {
    let (disk, records) = written(LARGE);
    let mut files = segment_files(&disk);
    let third = group_ends(&files[0].1)[1].0;
    files[0].1[third + 20] ^= 0x10;
    let damaged = disk_of(&files);
    match open_at_least(&damaged, LARGE, 0).map(|journal| journal.report) {
        Err(StoreError::Damaged(what)) => {
            assert!(what.starts_with(&format!("segment {}, offset {third}", files[0].0)), "{what}");
        }
        other => panic!("{other:?}"),
    }
    let mut found = Vec::new();
    let damage = salvage(&damaged, |number, record| found.push((number.0, record))).unwrap();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].offset, third as u64);
    let expected: Vec<_> = (1..).zip(records).filter(|(number, _)| *number != 5).collect();
    assert_eq!(found, expected, "everything but the damaged record is read");
}

#[test]
fn missing_exchanged_and_cut_segments_are_refused() {
    let (disk, records) = written(SMALL);
    let files = segment_files(&disk);
    let damaged =
        |files: &[(String, Vec<u8>)], at_least: u64| match open_at_least(&disk_of(files), SMALL, at_least)
            .map(|journal| journal.report)
        {
            Err(StoreError::Damaged(_)) => {}
            other => panic!("{other:?}"),
        };
    damaged(&files[1..], 0);
    damaged(&[files[0].clone(), files[2].clone()], 0);
    damaged(&files[..files.len() - 1], records.len() as u64);
    damaged(&[], 1);
    let mut exchanged = files.clone();
    exchanged[0].1 = files[1].1.clone();
    damaged(&exchanged, 0);
    let mut cut = files.clone();
    cut[0].1.truncate(files[0].1.len() - SEAL_BYTES);
    damaged(&cut, 0);
    let mut longer = files.clone();
    longer[0].1.push(0);
    damaged(&longer, 0);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let mut header = segment::header(Head::START);
    header[11] = 2;
    let checksum = crc32c::crc32c(&header[..52]);
    header[52..].copy_from_slice(&checksum.to_be_bytes());
    let disk = disk_of(&[(segment::file_name(JournalNumber(1)), header.to_vec())]);
    assert!(matches!(open_at_least(&disk, LARGE, 0).err(), Some(StoreError::Newer(2))));
    assert_eq!(segment_files(&disk)[0].1, header);
}

#[test]
fn a_full_disk_fails_the_group_and_nothing_else() {
    for options in [SMALL, LARGE] {
        let disk = SimulatedDisk::new(3);
        let mut journal = opened(&disk, options);
        let mut acknowledged = Vec::new();
        for round in 0..200_u64 {
            // Space comes and goes, by amounts that stop a write anywhere.
            disk.set_quota_bytes(disk.used_bytes() + round * 13 % 400);
            let group = vec![event(&format!("{round}")), chunk(1, &[7; 40])];
            let before = (journal.segments.durable().head, read(&journal).len());
            match append(&mut journal, std::slice::from_ref(&group)) {
                Ok(()) => acknowledged.extend(group),
                Err(StoreError::Full) => {
                    assert_eq!((journal.segments.durable().head, read(&journal).len()), before);
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!((20..380).contains(&acknowledged.len()), "{}", acknowledged.len());
        assert_eq!(read(&journal), acknowledged);
        drop(journal);
        disk.crash();
        disk.set_quota_bytes(1 << 20);
        let journal = opened(&disk, options);
        assert_eq!(read(&journal), acknowledged);
        assert_eq!(journal.segments.verify().unwrap().last.0, acknowledged.len() as u64);
    }
}

#[test]
fn the_reserve_is_not_touched() {
    let disk = SimulatedDisk::new(3);
    let mut journal = opened(&disk, Options { reserve_bytes: 10_000, ..LARGE });
    disk.set_capacity_bytes(disk.used_bytes() + 10_050);
    let size = disk.used_bytes();
    assert!(matches!(append(&mut journal, &[vec![event("a")]]), Err(StoreError::Full)));
    assert_eq!(disk.used_bytes(), size);
    disk.set_capacity_bytes(size + 20_000);
    append(&mut journal, &[vec![event("a")]]).unwrap();
}

/// Some lives of a journal: appends under faults, each ended by a power cut in
/// the middle or by the process being killed, and after each what is there must
/// be what was acknowledged, then at most whole groups of the append that was
/// under way.
fn simulate(seed: u64) -> (usize, usize) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let disk = SimulatedDisk::new(seed);
    let mut acknowledged: Vec<Record> = Vec::new();
    let (mut failed, mut name) = (0, 0);
    for life in 0..6 {
        disk.set_faults(DiskFaults::default());
        let mut journal = opened(&disk, SMALL);
        assert_eq!(read(&journal), acknowledged, "seed {seed}, life {life}");
        journal.segments.verify().unwrap();
        disk.set_faults(DiskFaults { write: 60, sync: 60, create: 100 });
        let killed_after = random.next_u64().is_multiple_of(3).then(|| random.next_u64() % 20);
        if killed_after.is_none() {
            disk.cut_power_after(random.next_u64() % 60);
        }
        let mut appends = 0;
        let mut under_way: Vec<Vec<Record>> = Vec::new();
        while journal.segments.stopped().is_none() && killed_after != Some(appends) {
            appends += 1;
            under_way.clear();
            for _ in 0..=random.next_u64() % 3 {
                name += 1;
                let length = random.next_u64() % 3;
                under_way.push((0..=length).map(|n| event(&format!("{name}.{n}"))).collect());
            }
            match append(&mut journal, &under_way) {
                Ok(()) => acknowledged.extend(under_way.drain(..).flatten()),
                Err(_) => failed += 1,
            }
            // Without a stop a failed group has left nothing.
            if journal.segments.stopped().is_none() {
                under_way.clear();
                assert_eq!(read(&journal), acknowledged, "seed {seed}, life {life}");
                if disk_is_dead(&disk) {
                    break;
                }
            }
        }
        drop(journal);
        if killed_after.is_none() {
            disk.crash();
        }
        disk.set_faults(DiskFaults::default());
        let found = read(&opened(&disk, SMALL));
        let (kept, more) = found.split_at_checked(acknowledged.len()).unwrap_or_else(|| {
            panic!("seed {seed}, life {life}: {} of {} are left", found.len(), acknowledged.len())
        });
        assert_eq!(kept, acknowledged, "seed {seed}, life {life}");
        let whole = (0..=under_way.len()).any(|n| under_way[..n].concat() == more);
        assert!(whole, "seed {seed}, life {life}: half a group: {more:?}");
        acknowledged = found;
    }
    (acknowledged.len(), failed)
}

/// Whether the power went where no append noticed that it must stop.
fn disk_is_dead(disk: &SimulatedDisk) -> bool {
    use super::Disk;
    disk.sync_folder().is_err_and(|error| error.to_string().contains("power"))
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let (mut acknowledged, mut failed) = (0, 0);
    for seed in 0..200 {
        let (more, failures) = simulate(seed);
        acknowledged += more;
        failed += failures;
    }
    assert!(acknowledged > 4_000 && failed > 500, "{acknowledged} acknowledged, {failed} failed");
}
