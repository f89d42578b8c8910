//! The first change of every document.
//!
//! Two devices that both create `rooms` while offline would create two maps,
//! of which Automerge shows one. So the top-level maps come from one change
//! that is the same bytes everywhere: a reserved actor, sequence number 1,
//! time 0. The bytes are kept in files and never generated at run time, so
//! that no version of a library can change them.

use automerge::{ActorId, Automerge, ObjId};

use crate::DocumentKind;

/// The fixed first change of one kind of document.
struct Genesis {
    chunk: &'static [u8],
    actor: [u8; 16],
    hash: [u8; 32],
    containers: &'static [&'static str],
}

/// The reserved actor of a kind: `duxue genesis ` in ASCII, the number of the
/// kind, and the version of the genesis.
const fn actor(kind: u8) -> [u8; 16] {
    let mut bytes = *b"duxue genesis \0\x01";
    bytes[14] = kind;
    bytes
}

static SURVEY: Genesis = Genesis {
    chunk: include_bytes!("../genesis/survey.chunk"),
    actor: actor(1),
    hash: hex("8d323a4691a6e3f4837bdd5a6e59a45a22d5c2e6c5fe4fa6ac38db89c1582842"),
    containers: &[
        "classes",
        "rooms",
        "grounds",
        "equipment",
        "quantities",
        "answers",
        "sections",
        "evidence",
    ],
};
static REVIEW: Genesis = Genesis {
    chunk: include_bytes!("../genesis/review.chunk"),
    actor: actor(2),
    hash: hex("f6b6d532d2995857ee19d414c68418bed841b5b938a8770ab44c5f430b0ee0c5"),
    containers: &["verdicts"],
};
static RULING: Genesis = Genesis {
    chunk: include_bytes!("../genesis/ruling.chunk"),
    actor: actor(3),
    hash: hex("2134b3c3cc29ee5b7061b35d5d04bf8963d98f3d377c41045eb0f7265766331a"),
    containers: &["rulings"],
};
static COUNTY: Genesis = Genesis {
    chunk: include_bytes!("../genesis/county.chunk"),
    actor: actor(4),
    hash: hex("98a128b3632aed44d73733cef4c6a6bd95d7619e699808d3a4429044064bd56b"),
    containers: &["quantities", "answers"],
};
static PLAN: Genesis = Genesis {
    chunk: include_bytes!("../genesis/plan.chunk"),
    actor: actor(5),
    hash: hex("e751ed0d4e427a1623a0eca874a4f9ec31ddae279a3debf78ab8f455e06e32dc"),
    containers: &["findings", "rectifications"],
};

fn genesis(kind: DocumentKind) -> &'static Genesis {
    match kind {
        DocumentKind::Survey => &SURVEY,
        DocumentKind::Review => &REVIEW,
        DocumentKind::Ruling => &RULING,
        DocumentKind::County => &COUNTY,
        DocumentKind::Plan => &PLAN,
    }
}

/// The bytes of the first change of every document of this kind: one change
/// chunk. For ever the same.
#[must_use]
pub fn chunk(kind: DocumentKind) -> &'static [u8] {
    genesis(kind).chunk
}

/// The hash of the first change of every document of this kind.
#[must_use]
pub fn hash(kind: DocumentKind) -> [u8; 32] {
    genesis(kind).hash
}

/// Whether an actor is reserved for the first change of a kind, and the hash
/// of the only change that it may have. A scan refuses every other change of a
/// reserved actor.
#[must_use]
pub fn reserved(actor: &[u8]) -> Option<[u8; 32]> {
    DocumentKind::ALL
        .into_iter()
        .map(genesis)
        .find(|genesis| genesis.actor == actor)
        .map(|genesis| genesis.hash)
}

/// A document of this kind that holds its genesis and nothing else, whose
/// changes will be made by `actor`.
///
/// `actor` must be new for this document (DESIGN §3): the same actor and
/// sequence number with another content can never merge.
#[must_use]
pub fn document(kind: DocumentKind, actor: ActorId) -> Automerge {
    let mut doc = Automerge::new();
    // The bytes are constants that the tests load; nothing from outside.
    if doc.load_incremental(chunk(kind)).is_err() {
        unreachable!("the genesis chunk of this build does not load");
    }
    doc.set_actor(actor);
    doc
}

/// The names of the top-level maps of a kind.
#[must_use]
pub fn containers(kind: DocumentKind) -> &'static [&'static str] {
    genesis(kind).containers
}

/// The top-level map of this name as the genesis made it, whatever other
/// values a foreign client has put or deleted under its key; `None` where the
/// kind has no such map.
#[must_use]
pub fn container(kind: DocumentKind, name: &str) -> Option<ObjId> {
    let genesis = genesis(kind);
    let index = genesis.containers.iter().position(|container| *container == name)?;
    // The genesis puts the maps in this order, so the first is operation 1.
    Some(ObjId::Id(index as u64 + 1, ActorId::from(genesis.actor), 0))
}

/// Whether a document holds the genesis of this kind.
#[must_use]
pub fn holds(doc: &Automerge, kind: DocumentKind) -> bool {
    doc.get_change_meta_by_hash(&automerge::ChangeHash(hash(kind))).is_some()
}

const fn hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        }
    }
    let text = text.as_bytes();
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 32 {
        bytes[i] = digit(text[2 * i]) * 16 + digit(text[2 * i + 1]);
        i += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use automerge::transaction::{CommitOptions, Transactable};
    use automerge::{ObjType, ROOT, ReadDoc};

    use super::*;

    /// Makes the first change of a kind from nothing.
    fn made(genesis: &Genesis) -> Vec<u8> {
        let mut doc = Automerge::new().with_actor(ActorId::from(genesis.actor));
        let mut tx = doc.transaction();
        for name in genesis.containers {
            tx.put_object(ROOT, *name, ObjType::Map).unwrap();
        }
        tx.commit_with(CommitOptions::default().with_time(0));
        let change = doc.get_last_local_change().unwrap();
        change.raw_bytes().to_vec()
    }

    #[test]
    fn the_chunks_are_what_their_description_says_and_have_the_pinned_hash() {
        for kind in DocumentKind::ALL {
            let genesis = genesis(kind);
            assert_eq!(chunk(kind), made(genesis), "{kind}");
            let change = automerge::Change::from_bytes(chunk(kind).to_vec()).unwrap();
            let hash: String = change.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(change.hash().0, genesis.hash, "{kind} has {hash}");
            assert_eq!((change.seq(), change.timestamp()), (1, 0));
            assert_eq!(reserved(change.actor_id().to_bytes()), Some(genesis.hash));
        }
        assert_eq!(reserved(b"somebody"), None);
    }

    #[test]
    fn every_container_is_found_by_its_operation() {
        for kind in DocumentKind::ALL {
            let doc = document(kind, ActorId::from([7; 16]));
            assert!(holds(&doc, kind));
            for name in containers(kind) {
                let (_, by_key) = doc.get(ROOT, *name).unwrap().unwrap();
                assert_eq!(container(kind, name), Some(by_key), "{kind} {name}");
            }
        }
        assert!(!holds(&Automerge::new(), DocumentKind::Survey));
    }
}
