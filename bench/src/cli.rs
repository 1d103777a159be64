//! The commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use service::Chain;
use service::cli::{self, Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;
use service::process::{FAILED, INTERRUPTED, OK, USAGE};
use service::stop::{Cause, Stop};
use service::telemetry;

use crate::fixed::Kind;
use crate::page::{self, Page};
use crate::results::{self, Files};
use crate::scenario::{Options, Scenario};
use crate::{budget, capacity, chaos, demo, fixed, load, peers, report, sweep};

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
}

impl Action {
    /// What decides which settings are the command's own; `None` where no services are started.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Demo { .. } | Self::Run { .. } => Some(Kind::Run),
            Self::Load { .. } => Some(Kind::Load),
            Self::Chaos { .. } => Some(Kind::Chaos),
            Self::Budget { .. } => Some(Kind::Parts),
            Self::Measure(_, swept, _) if swept.sweeps.is_empty() => Some(Kind::Parts),
            Self::Measure(..) => Some(Kind::Sweep),
            Self::Report(_) | Self::Capacity(_) | Self::Tool(_) | Self::Serve(_) => None,
        }
    }
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
        if self.action.is_some() && self.measure.quick {
            let problem = "`--quick` before a command would not be used: write it after a command that has it";
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

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
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

#[derive(Debug, clap::Args)]
struct Output {
    /// What goes to stdout.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Folder for the results of runs.
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table and figures, for people.
    Table,
    /// One JSON object.
    Json,
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
            eprintln!("error: {}", Chain(&error));
            return ExitCode::from(USAGE);
        }
    };
    if command.common.print_config {
        print!("{}", loaded.print());
        return ExitCode::from(OK);
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

/// The exit code of a run that came to its end.
async fn act(action: Action, settings: Settings, stop: Stop) -> Result<u8> {
    let (scenario, output, page, limit) = match action {
        Action::Demo {
            options,
            output,
            page,
            timeout,
        } => (Scenario::demo(&settings, &options)?, output, page, timeout),
        Action::Run {
            options,
            output,
            page,
            duration,
        } => (
            Scenario::run(&settings, &options, duration)?,
            output,
            page,
            duration + DRAIN,
        ),
        Action::Load { options, output } => return offer(&settings, &options, &output, stop).await,
        Action::Chaos { options, output } => {
            return disrupt(&settings, &options, &output, stop).await;
        }
        Action::Capacity(options) => {
            print!("{}", capacity::text(&options)?);
            return Ok(OK);
        }
        Action::Report(options) => {
            println!("{}", report::join(&options)?.display());
            return Ok(OK);
        }
        Action::Budget { options, output } => {
            return hold(&settings, &options, &output, stop).await;
        }
        Action::Measure(what, swept, output) => {
            return measure(&settings, what, &swept, &output, stop).await;
        }
        // Never here: `main` has gone there.
        Action::Serve(_) | Action::Tool(_) => return Ok(USAGE),
    };
    let results = output.folder(&settings)?;
    let page = Page::start(&page, &scenario, &settings, &stop).await?;
    let outcome = demo::run(&scenario, &results, limit, stop.clone(), page.as_ref()).await?;
    output.print(&outcome, || outcome.table())?;
    if let Some(page) = page {
        page.end(&outcome, &stop).await;
    }
    Ok(if outcome.correct { OK } else { FAILED })
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
        return Ok(match (load.correct(), load.within_floor) {
            (false, _) => FAILED,
            (true, false) => MISSED,
            (true, true) => OK,
        });
    }
    let outcome = load::run(settings, options, &results, stop).await?;
    output.print(&outcome, || outcome.text())?;
    Ok(match (outcome.correct, outcome.within_limit) {
        (false, _) => FAILED,
        (true, false) => MISSED,
        (true, true) => OK,
    })
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
    let results = output.log_folder(settings)?;
    if swept.sweeps.is_empty() {
        telemetry::install_metrics();
        let outcome = peers::run(
            settings,
            &peers.unwrap_or(peers::Plan::new(measure.quick)),
            &results,
            stop,
        )
        .await?;
        output.print(&outcome, || outcome.text())?;
        return Ok(if outcome.correct { OK } else { FAILED });
    }
    let mut run = sweep::run(settings, swept, &results, &stop).await?;
    let mut text = String::new();
    if let Some(plan) = peers {
        let outcome = peers::run(settings, &plan, &results, stop).await?;
        text = outcome.text();
        run.add_peers(serde_json::to_value(&outcome)?, outcome.correct);
        Files::new(&results).document(&run)?;
    }
    let page = report::write(&run, &results)?;
    eprintln!("report: {}", page.display());
    output.print(&run, || results::table::of(&run, &results) + &text)?;
    Ok(if run.correct { OK } else { FAILED })
}

async fn hold(
    settings: &Settings,
    options: &budget::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    let outcome = budget::run(settings, options, &results, stop).await?;
    output.print(&outcome, || outcome.text())?;
    Ok(if outcome.met { OK } else { MISSED })
}

async fn disrupt(
    settings: &Settings,
    options: &chaos::Options,
    output: &Output,
    stop: Stop,
) -> Result<u8> {
    let results = output.folder(settings)?;
    let passed = if options.self_test {
        let found = chaos::selftest::run(settings, options, &results, stop).await?;
        output.print(&found, || chaos::selftest::table(&found))?;
        found.iter().all(|found| found.noticed)
    } else {
        let outcome = chaos::run(settings, options, &results, stop).await?;
        output.print(&outcome, || outcome.table())?;
        outcome.correct
    };
    Ok(if passed { OK } else { FAILED })
}

impl Output {
    /// A new results folder, which the logs go to.
    fn folder(&self, settings: &Settings) -> Result<PathBuf> {
        telemetry::install_metrics();
        self.log_folder(settings)
    }

    /// The same without a recorder of metrics: a sweep has its own.
    fn log_folder(&self, settings: &Settings) -> Result<PathBuf> {
        let results = demo::results_folder(&self.results)?;
        let log = std::fs::File::create(results.join("log.txt"))?;
        telemetry::log_to_file(&settings.log, log)?;
        Ok(results)
    }

    fn print(&self, outcome: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<()> {
        match self.output {
            Form::Table => print!("{}", text()),
            Form::Json => println!("{}", serde_json::to_string(outcome)?),
        }
        Ok(())
    }
}
