//! A WebSocket in memory: what the server reads and writes on one side, what
//! the world carries on the other.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::ledger::SharedLedger;

/// Frames that the network takes from the server before it makes it wait.
const WINDOW: usize = 3;

#[derive(Default)]
struct Pipe {
    to_server: VecDeque<Message>,
    from_server: VecDeque<Message>,
    /// The client's end is gone.
    cut: bool,
    /// The server's end is gone.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The world's hold on a socket.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<Pipe>>);

/// The server's end of a socket. It goes when the server lets go of it.
pub struct ServerEnd {
    pipe: Arc<Mutex<Pipe>>,
    ledger: SharedLedger,
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipe {
    fn wake(waker: &mut Option<Waker>) {
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }
}

impl Wire {
    /// The other end. What the server says on it is heard by the ledger at
    /// once, before anything else can happen.
    #[must_use]
    pub fn server_end(&self, ledger: SharedLedger) -> ServerEnd {
        ServerEnd { pipe: Arc::clone(&self.0), ledger }
    }

    /// Something arrives at the server.
    pub fn deliver(&self, message: Message) {
        let mut pipe = lock(&self.0);
        if !pipe.cut && !pipe.ended {
            pipe.to_server.push_back(message);
            Pipe::wake(&mut pipe.reader);
        }
    }

    /// Something that the server sent arrives.
    #[must_use]
    pub fn take(&self) -> Option<Message> {
        let mut pipe = lock(&self.0);
        let message = pipe.from_server.pop_front();
        Pipe::wake(&mut pipe.writer);
        message
    }

    /// Whether something that the server sent is under way.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        !lock(&self.0).from_server.is_empty()
    }

    /// Whether the server has ended it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        lock(&self.0).ended
    }

    /// The server hears that the client is gone.
    pub fn cut(&self) {
        let mut pipe = lock(&self.0);
        pipe.cut = true;
        pipe.to_server.clear();
        pipe.from_server.clear();
        Pipe::wake(&mut pipe.reader);
        Pipe::wake(&mut pipe.writer);
    }
}

impl Stream for ServerEnd {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pipe = lock(&self.pipe);
        if let Some(message) = pipe.to_server.pop_front() {
            return Poll::Ready(Some(Ok(message)));
        }
        if pipe.cut {
            return Poll::Ready(None);
        }
        pipe.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Sink<Message> for ServerEnd {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut pipe = lock(&self.pipe);
        if pipe.cut {
            return Poll::Ready(Err(Error::ConnectionClosed));
        }
        if pipe.from_server.len() < WINDOW {
            return Poll::Ready(Ok(()));
        }
        pipe.writer = Some(context.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        if let Message::Binary(frame) = &message {
            super::ledger::lock(&self.ledger).hear(frame);
        }
        lock(&self.pipe).from_server.push_back(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        lock(&self.pipe).ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        lock(&self.pipe).ended = true;
    }
}
