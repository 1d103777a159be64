//! `bench`: the whole path on one machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::cli::main()
}
