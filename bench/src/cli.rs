//! The commands.

mod act;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use e2e::chaos;
use harness::network::Network;
use harness::scenario::Options;
use service::cli::{Arguments, Common, Tool};
use service::config::Settings;
use service::doctor::Subject;
use service::exit::{FAILED, USAGE};
use service::process;

use crate::fixed::Kind;
use crate::output::Output;
use crate::{attack, budget, capacity, compare, fixed, load, page, peers, report, sweep};

/// The whole path on one machine: real services over real MQTT, with every total checked against the truth.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  bench demo
  bench demo --live
  bench demo --replay my.csv --output json
  bench run --duration 120s --meters 500
  bench load --rate 1112 --duration 60s
  bench chaos --kills 50 --seed 1
  bench attack --short
  bench --sweep meters,batch --quick
  bench --sweep interval --values 1s,5s,10s --repeats 5
  bench --peers
  bench budget
  bench doctor"
)]
struct Command {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    measure: Measure,
    #[command(flatten)]
    sweep: sweep::Options,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Two days of real customers, from encryption to decrypted feeder totals, in about ten seconds.
    #[command(
        after_help = "Examples:\n  bench demo\n  bench demo --meters 1000 --feeders 10\n  bench demo --replay my.csv --output json"
    )]
    Demo {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        page: page::Options,
        /// Also ask every question of docs/answers.md, and hold each answer against the truth.
        #[arg(long)]
        answers: bool,
        /// Give up after this long.
        #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
        timeout: Duration,
    },
    /// The same path kept busy for as long as --duration says.
    #[command(after_help = "Examples:\n  bench run --duration 120s --meters 500")]
    Run {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        page: page::Options,
        /// How long meters take readings.
        #[arg(long, default_value = "120s", value_parser = humantime::parse_duration)]
        duration: Duration,
    },
    /// Measure the maximum sustained throughput, or with --rate the latency at one rate. Reports of up to a million
    /// meters are due at fixed times, whether or not the services keep up; every total is checked.
    #[command(
        after_help = "Examples:\n  bench load --quick\n  bench load --floor 1112\n  bench load --rate 1112 --duration 60s\n  bench load --rate 4000 --meters 1000000 --duration 250s --output json"
    )]
    Load {
        #[command(flatten)]
        options: load::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Kill the processes while they work, over a bad network, and check that nothing is lost or counted twice.
    #[command(
        after_help = "Examples:\n  bench chaos --kills 50 --seed 1\n  bench chaos --store postgres --analytics 2"
    )]
    Chaos {
        #[command(flatten)]
        options: chaos::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Keep the processes at steady work for long, and check that every total is right and that no process and no file
    /// grows.
    #[command(after_help = "Examples:\n  bench soak --duration 60s")]
    Soak {
        #[command(flatten)]
        options: chaos::soak::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Attack the promise with real processes: each attack must succeed without just the safeguard that stops it, and get
    /// nothing with it.
    #[command(
        after_help = "Examples:\n  bench attack\n  bench attack --short\n  bench attack --only late-household --output json"
    )]
    Attack {
        #[command(flatten)]
        options: attack::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Compare encrypted sums with thresholds as near as an answer is said to be right, on either side, and count those that are.
    #[command(
        after_help = "Examples:\n  bench compare --cases 20\n  bench compare --cases 1000 --threads 2 --output json"
    )]
    Compare {
        #[command(flatten)]
        options: compare::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Join the results of several commands into one HTML file with charts.
    #[command(after_help = "Examples:\n  bench report results/sweep results/load results/peers")]
    Report(report::Options),
    /// Calculate what a city and a country would need, from measured costs, as Markdown.
    #[command(after_help = "Examples:\n  bench capacity results/joined --store-bytes 85")]
    Capacity(capacity::Options),
    #[command(flatten)]
    Tool(Tool),
    /// Measure what the design sets limits on; exit code 3 if a limit is missed.
    #[command(
        after_help = "Examples:\n  bench budget\n  bench budget --rows seal-portable,bytes --quick\n  bench budget --rows admit --limit admit=90"
    )]
    Budget {
        #[command(flatten)]
        options: budget::Options,
        #[command(flatten)]
        output: Output,
    },
    /// What `--sweep` and `--peers` ask for, without a subcommand.
    #[command(skip)]
    Measure(Measure, Box<sweep::Options>, Output),
    /// Measure one point of a sweep.
    #[command(hide = true)]
    Point(Box<sweep::point_process::PointArguments>),
    /// Run one of the processes of `chaos` or `attack`.
    #[command(hide = true)]
    Serve(chaos::serve::Arguments),
    /// Emulate a slow and lossy network in front of a broker.
    #[command(hide = true)]
    Network {
        #[command(flatten)]
        network: Network,
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        broker: SocketAddr,
    },
}

impl Action {
    /// Which settings the command decides by itself; `None` where it starts no services.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Load { .. } => Some(Kind::Load),
            Self::Chaos { .. } | Self::Soak { .. } => Some(Kind::Chaos),
            Self::Attack { .. } => Some(Kind::Attack),
            Self::Measure(_, swept, _) if !swept.sweeps.is_empty() => Some(Kind::Sweep),
            Self::Demo { .. } | Self::Run { .. } | Self::Budget { .. } => Some(Kind::Usual),
            Self::Measure(..) | Self::Point(_) => Some(Kind::Usual),
            Self::Report(_) | Self::Capacity(_) | Self::Compare { .. } | Self::Tool(_) => None,
            Self::Serve(_) | Self::Network { .. } => None,
        }
    }
}

/// What is measured without a subcommand.
#[derive(Debug, Clone, clap::Args)]
struct Measure {
    /// Compare with other systems on the same work: all of them, or those named, such as --peers=tenseal,prio3. Brokers
    /// are always compared; --peers=brokers compares nothing else.
    #[arg(long, value_name = "NAME,…", num_args = 0..=1, require_equals = true, value_delimiter = ',',
        default_missing_value = peers::catalogue::ALL,
        value_parser = PossibleValuesParser::new(peers::catalogue::names()))]
    peers: Option<Vec<String>>,
    /// Fewer values, repeats and rounds: all chosen sweeps within a minute.
    #[arg(long)]
    quick: bool,
}

impl Command {
    /// The one thing that was asked for. Ends the process with a usage error where that is nothing, or two things.
    fn asked(mut self) -> Action {
        self.sweep.quick = self.measure.quick;
        self.sweep.common = self.common.arguments();
        if self.action.is_some() && self.measure.quick {
            let problem =
                "`--quick` before a command has no effect: write it after a command that has it";
            Self::command()
                .error(ErrorKind::ArgumentConflict, problem)
                .exit()
        }
        let measured = self.measure.peers.is_some() || !self.sweep.sweeps.is_empty();
        let (kind, problem) = match (self.action, measured) {
            (Some(action), false) => return action,
            (None, true) => match sweep::plan::Plan::new(&self.sweep) {
                Ok(_) => return Action::Measure(self.measure, Box::new(self.sweep), self.output),
                Err(error) => (ErrorKind::ValueValidation, format!("{error:#}")),
            },
            (Some(_), true) => (
                ErrorKind::ArgumentConflict,
                "--sweep and --peers take no command: run them on their own".to_owned(),
            ),
            (None, false) => (
                ErrorKind::MissingSubcommand,
                "say what to do: a command, such as demo, or --sweep or --peers; --help lists them"
                    .to_owned(),
            ),
        };
        Self::command().error(kind, problem).exit()
    }
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

    fn unsupported(settings: &Settings) -> Option<(&'static str, String)> {
        meter::unsupported(settings)
    }

    /// Those of the four processes, which run as they are or within a run.
    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![
            broker::doctor::subject(settings),
            operator::doctor::subject(settings),
            analytics::doctor::subject(settings),
            meter::doctor::subject(settings),
        ]
    }
}

/// Runs the command line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let (command, loaded): (Command, _) = match process::prepare() {
        Ok(prepared) => prepared,
        Err(code) => return code,
    };
    if let Some(Action::Serve(arguments)) = &command.action {
        return chaos::serve::main(arguments);
    }
    let action = command.asked();
    if let Some(kind) = action.kind()
        && let Err(error) = fixed::check(&loaded, kind)
    {
        eprintln!("error: {error:#}");
        return ExitCode::from(USAGE);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(act::run(action, loaded.settings));
    runtime.shutdown_background();
    ExitCode::from(code)
}
