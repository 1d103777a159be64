//! One step of a load: which report is due when, and what became of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use harness::latency::{Durations, Latencies};

use super::fleet::Fleet;

/// Reports of whole cells at a steady rate: number n is due n / rate seconds after the start.
#[derive(Debug)]
pub(crate) struct Step {
    /// Reports a second.
    pub(crate) rate: f64,
    first_cell: u64,
    cells: u64,
    feeders: u64,
    a_feeder: u64,
    start: OnceLock<Instant>,
    settled: AtomicU64,
    last_settled_us: AtomicU64,
    has_receipt: Vec<AtomicBool>,
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    /// From due to receipt.
    latency: Durations,
    /// From due, and allowed by the pace, to being handed to the broker: the generator's own.
    lateness: Durations,
    /// From due until the pace allowed it: the pipeline was full.
    held: Durations,
}

impl Step {
    /// As many whole cells from `first_cell` on as are due in `duration`, at least one.
    pub(crate) fn new(fleet: &Fleet, rate: f64, duration: Duration, first_cell: u64) -> Self {
        let a_feeder = u64::from(fleet.a_feeder);
        let wanted = (rate * duration.as_secs_f64()).round() as u64;
        let cells = (wanted / a_feeder).max(1);
        let reports = usize::try_from(cells * a_feeder).unwrap_or(usize::MAX);
        Self {
            rate,
            first_cell,
            cells,
            feeders: fleet.feeders.len() as u64,
            a_feeder,
            start: OnceLock::new(),
            settled: AtomicU64::new(0),
            last_settled_us: AtomicU64::new(0),
            has_receipt: (0..reports).map(|_| AtomicBool::new(false)).collect(),
            times: Mutex::default(),
        }
    }

    pub(crate) fn cells(&self) -> std::ops::Range<u64> {
        self.first_cell..self.first_cell + self.cells
    }

    pub(crate) fn feeders(&self) -> u64 {
        self.cells.min(self.feeders)
    }

    pub(crate) fn reports(&self) -> u64 {
        self.cells * self.a_feeder
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.reports() as f64 / self.rate)
    }

    /// The row of report `n`: the feeders take turns, as meters that report at one time do.
    pub(crate) fn row(&self, n: u64) -> u64 {
        let (group, within) = (
            n / (self.feeders * self.a_feeder),
            n % (self.feeders * self.a_feeder),
        );
        let width = self.width(group);
        let cell = self.first_cell + group * self.feeders + within % width;
        cell * self.a_feeder + within / width
    }

    /// The number of the report in a row, if it is one of this step.
    pub(crate) fn number(&self, row: u64) -> Option<u64> {
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

    pub(crate) fn start(&self) -> Instant {
        *self.start.get_or_init(Instant::now)
    }

    pub(crate) fn due(&self, n: u64) -> Instant {
        self.start() + Duration::from_secs_f64(n as f64 / self.rate)
    }

    /// Records that report `n` was sent, and from when on the pace allowed it.
    pub(crate) fn sent(&self, n: u64, allowed: Instant) {
        let due = self.due(n);
        let allowed = allowed.max(due);
        let mut times = self.times();
        times.lateness.record(allowed.elapsed());
        times.held.record(allowed.saturating_duration_since(due));
    }

    /// Records a receipt for report `n`; further ones change nothing.
    pub(crate) fn settle(&self, n: u64) {
        if !self.has_receipt[n as usize].swap(true, Ordering::Relaxed) {
            self.times().latency.record(self.due(n).elapsed());
            let now_us = u64::try_from(self.start().elapsed().as_micros()).unwrap_or(u64::MAX);
            self.last_settled_us.fetch_max(now_us, Ordering::Relaxed);
            self.settled.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_settled(&self, n: u64) -> bool {
        self.has_receipt[n as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// Reports settled in a second, from the start to the last receipt.
    pub(crate) fn settled_per_s(&self) -> f64 {
        let us = self.last_settled_us.load(Ordering::Relaxed).max(1);
        self.settled() as f64 * 1e6 / us as f64
    }

    /// From due to receipt, over the settled reports; the generator's own lateness; and what the pace held back.
    pub(crate) fn latencies(&self) -> [Latencies; 3] {
        let times = self.times();
        [&times.latency, &times.lateness, &times.held].map(Durations::latencies)
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        // No code panics while it holds the lock.
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
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
        step.settle(0);
        assert!(step.latencies()[0].max > 0.0);
    }
}
