//! The operator's command line.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use operator::enrol::{AnalyticsRefused, check_analytics};
use operator::pending::{Desk, Held};
use operator::plan;
use operator::print::{self, Output};
use operator::request::Request;
use operator::rotate::{self, Facts, Inbox};
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process;
use tokio::sync::mpsc;
use wire::{Topics, UnixSeconds};

/// Holds the secret key: publishes plan and roster, decrypts released sums, reports feeder totals.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  operator
  operator --live-load
  operator --output json --set plan.interval=15m --set plan.batch=96
  operator --set operator.enrolment=manual
  operator pending
  operator doctor"
)]
struct Args {
    #[command(flatten)]
    common: Common,

    /// How released windows are written to standard output
    #[arg(long, value_enum, default_value_t = OutputArg::Table)]
    output: OutputArg,

    /// Show decrypted load on the live page, where whoever can reach it can read it
    #[arg(long)]
    live_load: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List requests to join that wait for approval
    #[command(after_help = "Examples:\n  operator pending\n  operator pending --config my.toml")]
    Pending,
    /// Approve a request to join; a running operator grants it within a second
    #[command(
        after_help = "Examples:\n  operator approve gateway-1\n  operator approve analytics/analytics-1"
    )]
    Approve {
        /// Its name, KIND/NAME, or KIND/NAME/KEY as `pending` shows it
        id: String,
    },
    /// Begin a new key epoch; a running operator makes its keys and publishes the plan within a second
    #[command(
        after_help = "Examples:\n  operator rotate\n  operator rotate --first-window 2027-01-01T00:00:00Z"
    )]
    Rotate {
        /// First window of the new epoch, RFC 3339 or Unix seconds, rounded up to the start of a window; the first
        /// that begins at least one window from now unless given
        #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
        first_window: Option<UnixSeconds>,

        /// End the older of two epochs although reports of its windows may still come
        #[arg(long)]
        force: bool,
    },
    #[command(flatten)]
    Tool(Tool),
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

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn overrides(&self) -> Overrides {
        Overrides::new().option("operator.live_load", self.live_load.then_some(true))
    }

    fn is_short(&self) -> bool {
        matches!(
            self.command,
            Some(Command::Pending | Command::Approve { .. } | Command::Rotate { .. })
        )
    }

    fn tool(&self) -> Option<&Tool> {
        match &self.command {
            Some(Command::Tool(tool)) => Some(tool),
            _ => None,
        }
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![operator::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    process::main("operator", |context: process::Context<Args>| async move {
        let settings = &context.settings;
        let desk = Desk::new(&operator::run::folder(settings));
        match context.args.command {
            Some(Command::Pending) => list(settings, &desk),
            Some(Command::Approve { id }) => approve(&desk, &id),
            Some(Command::Rotate {
                first_window,
                force,
            }) => {
                let now = UnixSeconds(context.clock.now().0 / 1000);
                begin_epoch(settings, now, first_window, force)
            }
            // What every binary has is done by now.
            Some(Command::Tool(_)) | None => {
                let output = match context.args.output {
                    OutputArg::Table => Output::Table,
                    OutputArg::Json => Output::Json,
                };
                let (events, observed) = mpsc::unbounded_channel();
                let page = operator::page::start(settings, &context.stop)
                    .await
                    .context(
                        "`operator.live_listen` chooses another address, \"\" turns the page off",
                    )?;
                let printer = tokio::spawn(print::print(observed, output, page));
                let ended =
                    operator::run(settings, context.clock, context.stop, Some(events)).await;
                // The operator has dropped its end, so the printer ends after the last row.
                let _ = printer.await;
                Ok(ended?)
            }
        }
    })
}

fn list(settings: &Settings, desk: &Desk) -> anyhow::Result<()> {
    let mut waiting = desk.waiting()?;
    waiting.dedup_by_key(|held| held.subject());
    for held in &waiting {
        println!("{}", held.subject());
    }
    for (held, refused) in refused(settings, desk)? {
        eprintln!("{} cannot be granted yet: {refused}", held.subject());
    }
    if waiting.is_empty() {
        eprintln!("no request waits for approval");
    }
    Ok(())
}

/// The analytics services that ask for what the plan cannot give them, whether they are approved or not.
fn refused(settings: &Settings, desk: &Desk) -> anyhow::Result<Vec<(Held, AnalyticsRefused)>> {
    let topics = Topics::new(&settings.deployment.root)?;
    let deployment = &settings.deployment.id;
    let folder = operator::run::folder(settings);
    let Some(plan) = plan::stored(&folder, deployment, &topics.plan())? else {
        return Ok(Vec::new());
    };
    let messages = desk.messages()?.into_iter();
    let refused = messages.filter_map(|(held, bytes)| {
        let topic = Request::topic(&topics, &held.kind, &held.id)?;
        match Request::open(&topics, deployment, &topic, &bytes) {
            Ok(Request::Analytics(request)) => {
                let refused = check_analytics(&plan, &request).err()?;
                Some((held, refused))
            }
            _ => None,
        }
    });
    Ok(refused.collect())
}

fn approve(desk: &Desk, id: &str) -> anyhow::Result<()> {
    let approved = desk.approve(id)?;
    if let Some(first) = approved.first() {
        println!("approved {} ({} messages)", first.subject(), approved.len());
    }
    Ok(())
}

fn begin_epoch(
    settings: &Settings,
    now: UnixSeconds,
    first_window: Option<UnixSeconds>,
    force: bool,
) -> anyhow::Result<()> {
    let dir = operator::run::folder(settings);
    let topic = Topics::new(&settings.deployment.root)?.plan();
    let plan = plan::stored(&dir, &settings.deployment.id, &topic)?;
    let plan = plan.with_context(|| {
        format!(
            "there is no plan in {} yet: start the operator once",
            dir.display()
        )
    })?;
    let facts = Facts {
        plan: &plan,
        released: &rotate::newest_released(&dir, &settings.deployment.id)?,
        now,
        retention_s: settings.analytics.retention.as_secs(),
    };
    let request = rotate::next(&facts, first_window, force)?;
    Inbox::new(&dir).leave(&request)?;
    let (epoch, first) = (request.epoch, rotate::time(request.first_window));
    println!("asked for key epoch {epoch}, from the window of {first} on");
    if first_window.is_some_and(|asked| asked.0 != request.first_window.0) {
        eprintln!("{first} is the first window that begins at or after the time given");
    }
    if request.first_window.0 <= now.0 {
        eprintln!(
            "windows of the new epoch may be under way: one that analytics has begun to add under the old key is \
             released in two parts, each only with plan.min_meters meters"
        );
    }
    Ok(())
}
