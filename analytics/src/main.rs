//! `analytics`: adds ciphertexts it cannot read.

use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use analytics::inspect::{self, Form, InspectError};
use analytics::migrate::{self, To};
use analytics::store::Carried;
use analytics::store_path;
use clap::{Parser, Subcommand};
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process::Context;
use tokio::task::spawn_blocking;

/// How often a migration says how far it has come.
const PROGRESS: Duration = Duration::from_secs(5);

/// Verifies encrypted reports, adds each to its feeder's sum exactly once, and releases sums over enough meters.
///
/// It holds no secret key of the encryption: it cannot read what it adds.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  analytics --set analytics.grace=15m
  analytics inspect --output json
  analytics migrate --to postgres
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
    /// Carries all sums, releases and bills over from the file to the database, or back, while no process uses either
    #[command(
        after_help = "It says on stderr how far it has come, and on stdout what was carried over. If it is interrupted, no process \
starts on either store until it has run again. What is left behind stays as it was, but is not used any more.

Examples:
  analytics migrate --to postgres
  analytics migrate --to file --file state/analytics-1/north.redb"
    )]
    Migrate {
        /// Where the sums are to be.
        #[arg(long, value_enum)]
        to: To,
        /// The file; by default sums.redb in the state folder of `analytics.id`.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
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

    fn overrides(&self) -> Overrides {
        let uses_both = matches!(self.action, Some(Action::Migrate { .. }));
        // So that the settings of the database are judged as if they were used, as they are.
        Overrides::new().option("analytics.store", uses_both.then_some("postgres"))
    }

    fn is_short(&self) -> bool {
        matches!(
            self.action,
            Some(Action::Inspect { .. } | Action::Migrate { .. })
        )
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
        match &context.args.action {
            Some(Action::Inspect {
                file,
                output,
                contributors,
            }) => {
                let path = inspect::file(file.as_deref(), &context.settings)?;
                let mut out = BufWriter::new(std::io::stdout().lock());
                match inspect::inspect(&path, *output, *contributors, &mut out) {
                    // Whoever reads has seen enough.
                    Err(InspectError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => {
                        Ok(())
                    }
                    shown => Ok(shown?),
                }
            }
            Some(Action::Migrate { to, file }) => {
                let (settings, to) = (context.settings, *to);
                let file = file.clone().unwrap_or_else(|| store_path(&settings));
                // The database has a runtime of its own.
                let migrated = spawn_blocking(move || {
                    migrate::migrate(&settings, (to, file.as_path()), &mut said())
                });
                writeln!(std::io::stdout(), "{}", migrated.await??)?;
                Ok(())
            }
            _ => Ok(analytics::run(&context.settings, context.clock, context.stop, None).await?),
        }
    })
}

/// Says on stderr how much was carried over so far, from time to time.
fn said() -> impl FnMut(&Carried) {
    let mut next = Instant::now() + PROGRESS;
    move |carried| {
        let now = Instant::now();
        if now >= next {
            next = now + PROGRESS;
            // Nobody may read it.
            let _ = writeln!(std::io::stderr(), "so far {carried}");
        }
    }
}
