//! What a connection has carried: the only sign of life of a slow line. And
//! the room of the large message that it is bringing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a connection has carried; whoever reads or writes messages adds
/// to it where the connection does not count.
#[derive(Default)]
pub struct Progress {
    read: AtomicU64,
    written: AtomicU64,
    ask: OnceLock<Ask>,
    room: Mutex<Option<Room>>,
    waits: AtomicBool,
    waited: AtomicBool,
}

/// Room for a message; dropping it gives it back.
pub type Room = Box<dyn Send>;

/// Waits for room for so many bytes.
pub type Ask = Box<dyn Fn(u64) -> BoxFuture<'static, Room> + Send + Sync>;

impl Progress {
    /// Notes what came from the peer.
    pub fn add_read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes what the system took for the peer.
    pub fn add_written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    /// From now on large messages wait for room. The first word counts.
    pub fn bound(&self, ask: Ask) {
        let _ = self.ask.set(ask);
    }

    /// Room for so many bytes, if that is to be waited for.
    pub(super) fn ask(&self, bytes: u64) -> Option<BoxFuture<'static, Room>> {
        self.ask.get().map(|ask| ask(bytes))
    }

    /// Notes whether the connection waits for room, so that nothing is read.
    pub(crate) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
        self.waited.fetch_or(waits, Ordering::Relaxed);
    }

    /// Keeps room for the message that is coming.
    pub(crate) fn hold(&self, room: Room) {
        *self.room() = Some(room);
    }

    /// Gives the room of a message back: it is taken in.
    pub fn release(&self) {
        self.room().take();
    }

    /// Whether a large message is coming, or is not taken in yet.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.room().is_some()
    }

    /// Whether the connection has waited for room since this was asked last.
    #[must_use]
    pub fn waited(&self) -> bool {
        self.waited.swap(self.waits.load(Ordering::Relaxed), Ordering::Relaxed)
    }

    fn room(&self) -> MutexGuard<'_, Option<Room>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes from the peer so far.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes that the system took for the peer so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// A connection whose bytes are counted.
pub struct Counted<S> {
    inner: S,
    progress: Arc<Progress>,
}

impl<S> Counted<S> {
    /// Counts what `inner` carries.
    pub fn new(inner: S, progress: Arc<Progress>) -> Self {
        Self { inner, progress }
    }

    fn wrote(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.progress.add_written(bytes as u64);
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buffer);
        self.progress.add_read((buffer.filled().len() - before) as u64);
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.wrote(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_part_of_a_message_counts() {
        let (ours, mut theirs) = duplex(10);
        let progress = Arc::new(Progress::default());
        let mut counted = Counted::new(ours, Arc::clone(&progress));
        theirs.write_all(b"abc").await.expect("there is room");
        counted.read_exact(&mut [0; 2]).await.expect("is there");
        assert_eq!((progress.read(), progress.written()), (2, 0));
        let whole = counted.write_all(&[0; 30]);
        tokio::select! {
            biased;
            _ = whole => panic!("there is no room for all of it"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(progress.written(), 10, "what the other side has not read yet");
    }
}
