//! How everything that runs for a connection is told to stop, and waited for.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::config::refused;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Finish what is begun.
    Stopping,
    /// The deadline has passed.
    Over,
}

/// How stopping went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every request was answered and every socket closed.
    Clean,
    /// The deadline came first; so many tasks were dropped.
    Dropped(usize),
}

/// The tasks of connections and sockets. Clones are of the same set.
#[derive(Debug, Clone)]
pub struct Stop {
    phase: watch::Sender<Phase>,
    tasks: TaskTracker,
}

impl Default for Stop {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Running), tasks: TaskTracker::new() }
    }
}

impl Stop {
    /// To be told when to stop.
    #[must_use]
    pub fn stopping(&self) -> Stopping {
        Stopping(self.phase.subscribe())
    }

    /// Runs a task that is waited for, and dropped at the deadline.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut phase = self.phase.subscribe();
        // What is waited for beside another future is in memory twice, once as
        // it was handed over; so only its address is.
        let task = Box::pin(task);
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                _ = phase.wait_for(|phase| *phase == Phase::Over) => {}
            }
        });
    }

    /// Tells every task to stop and waits for them, but not longer than `deadline`.
    pub(super) async fn stop(&self, deadline: Duration) -> Ended {
        self.phase.send_replace(Phase::Stopping);
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok() {
            return Ended::Clean;
        }
        let left = self.tasks.len();
        refused("stop_seconds");
        tracing::warn!(left, "what did not end within stop_seconds is dropped");
        self.phase.send_replace(Phase::Over);
        self.tasks.wait().await;
        Ended::Dropped(left)
    }
}

/// One task's view of [`Stop`].
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<Phase>);

impl Stopping {
    /// Returns when the server stops; at once if it already does.
    pub async fn wait(&mut self) {
        // An error means that the server is gone, which is stopping too.
        let _ = self.0.wait_for(|phase| *phase != Phase::Running).await;
    }
}
