//! The only build tool. `cargo xtask test` is everything that CI runs,
//! `cargo xtask run` starts a server with the demonstration county.
//!
//! It stands on nothing else of this repository, so that it builds in seconds
//! and still says what is wrong when something else does not build. The
//! demonstration county is public for the tests of the whole.

pub mod bench;
pub mod browser;
pub mod demo;
pub mod node;
pub mod policy;
pub mod process;
pub mod run;
pub mod steps;
pub mod tidy;
pub mod wasm;
pub mod web;
