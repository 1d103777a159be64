//! `bench compare`: encrypted comparisons as near to the threshold as an answer is said to be right.

use anyhow::Result;
use harness::comparison::trial::{Trial, Trialled};
use harness::output::progress_bar;

/// How many, and on how many threads.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Options {
    /// Cases on either side of the threshold
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    cases: u32,
    /// Threads, each with a case of its own; 0: one for each processor
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

pub(crate) fn run(options: &Options) -> Result<Trialled> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism()?.get(),
        threads => threads,
    };
    eprintln!("making the evaluation keys: half a minute, 1.7 GB of memory");
    let bar = progress_bar(2 * u64::from(options.cases), "comparisons");
    let trial = Trial {
        cases: options.cases as usize,
        threads,
    };
    let trialled = trial.run(&|done| bar.set_position(done as u64));
    bar.finish_and_clear();
    trialled
}

/// Whether all were answered right.
pub(crate) fn is_right(trialled: &Trialled) -> bool {
    [trialled.above, trialled.below]
        .iter()
        .all(|[cases, right]| cases == right && *cases > 0)
}

pub(crate) fn text(trialled: &Trialled) -> String {
    let Trialled {
        above: [above, right_above],
        below: [below, right_below],
        margin_wh,
        range_wh,
        case_s,
        wall_s,
        keys_s,
        memory_mb,
    } = trialled;
    format!(
        "right {right_above} of {above} just above the threshold, {right_below} of {below} just below\n\
         margin {margin_wh:.1} Wh, {:.3} % of the largest difference that can be asked about, {range_wh} Wh\n\
         {case_s:.2} s a comparison on one thread (median), {wall_s:.0} s in all; keys {keys_s:.0} s; memory {memory_mb} MB\n",
        100.0 * margin_wh / *range_wh as f64,
    )
}
