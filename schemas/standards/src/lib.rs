//! Standards as data, the rule engine and the assessment.
pub mod assess;
pub mod builtin;
pub mod date;
pub mod figure;
pub mod input;
pub mod number;
pub mod standard;

pub use standard::{Standard, StandardError};
