//! The one thread that writes: it takes what is queued, flushes once for all
//! of it, and only then answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::segments::Placed;
use super::write::{Group, Writer};
use crate::store::{JournalNumber, StoreError};

/// Groups that may wait in the queue.
const QUEUE_GROUPS_MAX: usize = 1024;
/// Bytes that may wait in the queue; one larger group may wait alone.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Bytes that one flush takes; one larger group is flushed alone.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// What is called with every batch that is durable, and with what answers its
/// groups. Whoever was answered can read what was written, so before it answers
/// it sees to it that readers wait for the rest of its work.
pub type AfterFlush = Box<dyn FnMut(&[Placed], &mut dyn FnMut()) + Send>;

struct Request {
    group: Group,
    answer: oneshot::Sender<Result<JournalNumber, StoreError>>,
    /// Gives the group's share of the queue back when it is answered.
    _queued: OwnedSemaphorePermit,
}

/// The queue to the committing thread.
pub(super) struct Committer {
    queue: Option<mpsc::Sender<Request>>,
    bytes: Arc<Semaphore>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread.
    pub fn start(writer: Writer, after_flush: AfterFlush) -> Result<Self, StoreError> {
        let (queue, requests) = mpsc::channel(QUEUE_GROUPS_MAX);
        let thread = std::thread::Builder::new()
            .name("duxue-journal".to_owned())
            .spawn(move || run(writer, requests, after_flush))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let bytes = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        Ok(Self { queue: Some(queue), bytes, thread: Some(thread) })
    }

    /// Queues a group and waits until it is durable. A caller that stops
    /// waiting leaves the group in the queue.
    pub async fn commit(&self, group: Group) -> Result<JournalNumber, StoreError> {
        let share = u32::try_from(group.bytes().min(QUEUE_BYTES_MAX)).unwrap_or(u32::MAX);
        let queued =
            Arc::clone(&self.bytes).acquire_many_owned(share).await.map_err(|_| StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let request = Request { group, answer, _queued: queued };
        queue.send(request).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Committer {
    /// Waits until everything queued is durable.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook; callers have been
            // told that the store is closed.
            let _ = thread.join();
        }
    }
}

fn run(mut writer: Writer, mut requests: mpsc::Receiver<Request>, mut after_flush: AfterFlush) {
    let mut waiting = std::collections::VecDeque::new();
    let mut received = Vec::new();
    loop {
        if waiting.is_empty() && requests.blocking_recv_many(&mut received, QUEUE_GROUPS_MAX) == 0 {
            return;
        }
        waiting.extend(received.drain(..));
        let mut batch: Vec<Request> = Vec::new();
        let mut bytes = 0;
        while let Some(request) = waiting.front() {
            bytes += request.group.bytes();
            if !batch.is_empty() && bytes > BATCH_BYTES_MAX {
                break;
            }
            batch.extend(waiting.pop_front());
        }
        commit_batch(&mut writer, batch, &mut after_flush);
    }
}

fn commit_batch(writer: &mut Writer, batch: Vec<Request>, after_flush: &mut AfterFlush) {
    let mut groups = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for Request { group, answer, _queued } in batch {
        answers.push((group.len(), answer, _queued));
        groups.push(group);
    }
    match writer.append(groups) {
        Ok(placed) => {
            let mut at = 0;
            let mut answers = answers.into_iter();
            after_flush(&placed, &mut || {
                for (length, answer, _queued) in answers.by_ref() {
                    let number = placed.get(at).map(|first| first.number);
                    at += length;
                    // Whoever asked may have gone.
                    let _ = answer.send(number.ok_or(StoreError::Closed));
                }
            });
        }
        Err(error) => {
            for (_, answer, _queued) in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}
