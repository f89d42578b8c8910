//! Large frames from the peer, in parts and as there is room. tungstenite
//! reads a frame whole into a buffer that never shrinks, so that one large
//! message would cost its size for as long as the socket lives; and each socket
//! would be read until its message is there, however many there are. In parts
//! a message costs the bytes that it has, until it is taken in. And before
//! more of a large one is read than came with its header, there is room for all
//! of it: a message that is begun can always end, and what waits, waits in the
//! system and in the peer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::parts::PART;
use super::progress::{Progress, Room};

/// Bytes of a message that needs no room: nearly all are smaller.
pub const SMALL: u64 = 4 << 10;

/// A connection whose large frames come in parts.
pub struct Frames<S> {
    inner: S,
    progress: Arc<Progress>,
    /// The largest message; a frame that is larger is handed over as it is, to
    /// be refused by its header.
    most: u64,
    /// The beginning of a header of which the rest has not come.
    head: Vec<u8>,
    /// What is to come of the frame that is being read.
    left: u64,
    /// What is to come of it before the header of its next part is due.
    part: u64,
    /// The header of its parts behind the first.
    next: Option<FrameHeader>,
    /// Whether the frame ends its message.
    ends: bool,
    /// Bytes of the frames before it, of the same message.
    before: u64,
    room: Needed,
}

/// Room for the message that is being read.
enum Needed {
    /// It is small so far.
    No,
    /// For so many bytes.
    For(u64),
    /// They are waited for.
    Asked(BoxFuture<'static, Room>),
    /// It is held until the message is taken in.
    Held,
}

impl<S> Frames<S> {
    /// Of messages of so many bytes at most.
    pub fn new(inner: S, progress: Arc<Progress>, most: usize) -> Self {
        Self {
            inner,
            progress,
            most: most as u64,
            head: Vec::new(),
            left: 0,
            part: 0,
            next: None,
            ends: true,
            before: 0,
            room: Needed::No,
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Needed::For(bytes) = self.room {
            self.room = match self.progress.ask(bytes) {
                Some(asked) => Needed::Asked(asked),
                None => Needed::Held,
            };
        }
        if let Needed::Asked(asked) = &mut self.room {
            let asked = asked.as_mut().poll(cx);
            self.progress.set_waits(asked.is_pending());
            self.progress.hold(ready!(asked));
            self.room = Needed::Held;
        }
        Poll::Ready(())
    }

    /// The header of the frame's next part, if that is due.
    fn next_part(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.part == 0
            && self.left > 0
            && let Some(header) = &mut self.next
        {
            self.part = self.left.min(PART as u64);
            header.is_final = self.ends && self.part == self.left;
            write(header, self.part, &mut bytes);
        }
        bytes
    }

    /// Goes through what came, and makes the header of a large frame that of its
    /// first part. Gives how many bytes are to be handed over.
    fn pass(&mut self, came: &mut [u8]) -> usize {
        let (mut at, mut end) = (0, came.len());
        while at < end {
            if self.left > 0 {
                let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(end - at);
                at += here;
                self.left -= here as u64;
                self.part = self.part.saturating_sub(here as u64);
                continue;
            }
            let rest = came.get(at..end).unwrap_or_default();
            let mut cursor = io::Cursor::new(rest);
            let (header, length) = match FrameHeader::parse(&mut cursor) {
                Ok(Some(found)) => found,
                Ok(None) => {
                    self.head = rest.to_vec();
                    return at;
                }
                // Whoever reads the frames finds the same, and ends.
                Err(_) => {
                    (self.left, self.next) = (u64::MAX, None);
                    continue;
                }
            };
            let old = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            let new = self.begin(header, length);
            // A part's header is never longer than that of its frame.
            match came.get_mut(at..at + new.len()) {
                Some(place) if !new.is_empty() => {
                    place.copy_from_slice(&new);
                    came.copy_within(at + old..end, at + new.len());
                    end -= old.saturating_sub(new.len());
                    at += new.len();
                }
                _ => at += old,
            }
        }
        end
    }

    /// Begins a frame. Gives the header of its first part, if it is not handed
    /// over as it is.
    fn begin(&mut self, header: FrameHeader, length: u64) -> Vec<u8> {
        (self.left, self.part, self.next) = (length, length, None);
        let mut first = Vec::new();
        let OpCode::Data(_) = header.opcode else { return first };
        if self.ends {
            // Another message.
            (self.before, self.room) = (0, Needed::No);
        }
        self.ends = header.is_final;
        let all = self.before.saturating_add(length);
        if all > SMALL && length <= self.most && matches!(self.room, Needed::No) {
            // Of a message in several frames nobody knows the length.
            let alone = self.ends && self.before == 0;
            self.room = Needed::For(if alone { length } else { self.most });
        }
        self.before = all;
        if length > PART as u64 && length <= self.most {
            self.part = PART as u64;
            let mut header = FrameHeader { is_final: false, ..header };
            write(&header, self.part, &mut first);
            header.opcode = OpCode::Data(Data::Continue);
            self.next = Some(header);
        }
        first
    }
}

fn write(header: &FrameHeader, length: u64, bytes: &mut Vec<u8>) {
    // cannot fail: a vector takes whatever is written, and headers have no
    // form that cannot be written.
    let _ = header.format(length, bytes);
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.left > 0 {
                ready!(this.poll_room(cx));
            }
            let part = this.next_part();
            let begun = if part.is_empty() { std::mem::take(&mut this.head) } else { part };
            // Not beyond the part, so that its header is never in the middle.
            let parted = this.next.is_some() && this.left > 0;
            let most = if parted { usize::try_from(this.part).unwrap_or(PART) } else { PART };
            let most = (begun.len() + most).min(buffer.remaining());
            if most <= begun.len() {
                return Poll::Ready(Err(io::Error::other("no room for a header")));
            }
            let mut came = ReadBuf::new(buffer.initialize_unfilled_to(most));
            came.put_slice(&begun);
            let outcome = Pin::new(&mut this.inner).poll_read(cx, &mut came);
            let is_part = parted && !begun.is_empty();
            let read = came.filled().len() - begun.len();
            match outcome {
                Poll::Ready(Ok(())) if read > 0 => {}
                // The header of a part is handed over by itself.
                Poll::Pending if is_part => {}
                other => {
                    this.head = begun;
                    return other;
                }
            }
            let known = if is_part { begun.len() } else { 0 };
            let passed = known + this.pass(came.filled_mut().get_mut(known..).unwrap_or_default());
            buffer.advance(passed);
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::{FutureExt, SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio::sync::Semaphore;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::error::CapacityError;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
    use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

    use super::*;

    const MOST: usize = 20 * PART;

    type Client = WebSocketStream<DuplexStream>;
    type Server = WebSocketStream<Frames<DuplexStream>>;

    /// A client, and a server that reads through a system buffer of so many
    /// bytes.
    async fn pair(system: usize) -> (Client, Server, Arc<Progress>) {
        let (ours, theirs) = duplex(system);
        let progress = Arc::new(Progress::default());
        let config = WebSocketConfig::default()
            .read_buffer_size(1 << 10)
            .max_message_size(Some(MOST))
            .max_frame_size(Some(MOST));
        let frames = Frames::new(ours, Arc::clone(&progress), MOST);
        let server = WebSocketStream::from_raw_socket(frames, Role::Server, Some(config)).await;
        (WebSocketStream::from_raw_socket(theirs, Role::Client, None).await, server, progress)
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8).collect()
    }

    #[tokio::test]
    async fn messages_arrive_whole_whatever_their_size_and_frames_and_however_they_come() {
        let small = SMALL as usize;
        // The frames of each message.
        let messages: Vec<Vec<usize>> =
            [0, 1, 125, 126, small, small + 1, PART - 1, PART, PART + 1, 3 * PART, MOST]
                .map(|length| vec![length])
                .into_iter()
                .chain([vec![1, 0, 2], vec![small, 1], vec![PART + 1, 0, 5 * PART, 3], vec![0, PART + 7, 0]])
                .collect();
        for system in [1, 2, 13, 1_000, 1 << 20] {
            let (mut client, mut server, _) = pair(system).await;
            // A byte at a time takes a while.
            let short = |frames: &&Vec<usize>| system >= 1_000 || frames.iter().sum::<usize>() <= 2 * PART;
            let messages: Vec<Vec<usize>> = messages.iter().filter(short).cloned().collect();
            let sent: Vec<Vec<u8>> = messages.iter().map(|frames| bytes(frames.iter().sum())).collect();
            let frames: usize = messages.iter().map(Vec::len).sum();
            let sending = tokio::spawn(async move {
                for frames in messages {
                    let mut rest = Bytes::from(bytes(frames.iter().sum()));
                    let last = frames.len() - 1;
                    for (number, length) in frames.into_iter().enumerate() {
                        let kind = if number == 0 { Data::Binary } else { Data::Continue };
                        let frame = Frame::message(rest.split_to(length), OpCode::Data(kind), number == last);
                        client.send(Message::Frame(frame)).await.expect("sent");
                        client.send(Message::Ping(Bytes::from_static(b"between"))).await.expect("sent");
                    }
                }
                client
            });
            let (mut received, mut pings) = (Vec::new(), 0);
            while received.len() < sent.len() || pings < frames {
                match server.next().await.expect("a message").expect("right frames") {
                    Message::Binary(bytes) => received.push(bytes.to_vec()),
                    Message::Ping(bytes) => {
                        assert_eq!(&bytes[..], b"between");
                        pings += 1;
                    }
                    _ => {}
                }
            }
            let lengths: Vec<_> = received.iter().map(Vec::len).collect();
            assert!(received == sent, "{lengths:?} through {system} bytes");
            sending.await.expect("sent all");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_by_its_header_or_its_sum() {
        for frames in [vec![MOST + 1], vec![MOST, 1], vec![MOST - 1, MOST]] {
            let (mut client, mut server, _) = pair(1 << 20).await;
            for (number, length) in frames.iter().enumerate() {
                let kind = if number == 0 { Data::Binary } else { Data::Continue };
                let last = number == frames.len() - 1;
                let frame = Frame::message(bytes(*length), OpCode::Data(kind), last);
                client.send(Message::Frame(frame)).await.expect("sent");
            }
            let error = server.next().await.expect("an error").expect_err("an error");
            let Error::Capacity(CapacityError::MessageTooLong { .. }) = error else { panic!("{error}") };
        }
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_the_socket() {
        let (mut raw, frames) = duplex(1 << 10);
        let frames = Frames::new(frames, Arc::default(), MOST);
        let mut server = WebSocketStream::from_raw_socket(frames, Role::Server, None).await;
        tokio::io::AsyncWriteExt::write_all(&mut raw, &[0x83, 0x80, 0, 0, 0, 0])
            .await
            .expect("there is room");
        let error = server.next().await.expect("an error").expect_err("an error");
        assert!(matches!(error, Error::Protocol(_)), "{error}");
    }

    /// Of a large message no more is read than came with its header until there
    /// is room for all of it, which it has until it is taken in.
    #[tokio::test]
    async fn a_large_message_waits_for_room_in_the_system() {
        let length = 10 * PART;
        for (frames, weight) in [(vec![length], length), (vec![10, length - 10], MOST)] {
            let (mut client, mut server, progress) = pair(1 << 20).await;
            let room = Arc::new(Semaphore::new(0));
            let (all, asked) = (Arc::clone(&room), Arc::new(AtomicUsize::new(0)));
            let weights = Arc::clone(&asked);
            progress.bound(Box::new(move |bytes| {
                let all = Arc::clone(&all);
                weights.fetch_add(bytes as usize, Ordering::SeqCst);
                Box::pin(async move { Box::new(all.acquire_owned().await.expect("open")) as Room })
            }));
            client.send(Message::Binary(bytes(SMALL as usize).into())).await.expect("sent");
            assert!(server.next().await.expect("a message").is_ok(), "a small one needs none");
            let mut rest = Bytes::from(bytes(length));
            let last = frames.len() - 1;
            for (number, length) in frames.into_iter().enumerate() {
                let kind = if number == 0 { Data::Binary } else { Data::Continue };
                let frame = Frame::message(rest.split_to(length), OpCode::Data(kind), number == last);
                client.send(Message::Frame(frame)).await.expect("sent");
            }
            for _ in 0..3 {
                assert!(server.next().now_or_never().is_none());
            }
            assert!(progress.waited() && !progress.holds());
            let mut waiting = 0;
            // What the system still has of it.
            let inner = &mut server.get_mut().inner;
            let mut left = vec![0; 2 * length];
            while let Some(Ok(read)) = inner.read(&mut left[waiting..]).now_or_never() {
                waiting += read;
            }
            assert!(waiting > length - (1 << 10), "{waiting} of {length}");
            assert_eq!(asked.load(Ordering::SeqCst), weight);
        }
    }

    #[tokio::test]
    async fn room_is_held_until_the_message_is_taken_in_and_is_asked_for_once() {
        let (mut client, mut server, progress) = pair(1 << 20).await;
        let room = Arc::new(Semaphore::new(1));
        let all = Arc::clone(&room);
        progress.bound(Box::new(move |_| {
            let all = Arc::clone(&all);
            Box::pin(async move { Box::new(all.acquire_owned().await.expect("open")) as Room })
        }));
        for _ in 0..3 {
            for _ in 0..2 {
                client.send(Message::Binary(bytes(3 * PART).into())).await.expect("sent");
            }
            for _ in 0..2 {
                assert_eq!(server.next().await.expect("a message").expect("whole").len(), 3 * PART);
                assert!(progress.holds() && room.available_permits() == 0);
                progress.release();
                assert!(!progress.holds() && room.available_permits() == 1);
            }
        }
    }
}
