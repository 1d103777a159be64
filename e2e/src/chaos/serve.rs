//! One of the processes, run by this binary: `bench serve analytics --config FILE`.
//!
//! `cargo run -p bench` builds no other binary, so the processes that get killed are this one under another name. Start-up,
//! configuration, signals and exit codes are those of the real binaries ([`service::process`]), and so is the library.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use harness::process::own_binary;
use operator::{Change, Party, commands};
use serde::Serialize;
use service::cli::{self, Common};
use service::process::{self, Context};
use service::{Settings, failpoint};
use wire::{UnixMillis, UnixSeconds};

use super::event_clock::EventClock;
use super::told;

/// One of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The MQTT broker.
    Broker,
    /// The operator.
    Operator,
    /// The analytics service.
    Analytics,
    /// Another one of its pool.
    #[value(skip)]
    #[serde(rename = "analytics-2")]
    SecondAnalytics,
    /// And another.
    #[value(skip)]
    #[serde(rename = "analytics-3")]
    ThirdAnalytics,
    /// A holder of mask keys.
    #[value(name = "holder-1")]
    #[serde(rename = "holder-1")]
    FirstHolder,
    /// Another one.
    #[value(skip)]
    #[serde(rename = "holder-2")]
    SecondHolder,
    /// And another.
    #[value(skip)]
    #[serde(rename = "holder-3")]
    ThirdHolder,
    /// And another.
    #[value(skip)]
    #[serde(rename = "holder-4")]
    FourthHolder,
    /// And the last.
    #[value(skip)]
    #[serde(rename = "holder-5")]
    FifthHolder,
    /// The gateway with its fleet.
    Meter,
    /// A gateway whose meters send lines.
    Live,
}

impl Role {
    /// One of each kind.
    pub const ALL: [Self; 4] = [Self::Broker, Self::Operator, Self::Analytics, Self::Meter];

    /// The processes of a pool.
    pub(crate) const POOL: [Self; 3] =
        [Self::Analytics, Self::SecondAnalytics, Self::ThirdAnalytics];

    /// As many holders as there can be.
    pub(crate) const HOLDERS: [Self; 5] = [
        Self::FirstHolder,
        Self::SecondHolder,
        Self::ThirdHolder,
        Self::FourthHolder,
        Self::FifthHolder,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Operator => "operator",
            Self::Analytics => "analytics",
            Self::SecondAnalytics => "analytics-2",
            Self::ThirdAnalytics => "analytics-3",
            Self::FirstHolder => "holder-1",
            Self::SecondHolder => "holder-2",
            Self::ThirdHolder => "holder-3",
            Self::FourthHolder => "holder-4",
            Self::FifthHolder => "holder-5",
            Self::Meter => "meter",
            Self::Live => "live",
        }
    }

    /// What it is, as on the command line.
    pub(crate) const fn program(self) -> Self {
        match self {
            Self::SecondAnalytics | Self::ThirdAnalytics => Self::Analytics,
            Self::SecondHolder | Self::ThirdHolder | Self::FourthHolder | Self::FifthHolder => {
                Self::FirstHolder
            }
            other => other,
        }
    }
}

/// Arguments of the hidden command.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Which process to be.
    #[arg(value_enum)]
    pub role: Role,
    /// File of the clock that the gateway goes by, in the place of the machine's.
    #[arg(long)]
    pub clock: Option<PathBuf>,
    /// Print what the operator tells its observer, a line of JSON for each [`super::told::Told`].
    #[arg(long)]
    pub events: bool,
    /// What a person does beside a running operator.
    #[command(subcommand)]
    pub command: Option<ByHand>,
}

/// Commands of the operator that attacks need.
#[derive(Debug, Clone, Subcommand)]
pub enum ByHand {
    /// Approve a request, if it has this digest.
    Approve {
        /// Who asks.
        id: String,
        /// Of what was shown.
        digest: String,
    },
    /// Take a list of physical meters.
    Import {
        /// The list.
        file: PathBuf,
    },
    /// Remove a meter at once.
    Remove {
        /// The meter.
        meter: String,
    },
    /// Begin a new key epoch.
    Rotate {
        /// The start of its first window, in Unix seconds.
        first_window: u64,
    },
}

impl ByHand {
    fn run(&self, settings: &Settings, now: UnixMillis) -> anyhow::Result<()> {
        match self {
            Self::Approve { id, digest } => commands::approve(settings, id, digest),
            Self::Import { file } => commands::import_registry(settings, file),
            Self::Remove { meter } => {
                let party = (Party::Meter, meter.as_str());
                commands::request_change(settings, now, Change::Remove, party, (None, true))
            }
            Self::Rotate { first_window } => {
                let first = Some(UnixSeconds(*first_window));
                commands::request_rotation(settings, UnixSeconds(now.0 / 1_000), first, true)
            }
        }
    }
}

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    _action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Serve(Arguments),
}

impl cli::Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn tool(&self) -> Option<&cli::Tool> {
        None
    }

    fn subjects(_: &Settings) -> Vec<service::doctor::Subject> {
        Vec::new()
    }
}

/// The command that starts a process of this role, without input and output: it is to be given its arguments. It is killed when
/// it is dropped.
///
/// # Errors
/// This binary's path is unknown.
pub fn command(role: Role) -> anyhow::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(own_binary()?);
    command
        .args(["serve", role.program().name()])
        .env_remove(failpoint::VARIABLE)
        .env_remove(failpoint::SABOTAGE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs the process to its exit code. The command line is read again, as the real binaries read theirs.
#[must_use]
pub fn main(arguments: &Arguments) -> ExitCode {
    match arguments.role {
        Role::Broker => {
            broker::end_on_panic();
            process::main("broker", async |context: Context<Command>| {
                let broker = broker::bind(&context.settings).await?;
                Ok(broker.run(context.stop).await?)
            })
        }
        Role::Operator => process::main("operator", async |context: Context<Command>| {
            if let Some(by_hand) = &arguments.command {
                return by_hand.run(&context.settings, context.clock.now());
            }
            let observer = arguments.events.then(told::observer);
            operator::run(&context.settings, context.clock, context.stop, observer).await?;
            Ok(())
        }),
        Role::Analytics | Role::SecondAnalytics | Role::ThirdAnalytics => {
            process::main("analytics", async |context: Context<Command>| {
                analytics::run(&context.settings, context.clock, context.stop, None).await?;
                Ok(())
            })
        }
        Role::FirstHolder
        | Role::SecondHolder
        | Role::ThirdHolder
        | Role::FourthHolder
        | Role::FifthHolder => process::main("holder", async |context: Context<Command>| {
            holder::run(&context.settings, context.clock, context.stop).await?;
            Ok(())
        }),
        Role::Meter | Role::Live => process::main("meter", async |context: Context<Command>| {
            let clock = match &arguments.clock {
                Some(file) => Arc::new(EventClock::open(file.clone())?),
                None => context.clock,
            };
            meter::run(&context.settings, clock, context.stop, None).await?;
            Ok(())
        }),
    }
}
