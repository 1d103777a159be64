//! The commands.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use e2e::chaos;
use harness::network::Network;
use harness::output::write_json;
use harness::scenario::{Options, Scenario};
use service::cli::{self, Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process::{FAILED, INTERRUPTED, OK, USAGE};
use service::stop::{Cause, Stop};
use service::telemetry;

use crate::output::Output;
use crate::page::{self, Page};
use crate::{budget, capacity, demo, load, peers, report, results, sweep};

/// The whole path on one machine: real services over real MQTT, with every total checked against the truth.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  bench demo
  bench demo --live
  bench demo --meters 1000 --feeders 10
  bench demo --replay my.csv --output json
  bench run --duration 120s --meters 500
  bench load --rate 1112 --duration 60s
  bench chaos --kills 50 --seed 1
  bench --sweep meters
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
    /// Two days of real customers from encryption to decrypted feeder totals, in seconds.
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
        /// Give up after this long.
        #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
        timeout: Duration,
    },
    /// The same, continuously, until the time is up.
    #[command(after_help = "Examples:\n  bench run --duration 120s --meters 500")]
    Run {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        page: page::Options,
        /// How long readings are taken.
        #[arg(long, default_value = "120s", value_parser = humantime::parse_duration)]
        duration: Duration,
    },
    /// The greatest rate of reports the pipeline settles, or what it makes of a stated one: open-loop, from up to a
    /// million distinct meters, with every window decrypted and compared.
    #[command(
        after_help = "Examples:\n  bench load --quick\n  bench load --floor 1112\n  bench load --rate 1112 --duration 60s\n  bench load --rate 4000 --meters 1000000 --duration 250s --output json"
    )]
    Load {
        #[command(flatten)]
        options: load::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Processes killed while they work, over a bad network: nothing may be lost, and nothing counted twice.
    #[command(after_help = "Examples:\n  bench chaos --kills 50 --seed 1")]
    Chaos {
        #[command(flatten)]
        options: chaos::Options,
        #[command(flatten)]
        output: Output,
    },
    /// Joins the results of several commands and draws them as one HTML file.
    #[command(after_help = "Examples:\n  bench report results/sweep results/load results/peers")]
    Report(report::Options),
    /// What a city and a country need, from what was measured, as Markdown.
    #[command(after_help = "Examples:\n  bench capacity results/joined --store-bytes 85")]
    Capacity(capacity::Options),
    #[command(flatten)]
    Tool(Tool),
    /// Every row of the design's budget, measured in one run.
    #[command(
        after_help = "Examples:\n  bench budget\n  bench budget --rows seal,bytes --quick\n  bench budget --rows admit --limit admit=90"
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
    /// One of the processes of `chaos`.
    #[command(hide = true)]
    Serve(chaos::serve::Arguments),
    /// An emulated network before a broker, for checks of what runs behind it.
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

/// What is measured without a subcommand.
#[derive(Debug, Clone, clap::Args)]
struct Measure {
    /// Other systems on the same work in the same run: all of them, or those named, such as --peers=tenseal,prio3.
    #[arg(long, value_name = "NAME,…", num_args = 0..=1, require_equals = true, value_delimiter = ',',
        default_missing_value = peers::catalogue::ALL,
        value_parser = PossibleValuesParser::new(peers::catalogue::names()))]
    peers: Option<Vec<String>>,
    /// Fewer values, repeats and rounds: all chosen sweeps within a minute.
    #[arg(long)]
    quick: bool,
}

impl Command {
    /// The one thing that was asked for; ends the process where it is none or two.
    fn asked(mut self) -> Action {
        self.sweep.quick = self.measure.quick;
        let measured = self.measure.peers.is_some() || !self.sweep.sweeps.is_empty();
        let (kind, problem) = match (self.action, measured) {
            (Some(action), false) => return action,
            (None, true) => match sweep::plan::Plan::new(&self.sweep) {
                Ok(_) => return Action::Measure(self.measure, Box::new(self.sweep), self.output),
                Err(error) => (ErrorKind::ValueValidation, format!("{error:#}")),
            },
            (Some(_), true) => (
                ErrorKind::ArgumentConflict,
                "--sweep and --peers take no command".to_owned(),
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

    fn tool(&self) -> Option<&Tool> {
        match &self.action {
            Some(Action::Tool(tool)) => Some(tool),
            _ => None,
        }
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

/// Exit code of a benchmark that missed its threshold.
const MISSED: u8 = 3;

/// Time beyond a run's duration in which its last reports are settled.
const DRAIN: Duration = Duration::from_secs(60);

/// Runs the command line to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let command: Command = cli::parse();
    if let Some(tool) = command.tool().filter(|_| !command.common.print_config) {
        return ExitCode::from(cli::run(&command, tool));
    }
    if let Some(Action::Serve(arguments)) = &command.action {
        return chaos::serve::main(arguments.role);
    }
    let loaded = match service::config::load(&command.common, &Overrides::new()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(USAGE);
        }
    };
    if command.common.print_config {
        print!("{}", loaded.print());
        return ExitCode::from(OK);
    }
    let action = command.asked();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(run(action, loaded.settings));
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(action: Action, settings: Settings) -> u8 {
    let stop = match Stop::from_signals() {
        Ok(stop) => stop,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return FAILED;
        }
    };
    match act(action, settings, stop.clone()).await {
        Ok(code) => code,
        Err(_) if stop.cause() == Some(Cause::Interrupt) => INTERRUPTED,
        Err(error) => {
            eprintln!("error: {error:#}");
            FAILED
        }
    }
}

/// The exit code of a run that finished.
async fn act(action: Action, settings: Settings, stop: Stop) -> Result<u8> {
    if !matches!(action, Action::Measure(_, ref swept, _) if !swept.sweeps.is_empty()) {
        // A sweep has a recorder of its own.
        telemetry::install_metrics();
    }
    match action {
        Action::Demo {
            options,
            output,
            page,
            timeout,
        } => {
            let scenario = Scenario::demo(&settings, &options)?;
            show(scenario, settings, (output, page), timeout, stop).await
        }
        Action::Run {
            options,
            output,
            page,
            duration,
        } => {
            let scenario = Scenario::run(&settings, &options, duration)?;
            show(scenario, settings, (output, page), duration + DRAIN, stop).await
        }
        Action::Load { options, output } => offer(&settings, &options, &output, stop).await,
        Action::Chaos { options, output } => disrupt(&settings, &options, &output, stop).await,
        Action::Capacity(options) => {
            print!("{}", capacity::text(&options)?);
            Ok(OK)
        }
        Action::Report(options) => {
            println!("{}", report::join(&options)?.display());
            Ok(OK)
        }
        Action::Network {
            network,
            listen,
            broker,
        } => {
            let root = &settings.deployment.root;
            harness::network::listen(listen, broker, root, network).await?;
            stop.stopped().await;
            Ok(OK)
        }
        Action::Budget { options, output } => {
            let results = output.folder(&settings)?;
            let outcome = budget::run(&settings, &options, &results, stop).await?;
            output.print(&outcome, || outcome.text())?;
            Ok(if outcome.met { OK } else { MISSED })
        }
        Action::Measure(what, swept, output) => {
            measure(&settings, what, &swept, &output, stop).await
        }
        // Never here: `main` has gone there.
        Action::Serve(_) | Action::Tool(_) => Ok(USAGE),
    }
}

/// Whether an outcome is right and, if so, within its limits, as an exit code.
fn code(correct: bool, within: bool) -> u8 {
    match (correct, within) {
        (false, _) => FAILED,
        (true, false) => MISSED,
        (true, true) => OK,
    }
}

/// A demo or a continuous run, with its page.
async fn show(
    mut scenario: Scenario,
    settings: Settings,
    (output, page): (Output, page::Options),
    limit: Duration,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(&settings)?;
    let totals = std::path::absolute(results.join("totals.jsonl"))?;
    scenario.settings.operator.totals_file = totals;
    let page = Page::start(&page, &scenario, &settings, &stop).await?;
    let outcome = demo::run(&scenario, &results, limit, stop.clone(), page.as_ref()).await?;
    output.print(&outcome, || outcome.table())?;
    if let Some(page) = page {
        page.end(&outcome.wrong, &stop).await;
    }
    Ok(code(outcome.correct, true))
}

async fn offer(
    settings: &Settings,
    options: &load::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    if options.rate.is_none() {
        let load = load::explore(settings, options, &results, stop).await?;
        output.print(&load, || load.text())?;
        return Ok(code(load.correct(), load.within_floor));
    }
    let outcome = load::run(settings, options, &results, stop).await?;
    output.print(&outcome, || outcome.text())?;
    Ok(code(outcome.correct, outcome.within_limit))
}

/// Sweeps, peers or both, into one results folder and one report.
async fn measure(
    settings: &Settings,
    measure: Measure,
    swept: &sweep::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let peers = measure.peers.map(|mut names| {
        names.retain(|name| !name.is_empty());
        let mut plan = peers::Plan::new(measure.quick);
        plan.peers = names;
        plan
    });
    let results = output.folder(settings)?;
    if swept.sweeps.is_empty() {
        let plan = peers.unwrap_or_else(|| peers::Plan::new(measure.quick));
        let outcome = peers::run(settings, &plan, &results, stop).await?;
        output.print(&outcome, || outcome.text())?;
        return Ok(code(outcome.correct, true));
    }
    let mut run = sweep::run(settings, swept, &results, &stop).await?;
    let mut text = String::new();
    if let Some(plan) = peers {
        let outcome = peers::run(settings, &plan, &results, stop).await?;
        text = outcome.text();
        run.add_peers(serde_json::to_value(&outcome)?, outcome.correct);
        write_json(&results, "run.json", &run)?;
    }
    let page = report::write(&run, &results)?;
    eprintln!("report: {}", page.display());
    output.print(&run, || results::table::of(&run, &results) + &text)?;
    Ok(code(run.correct, true))
}

async fn disrupt(
    settings: &Settings,
    options: &chaos::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    if options.self_test {
        let found = chaos::selftest::run(settings, options, &results, stop).await?;
        output.print(&found, || chaos::selftest::table(&found))?;
        return Ok(code(found.iter().all(|found| found.noticed), true));
    }
    let outcome = chaos::run(settings, options, &results, stop).await?;
    output.print(&outcome, || outcome.table())?;
    Ok(code(outcome.correct, true))
}
