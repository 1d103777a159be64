//! One step of a load: which report is due when, and what became of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::fleet::Fleet;

/// Reports of whole cells at a steady rate: number n is due n / rate seconds after the start.
#[derive(Debug)]
pub struct Step {
    rate: f64,
    first_cell: u64,
    cells: u64,
    feeders: u64,
    a_feeder: u64,
    start: OnceLock<Instant>,
    settled: AtomicU64,
    last_settled_us: AtomicU64,
    /// Microseconds from due to receipt, plus 1; 0 while there is none.
    latency_us: Vec<AtomicU32>,
    /// Microseconds the generator took to send it, plus 1; 0 while it was not sent.
    lateness_us: Vec<AtomicU32>,
    /// Microseconds from due until the pace allowed it, plus 1; 0 while it was not sent.
    held_us: Vec<AtomicU32>,
}

/// Percentiles of a duration, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Greatest.
    pub max: f64,
}

impl Step {
    /// As many whole cells from `first_cell` on as are due in `duration`, at least one.
    #[must_use]
    pub fn new(fleet: &Fleet, rate: f64, duration: Duration, first_cell: u64) -> Self {
        let a_feeder = u64::from(fleet.meters_a_feeder());
        let wanted = (rate * duration.as_secs_f64()).round() as u64;
        let cells = (wanted / a_feeder).max(1);
        let reports = usize::try_from(cells * a_feeder).unwrap_or(usize::MAX);
        let unknown = || (0..reports).map(|_| AtomicU32::new(0)).collect();
        Self {
            rate,
            first_cell,
            cells,
            feeders: u64::from(fleet.feeders()),
            a_feeder,
            start: OnceLock::new(),
            settled: AtomicU64::new(0),
            last_settled_us: AtomicU64::new(0),
            latency_us: unknown(),
            lateness_us: unknown(),
            held_us: unknown(),
        }
    }

    /// The rate, in reports a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// The cells it reports for.
    #[must_use]
    pub fn cells(&self) -> std::ops::Range<u64> {
        self.first_cell..self.first_cell + self.cells
    }

    /// Number of feeders it reports for.
    #[must_use]
    pub fn feeders(&self) -> u64 {
        self.cells.min(self.feeders)
    }

    /// Number of reports.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.cells * self.a_feeder
    }

    /// Time from the first report to the last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.reports() as f64 / self.rate)
    }

    /// The row of report `n`: the feeders take turns, as meters that report at one time do.
    #[must_use]
    pub fn row(&self, n: u64) -> u64 {
        let (group, within) = (
            n / (self.feeders * self.a_feeder),
            n % (self.feeders * self.a_feeder),
        );
        let width = self.width(group);
        let cell = self.first_cell + group * self.feeders + within % width;
        cell * self.a_feeder + within / width
    }

    /// The number of the report in a row, if it is one of this step.
    #[must_use]
    pub fn number(&self, row: u64) -> Option<u64> {
        let (cell, member) = (row / self.a_feeder, row % self.a_feeder);
        let cell = cell.checked_sub(self.first_cell)?;
        let (group, place) = (cell / self.feeders, cell % self.feeders);
        let within = member * self.width(group) + place;
        (cell < self.cells).then(|| group * self.feeders * self.a_feeder + within)
    }

    /// Cells that take turns in a group: all feeders, or what is left.
    fn width(&self, group: u64) -> u64 {
        self.cells
            .saturating_sub(group * self.feeders)
            .clamp(1, self.feeders)
    }

    /// Starts the clock, once.
    pub fn start(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    /// When report `n` is due.
    #[must_use]
    pub fn due(&self, n: u64) -> Instant {
        self.start() + Duration::from_secs_f64(n as f64 / self.rate)
    }

    /// Enters that report `n` was sent, and since when the pace allowed it.
    pub fn sent(&self, n: u64, allowed: Instant) {
        let due = self.due(n);
        let allowed = allowed.max(due);
        let late = allowed.elapsed().as_micros();
        self.lateness_us[n as usize].store(clamp_us(late), Ordering::Relaxed);
        let held = allowed.saturating_duration_since(due).as_micros();
        self.held_us[n as usize].store(clamp_us(held), Ordering::Relaxed);
    }

    /// Enters a receipt for report `n`; further ones change nothing.
    pub fn settle(&self, n: u64) {
        let since = self.due(n).elapsed().as_micros();
        let first = self.latency_us[n as usize].compare_exchange(
            0,
            clamp_us(since),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if first.is_ok() {
            let now_us = u64::try_from(self.start().elapsed().as_micros()).unwrap_or(u64::MAX);
            self.last_settled_us.fetch_max(now_us, Ordering::Relaxed);
            self.settled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether report `n` has a receipt.
    #[must_use]
    pub fn is_settled(&self, n: u64) -> bool {
        self.latency_us[n as usize].load(Ordering::Relaxed) > 0
    }

    /// Number of reports with a receipt.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// Reports settled in a second, from the start to the last receipt.
    #[must_use]
    pub fn settled_per_s(&self) -> f64 {
        let us = self.last_settled_us.load(Ordering::Relaxed).max(1);
        self.settled() as f64 * 1e6 / us as f64
    }

    /// From due to receipt, over the settled reports.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        percentiles(&self.latency_us)
    }

    /// From when a report was due, and the pace allowed it, to being handed to the broker: the generator's own lateness.
    #[must_use]
    pub fn lateness(&self) -> Latencies {
        percentiles(&self.lateness_us)
    }

    /// From when a report was due until the pace allowed it: the pipeline was full.
    #[must_use]
    pub fn held(&self) -> Latencies {
        percentiles(&self.held_us)
    }
}

fn clamp_us(us: u128) -> u32 {
    u32::try_from(us).unwrap_or(u32::MAX - 1).saturating_add(1)
}

fn percentiles(values: &[AtomicU32]) -> Latencies {
    let mut us: Vec<u32> = values
        .iter()
        .map(|us| us.load(Ordering::Relaxed))
        .filter(|us| *us > 0)
        .collect();
    us.sort_unstable();
    let at = |share: f64| {
        let index = (us.len() as f64 * share).ceil() as usize;
        us.get(index.clamp(1, us.len().max(1)) - 1)
            .map_or(0.0, |us| f64::from(us - 1) / 1e3)
    };
    Latencies {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn step(rate: f64, first_cell: u64) -> (Fleet, Step) {
        let fleet = Fleet::new(1_000, 10, 4, 1).unwrap();
        let step = Step::new(&fleet, rate, Duration::from_secs(10), first_cell);
        (fleet, step)
    }

    #[test]
    fn a_step_is_whole_cells_each_row_once_and_feeders_in_turn() {
        for (rate, cells) in [(1.0, 1), (75.0, 7), (100.0, 10), (237.0, 23)] {
            let (_, step) = step(rate, 13);
            assert_eq!(step.cells(), 13..13 + cells, "{rate}");
            let rows: BTreeSet<u64> = (0..step.reports()).map(|n| step.row(n)).collect();
            let expected = (1_300..1_300 + 100 * cells).collect::<BTreeSet<_>>();
            assert_eq!(rows, expected, "{rate}");
            for n in 0..step.reports() {
                assert_eq!(step.number(step.row(n)), Some(n));
            }
            assert_eq!(step.number(1_299), None);
            assert_eq!(step.number(1_300 + 100 * cells), None);
        }
        let (fleet, step) = step(75.0, 0);
        let first: Vec<u32> = (0..8).map(|n| fleet.place(step.row(n)).feeder).collect();
        assert_eq!(first, [0, 1, 2, 3, 4, 5, 6, 0]);
    }

    #[test]
    fn a_receipt_counts_once() {
        let (_, step) = step(100.0, 0);
        step.sent(7, step.start());
        step.settle(7);
        step.settle(7);
        assert!(step.is_settled(7) && !step.is_settled(8));
        assert_eq!(step.settled(), 1);
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let values: Vec<AtomicU32> = (0..=1000)
            .map(|ms| AtomicU32::new(ms * 1000 + u32::from(ms > 0)))
            .collect();
        let latencies = percentiles(&values);
        assert_eq!(
            (latencies.p50, latencies.p99, latencies.max),
            (500.0, 990.0, 1000.0)
        );
    }
}
