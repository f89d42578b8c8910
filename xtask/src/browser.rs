//! `cargo xtask browser`: the app in a real browser, on a server with the
//! demonstration county.

use crate::process::{Failure, Outcome, cargo, command, output, root, run as finish, target_dir, works};
use crate::{run, wasm, web};

/// A test ends by then, whatever hangs; every wait in it is shorter. The
/// longest takes about three minutes on a machine with two cores that does nothing else.
const SECONDS: &str = "900";
/// Names that browsers of the Chromium family have.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Each on a server of its own, so that none sees what another left. The first
/// clears the folder of pictures.
const TESTS: [&str; 6] = [
    "test/phone.mjs",
    "test/board.mjs",
    "test/admin.mjs",
    "test/desk.mjs",
    "test/forms.mjs",
    "test/windows.mjs",
];
/// The browser, and a small font with Chinese characters for the pictures.
const PACKAGES: [&str; 2] = ["chromium", "fonts-wqy-microhei"];

/// Runs the tests of `web/test`, each against a server of its own.
///
/// # Errors
/// [`Failure`] that says what to install or to build first, or that the test failed.
pub fn step() -> Outcome {
    if !web::is_built() {
        return Err(Failure("the web app is not built yet: run `cargo xtask web` first".to_owned()));
    }
    let chromium = chromium()?;
    // All targets, so that features are resolved as for the tests and nothing
    // is built twice.
    finish(&mut cargo(&["build", "--locked", "--workspace", "--all-targets"]))?;
    let photos = root().join("xtask/src/demo/data/photos");
    TESTS.into_iter().try_for_each(|file| {
        run::served(&target_dir().join("browser"), &target_dir().join("debug"), |address| {
            let mut test = command("timeout", &[SECONDS, "node", file]);
            test.current_dir(web::folder())
                .env("DUXUE_URL", format!("http://{address}"))
                .env("DUXUE_CLI", target_dir().join("debug/duxue"))
                .env("DUXUE_PHOTOS", &photos)
                .env("CHROMIUM", &chromium);
            finish(&mut test)
        })
    })
}

/// Where the browser is, installed first where this process may.
///
/// # Errors
/// [`Failure`] that says what to install.
pub fn chromium() -> Outcome<String> {
    if let Some(path) = installed() {
        return Ok(path);
    }
    let how = format!("no Chromium here: install it with `apt-get install {}`", PACKAGES.join(" "));
    if !wasm::is_root() || !works(&mut command("apt-get", &["--version"])) {
        return Err(Failure(how));
    }
    finish(&mut command("apt-get", &["update", "-q"]))?;
    let mut install = command("apt-get", &["install", "-q", "-y", "--no-install-recommends"]);
    finish(install.args(PACKAGES).env("DEBIAN_FRONTEND", "noninteractive"))?;
    installed().ok_or(Failure(how))
}

fn installed() -> Option<String> {
    let name = NAMES.into_iter().find(|name| works(&mut command(name, &["--version"])))?;
    let path = output(&mut command("which", &[name])).ok()?;
    Some(path.trim().to_owned())
}
