//! A document with a long history, opened on a server that just started. (S4)

use std::time::{Duration, Instant};

use automerge::Automerge;

use super::{Sizes, subscribed, upload_one};
use crate::Outcome;
use crate::documents::{holds, long};
use crate::floors::exchange;
use crate::server::Server;
use crate::sheet::{Meter, Sheet};

/// In which a server may write its snapshot.
const SETTLED: Duration = Duration::from_secs(2);

/// Measures the row.
///
/// # Errors
/// What a client or the server says.
pub async fn run(server: &mut Server, sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let (id, doc) = (server.next_document()?, long(sizes.long)?);
    let heads = doc.get_heads();
    let begin = Instant::now();
    upload_one(server, id, doc, sizes.limit).await?;
    sheet.note("upload_ms", begin.elapsed().as_secs_f64() * 1e3);
    tokio::time::sleep(SETTLED).await;
    server.stop();
    sheet.note("restart_ms", server.start().await?.as_secs_f64() * 1e3);
    let meter = Meter::start(server);
    for metric in ["cold_ms", "warm_ms"] {
        let begin = Instant::now();
        let opened = tokio::time::timeout(sizes.limit, subscribed(server, 0, id)).await;
        let client = opened.map_err(|_| format!("not opened in {:?}", sizes.limit))??;
        sheet.note(metric, begin.elapsed().as_secs_f64() * 1e3);
        if !client.copies.get(&id).is_some_and(|copy| holds(&copy.doc, &heads)) {
            return Err("the document came without its changes".to_owned());
        }
        client.close().await;
    }
    meter.finish(server, sheet);
    Ok(())
}

/// Loading the saved document and giving it to a client, without anything else.
///
/// # Errors
/// What Automerge says.
pub fn floor(sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let saved = long(sizes.long)?.save();
    let begin = Instant::now();
    let mut server = Automerge::load(&saved).map_err(|error| error.to_string())?;
    exchange(&mut server, &mut [Automerge::new()])?;
    sheet.note("cold_ms", begin.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
