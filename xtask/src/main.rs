//! See the library's documentation, or `cargo xtask help`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::steps;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The only build tool of Duxue")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that CI runs; stops at the first failure
    Test {
        /// Leave out the documentation and the wasm32 build
        #[arg(long)]
        quick: bool,
    },
    /// Only the format
    Fmt,
    /// Only the rules that no compiler checks
    Tidy,
    /// Only licences, bans and sources of dependencies
    Deny,
    /// Only the lints
    Clippy,
    /// Only the programs
    Build,
    /// Only the tests of the workspace
    Unit,
    /// Only the documentation
    Doc,
    /// Only the pure crates for wasm32
    Wasm,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { quick } => steps::test(quick),
        Task::Fmt => steps::one("fmt"),
        Task::Tidy => steps::one("tidy"),
        Task::Deny => steps::one("deny"),
        Task::Clippy => steps::one("clippy"),
        Task::Build => steps::one("build"),
        Task::Unit => steps::one("unit"),
        Task::Doc => steps::one("doc"),
        Task::Wasm => steps::one("wasm"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
