//! Standards as data, the rule engine and the assessment.
pub mod builtin;
pub mod date;
pub mod number;
pub mod standard;

pub use standard::{Standard, StandardError};
