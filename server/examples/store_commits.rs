//! Measures durable commits a second: `cargo run --release -p duxue-server --example store_commits [FOLDER]`.
//!
//! Each writer commits records of 300 bytes, one a commit, and waits for each
//! to be durable. The figures are of the disk that the folder is on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duxue_document::DocumentId;
use duxue_server::store::embedded::EmbeddedStore;
use duxue_server::store::{Record, Store};

const MEASURED: Duration = Duration::from_secs(3);
const PAYLOAD_BYTES: usize = 300;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for writers in [1_u8, 8, 64] {
        let folder = folder.join(format!("duxue-commits-{}-{writers}", std::process::id()));
        let store = Arc::new(EmbeddedStore::open(&folder)?);
        let begun = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            let store = Arc::clone(&store);
            tasks.spawn(async move {
                let mut slowest = Duration::ZERO;
                while begun.elapsed() < MEASURED {
                    let asked = Instant::now();
                    let bytes = vec![writer; PAYLOAD_BYTES];
                    let document = DocumentId([writer; 16]);
                    store
                        .commit(vec![Record::Chunk { document, bytes, delivery: None, received_ms: 0 }])
                        .await?;
                    slowest = slowest.max(asked.elapsed());
                }
                Ok::<_, duxue_server::store::StoreError>(slowest)
            });
        }
        let mut slowest = Duration::ZERO;
        while let Some(result) = tasks.join_next().await {
            slowest = slowest.max(result??);
        }
        let rate = u128::from(store.last().0) * 1000 / begun.elapsed().as_millis().max(1);
        println!("{writers:>3} writers: {rate:>7} commits/s, slowest {slowest:?}");
        tokio::task::spawn_blocking(move || drop(store)).await?;
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}
