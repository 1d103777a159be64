//! `analytics`: adds ciphertexts it cannot read.

use std::process::ExitCode;

use clap::Parser;
use service::cli::{Arguments, Common};
use service::process::Context;

/// Verifies encrypted reports, adds each to its feeder's sum exactly once, and releases sums over enough meters.
///
/// It holds no secret key of the encryption: it cannot read what it adds.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:
  analytics --set analytics.grace=15m"
)]
struct Command {
    #[command(flatten)]
    common: Common,
}

impl Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }
}

fn main() -> ExitCode {
    service::process::main("analytics", async |context: Context<Command>| {
        analytics::run(&context.settings, context.clock, context.stop, None).await?;
        Ok(())
    })
}
