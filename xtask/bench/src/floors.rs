//! What this machine can do at all: a flush of the disk, a round trip on
//! loopback, both sides' Automerge work without a network, photos written and
//! flushed, photos decoded.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use automerge::Automerge;
use automerge::sync::{State, SyncDoc};

use crate::Outcome;
use crate::sheet::percentile;

/// Bytes of a small record in the journal.
const RECORD: usize = 512;
/// A frame with one small change.
const FRAME: usize = 256;
/// The longest that one of these may take.
const ENOUGH: Duration = Duration::from_secs(2);

/// Times in milliseconds: the middle one, and one in a hundred.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Half take less.
    pub p50_ms: f64,
    /// One in a hundred takes more.
    pub p99_ms: f64,
}

fn times(
    count: usize,
    rest: Duration,
    mut once: impl FnMut() -> std::io::Result<()>,
) -> std::io::Result<Times> {
    let (begin, mut took) = (Instant::now(), Vec::new());
    while took.len() < count && begin.elapsed() < ENOUGH {
        std::thread::sleep(rest);
        let at = Instant::now();
        once()?;
        took.push(at.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(Times { p50_ms: percentile(&took, 0.5), p99_ms: percentile(&took, 0.99) })
}

/// Appending a small record and flushing it, on the data folder's disk, after
/// a rest: a disk that was just used answers sooner.
///
/// # Errors
/// What the disk says.
pub fn flush(folder: &Path, rest: Duration) -> Outcome<Times> {
    let path = folder.join("flush");
    let measured = || -> std::io::Result<Times> {
        let mut file = File::options().create(true).append(true).open(&path)?;
        times(400, rest, || {
            file.write_all(&[7; RECORD])?;
            file.sync_data()
        })
    };
    let outcome = measured().map_err(|error| format!("{}: {error}", path.display()));
    let _ = std::fs::remove_file(&path);
    outcome
}

/// A small frame to another thread over loopback, and back.
///
/// # Errors
/// When there is no port.
pub fn echo() -> Outcome<Times> {
    let measured = || -> std::io::Result<Times> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || -> std::io::Result<()> {
            let (mut socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            let mut frame = [0; FRAME];
            loop {
                socket.read_exact(&mut frame)?;
                socket.write_all(&frame)?;
            }
        });
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let mut frame = [7; FRAME];
        times(4000, Duration::ZERO, || {
            socket.write_all(&frame)?;
            socket.read_exact(&mut frame)
        })
    };
    measured().map_err(|error| error.to_string())
}

/// Seconds that each side's Automerge work takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sides {
    /// The clients'.
    pub clients_s: f64,
    /// The server's.
    pub server_s: f64,
}

/// Two sides that sync with each other by calls instead of frames: the server's
/// document, and each client's document with both states.
///
/// # Errors
/// What Automerge says.
pub fn exchange(server: &mut Automerge, clients: &mut [Automerge]) -> Outcome<Sides> {
    let mut sides = Sides::default();
    let mut states: Vec<(State, State)> = clients.iter().map(|_| (State::new(), State::new())).collect();
    loop {
        let mut said = false;
        // All messages up, then all down, as a server would that batches them.
        for (client, (own, of_client)) in clients.iter_mut().zip(&mut states) {
            let at = Instant::now();
            let up = client.generate_sync_message(own).map(|message| message.encode());
            sides.clients_s += at.elapsed().as_secs_f64();
            let Some(up) = up else { continue };
            said = true;
            let at = Instant::now();
            let message = automerge::sync::Message::decode(&up).map_err(|error| error.to_string())?;
            server.receive_sync_message(of_client, message).map_err(|error| error.to_string())?;
            sides.server_s += at.elapsed().as_secs_f64();
        }
        for (client, (own, of_client)) in clients.iter_mut().zip(&mut states) {
            let at = Instant::now();
            let down = server.generate_sync_message(of_client).map(|message| message.encode());
            sides.server_s += at.elapsed().as_secs_f64();
            let Some(down) = down else { continue };
            said = true;
            let at = Instant::now();
            let message = automerge::sync::Message::decode(&down).map_err(|error| error.to_string())?;
            client.receive_sync_message(own, message).map_err(|error| error.to_string())?;
            sides.clients_s += at.elapsed().as_secs_f64();
        }
        if !said {
            return Ok(sides);
        }
    }
}

/// Writes the same photos to files and flushes each, from as many threads as
/// there are clients; seconds.
///
/// # Errors
/// What the disk says.
pub fn write_and_flush(folder: &Path, photo: &[u8], clients: usize, each: usize) -> Outcome<f64> {
    let folder = folder.join("written");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let begin = Instant::now();
    let written: std::io::Result<()> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let folder = &folder;
                scope.spawn(move || -> std::io::Result<()> {
                    for number in 0..each {
                        let mut file = File::create(folder.join(format!("{client}-{number}")))?;
                        file.write_all(photo)?;
                        file.sync_data()?;
                    }
                    Ok(())
                })
            })
            .collect();
        let failed = || std::io::Error::other("a thread failed");
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(failed())))
    });
    let took = begin.elapsed().as_secs_f64();
    let _ = std::fs::remove_dir_all(&folder);
    written.map(|()| took).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Decodes a photo on one core; milliseconds.
///
/// # Errors
/// If it is not a photo.
pub fn decode(photo: &[u8]) -> Outcome<f64> {
    let begin = Instant::now();
    let mut count = 0_u32;
    while count < 20 && begin.elapsed() < ENOUGH {
        let image = image::load_from_memory(photo).map_err(|error| error.to_string())?;
        std::hint::black_box(image.into_rgb8());
        count += 1;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e3 / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents;

    #[test]
    fn an_exchange_ends_with_everyone_having_everything() {
        let base = documents::survey(2).expect("written");
        let mut clients: Vec<Automerge> = (0..3)
            .map(|who| {
                let mut fork = base.fork();
                documents::edit(&mut fork, who, 1).expect("written");
                fork
            })
            .collect();
        let mut server = base.fork();
        exchange(&mut server, &mut clients).expect("they agree");
        assert_eq!(server.get_heads().len(), 3);
        assert!(clients.iter().all(|client| client.get_heads() == server.get_heads()));
    }
}
