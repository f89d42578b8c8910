//! The segments of an open journal, as its readers see them.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::disk::{Disk, DiskFile, Folder, read_all};
use super::segment::{self, FRAME_HEAD_BYTES, HEADER_BYTES, Head, Scan, Stop};
use super::write::disk_error;
use crate::store::codec::{self, ChainHash, Envelope, Payload};
use crate::store::{JournalNumber, Record, StoreError};

/// Distance between two marks of the sparse index, in bytes.
const MARK_EVERY_BYTES: usize = 64 << 10;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The first number of its segment.
    pub segment: JournalNumber,
    /// Where its frame begins.
    pub offset: u64,
}

/// A record with its number and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its number.
    pub number: JournalNumber,
    /// Where it stands.
    pub place: Place,
    /// The record.
    pub record: Record,
}

/// A page of records ends behind the one with which it has this many bytes: a
/// record may have 32 MiB, and a page is in memory whole.
pub(super) const PAGE_BYTES: usize = 8 << 20;

/// One segment file.
pub(super) struct Segment {
    /// What stands before it.
    pub before: Head,
    /// The file's name.
    pub name: String,
    file: RwLock<Arc<dyn DiskFile>>,
    /// Offsets of some records, ascending; `None` until a sealed segment is
    /// first read, because reading them all at opening would take a time that
    /// grows with the journal.
    marks: Mutex<Option<Vec<(JournalNumber, u64)>>>,
}

impl Segment {
    /// A segment whose marks are found when it is first read.
    pub fn sealed(before: Head, file: Box<dyn DiskFile>) -> Self {
        Self::with_marks(before, file, None)
    }

    /// A segment that is being written.
    pub fn active(before: Head, file: Box<dyn DiskFile>) -> Self {
        Self::with_marks(before, file, Some(Vec::new()))
    }

    fn with_marks(before: Head, file: Box<dyn DiskFile>, marks: Option<Vec<(JournalNumber, u64)>>) -> Self {
        let name = segment::file_name(before.next());
        Self { before, name, file: RwLock::new(file.into()), marks: Mutex::new(marks) }
    }

    pub fn file(&self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a newly opened file in the place of one that failed.
    pub fn replace_file(&self, file: Box<dyn DiskFile>) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = file.into();
    }

    /// Remembers where a record stands, if the last mark is far enough away.
    pub fn mark(&self, number: JournalNumber, offset: u64) {
        if let Some(marks) = &mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner) {
            push_mark(marks, number, offset);
        }
    }

    /// An error that names this segment and an offset.
    pub fn damaged(&self, offset: u64, what: &str) -> StoreError {
        StoreError::Damaged(format!("segment {}, offset {offset}: {what}", self.name))
    }

    /// What a failed read means here.
    fn read_error(&self, offset: u64, error: &io::Error) -> StoreError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.damaged(offset, "the file is cut off")
        } else {
            StoreError::Io(format!("segment {}, offset {offset}: {error}", self.name))
        }
    }

    /// Checks all frames of the segment, up to `size` bytes or its end.
    pub fn scan(&self, size: Option<u64>) -> Result<Scan, StoreError> {
        let file = self.file();
        let size = match size {
            Some(size) => size,
            None => file.size().map_err(|error| self.read_error(0, &error))?,
        };
        let bytes = read_all(&*file, size).map_err(|error| self.read_error(0, &error))?;
        if segment::read_header(&self.name, &bytes)? != self.before {
            return Err(self.damaged(0, "the header does not follow the segment before"));
        }
        let mut marks = Vec::new();
        let scan = segment::scan(&bytes, self.before, |found| {
            push_mark(&mut marks, found.number, found.offset as u64);
        });
        if let Some(known) = &mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner)
            && known.is_empty()
        {
            *known = marks;
        }
        Ok(scan)
    }

    /// Checks that a sealed segment is whole and ends with `after`.
    pub fn verify_sealed(&self, after: Head) -> Result<(), StoreError> {
        let scan = self.scan(None)?;
        match scan.stop {
            Stop::Sealed if scan.head == after => Ok(()),
            Stop::Sealed => Err(self.damaged(scan.end as u64, "the next segment does not follow this one")),
            Stop::End => Err(self.damaged(scan.end as u64, "the seal is missing")),
            Stop::Torn { offset, what } | Stop::Wrong { offset, what } => {
                Err(self.damaged(offset as u64, what))
            }
        }
    }

    /// The marked record at or before `number`.
    fn seek(&self, number: JournalNumber, after: Option<Head>) -> Result<(JournalNumber, u64), StoreError> {
        let known = self.marks.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if let (false, Some(after)) = (known, after) {
            *self.marks.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
            if let Err(error) = self.verify_sealed(after) {
                *self.marks.lock().unwrap_or_else(PoisonError::into_inner) = None;
                return Err(error);
            }
        }
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = marks.as_deref().unwrap_or_default();
        let at = marks.partition_point(|(marked, _)| *marked <= number);
        let begin = (self.before.next(), HEADER_BYTES as u64);
        Ok(at.checked_sub(1).and_then(|at| marks.get(at)).copied().unwrap_or(begin))
    }

    /// Reads the frame at an offset: its payload and its whole length.
    fn read_frame(&self, file: &dyn DiskFile, offset: u64) -> Result<Vec<u8>, StoreError> {
        let mut head = [0; FRAME_HEAD_BYTES];
        file.read_at(&mut head, offset).map_err(|error| self.read_error(offset, &error))?;
        let Some(length) = segment::frame_length(head) else {
            return Err(self.damaged(offset, "a frame's length is impossible"));
        };
        let size = file.size().map_err(|error| self.read_error(offset, &error))?;
        if size.saturating_sub(offset) < length as u64 {
            return Err(self.damaged(offset, "a frame is cut off"));
        }
        let mut bytes = vec![0; length];
        file.read_at(&mut bytes, offset).map_err(|error| self.read_error(offset, &error))?;
        if segment::frame(&bytes).is_none() {
            return Err(self.damaged(offset, "a frame's checksum is wrong"));
        }
        Ok(bytes)
    }
}

fn push_mark(marks: &mut Vec<(JournalNumber, u64)>, number: JournalNumber, offset: u64) {
    if marks.last().is_none_or(|(_, last)| offset >= last + MARK_EVERY_BYTES as u64) {
        marks.push((number, offset));
    }
}

/// What is durable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durable {
    pub head: Head,
    /// Where the last segment's durable bytes end.
    pub end: u64,
}

/// All segments, and how much of them is durable. Readers never look beyond.
pub(super) struct Segments {
    list: RwLock<Vec<Arc<Segment>>>,
    durable: RwLock<Durable>,
    /// Why the writer has stopped for good.
    stopped: OnceLock<String>,
}

/// The state of the segments at one moment.
pub(super) struct View {
    pub segments: Vec<Arc<Segment>>,
    pub durable: Durable,
}

impl Segments {
    pub fn new(list: Vec<Arc<Segment>>, durable: Durable) -> Self {
        Self { list: RwLock::new(list), durable: RwLock::new(durable), stopped: OnceLock::new() }
    }

    pub fn stopped(&self) -> Option<String> {
        self.stopped.get().cloned()
    }

    /// The first reason stays.
    pub fn stop(&self, why: String) {
        let _ = self.stopped.set(why);
    }

    pub fn durable(&self) -> Durable {
        *self.durable.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_durable(&self, durable: Durable) {
        *self.durable.write().unwrap_or_else(PoisonError::into_inner) = durable;
    }

    /// Adds the segment that now grows.
    pub fn push(&self, segment: Arc<Segment>, durable: Durable) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        list.push(segment);
        self.set_durable(durable);
    }

    /// A consistent pair: the list is locked while the end is read.
    pub fn view(&self) -> View {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        View { segments: list.clone(), durable: self.durable() }
    }

    /// Calls `each` for records from `from` on: at most `limit`, and no more
    /// after [`PAGE_BYTES`]; one at least, if there is one.
    pub fn read(
        &self,
        from: JournalNumber,
        limit: usize,
        mut each: impl FnMut(Placed),
    ) -> Result<(), StoreError> {
        let view = self.view();
        let mut next = JournalNumber(from.0.max(1));
        let (mut left, mut bytes) = (limit, 0);
        while left > 0 && next <= view.durable.head.last {
            let Some(at) = view.segment_of(next) else {
                return Err(StoreError::Damaged(format!("record {} is before the first segment", next.0)));
            };
            let segment = &view.segments[at];
            let after = view.segments.get(at + 1).map(|segment| segment.before);
            let last = after.unwrap_or(view.durable.head).last;
            let (mut number, mut offset) = segment.seek(next, after)?;
            let file = segment.file();
            while left > 0 && number <= last {
                let frame = segment.read_frame(&*file, offset)?;
                if number >= next {
                    let place = Place { segment: segment.before.next(), offset };
                    let record = decode_frame(segment, offset, &frame, number)?;
                    each(Placed { number, place, record });
                    next = JournalNumber(number.0 + 1);
                    bytes += frame.len();
                    left = if bytes < PAGE_BYTES { left - 1 } else { 0 };
                }
                number = JournalNumber(number.0 + 1);
                offset += frame.len() as u64;
            }
        }
        Ok(())
    }

    /// The record at a place, which must have the number.
    pub fn read_at(&self, place: Place, number: JournalNumber) -> Result<Record, StoreError> {
        let view = self.view();
        let segment = view
            .segment_of(number)
            .map(|at| &view.segments[at])
            .filter(|segment| segment.before.next() == place.segment && number <= view.durable.head.last);
        let Some(segment) = segment else {
            return Err(StoreError::Damaged(format!("record {} is not in the journal", number.0)));
        };
        let frame = segment.read_frame(&*segment.file(), place.offset)?;
        decode_frame(segment, place.offset, &frame, number)
    }

    /// The chain after a record.
    pub fn chain_at(&self, number: JournalNumber) -> Result<ChainHash, StoreError> {
        let durable = self.durable();
        if number >= durable.head.last {
            return Ok(durable.head.chain);
        }
        let next = JournalNumber(number.0 + 1);
        let view = self.view();
        let mut chain = ChainHash::START;
        // The envelope of the next record has it.
        if let Some(at) = view.segment_of(next) {
            let segment = &view.segments[at];
            let after = view.segments.get(at + 1).map(|segment| segment.before);
            let (mut found, mut offset) = segment.seek(next, after)?;
            let file = segment.file();
            loop {
                let frame = segment.read_frame(&*file, offset)?;
                if found == next {
                    chain = envelope(segment, offset, &frame, next)?.previous;
                    break;
                }
                found = JournalNumber(found.0 + 1);
                offset += frame.len() as u64;
            }
        }
        Ok(chain)
    }

    /// Copies all durable bytes into a folder that holds no segment yet.
    pub fn copy_to(&self, folder: &Path) -> Result<Head, StoreError> {
        let target = Folder::new(folder).map_err(|error| disk_error(&error))?;
        let names = target.list().map_err(|error| disk_error(&error))?;
        if names.iter().any(|name| segment::first_of_name(name).is_some()) {
            return Err(StoreError::Refused("a copy into a folder that holds a journal".to_owned()));
        }
        let view = self.view();
        for (at, segment) in view.segments.iter().enumerate() {
            let file = segment.file();
            let size = match view.segments.get(at + 1) {
                Some(_) => file.size().map_err(|error| segment.read_error(0, &error))?,
                None => view.durable.end,
            };
            let bytes = read_all(&*file, size).map_err(|error| segment.read_error(0, &error))?;
            let copy = target.create(&segment.name).map_err(|error| disk_error(&error))?;
            copy.write_at(&bytes, 0).and_then(|()| copy.sync()).map_err(|error| disk_error(&error))?;
        }
        target.sync_folder().map_err(|error| disk_error(&error))?;
        Ok(view.durable.head)
    }

    /// Follows the chain over all that is durable.
    pub fn verify(&self) -> Result<Head, StoreError> {
        let view = self.view();
        let mut before = Head::START;
        for (at, segment) in view.segments.iter().enumerate() {
            if segment.before != before {
                return Err(segment.damaged(0, "the segment does not follow the one before"));
            }
            if let Some(next) = view.segments.get(at + 1) {
                segment.verify_sealed(next.before)?;
                before = next.before;
            } else {
                before = verify_active(segment, view.durable)?;
            }
        }
        Ok(before)
    }
}

/// Checks the segment that grows, as far as it is durable.
pub(super) fn verify_active(segment: &Segment, durable: Durable) -> Result<Head, StoreError> {
    let scan = segment.scan(Some(durable.end))?;
    match scan.stop {
        Stop::End | Stop::Sealed if scan.head == durable.head => Ok(scan.head),
        Stop::Torn { offset, what } | Stop::Wrong { offset, what } => {
            Err(segment.damaged(offset as u64, what))
        }
        Stop::End | Stop::Sealed => {
            Err(segment.damaged(scan.end as u64, "this is not what was written here"))
        }
    }
}

impl View {
    fn segment_of(&self, number: JournalNumber) -> Option<usize> {
        self.segments.partition_point(|segment| segment.before.last < number).checked_sub(1)
    }
}

fn envelope<'a>(
    segment: &Segment,
    offset: u64,
    frame: &'a [u8],
    number: JournalNumber,
) -> Result<Envelope<'a>, StoreError> {
    let payload = frame.get(FRAME_HEAD_BYTES..).unwrap_or_default();
    match codec::decode_payload(payload) {
        Ok(Payload::Record(envelope)) if envelope.number == number => Ok(envelope),
        _ => Err(segment.damaged(offset, "another frame than expected")),
    }
}

fn decode_frame(
    segment: &Segment,
    offset: u64,
    frame: &[u8],
    number: JournalNumber,
) -> Result<Record, StoreError> {
    let envelope = envelope(segment, offset, frame, number)?;
    codec::decode(envelope.record).map_err(|error| segment.damaged(offset, &error.to_string()))
}
