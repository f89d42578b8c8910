//! What connections that do nothing and documents that nobody has open cost.
//! (S4)

use std::time::Duration;

use tokio::task::JoinSet;

use super::upload::offline;
use super::{Sizes, join_all, number, upload_all};
use crate::Outcome;
use crate::client::Client;
use crate::server::Server;
use crate::sheet::Sheet;

/// After which a server has nothing left to do.
const SETTLED: Duration = Duration::from_secs(3);

/// Measures the row.
///
/// # Errors
/// What a client or the server says.
pub async fn run(server: &mut Server, sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    // A first start does work that later ones do not.
    server.stop();
    server.start().await?;
    let empty = server.usage().rss_kb;
    sheet.note("empty_mb", empty / 1024.0);
    sheet.note("idle_kb", idle(server, sizes, empty).await?);
    let sets = offline(server, sizes.clients, sizes.documents, sizes.changes)?;
    for client in upload_all(server, sets, sizes.limit).await? {
        client.close().await;
    }
    tokio::time::sleep(SETTLED).await;
    let documents = number(sizes.clients * sizes.documents);
    sheet.note("recent_kb", (server.usage().rss_kb - empty) / documents);
    server.stop();
    server.start().await?;
    sheet.note("stored_kb", ((server.usage().rss_kb - empty) / documents).max(0.0));
    sheet.note("peak_mb", server.usage().peak_kb / 1024.0);
    Ok(())
}

/// kB of one idle connection. Each is read, so that pings are answered.
async fn idle(server: &Server, sizes: &Sizes, empty: f64) -> Outcome<f64> {
    let mut tasks = JoinSet::new();
    for who in 0..sizes.idle {
        let address = server.address(who);
        tasks.spawn(async move { Client::connect(&address).await });
    }
    let mut readers = JoinSet::new();
    for mut client in join_all(tasks, sizes.limit).await? {
        readers.spawn(async move { while client.receive().await.is_ok() {} });
    }
    tokio::time::sleep(SETTLED).await;
    if readers.try_join_next().is_some() {
        return Err("the server closed an idle connection".to_owned());
    }
    let used = server.usage().rss_kb - empty;
    readers.shutdown().await;
    Ok(used / number(sizes.idle))
}
