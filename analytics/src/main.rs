//! `analytics`: adds ciphertexts it cannot read.

use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;

use analytics::inspect::{self, Form, InspectError};
use clap::{Parser, Subcommand};
use service::cli::{Arguments, Common};
use service::config::Overrides;
use service::process::Context;

/// Verifies encrypted reports, adds each to its feeder's sum exactly once, and releases sums over enough meters.
///
/// It holds no secret key of the encryption: it cannot read what it adds.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  analytics --set analytics.grace=15m
  analytics inspect --output json"
)]
struct Command {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists what the store holds, without changing it. The process that uses it must be stopped.
    Inspect {
        /// The store's file; by default the one of `analytics.id` and `analytics.store_file`.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// What goes to stdout.
        #[arg(long, value_enum, default_value_t = Form::Table)]
        output: Form,
        /// List the meters in each sum with the digests of their reports too.
        #[arg(long)]
        contributors: bool,
    },
}

impl Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }

    fn overrides(&self) -> Overrides {
        let overrides = Overrides::new();
        if self.action.is_none() {
            return overrides;
        }
        // A look at a file serves no metrics, and says nothing unless something is wrong.
        let level = self.common.log_level.is_none().then_some("warn");
        overrides
            .set("analytics.metrics_listen", "")
            .option("log.level", level.as_ref())
    }
}

fn main() -> ExitCode {
    service::process::main("analytics", async |context: Context<Command>| {
        let Some(action) = &context.args.action else {
            analytics::run(&context.settings, context.clock, context.stop, None).await?;
            return Ok(());
        };
        let Action::Inspect {
            file,
            output,
            contributors,
        } = action;
        let path = match file {
            Some(file) => file.clone(),
            None => analytics::store_path(&context.settings),
        };
        let mut out = BufWriter::new(std::io::stdout().lock());
        match inspect::inspect(&path, *output, *contributors, &mut out) {
            // Whoever reads has seen enough.
            Err(InspectError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(())
            }
            shown => Ok(shown?),
        }
    })
}
