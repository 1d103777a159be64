//! One run from start to result: start the services, watch them, judge the totals, write the results.

mod summary;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use harness::output::{progress_bar, write_json};
use harness::scenario::Scenario;
use harness::session::{NotFinished, Session};
use harness::stack::On;
use harness::verdict::judge;
use service::stop::Stop;

use crate::page::Page;
pub(crate) use summary::RunSummary;

/// Runs `scenario` to its end, at most for `limit`, with its results in `results`, and shows it on `page`. Wrong totals are
/// no error here; they are in the summary.
pub(crate) async fn run(
    scenario: &Scenario,
    results: &Path,
    limit: Duration,
    stop: Stop,
    page: Option<&Page>,
) -> Result<RunSummary> {
    let began = Instant::now();
    // Keys and journals of a run that is over are worth nothing, and a secret key least of all.
    let state = tempfile::Builder::new()
        .prefix("cipherwatt-")
        .tempdir()
        .context("a folder for the state")?;
    let mut session = Session::start(scenario, state.path(), &On::here()).await?;
    let truths = &scenario.truths;
    let bar = progress_bar(truths.len() as u64, "feeder windows,");
    let ended = session.run(limit, &stop, |watch, seen| {
        if let Some(page) = page {
            page.enter(seen, truths);
        }
        bar.set_position(watch.progress(truths) as u64);
        bar.set_message(format!("{} reports folded", watch.folded));
        Ok(())
    });
    let ended = ended.await;
    bar.finish_and_clear();
    let stopped = session.stop().await;
    let fleet = match ended {
        Ok(fleet) => fleet,
        Err(error) if error.is::<NotFinished>() => {
            let log = results.join("log.txt");
            return Err(anyhow!(
                "{error}; take fewer meters or a longer --timeout (log: {})",
                log.display()
            ));
        }
        // The service that failed says more than that one did.
        Err(error) => return Err(stopped.err().unwrap_or(error)),
    };
    stopped?;
    let verdict = judge(&session.watch, truths);
    let mut summary = RunSummary::new(scenario, &session.watch, &fleet, verdict);
    summary.wall_s = began.elapsed().as_secs_f64();
    results.clone_into(&mut summary.results);
    write_json(results, "summary.json", &summary)?;
    Ok(summary)
}
