//! `bench budget`: every row of the design's budget, measured in one run.
//!
//! A row is a ratio of two things measured in turns, or a figure in units that do not depend on the machine's load: bytes,
//! processor time. The verdict is on the median. A row that this machine cannot measure says why and is not a miss; one
//! that misses makes the command end with exit code 3.
//!
//! # Layout
//! * [`rows`]: the rows and their limits · [`steps`], [`fold`]: measured on one thread
//! * [`memory`]: analytics' memory, by its own bench · [`summary`]: verdicts and the table
//! * TenSEAL is measured by [`crate::peers`], the load by [`crate::load`]

mod fold;
mod memory;
mod rows;
mod steps;
mod summary;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::Interrupted;
use harness::output::write_json;
use packed::Kernel;
use service::config::Settings;
use service::stop::Stop;

use crate::output::parsed;
use crate::ratio::{Spread, figure};
use crate::{load, peers};
use rows::Row;
pub(crate) use summary::BudgetSummary;
use summary::{Found, judge};

/// What the command line asks for.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Measure only these rows.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW,…")]
    pub(crate) rows: Vec<Row>,
    /// Fewer rounds and a shorter load.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Another limit than the design's, such as `admit=90` on a slower machine; may be repeated.
    #[arg(long, value_name = "ROW=VALUE", value_parser = limit)]
    pub(crate) limit: Vec<(Row, f64)>,
}

pub(crate) async fn run(
    settings: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<BudgetSummary> {
    let wanted = |row: &Row| options.rows.is_empty() || options.rows.contains(row);
    let mut rows = Vec::new();
    for row in Row::all().iter().copied().filter(wanted) {
        eprintln!("measuring {}: {}", row.name(), row.promise().step);
        let found = tokio::select! {
            () = stop.stopped() => return Err(Interrupted.into()),
            found = measure(row, settings, options.quick, results, stop.clone()) => found,
        };
        // A row whose measurement fails is not met; the others are still worth knowing.
        let found = found.unwrap_or_else(|error| Found::Failed(format!("{error:#}")));
        rows.push(judge(row, found, options));
    }
    let summary = BudgetSummary::new(rows, results);
    write_json(results, "budget.json", &summary)?;
    Ok(summary)
}

async fn measure(
    row: Row,
    settings: &Settings,
    quick: bool,
    results: &Path,
    stop: Stop,
) -> Result<Found> {
    let owned = settings.clone();
    match row {
        Row::SealPortable => sealed(seal::Kernel::Portable, owned, quick).await,
        Row::SealAvx2 => sealed(seal::Kernel::Avx2, owned, quick).await,
        Row::Bytes => apart(move || steps::bytes(&owned)).await,
        Row::BytesAny => apart(move || steps::bytes_any(&owned)).await,
        Row::Unmask => apart(move || steps::unmask(&owned, quick)).await,
        Row::HoldersSeal => apart(move || steps::holders_seal(quick)).await,
        Row::Open => apart(move || steps::open(&owned, quick)).await,
        Row::Admit => apart(move || steps::admission(&owned, quick)).await,
        Row::Tenseal => Ok(tenseal(settings, quick).await),
        Row::FoldAvx512 => folded(Kernel::Avx512, quick).await,
        Row::FoldAvx2 => folded(Kernel::Avx2, quick).await,
        Row::Load => offered(settings, quick, results, stop).await,
        Row::Memory if quick => Ok(Found::Nothing(
            "it takes minutes: not with --quick".to_owned(),
        )),
        Row::Memory => Ok(match memory::peak().await {
            Ok(mb) => Found::Value(Spread::exact(mb), None),
            Err(error) => Found::Nothing(format!("{error:#}")),
        }),
    }
}

/// Runs what keeps a thread busy on one of its own.
async fn apart(work: impl FnOnce() -> Result<Vec<f64>> + Send + 'static) -> Result<Found> {
    let values = tokio::task::spawn_blocking(work).await??;
    Ok(Found::Value(steps::spread(&values)?, None))
}

async fn sealed(kernel: seal::Kernel, settings: Settings, quick: bool) -> Result<Found> {
    if !seal::Kernel::available().any(|available| available == kernel) {
        return Ok(Found::Nothing(format!("this processor lacks {kernel}")));
    }
    apart(move || steps::seal(kernel, &settings, quick)).await
}

async fn folded(kernel: Kernel, quick: bool) -> Result<Found> {
    if !Kernel::available().any(|available| available == kernel) {
        return Ok(Found::Nothing(format!("this processor lacks {kernel}")));
    }
    let rounds = if quick { 5 } else { 21 };
    apart(move || fold::Memory::new()?.ratios(kernel, rounds)).await
}

async fn tenseal(settings: &Settings, quick: bool) -> Found {
    let ratios = peers::client_ratios(settings, "tenseal", quick).await;
    match ratios.and_then(|ratios| steps::spread(&ratios)) {
        Ok(spread) => Found::Value(spread, None),
        Err(error) => Found::Nothing(format!("{error:#}")),
    }
}

async fn offered(settings: &Settings, quick: bool, results: &Path, stop: Stop) -> Result<Found> {
    let duration = Duration::from_secs(if quick { 10 } else { 45 });
    let mut options: load::Options = parsed(&["--rate", "1112"])?;
    options.duration = duration;
    options.quick = quick;
    let load = load::run(settings, &options, results, stop).await?;
    let step = load.steps.first().context("no rate was offered")?;
    let note = format!(
        "{} reports/s settled in {} s, {:.2} cores",
        figure(step.settled_per_s),
        duration.as_secs(),
        step.cores
    );
    let p99 = Spread::exact(step.latency_ms.p99);
    Ok(match step.wrong.first() {
        Some(wrong) => Found::Wrong(p99, format!("{wrong}; {note}")),
        None => Found::Value(p99, Some(note)),
    })
}

/// `ROW=VALUE`.
fn limit(text: &str) -> Result<(Row, f64), String> {
    let (name, value) = text.split_once('=').ok_or("it is not ROW=VALUE")?;
    let row = Row::all().iter().find(|row| row.name() == name);
    let row = *row.ok_or_else(|| {
        let names: Vec<_> = Row::all().iter().map(|row| row.name()).collect();
        format!("there is no row {name:?}; there are {}", names.join(", "))
    })?;
    match value.parse::<f64>() {
        Ok(limit) if limit.is_finite() && limit >= 0.0 => Ok((row, limit)),
        _ => Err(format!("{value:?} is not a limit: a number from 0 on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_its_row() {
        assert_eq!(limit("fold-avx2=0.5"), Ok((Row::FoldAvx2, 0.5)));
        assert!(limit("fold=1").unwrap_err().contains("fold-avx2"));
        assert!(limit("admit=fast").unwrap_err().contains("\"fast\""));
        assert!(limit("admit").is_err());
    }
}
