//! `cargo xtask bench`: builds the server and the load generator with
//! optimisation and lets the generator measure.

use crate::process::{Failure, Outcome, cargo, root, run as finish, target_dir};

/// Measures; `arguments` are the generator's, of which `--help` tells. `hook`
/// serves the yardstick's own generator instead.
///
/// # Errors
/// [`Failure`] if a program does not build or something of ours cannot be measured.
pub fn bench(hook: bool, arguments: &[String]) -> Outcome {
    finish(&mut cargo(&["build", "--locked", "--release", "-p", "duxue-server", "-p", "duxue-bench"]))?;
    let programs = target_dir().join("release");
    let programs = if programs.is_absolute() { programs } else { root().join(programs) };
    let here = std::env::current_dir().map_err(|error| Failure(error.to_string()))?;
    let mut generator = std::process::Command::new(programs.join("duxue-bench"));
    // From where the person is, so that the files that they name are theirs.
    generator.current_dir(here).arg(if hook { "hook" } else { "run" });
    generator.arg("--server").arg(programs.join("duxue-server"));
    generator.arg("--data").arg(target_dir().join("bench-data"));
    finish(generator.args(arguments))
}
