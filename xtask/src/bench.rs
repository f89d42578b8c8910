//! `cargo xtask bench`: builds the server and the load generator with
//! optimisation and lets the generator measure.

use std::path::Path;

use crate::process::{Failure, Outcome, cargo, command, root, run as finish, target_dir};
use crate::{browser, run, web};

/// Measures; `arguments` are the generator's, of which `--help` tells. `hook`
/// serves the yardstick's own generator instead; `app` measures the phone's app
/// in a browser.
///
/// # Errors
/// [`Failure`] if a program does not build or something of ours cannot be measured.
pub fn bench(hook: bool, arguments: &[String]) -> Outcome {
    let is_app = arguments.first().is_some_and(|row| row == "app");
    let with = if is_app { "duxue-client" } else { "duxue-bench" };
    finish(&mut cargo(&["build", "--locked", "--release", "-p", "duxue-server", "-p", with]))?;
    let programs = target_dir().join("release");
    let programs = if programs.is_absolute() { programs } else { root().join(programs) };
    if is_app {
        return app(&programs);
    }
    let here = std::env::current_dir().map_err(|error| Failure(error.to_string()))?;
    let mut generator = std::process::Command::new(programs.join("duxue-bench"));
    // From where the person is, so that the files that they name are theirs.
    generator.current_dir(here).arg(if hook { "hook" } else { "run" });
    generator.arg("--server").arg(programs.join("duxue-server"));
    generator.arg("--data").arg(target_dir().join("bench-data"));
    finish(generator.args(arguments))
}

/// The phone's app in a browser, on a server with the demonstration county.
fn app(programs: &Path) -> Outcome {
    if !web::is_built() {
        return Err(Failure("the web app is not built yet: run `cargo xtask web` first".to_owned()));
    }
    let chromium = browser::chromium()?;
    run::served(&target_dir().join("bench-app"), programs, |address| {
        let mut measure = command("node", &["test/bench.mjs"]);
        measure
            .current_dir(web::folder())
            .env("DUXUE_URL", format!("http://{address}"))
            .env("DUXUE_CLI", programs.join("duxue"))
            .env("CHROMIUM", &chromium);
        finish(&mut measure)
    })
}
