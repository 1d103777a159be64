//! The operator's command line.

mod answers;

use clap::{Parser, Subcommand, ValueEnum};
use operator::Party;
use operator::print::Output;
use operator::rotate;
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use wire::{DeploymentId, UnixSeconds};

pub(crate) use answers::{Question, TotalsArg};

/// Holds the secret key: publishes plan and roster, decrypts released sums, reports feeder totals.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  operator
  operator init --id north
  operator --live-load
  operator --output json --set plan.interval=15m --set plan.batch=96
  operator --set operator.enrolment=manual
  operator pending
  operator doctor"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,

    /// How released windows and answers are written to standard output
    #[arg(long, value_enum, default_value_t = OutputArg::Table)]
    pub(crate) output: OutputArg,

    /// Show decrypted load on the live page; whoever can reach the page can read it
    #[arg(long)]
    pub(crate) live_load: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make keys, certificates and settings of a new deployment in production mode
    #[command(
        after_help = "Examples:\n  operator init --id north\n  operator init --id north --host broker.example.org --gateway gateway-1 --gateway gateway-2"
    )]
    Init(Init),
    /// Make the keys that an evaluator compares sums with, or those of new key epochs; the operator may run meanwhile
    #[command(after_help = "Examples:\n  operator evaluation-keys")]
    EvaluationKeys,
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
        /// Meters in the group; plan.detail_min_meters unless given
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
    /// Answer a question from the totals that are released; nothing is decrypted for it
    #[command(
        subcommand,
        after_help = "Examples:\n  operator ask profile\n  operator ask profile --feeder feeder-1 --feeder feeder-2"
    )]
    Ask(Question),
    /// Write released totals to standard output, a row an interval; or bills, a row a tariff band
    #[command(
        after_help = "Examples:\n  operator export --csv > totals.csv\n  operator export --csv --from 2026-01-01T00:00:00Z\n  operator export --csv --bills > bills.csv"
    )]
    Export {
        /// As CSV; there is no other form
        #[arg(long, required = true)]
        csv: bool,

        /// Bills in place of totals
        #[arg(long, conflicts_with_all = ["feeders", "from", "to"])]
        bills: bool,

        /// Comparisons with ratings in place of totals; not to be published: docs/trust.md
        #[arg(long, conflicts_with_all = ["bills", "feeders", "from", "to"])]
        over_rating: bool,

        #[command(flatten)]
        totals: TotalsArg,
    },
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
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
pub(crate) struct Init {
    /// The deployment's id, which is signed into every message
    #[arg(long)]
    pub(crate) id: DeploymentId,

    /// Folder to make; named as the id unless given
    #[arg(long)]
    pub(crate) dir: Option<std::path::PathBuf>,

    /// A name or address by which other machines know the broker, beside localhost; may be repeated
    #[arg(long = "host")]
    pub(crate) hosts: Vec<String>,

    /// The id of a gateway; may be repeated
    #[arg(long = "gateway", default_value = "gateway-1")]
    pub(crate) gateways: Vec<String>,

    /// The id of an analytics service; may be repeated
    #[arg(long = "analytics", default_value = "analytics-1")]
    pub(crate) analytics: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Leave {
    /// What leaves
    #[arg(value_enum)]
    pub(crate) party: PartyArg,

    /// Its id
    pub(crate) id: String,

    /// First window without it, RFC 3339 or Unix seconds, rounded up to the start of a window; the next one unless given
    #[arg(long, value_name = "TIME", value_parser = rotate::parse_time)]
    pub(crate) first_window: Option<UnixSeconds>,

    /// From the first window of which no report can have been taken yet: for a stolen key
    #[arg(long, conflicts_with = "first_window")]
    pub(crate) at_once: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PartyArg {
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
pub(crate) enum OutputArg {
    /// A row per window
    Table,
    /// A line of JSON per window, as in totals.jsonl
    Json,
}

impl From<OutputArg> for Output {
    fn from(output: OutputArg) -> Self {
        match output {
            OutputArg::Table => Self::Table,
            OutputArg::Json => Self::Json,
        }
    }
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
                Command::Init(_)
                    | Command::EvaluationKeys
                    | Command::Pending
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
