//! JSON text to our types, through one tree.
//!
//! serde makes the code that reads a type anew for each format, and for every
//! shape that the format lets it come in. Read from the text itself, an object
//! may also be a list and a name may be bytes or a number, and each type of
//! ours brings the parser's steps with it: this was the largest part of what a
//! phone downloads. From the tree an object is an object, and the parser's steps
//! are there once.

mod node;
#[cfg(test)]
mod tests;

use serde::de::DeserializeOwned;
use serde_json::Error;

use node::Node;

/// Reads a value from JSON text.
///
/// # Errors
/// What is not JSON, or not such a value. A structure that comes as a list is
/// refused, which serde_json itself would read by the order of the fields.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    let tree: Node = serde_json::from_slice(text)?;
    T::deserialize(tree)
}
