//! kill -9: what the server had acknowledged, against what it has when it is
//! started again. (S5) This shows what was not yet written, not what a power
//! cut would lose: the page cache outlives the process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use automerge::{Automerge, ChangeHash};
use duxue_document::DocumentId;
use tokio::task::JoinSet;

use super::upload::offline;
use super::{Documents, Sizes, number, upload_all};
use crate::Outcome;
use crate::client::Client;
use crate::documents::edit;
use crate::server::Server;
use crate::sheet::Sheet;

/// After which a server has written what it writes later.
const STORED: Duration = Duration::from_secs(3);
/// Silence after which a server is not going to answer.
const SILENT: Duration = Duration::from_secs(5);
/// At which shares of an upload the server is killed.
const MOMENTS: [f64; 3] = [0.1, 0.5, 0.9];

type Acknowledged = HashMap<DocumentId, Automerge>;

/// Measures the row.
///
/// # Errors
/// What a client or the server says.
pub async fn run(server: &mut Server, sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let (clients, each) = (sizes.clients.min(20), sizes.documents.min(10));
    let sets = offline(server, clients, each, sizes.changes)?;
    let acknowledged = documents(upload_all(server, sets, sizes.limit).await?).collect();
    sheet.note("kept_at_end", kept(server, sizes, &acknowledged).await?);

    let mut least = 1.0_f64;
    for moment in MOMENTS {
        let sets = offline(server, clients, each, sizes.changes)?;
        let acknowledged = killed_midway(server, sizes, sets, moment).await;
        least = least.min(kept(server, sizes, &acknowledged).await?);
    }
    sheet.note("kept_midway", least);

    let sets = offline(server, clients, each, sizes.changes)?;
    let stored = upload_all(server, sets, sizes.limit).await?;
    tokio::time::sleep(STORED).await;
    let (mut last, mut sets) = (HashMap::new(), Vec::new());
    for client in stored {
        // Each by the client that wrote the document: to others' changes in
        // its name the server does not listen.
        let mut set = Vec::new();
        for (id, mut doc) in documents(vec![client]) {
            last.insert(id, vec![edit(&mut doc, 0, 1)?]);
            set.push((id, doc));
        }
        sets.push(set);
    }
    for client in upload_all(server, sets, sizes.limit).await? {
        drop(client);
    }
    sheet.note("kept_last_edit", kept_changes(server, sizes, &last).await?);
    Ok(())
}

fn documents(clients: Vec<Client>) -> impl Iterator<Item = (DocumentId, Automerge)> {
    clients.into_iter().flat_map(|client| client.copies).map(|(id, copy)| (id, copy.doc))
}

/// Uploads one document after the other, and kills the server when this share
/// of all is acknowledged; what was.
async fn killed_midway(server: &mut Server, sizes: &Sizes, sets: Vec<Documents>, share: f64) -> Acknowledged {
    let enough = share * number(sets.iter().map(Vec::len).sum());
    let done: Arc<Mutex<Acknowledged>> = Arc::default();
    let locked = |done: &Mutex<Acknowledged>| {
        std::mem::take(&mut *done.lock().unwrap_or_else(PoisonError::into_inner))
    };
    let mut tasks: JoinSet<Outcome> = JoinSet::new();
    for (who, set) in sets.into_iter().enumerate() {
        let (address, done) = (server.address(who), Arc::clone(&done));
        tasks.spawn(async move {
            let mut client = Client::connect(&address).await?;
            for (id, doc) in set {
                client.open(id, doc.clone());
                client.push(id).await?;
                client.run_until(Client::all_acknowledged).await?;
                done.lock().unwrap_or_else(PoisonError::into_inner).insert(id, doc);
            }
            Ok(())
        });
    }
    let begin = Instant::now();
    let count = || done.lock().unwrap_or_else(PoisonError::into_inner).len();
    while number(count()) < enough && begin.elapsed() < sizes.limit {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let acknowledged = locked(&done);
    server.kill();
    tasks.shutdown().await;
    acknowledged
}

/// The share of the documents' changes that a killed and restarted server has.
async fn kept(server: &mut Server, sizes: &Sizes, acknowledged: &Acknowledged) -> Outcome<f64> {
    let changes = |doc: &Automerge| doc.get_changes_meta(&[]).iter().map(|meta| meta.hash).collect();
    let wanted = acknowledged.iter().map(|(id, doc)| (*id, changes(doc))).collect();
    kept_changes(server, sizes, &wanted).await
}

async fn kept_changes(
    server: &mut Server,
    sizes: &Sizes,
    wanted: &HashMap<DocumentId, Vec<ChangeHash>>,
) -> Outcome<f64> {
    server.kill();
    server.start().await?;
    let (mut count, mut kept) = (0, 0);
    let ids: Vec<DocumentId> = wanted.keys().copied().collect();
    let found = download(server, &ids, sizes.limit).await?;
    for (id, hashes) in wanted {
        count += hashes.len();
        let has =
            |hash: &&ChangeHash| found.get(id).is_some_and(|doc| doc.get_change_meta_by_hash(hash).is_some());
        kept += hashes.iter().filter(has).count();
    }
    if count == 0 {
        return Err("nothing was acknowledged before the kill, so nothing was shown".to_owned());
    }
    Ok(number(kept) / number(count))
}

/// Asks for documents until all are here or refused, or the server is silent.
async fn download(server: &Server, ids: &[DocumentId], limit: Duration) -> Outcome<Acknowledged> {
    let mut client = Client::connect(&server.address(0)).await?;
    for id in ids {
        client.open(*id, Automerge::new());
    }
    client.push_all().await?;
    let begin = Instant::now();
    let settled = |client: &Client| {
        let mut copies = client.copies.values();
        copies.all(|copy| copy.unavailable || (!copy.doc.is_empty() && copy.acknowledged()))
    };
    while begin.elapsed() < limit && !settled(&client) {
        match tokio::time::timeout(SILENT, client.receive()).await {
            Ok(frame) => drop(client.handle(&frame?).await?),
            Err(_) => break,
        }
    }
    Ok(client.copies.into_iter().map(|(id, copy)| (id, copy.doc)).collect())
}
