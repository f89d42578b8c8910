//! The accept loop.

use std::future::Future;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use warp::filters::BoxedFilter;

use crate::config::refused;
use crate::hub::count;

use super::address::Places;
use super::connection::{Connection, Shared};
use super::layers::{Peer, Slot};
use super::turns::{Known, Turns};
use super::{Ended, Limits, Stop, TransportError};

/// After an error that is the machine's and not one connection's: no file
/// descriptors, no memory. Trying again at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server knows of those who connect.
#[derive(Clone)]
pub struct Trust {
    /// Proxies in front of the server, which speak for many.
    pub proxies: Vec<IpAddr>,
    /// Whether a request carries a token that stands; others are strangers'.
    pub known: Known,
}

/// Opens the listening socket, so that an address in use is an error with a
/// name and not a panic.
///
/// # Errors
/// [`TransportError::Bind`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, TransportError> {
    TcpListener::bind(address).await.map_err(|source| TransportError::Bind { address, source })
}

/// Serves `routes` until `shutdown` completes, then stops gracefully: no new
/// connections, requests that run are finished, sockets are told to close;
/// what is left at the deadline of [`Limits::stop`] is dropped.
///
/// `stop` is the same that the routes gave to [`super::ws`].
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: BoxedFilter<(warp::reply::Response,)>,
    limits: Limits,
    trust: Trust,
    stop: Stop,
    shutdown: impl Future<Output = ()> + Send,
) -> Ended {
    let Trust { proxies, known } = trust;
    let (turns, places) = (Turns::new(&limits, known), Places::new(limits.connections_per_address, proxies));
    let shared = Arc::new(Shared { routes, tls, limits, turns, places });
    let slots = Arc::new(Semaphore::new(limits.connections));
    {
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                connection = next(&listener, &slots, &shared) => {
                    let stopping = stop.stopping();
                    stop.spawn(connection.run(stopping));
                }
            }
        }
    }
    // From here the system refuses new connections.
    drop(listener);
    stop.stop(limits.stop).await
}

/// Waits for a free slot and then for a connection to put in it.
async fn next(listener: &TcpListener, slots: &Arc<Semaphore>, shared: &Arc<Shared>) -> Connection {
    loop {
        if slots.available_permits() == 0 {
            refused("connections");
        }
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else {
            // Nobody closes the semaphore; waiting is right if somebody did.
            return std::future::pending().await;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(place) = shared.places.take(peer.ip()) else { continue };
                let open = shared.limits.connections.saturating_sub(slots.available_permits());
                metrics::gauge!("duxue_connections").set(count(open));
                let slot = Slot(Arc::new((slot, place)));
                return Connection { stream, peer: Peer(peer), slot, shared: Arc::clone(shared) };
            }
            Err(error) if of_one_connection(error.kind()) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client went away before it was accepted.
fn of_one_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
