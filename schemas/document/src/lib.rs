//! What an inspection means: documents, entries, claims, conflicts and the one
//! consolidated reading of them.
//!
//! This crate is pure. It has no I/O, no clock and no source of randomness,
//! and builds for wasm32, so that the phone and the server read a survey in
//! exactly the same way. Words are those of the regulation 教督〔2017〕6号 and
//! of Automerge.

pub mod changed;
pub mod claim;
pub mod collections;
pub mod conflict;
pub mod consolidate;
pub mod consolidated;
pub mod decimal;
pub mod decision;
pub mod genesis;
pub mod history;
pub mod ids;
pub mod path;
mod read;
pub mod schema;
pub mod school;
pub mod statements;
pub mod write;

pub use claim::{Captured, Claim, Place, Scalar, Value};
pub use decimal::Decimal;
pub use ids::*;
pub use path::EntryPath;
