//! What the open conflicts of a round would do, worked out in the background.
//!
//! One task works out the conflicts of the rounds that have changed, at most
//! once a tick, from a copy of the model and not under its lock. A reader who
//! has seen something acknowledged is given conflicts that know of it: who
//! comes before they are finished waits for them. So all of an answer is of
//! one moment, and neither edits nor readers multiply the work.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duxue_document::RoundId;
use duxue_protocol::api::ConflictView;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::ReadModel;
use crate::fault::{self, Fault};
use crate::heavy::elsewhere;

/// The shortest time between two workings of the background task.
pub const TICK: Duration = Duration::from_millis(500);

/// Between two looks for rounds that nobody asks for.
const SWEEP: Duration = Duration::from_secs(60);

/// The open conflicts in the order of the inbox, without the people behind
/// them.
pub type Views = Arc<Vec<ConflictView>>;

/// The last conflicts that were finished, by the version of the model that
/// they were made from.
#[derive(Default)]
pub(super) struct Latest(watch::Sender<State>);

#[derive(Default)]
struct State {
    finished: Option<(u64, Result<Views, Fault>)>,
    /// How often the round could not be read, and why the last time.
    failures: u64,
    failed: Option<Fault>,
}

impl State {
    fn is_of(&self, version: u64) -> bool {
        self.finished.as_ref().is_some_and(|(finished, _)| *finished >= version)
    }
}

impl Latest {
    fn is_of(&self, version: u64) -> bool {
        self.0.borrow().is_of(version)
    }

    fn finish(&self, version: u64, views: Result<Views, Fault>) {
        self.0.send_modify(|state| state.finished = Some((version, views)));
    }

    /// Whoever asks later has them worked out anew.
    pub(super) fn forget(&self) {
        self.0.send_if_modified(|state| state.finished.take().is_some());
    }

    /// Whoever waits is told; whoever asks later has it tried anew.
    fn fail(&self, fault: Fault) {
        self.0.send_modify(|state| {
            state.failures += 1;
            state.failed = Some(fault);
        });
    }

    /// The conflicts of this version of the model or a later one; has them
    /// worked out by `ask` if they are not.
    async fn wait(&self, version: u64, ask: impl FnOnce()) -> Result<Views, Fault> {
        let mut latest = self.0.subscribe();
        let failures = latest.borrow().failures;
        if !latest.borrow().is_of(version) {
            ask();
        }
        let state = latest
            .wait_for(|state| state.is_of(version) || state.failures > failures)
            .await
            .map_err(|_| fault::internal())?;
        match (&state.finished, &state.failed) {
            (Some((finished, views)), _) if *finished >= version => views.clone(),
            (_, Some(fault)) => Err(fault.clone()),
            _ => Err(fault::internal()),
        }
    }
}

/// The rounds whose conflicts are to be worked out.
#[derive(Default)]
pub(super) struct Due {
    rounds: Mutex<BTreeSet<RoundId>>,
    woken: Notify,
    workings: AtomicU64,
}

impl Due {
    pub(super) fn add(&self, round: &RoundId) {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner).insert(round.clone());
        self.woken.notify_one();
    }

    fn take(&self) -> BTreeSet<RoundId> {
        std::mem::take(&mut *self.rounds.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ReadModel {
    /// Keeps working out the conflicts of the rounds that are looked at, and
    /// drops the others from memory. Runs until it is dropped; one is enough.
    pub async fn run(&self) {
        let every = |period| {
            let mut tick = tokio::time::interval(period);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            tick
        };
        let (mut tick, mut sweep) = (every(TICK), every(SWEEP));
        loop {
            tokio::select! {
                () = self.due.woken.notified() => {}
                _ = sweep.tick() => {
                    self.drop_unasked();
                    continue;
                }
            }
            tick.tick().await;
            for round in self.due.take() {
                self.work_out(&round).await;
            }
        }
    }

    /// The open conflicts of the round as they are now or were after the
    /// question came, with what each would do.
    ///
    /// # Errors
    /// `not_found`, `store.failed` where a document cannot be loaded, or an
    /// internal fault.
    pub async fn conflicts(&self, id: &RoundId) -> Result<Views, Fault> {
        let version = self.look(id, |model| Ok(model.version())).await?;
        let slot = self.slot(id);
        slot.inbox.wait(version, || self.due.add(id)).await
    }

    /// How often conflicts were worked out.
    #[must_use]
    pub fn workings(&self) -> u64 {
        self.due.workings.load(Ordering::Relaxed)
    }

    async fn work_out(&self, id: &RoundId) {
        let slot = self.slot(id);
        let copy = match self.read(id, |model| Ok(model.snapshot())).await {
            Ok(copy) => copy,
            Err(fault) => {
                tracing::warn!(round = %id, code = %fault.problem.code, "a round could not be read");
                return slot.inbox.fail(fault);
            }
        };
        let version = copy.version();
        if slot.inbox.is_of(version) {
            return;
        }
        self.due.workings.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("duxue_conflicts_worked_out_total").increment(1);
        let worked = elsewhere(move || Arc::new(copy.conflicts())).await;
        // The panic hook reported it; who waits is told.
        slot.inbox.finish(version, worked.map_err(|_| fault::internal()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who waits for conflicts that cannot be worked out gets the fault, and
    /// who comes afterwards is not given an old one.
    #[tokio::test]
    async fn a_round_that_cannot_be_read_keeps_nobody_waiting() {
        let latest = Latest::default();
        let failed = latest.wait(1, || latest.fail(fault::store_failed())).await;
        assert_eq!(failed.err(), Some(fault::store_failed()));
        let views = latest.wait(1, || latest.finish(1, Ok(Views::default()))).await;
        assert_eq!(views.map(|views| views.len()), Ok(0));
        let known = latest.wait(1, || panic!("worked out already")).await;
        assert_eq!(known.map(|views| views.len()), Ok(0));
    }
}
