//! Identifiers. Each is its own type, so that one cannot be passed for another.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A string that is not an identifier of the kind it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct IdError {
    /// Name of the identifier's type.
    pub kind: &'static str,
}

/// The text is shared: ids are part of nearly every key and copied with it.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the form and takes ownership.
            ///
            /// # Errors
            /// [`IdError`] where the text has another form.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { kind: stringify!($name) })
                }
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.as_str().to_owned()
            }
        }
    };
}

fn digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit())
}

/// Letters, digits, `-`, `_` and `.`; 1 to 64 of them. Nothing that a path, a
/// URL or a table key would have to escape.
fn token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn op_id(text: &str) -> bool {
    text.split_once('@').is_some_and(|(counter, actor)| {
        counter.parse::<u64>().is_ok_and(|n| n.to_string() == counter)
            && !actor.is_empty()
            && actor.len() <= 256
            && actor.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

text_id!(
    /// 行政区划代码, six digits by GB/T 2260.
    JurisdictionCode,
    |t| digits(t, 6)
);
text_id!(
    /// 学校标识码, ten digits.
    SchoolId,
    |t| digits(t, 10)
);
text_id!(
    /// A round of inspection (督导轮次): one county, one standard.
    RoundId,
    token
);
text_id!(
    /// A person with an account.
    PersonId,
    token
);
text_id!(
    /// An enrolled device.
    DeviceId,
    token
);
text_id!(
    /// A class, room, ground or piece of equipment in a survey; random.
    ItemId,
    token
);
text_id!(
    /// A verdict, ruling or merge in a review or ruling document; random.
    DecisionId,
    token
);
text_id!(
    /// A quantity in the catalogue, such as `teaching_area_m2`.
    QuantityId,
    token
);
text_id!(
    /// An item of the checklist or of the county's duties, such as `A2-10`.
    QuestionId,
    token
);
text_id!(
    /// A field of an item, such as `size`.
    FieldId,
    token
);
text_id!(
    /// An Automerge operation as `counter@actorhex`: the identity of a candidate.
    OpId,
    op_id
);

impl OpId {
    /// The Lamport counter of the operation.
    #[must_use]
    pub fn counter(&self) -> u64 {
        self.0.split_once('@').and_then(|(c, _)| c.parse().ok()).unwrap_or(0)
    }

    /// The actor in lower-case hex.
    #[must_use]
    pub fn actor(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, actor)| actor)
    }

    /// Automerge's order of operations: by counter, then by actor bytes.
    #[must_use]
    pub fn order(&self) -> (u64, &str) {
        (self.counter(), self.actor())
    }
}

/// SHA-256 of a photo's bytes; the photo's only name. Lower-case hex as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhotoHash(pub [u8; 32]);

impl PhotoHash {
    /// Hashes a photo held in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for PhotoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PhotoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhotoHash({self})")
    }
}

impl FromStr for PhotoHash {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { kind: "PhotoHash" };
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(error);
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| error.clone())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error.clone())?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for PhotoHash {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<PhotoHash> for String {
    fn from(hash: PhotoHash) -> String {
        hash.to_string()
    }
}

/// What a document holds, and so who may write it (DESIGN §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// What inspectors saw in one school.
    Survey,
    /// Supervisors' verdicts on the entries of one school.
    Review,
    /// The bureau's rulings on the conflicts of one school.
    Ruling,
    /// County-level figures and answers of a round.
    County,
    /// Findings and rectification of one school (一校一策台账).
    Plan,
}

impl DocumentKind {
    /// Every kind, in the order of the design.
    pub const ALL: [Self; 5] = [Self::Survey, Self::Review, Self::Ruling, Self::County, Self::Plan];

    /// The kind's name in ids, tables and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survey => "survey",
            Self::Review => "review",
            Self::Ruling => "ruling",
            Self::County => "county",
            Self::Plan => "plan",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A document's identity; automerge-repo writes it as bs58check of the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentId(pub [u8; 16]);

/// The namespace of Duxue's document ids. Fixed for ever: changing it would
/// give every existing document another id.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0xd0c5_e8a1_7e0b_4d0e_9a53_6475_7875_6521);

impl DocumentId {
    /// The id of the document of `kind` about `subject` in `round`: a UUIDv5,
    /// so that a device that never spoke to the server makes the same one.
    /// `subject` is a school id, or the round id for [`DocumentKind::County`].
    #[must_use]
    pub fn derive(round: &RoundId, subject: &str, kind: DocumentKind) -> Self {
        let name = format!("{round}/{subject}/{kind}");
        Self(*uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes()).as_bytes())
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.0).with_check().into_string())
    }
}

impl fmt::Debug for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentId({self})")
    }
}

impl FromStr for DocumentId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { kind: "DocumentId" };
        // Longer text cannot hold 16 bytes, and decoding is quadratic.
        if text.len() > 64 {
            return Err(error);
        }
        let bytes = bs58::decode(text).with_check(None).into_vec().map_err(|_| error.clone())?;
        Ok(Self(bytes.try_into().map_err(|_| error)?))
    }
}

impl TryFrom<String> for DocumentId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<DocumentId> for String {
    fn from(id: DocumentId) -> String {
        id.to_string()
    }
}
