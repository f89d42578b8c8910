//! The rows: each loads a server that was just started on an empty data folder,
//! and notes figures. A row that knows a floor notes that too.

pub mod assessment;
pub mod fan_in;
pub mod hot;
pub mod kill;
pub mod memory;
pub mod photos;
pub mod reopen;
pub mod upload;

use std::time::Duration;

use automerge::Automerge;
use duxue_document::DocumentId;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::Client;
use crate::server::Server;

/// How much load.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Clients that upload or bring offline changes at once.
    pub clients: usize,
    /// Documents of each in a cold upload.
    pub documents: usize,
    /// Changes of each document, and of each client's time offline.
    pub changes: usize,
    /// Seconds of editing one document.
    pub hot: Duration,
    /// Edits per second of all clients together, where they are paced.
    pub rate: f64,
    /// Connections that do nothing.
    pub idle: usize,
    /// Changes of a long document.
    pub long: usize,
    /// Clients that send photos.
    pub senders: usize,
    /// Submissions of each.
    pub submissions: usize,
    /// Counties that are assessed.
    pub counties: u32,
    /// The longest that a step may take.
    pub limit: Duration,
}

impl Sizes {
    /// What the targets speak of.
    #[must_use]
    pub fn full() -> Self {
        Self {
            clients: 50,
            documents: 20,
            changes: 40,
            hot: Duration::from_secs(4),
            rate: 20.0,
            idle: 200,
            long: 10_000,
            senders: 8,
            submissions: 20,
            counties: 3_000,
            limit: Duration::from_secs(60),
        }
    }

    /// Enough to see that everything works.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            clients: 5,
            documents: 4,
            changes: 10,
            hot: Duration::from_millis(500),
            idle: 20,
            long: 500,
            senders: 2,
            submissions: 2,
            counties: 20,
            limit: Duration::from_secs(20),
            ..Self::full()
        }
    }
}

/// One client's documents.
type Documents = Vec<(DocumentId, Automerge)>;

/// Connects every client at once, each uploads its documents; the clients, in
/// the order of their documents.
async fn upload_all(server: &Server, sets: Vec<Documents>, limit: Duration) -> Outcome<Vec<Client>> {
    let mut tasks = JoinSet::new();
    for (who, set) in sets.into_iter().enumerate() {
        let address = server.address(who);
        tasks.spawn(async move {
            let mut client = Client::connect(&address).await?;
            for (id, doc) in set {
                client.open(id, doc);
            }
            client.push_all().await?;
            client.run_until(Client::all_acknowledged).await?;
            Ok((who, client))
        });
    }
    let mut clients = join_all(tasks, limit).await?;
    clients.sort_by_key(|(who, _)| *who);
    Ok(clients.into_iter().map(|(_, client)| client).collect())
}

/// One client uploads one document and goes.
async fn upload_one(server: &Server, id: DocumentId, doc: Automerge, limit: Duration) -> Outcome {
    for client in upload_all(server, vec![vec![(id, doc)]], limit).await? {
        client.close().await;
    }
    Ok(())
}

/// A client that has the document as the server has it.
async fn subscribed(server: &Server, who: usize, id: DocumentId) -> Outcome<Client> {
    let mut client = Client::connect(&server.address(who)).await?;
    client.open(id, Automerge::new());
    client.push(id).await?;
    client
        .run_until(|client| {
            client.copies.get(&id).is_some_and(|copy| !copy.doc.is_empty() && copy.acknowledged())
        })
        .await?;
    Ok(client)
}

/// Waits for all tasks; the first failure, or the end of the time, ends all.
async fn join_all<T: 'static>(mut tasks: JoinSet<Outcome<T>>, limit: Duration) -> Outcome<Vec<T>> {
    let (deadline, mut all) = (tokio::time::Instant::now() + limit, Vec::new());
    loop {
        match tokio::time::timeout_at(deadline, tasks.join_next()).await {
            Err(_) => {
                let (done, count) = (all.len(), all.len() + tasks.len());
                return Err(format!("not finished in {limit:?}: {done} of {count} clients are done"));
            }
            Ok(None) => return Ok(all),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(Some(Ok(outcome))) => all.push(outcome?),
        }
    }
}

fn number(count: usize) -> f64 {
    count as f64
}
