//! What is in the index: the one list of its tables, with their keys and values.
//!
//! All stand in one sled tree, so that one batch changes several of them
//! together. A key begins with its table's byte; numbers are big-endian, so
//! that the order of keys is the order of numbers. A value is checked by
//! version and checksum over key and value ([`seal`], [`unseal`]).
//!
//! | table | key | value |
//! |---|---|---|
//! | state | nothing | [`IndexState`]: how far the index is |
//! | documents | document id | [`DocumentValue`]: its snapshot |
//! | chunks | document id, record number | [`Place`] of the record in the journal |
//! | rows | table name, 0, the row's key | [`RowValue`] |
//!
//! Which typed tables are kept as rows is said where their types are.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::JournalNumber;
use super::codec::{self, ChainHash, CodecError};
use super::journal::Place;
use duxue_document::DocumentId;

/// Version of every key and value here. An index of another version is set
/// aside and rebuilt from the journal.
const VERSION: u8 = 1;
/// Values up to this size stand in the index itself. sled 0.34 writes values
/// that are much larger to files of their own and leaks those.
pub(super) const INLINE_BYTES_MAX: usize = 16 << 10;

const STATE: u8 = 1;
const DOCUMENTS: u8 = 2;
const CHUNKS: u8 = 3;
const ROWS: u8 = 4;

/// How far the index is, written with every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexState {
    /// The last journal record that the index holds.
    pub last: JournalNumber,
    /// The journal's chain after it: tells an index of another journal.
    pub chain: ChainHash,
    /// The sum of the hashes of all other entries, as two halves. sled can
    /// lose entries without an error; then the sum differs.
    pub sum: (u64, u64),
}

/// A document's snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct DocumentValue {
    /// The last record that the snapshot stands for; 0 without one.
    pub through: JournalNumber,
    /// Where the snapshot is.
    pub snapshot: Option<SnapshotValue>,
}

/// Where a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SnapshotValue {
    /// Here.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// In the file named by its SHA-256.
    File(#[serde(with = "serde_bytes")] [u8; 32]),
}

/// A row's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RowValue {
    /// Here.
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// In the journal record that put it.
    Journal(JournalNumber, Place),
}

/// Key of the state.
pub(super) fn state_key() -> Vec<u8> {
    vec![STATE]
}

/// Key of a document.
pub(super) fn document_key(document: DocumentId) -> Vec<u8> {
    [&[DOCUMENTS][..], &document.0].concat()
}

/// What the keys of all documents begin with.
pub(super) fn documents_prefix() -> Vec<u8> {
    vec![DOCUMENTS]
}

/// The document of a key made by [`document_key`].
pub(super) fn document_of(key: &[u8]) -> Option<DocumentId> {
    key.strip_prefix(&[DOCUMENTS])?.try_into().ok().map(DocumentId)
}

/// Key of a chunk.
pub(super) fn chunk_key(document: DocumentId, number: JournalNumber) -> Vec<u8> {
    [&chunks_prefix(document)[..], &number.0.to_be_bytes()].concat()
}

/// What the keys of a document's chunks begin with.
pub(super) fn chunks_prefix(document: DocumentId) -> Vec<u8> {
    [&[CHUNKS][..], &document.0].concat()
}

/// The number of a key made by [`chunk_key`].
pub(super) fn chunk_of(key: &[u8]) -> Option<JournalNumber> {
    key.last_chunk().map(|number| JournalNumber(u64::from_be_bytes(*number)))
}

/// Key of a row, or with part of a row's key what those of several begin with.
/// No table's name holds a zero byte, so no table's keys are in another's.
pub(super) fn row_key(table: &str, key: &[u8]) -> Vec<u8> {
    [&[ROWS][..], table.as_bytes(), &[0], key].concat()
}

/// The value as it is stored under a key.
pub(super) fn seal<T: Serialize>(key: &[u8], value: &T) -> Result<Vec<u8>, CodecError> {
    let value = codec::encode(value)?;
    Ok([&[VERSION][..], &checksum(key, &value).to_be_bytes(), &value].concat())
}

/// The value that is stored under a key; `None` where it is not one of this
/// version or its checksum is wrong.
pub(super) fn unseal<T: DeserializeOwned>(key: &[u8], stored: &[u8]) -> Option<T> {
    checked(key, stored).and_then(|value| codec::decode(value).ok())
}

/// The encoded value, if version and checksum are right.
pub(super) fn checked<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (head, value) = stored.split_first_chunk::<5>()?;
    let crc = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    (head[0] == VERSION && crc == checksum(key, value)).then_some(value)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_what_they_name_and_tables_stay_apart() {
        let document = DocumentId([9; 16]);
        let keys = [
            state_key(),
            document_key(DocumentId([0; 16])),
            document_key(document),
            chunk_key(document, JournalNumber(1)),
            chunk_key(document, JournalNumber(255)),
            chunk_key(document, JournalNumber(256)),
            chunk_key(document, JournalNumber(u64::MAX)),
            row_key("people", &[]),
            row_key("people", &[0]),
            row_key("people", &[0xff; 8]),
            row_key("people2", &[]),
        ];
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(document_of(&document_key(document)), Some(document));
        assert_eq!(chunk_of(&chunk_key(document, JournalNumber(77))), Some(JournalNumber(77)));
        assert!(!row_key("people2", b"x").starts_with(&row_key("people", &[])));
    }

    #[test]
    fn a_value_is_bound_to_its_bytes_and_its_key() {
        let stored = seal(b"key", &JournalNumber(7)).unwrap();
        assert_eq!(unseal(b"key", &stored), Some(JournalNumber(7)));
        assert_eq!(unseal::<JournalNumber>(b"kez", &stored), None);
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal::<JournalNumber>(b"key", &flipped), None, "bit {bit}");
        }
    }
}
