//! One run from start to result: start the services, watch them, judge the totals, write the results.

mod summary;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use harness::output::{progress_bar, write_json};
use harness::runtimes::On;
use harness::scenario::Scenario;
use harness::session::{NotFinished, Session};
use service::stop::Stop;

use crate::page::Page;
pub(crate) use summary::RunSummary;

/// Runs `scenario` to its end, at most for `limit`, with its results in `results`, and shows it on `page`. Wrong totals are
/// not an error here; they are in the summary.
pub(crate) async fn run(
    scenario: &Scenario,
    results: &Path,
    limit: Duration,
    stop: Stop,
    page: Option<&Page>,
) -> Result<RunSummary> {
    let began = Instant::now();
    let mut session = Session::start(scenario, &On::here()).await?;
    let truths = &scenario.truths;
    let bar = progress_bar(truths.len() as u64, "feeder windows,");
    let ended = session.run(limit, &stop, |watch, seen| {
        if let Some(page) = page {
            page.show(seen, truths);
        }
        bar.set_position(watch.progress(truths) as u64);
        bar.set_message(format!("{} reports folded", watch.folded));
        Ok(())
    });
    let ended = ended.await;
    bar.finish_and_clear();
    let finished = session.finish(ended).await;
    let finished = finished.map_err(|error| match error.is::<NotFinished>() {
        true => anyhow!(
            "{error}; take fewer meters or a longer --timeout (log: {})",
            results.join("log.txt").display()
        ),
        false => error,
    })?;
    let mut summary = RunSummary::new(scenario, finished);
    summary.wall_s = began.elapsed().as_secs_f64();
    results.clone_into(&mut summary.results);
    write_json(results, "summary.json", &summary)?;
    Ok(summary)
}
