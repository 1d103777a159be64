//! Which report is due when, and what became of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use meter::fleet::feeder_of;
use serde::Serialize;
use wire::{FeederId, WindowStart};

use super::Options;

/// Length of a window, in seconds: a quarter of an hour.
pub const INTERVAL_S: u32 = 900;

/// Seconds' worth of reports that make a window unless the number of meters is set.
const CYCLE_S: f64 = 30.0;
/// Meters on a feeder unless the number of feeders is set.
const METERS_A_FEEDER: u32 = 1000;

/// Report n is meter n modulo M's, in window n / M, and due n / rate seconds after the start.
#[derive(Debug)]
pub struct Schedule {
    rate: f64,
    meters: u32,
    feeders: Vec<FeederId>,
    windows: u64,
    first_window: WindowStart,
    start: OnceLock<Instant>,
    settled: AtomicU64,
    last_settled_us: AtomicU64,
    /// Microseconds from due to receipt, plus 1; 0 while there is none.
    latency_us: Vec<AtomicU32>,
    /// Microseconds from due to being sent, plus 1; 0 while it was not.
    lateness_us: Vec<AtomicU32>,
}

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Index of the meter.
    pub meter: u32,
    /// Its feeder.
    pub feeder: FeederId,
    /// The window.
    pub window: WindowStart,
}

/// Percentiles of a duration, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
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

impl Schedule {
    /// The schedule of `options`: whole windows, at least one.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let total = (options.rate * options.duration.as_secs_f64()).max(2.0) as u64;
        let cycle = ((options.rate * CYCLE_S) as u64).clamp(2, 1_000_000);
        let meters = options.meters.map_or(cycle.min(total), u64::from);
        let windows = (total / meters).max(1);
        let meters = u32::try_from(meters).unwrap_or(u32::MAX);
        let feeders = options
            .feeders
            .unwrap_or_else(|| meters.div_ceil(METERS_A_FEEDER))
            .min(meters);
        let now = jiff::Timestamp::now().as_second() as u64;
        let interval = u64::from(INTERVAL_S);
        let reports = usize::try_from(windows * u64::from(meters)).unwrap_or(usize::MAX);
        Self {
            rate: options.rate,
            meters,
            feeders: (0..feeders as usize)
                .map(|index| feeder_of(index, feeders))
                .collect(),
            windows,
            // In the past, so that no window lies in the future however long the run is.
            first_window: WindowStart((now / interval - windows - 2) * interval),
            start: OnceLock::new(),
            settled: AtomicU64::new(0),
            last_settled_us: AtomicU64::new(0),
            latency_us: (0..reports).map(|_| AtomicU32::new(0)).collect(),
            lateness_us: (0..reports).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Number of reports.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.windows * u64::from(self.meters)
    }

    /// Number of meters.
    #[must_use]
    pub fn meters(&self) -> u32 {
        self.meters
    }

    /// Number of feeders.
    #[must_use]
    pub fn feeders(&self) -> u32 {
        self.feeders.len() as u32
    }

    /// Meters on the smallest feeder.
    #[must_use]
    pub fn smallest_feeder(&self) -> u32 {
        self.meters / self.feeders()
    }

    /// The feeder of a meter.
    #[must_use]
    pub fn feeder(&self, meter: u32) -> &FeederId {
        &self.feeders[meter as usize % self.feeders.len()]
    }

    /// What report `n` is about.
    #[must_use]
    pub fn slot(&self, n: u64) -> Slot {
        let meter = (n % u64::from(self.meters)) as u32;
        Slot {
            meter,
            feeder: self.feeder(meter).clone(),
            window: WindowStart(
                self.first_window.0 + n / u64::from(self.meters) * u64::from(INTERVAL_S),
            ),
        }
    }

    /// The report of a meter in a window.
    #[must_use]
    pub fn number(&self, meter: u32, window: WindowStart) -> Option<u64> {
        let since = window.0.checked_sub(self.first_window.0)? / u64::from(INTERVAL_S);
        (meter < self.meters && since < self.windows)
            .then(|| since * u64::from(self.meters) + u64::from(meter))
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

    /// Enters that report `n` was handed over.
    pub fn sent(&self, n: u64) {
        let late = self.due(n).elapsed().as_micros();
        self.lateness_us[n as usize].store(clamp_us(late), Ordering::Relaxed);
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

    /// Whether report `n` was sent and has no receipt.
    #[must_use]
    pub fn is_open(&self, n: u64) -> bool {
        self.lateness_us[n as usize].load(Ordering::Relaxed) > 0 && !self.is_settled(n)
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

    /// From due to being sent.
    #[must_use]
    pub fn lateness(&self) -> Latencies {
        percentiles(&self.lateness_us)
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
    use super::*;

    fn options(rate: f64, meters: Option<u32>) -> Options {
        Options {
            rate,
            duration: Duration::from_secs(60),
            meters,
            feeders: None,
            pool: 1,
            connections: 1,
            seed: 1,
            max_p99: None,
        }
    }

    #[test]
    fn every_meter_reports_once_in_every_window() {
        let schedule = Schedule::new(&options(100.0, Some(2500)));
        assert_eq!((schedule.reports(), schedule.feeders()), (5000, 3));
        for n in [0, 1, 2499, 2500, 4999] {
            let slot = schedule.slot(n);
            assert_eq!(schedule.number(slot.meter, slot.window), Some(n));
        }
        assert_eq!(schedule.slot(2500).meter, 0);
        assert_eq!(schedule.number(2500, schedule.slot(0).window), None);
        assert_eq!(
            schedule.number(0, WindowStart(schedule.slot(4999).window.0 + 900)),
            None
        );
    }

    #[test]
    fn a_receipt_counts_once() {
        let schedule = Schedule::new(&options(100.0, None));
        schedule.start();
        schedule.sent(7);
        assert!(schedule.is_open(7));
        schedule.settle(7);
        schedule.settle(7);
        assert!(!schedule.is_open(7) && schedule.is_settled(7));
        assert_eq!(schedule.settled(), 1);
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
