//! `cargo xtask bench`: measures the server beside what this machine can do at
//! all, and beside other servers that speak the same protocol, in one run.
//!
//! A program of its own and not a part of xtask, because a generator must be
//! optimised like what it measures, and because xtask builds without the
//! product. It knows servers only by their processes, their sockets and their
//! data folders; the server has no route for it.
//!
//! Needs Linux: it reads `/proc`.

mod client;
mod county;
mod documents;
mod floors;
mod hook;
mod photo;
mod process;
mod rows;
mod run;
mod server;
mod sheet;
mod table;
mod targets;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What a step gives; an error is a sentence for the person at the terminal.
pub type Outcome<T = ()> = Result<T, String>;

#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    about = "Measures the server beside this machine's floors and beside peers"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures rows and prints them as a table
    Run(Run),
    /// Prepares counties, serves the document hook of the yardstick's load
    /// generator, and prints how to start the generator against our server
    Hook(Place),
    /// Becomes our server on a data folder, which is filled first if empty
    #[command(hide = true)]
    Serve {
        /// The prepared data folder
        #[arg(long)]
        from: PathBuf,
        /// The data folder
        #[arg(long)]
        data: PathBuf,
        /// Where to listen on loopback
        #[arg(long)]
        port: u16,
        /// The server's program
        #[arg(long)]
        server: PathBuf,
    },
    /// Becomes a program that dies with its parent
    #[command(hide = true)]
    Tied {
        /// The parent's process id
        parent: u32,
        /// The program
        program: String,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Prints the figures of the assessment row
    #[command(hide = true)]
    Assess {
        /// How many counties
        counties: u32,
    },
}

/// What is measured, and where.
#[derive(Args)]
struct Place {
    /// The server's program
    #[arg(long)]
    server: PathBuf,
    /// The folder for data, on the disk that is to be measured
    #[arg(long)]
    data: PathBuf,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    place: Place,
    /// Rows: upload, visible, loop-2, loop-10, fan-in, memory, reopen, kill, photos, assessment; all if none is named
    rows: Vec<String>,
    /// Measures the peers of this folder too (default: DUXUE_YARDSTICK)
    #[arg(long, num_args = 0..=1, default_missing_value = "")]
    peers: Option<PathBuf>,
    /// One run with little load, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Writes every figure of every run here
    #[arg(long)]
    json: Option<PathBuf>,
    /// Runs, interleaved; medians and spreads are over them
    #[arg(long)]
    runs: Option<u32>,
    /// The longest that a step may take, in seconds
    #[arg(long)]
    limit: Option<u64>,
}

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> Outcome {
    match Arguments::parse().task {
        Task::Tied { parent, program, arguments } => Err(process::become_tied(parent, &program, &arguments)),
        Task::Serve { from, data, port, server } => Err(hook::become_server(&from, &data, port, &server)),
        Task::Assess { counties } => {
            println!("{}", rows::assessment::measure(counties)?);
            Ok(())
        }
        Task::Hook(place) => runtime()?.block_on(hook::serve(&place.server, &place.data)),
        // On the main thread, which starts the children and outlives them.
        Task::Run(options) => runtime()?.block_on(run::run(options)),
    }
}

fn runtime() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())
}
