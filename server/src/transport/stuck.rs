//! Ends a connection whose peer takes nothing of what it asked for: what is
//! to be sent is in memory for as long.
//!
//! On HTTP/1 it is enough to look at the socket: [`Patient`]. An HTTP/2 peer
//! can answer pings and keep the window of an answer closed, so that nothing
//! is ever written; there the answers are watched too: [`Watch`].

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use warp::Buf;

use crate::config::refused;

use super::streams::Stream;

/// A connection that fails once the peer has taken nothing for so long.
pub(super) struct Patient<S> {
    inner: S,
    within: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub fn new(inner: S, within: Duration) -> Self {
        Self { inner, within, waiting: None }
    }

    fn judge(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if wrote.is_ready() {
            self.waiting = None;
            return wrote;
        }
        let within = self.within;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        ready!(waiting.as_mut().poll(cx));
        refused("send_seconds");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.judge(cx, wrote)
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

/// The answers of a connection that wait for the peer, and since when. The end
/// of an answer that lies in the connection's send buffer is not among them:
/// it is bounded by that buffer.
#[derive(Default)]
pub(super) struct Watch {
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, Instant>>,
}

impl Watch {
    /// Returns once the peer has taken nothing of an answer for so long.
    pub async fn stuck(&self, within: Duration) {
        let mut look = tokio::time::interval(within / 4);
        loop {
            look.tick().await;
            let oldest = self.lock().values().min().copied();
            if oldest.is_some_and(|since| since.elapsed() >= within) {
                refused("send_seconds");
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Instant>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of an answer that are handed over at once: less than a window, so
/// that an answer is asked for more only as the peer takes it.
const PART: usize = 16 << 10;

/// An answer that is handed over in parts, and watched.
pub(super) struct Handed<B> {
    inner: Pin<Box<B>>,
    rest: Bytes,
    begun: bool,
    watch: Arc<Watch>,
    id: u64,
    /// The request is open until its answer is taken.
    _stream: Stream,
}

impl<B> Handed<B> {
    pub fn new(inner: B, watch: &Arc<Watch>, stream: Stream) -> Self {
        let id = watch.next.fetch_add(1, Ordering::Relaxed);
        watch.lock().insert(id, Instant::now());
        let watch = Arc::clone(watch);
        Self { inner: Box::pin(inner), rest: Bytes::new(), begun: false, watch, id, _stream: stream }
    }

    /// The peer is waited for.
    fn hand(&mut self) -> Frame<Bytes> {
        self.begun = true;
        self.watch.lock().insert(self.id, Instant::now());
        Frame::data(self.rest.split_to(PART.min(self.rest.len())))
    }
}

impl<B: Body> Body for Handed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.hand())));
        }
        let Poll::Ready(frame) = self.inner.as_mut().poll_frame(cx) else {
            // Here it is the peer who waits.
            let this = &*self;
            this.watch.lock().remove(&this.id);
            return Poll::Pending;
        };
        Poll::Ready(match frame {
            None => None,
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(mut data) => {
                    self.rest = data.copy_to_bytes(data.remaining());
                    self.hand()
                }
                Err(frame) => frame.map_data(|_| Bytes::new()),
            })),
        })
    }

    fn is_end_stream(&self) -> bool {
        // After a part it is asked once more, when the peer has room again:
        // until then what was handed over may still lie here.
        !self.begun && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

impl<B> Drop for Handed<B> {
    fn drop(&mut self) {
        self.watch.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use crate::config::counted::Counted;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_byte_now_and_then_is_waited_for_and_one_that_takes_none_is_not() {
        let counted = Counted::new();
        let (ours, mut theirs) = duplex(10);
        let mut ours = Patient::new(ours, WITHIN);
        let written = tokio::spawn(async move {
            let first = ours.write_all(&[0; 40]).await;
            (first, ours.write_all(&[0; 40]).await)
        });
        for _ in 0..40 {
            // polls: the clock is paused, so nobody waits.
            tokio::time::sleep(WITHIN - Duration::from_secs(1)).await;
            theirs.read_exact(&mut [0; 1]).await.expect("there is some");
            assert_eq!(counted.refused("send_seconds"), 0);
        }
        let (first, second) = written.await.expect("ends");
        assert!(first.is_ok());
        assert_eq!(second.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert_eq!(counted.refused("send_seconds"), 1);
    }
}
