//! `cargo xtask web`: the wasm core, its glue, and the web app around it.

use std::path::{Path, PathBuf};

use crate::process::{Failure, Outcome, cargo, command, output, root, run, target_dir};
use crate::{node, wasm};

/// What the phone may download before it can capture, compressed.
const PHONE_BYTES: u64 = 450 * 1000;

/// The crate and its profile.
const SHELL: [&str; 4] = ["-p", "duxue-client-wasm", "--profile", "wasm-release"];

/// The project of the web app.
#[must_use]
pub fn folder() -> PathBuf {
    root().join("web")
}

/// Where the built app is.
#[must_use]
pub fn built() -> PathBuf {
    folder().join("dist")
}

/// Builds the app and prints its size.
///
/// # Errors
/// [`Failure`] that says what to install, or what did not build.
pub fn step() -> Outcome {
    node::install(&folder())?;
    core()?;
    let npm = |script: &str| run(command("npm", &["run", "--silent", script]).current_dir(folder()));
    npm("check")?;
    npm("build")?;
    npm("build:desk")?;
    pack("desk")?;
    sizes()
}

/// Whether the app can be built here; where it cannot, why not.
///
/// # Errors
/// What to install.
pub fn can_build() -> Outcome {
    node::check_version()
}

/// The wasm shell with its glue, in `web/src/generated`.
fn core() -> Outcome {
    let below = wasm::build(&SHELL, wasm::Size::Small)?;
    same_version()?;
    run(&mut cargo(&["build", "--locked", "-p", "duxue-bindgen"]))?;
    let bindgen = target_dir().join("debug/duxue-bindgen");
    let mut glue = command(&bindgen.to_string_lossy(), &[]);
    glue.arg(below.join("wasm-release/duxue_client_wasm.wasm")).arg(folder().join("src/generated"));
    run(&mut glue)
}

/// The glue is written for exactly one version of what the shell links.
fn same_version() -> Outcome {
    let lock = root().join("Cargo.lock");
    let text =
        std::fs::read_to_string(&lock).map_err(|error| Failure(format!("{}: {error}", lock.display())))?;
    let [shell, glue] = ["wasm-bindgen", "wasm-bindgen-cli-support"].map(|name| versions(&text, name));
    if shell.len() == 1 && shell == glue {
        return Ok(());
    }
    Err(Failure(format!("Cargo.lock: wasm-bindgen {shell:?} and wasm-bindgen-cli-support {glue:?} differ")))
}

fn versions<'a>(lock: &'a str, name: &str) -> Vec<&'a str> {
    let head = format!("name = \"{name}\"\nversion = \"");
    let found = lock.match_indices(&head).filter_map(|(at, _)| lock[at + head.len()..].split('"').next());
    found.collect()
}

/// Compresses an entry's files beside them; gives their sizes.
fn pack(entry: &str) -> Outcome<String> {
    output(command("node", &["scripts/pack.mjs"]).arg(built().join(entry)).current_dir(folder()))
}

/// Prints what the phone downloads: raw, and as it is sent.
fn sizes() -> Outcome {
    let text = pack("phone")?;
    print!("{text}");
    let total = text.lines().find_map(|line| line.strip_prefix("compressed bytes: ")?.parse().ok());
    let total: u64 = total.ok_or_else(|| Failure("the sizes were not printed".to_owned()))?;
    let target = if total <= PHONE_BYTES { "within" } else { "above" };
    println!("{target} the target of {} kB", PHONE_BYTES / 1000);
    Ok(())
}

/// Whether the app was built.
#[must_use]
pub fn is_built() -> bool {
    Path::new(&built().join("phone/index.html")).is_file()
}

#[cfg(test)]
mod tests {
    use super::versions;

    #[test]
    fn a_lock_file_names_every_version_of_a_package() {
        let lock = "name = \"a\"\nversion = \"1.2\"\n\nname = \"ab\"\nversion = \"3\"\n\nname = \"a\"\nversion = \"2\"\n";
        assert_eq!(versions(lock, "a"), ["1.2", "2"]);
        assert!(versions(lock, "b").is_empty());
    }
}
