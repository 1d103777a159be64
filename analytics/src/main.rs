//! `analytics`: adds ciphertexts it cannot read.

use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;

use analytics::inspect::{self, Form, InspectError};
use clap::{Parser, Subcommand};
use service::cli::{Arguments, Common, Tool};
use service::config::Settings;
use service::doctor::Subject;
use service::process::Context;

/// Verifies encrypted reports, adds each to its feeder's sum exactly once, and releases sums over enough meters.
///
/// It holds no secret key of the encryption: it cannot read what it adds.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  analytics --set analytics.grace=15m
  analytics inspect --output json
  analytics doctor"
)]
struct Command {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists what the store holds, without changing it, also while the service runs
    #[command(after_help = "Examples:
  analytics inspect
  analytics inspect state/analytics-1/sums.redb --contributors --output json")]
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
    #[command(flatten)]
    Tool(Tool),
}

impl Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn is_short(&self) -> bool {
        matches!(self.action, Some(Action::Inspect { .. }))
    }

    fn tool(&self) -> Option<&Tool> {
        match &self.action {
            Some(Action::Tool(tool)) => Some(tool),
            _ => None,
        }
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![analytics::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    service::process::main("analytics", async |context: Context<Command>| {
        let Some(Action::Inspect {
            file,
            output,
            contributors,
        }) = &context.args.action
        else {
            analytics::run(&context.settings, context.clock, context.stop, None).await?;
            return Ok(());
        };
        let path = inspect::file(file.as_deref(), &context.settings)?;
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
