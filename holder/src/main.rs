//! `holder`: holds a part of the mask keys.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use service::cli::{Arguments, Common, Tool};
use service::config::Settings;
use service::doctor::Subject;
use service::process::Context;

/// Holds a part of the mask keys, checks every sum by itself, and gives the masks of those that it consents to.
///
/// It never sees a ciphertext, and has no key that decrypts one.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  holder --set holder.id=association
  holder doctor"
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
        vec![holder::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    service::process::main("holder", async |context: Context<Command>| {
        holder::run(&context.settings, context.clock, context.stop).await?;
        Ok(())
    })
}
