//! The standard deviation of a total, held against that of what the meters entered.

use operator::FeederReport;
use serde::Serialize;

use crate::oracle::Truth;

/// The standard deviation across the meters in the interval of a feeder's peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Start of that interval, in seconds since the Unix epoch.
    pub at: u64,
    /// As published, in Wh.
    pub std_wh: i64,
    /// Of what the meters entered, in Wh, with the squares as they entered them.
    pub true_std_wh: f64,
    /// How far the two may be apart: an eighth of it, or half the quantum.
    pub within_wh: f64,
}

impl Spread {
    pub(crate) fn at_peak(report: &FeederReport, truth: &Truth) -> Option<Self> {
        let interval = report.peak_interval?;
        let k = usize::from(interval);
        let true_std_wh = true_std_wh(truth, k)?;
        Some(Self {
            at: report.window_start.0 + u64::from(interval) * u64::from(report.interval_s),
            std_wh: report.std_wh.as_ref()?.get(k).copied().flatten()?,
            true_std_wh,
            within_wh: std_step(true_std_wh, report),
        })
    }

    /// Whether what is published is as near to the truth as it is said to be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        is_near(self.std_wh as f64, self.true_std_wh, self.within_wh + 0.01)
    }
}

/// The standard deviation across the meters that had a reading in interval `k`, in Wh.
pub(crate) fn true_std_wh(truth: &Truth, k: usize) -> Option<f64> {
    let squares = *truth.squares_wh2.as_ref()?.get(k)? as f64;
    let present = f64::from(*truth.present.get(k)?);
    let mean = *truth.energy_wh.get(k)? as f64 / present;
    Some((squares / present - mean * mean).max(0.0).sqrt())
}

/// How far what is published may be from it: an eighth of it, or half the quantum.
pub(crate) fn std_step(std_wh: f64, report: &FeederReport) -> f64 {
    (std_wh / 8.0).max(report.quantum_wh as f64 / 2.0)
}

/// Nothing is near what is not a number.
pub(crate) fn is_near(value: f64, expected: f64, most: f64) -> bool {
    (value - expected).abs() <= most
}
