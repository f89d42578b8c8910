//! Where connections come from, and how many from one place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::refused;

use super::Peer;

/// An address as it is counted: one of IPv4, or the /64 of one of IPv6, which
/// is what a household or a phone gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    /// The source of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// Where a request comes from: what a proxy that the settings name says,
    /// else who is at the other end. `forwarded` is the `X-Forwarded-For`
    /// header; its last address that is not a proxy of ours was written by one.
    #[must_use]
    pub fn of_request(peer: Option<Peer>, forwarded: Option<&str>, proxies: &[IpAddr]) -> Self {
        let peer = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical());
        if !proxies.contains(&peer) {
            return Self::of(peer);
        }
        let said = forwarded.into_iter().flat_map(|list| list.rsplit(','));
        let known = said.map_while(|address| address.trim().parse::<IpAddr>().ok());
        let first = known.map(|address| address.to_canonical()).find(|address| !proxies.contains(address));
        Self::of(first.unwrap_or(peer))
    }
}

/// The open connections of each source.
pub(super) struct Places {
    open: Mutex<HashMap<Source, usize>>,
    most: usize,
    proxies: Vec<IpAddr>,
}

impl Places {
    pub fn new(most: usize, proxies: Vec<IpAddr>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), most, proxies })
    }

    /// A place for a connection, if its source may have one more. This machine
    /// and proxies that the settings name speak for others and may have any.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        if address.is_loopback() || self.proxies.contains(&address) {
            return Some(Place { places: Arc::clone(self), source: None });
        }
        let source = Source::of(address);
        let mut open = self.lock();
        let count = open.entry(source).or_default();
        if *count >= self.most {
            refused("connections_per_address");
            return None;
        }
        *count += 1;
        Some(Place { places: Arc::clone(self), source: Some(source) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Source, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    source: Option<Source>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut open = self.places.lock();
        if let Some(count) = open.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::counted::Counted;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_source_has_so_many_places_and_gets_them_back() {
        let places = Places::new(2, vec![ip("10.0.0.1")]);
        let rows = [
            ("192.0.2.1", "192.0.2.1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", false),
            ("192.0.2.1", "192.0.2.2", true),
            ("2001:db8::1", "2001:db8::2:3", false),
            ("2001:db8::1", "2001:db8:0:1::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("10.0.0.1", "10.0.0.1", true),
        ];
        for (first, third, fits) in rows {
            let one = places.take(ip(first));
            let two = places.take(ip(first));
            assert!(one.is_some() && two.is_some(), "{first}");
            let counted = Counted::new();
            assert_eq!(places.take(ip(third)).is_some(), fits, "{first} {third}");
            assert_eq!(counted.refused("connections_per_address"), u64::from(!fits), "{first} {third}");
            drop(one);
            assert!(places.take(ip(third)).is_some(), "{first} {third}");
        }
        assert!(places.lock().is_empty());
    }

    #[test]
    fn only_a_proxy_of_the_settings_says_for_whom_it_speaks() {
        let proxies = [ip("10.0.0.1"), ip("10.0.0.2")];
        let rows = [
            ("192.0.2.1", Some("198.51.100.7"), "192.0.2.1"),
            ("10.0.0.1", Some("198.51.100.7"), "198.51.100.7"),
            ("10.0.0.1", Some("203.0.113.9, 198.51.100.7"), "198.51.100.7"),
            ("10.0.0.1", Some("203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7"),
            ("10.0.0.1", Some("198.51.100.7, nonsense"), "10.0.0.1"),
            ("10.0.0.1", None, "10.0.0.1"),
        ];
        for (peer, forwarded, expected) in rows {
            let peer = Peer((ip(peer), 1).into());
            let found = Source::of_request(Some(peer), forwarded, &proxies);
            assert_eq!(found, Source::of(ip(expected)), "{peer:?} {forwarded:?}");
        }
    }
}
