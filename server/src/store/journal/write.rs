//! Writing: groups in, durable or not at all.

use std::io;
use std::sync::Arc;

use super::Options;
use super::disk::{Disk, DiskFile};
use super::segment::{self, HEADER_BYTES, Head};
use super::segments::{Durable, Place, Placed, Segment, Segments, verify_active};
use crate::store::codec::{self, Envelope, Payload, RecordHash};
use crate::store::{GROUP_BYTES_MAX, Record, StoreError, check_group};

/// Records that become durable together, encoded.
pub struct Group {
    records: Vec<(Record, Vec<u8>, RecordHash)>,
    bytes: usize,
}

impl Group {
    /// Checks and encodes the records.
    ///
    /// # Errors
    /// [`StoreError::Refused`] beyond a limit.
    pub fn new(records: Vec<Record>) -> Result<Self, StoreError> {
        check_group(&records)?;
        let mut group = Self { records: Vec::with_capacity(records.len()), bytes: 0 };
        for record in records {
            let encoded = codec::encode_record(&record)?;
            group.bytes += encoded.len() + codec::ENVELOPE_BYTES_MAX;
            if group.bytes > GROUP_BYTES_MAX {
                return Err(StoreError::Refused(format!("a commit of more than {GROUP_BYTES_MAX} bytes")));
            }
            let hash = RecordHash::of(&encoded);
            group.records.push((record, encoded, hash));
        }
        Ok(group)
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// About how many bytes it will take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What the writer can do next.
enum State {
    /// Append to the last segment.
    Ready(Arc<Segment>),
    /// The last segment is sealed; the next is not there yet.
    Sealed,
}

/// The one writer of a journal.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    options: Options,
    segments: Arc<Segments>,
    state: State,
}

impl Writer {
    /// Continues in the last segment, or after it where there is none to grow.
    pub fn new(
        disk: Arc<dyn Disk>,
        options: Options,
        segments: Arc<Segments>,
        active: Option<Arc<Segment>>,
    ) -> Self {
        Self { disk, options, segments, state: active.map_or(State::Sealed, State::Ready) }
    }

    /// Appends the groups and flushes once. Either all are durable, or none is
    /// and none will be.
    pub fn append(&mut self, groups: Vec<Group>) -> Result<Vec<Placed>, StoreError> {
        let bytes = groups.iter().map(Group::bytes).sum();
        self.check_space(bytes)?;
        let segment = self.segment_for(bytes)?;
        let durable = self.segments.durable();
        let (buffer, head, placed) = frames(&segment, durable, groups)?;
        let written = write_and_sync(&*segment.file(), &buffer, durable.end);
        if let Err(error) = written {
            self.recover(&segment);
            return Err(disk_error(&error));
        }
        for record in &placed {
            segment.mark(record.number, record.place.offset);
        }
        self.segments.set_durable(Durable { head, end: durable.end + buffer.len() as u64 });
        Ok(placed)
    }

    /// Refuses early while some space is left: the index and whoever makes
    /// space need it.
    fn check_space(&self, bytes: usize) -> Result<(), StoreError> {
        let free = self.disk.free_bytes().map_err(|error| disk_error(&error))?;
        if free < self.options.reserve_bytes.saturating_add(bytes as u64) {
            return Err(StoreError::Full);
        }
        Ok(())
    }

    /// The segment to append to; a new one where the last would grow too long.
    fn segment_for(&mut self, bytes: usize) -> Result<Arc<Segment>, StoreError> {
        // The disk is not what it was last known to be, and could not be
        // brought back to it.
        if let Some(why) = self.segments.stopped() {
            return Err(StoreError::Io(format!(
                "writing has stopped until the store is opened again: {why}"
            )));
        }
        if let State::Ready(segment) = &self.state {
            let end = self.segments.durable().end;
            let begun = end > HEADER_BYTES as u64;
            if !begun || end + bytes as u64 <= self.options.segment_bytes {
                return Ok(Arc::clone(segment));
            }
            let segment = Arc::clone(segment);
            self.seal(&segment)?;
        }
        let segment = create_segment(&*self.disk, self.segments.durable().head)?;
        let segment = Arc::new(segment);
        let durable = Durable { head: segment.before, end: HEADER_BYTES as u64 };
        self.segments.push(Arc::clone(&segment), durable);
        self.state = State::Ready(Arc::clone(&segment));
        Ok(segment)
    }

    fn seal(&mut self, segment: &Segment) -> Result<(), StoreError> {
        let durable = self.segments.durable();
        let seal = segment::seal(durable.head)?;
        if let Err(error) = write_and_sync(&*segment.file(), &seal, durable.end) {
            self.recover(segment);
            return Err(disk_error(&error));
        }
        self.segments.set_durable(Durable { end: durable.end + seal.len() as u64, ..durable });
        self.state = State::Sealed;
        Ok(())
    }

    /// After a failure nothing that the file or the page cache says beyond the
    /// last durable byte counts. The file is opened anew, cut off there,
    /// flushed, and read again from the disk; where any of that fails the
    /// writer stops.
    fn recover(&mut self, segment: &Segment) {
        if let Err(why) = self.try_recover(segment) {
            tracing::error!(segment = %segment.name, %why, "the journal stops writing");
            self.segments.stop(why);
        }
    }

    fn try_recover(&self, segment: &Segment) -> Result<(), String> {
        let durable = self.segments.durable();
        let file = self.disk.open(&segment.name).map_err(|error| error.to_string())?;
        file.truncate(durable.end).map_err(|error| error.to_string())?;
        file.sync().map_err(|error| error.to_string())?;
        file.forget_cached();
        segment.replace_file(file);
        verify_active(segment, durable).map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn write_and_sync(file: &dyn DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_at(bytes, offset)?;
    file.sync()
}

/// The bytes of the groups' frames, the head after them, and their places.
fn frames(
    segment: &Segment,
    durable: Durable,
    groups: Vec<Group>,
) -> Result<(Vec<u8>, Head, Vec<Placed>), StoreError> {
    let mut buffer = Vec::with_capacity(groups.iter().map(Group::bytes).sum());
    let mut placed = Vec::new();
    let mut head = durable.head;
    for group in groups {
        let mut rest = u32::try_from(group.records.len()).unwrap_or(u32::MAX);
        for (record, encoded, hash) in group.records {
            rest -= 1;
            let number = head.next();
            let offset = durable.end + buffer.len() as u64;
            let envelope =
                Envelope { number, rest, flushed: durable.head.last, previous: head.chain, record: &encoded };
            segment::put_frame(&mut buffer, &Payload::Record(envelope))?;
            let place = Place { segment: segment.before.next(), offset };
            placed.push(Placed { number, place, record });
            head = Head { last: number, chain: head.chain.next(number, rest, &hash) };
        }
    }
    Ok((buffer, head, placed))
}

/// Makes the segment that continues after `before`, durable with its name.
pub(super) fn create_segment(disk: &dyn Disk, before: Head) -> Result<Segment, StoreError> {
    let name = segment::file_name(before.next());
    let file = match disk.create(&name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open_abandoned(disk, &name)?,
        other => other.map_err(|error| disk_error(&error))?,
    };
    let write = |file: &dyn DiskFile| {
        file.truncate(0)?;
        file.write_at(&segment::header(before), 0)?;
        file.sync()?;
        disk.sync_folder()
    };
    match write(&*file) {
        Ok(()) => Ok(Segment::active(before, file)),
        Err(error) => {
            // It holds no record. If it cannot be removed now, the next
            // attempt takes it, or opening sets it aside.
            let _ = disk.remove(&name);
            Err(disk_error(&error))
        }
    }
}

/// The file that an earlier attempt left. It can hold a header at most: a
/// segment with records would be known.
fn open_abandoned(disk: &dyn Disk, name: &str) -> Result<Box<dyn DiskFile>, StoreError> {
    let file = disk.open(name).map_err(|error| disk_error(&error))?;
    if file.size().map_err(|error| disk_error(&error))? > HEADER_BYTES as u64 {
        return Err(StoreError::Damaged(format!("segment {name} is there and holds more than its header")));
    }
    Ok(file)
}

/// What a failure of the disk means to the caller.
pub(crate) fn disk_error(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::Full
        }
        _ => StoreError::Io(error.to_string()),
    }
}
