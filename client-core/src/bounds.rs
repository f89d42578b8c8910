//! What one change and one text may hold, so that the server takes it.
//!
//! The server refuses a change of more than 20 000 operations and a message of
//! more than 4 MiB whole, and would again for ever. So what would be too much
//! is refused here, where its author can still mend it, and a long sheet
//! becomes several changes.

use automerge::Automerge;

use duxue_document::write::{self, WriteError};
use duxue_document::{Claim, EntryPath, OpId, Scalar};
use duxue_protocol::problem::Problem;

use crate::command::Statement;
use crate::error::CommandError;

/// Operations of one change: half of what the server takes.
const OPS: usize = 10_000;
/// Bytes of text in one change, before they are deflated.
const BYTES: usize = 1 << 20;
/// Bytes of one text in UTF-8: about twenty thousand Chinese characters.
const TEXT_BYTES: usize = 64 << 10;
/// Photos that one claim may name.
const PHOTOS: usize = 1_000;

/// Checks what a person states.
///
/// # Errors
/// `capture.too_long`, saying which text, how long it is and how long it may be.
pub fn check(path: &EntryPath, statement: &Statement) -> Result<(), CommandError> {
    for (field, scalar) in &statement.value {
        if let Scalar::Text(text) = scalar {
            check_text(&format!("{path}/{field}"), text)?;
        }
    }
    check_text(&format!("{path}/note"), statement.note.as_deref().unwrap_or_default())?;
    if statement.photos.len() > PHOTOS {
        let detail = format!("{path}/photos: {} > {PHOTOS}", statement.photos.len());
        return Err(too_long(detail));
    }
    Ok(())
}

/// Checks one text.
///
/// # Errors
/// `capture.too_long`.
pub fn check_text(name: &str, text: &str) -> Result<(), CommandError> {
    if text.len() <= TEXT_BYTES {
        return Ok(());
    }
    Err(too_long(format!("{name}: {} > {TEXT_BYTES} bytes", text.len())))
}

fn too_long(detail: String) -> CommandError {
    let problem = Problem::new(
        "capture.too_long",
        "填写的内容太长，服务器不会接收：请缩短文字，或把照片分到几处",
        "this is too long for the server to take: shorten the text, or spread the photos over several entries",
    );
    CommandError::Refused(Box::new(problem.with_detail(detail)))
}

/// Writes claims in as few changes as the server takes. All or nothing.
///
/// # Errors
/// [`WriteError`]; the document is as it was.
pub fn put_claims(doc: &mut Automerge, claims: &[(EntryPath, Claim)]) -> Result<Vec<OpId>, WriteError> {
    write::check_claims(claims)?;
    let parts = parts(claims);
    if parts.len() <= 1 {
        return write::put_claims(doc, claims);
    }
    // A later part may fail: until none did, nothing counts.
    let mut new = doc.clone();
    let mut ops = Vec::new();
    for part in parts {
        ops.extend(write::put_claims(&mut new, part)?);
    }
    *doc = new;
    Ok(ops)
}

/// The claims in parts, each at least one.
fn parts(claims: &[(EntryPath, Claim)]) -> Vec<&[(EntryPath, Claim)]> {
    let mut parts = Vec::new();
    let (mut from, mut ops, mut bytes) = (0, 0, 0);
    for (at, (path, claim)) in claims.iter().enumerate() {
        let (more_ops, more_bytes) = size(path, claim);
        if at > from && (ops + more_ops > OPS || bytes + more_bytes > BYTES) {
            parts.extend(claims.get(from..at));
            (from, ops, bytes) = (at, 0, 0);
        }
        ops += more_ops;
        bytes += more_bytes;
    }
    parts.extend(claims.get(from..).filter(|rest| !rest.is_empty()));
    parts
}

/// At most so many operations and bytes: the maps of the claim, its
/// circumstances and a new item, the list of photos, and each thing in them.
fn size(path: &EntryPath, claim: &Claim) -> (usize, usize) {
    const FIXED_OPS: usize = 14;
    const FIXED_BYTES: usize = 256;
    let texts = claim.value.values().map(|scalar| match scalar {
        Scalar::Text(text) => text.len(),
        Scalar::Number(_) | Scalar::Bool(_) => 32,
    });
    let text: usize = texts.sum::<usize>() + claim.note.as_ref().map_or(0, String::len);
    let ops = FIXED_OPS + claim.value.len() + claim.photos.len();
    (ops, FIXED_BYTES + path.to_string().len() + text + 72 * claim.photos.len())
}
