//! The keys of the client's store, in one place.
//!
//! | key | value |
//! |---|---|
//! | `meta` | [`crate::store::Meta`] as JSON |
//! | `identity` | [`crate::identity::Identity`] as JSON |
//! | `packet/<round>` | the work packet as JSON |
//! | `actor/<document>` | [`crate::store::ActorRecord`] as JSON |
//! | `former/<document>/<actor>` | the same, for every actor that the document had on this device |
//! | `about/<document>` | [`crate::document::About`] as JSON |
//! | `doc/<document>/chunk/<sha256>` | Automerge chunks |
//! | `doc/<document>/snapshot/<sha256>` | a whole document |
//! | `aside/<document>/<sha256>` | a whole document as it was before it was written again |
//! | `photo/<sha256>` | [`crate::photo::PhotoRecord`] as JSON |
//! | `receipt/<time>-<signature>` | a receipt as JSON |
//! | `left_out/<time>-<document>-<person>` | [`crate::store::LeftOut`] as JSON |
//! | `acked` | [`crate::store::Acked`] by document as JSON |
//! | `draft/<form>` | what was being typed |

use duxue_document::{DocumentId, PersonId, PhotoHash, RoundId};

use crate::event::Key;

pub const META: &str = "meta";
pub const IDENTITY: &str = "identity";
pub const ACKED: &str = "acked";

pub fn packet(round: &RoundId) -> Key {
    format!("packet/{round}")
}

/// What the document is about.
pub fn about(document: &DocumentId) -> Key {
    format!("about/{document}")
}

pub fn actor(document: &DocumentId) -> Key {
    format!("actor/{document}")
}

/// An actor that this device has or had.
pub fn former_actor(document: &DocumentId, actor: &str) -> Key {
    format!("former/{document}/{actor}")
}

/// Content-addressed, so that writing twice is writing once.
pub fn chunk(document: &DocumentId, bytes: &[u8]) -> Key {
    format!("doc/{document}/chunk/{}", PhotoHash::of(bytes))
}

pub fn snapshot(document: &DocumentId, bytes: &[u8]) -> Key {
    format!("doc/{document}/snapshot/{}", PhotoHash::of(bytes))
}

pub fn aside(document: &DocumentId, bytes: &[u8]) -> Key {
    format!("aside/{document}/{}", PhotoHash::of(bytes))
}

pub fn photo(photo: &PhotoHash) -> Key {
    format!("photo/{photo}")
}

pub fn receipt(time_ms: i64, signature: &str) -> Key {
    format!("receipt/{time_ms:015}-{}", &signature[..signature.len().min(16)])
}

pub fn left_out(time_ms: i64, document: &DocumentId, person: &PersonId) -> Key {
    format!("left_out/{time_ms:015}-{document}-{person}")
}

pub fn draft(form: &str) -> Key {
    format!("draft/{form}")
}
