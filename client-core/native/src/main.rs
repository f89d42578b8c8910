//! The command `duxue`.

use std::process::ExitCode;

fn main() -> ExitCode {
    duxue_client::cli::main()
}
