//! `bench soak`: the four processes at steady work for long. Every total must be right, and nothing may grow.
//!
//! Memory of the processes and sizes of their files are looked at all the time. What windows of a run are kept for is short, so
//! that the processes forget as much as they learn from the first quarter on: the peak of the last quarter must not be above that of
//! the one before by more than `SLACK`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::Interrupted;
use harness::output::{progress_bar, write_json};
use harness::sharing::Sharing;
use serde::Serialize;
use service::config::Settings;
use service::stop::Stop;
use tokio::time::{sleep, timeout};

use super::judge::{Rules, Verdict, judge};
use super::launch::{end, start};
use super::observer::Seen;
use super::probe::Metrics;
use super::process::State;
use super::proxy::Networks;
use super::serve::Role;
use super::stage::Stage;
use super::totals::{Total, read_lines};
use super::{QUIET, WINDOWS_PER_S, all_totals};

/// How often everything is looked at.
const LOOKS: u32 = 120;
/// What a peak may be above the one before: a tenth and a mebibyte.
const SLACK: (u64, u64) = (10, 1 << 20);
/// Windows that a late report may come for, and for which contributors are remembered.
const GRACE: u32 = 6;
const RETENTION: u32 = 12;

/// What the command line asks for.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long meters report.
    #[arg(long, default_value = "30m", value_parser = humantime::parse_duration)]
    pub duration: Duration,
    /// Simulated meters.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(60..=100_000))]
    pub meters: u32,
    /// Seed of the readings.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What a soak came to.
#[derive(Debug, Serialize)]
pub struct Soak {
    duration_s: f64,
    /// Peaks of the four quarters in bytes, of each process's memory and each file.
    peaks: BTreeMap<String, [u64; 4]>,
    #[serde(flatten)]
    verdict: Verdict,
    /// Whether every total is right and nothing grew.
    pub correct: bool,
    results: PathBuf,
}

/// Runs to the verdict, with logs, totals and peaks in `results`.
///
/// # Errors
/// Where the run cannot start, does not finish or is interrupted.
pub async fn run(base: &Settings, options: &Options, results: &Path, stop: Stop) -> Result<Soak> {
    let folder = tempfile::Builder::new().prefix("cipherwatt-").tempdir();
    let folder = folder.context("a folder for the state")?;
    let calm = options.without_kills();
    let mut stage = Stage::set(base, &calm, None, folder.path(), results)?;
    let window = stage.settings.plan.interval * u32::from(stage.settings.plan.batch);
    stage.settings.analytics.grace = window * GRACE;
    stage.settings.analytics.retention = window * RETENTION;
    stage.write()?;
    let processes = start(&stage, &calm, results, &Networks::of(stage.roles())).await?;
    let fleet = processes[&Role::Meter].state();
    let looked = tokio::select! {
        () = stop.stopped() => return Err(Interrupted.into()),
        looked = timeout(options.duration * 2 + QUIET, look(&stage, fleet, options.duration)) => looked,
    };
    let looks = looked.context("the meters were not finished in twice the time")?;
    all_totals(&stage, QUIET).await;
    let mut wrong = end(processes).await;
    let totals = read_lines::<Total>(&stage.settings.operator.totals_file)?;
    let rules = Rules {
        min_meters: stage.settings.plan.minimum_group(),
        supplement_min_meters: 0,
    };
    let mut verdict = judge(&stage.truths, &Seen::default(), &totals, rules);
    let peaks = peaks(&looks);
    wrong.extend(
        peaks
            .iter()
            .filter_map(|(what, peaks)| growth(what, *peaks)),
    );
    verdict.wrong.extend(wrong);
    let soak = Soak {
        duration_s: options.duration.as_secs_f64(),
        peaks,
        correct: verdict.is_clean(),
        verdict,
        results: results.to_owned(),
    };
    write_json(results, "summary.json", &soak)?;
    Ok(soak)
}

impl Options {
    fn without_kills(&self) -> super::Options {
        super::Options {
            holders: None,
            kills: 0,
            seed: self.seed,
            meters: self.meters,
            feeders: 4,
            windows: Some((self.duration.as_secs_f64() * WINDOWS_PER_S) as u32),
            idle_limit: None,
            live: false,
            bills: false,
            network_faults: false,
            sharing: Sharing::ALONE,
            timeout: None,
            self_test: false,
            sabotage: None,
        }
    }
}

/// Bytes of each process's memory and each file.
type Look = BTreeMap<String, u64>;

/// Looks at everything until the gateway has every receipt.
async fn look(
    stage: &Stage,
    mut fleet: tokio::sync::watch::Receiver<State>,
    duration: Duration,
) -> Vec<Look> {
    let bar = progress_bar(u64::from(LOOKS), "looks");
    let mut looks = Vec::new();
    loop {
        tokio::select! {
            // Fails only where the process could not be kept running, which `end` reports.
            _ = fleet.wait_for(|state| state.over) => break,
            () = sleep(duration / LOOKS) => {}
        }
        let mut look = Look::new();
        for role in Role::ALL {
            if let Some(metrics) = Metrics::scrape(stage.metrics(role)).await {
                let bytes = metrics.sum("process_resident_memory_bytes") as u64;
                look.insert(format!("memory of {}", role.name()), bytes);
            }
        }
        files(&stage.settings.deployment.state_dir, "", &mut look);
        looks.push(look);
        bar.inc(1);
    }
    bar.finish_and_clear();
    looks
}

/// Adds the files below `folder`. Those that are only there until they are renamed do not count.
fn files(folder: &Path, below: &str, look: &mut Look) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        match entry.metadata() {
            Ok(of) if of.is_dir() => files(&entry.path(), &format!("{name}/"), look),
            Ok(of) if !name.ends_with(".tmp") => drop(look.insert(name, of.len())),
            Ok(_) | Err(_) => {}
        }
    }
}

fn peaks(looks: &[Look]) -> BTreeMap<String, [u64; 4]> {
    let mut peaks = BTreeMap::<String, [u64; 4]>::new();
    for (index, look) in looks.iter().enumerate() {
        for (what, bytes) in look {
            let peaks = peaks.entry(what.clone()).or_default();
            let peak = &mut peaks[index * 4 / looks.len()];
            *peak = (*peak).max(*bytes);
        }
    }
    peaks
}

fn growth(what: &str, [.., third, last]: [u64; 4]) -> Option<String> {
    let allowed = third + third / SLACK.0 + SLACK.1;
    let grew = format!("{what} grew from {third} to {last} bytes in the last quarter");
    (last > allowed).then_some(grew)
}

impl Soak {
    /// The figures, for people: of files, those of some size.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<40} {:>11} in quarters of {:.0} s\n",
            "peak",
            "MiB",
            self.duration_s / 4.0
        );
        let large = |peaks: &[u64; 4]| peaks.iter().any(|peak| *peak >= 1 << 16);
        for (what, peaks) in self.peaks.iter().filter(|(_, peaks)| large(peaks)) {
            let mib = peaks.map(|bytes| format!("{:9.2}", bytes as f64 / f64::from(1 << 20)));
            text += &format!("{what:<40} {}\n", mib.join(" "));
        }
        let verdict = &self.verdict;
        text += &format!(
            "{} reports expected, {} folded; {} windows, {} wrong\n",
            verdict.reports_expected,
            verdict.reports_folded,
            verdict.windows,
            verdict.windows_wrong
        );
        for wrong in &verdict.wrong {
            text += &format!("WRONG: {wrong}\n");
        }
        if self.correct {
            text += "every total is right, and nothing grew\n";
        }
        text + &format!("results: {}\n", self.results.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rises_in_the_last_quarter_grows_and_what_levels_off_does_not() {
        let mib = |mib: u64| mib << 20;
        let looks =
            [10, 20, 30, 40, 40, 41, 41, 40].map(|n| Look::from([("x".to_owned(), mib(n))]));
        let level = peaks(&looks)["x"];
        assert_eq!(level, [20, 40, 41, 41].map(mib));
        assert_eq!(growth("x", level), None);
        let leak = growth("memory of meter", [20, 40, 60, 80].map(mib)).unwrap();
        assert!(
            leak.starts_with("memory of meter grew from 62914560 to 83886080"),
            "{leak}"
        );
    }
}
