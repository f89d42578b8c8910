//! Standards as data, the rule engine and the assessment.
//!
//! The way of a figure: a consolidated school becomes a [`input::SchoolInput`]
//! (figures with their sources, open conflicts as variables); the
//! [`assess::Assessor`] holds it against a [`Standard`] and keeps the county up
//! to date; [`effects`] and [`what_if`] run the same assessment on changed
//! inputs; [`forms`] prints it. Results are three-valued and sound: met or not
//! met only if so for every choice of candidates and every possible value of
//! what is missing. No float is used anywhere, and nothing here reads a clock,
//! a file or a source of randomness.
//!
//! The format of standard files is in `FORMAT.md`.

pub mod assess;
pub mod builtin;
pub mod date;
pub mod effects;
pub mod figure;
pub mod forms;
pub mod input;
pub mod number;
pub mod standard;
pub mod what_if;

pub use standard::{Standard, StandardError};
