//! A link between devices and the server that can be cut in the middle of a
//! transfer, and that counts the bytes that went up.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

struct State {
    server: Mutex<Option<SocketAddr>>,
    /// Bytes that may still go up before everything is cut.
    allowance: AtomicI64,
    up: AtomicU64,
}

/// A relay on a loopback port of its own, which stays the same however often
/// the server behind it is restarted.
pub struct Link {
    state: Arc<State>,
    address: SocketAddr,
}

impl Link {
    /// Opens the link, without a server behind it.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            server: Mutex::new(None),
            allowance: AtomicI64::new(i64::MAX),
            up: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || relay(&client, &state));
            }
        });
        Self { state, address }
    }

    /// The address that devices use.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a server behind the link, or none.
    pub fn lead_to(&self, server: Option<SocketAddr>) {
        *self.state.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Cuts every connection once this many more bytes have gone up, and lets
    /// none through after that until [`Link::mend`].
    pub fn cut_after(&self, bytes: i64) {
        self.state.allowance.store(bytes, Ordering::SeqCst);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.state.allowance.store(i64::MAX, Ordering::SeqCst);
    }

    /// Bytes that went up since the last call.
    #[must_use]
    pub fn take_bytes_up(&self) -> u64 {
        self.state.up.swap(0, Ordering::SeqCst)
    }
}

fn relay(client: &TcpStream, state: &Arc<State>) {
    let server = *state.server.lock().unwrap_or_else(PoisonError::into_inner);
    let open = state.allowance.load(Ordering::SeqCst) > 0;
    let Some(server) = server.filter(|_| open).and_then(|address| TcpStream::connect(address).ok()) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let state = Arc::clone(state);
    let up = std::thread::spawn(move || {
        let _ = copy_up(&from_client, &to_server, &state);
        let _ = from_client.shutdown(Shutdown::Both);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut &server, &mut &*client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = up.join();
}

fn copy_up(mut from: &TcpStream, mut to: &TcpStream, state: &State) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let before = state.allowance.fetch_sub(count as i64, Ordering::SeqCst);
        let allowed = usize::try_from(before.clamp(0, count as i64)).unwrap_or(0);
        to.write_all(&buffer[..allowed])?;
        state.up.fetch_add(allowed as u64, Ordering::SeqCst);
        if allowed < count {
            return Ok(());
        }
    }
}
