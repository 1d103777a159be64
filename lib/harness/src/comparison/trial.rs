//! Cases at the margin: is an answer right as near to the threshold as it is said to be?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use packed::ADDITIVE_SMALL;
use packed::layout::{Encoding, Layout, Shape};
use rand::RngExt as _;
use serde::Serialize;

use super::{Compared, Keys, Masked};

/// Homes on the transformer, intervals in a report, and the energy that a home can have in one, of 15 kW in a quarter of an hour.
const HOMES: usize = 50;
const INTERVALS: usize = 96;
const HOME_WH: i64 = 3_750;

/// What a rating can be at most here, for the bound: 400 kW.
const RATING_WH: u64 = 100_000;

/// Sums that cases are taken from.
const SUMS: usize = 20;

/// How many cases, on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// On either side of the threshold.
    pub cases: usize,
    /// Threads; OpenFHE uses one for each case.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Trialled {
    /// Cases just above the threshold, and those answered right.
    pub above: [usize; 2],
    /// Cases just below, and those answered right.
    pub below: [usize; 2],
    /// How far from the threshold they were, in Wh.
    pub margin_wh: f64,
    /// The largest difference that can be asked about, in Wh.
    pub range_wh: u64,
    /// What a case took one thread, in seconds: the median.
    pub case_s: f64,
    /// What all took.
    pub wall_s: f64,
    /// How long the keys took to make.
    pub keys_s: f64,
    /// The most memory that this process had, in MB.
    pub memory_mb: u64,
}

impl Trial {
    /// Asks about the smallest difference for which the answer is to be right. `progress` is told how many cases are done.
    ///
    /// # Errors
    /// OpenFHE fails.
    pub fn run(self, progress: &(dyn Fn(usize) + Sync)) -> Result<Trialled> {
        let keys = Keys::generate()?;
        let shape = Shape::new(Layout::Profile, INTERVALS as u16)?;
        let encoding = Encoding::new(&ADDITIVE_SMALL, shape, 1 << 12, 1, None)?;
        let sums = (0..SUMS).map(|_| keys.sum(&encoding, &homes()));
        let sums: Vec<Masked> = sums.collect::<Result<_>>()?;
        let bound = HOMES as u64 * HOME_WH as u64 + RATING_WH;
        let margin = keys.scale(&sums[0], bound, 1)?.margin;
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::<Compared>::new());
        let started = Instant::now();
        let work = || -> Result<()> {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= 2 * self.cases {
                    return Ok(());
                }
                let sum = &sums[index / 2 % SUMS];
                let interval = index / 2 / SUMS % INTERVALS;
                let side = if index.is_multiple_of(2) { 1 } else { -1 };
                let threshold = sum.quanta[interval] - side * margin.ceil() as i64;
                let compared = keys.is_at_least(sum, interval, (threshold, bound))?;
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push(compared);
                progress(done.len());
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1))
                .map(|_| scope.spawn(work))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| match thread.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let figures = (margin, bound, keys.made_in, started.elapsed());
        Ok(summary(&done, figures))
    }
}

fn homes() -> Vec<Vec<i64>> {
    let mut random = rand::rng();
    let mut home = || {
        (0..INTERVALS)
            .map(|_| random.random_range(0..=HOME_WH) / 8)
            .collect()
    };
    (0..HOMES).map(|_| home()).collect()
}

fn summary(
    done: &[Compared],
    (margin_wh, range_wh, made_in, wall): (f64, u64, Duration, Duration),
) -> Trialled {
    let side = |above: bool| {
        let of_side = || done.iter().filter(move |case| case.truth == above);
        [
            of_side().count(),
            of_side().filter(|case| case.value == case.truth).count(),
        ]
    };
    let mut costs: Vec<f64> = done.iter().map(|case| case.cost_s).collect();
    costs.sort_by(f64::total_cmp);
    Trialled {
        above: side(true),
        below: side(false),
        margin_wh,
        range_wh,
        case_s: costs.get(costs.len() / 2).copied().unwrap_or_default(),
        wall_s: wall.as_secs_f64(),
        keys_s: made_in.as_secs_f64(),
        memory_mb: peak_mb(),
    }
}

fn peak_mb() -> u64 {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    status
        .ok()
        .and_then(|status| status.vmhwm)
        .unwrap_or_default()
        / 1024
}
