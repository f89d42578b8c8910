//! Fan-in: many clients come back at once, each with offline changes to the
//! same document, until everyone has everything. (S3)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use automerge::{Automerge, ChangeHash};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Sizes, join_all, number, upload_one};
use crate::Outcome;
use crate::client::{Address, Client};
use crate::documents::{edit, holds, survey};
use crate::floors::exchange;
use crate::process::cores;
use crate::server::Server;
use crate::sheet::{Meter, Sheet};
use duxue_document::DocumentId;

/// The document, each client's fork with its offline changes, and the heads
/// that everyone will have.
fn forks(sizes: &Sizes) -> Outcome<(Automerge, Vec<Automerge>, Vec<ChangeHash>)> {
    let base = survey(sizes.changes)?;
    let mut forks = Vec::new();
    for who in 0..sizes.clients {
        let mut fork = base.fork();
        for number in 0..sizes.changes as u64 {
            edit(&mut fork, who, number)?;
        }
        forks.push(fork);
    }
    let goal = forks.iter().flat_map(Automerge::get_heads).collect();
    Ok((base, forks, goal))
}

/// Measures the row.
///
/// # Errors
/// What a client or the server says.
pub async fn run(server: &mut Server, sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let id = server.next_document()?;
    let (base, forks, goal) = forks(sizes)?;
    upload_one(server, id, base, sizes.limit).await?;
    let start = Arc::new(Barrier::new(forks.len() + 1));
    let everyone = Arc::new(Everyone { goal, reached: AtomicUsize::new(0), count: forks.len() });
    let mut tasks = JoinSet::new();
    for (who, fork) in forks.into_iter().enumerate() {
        let (start, everyone, address) = (Arc::clone(&start), Arc::clone(&everyone), server.address(who));
        tasks.spawn(async move {
            start.wait().await;
            come_back(&address, id, fork, &everyone).await
        });
    }
    let meter = Meter::start(server);
    start.wait().await;
    let bytes: u64 = join_all(tasks, sizes.limit).await?.into_iter().sum();
    meter.finish(server, sheet);
    sheet.note("received_mb", bytes as f64 / 1e6);
    Ok(())
}

struct Everyone {
    goal: Vec<ChangeHash>,
    reached: AtomicUsize,
    count: usize,
}

async fn come_back(address: &Address, id: DocumentId, fork: Automerge, everyone: &Everyone) -> Outcome<u64> {
    let mut client = Client::connect(address).await?;
    client.open(id, fork);
    client.push(id).await?;
    client
        .run_until(|client| client.copies.get(&id).is_some_and(|copy| holds(&copy.doc, &everyone.goal)))
        .await?;
    everyone.reached.fetch_add(1, Ordering::Relaxed);
    // Answers on, as a client would that stays, until the others are there.
    while everyone.reached.load(Ordering::Relaxed) < everyone.count {
        if let Ok(frame) = tokio::time::timeout(Duration::from_millis(10), client.receive()).await {
            client.handle(&frame?).await?;
        }
    }
    Ok(client.bytes.1)
}

/// The clients' and the server's Automerge work without anything else.
///
/// # Errors
/// What Automerge says.
pub fn floor(sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let (mut server, mut forks, goal) = forks(sizes)?;
    let sides = exchange(&mut server, &mut forks)?;
    if !forks.iter().all(|fork| holds(fork, &goal)) {
        return Err("the exchange did not converge".to_owned());
    }
    sheet.note("wall_s", sides.clients_s / number(cores()));
    sheet.note("generator_cpu_s", sides.clients_s);
    sheet.note("server_cpu_s", sides.server_s);
    Ok(())
}
