//! See the library's documentation, or `cargo xtask help`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, demo, run, steps};

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
        /// Leave out the documentation, the wasm32 build and the browser
        #[arg(long)]
        quick: bool,
    },
    /// Starts a server with the demonstration county and says how to log in
    Run {
        /// Begin with an empty data folder
        #[arg(long)]
        fresh: bool,
        /// Build with optimisation
        #[arg(long)]
        release: bool,
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:7350")]
        listen: SocketAddr,
    },
    /// Measures the server beside this machine's floors and, with --peers, beside other servers
    #[command(disable_help_flag = true)]
    Bench {
        /// What the generator is told; `cargo xtask bench --help` lists it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Serves the document hook of the yardstick's own load generator
    BenchHook,
    /// Writes the demonstration county's files to a folder
    Demo {
        /// Where to; made if it is not there
        folder: PathBuf,
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
    /// Only the packages of the foreign clients in tests
    Node,
    /// Only the tests of the workspace
    Unit,
    /// Only the documentation
    Doc,
    /// Only the pure crates for wasm32
    Wasm,
    /// Only the web app with its wasm core
    Web,
    /// Only the phone's main job in a real browser, with the web app as built
    Browser,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { quick } => steps::test(quick),
        Task::Run { fresh, release, listen } => run::run(&run::Options { fresh, release, listen }),
        Task::Bench { arguments } => bench::bench(false, &arguments),
        Task::BenchHook => bench::bench(true, &[]),
        Task::Demo { folder } => demo::write(&folder),
        Task::Fmt => steps::one("fmt"),
        Task::Tidy => steps::one("tidy"),
        Task::Deny => steps::one("deny"),
        Task::Clippy => steps::one("clippy"),
        Task::Build => steps::one("build"),
        Task::Node => steps::one("node"),
        Task::Unit => steps::one("unit"),
        Task::Doc => steps::one("doc"),
        Task::Wasm => steps::one("wasm"),
        Task::Web => steps::one("web"),
        Task::Browser => steps::one("browser"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nerror: {failure}");
            ExitCode::FAILURE
        }
    }
}
