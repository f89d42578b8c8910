//! Documents as people make them, and chunks as an attacker writes them.
#![allow(dead_code, reason = "each test file uses its part")]

use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ObjType, ROOT, ScalarValue};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use duxue_protocol::scan::{ScanError, ScanLimits, ScanReport};

/// One step of making a document.
#[derive(Debug, Clone)]
pub enum Step {
    Put(u8, i64),
    PutText(u8, String),
    Increment(u8, i8),
    Delete(u8),
    Insert(u8, i64),
    DeleteFrom(u8),
    Splice(String),
    Mark(bool),
    Nested(u8),
    Commit { message: Option<String>, time: i64 },
    Fork,
    Merge,
}

pub fn step() -> impl Strategy<Value = Step> {
    let key = 0..4_u8;
    prop_oneof![
        4 => (key.clone(), any::<i64>()).prop_map(|(k, v)| Step::Put(k, v)),
        2 => (key.clone(), "[a-z督学 ]{0,300}").prop_map(|(k, v)| Step::PutText(k, v)),
        1 => (key.clone(), any::<i8>()).prop_map(|(k, v)| Step::Increment(k, v)),
        1 => key.clone().prop_map(Step::Delete),
        2 => (any::<u8>(), any::<i64>()).prop_map(|(at, v)| Step::Insert(at, v)),
        1 => any::<u8>().prop_map(Step::DeleteFrom),
        2 => "[a-z]{0,40}".prop_map(Step::Splice),
        1 => any::<bool>().prop_map(Step::Mark),
        1 => key.prop_map(Step::Nested),
        3 => (prop::option::of("[a-z]{1,20}"), any::<i32>())
            .prop_map(|(message, time)| Step::Commit { message, time: time.into() }),
        2 => Just(Step::Fork),
        2 => Just(Step::Merge),
    ]
}

/// Makes a document by steps of two people who fork and merge.
pub fn document(steps: &[Step]) -> Automerge {
    let mut ours = Automerge::new().with_actor(ActorId::from([1_u8; 16]));
    let mut theirs: Option<Automerge> = None;
    let mut pending: Vec<&Step> = Vec::new();
    for step in steps {
        match step {
            Step::Commit { message, time } => {
                apply(&mut ours, &std::mem::take(&mut pending), message.clone(), *time);
                if let Some(theirs) = &mut theirs {
                    std::mem::swap(&mut ours, theirs);
                }
            }
            Step::Fork if theirs.is_none() => {
                theirs = Some(ours.fork().with_actor(ActorId::from(*b"another")));
            }
            Step::Merge => {
                if let Some(theirs) = &mut theirs {
                    ours.merge(theirs).unwrap();
                    theirs.merge(&mut ours).unwrap();
                }
            }
            step => pending.push(step),
        }
    }
    apply(&mut ours, &pending, None, 0);
    if let Some(mut theirs) = theirs {
        ours.merge(&mut theirs).unwrap();
    }
    ours
}

fn apply(document: &mut Automerge, steps: &[&Step], message: Option<String>, time: i64) {
    use automerge::ReadDoc;
    let mut tx = document.transaction();
    let object = |tx: &mut automerge::transaction::Transaction<'_>, name: &str, kind: ObjType| match tx
        .get(ROOT, name)
        .unwrap()
    {
        Some((_, id)) => id,
        None => tx.put_object(ROOT, name, kind).unwrap(),
    };
    let list = object(&mut tx, "list", ObjType::List);
    let text = object(&mut tx, "text", ObjType::Text);
    let key = |k: &u8| format!("key{k}");
    for step in steps {
        match step {
            Step::Put(k, v) if v % 3 == 0 => tx.put(ROOT, key(k), ScalarValue::counter(*v)).unwrap(),
            Step::Put(k, v) if v % 5 == 0 => tx.put(ROOT, key(k), ScalarValue::Null).unwrap(),
            Step::Put(k, v) => tx.put(ROOT, key(k), *v).unwrap(),
            Step::PutText(k, v) => tx.put(ROOT, key(k), v.as_str()).unwrap(),
            Step::Increment(k, by) => {
                let _ = tx.increment(ROOT, key(k), i64::from(*by));
            }
            Step::Delete(k) => {
                let _ = tx.delete(ROOT, key(k));
            }
            Step::Insert(at, v) => {
                let at = usize::from(*at) % (tx.length(&list) + 1);
                tx.insert(&list, at, *v).unwrap();
            }
            Step::DeleteFrom(at) => {
                let length = tx.length(&list);
                if length > 0 {
                    tx.delete(&list, usize::from(*at) % length).unwrap();
                }
            }
            Step::Splice(new) => {
                let length = tx.length(&text);
                tx.splice_text(&text, length / 2, (length / 4) as isize, new).unwrap();
            }
            Step::Mark(on) => {
                let length = tx.length(&text);
                if length > 2 {
                    tx.mark(&text, Mark::new("bold".to_owned(), *on, 0, length / 2), ExpandMark::Both)
                        .unwrap();
                }
            }
            Step::Nested(k) => {
                let map = tx.put_object(ROOT, key(k), ObjType::Map).unwrap();
                tx.put(&map, "length_m", "7.20").unwrap();
            }
            Step::Commit { .. } | Step::Fork | Step::Merge => {}
        }
    }
    let mut options = CommitOptions::default().with_time(time);
    options.message = message;
    tx.commit_with(options);
}

/// Nobody is reserved.
pub fn nobody(_: &[u8]) -> Option<[u8; 32]> {
    None
}

pub fn scan_chunks(bytes: &[u8]) -> Result<ScanReport, ScanError> {
    duxue_protocol::scan::scan_chunks(bytes, &ScanLimits::default(), &nobody)
}

pub fn scan_sync_message(bytes: &[u8]) -> Result<ScanReport, ScanError> {
    duxue_protocol::scan::scan_sync_message(bytes, &ScanLimits::default(), &nobody)
}

pub fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

pub fn signed(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

pub fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A chunk of `kind` whose checksum is that of `contents` as `hashed_as`.
pub fn chunk(kind: u8, data: &[u8], hashed_as: u8, contents: &[u8]) -> Vec<u8> {
    let head = [vec![hashed_as], number(contents.len() as u64)].concat();
    let hash = Sha256::new().chain_update(head).chain_update(contents).finalize();
    [&[0x85, 0x6f, 0x4a, 0x83], &hash[..4], &[kind], prefixed(data).as_slice()].concat()
}

pub fn plain_chunk(kind: u8, data: &[u8]) -> Vec<u8> {
    chunk(kind, data, kind, data)
}

/// Takes a chunk apart: its kind and contents.
pub fn open(chunk: &[u8]) -> (u8, &[u8]) {
    let length = chunk[9..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    (chunk[8], &chunk[9 + length..])
}

/// A table of columns and their contents.
pub fn columns(columns: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = number(columns.len() as u64);
    for (spec, contents) in columns {
        bytes.extend(number((*spec).into()));
        bytes.extend(number(contents.len() as u64));
    }
    columns.iter().for_each(|(_, contents)| bytes.extend(contents));
    bytes
}

/// A change's contents with these columns, by actor `[7; 16]`.
pub fn change_of(column_list: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let head = [vec![0], prefixed(&[7; 16]), vec![1, 1, 0, 0, 0]].concat();
    [head, columns(column_list)].concat()
}

fn run(count: u64, value: Vec<u8>) -> Vec<u8> {
    if count == 1 { [signed(-1), value].concat() } else { [signed(count as i64), value].concat() }
}

fn nulls(count: u64) -> Vec<u8> {
    [vec![0], number(count)].concat()
}

/// The columns of a change that makes a list and inserts `count` nulls.
pub fn columns_of_nulls(count: u64) -> Vec<(u32, Vec<u8>)> {
    vec![
        (0x01, [nulls(1), run(count, vec![0])].concat()),
        (0x02, [nulls(1), run(count, vec![1])].concat()),
        (0x11, [nulls(2), run(count - 1, vec![0])].concat()),
        (0x13, [nulls(1), signed(-2), signed(0), signed(2), run(count - 2, signed(1))].concat()),
        (0x15, [signed(-1), prefixed(b"l"), nulls(count)].concat()),
        (0x34, [number(1), number(count)].concat()),
        (0x42, [signed(-1), vec![2], run(count, vec![1])].concat()),
        (0x56, run(count + 1, vec![0])),
        (0x70, run(count + 1, vec![0])),
    ]
}
