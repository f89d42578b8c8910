//! The contents of a change chunk.

use automerge::{ActorId, ChangeHash};

use super::column::{self, Columns, MAX_COUNTER, Spec};
use super::reader::Reader;
use super::{ScanError, ScanLimits, ScannedChange, within};

pub(super) const OBJECT_ACTOR: Spec = 0x01;
pub(super) const OBJECT_COUNTER: Spec = 0x02;
pub(super) const KEY_ACTOR: Spec = 0x11;
pub(super) const KEY_COUNTER: Spec = 0x13;
pub(super) const KEY_TEXT: Spec = 0x15;
pub(super) const INSERT: Spec = 0x34;
pub(super) const ACTION: Spec = 0x42;
pub(super) const VALUE_META: Spec = 0x56;
pub(super) const VALUE: Spec = 0x57;
const REPLACED_COUNT: Spec = 0x70;
const REPLACED_ACTOR: Spec = 0x71;
const REPLACED_COUNTER: Spec = 0x73;
pub(super) const EXPAND: Spec = 0x94;
pub(super) const MARK_NAME: Spec = 0xa5;

const KNOWN: [Spec; 14] = [
    OBJECT_ACTOR,
    OBJECT_COUNTER,
    KEY_ACTOR,
    KEY_COUNTER,
    KEY_TEXT,
    INSERT,
    ACTION,
    VALUE_META,
    VALUE,
    REPLACED_COUNT,
    REPLACED_ACTOR,
    REPLACED_COUNTER,
    EXPAND,
    MARK_NAME,
];

/// Make a map, set, make a list, delete, make a text, increment, make a
/// table, mark.
pub(super) const MAX_ACTION: u64 = 7;
const DELETE: u64 = 3;

/// Scans a change's contents, inflated. Hash and chunk are the caller's.
pub(super) fn scan(data: &[u8], limits: &ScanLimits) -> Result<ScannedChange, ScanError> {
    let mut reader = Reader::new(data, "change");
    let deps = reader.hashes("deps", limits.deps)?;
    let actor = actor(&mut reader, limits)?;
    let seq = reader.number()?;
    let start_op = reader.number()?;
    let time = reader.signed()?;
    reader.text(limits.text_bytes)?;
    let others = actors(&mut reader, limits)?.len() as u64;

    let entries = column::table(&mut reader, &KNOWN)?;
    let columns = Columns::take(&entries, &mut reader, None)?;
    within("extra_bytes", reader.rest().len() as u64, limits.extra_bytes)?;

    let actions = actions(columns.get(ACTION), "ops_per_change", limits.ops_per_change)?;
    check_operations(&columns, actions.ops, others + 1, limits)?;
    check_replaced(&columns, actions.ops, others + 1, limits)?;

    let counted = start_op >= 1 && start_op.saturating_add(actions.ops) <= MAX_COUNTER;
    if !counted || !(1..=MAX_COUNTER).contains(&seq) {
        return Err(reader.number_error());
    }
    Ok(ScannedChange {
        hash: ChangeHash([0; 32]),
        actor,
        seq,
        start_op,
        time,
        deps,
        ops: actions.ops,
        deletes: actions.deletes,
        reserved: false,
        chunk: Vec::new(),
    })
}

fn actor(reader: &mut Reader<'_>, limits: &ScanLimits) -> Result<ActorId, ScanError> {
    let bytes = reader.length_prefixed()?;
    within("actor_bytes", bytes.len() as u64, limits.actor_bytes)?;
    Ok(ActorId::from(bytes))
}

pub(super) fn actors(reader: &mut Reader<'_>, limits: &ScanLimits) -> Result<Vec<ActorId>, ScanError> {
    let count = reader.number()?;
    (0..within("actors", count, limits.actors)?).map(|_| actor(reader, limits)).collect()
}

pub(super) struct Actions {
    pub ops: u64,
    pub deletes: bool,
}

/// Counts the actions; each operation has one, so this is the number of
/// operations. `limit` is the limit named `name`.
pub(super) fn actions(bytes: &[u8], name: &'static str, limit: u64) -> Result<Actions, ScanError> {
    let mut deletes = false;
    let mut nothing = false;
    let result = column::walk_numbers(bytes, "actions", u64::MAX, MAX_ACTION, |run| {
        deletes |= run.value == Some(DELETE);
        nothing |= run.value.is_none();
    });
    let ops = within(name, result?, limit)?;
    if nothing { Err(ScanError::Malformed { what: "actions" }) } else { Ok(Actions { ops, deletes }) }
}

/// Checks the columns that changes and documents share: no column has more
/// members than there are operations, and nothing points outside.
pub(super) fn check_operations(
    columns: &Columns<'_>,
    ops: u64,
    actors: u64,
    limits: &ScanLimits,
) -> Result<(), ScanError> {
    let last_actor = actors.saturating_sub(1);
    let counters = (0, MAX_COUNTER as i64);
    column::walk_numbers(columns.get(OBJECT_ACTOR), "object actors", ops, last_actor, |_| ())?;
    column::walk_numbers(columns.get(OBJECT_COUNTER), "object counters", ops, MAX_COUNTER, |_| ())?;
    column::walk_numbers(columns.get(KEY_ACTOR), "key actors", ops, last_actor, |_| ())?;
    column::walk_sums(columns.get(KEY_COUNTER), "key counters", ops, counters)?;
    column::walk_texts(columns.get(KEY_TEXT), "keys", ops, limits.text_bytes)?;
    column::walk_flags(columns.get(INSERT), "insert flags", ops)?;
    column::walk_values(columns.get(VALUE_META), columns.get(VALUE), "values", ops)?;
    column::walk_flags(columns.get(EXPAND), "expand flags", ops)?;
    column::walk_texts(columns.get(MARK_NAME), "mark names", ops, limits.text_bytes)?;
    Ok(())
}

fn check_replaced(
    columns: &Columns<'_>,
    ops: u64,
    actors: u64,
    limits: &ScanLimits,
) -> Result<(), ScanError> {
    let replaced = column::walk_group(columns.get(REPLACED_COUNT), "replaced counts", ops, limits.replaced)?;
    let last_actor = actors.saturating_sub(1);
    let named =
        column::walk_numbers(columns.get(REPLACED_ACTOR), "replaced actors", replaced, last_actor, |_| ())?;
    let counters = (0, MAX_COUNTER as i64);
    let counted = column::walk_sums(columns.get(REPLACED_COUNTER), "replaced counters", replaced, counters)?;
    if named == replaced && counted == replaced {
        Ok(())
    } else {
        Err(ScanError::Malformed { what: "replaced operations" })
    }
}
