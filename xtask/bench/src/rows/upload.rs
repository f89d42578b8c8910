//! Cold upload: many clients come back online at once, each with documents
//! that the server has not seen. (S1)

use automerge::Automerge;
use duxue_document::{DocumentKind, genesis};

use super::{Documents, Sizes, number, upload_all};
use crate::Outcome;
use crate::documents::{random, survey};
use crate::floors::{Sides, exchange};
use crate::process::cores;
use crate::server::Server;
use crate::sheet::{Meter, Sheet};

/// What every client made offline.
///
/// # Errors
/// When there are not enough documents.
pub fn offline(server: &mut Server, clients: usize, each: usize, changes: usize) -> Outcome<Vec<Documents>> {
    let mut one = |_| Ok((server.next_document()?, survey(changes)?));
    let mut set = |_| (0..each).map(&mut one).collect();
    (0..clients).map(&mut set).collect()
}

/// Measures the row.
///
/// # Errors
/// What a client or the server says.
pub async fn run(server: &mut Server, sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let sets = offline(server, sizes.clients, sizes.documents, sizes.changes)?;
    let documents = number(sizes.clients * sizes.documents);
    let meter = Meter::start(server);
    let clients = upload_all(server, sets, sizes.limit).await?;
    let wall = meter.finish(server, sheet);
    sheet.note("docs_per_s", documents / wall);
    sheet.note("changes_per_s", documents * number(sizes.changes) / wall);
    for client in clients {
        client.close().await;
    }
    Ok(())
}

/// Both sides' Automerge work for the same documents, on all cores.
///
/// # Errors
/// What Automerge says.
pub fn floor(sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    // A part of them is enough: documents do not know each other.
    let documents = (sizes.clients * sizes.documents).min(100);
    let mut sum = Sides::default();
    for _ in 0..documents {
        let mut client = vec![survey(sizes.changes)?];
        let mut server: Automerge = genesis::document(DocumentKind::Survey, random().into());
        let sides = exchange(&mut server, &mut client)?;
        sum.clients_s += sides.clients_s;
        sum.server_s += sides.server_s;
    }
    let wall = (sum.clients_s + sum.server_s) / number(cores());
    sheet.note("docs_per_s", number(documents) / wall);
    sheet.note("server_cpu_s", sum.server_s * number(sizes.clients * sizes.documents) / number(documents));
    Ok(())
}
