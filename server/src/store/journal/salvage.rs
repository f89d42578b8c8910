//! Reading past damage: everything that is sound in a journal that cannot be
//! opened. Nothing is written.

use super::disk::{Disk, read_all};
use super::open::segment_names;
use super::segment;
use super::write::disk_error;
use crate::store::codec;
use crate::store::{JournalNumber, Record, StoreError};

/// Bytes that could not be read as records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: String,
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub bytes: u64,
    /// What is wrong with them.
    pub what: String,
}

/// Calls `each` for every record whose checksum is right, in the order of the
/// segments, and says what was passed over. Numbers may have gaps, and a group
/// may be there in part: this is for people who decide what to do, not for a
/// server to go on with.
///
/// # Errors
/// What the disk says.
pub fn salvage(
    disk: &dyn Disk,
    mut each: impl FnMut(JournalNumber, Record),
) -> Result<Vec<Damage>, StoreError> {
    let mut damage = Vec::new();
    for first in segment_names(disk)? {
        let name = segment::file_name(first);
        let file = disk.open(&name).map_err(|error| disk_error(&error))?;
        let size = file.size().map_err(|error| disk_error(&error))?;
        let bytes = read_all(&*file, size).map_err(|error| disk_error(&error))?;
        let mut note = |offset: usize, bytes: usize, what: String| {
            let (offset, bytes) = (offset as u64, bytes as u64);
            damage.push(Damage { segment: name.clone(), offset, bytes, what });
        };
        if let Err(error) = segment::read_header(&name, &bytes) {
            note(0, segment::HEADER_BYTES.min(bytes.len()), error.to_string());
        }
        let mut undecoded = Vec::new();
        let broken = segment::salvage(&bytes, |found| match codec::decode(found.record) {
            Ok(record) => each(found.number, record),
            Err(error) => undecoded.push((found.offset, found.record.len(), error.to_string())),
        });
        for (offset, length) in broken {
            note(offset, length, "no whole and sound frame".to_owned());
        }
        for (offset, length, what) in undecoded {
            note(offset, length, what);
        }
    }
    Ok(damage)
}
