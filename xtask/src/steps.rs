//! `cargo xtask test`: what CI runs, step by step.

use std::time::{Duration, Instant};

use crate::process::{Failure, Outcome, cargo, run};
use crate::{browser, node, policy, tidy, wasm, web};

/// One step of the check.
pub struct Step {
    /// Name of the step and of its sub-command.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// Whether `test --quick` runs it too.
    pub quick: bool,
    run: fn() -> Outcome,
}

/// Every step in the order in which CI runs them: what fails fast comes first.
pub const STEPS: [Step; 11] = [
    Step { name: "fmt", what: "the format of all Rust files", quick: true, run: fmt },
    Step { name: "tidy", what: "the rules that no compiler checks", quick: true, run: tidy::step },
    Step { name: "deny", what: "licences, bans and sources of dependencies", quick: true, run: policy::step },
    Step { name: "clippy", what: "lints of every target, warnings denied", quick: true, run: clippy },
    Step {
        name: "build",
        what: "every target, among them the programs that tests start",
        quick: true,
        run: build,
    },
    Step { name: "node", what: "the packages of the foreign clients in tests", quick: true, run: node::step },
    Step { name: "unit", what: "all tests of the workspace", quick: true, run: tests },
    Step { name: "doc", what: "the documentation, warnings denied", quick: false, run: doc },
    Step { name: "wasm", what: "the pure crates for wasm32", quick: false, run: wasm::step },
    Step { name: "web", what: "the web app with its wasm core, and its size", quick: false, run: web::step },
    Step {
        name: "browser",
        what: "the phone's main job in a real browser",
        quick: false,
        run: browser::step,
    },
];

/// Runs the steps until one fails, and prints how long each took.
///
/// # Errors
/// The [`Failure`] of the step that failed, with its name.
pub fn test(quick: bool) -> Outcome {
    let start = Instant::now();
    let mut done: Vec<(&str, Duration)> = Vec::new();
    for step in STEPS.iter().filter(|step| step.quick || !quick) {
        println!("\n=== {}: {} ===", step.name, step.what);
        let begin = Instant::now();
        let outcome = (step.run)();
        done.push((step.name, begin.elapsed()));
        if let Err(failure) = outcome {
            summary(&done, start.elapsed());
            return Err(Failure(format!(
                "step {0} failed: {failure}\nrun it alone with `cargo xtask {0}`",
                step.name
            )));
        }
    }
    summary(&done, start.elapsed());
    println!("all {} steps passed", done.len());
    Ok(())
}

/// Runs one step by its name.
///
/// # Errors
/// The step's [`Failure`].
pub fn one(name: &str) -> Outcome {
    match STEPS.iter().find(|step| step.name == name) {
        Some(step) => (step.run)(),
        None => Err(Failure(format!("there is no step {name}"))),
    }
}

fn summary(done: &[(&str, Duration)], total: Duration) {
    println!("\n=== summary ===");
    for (name, time) in done {
        println!("{name:<8} {:>7.1} s", time.as_secs_f32());
    }
    println!("{:<8} {:>7.1} s", "total", total.as_secs_f32());
}

fn fmt() -> Outcome {
    run(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    run(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn build() -> Outcome {
    // All targets at once, so that features are resolved as for the tests and
    // nothing is built twice.
    run(&mut cargo(&["build", "--locked", "--workspace", "--all-targets"]))
}

fn tests() -> Outcome {
    // Tests that start our programs need not build them: the step before did.
    run(cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]).env("XTASK_BUILT", "1"))
}

fn doc() -> Outcome {
    // A module's page may speak of its private parts: whoever reads it has the source.
    run(cargo(&["doc", "--locked", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
}
