//! Durations and their percentiles, to three digits.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Durations as they come: total and greatest exactly, all others in nanoseconds to three digits.
#[derive(Debug, Clone)]
pub struct Durations {
    histogram: Histogram<u64>,
    total: Duration,
    greatest: Duration,
}

/// Percentiles of a duration, in milliseconds; zeros without any.
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

impl Default for Durations {
    fn default() -> Self {
        // The library takes one to five digits, and grows as durations do.
        let histogram = Histogram::new(3).unwrap_or_else(|error| unreachable!("{error}"));
        Self {
            histogram,
            total: Duration::ZERO,
            greatest: Duration::ZERO,
        }
    }
}

impl Durations {
    /// Records one. What is below a nanosecond counts as one.
    pub fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if self.histogram.record(nanoseconds.max(1)).is_ok() {
            self.total += duration;
            self.greatest = self.greatest.max(duration);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The duration that this share of all is not above, in seconds; 0 without any.
    #[must_use]
    pub fn quantile_s(&self, share: f64) -> f64 {
        // The library gives the upper end of a bucket, which can be above the greatest one recorded.
        let nanoseconds = self.histogram.value_at_quantile(share);
        self.greatest
            .min(Duration::from_nanos(nanoseconds))
            .as_secs_f64()
    }

    /// The percentiles.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        let ms = |share| self.quantile_s(share) * 1e3;
        Latencies {
            p50: ms(0.5),
            p90: ms(0.9),
            p99: ms(0.99),
            p999: ms(0.999),
            max: ms(1.0),
        }
    }
}

impl FromIterator<Duration> for Durations {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        let mut durations = Self::default();
        all.into_iter().for_each(|one| durations.record(one));
        durations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank_to_three_digits() {
        let of = |count: u64| -> Latencies {
            let all: Durations = (1..=count).map(Duration::from_millis).collect();
            all.latencies()
        };
        let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 2e-3;
        let all = of(200);
        assert!(
            near(all.p50, 100.0) && near(all.p90, 180.0) && near(all.p99, 198.0),
            "{all:?}"
        );
        assert_eq!(all.max, 200.0);
        assert_eq!((of(1).p50, of(1).p999), (1.0, 1.0));
        assert_eq!(of(0), Latencies::default());
    }
}
