//! Maps and sets in order, for everything that also runs in the browser.
//!
//! They are the standard library's, except in wasm: there each of more than a
//! hundred types of map would bring a tree of its own, a fifth of all that a
//! phone downloads. What a phone holds is one person's schools, for which a
//! sorted vector does as well; `tests.rs` holds the two to the same behaviour.

#[cfg(not(target_arch = "wasm32"))]
pub use std::collections::{BTreeMap, BTreeSet};

#[cfg(target_arch = "wasm32")]
pub use self::{map::Map as BTreeMap, set::Set as BTreeSet};

#[cfg(any(test, target_arch = "wasm32"))]
mod map;
#[cfg(any(test, target_arch = "wasm32"))]
mod set;
#[cfg(test)]
mod tests;
