//! Tables of columns, and walks over their runs without expanding them.

use super::reader::Reader;
use super::{Scan, ScanError, within};

/// Columns that a table may have. Automerge writes sixteen at most.
const MAX_COLUMNS: u64 = 32;

/// Automerge keeps counters, sequence numbers and positions in 32 bits.
pub(super) const MAX_COUNTER: u64 = u32::MAX as u64;

/// The bit that says that a column is deflated.
const DEFLATED: u32 = 0b1000;

/// A column's number and type as the table has them: `id << 4 | type`.
pub(super) type Spec = u32;

/// An entry of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    spec: u32,
    length: usize,
}

/// Reads a table. Entries must be of `known` columns, in rising order.
pub(super) fn table(reader: &mut Reader<'_>, known: &[Spec]) -> Result<Vec<Entry>, ScanError> {
    let count = reader.number()?;
    if count > MAX_COLUMNS {
        return Err(reader.malformed());
    }
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let spec = u32::try_from(reader.number()?).map_err(|_| reader.number_error())?;
        let length = reader.length()?;
        if !known.contains(&(spec & !DEFLATED)) {
            return Err(ScanError::Unknown { what: "column" });
        }
        if entries.last().is_some_and(|last| last.spec & !DEFLATED >= spec & !DEFLATED) {
            return Err(reader.malformed());
        }
        entries.push(Entry { spec, length });
    }
    Ok(entries)
}

/// The columns of a table with their contents, inflated.
pub(super) struct Columns<'a>(Vec<(Spec, std::borrow::Cow<'a, [u8]>)>);

impl<'a> Columns<'a> {
    /// Takes the contents in the order of the table. Changes must not have
    /// deflated columns, so they give no scan to inflate with.
    pub fn take(
        entries: &[Entry],
        reader: &mut Reader<'a>,
        mut scan: Option<&mut Scan<'_>>,
    ) -> Result<Self, ScanError> {
        let mut columns = Vec::with_capacity(entries.len());
        for entry in entries {
            let bytes = reader.take(entry.length)?;
            let contents = match (entry.spec & DEFLATED != 0, scan.as_deref_mut()) {
                (false, _) => bytes.into(),
                (true, Some(scan)) => scan.inflate(bytes)?.into(),
                (true, None) => return Err(ScanError::Malformed { what: "column of a change" }),
            };
            columns.push((entry.spec & !DEFLATED, contents));
        }
        Ok(Self(columns))
    }

    /// The contents of a column; nothing where the table has none.
    pub fn get(&self, spec: Spec) -> &[u8] {
        self.0.iter().find(|(found, _)| *found == spec).map_or(&[], |(_, contents)| contents)
    }
}

/// A length of equal members; `None` is null.
pub(super) struct Run<T> {
    pub count: u64,
    pub value: Option<T>,
}

/// Walks over a run-length column of at most `most` members and gives how
/// many it has. Costs a step per byte, never one per member.
pub(super) fn walk<'a, T>(
    bytes: &'a [u8],
    what: &'static str,
    most: u64,
    read: impl Fn(&mut Reader<'a>) -> Result<T, ScanError>,
    mut on_run: impl FnMut(Run<T>) -> Result<(), ScanError>,
) -> Result<u64, ScanError> {
    let mut reader = Reader::new(bytes, what);
    let mut total = 0_u64;
    while !reader.is_empty() {
        let length = reader.signed()?;
        let count = if length == 0 { reader.number()? } else { length.unsigned_abs() };
        total = match total.checked_add(count) {
            Some(total) if total <= most && count > 0 => total,
            _ => return Err(reader.malformed()),
        };
        if length < 0 {
            for _ in 0..count {
                on_run(Run { count: 1, value: Some(read(&mut reader)?) })?;
            }
        } else {
            let value = if length == 0 { None } else { Some(read(&mut reader)?) };
            on_run(Run { count, value })?;
        }
    }
    Ok(total)
}

/// Walks over a column of numbers up to `max`.
pub(super) fn walk_numbers(
    bytes: &[u8],
    what: &'static str,
    most: u64,
    max: u64,
    mut on_run: impl FnMut(Run<u64>),
) -> Result<u64, ScanError> {
    walk(bytes, what, most, Reader::number, |run| {
        if run.value.is_some_and(|value| value > max) {
            return Err(ScanError::Number { what });
        }
        on_run(run);
        Ok(())
    })
}

/// Walks over a column of texts.
pub(super) fn walk_texts(bytes: &[u8], what: &'static str, most: u64, limit: u64) -> Result<u64, ScanError> {
    walk(bytes, what, most, |reader| reader.text(limit), |_| Ok(()))
}

/// Walks over a column of differences; every sum must be within `min..=max`.
/// The sums of a run rise or fall evenly, so its last one stands for all.
pub(super) fn walk_sums(
    bytes: &[u8],
    what: &'static str,
    most: u64,
    (min, max): (i64, i64),
) -> Result<u64, ScanError> {
    let mut sum = 0_i128;
    walk(bytes, what, most, Reader::signed, |run| {
        sum += i128::from(run.count) * i128::from(run.value.unwrap_or(0));
        if (i128::from(min)..=i128::from(max)).contains(&sum) {
            Ok(())
        } else {
            Err(ScanError::Number { what })
        }
    })
}

/// Expands a column without nulls that has exactly `count` members; for
/// counts that a limit has bounded.
pub(super) fn members<'a, T: Copy>(
    bytes: &'a [u8],
    what: &'static str,
    count: u64,
    read: impl Fn(&mut Reader<'a>) -> Result<T, ScanError>,
) -> Result<Vec<T>, ScanError> {
    let mut members = Vec::new();
    walk(bytes, what, count, read, |run| {
        let value = run.value.ok_or(ScanError::Malformed { what })?;
        members.extend(std::iter::repeat_n(value, run.count as usize));
        Ok(())
    })?;
    if members.len() as u64 == count { Ok(members) } else { Err(ScanError::Malformed { what }) }
}

/// Expands a column of differences to exactly `count` counters.
pub(super) fn counters(bytes: &[u8], what: &'static str, count: u64) -> Result<Vec<u64>, ScanError> {
    let mut sum = 0_i64;
    members(bytes, what, count, Reader::signed)?
        .into_iter()
        .map(|difference| {
            sum = sum.checked_add(difference).ok_or(ScanError::Number { what })?;
            u64::try_from(sum).ok().filter(|sum| *sum <= MAX_COUNTER).ok_or(ScanError::Number { what })
        })
        .collect()
}

/// Walks over a column of truth values: lengths of false and true in turn.
pub(super) fn walk_flags(bytes: &[u8], what: &'static str, most: u64) -> Result<u64, ScanError> {
    let mut reader = Reader::new(bytes, what);
    let mut total = 0_u64;
    while !reader.is_empty() {
        total = match total.checked_add(reader.number()?) {
            Some(total) if total <= most => total,
            _ => return Err(reader.malformed()),
        };
    }
    Ok(total)
}

/// Walks over a group's column of counts and gives their sum, which the limit
/// `replaced` bounds.
pub(super) fn walk_group(bytes: &[u8], what: &'static str, most: u64, limit: u64) -> Result<u64, ScanError> {
    let mut sum = 0_u64;
    let mut over = false;
    walk_numbers(bytes, what, most, MAX_COUNTER, |run| {
        // Both are below 2^32 and 2^64; the flag keeps the sum from wrapping.
        match run.count.checked_mul(run.value.unwrap_or(0)).and_then(|more| sum.checked_add(more)) {
            Some(total) => sum = total,
            None => over = true,
        }
    })?;
    within("replaced", if over { u64::MAX } else { sum }, limit)
}

/// Walks over a column of value types and lengths and checks that the values'
/// bytes are there. The low four bits are the type.
pub(super) fn walk_values(meta: &[u8], raw: &[u8], what: &'static str, most: u64) -> Result<u64, ScanError> {
    let mut length = 0_u128;
    let total = walk_numbers(meta, what, most, u64::MAX, |run| {
        length += u128::from(run.count) * u128::from(run.value.unwrap_or(0) >> 4);
    })?;
    if length == raw.len() as u128 { Ok(total) } else { Err(ScanError::Malformed { what }) }
}
