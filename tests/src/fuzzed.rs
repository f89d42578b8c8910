//! What the fuzz targets under `fuzz/` call, and what the corpus is replayed
//! through: bytes from outside, which may be refused and must do no harm.

mod requests;

use std::sync::Arc;

use duxue_document::genesis;
use duxue_protocol::scan::{self, ScanLimits};
use duxue_protocol::wire::{self, Limits};
use duxue_server::hub::admit::admit;
use duxue_server::import;
use duxue_server::photos::{self, Decoder};
use duxue_server::store::faulty::SimulatedDisk;
use duxue_server::store::journal::{Opened, Options, salvage};
use duxue_server::store::{JournalNumber, codec};

pub use requests::{request_body, tus_headers};

/// A target by its name, which is that of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("frame", frame),
    ("chunk_scan", chunk_scan),
    ("journal_record", journal_record),
    ("stored_record", stored_record),
    ("tus_headers", tus_headers),
    ("request_body", request_body),
    ("picture", picture),
    ("workbook", workbook),
];

/// A WebSocket frame: what is read is written and read again as the same.
///
/// # Panics
/// If it is not the same.
pub fn frame(bytes: &[u8]) {
    if let Ok(message) = wire::decode(bytes, &Limits::default()) {
        let again = wire::decode(&wire::encode(&message), &Limits::default());
        assert_eq!(again.as_ref(), Ok(&message));
    }
}

/// A sync message and a run of chunks: what the scan lets through Automerge
/// can take apart, and every change is one that the scan counted.
///
/// # Panics
/// If Automerge refuses or panics at what the scan let through.
pub fn chunk_scan(bytes: &[u8]) {
    let limits = ScanLimits::default();
    let _ = scan::scan_chunks(bytes, &limits, &genesis::reserved);
    match admit(bytes, &limits) {
        Ok(admitted) => assert!(admitted.changes.iter().all(|change| !change.raw_bytes().is_empty())),
        Err(refused) => assert_ne!(refused.code, "sync.panic"),
    }
}

/// The file of a journal's first segment: opening reads it, mends it, or says
/// why not; what opens can be read to its end.
///
/// # Panics
/// If the journal does.
pub fn journal_record(bytes: &[u8]) {
    let disk = SimulatedDisk::new(0);
    disk.put(&format!("{:020}.seg", 1), bytes);
    let _ = salvage(&disk, |_, _| {});
    let options = Options { reserve_bytes: 0, ..Options::default() };
    if let Ok(opened) = Opened::new(Arc::new(disk), options, JournalNumber(0)) {
        let mut last = JournalNumber(0);
        let read = opened.reader().read(JournalNumber(1), usize::MAX, |placed| {
            assert_eq!(placed.number.0, last.0 + 1);
            last = placed.number;
        });
        assert!(read.is_ok(), "what was opened cannot be read: {read:?}");
    }
}

/// A record behind the journal's checksum: what is read is written and read
/// again as the same.
///
/// # Panics
/// If it is not the same.
pub fn stored_record(bytes: &[u8]) {
    if let Ok(record) = codec::decode_record(bytes) {
        let again = codec::encode_record(&record).expect("what is so small can be kept");
        assert_eq!(codec::decode_record(&again).as_ref(), Ok(&record));
    }
}

/// A photo of any format: EXIF, the size before any pixel, the pixels.
///
/// # Panics
/// If a decoder does, or the thumbnail of a picture is not one.
pub fn picture(bytes: &[u8]) {
    let limits = Decoder { side: 4_000, pixels: 1_000_000, memory_bytes: 48 << 20 };
    let (facts, thumbnail) = photos::derive(bytes, limits);
    assert_eq!(facts.derivation.is_done(), thumbnail.is_some());
    if let Some(jpeg) = thumbnail {
        assert!(photos::derive(&jpeg, limits).0.derivation.is_done(), "a thumbnail cannot be read");
    }
}

/// A school register, as a workbook or as text.
///
/// # Panics
/// If reading does, or the answer counts other schools than were read.
pub fn workbook(bytes: &[u8]) {
    let county = "340207".parse().expect("a county");
    let parsed = import::parse(bytes, "schools.xlsx", &county, &import::Limits::default());
    let report = parsed.report(false);
    assert_eq!(report.schools as usize, parsed.schools.len());
}
