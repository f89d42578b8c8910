//! Messages in parts. tungstenite keeps what a socket has not taken in a buffer
//! that never shrinks, so that one large document would cost its size for as
//! long as the socket lives. In parts a message costs the bytes that it has,
//! until they are sent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// Bytes of a part.
pub const PART: usize = 16 << 10;

/// A socket that sends large binary messages in parts.
pub struct Parts<S> {
    inner: S,
    /// What is left of the message that is being sent.
    rest: Bytes,
}

impl<S> Parts<S> {
    /// Of a WebSocket.
    pub fn new(inner: S) -> Self {
        Self { inner, rest: Bytes::new() }
    }
}

impl<S: Sink<Message, Error = Error> + Unpin> Parts<S> {
    /// Hands over what is left, a part whenever the socket has taken the last.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.rest.is_empty() {
            ready!(Pin::new(&mut self.inner).poll_flush(context))?;
            ready!(Pin::new(&mut self.inner).poll_ready(context))?;
            let part = self.rest.split_to(PART.min(self.rest.len()));
            self.start_part(part, Data::Continue)?;
        }
        Poll::Ready(Ok(()))
    }

    fn start_part(&mut self, part: Bytes, kind: Data) -> Result<(), Error> {
        let frame = Frame::message(part, OpCode::Data(kind), self.rest.is_empty());
        Pin::new(&mut self.inner).start_send(Message::Frame(frame))
    }
}

impl<S: Sink<Message, Error = Error> + Unpin> Sink<Message> for Parts<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.inner).poll_ready(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        match message {
            Message::Binary(mut bytes) if bytes.len() > PART => {
                let first = bytes.split_to(PART);
                self.rest = bytes;
                self.start_part(first, Data::Binary)
            }
            other => Pin::new(&mut self.inner).start_send(other),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_rest(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // A message that was begun is not finished: the peer sees that it was
        // cut.
        self.rest.clear();
        Pin::new(&mut self.inner).poll_close(context)
    }
}

impl<S: Stream + Unpin> Stream for Parts<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.inner).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    #[tokio::test]
    async fn a_message_arrives_whole_whatever_its_size_and_whatever_comes_between() {
        let (ours, theirs) = tokio::io::duplex(1 << 10);
        let mut sender = Parts::new(WebSocketStream::from_raw_socket(ours, Role::Server, None).await);
        let mut receiver = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let sizes = [0, 1, PART - 1, PART, PART + 1, 3 * PART, 10 * PART + 7];
        let sent = sizes.map(|size| (0..size).map(|n| n as u8).collect::<Vec<u8>>());
        let messages = sent.clone();
        let sending = tokio::spawn(async move {
            for message in messages {
                sender.send(Message::Binary(message.into())).await.expect("sent");
                sender.send(Message::Ping(Bytes::new())).await.expect("sent");
            }
            sender.close().await.expect("closed");
        });
        let mut received = Vec::new();
        while let Some(Ok(message)) = receiver.next().await {
            if let Message::Binary(bytes) = message {
                received.push(bytes.to_vec());
            }
        }
        assert!(received == sent, "{:?}", received.iter().map(Vec::len).collect::<Vec<_>>());
        sending.await.expect("sent all");
    }
}
