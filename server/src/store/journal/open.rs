//! Opening: what is on the disk, mended where a torn write explains it and
//! refused where nothing harmless does.

use std::sync::Arc;

use super::Options;
use super::disk::{Disk, DiskFile, read_all};
use super::segment::{self, HEADER_BYTES, Head, SEAL_BYTES, Stop};
use super::segments::{Durable, Segment, Segments};
use super::write::{Writer, create_segment, disk_error};
use crate::store::{JournalNumber, StoreError};

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// How many segments there are.
    pub segments: usize,
    /// The last record.
    pub last: JournalNumber,
    /// A tail that was never whole, cut off and kept aside.
    pub torn: Option<Torn>,
}

/// A tail that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub segment: String,
    /// Where it was cut.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
    /// The file that keeps them.
    pub kept_as: String,
}

pub(super) struct Opened {
    pub segments: Arc<Segments>,
    pub writer: Writer,
    pub report: OpenReport,
}

/// Opens the journal, or begins one in an empty folder.
///
/// `at_least` is a record that is known to have been durable: a tail that
/// holds it is not cut off, however torn it looks.
pub(super) fn open(
    disk: Arc<dyn Disk>,
    options: Options,
    at_least: JournalNumber,
) -> Result<Opened, StoreError> {
    let mut report = OpenReport::default();
    let mut list = Vec::new();
    let mut names = segment_names(&*disk)?;
    let last_name = names.pop();
    for name in &names {
        list.push(open_sealed(&*disk, name, list.last())?);
    }
    let expected = match list.last() {
        Some(Link { after, .. }) => *after,
        None => Head::START,
    };
    let mut list: Vec<Arc<Segment>> = list.into_iter().map(|link| Arc::new(link.segment)).collect();
    let last = match last_name {
        None => None,
        Some(first) => open_last(&*disk, first, expected, at_least, &mut report)?,
    };
    let (active, durable, sealed) = match last {
        Some(last) => last,
        None if expected.last < at_least => return Err(lost(expected.last, at_least)),
        None => {
            let segment = create_segment(&*disk, expected)?;
            (segment, Durable { head: expected, end: HEADER_BYTES as u64 }, false)
        }
    };
    let active = Arc::new(active);
    list.push(Arc::clone(&active));
    report.segments = list.len();
    report.last = durable.head.last;
    let segments = Arc::new(Segments::new(list, durable));
    let writer = Writer::new(disk, options, Arc::clone(&segments), (!sealed).then_some(active));
    Ok(Opened { segments, writer, report })
}

/// The segments in the folder, in order.
pub(super) fn segment_names(disk: &dyn Disk) -> Result<Vec<JournalNumber>, StoreError> {
    let names = disk.list().map_err(|error| disk_error(&error))?;
    let mut firsts: Vec<_> = names.iter().filter_map(|name| segment::first_of_name(name)).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

fn lost(last: JournalNumber, at_least: JournalNumber) -> StoreError {
    StoreError::Damaged(format!(
        "the journal ends with record {}, but record {} was acknowledged",
        last.0, at_least.0
    ))
}

/// A sealed segment and what its seal says.
struct Link {
    segment: Segment,
    after: Head,
}

/// Checks a sealed segment's header and seal, not what is between: that is
/// read when it is first needed, and by `verify`.
fn open_sealed(disk: &dyn Disk, first: &JournalNumber, before: Option<&Link>) -> Result<Link, StoreError> {
    let name = segment::file_name(*first);
    let (file, size) = open_file(disk, &name)?;
    let mut header = [0; HEADER_BYTES];
    let mut end = [0; SEAL_BYTES];
    let Some(seal_at) = size.checked_sub(SEAL_BYTES as u64).filter(|at| *at >= HEADER_BYTES as u64) else {
        return Err(StoreError::Damaged(format!("segment {name}, offset {size}: the file is cut off")));
    };
    file.read_at(&mut header, 0).map_err(|error| disk_error(&error))?;
    file.read_at(&mut end, seal_at).map_err(|error| disk_error(&error))?;
    let head = segment::read_header(&name, &header)?;
    let segment = Segment::sealed(head, file);
    let Some(after) = segment::seal_at_end(&end) else {
        return Err(StoreError::Damaged(format!("segment {name}, offset {seal_at}: the seal is missing")));
    };
    let expected = before.map_or(Head::START, |link| link.after);
    if head != expected || head.next() != *first {
        return Err(segment.damaged(0, "the segment does not follow the one before"));
    }
    Ok(Link { segment, after })
}

fn open_file(disk: &dyn Disk, name: &str) -> Result<(Box<dyn DiskFile>, u64), StoreError> {
    let file = disk.open(name).map_err(|error| disk_error(&error))?;
    let size = file.size().map_err(|error| disk_error(&error))?;
    Ok((file, size))
}

/// Reads the last segment whole. `None` where its making was interrupted; then
/// it held no record, was set aside, and is to be made again.
fn open_last(
    disk: &dyn Disk,
    first: JournalNumber,
    expected: Head,
    at_least: JournalNumber,
    report: &mut OpenReport,
) -> Result<Option<(Segment, Durable, bool)>, StoreError> {
    let name = segment::file_name(first);
    let file = disk.open(&name).map_err(|error| disk_error(&error))?;
    // A process that was killed may have left its bytes and its name in memory
    // only. From here on they count as durable, and nothing else flushes them
    // where the next record goes into another segment. They are read from the
    // disk, because a flush that failed before leaves nothing to be flushed.
    file.sync().and_then(|()| disk.sync_folder()).map_err(|error| disk_error(&error))?;
    file.forget_cached();
    let size = file.size().map_err(|error| disk_error(&error))?;
    let bytes = read_all(&*file, size).map_err(|error| disk_error(&error))?;
    let head = match segment::read_header(&name, &bytes) {
        Ok(head) => head,
        Err(StoreError::Damaged(_))
            if bytes.len() <= HEADER_BYTES && first == expected.next() && at_least <= expected.last =>
        {
            report.torn = Some(keep_aside(disk, &name, 0, &bytes)?);
            disk.remove(&name).map_err(|error| disk_error(&error))?;
            disk.sync_folder().map_err(|error| disk_error(&error))?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let segment = Segment::active(head, file);
    if head != expected || head.next() != first {
        return Err(segment.damaged(0, "the segment does not follow the one before"));
    }
    let scan = segment.scan(Some(size))?;
    if let Stop::Wrong { offset, what } = scan.stop {
        return Err(segment.damaged(offset as u64, what));
    }
    let mut durable = Durable { head: scan.head, end: scan.end as u64 };
    match scan.stop {
        Stop::Torn { offset, what } => {
            let due = scan.head.next();
            let after = bytes.get(offset..).unwrap_or_default();
            if due <= at_least || segment::attests_flushed(after, due) {
                return Err(segment.damaged(offset as u64, what));
            }
            let tail = bytes.get(scan.end..).unwrap_or_default();
            report.torn = Some(keep_aside(disk, &name, scan.end as u64, tail)?);
            let file = segment.file();
            file.truncate(durable.end).and_then(|()| file.sync()).map_err(|error| disk_error(&error))?;
        }
        Stop::Sealed => durable.end = size,
        Stop::End | Stop::Wrong { .. } => {}
    }
    if scan.head.last < at_least {
        return Err(lost(scan.head.last, at_least));
    }
    Ok(Some((segment, durable, scan.stop == Stop::Sealed)))
}

/// Keeps bytes that are about to be cut off, durably, under a name of their own.
fn keep_aside(disk: &dyn Disk, segment: &str, offset: u64, bytes: &[u8]) -> Result<Torn, StoreError> {
    let taken = disk.list().map_err(|error| disk_error(&error))?;
    let names = (0..).map(|n| format!("{segment}.{offset}.{n}.torn"));
    let kept_as = names.into_iter().find(|name| !taken.contains(name)).unwrap_or_default();
    let keep = || {
        let file = disk.create(&kept_as)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        disk.sync_folder()
    };
    keep().map_err(|error| disk_error(&error))?;
    Ok(Torn { segment: segment.to_owned(), offset, bytes: bytes.len() as u64, kept_as })
}
