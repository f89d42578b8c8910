//! Receipts: signed statements of what is durable, by a key that stays in the
//! data folder.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use automerge::ChangeHash;
use duxue_document::DocumentId;
use duxue_protocol::api::{ReceiptAnswer, ReceiptRequest};
use duxue_protocol::receipt::{PURPOSE, Receipt, Statement};
use ed25519_dalek::SigningKey;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::accounts::Caller;
use crate::app::App;
use crate::audit::{By, event};
use crate::clock::now_ms;
use crate::config::refused;
use crate::fault::{self, Fault};
use crate::hub::task::Durable;
use crate::random;
use crate::store::Delivery;

/// About what a receipt takes in the journal.
const EVENT_BYTES: u64 = 512;

/// Name of the key's file in the data folder.
pub const KEY_FILE: &str = "receipt.key";

/// Reads the server's key, or makes one on the first start. Only the owner of
/// the file may read it.
///
/// # Errors
/// Where the file cannot be read, written, or is not a key.
pub fn key(data: &Path) -> std::io::Result<SigningKey> {
    let path = data.join(KEY_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => read_key(&text)
            .ok_or_else(|| std::io::Error::other(format!("{} is damaged or not a key", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let bytes = random::bytes::<32>().map_err(|_| std::io::Error::other("no randomness"))?;
            let key = SigningKey::from_bytes(&bytes);
            let public = random::hex(key.verifying_key().as_bytes());
            write_key(data, &path, &format!("{}\n{public}\n", random::hex(&bytes)))?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

/// The key of a file: the secret half in hex, then the public half. Every text
/// of this length would be a key, so only the second line shows that a bit of
/// the first has flipped; files of earlier versions have none.
fn read_key(text: &str) -> Option<SigningKey> {
    let mut lines = text.lines();
    let key = SigningKey::from_bytes(&random::from_hex::<32>(lines.next()?.trim())?);
    let public = random::hex(key.verifying_key().as_bytes());
    lines.next().is_none_or(|line| line.trim() == public).then_some(key)
}

/// Whole or not at all: a torn key would make every receipt worthless.
fn write_key(data: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    std::fs::File::open(data)?.sync_all()
}

/// Answers what is durable of what the caller asks about. Documents that the
/// caller has no rights on are answered like documents that are not there.
///
/// # Errors
/// `request.invalid` for too many questions, `journal.person_full` for too many
/// receipts, or what the store says.
pub async fn answer(app: &App, caller: &Caller, request: ReceiptRequest) -> Result<ReceiptAnswer, Fault> {
    let asked = request.heads.values().map(BTreeSet::len).sum::<usize>() + request.photos.len();
    if asked > app.bodies().questions {
        refused("receipt_questions");
        return Err(fault::invalid().with_detail("heads"));
    }
    app.hub.count_written(&caller.person, EVENT_BYTES)?;
    // Taken first: what is found durable after this was durable or is later.
    let journal = app.store.last();
    let mut answer = Sorted::default();
    for (document, heads) in request.heads {
        sort_heads(app, caller, document, heads, &mut answer).await;
    }
    let (photos, missing_photos) = app.photos_here(caller, request.photos).await;
    let server_time_ms = now_ms();
    let statement = Statement {
        purpose: PURPOSE.to_owned(),
        server_time_ms,
        journal: journal.0,
        heads: answer.here,
        photos,
    };
    let receipt = Receipt::sign(&statement, &app.key).map_err(|_| fault::internal())?;
    // The journal keeps which statement was signed, without repeating it.
    let digest = random::hex(&Sha256::digest(receipt.statement.as_bytes()));
    let details = [
        ("statement_sha256", json!(digest)),
        ("documents", json!(statement.heads.len())),
        ("photos", json!(statement.photos.len())),
    ];
    let record = event("receipt", &By::from(caller), server_time_ms, details);
    app.store.commit(vec![record]).await?;
    Ok(ReceiptAnswer {
        receipt,
        missing_heads: answer.missing,
        held_heads: answer.held,
        left_out_heads: answer.left_out,
        set_aside_heads: answer.set_aside,
        missing_photos,
    })
}

#[derive(Default)]
struct Sorted {
    here: BTreeMap<DocumentId, BTreeSet<String>>,
    held: BTreeMap<DocumentId, BTreeSet<String>>,
    left_out: BTreeMap<DocumentId, BTreeSet<String>>,
    set_aside: BTreeMap<DocumentId, BTreeSet<String>>,
    missing: BTreeMap<DocumentId, BTreeSet<String>>,
}

/// A document that cannot be loaded is vouched for by nobody, which is no
/// reason to say nothing of the others: its heads are missing.
async fn sort_heads(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    heads: BTreeSet<String>,
    sorted: &mut Sorted,
) {
    let name = app.rounds.document(&document);
    let Some(name) = name.filter(|name| app.rounds.access(&caller.person, name).any()) else {
        sorted.missing.insert(document, heads);
        return;
    };
    let parsed: Vec<(String, Option<ChangeHash>)> =
        heads.into_iter().map(|head| (head.clone(), random::from_hex::<32>(&head).map(ChangeHash))).collect();
    let hashes = parsed.iter().filter_map(|(_, hash)| *hash).collect();
    let asks = Delivery { person: caller.person.clone(), device: caller.device.clone() };
    let mut words = match app.hub.durable(&name, hashes, asks).await {
        Ok(words) => words.into_iter(),
        Err(fault) => {
            let code = &*fault.problem.code;
            tracing::warn!(%document, code, "nothing can be said of a document that somebody asks about");
            sorted.missing.insert(document, parsed.into_iter().map(|(head, _)| head).collect());
            return;
        }
    };
    for (head, hash) in parsed {
        let word = hash.and_then(|_| words.next()).unwrap_or(Durable::No);
        let into = match word {
            Durable::Yes => &mut sorted.here,
            Durable::Held => &mut sorted.held,
            Durable::LeftOut => &mut sorted.left_out,
            Durable::SetAside => &mut sorted.set_aside,
            Durable::No => &mut sorted.missing,
        };
        into.entry(document).or_default().insert(head);
    }
}
