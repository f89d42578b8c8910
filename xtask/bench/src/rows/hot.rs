//! One document that many have open: how soon an edit is seen by the others,
//! and how many edits fit in a second when each client edits again as soon as
//! its last edit is acknowledged. (S2)

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use automerge::ChangeHash;
use duxue_document::DocumentId;
use tokio::task::JoinSet;

use super::{Sizes, join_all, number, subscribed, upload_one};
use crate::Outcome;
use crate::client::{Client, Event};
use crate::documents::{edit, survey};
use crate::server::Server;
use crate::sheet::{Meter, Sheet, percentile};

/// Silence after which a client has seen everything.
const QUIET: Duration = Duration::from_millis(500);
/// An acknowledgement that takes longer counts as not coming.
const STALLED: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Shared {
    born: Mutex<HashMap<ChangeHash, Instant>>,
    edits: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    stalls: AtomicU64,
    stop: AtomicBool,
}

impl Shared {
    fn born(&self) -> std::sync::MutexGuard<'_, HashMap<ChangeHash, Instant>> {
        self.born.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures a row with so many clients, paced or in a closed loop.
///
/// # Errors
/// What a client or the server says.
pub async fn run(
    server: &mut Server,
    sizes: &Sizes,
    clients: usize,
    paced: bool,
    sheet: &mut Sheet,
) -> Outcome {
    let id = server.next_document()?;
    upload_one(server, id, survey(sizes.changes)?, sizes.limit).await?;
    let mut editors = Vec::new();
    for who in 0..clients {
        editors.push(subscribed(server, who, id).await?);
    }
    let shared = Arc::new(Shared::default());
    let period = paced.then(|| Duration::from_secs_f64(number(clients) / sizes.rate));
    let meter = Meter::start(server);
    let mut tasks = JoinSet::new();
    for (who, client) in editors.into_iter().enumerate() {
        let first = period.unwrap_or(Duration::from_millis(1)).mul_f64((number(who) + 0.5) / number(clients));
        let editor =
            Editor { client, id, who, shared: Arc::clone(&shared), period, waiting: None, seen: Vec::new() };
        tasks.spawn(editor.run(first));
    }
    let stopper = Arc::clone(&shared);
    let hot = sizes.hot;
    tasks.spawn(async move {
        tokio::time::sleep(hot).await;
        stopper.stop.store(true, Ordering::Relaxed);
        Ok(Vec::new())
    });
    let mut seen: Vec<f64> = join_all(tasks, sizes.limit).await?.into_iter().flatten().collect();
    meter.finish(server, sheet);
    seen.sort_by(f64::total_cmp);
    let edits = shared.edits.load(Ordering::Relaxed) as f64;
    let per_s = edits / sizes.hot.as_secs_f64();
    sheet.note("visible_p50_ms", percentile(&seen, 0.5));
    sheet.note("visible_p99_ms", percentile(&seen, 0.99));
    sheet.note("edits_per_s", per_s);
    sheet.note("edit_ms", number(clients) * 1e3 / per_s.max(f64::MIN_POSITIVE));
    sheet.note("delivered", number(seen.len()) / (edits * number(clients - 1)).max(1.0));
    sheet.note("sent_per_edit", shared.sent.load(Ordering::Relaxed) as f64 / edits.max(1.0));
    sheet.note("received_per_edit", shared.received.load(Ordering::Relaxed) as f64 / edits.max(1.0));
    sheet.note("stalls", shared.stalls.load(Ordering::Relaxed) as f64);
    Ok(())
}

struct Editor {
    client: Client,
    id: DocumentId,
    who: usize,
    shared: Arc<Shared>,
    /// Between two edits; absent where each waits for the acknowledgement.
    period: Option<Duration>,
    waiting: Option<(ChangeHash, Instant)>,
    /// How long others' edits took to be seen here, in milliseconds.
    seen: Vec<f64>,
}

impl Editor {
    async fn run(mut self, first: Duration) -> Outcome<Vec<f64>> {
        let mut next = tokio::time::Instant::now() + first;
        let mut heard = Instant::now();
        let mut number = 0;
        loop {
            let stopped = self.shared.stop.load(Ordering::Relaxed);
            if stopped && heard.elapsed() > QUIET {
                let (sent, received) = self.client.frames;
                self.shared.sent.fetch_add(sent, Ordering::Relaxed);
                self.shared.received.fetch_add(received, Ordering::Relaxed);
                return Ok(self.seen);
            }
            if self.waiting.is_some_and(|(_, at)| at.elapsed() > STALLED) {
                self.shared.stalls.fetch_add(1, Ordering::Relaxed);
                self.waiting = None;
            }
            let may_edit = !stopped && (self.period.is_some() || self.waiting.is_none());
            tokio::select! {
                biased;
                frame = self.client.receive() => {
                    heard = Instant::now();
                    self.hear(&frame?).await?;
                }
                () = tokio::time::sleep_until(next), if may_edit => {
                    heard = Instant::now();
                    self.edit(number).await?;
                    number += 1;
                    next += self.period.unwrap_or_default();
                }
                () = tokio::time::sleep(Duration::from_millis(50)), if !may_edit => {}
            }
        }
    }

    async fn hear(&mut self, frame: &[u8]) -> Outcome {
        let Event::Synced(before) = self.client.handle(frame).await? else { return Ok(()) };
        let now = Instant::now();
        let Some(copy) = self.client.copies.get(&self.id) else { return Ok(()) };
        let fresh = copy.doc.get_changes_meta(&before);
        if !fresh.is_empty() {
            let born = self.shared.born();
            let ages = fresh.iter().filter_map(|meta| born.get(&meta.hash));
            self.seen.extend(ages.map(|at| (now - *at).as_secs_f64() * 1e3));
        }
        if self.waiting.is_some_and(|(hash, _)| copy.acknowledges(&hash)) {
            self.waiting = None;
        }
        Ok(())
    }

    async fn edit(&mut self, number: u64) -> Outcome {
        let Some(copy) = self.client.copies.get_mut(&self.id) else { return Ok(()) };
        let at = Instant::now();
        let hash = edit(&mut copy.doc, self.who, number)?;
        self.shared.born().insert(hash, at);
        self.shared.edits.fetch_add(1, Ordering::Relaxed);
        self.waiting.get_or_insert((hash, at));
        self.client.push(self.id).await
    }
}
