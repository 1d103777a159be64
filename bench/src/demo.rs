//! One run from start to result: start the services, watch them, judge the totals, write the results.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use meter::Summary;
use service::stop::Stop;
use tokio::sync::mpsc;

use crate::output::{Outcome, Totals};
use crate::page::Page;
use crate::scenario::Scenario;
use crate::stack::Stack;
use crate::verdict::judge;
use crate::watch::{Seen, Watch};

/// Runs `scenario` to its end, at most for `limit`, with its results in `results`, and shows it on `page`.
///
/// # Errors
/// Where a service fails, the run is interrupted or does not end in time. Wrong totals are no error here; they are
/// in the outcome.
pub async fn run(
    scenario: &Scenario,
    results: &Path,
    limit: Duration,
    stop: Stop,
    page: Option<&Page>,
) -> Result<Outcome> {
    let began = Instant::now();
    // Keys and journals of a run that is over are worth nothing, and a secret key least of all.
    let state = tempfile::Builder::new()
        .prefix("cipherwatt-")
        .tempdir()
        .context("a folder for the state")?;
    let (sender, mut seen) = mpsc::unbounded_channel();
    let mut stack = Stack::start(&scenario.settings, state.path(), sender).await?;
    let mut watch = Watch::new(scenario.settings.plan.min_meters);
    let mut totals = Totals::create(results)?;
    let bar = progress_bar(scenario.truths.len());
    let mut summary: Option<Summary> = None;
    let ended = tokio::time::timeout(limit, async {
        while summary.is_none() || watch.progress(&scenario.truths) < scenario.truths.len() {
            tokio::select! {
                () = stop.stopped() => bail!("interrupted"),
                ended = stack.fleet_ended() => summary = Some(ended.context("the gateway")?),
                event = seen.recv() => {
                    let Some(event) = event else { bail!("the services ended") };
                    if let Seen::Operator(operator::Event::Released(report)) = &event {
                        totals.append(report)?;
                    }
                    if let Some(page) = page {
                        page.enter(&event, &scenario.truths);
                    }
                    watch.enter(event);
                    bar.set_position(watch.progress(&scenario.truths) as u64);
                    bar.set_message(format!("{} reports folded", watch.folded));
                }
                () = tokio::time::sleep(Duration::from_secs(1)), if stack.is_broken() => bail!("a service ended"),
            }
        }
        Ok(())
    })
    .await;
    bar.finish_and_clear();
    let stopped = stack.stop().await;
    let verdict = judge(&watch, &scenario.truths);
    match ended {
        Ok(Ok(())) => {}
        // The service that failed says more than that one did.
        Ok(Err(error)) => return Err(stopped.err().unwrap_or(error)),
        Err(_) => bail!(
            "not finished after {}: {} of {} windows accounted for; {}; take fewer meters or a longer --timeout (log: {})",
            humantime::format_duration(limit),
            watch.progress(&scenario.truths),
            scenario.truths.len(),
            verdict
                .wrong
                .first()
                .map_or("no total is wrong so far", String::as_str),
            results.join("log.txt").display(),
        ),
    }
    stopped?;
    let summary = summary.unwrap_or_default();
    Outcome::new(
        scenario,
        &watch,
        &summary,
        verdict,
        began.elapsed(),
        results,
    )
}

/// A new folder for a run's results under `parent`, named by the time.
///
/// # Errors
/// Where it cannot be made.
pub fn results_folder(parent: &Path) -> Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S");
    for attempt in 0_u32.. {
        let name = if attempt == 0 {
            format!("{now}")
        } else {
            format!("{now}-{attempt}")
        };
        let folder = parent.join(name);
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}", parent.display()))?;
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot make {}", folder.display()));
            }
        }
    }
    bail!("no free name under {}", parent.display())
}

fn progress_bar(windows: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{elapsed_precise} {bar:30} {pos}/{len} feeder windows, {msg}",
    );
    ProgressBar::new(windows as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
