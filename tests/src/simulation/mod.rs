//! Clients, links and a server in one process, on one seed.
//!
//! What runs is the product: the clients are `duxue_client_core::Engine`, the
//! server is the whole `duxue_server::app::App` with its routes, its hub and
//! its journal. Simulated are only the seams that exist for it: the journal's
//! [`Disk`](duxue_server::store::journal::disk::Disk), the
//! [`Store`](duxue_server::store::Store) in front of it ([`store`]), the
//! session's [`Socket`](duxue_server::hub::session::Socket) ([`socket`]), the
//! photos' [`Files`](duxue_server::photos::files::Files) ([`photos`]), the
//! clients' stores ([`device`]) and tokio's clock.
//!
//! A step is one thing that happens: a frame arrives, a write ends, a group is
//! flushed, a timer fires, someone captures a value, or something breaks
//! ([`world`]). Between two steps the server runs until it can do no more.
//!
//! [`ledger`] is the judge. It reads what is on the server's disk by itself
//! and listens to everything that the server says.
//!
//! Not the product here: the index is the in-memory model instead of sled, so
//! that a restart is cheap; both pass the store's conformance suite. The
//! committing thread is the real one and is given one commit at a time. What
//! the server does on other threads ([`duxue_server::heavy`]) it does at once
//! here, so that a seed gives the same run again.

pub mod check;
mod desk;
pub mod device;
pub mod ledger;
pub mod machine;
mod network;
pub mod photos;
pub mod prototype;
pub mod socket;
pub mod store;
mod trouble;
pub mod work;
pub mod world;
