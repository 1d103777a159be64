//! The operator's command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use operator::pending::Desk;
use operator::print::{self, Output};
use service::cli::{Arguments, Common};
use service::config::Overrides;
use service::process;
use tokio::sync::mpsc;

/// Holds the secret key: publishes plan and roster, decrypts released sums, reports feeder totals.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    common: Common,

    /// How released windows are written to standard output
    #[arg(long, value_enum, default_value_t = OutputArg::Table)]
    output: OutputArg,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List requests to join that wait for approval
    Pending,
    /// Approve a request to join; a running operator grants it within a second
    Approve {
        /// Its name, KIND/NAME, or KIND/NAME/KEY as `pending` shows it
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputArg {
    /// A row a window
    Table,
    /// The line of totals.jsonl
    Json,
}

impl Arguments for Args {
    fn common(&self) -> &Common {
        &self.common
    }

    fn overrides(&self) -> Overrides {
        match self.command {
            // Beside a running operator: no second metrics endpoint, and only the answer on the terminal.
            Some(_) => Overrides::new()
                .set("operator.metrics_listen", "")
                .set("log.level", "warn"),
            None => Overrides::new(),
        }
    }
}

fn main() -> ExitCode {
    process::main("operator", |context: process::Context<Args>| async move {
        let settings = &context.settings;
        let desk = Desk::new(&operator::run::folder(settings));
        match context.args.command {
            Some(Command::Pending) => list(&desk),
            Some(Command::Approve { id }) => approve(&desk, &id),
            None => {
                let output = match context.args.output {
                    OutputArg::Table => Output::Table,
                    OutputArg::Json => Output::Json,
                };
                let (events, observed) = mpsc::unbounded_channel();
                let printer = tokio::spawn(print::print(observed, output));
                let ended =
                    operator::run(settings, context.clock, context.stop, Some(events)).await;
                // The operator has dropped its end, so the printer ends after the last row.
                let _ = printer.await;
                Ok(ended?)
            }
        }
    })
}

fn list(desk: &Desk) -> anyhow::Result<()> {
    let mut waiting = desk.waiting()?;
    waiting.dedup_by_key(|held| held.subject());
    for held in &waiting {
        println!("{}", held.subject());
    }
    if waiting.is_empty() {
        eprintln!("no request waits for approval");
    }
    Ok(())
}

fn approve(desk: &Desk, id: &str) -> anyhow::Result<()> {
    let approved = desk.approve(id)?;
    if let Some(first) = approved.first() {
        println!("approved {} ({} messages)", first.subject(), approved.len());
    }
    Ok(())
}
