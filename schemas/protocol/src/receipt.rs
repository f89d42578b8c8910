//! Receipts: the server's signed statement that these heads and photos were
//! durable at this time (DESIGN §1, §6.10).

use duxue_document::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};

use duxue_document::{DocumentId, PhotoHash};

/// What a receipt states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Always `duxue-receipt-1`; binds the signature to this purpose.
    pub purpose: String,
    /// The server's clock, milliseconds since 1970 UTC.
    pub server_time_ms: i64,
    /// The journal number up to which everything is durable.
    pub journal: u64,
    /// Hex change hashes, by document, that are durable with all they depend on.
    pub heads: BTreeMap<DocumentId, BTreeSet<String>>,
    /// Photos whose bytes are durable and match their hash.
    pub photos: BTreeSet<PhotoHash>,
}

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The exact JSON text that was signed; [`Receipt::statement`] reads it.
    pub statement: String,
    /// Ed25519 signature of the text's bytes, lower-case hex.
    pub signature: String,
    /// The server's public key, lower-case hex.
    pub public_key: String,
}

/// A receipt that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The key is not the one that the device was enrolled with.
    #[error("signed by another server")]
    WrongKey,
    /// The signature does not match the text.
    #[error("the signature does not match")]
    BadSignature,
    /// Signature, key or statement cannot be read.
    #[error("not a receipt")]
    Malformed,
}

/// The purpose that every statement names.
pub const PURPOSE: &str = "duxue-receipt-1";

impl Receipt {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] if the statement cannot be written as JSON.
    pub fn sign(statement: &Statement, key: &SigningKey) -> Result<Self, ReceiptError> {
        let statement = serde_json::to_string(statement).map_err(|_| ReceiptError::Malformed)?;
        let signature = key.sign(statement.as_bytes());
        Ok(Self {
            statement,
            signature: to_hex(&signature.to_bytes()),
            public_key: to_hex(key.verifying_key().as_bytes()),
        })
    }

    /// Checks the signature against the server key that the device knows
    /// (lower-case hex) and reads the statement.
    ///
    /// # Errors
    /// [`ReceiptError`] says what does not hold.
    pub fn verify(&self, server_key: &str) -> Result<Statement, ReceiptError> {
        if self.public_key != server_key {
            return Err(ReceiptError::WrongKey);
        }
        let key = from_hex::<32>(&self.public_key)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| ReceiptError::Malformed)?;
        let signature = Signature::from_bytes(&from_hex::<64>(&self.signature)?);
        key.verify(self.statement.as_bytes(), &signature).map_err(|_| ReceiptError::BadSignature)?;
        let statement: Statement =
            crate::json::read(self.statement.as_bytes()).map_err(|_| ReceiptError::Malformed)?;
        if statement.purpose == PURPOSE { Ok(statement) } else { Err(ReceiptError::Malformed) }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], ReceiptError> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return Err(ReceiptError::Malformed);
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte =
            u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| ReceiptError::Malformed)?;
    }
    Ok(bytes)
}
