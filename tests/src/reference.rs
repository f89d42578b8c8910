//! The independent computation in `tests/reference/assess.py`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs the independent computation on a case.
///
/// # Panics
/// If Python is not there or the computation fails.
#[must_use]
pub fn assess(case: &Value, folder: &Path) -> Value {
    let input = folder.join("case.json");
    std::fs::write(&input, case.to_string()).expect("a writable folder");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/reference/assess.py");
    let output = Command::new("python3").arg(script).arg(&input).output().expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
