//! The warp server: sessions, durable documents, photos, accounts, assessment.

pub mod accounts;
pub mod app;
pub mod audit;
pub mod clock;
pub mod config;
pub mod fault;
pub mod feed;
pub mod heavy;
pub mod http;
pub mod hub;
pub mod import;
pub mod photos;
pub mod policy;
pub mod random;
pub mod readmodel;
pub mod receipts;
pub mod rounds;
pub mod rows;
pub mod scrub;
pub mod server;
pub mod store;
pub mod transport;
pub mod watched;

// The tests of the hub run the server whole, with what `server/tests` has for it.
#[cfg(test)]
extern crate self as duxue_server;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod test_county;

pub use config::Config;
pub use server::{Server, serve};
