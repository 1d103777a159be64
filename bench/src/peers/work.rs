//! The work everybody does: reports of 96 readings of real customers.

use anyhow::{Context as _, Result, ensure};
use packed::layout::Layout;
use readings::{ReplayOptions, open_replay};
use wire::UnixSeconds;

use harness::oracle::{Clear as _, FileTruth};
use harness::scenario;

/// Readings in a report.
pub(crate) const BATCH: usize = 96;
/// Length of an interval, in seconds: the file's own.
pub(crate) const INTERVAL_S: u32 = 3_600;

#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) readings: Vec<Vec<i64>>,
    /// The smallest power of two above all of them, in watt-hours.
    pub(crate) reference_wh: u64,
    /// What our reports carry of them; a peer's carry the readings.
    pub(crate) layout: Layout,
}

impl Work {
    /// The first 96 hours of each of the first `reports` customers of the demo's file; each starts again after the last.
    pub(crate) fn real(reports: usize) -> Result<Self> {
        let start = UnixSeconds(0);
        let path = scenario::input_file(None)?;
        let options = ReplayOptions {
            start,
            ..ReplayOptions::default()
        };
        let replay = open_replay(&path, &options)?;
        let mut file = FileTruth::open(&path, &options, replay.found())?;
        let mut customers = vec![Vec::with_capacity(BATCH); file.meters()];
        for k in 0..BATCH as u64 {
            let at = UnixSeconds(start.0 + k * u64::from(INTERVAL_S));
            let energies = file.interval(at, INTERVAL_S)?;
            for (customer, energy) in customers.iter_mut().zip(energies) {
                let energy = energy.with_context(|| format!("hour {k} of a customer is empty"))?;
                customer.push((energy as f64 / 1e6).round() as i64);
            }
        }
        ensure!(!customers.is_empty(), "the file has no customers");
        let readings: Vec<_> = customers.into_iter().cycle().take(reports).collect();
        let greatest = readings.iter().flatten().map(|wh| wh.unsigned_abs()).max();
        Ok(Self {
            readings,
            reference_wh: (greatest.unwrap_or(0) + 1).next_power_of_two(),
            layout: Layout::Profile,
        })
    }

    /// What the first `intervals` of these reports come to, in watt-hours.
    pub(crate) fn totals_wh(&self, included: &[usize], intervals: usize) -> Vec<i64> {
        let interval = |k: usize| {
            included
                .iter()
                .map(|&report| self.readings[report][k])
                .sum()
        };
        (0..intervals.min(BATCH)).map(interval).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reports_are_real_customers_below_the_reference() {
        let work = Work::real(210).unwrap();
        assert_eq!(work.readings.len(), 210);
        assert!(work.readings.iter().all(|report| report.len() == BATCH));
        // 203 customers: the 204th report is the first customer's again.
        assert_eq!(work.readings[203], work.readings[0]);
        assert_ne!(work.readings[1], work.readings[0]);
        let greatest = *work.readings.iter().flatten().max().unwrap();
        assert!(greatest.unsigned_abs() < work.reference_wh);
        assert!(greatest.unsigned_abs() * 2 >= work.reference_wh);
    }

    #[test]
    fn totals_count_a_report_as_often_as_it_was_added() {
        let work = Work {
            readings: vec![vec![1; BATCH], vec![10; BATCH]],
            reference_wh: 16,
            layout: Layout::Profile,
        };
        assert_eq!(work.totals_wh(&[0, 1, 1], 2), [21, 21]);
    }
}
