//! Much work, done where it does not stop the other tasks of its thread. A
//! runtime of one thread, as a simulation has, does it at once, so that a seed
//! gives the same run again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};

/// Operations above which applying leaves the async threads.
const LARGE: usize = 2_000;

/// The work panicked; the panic hook has reported it.
#[derive(Debug, thiserror::Error)]
#[error("panicked")]
pub struct Panicked;

fn has_threads() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread
}

/// Does work of about so many operations on this thread, which gives its other
/// tasks away if they are many.
pub fn heavy<T>(operations: usize, work: impl FnOnce() -> T) -> T {
    if operations > LARGE && has_threads() { tokio::task::block_in_place(work) } else { work() }
}

/// Does work on another thread.
///
/// # Errors
/// [`Panicked`].
pub async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Panicked> {
    if has_threads() {
        tokio::task::spawn_blocking(work).await.map_err(|_| Panicked)
    } else {
        catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
    }
}
