//! Synthetic survey documents: the genesis that every device begins with, and
//! changes of a foreign client's making. Their content is not what our
//! schema knows, so the server reads it as findings and loses nothing.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, AutomergeError, ChangeHash, ObjId, ObjType, ROOT, ReadDoc};
use duxue_document::{DocumentId, DocumentKind, genesis};

use crate::Outcome;

/// Fields of a long document.
const FIELDS: usize = 500;

/// Sixteen random bytes.
#[must_use]
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness two ids might be the same, and the run would fail.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// The same as text.
#[must_use]
pub fn random_hex() -> String {
    random().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new id in the form of a UUID of version 4: automerge-repo 1.x refuses
/// other 16-byte ids.
#[must_use]
pub fn new_id() -> DocumentId {
    let mut id = random();
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    DocumentId(id)
}

fn started() -> Automerge {
    genesis::document(DocumentKind::Survey, ActorId::from(random()))
}

fn fields(doc: &Automerge) -> Outcome<ObjId> {
    match doc.get(ROOT, "answers") {
        Ok(Some((_, id))) => Ok(id),
        _ => Err("the genesis has no map of answers".to_owned()),
    }
}

/// A document of so many changes, each of which sets five fields of different
/// kinds: a text, a string, a number, a flag, a photo's hash.
///
/// # Errors
/// What Automerge says.
pub fn survey(changes: usize) -> Outcome<Automerge> {
    let mut doc = started();
    let fields = fields(&doc)?;
    for index in 0..changes {
        let written = doc.transact_with::<_, _, AutomergeError, _>(
            |()| CommitOptions::default().with_message("edit"),
            |tx| {
                let note = tx.put_object(&fields, format!("note_{index:04}"), ObjType::Text)?;
                tx.splice_text(&note, 0, 0, &format!("room {index}: plaster loose at the east wall"))?;
                tx.put(&fields, format!("state_{index:04}"), "needs repair")?;
                tx.put(&fields, format!("count_{index:04}"), (index * 7 % 113) as u64)?;
                tx.put(&fields, format!("done_{index:04}"), index % 3 == 0)?;
                tx.put(&fields, format!("photo_{index:04}"), format!("sha256-{}", random_hex()))
            },
        );
        written.map_err(|failure| failure.error.to_string())?;
    }
    Ok(doc)
}

/// A document with a long history: so many small changes to 500 fields.
///
/// # Errors
/// What Automerge says.
pub fn long(changes: usize) -> Outcome<Automerge> {
    let mut doc = started();
    let fields = fields(&doc)?;
    for index in 0..changes {
        let mut tx = doc.transaction();
        tx.put(&fields, format!("field_{:03}", index % FIELDS), format!("value {index}"))
            .map_err(|error| error.to_string())?;
        tx.commit();
    }
    Ok(doc)
}

/// One edit of one field; its hash.
///
/// # Errors
/// What Automerge says.
pub fn edit(doc: &mut Automerge, who: usize, number: u64) -> Outcome<ChangeHash> {
    let fields = fields(doc)?;
    let mut tx = doc.transaction();
    tx.put(&fields, format!("edit_{who}_{}", number % 20), format!("value {number} of {who}"))
        .map_err(|error| error.to_string())?;
    tx.commit().0.ok_or_else(|| "an edit was empty".to_owned())
}

/// Whether a document holds all of these changes.
#[must_use]
pub fn holds(doc: &Automerge, heads: &[ChangeHash]) -> bool {
    heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_as_many_changes_as_asked_for_and_begin_with_the_genesis() {
        for doc in [survey(3), long(3)] {
            let mut doc = doc.expect("written");
            let hash = edit(&mut doc, 0, 0).expect("written");
            assert_eq!(doc.get_changes(&[]).len(), 1 + 3 + 1);
            assert!(genesis::holds(&doc, DocumentKind::Survey));
            assert!(holds(&doc, &[hash]) && !holds(&Automerge::new(), &[hash]));
        }
    }
}
