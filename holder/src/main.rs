//! `holder`: holds a part of the mask keys.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use holder::setup::SetupCommand;
use holder::{ApprovalCommand, AuditCommand};
use service::cli::{Arguments, Common, Tool};
use service::config::Settings;
use service::doctor::Subject;
use service::process::Context;

/// Holds a part of the mask keys, checks every sum by itself, and gives the masks of those that it consents to.
///
/// It audits some of them, by the reports behind them, and has no key that decrypts one.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  holder init --set holder.id=association
  holder --set holder.id=association
  holder pending
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
    Setup(SetupCommand),
    #[command(flatten)]
    Approval(ApprovalCommand),
    /// Demand the signed reports behind a sum of the gateways and add them up again, through the holder that runs here
    ///
    /// Without a feeder the holder draws one of the sums that it consented to lately. Exit code 0: the reports are all there and add up.
    #[command(
        after_help = "Examples:\n  holder audit --set holder.id=association\n  \
                      holder audit --feeder feeder-1 --window 2026-07-01T00:00:00Z --set holder.id=association\n  \
                      holder audit --results --output json --set holder.id=association"
    )]
    Audit(AuditCommand),
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
        match &self.action {
            Some(Action::Tool(tool)) => Some(tool),
            _ => None,
        }
    }

    fn is_short(&self) -> bool {
        matches!(
            self.action,
            Some(Action::Setup(_) | Action::Approval(_) | Action::Audit(_))
        )
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![holder::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    service::process::main("holder", async |mut context: Context<Command>| {
        match context.args.action.take() {
            Some(Action::Setup(command)) => print!("{}", command.run(&context.settings)?),
            Some(Action::Approval(command)) => print!("{}", command.run(&context.settings)?),
            Some(Action::Audit(command)) => {
                let (told, judged) = command.run(&context.settings).await?;
                print!("{told}");
                judged?;
            }
            // What every binary has is done by now.
            Some(Action::Tool(_)) | None => {
                holder::run(&context.settings, context.clock, context.stop).await?;
            }
        }
        Ok(())
    })
}
