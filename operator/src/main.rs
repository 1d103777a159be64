//! The operator's command line.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use operator::commands;
use operator::print::{self, Output};
use operator::rotate;
use operator::{Change, Party};
use release::moments::Group;
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process;
use tokio::sync::mpsc;
use wire::{UnixMillis, UnixSeconds};

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

    /// Show decrypted load on the live page; whoever can reach the page can read it
    #[arg(long)]
    live_load: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List enrolment requests that wait for approval
    #[command(after_help = "Examples:\n  operator pending\n  operator pending --config my.toml")]
    Pending,
    /// Approve an enrolment request as `operator pending` showed it; a running operator grants it within a second
    #[command(
        after_help = "Examples:\n  operator approve gateway-1 --digest 3f5a0c1d2e4b6a7988796a5b4c3d2e1f\n  operator approve analytics/analytics-1 --digest 3f5a0c1d2e4b6a7988796a5b4c3d2e1f"
    )]
    Approve {
        /// NAME, KIND/NAME, or KIND/NAME/KEY as `operator pending` lists it
        id: String,

        /// The digest that `operator pending` printed; a request that has changed since has another one
        #[arg(long)]
        digest: String,
    },
    /// The list of physical meters
    #[command(
        subcommand,
        after_help = "Examples:\n  operator registry import meters.csv"
    )]
    Registry(RegistryCommand),
    /// Let a meter, a gateway with its meters, or an analytics service leave; a running operator takes it up within a second
    #[command(
        after_help = "Examples:\n  operator remove meter meter-17\n  operator remove gateway gateway-3 --first-window 2027-01-01T00:00:00Z\n  operator remove meter meter-17 --at-once"
    )]
    Remove(Leave),
    /// Refuse the keys of a meter, of a gateway and its meters, or of an analytics service; it can ask to join with other ones
    #[command(
        after_help = "Examples:\n  operator rekey meter meter-17\n  operator rekey gateway gateway-3 --at-once"
    )]
    Rekey(Leave),
    /// Take back who was removed, or is out of service because it spoils sums
    #[command(after_help = "Examples:\n  operator readmit meter meter-17")]
    Readmit {
        /// What it is
        #[arg(value_enum)]
        party: PartyArg,
        /// Its id
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
    /// Say what colluders who know all but a few readings of a group learn of the rest, from its sum and from layout moments
    #[command(
        after_help = "Examples:\n  operator learn\n  operator learn --meters 15 --mean-wh 800 --std-wh 700"
    )]
    Learn {
        /// Meters in the group; plan.moments_min_meters unless given
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        meters: Option<u32>,

        /// Mean of the readings of an interval, in Wh
        #[arg(long, default_value_t = 500.0)]
        mean_wh: f64,

        /// Their standard deviation, in Wh
        #[arg(long, default_value_t = 450.0)]
        std_wh: f64,

        /// The feeder's quantum, in Wh
        #[arg(long, default_value_t = 1)]
        quantum_wh: u64,
    },
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Take a list of meters: from then on nobody else is enrolled
    #[command(
        after_help = "The file is CSV with the columns meter,feeder,capacity,key: the capacity in watts, and the meter's verifying key\nin 64 hexadecimal digits or the first 20 or more digits of its SHA-256.\n\nExamples:\n  operator registry import meters.csv"
    )]
    Import {
        /// The file
        file: std::path::PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Leave {
    /// What leaves
    #[arg(value_enum)]
    party: PartyArg,

    /// Its id
    id: String,

    /// First window without it, RFC 3339 or Unix seconds, rounded up to the start of a window; the next one unless given
    #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
    first_window: Option<UnixSeconds>,

    /// From the first window of which no report can have been taken yet: for a stolen key
    #[arg(long, conflicts_with = "first_window")]
    at_once: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartyArg {
    Meter,
    Gateway,
    Analytics,
}

impl From<PartyArg> for Party {
    fn from(party: PartyArg) -> Self {
        match party {
            PartyArg::Meter => Self::Meter,
            PartyArg::Gateway => Self::Gateway,
            PartyArg::Analytics => Self::Analytics,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputArg {
    /// A row per window
    Table,
    /// A line of JSON per window, as in totals.jsonl
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
            Some(
                Command::Pending
                    | Command::Approve { .. }
                    | Command::Registry(_)
                    | Command::Remove(_)
                    | Command::Rekey(_)
                    | Command::Readmit { .. }
                    | Command::Rotate { .. }
                    | Command::Learn { .. }
            )
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
        match context.args.command {
            Some(Command::Pending) => commands::list_pending(settings),
            Some(Command::Approve { id, digest }) => commands::approve(settings, &id, &digest),
            Some(Command::Registry(RegistryCommand::Import { file })) => {
                commands::import_registry(settings, &file)
            }
            Some(Command::Remove(leave)) => {
                leaves(settings, context.clock.now(), Change::Remove, &leave)
            }
            Some(Command::Rekey(leave)) => {
                leaves(settings, context.clock.now(), Change::Rekey, &leave)
            }
            Some(Command::Readmit { party, id }) => commands::request_change(
                settings,
                context.clock.now(),
                Change::Readmit,
                (party.into(), &id),
                (None, false),
            ),
            Some(Command::Rotate {
                first_window,
                force,
            }) => {
                let now = UnixSeconds(context.clock.now().0 / 1000);
                commands::request_rotation(settings, now, first_window, force)
            }
            Some(Command::Learn {
                meters,
                mean_wh,
                std_wh,
                quantum_wh,
            }) => {
                let group = Group {
                    meters: meters.unwrap_or(settings.plan.moments_min_meters),
                    mean_wh,
                    std_wh,
                };
                print!("{}", operator::learn::table(&group, quantum_wh));
                Ok(())
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

fn leaves(
    settings: &Settings,
    now: UnixMillis,
    change: Change,
    leave: &Leave,
) -> anyhow::Result<()> {
    let party = (leave.party.into(), leave.id.as_str());
    let when = (leave.first_window, leave.at_once);
    commands::request_change(settings, now, change, party, when)
}
