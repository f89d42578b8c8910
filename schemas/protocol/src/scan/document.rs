//! The contents of a document chunk: changes and operations of a whole
//! document, in columns that are sorted by object and not by change.
//!
//! The hashes of its changes are not in it; they come of rebuilding every
//! change, which only Automerge can. So the chunk is bounded first, and then
//! taken apart by Automerge with a guard against panics.

use std::panic::AssertUnwindSafe;

use automerge::{ActorId, Automerge, Change};

use super::change::{self, ACTION};
use super::column::{self, Columns, MAX_COUNTER, Spec};
use super::reader::Reader;
use super::{Scan, ScanError, ScannedChange, within};

const ACTOR: Spec = 0x01;
const SEQ: Spec = 0x03;
const MAX_OP: Spec = 0x13;
const TIME: Spec = 0x23;
const MESSAGE: Spec = 0x35;
const DEPS_COUNT: Spec = 0x40;
const DEPS_POSITION: Spec = 0x43;
const EXTRA_META: Spec = 0x56;
const EXTRA: Spec = 0x57;

const KNOWN_OF_CHANGES: [Spec; 9] =
    [ACTOR, SEQ, MAX_OP, TIME, MESSAGE, DEPS_COUNT, DEPS_POSITION, EXTRA_META, EXTRA];

const ID_ACTOR: Spec = 0x21;
const ID_COUNTER: Spec = 0x23;
const SUCCESSOR_COUNT: Spec = 0x80;
const SUCCESSOR_ACTOR: Spec = 0x81;
const SUCCESSOR_COUNTER: Spec = 0x83;

const KNOWN_OF_OPS: [Spec; 16] = [
    change::OBJECT_ACTOR,
    change::OBJECT_COUNTER,
    change::KEY_ACTOR,
    change::KEY_COUNTER,
    change::KEY_TEXT,
    ID_ACTOR,
    ID_COUNTER,
    change::INSERT,
    ACTION,
    change::VALUE_META,
    change::VALUE,
    SUCCESSOR_COUNT,
    SUCCESSOR_ACTOR,
    SUCCESSOR_COUNTER,
    change::EXPAND,
    change::MARK_NAME,
];

/// A change as the columns have it.
#[derive(Debug, Clone, Copy)]
struct Row {
    actor: u64,
    seq: u64,
    ops: u64,
}

/// Scans the chunk and adds its changes to the report.
pub(super) fn scan(data: &[u8], chunk: &[u8], scan: &mut Scan<'_>) -> Result<(), ScanError> {
    let limits = scan.limits;
    let mut reader = Reader::new(data, "document");
    let actors = change::actors(&mut reader, limits)?;
    let heads = reader.hashes("hashes", limits.hashes)?;
    let of_changes = column::table(&mut reader, &KNOWN_OF_CHANGES)?;
    let of_ops = column::table(&mut reader, &KNOWN_OF_OPS)?;
    let changes = Columns::take(&of_changes, &mut reader, Some(scan))?;
    let ops = Columns::take(&of_ops, &mut reader, Some(scan))?;
    if !reader.is_empty() {
        // The heads' positions, which old versions of JavaScript left out.
        for _ in &heads {
            reader.number()?;
        }
    }
    if !reader.is_empty() {
        return Err(reader.malformed());
    }

    let rows = check_changes(&changes, actors.len() as u64, scan)?;
    check_ops(&ops, actors.len() as u64, &rows, scan)?;

    let expanded = expand(chunk)?;
    if !same_changes(&actors, rows, &expanded) {
        return Err(ScanError::Document);
    }
    expanded.iter().try_for_each(|change| scan.admit(scanned_change(change, limits)?))
}

/// Whether Automerge found the changes that the columns announced. A change
/// made at older heads announces more operations than it has.
fn same_changes(actors: &[ActorId], mut announced: Vec<Row>, rebuilt: &[Change]) -> bool {
    let mut rebuilt: Vec<_> =
        rebuilt.iter().map(|change| (change.actor_id(), change.seq(), change.len() as u64)).collect();
    rebuilt.sort_unstable();
    announced.sort_unstable_by_key(|row| (&actors[row.actor as usize], row.seq));
    rebuilt.len() == announced.len()
        && rebuilt.iter().zip(&announced).all(|((actor, seq, ops), row)| {
            **actor == actors[row.actor as usize] && *seq == row.seq && *ops <= row.ops
        })
}

/// Checks the columns of changes; none of them can be trusted by Automerge's
/// loader, which indexes with what it finds there.
fn check_changes(columns: &Columns<'_>, actors: u64, scan: &Scan<'_>) -> Result<Vec<Row>, ScanError> {
    let limits = scan.limits;
    let room = limits.changes - scan.report.changes.len() as u64;
    let count = column::walk_numbers(columns.get(ACTOR), "change actors", u64::MAX, MAX_COUNTER, |_| ())?;
    if count > room {
        return Err(ScanError::OverLimit { what: "changes", limit: limits.changes });
    }

    let actor = column::members(columns.get(ACTOR), "change actors", count, Reader::number)?;
    let seq = column::counters(columns.get(SEQ), "sequence numbers", count)?;
    let max_op = column::counters(columns.get(MAX_OP), "last operations", count)?;
    column::walk_sums(columns.get(TIME), "times", count, (i64::MIN, i64::MAX))?;
    column::walk_texts(columns.get(MESSAGE), "messages", count, limits.text_bytes)?;
    column::walk_values(columns.get(EXTRA_META), columns.get(EXTRA), "extra bytes", count)?;
    let deps_total =
        column::walk_group(columns.get(DEPS_COUNT), "dependency counts", count, limits.replaced)?;
    let deps_count = column::members(columns.get(DEPS_COUNT), "dependency counts", count, Reader::number)?;
    let deps = column::counters(columns.get(DEPS_POSITION), "dependencies", deps_total)?;

    let mut deps = deps.into_iter();
    let mut rows = Vec::with_capacity(actor.len());
    for (position, deps_count) in deps_count.into_iter().enumerate() {
        within("deps", deps_count, limits.deps)?;
        let mut before = 0;
        for _ in 0..deps_count {
            // A change comes after those that it depends on.
            let dep = deps.next().filter(|dep| *dep < position as u64);
            let dep = dep.ok_or(ScanError::Malformed { what: "dependencies" })?;
            before = before.max(max_op[dep as usize]);
        }
        let (actor, seq) = (actor[position], seq[position]);
        let ops = max_op[position].checked_sub(before);
        let Some(ops) = ops.filter(|_| actor < actors && seq >= 1) else {
            return Err(ScanError::Malformed { what: "changes of a document" });
        };
        within("ops_per_change", ops, limits.ops_per_change)?;
        rows.push(Row { actor, seq, ops });
    }
    let total = rows.iter().map(|row| row.ops).sum::<u64>();
    within("ops", scan.report.ops + total, limits.ops)?;
    Ok(rows)
}

/// Checks the columns of operations. Deletes have no row of their own, so
/// there are at most as many rows as the changes have operations.
fn check_ops(columns: &Columns<'_>, actors: u64, rows: &[Row], scan: &Scan<'_>) -> Result<(), ScanError> {
    let limits = scan.limits;
    let most = rows.iter().map(|row| row.ops).sum::<u64>();
    let ops = change::actions(columns.get(ACTION), "ops", limits.ops)?.ops;
    if ops > most {
        return Err(ScanError::Malformed { what: "operations of a document" });
    }
    change::check_operations(columns, ops, actors, limits)?;

    let last_actor = actors.saturating_sub(1);
    let id_actors = column::walk_numbers(columns.get(ID_ACTOR), "operation actors", ops, last_actor, |_| ())?;
    let id_counters = column::counters(columns.get(ID_COUNTER), "operation counters", ops)?.len() as u64;
    let successors =
        column::walk_group(columns.get(SUCCESSOR_COUNT), "successor counts", ops, limits.replaced)?;
    let successor_actors = column::walk_numbers(
        columns.get(SUCCESSOR_ACTOR),
        "successor actors",
        successors,
        last_actor,
        |_| (),
    )?;
    let successor_counters =
        column::counters(columns.get(SUCCESSOR_COUNTER), "successor counters", successors)?.len() as u64;
    if (id_actors, id_counters) == (ops, ops)
        && (successor_actors, successor_counters) == (successors, successors)
    {
        Ok(())
    } else {
        Err(ScanError::Malformed { what: "operations of a document" })
    }
}

/// Has Automerge take the document apart; it checks the heads by the hashes
/// that come out. A panic in it is a refusal.
fn expand(chunk: &[u8]) -> Result<Vec<Change>, ScanError> {
    std::panic::catch_unwind(AssertUnwindSafe(|| {
        Automerge::load(chunk).map(|document| document.get_changes(&[])).map_err(|_| ScanError::Document)
    }))
    .unwrap_or(Err(ScanError::Document))
}

/// A change of the document, scanned like one that came by itself: that
/// finds deletes, and holds every change to the same limits.
fn scanned_change(change: &Change, limits: &super::ScanLimits) -> Result<ScannedChange, ScanError> {
    let bytes = change.raw_bytes();
    let mut reader = Reader::new(bytes, "change");
    reader.take(super::MAGIC.len() + 5)?;
    let mut scanned = change::scan(reader.length_prefixed()?, limits)?;
    scanned.hash = change.hash();
    scanned.chunk = bytes.to_vec();
    Ok(scanned)
}
