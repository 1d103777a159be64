//! `evaluator`: compares ciphertexts it cannot read.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use service::cli::{Arguments, Common, Tool};
use service::config::Settings;
use service::doctor::Subject;
use service::process::Context;

/// Compares the encrypted sums of feeders that have a rating, and sends the operator one encrypted bit for each interval.
///
/// It holds evaluation keys and no secret key: it can read neither a sum nor a bit.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  evaluator --set evaluator.keys_dir=evaluation
  evaluator doctor"
)]
struct Command {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
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

    fn tool(&self) -> Option<&Tool> {
        self.action.as_ref().map(|Action::Tool(tool)| tool)
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![evaluator::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    service::process::main("evaluator", async |context: Context<Command>| {
        evaluator::run(&context.settings, context.stop).await?;
        Ok(())
    })
}
