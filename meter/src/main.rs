//! `meter`: a gateway with meters behind it that are simulated, replayed, or send their readings.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use service::cli::{Arguments, Common, Tool};
use service::config::{Overrides, Settings};
use service::doctor::Subject;

/// A gateway for many meters: encrypts their interval data, publishes it, and keeps each report until the sum it is in is released.
///
/// Without arguments it simulates a small fleet on a broker on loopback. Interval, batch and layout come from the
/// operator's plan.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:
  meter --meters 1000 --speed 900
  meter --replay data/uci_electricity_hourly.csv --speed 3600
  meter --meters 200 --connections per-meter
  meter --lines - --meters-file meters.csv
  meter doctor"
)]
struct Command {
    #[command(flatten)]
    common: Common,
    /// Number of simulated meters [meter.meters]
    #[arg(long)]
    meters: Option<u32>,
    /// Number of feeders the meters are spread over [meter.feeders]
    #[arg(long)]
    feeders: Option<u32>,
    /// Seed of the simulated fleet [meter.seed]
    #[arg(long)]
    seed: Option<u64>,
    /// Seconds of event time per second, until it has caught up with the clock [meter.speed]
    #[arg(long)]
    speed: Option<f64>,
    /// Length of the run in event time, such as 2days [meter.duration]
    #[arg(long)]
    duration: Option<String>,
    /// Replay a file of readings, in one of the forms of docs/formats.md [meter.replay]
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Take live readings, a JSON object a line, from "-" (standard input), a FIFO or unix:PATH [meter.lines]
    #[arg(long, value_name = "PLACE", conflicts_with = "replay")]
    lines: Option<String>,
    /// The meters of live readings: a CSV file with id, feeder and capacity_w [meter.meters_file]
    #[arg(long, value_name = "FILE")]
    meters_file: Option<PathBuf>,
    /// MQTT connections: gateway (one for all) or per-meter [meter.connections]
    #[arg(long)]
    connections: Option<String>,
    #[command(subcommand)]
    tool: Option<Tool>,
}

impl Arguments for Command {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }

    fn overrides(&self) -> Overrides {
        let replay = self.replay.as_ref().map(|path| path.display().to_string());
        let meters_file = self.meters_file.as_ref();
        let meters_file = meters_file.map(|path| path.display().to_string());
        let lines = self.lines.as_ref().map(|_| "lines");
        let source = replay.as_ref().map(|_| "replay").or(lines);
        Overrides::new()
            .option("meter.meters", self.meters)
            .option("meter.feeders", self.feeders)
            .option("meter.seed", self.seed)
            .option("meter.speed", self.speed)
            .option("meter.duration", self.duration.as_ref())
            .option("meter.source", source)
            .option("meter.replay", replay.as_ref())
            .option("meter.lines", self.lines.as_ref())
            .option("meter.meters_file", meters_file.as_ref())
            .option("meter.connections", self.connections.as_ref())
    }

    fn tool(&self) -> Option<&Tool> {
        self.tool.as_ref()
    }

    fn unsupported(settings: &Settings) -> Option<(&'static str, String)> {
        meter::unsupported(settings)
    }

    fn subjects(settings: &Settings) -> Vec<Subject> {
        vec![meter::doctor::subject(settings)]
    }
}

fn main() -> ExitCode {
    service::process::main(
        "meter",
        async |context: service::process::Context<Command>| {
            let summary = meter::run(&context.settings, context.clock, context.stop, None).await?;
            tracing::info!(
                readings = summary.readings,
                clamped = summary.clamped,
                missing = summary.missing,
                reports = summary.reports,
                folded = summary.folded,
                duplicates = summary.duplicates,
                sent_again = summary.wanted,
                lost = summary.lost,
                unsettled = summary.unsettled,
                "the gateway has ended"
            );
            if let Some(said) = summary.losses() {
                tracing::warn!("{said}");
            }
            Ok(())
        },
    )
}
