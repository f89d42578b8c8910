//! x
/// x
pub(super) fn files() -> Vec<(String, Vec<u8>)> {
    Vec::new()
}
