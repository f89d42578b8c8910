//! `cargo xtask node`: the packages of the foreign clients that the tests
//! start, exactly those of their lock file.

use std::path::{Path, PathBuf};

use crate::process::{Failure, Outcome, command, output, root, run};

/// The oldest Node that the packages run on.
const OLDEST: u32 = 20;

/// Where the foreign clients are.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("tests/foreign")
}

/// Installs the packages if they are absent or other than the lock file says.
///
/// # Errors
/// [`Failure`] that says what to install where Node or npm is missing, or
/// what npm failed at.
pub fn step() -> Outcome {
    install(&folder())
}

/// Installs the packages of a folder if they are absent or other than its lock
/// file says.
///
/// # Errors
/// As for [`step`].
pub fn install(folder: &Path) -> Outcome {
    check_version()?;
    let wanted = wanted(folder)?;
    let stamp = folder.join("node_modules/.installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("the packages of {} are as the lock file says", short(folder));
        return Ok(());
    }
    run(command("npm", &["ci", "--no-progress"]).current_dir(folder))?;
    std::fs::write(&stamp, wanted).map_err(|error| Failure(format!("{}: {error}", stamp.display())))
}

fn short(folder: &Path) -> String {
    folder.strip_prefix(root()).unwrap_or(folder).display().to_string()
}

/// Whether Node and npm are there and new enough.
///
/// # Errors
/// [`Failure`] that says what to install.
pub fn check_version() -> Outcome {
    let missing = |what: &str| {
        Failure(format!(
            "{what}: the web app and the tests with foreign clients need Node {OLDEST} or newer with npm, from nodejs.org or \
             from the distribution (`apt-get install nodejs npm` on Debian 13)"
        ))
    };
    let version = output(&mut command("node", &["--version"])).map_err(|failure| missing(&failure.0))?;
    output(&mut command("npm", &["--version"])).map_err(|failure| missing(&failure.0))?;
    let major = major(&version).ok_or_else(|| missing(&format!("node says {version:?}")))?;
    if major >= OLDEST { Ok(()) } else { Err(missing(&format!("this is Node {major}"))) }
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// What decides which packages there are.
fn wanted(folder: &Path) -> Outcome<Vec<u8>> {
    let mut wanted = Vec::new();
    for name in ["package.json", "package-lock.json"] {
        let file = folder.join(name);
        let bytes = std::fs::read(&file).map_err(|error| Failure(format!("{}: {error}", file.display())))?;
        wanted.extend(bytes);
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_version_is_read_as_node_prints_it() {
        let rows = [("v20.20.2\n", Some(20)), ("v9.0.0", Some(9)), ("20.1.0", None), ("", None)];
        for (version, expected) in rows {
            assert_eq!(major(version), expected, "{version}");
        }
    }
}
