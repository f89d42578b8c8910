//! The words that cross the network.
//!
//! [`wire`] is the automerge-repo WebSocket protocol, [`scan`] looks into
//! chunks before Automerge does, [`api`] and [`problem`] are the HTTP API,
//! [`receipt`] is the server's signed statement, [`json`] reads what comes as JSON
//! to a device. Pure: no I/O.

pub mod api;
pub mod json;
pub mod problem;
pub mod receipt;
pub mod scan;
pub mod wire;
