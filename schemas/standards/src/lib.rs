//! Standards as data, the rule engine and the assessment.
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
