//! Submissions: one form and five photos of 300 kB each, to the receipt that
//! says that all of it is durable. Thumbnails follow in the background.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::Automerge;
use duxue_document::PhotoHash;
use serde_json::json;

use super::{Sizes, number};
use crate::Outcome;
use crate::client::{Address, Client};
use crate::county::{Api, Survey};
use crate::documents::edit;
use crate::floors;
use crate::photo::{base, fresh};
use crate::process::cores;
use crate::server::Server;
use crate::sheet::{Meter, Sheet, percentile};

/// Photos of a submission.
const PHOTOS: usize = 5;
/// How long is waited for thumbnails.
const DERIVING: Duration = Duration::from_secs(45);

/// Measures the row.
///
/// # Errors
/// What a client or the server says.
pub async fn run(server: &mut Server, sizes: &Sizes, sheet: &mut Sheet) -> Outcome {
    let base = Arc::new(base()?);
    let mut senders = Vec::new();
    for who in 0..sizes.senders {
        senders.push((server.address(who), server.next_survey()?));
    }
    let meter = Meter::start(server);
    let before = thumbnails(server.data());
    let submissions = sizes.submissions;
    // Each on a thread of its own, as each is a device of its own.
    let threads: Vec<_> = senders
        .into_iter()
        .map(|(address, survey)| {
            let base = Arc::clone(&base);
            std::thread::spawn(move || send(&address, &survey, &base, submissions))
        })
        .collect();
    let mut took = Vec::new();
    for thread in threads {
        let joined = tokio::task::spawn_blocking(move || thread.join());
        let outcome = tokio::time::timeout(sizes.limit, joined).await;
        let outcome = outcome.map_err(|_| format!("not finished in {:?}", sizes.limit))?;
        let outcome = outcome.map_err(|error| error.to_string())?;
        took.extend(outcome.map_err(|_| "a sender failed".to_owned())??);
    }
    let wall = meter.finish(server, sheet);
    took.sort_by(f64::total_cmp);
    sheet.note("per_s", number(took.len()) / wall);
    sheet.note("submit_p50_ms", percentile(&took, 0.5));
    sheet.note("submit_p99_ms", percentile(&took, 0.99));
    follow(server, sheet, before, took.len() * PHOTOS, wall).await
}

/// What of the thumbnails was there when the last receipt came, and how fast
/// the rest follows.
async fn follow(server: &Server, sheet: &mut Sheet, before: usize, photos: usize, wall: f64) -> Outcome {
    let made = thumbnails(server.data()) - before;
    sheet.note("derived_meanwhile_per_s", number(made) / wall);
    sheet.note("backlog", number(photos - made.min(photos)));
    let begin = Instant::now();
    while thumbnails(server.data()) - before < photos {
        if begin.elapsed() > DERIVING {
            return Err(format!("thumbnails are missing {DERIVING:?} after the last receipt"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if photos > made {
        sheet.note("derived_per_s", number(photos - made) / begin.elapsed().as_secs_f64());
    }
    sheet.note("photos_peak_mb", server.usage().peak_kb / 1024.0);
    Ok(())
}

fn send(address: &Address, survey: &Survey, base: &[u8], submissions: usize) -> Outcome<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let mut api = Api::new(address.port);
    api.token = address.token.clone().unwrap_or_default();
    let mut client = runtime.block_on(async {
        let mut client = Client::connect(address).await?;
        client.open(survey.id, Automerge::new());
        client.push(survey.id).await?;
        client.run_until(|client| client.copies.values().all(|copy| !copy.doc.is_empty())).await?;
        Ok::<_, String>(client)
    })?;
    let mut took = Vec::new();
    for number in 0..submissions as u64 {
        let photos: Vec<Vec<u8>> = (0..PHOTOS).map(|_| fresh(base)).collect();
        let hashes: Vec<String> = photos.iter().map(|photo| PhotoHash::of(photo).to_string()).collect();
        let begin = Instant::now();
        let copy = client.copies.get_mut(&survey.id).ok_or("no survey")?;
        let head = edit(&mut copy.doc, 0, number)?;
        runtime.block_on(async {
            client.push(survey.id).await?;
            client.run_until(Client::all_acknowledged).await
        })?;
        for (photo, hash) in photos.iter().zip(&hashes) {
            api.upload(survey, hash, photo)?;
        }
        let heads = json!({ survey.id.to_string(): [head.to_string()] });
        let answer = api.post("/api/receipts", &json!({ "heads": heads, "photos": hashes }))?;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        let missing = |what: &str| answer[what].as_object().map_or(0, serde_json::Map::len);
        let photos = answer["missing_photos"].as_array().map_or(0, Vec::len);
        if missing("missing_heads") + missing("held_heads") + photos > 0 {
            return Err(format!("the receipt does not cover everything: {answer}"));
        }
    }
    Ok(took)
}

/// Thumbnails in a data folder.
fn thumbnails(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders
        .map(|entry| match entry.file_name().to_str() {
            Some("thumbnails") => files(&entry.path()),
            _ => thumbnails(&entry.path()),
        })
        .sum()
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            // A file that is being written has a longer name.
            _ => usize::from(!entry.file_name().to_string_lossy().contains('#')),
        })
        .sum()
}

/// The same bytes written and flushed by as many threads, and decoding alone.
///
/// # Errors
/// What the disk says.
pub fn floor(sizes: &Sizes, folder: &Path, sheet: &mut Sheet) -> Outcome {
    let photo = fresh(&base()?);
    let took = floors::write_and_flush(folder, &photo, sizes.senders, sizes.submissions * PHOTOS)?;
    sheet.note("per_s", number(sizes.senders * sizes.submissions) / took);
    let decode_ms = floors::decode(&photo)?;
    sheet.note("derived_per_s", number(cores()) * 1e3 / decode_ms);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::random_hex;

    #[test]
    fn thumbnails_are_counted_wherever_they_lie() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("photos/blobs/thumbnails/ab");
        std::fs::create_dir_all(&deep).expect("made");
        for name in [random_hex(), random_hex(), "part#1".to_owned()] {
            std::fs::write(deep.join(name), b"jpeg").expect("written");
        }
        assert_eq!(thumbnails(folder.path()), 2);
    }
}
