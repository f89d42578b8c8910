//! The stored form of records and of index values: the only place in the
//! server that uses `serde_cbor` for what is stored.
//!
//! `serde_cbor` is no longer maintained. What this module gives the rest is
//! bytes for values and values for bytes; another CBOR crate that passes the
//! snapshot tests below can take its place.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{JournalNumber, RECORD_BYTES_MAX, Record, StoreError};

/// Version of everything this module writes. A reader refuses a higher one.
pub const FORMAT: u32 = 1;

/// What an envelope adds to a record, at most, in bytes.
pub(super) const ENVELOPE_BYTES_MAX: usize = 256;

/// The hash chain up to and including a record.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHash(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl ChainHash {
    /// The chain before the first record.
    pub const START: Self = Self([0; 32]);

    /// The chain after one more record: the SHA-256 of the chain before it, its
    /// number, how many records of its group follow (both big-endian), and the
    /// hash of its encoded bytes. Over the hash and not the bytes, so that the
    /// chain can be followed when the bytes of a record had to be erased.
    #[must_use]
    pub fn next(self, number: JournalNumber, rest: u32, record: &RecordHash) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(number.0.to_be_bytes());
        hash.update(rest.to_be_bytes());
        hash.update(record.0);
        Self(hash.finalize().into())
    }
}

impl std::fmt::Display for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

/// SHA-256 of a record's encoded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHash([u8; 32]);

impl RecordHash {
    /// The hash of encoded bytes.
    #[must_use]
    pub fn of(encoded: &[u8]) -> Self {
        Self(Sha256::digest(encoded).into())
    }
}

/// What a frame of the journal holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Payload<'a> {
    /// A record.
    #[serde(rename = "R", borrow)]
    Record(Envelope<'a>),
    /// The end of a segment that will not grow again.
    #[serde(rename = "S")]
    Seal(Seal),
}

/// A record with what ties it to its place.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope<'a> {
    /// Its number.
    #[serde(rename = "n")]
    pub number: JournalNumber,
    /// How many records of its group follow; 0 ends the group.
    #[serde(rename = "r")]
    pub rest: u32,
    /// The last number that was flushed when this frame was written. So a
    /// frame attests that what stands before it was whole: a gap below this
    /// number is damage, one above it is a torn write.
    #[serde(rename = "f")]
    pub flushed: JournalNumber,
    /// The chain before this record.
    #[serde(rename = "p")]
    pub previous: ChainHash,
    /// The encoded record.
    #[serde(rename = "d", with = "serde_bytes", borrow)]
    pub record: &'a [u8],
}

/// The end of a sealed segment. Every seal has the same length, so that it is
/// found from the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    /// The last number in the segment, big-endian.
    #[serde(rename = "n", with = "serde_bytes")]
    last: [u8; 8],
    /// The chain after it.
    #[serde(rename = "c")]
    pub chain: ChainHash,
}

impl Seal {
    pub fn new(last: JournalNumber, chain: ChainHash) -> Self {
        Self { last: last.0.to_be_bytes(), chain }
    }

    pub fn last(&self) -> JournalNumber {
        JournalNumber(u64::from_be_bytes(self.last))
    }
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be decoded: {0}")]
pub struct CodecError(String);

/// Encodes any stored value.
///
/// # Errors
/// [`CodecError`] where the value has a form that CBOR cannot hold.
#[allow(clippy::disallowed_methods)] // The one module that may.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    serde_cbor::to_vec(value).map_err(|error| CodecError(error.to_string()))
}

/// Decodes a stored value that owns what it holds.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    serde_cbor::from_slice(bytes).map_err(|error| CodecError(error.to_string()))
}

/// Decodes a frame's payload without copying the record.
pub(super) fn decode_payload(bytes: &[u8]) -> Result<Payload<'_>, CodecError> {
    serde_cbor::from_slice(bytes).map_err(|error| CodecError(error.to_string()))
}

/// Decodes a record.
///
/// # Errors
/// [`CodecError`] where the bytes are not of a record.
pub fn decode_record(bytes: &[u8]) -> Result<Record, CodecError> {
    decode(bytes)
}

/// Encodes a record.
///
/// # Errors
/// [`StoreError::Refused`] above [`RECORD_BYTES_MAX`].
pub fn encode_record(record: &Record) -> Result<Vec<u8>, StoreError> {
    let bytes = encode(record).map_err(|error| StoreError::Refused(error.to_string()))?;
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(StoreError::Refused(format!("a record of {} bytes", bytes.len())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use duxue_document::{DeviceId, DocumentId, PersonId};

    use super::*;
    use crate::store::Delivery;

    fn delivery() -> Delivery {
        let (person, device) = (PersonId::new("p1").unwrap(), DeviceId::new("d1").unwrap());
        Delivery { person, device: Some(device) }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// One record of each kind, with the bytes that format 1 has for it. These
    /// bytes are on disks: a change here needs a new format and a reader for
    /// the old one.
    fn stored() -> Vec<(Record, &'static str)> {
        let document = DocumentId([1; 16]);
        vec![
            (
                Record::Chunk { document, bytes: vec![1, 2], delivery: Some(delivery()), received_ms: 5 },
                "a1654368756e6ba468646f63756d656e74781a7033753550684e3977724e7073474377666b656566324c7a46396562797465734201026864656c6976657279a266706572736f6e627031666465766963656264316b72656365697665645f6d7305",
            ),
            (
                Record::Chunk { document, bytes: vec![], delivery: None, received_ms: -1 },
                "a1654368756e6ba468646f63756d656e74781a7033753550684e3977724e7073474377666b656566324c7a4639656279746573406864656c6976657279f66b72656365697665645f6d7320",
            ),
            (
                Record::SetAside { chunk: JournalNumber(300), document, reason: "r".into() },
                "a1685365744173696465a3656368756e6b19012c68646f63756d656e74781a7033753550684e3977724e7073474377666b656566324c7a463966726561736f6e6172",
            ),
            (
                Record::Held {
                    document,
                    number: 4,
                    bytes: vec![3],
                    delivery: delivery(),
                    reason: "r".into(),
                    received_ms: 5,
                },
                "a16448656c64a668646f63756d656e74781a7033753550684e3977724e7073474377666b656566324c7a4639666e756d6265720465627974657341036864656c6976657279a266706572736f6e6270316664657669636562643166726561736f6e61726b72656365697665645f6d7305",
            ),
            (
                Record::Row {
                    table: "people".into(),
                    key: vec![0, 255],
                    value: Some(serde_bytes::ByteBuf::from(vec![9])),
                },
                "a163526f77a3657461626c656670656f706c65636b65794200ff6576616c75654109",
            ),
            (
                Record::Row { table: "people".into(), key: vec![], value: None },
                "a163526f77a3657461626c656670656f706c65636b6579406576616c7565f6",
            ),
            (
                Record::Event {
                    kind: "login".into(),
                    person: Some(PersonId::new("p1").unwrap()),
                    detail: "{}".into(),
                    at_ms: 5,
                },
                "a1654576656e74a4646b696e64656c6f67696e66706572736f6e6270316664657461696c627b7d6561745f6d7305",
            ),
        ]
    }

    #[test]
    fn the_bytes_of_each_record_kind_stay() {
        for (record, expected) in stored() {
            let bytes = encode_record(&record).unwrap();
            assert_eq!(hex(&bytes), expected, "{record:?}");
            assert_eq!(decode::<Record>(&bytes), Ok(record));
        }
    }

    #[test]
    fn the_bytes_of_an_envelope_and_a_seal_stay() {
        let envelope = Envelope {
            number: JournalNumber(7),
            rest: 2,
            flushed: JournalNumber(5),
            previous: ChainHash([0xee; 32]),
            record: &[1, 2, 3],
        };
        let payload = Payload::Record(envelope);
        let bytes = encode(&payload).unwrap();
        assert_eq!(
            hex(&bytes),
            "a16152a5616e0761720261660561705820eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee616443010203"
        );
        assert_eq!(decode_payload(&bytes), Ok(payload));

        let seal = Payload::Seal(Seal::new(JournalNumber(u64::MAX), ChainHash([0xee; 32])));
        let bytes = encode(&seal).unwrap();
        assert_eq!(
            hex(&bytes),
            "a16153a2616e48ffffffffffffffff61635820eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
        );
        assert_eq!(decode_payload(&bytes), Ok(seal));
        let small = encode(&Payload::Seal(Seal::new(JournalNumber(0), ChainHash::START))).unwrap();
        assert_eq!(small.len(), bytes.len(), "every seal has the same length");
    }

    #[test]
    fn an_envelope_stays_within_its_allowance() {
        let envelope = Envelope {
            number: JournalNumber(u64::MAX),
            rest: u32::MAX,
            flushed: JournalNumber(u64::MAX),
            previous: ChainHash([0xff; 32]),
            record: &[0; 70_000],
        };
        let bytes = encode(&Payload::Record(envelope)).unwrap();
        assert!(bytes.len() - 70_000 <= ENVELOPE_BYTES_MAX);
    }

    #[test]
    fn hostile_bytes_are_refused_without_harm() {
        let deep = [vec![0x81; 100_000], vec![0x00]].concat();
        let promises = vec![0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        for bytes in [&deep[..], &promises, &[], &[0xff], b"{}"] {
            assert!(decode_payload(bytes).is_err());
            assert!(decode::<Record>(bytes).is_err());
        }
    }

    #[test]
    fn the_chain_depends_on_all_that_goes_in() {
        let record = RecordHash::of(b"a");
        let chain = ChainHash::START.next(JournalNumber(1), 0, &record);
        assert_ne!(chain, ChainHash::START.next(JournalNumber(2), 0, &record));
        assert_ne!(chain, ChainHash::START.next(JournalNumber(1), 1, &record));
        assert_ne!(chain, ChainHash::START.next(JournalNumber(1), 0, &RecordHash::of(b"b")));
        assert_ne!(chain, chain.next(JournalNumber(1), 0, &record));
    }
}
