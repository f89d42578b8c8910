//! tus spoken by hand, for tests that send what no client would.

use base64::Engine;

use crate::round::ROUND;

/// The metadata of an upload: the photo's hash in hex, and the school that it
/// is of.
#[must_use]
pub fn metadata(hash: &str, school: &str) -> String {
    let pairs = [("sha256", hash), ("round", ROUND), ("school", school)];
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    pairs.map(|(name, value)| format!("{name} {}", base64(value))).join(",")
}
