//! Whether every total is right: decrypted against the truth, interval by interval.

use std::collections::BTreeMap;

use operator::FeederReport;
use serde::Serialize;
use wire::{FeederId, WindowStart};

use crate::oracle::{Truth, Truths};
use crate::watch::Watch;

/// How the decrypted totals compare with the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Windows with a release.
    pub released: usize,
    /// Windows with too few meters, rightly not released.
    pub withheld: usize,
    /// Greatest |decrypted − true| / |true| over all intervals.
    pub max_relative_error: f64,
    /// Greatest bound / |true| over all intervals: what the relative error may be by the noise of the encryption.
    pub error_bound: f64,
    /// Intervals compared.
    pub intervals: u64,
    /// Rows for the table, one a released window.
    pub rows: Vec<Row>,
    /// What is wrong, in words; empty if nothing is.
    pub wrong: Vec<String>,
}

/// One released window beside its truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The feeder.
    pub feeder: FeederId,
    /// The window.
    pub window: WindowStart,
    /// Meters in the sum.
    pub meters: u32,
    /// Decrypted energy of the window, in Wh.
    pub energy_wh: i64,
    /// True energy of the window, in Wh.
    pub true_wh: f64,
    /// Greatest |decrypted − true| of an interval, in Wh.
    pub error_wh: f64,
    /// Bound on that, in Wh.
    pub bound_wh: f64,
    /// Mean energy of a meter in an interval, in Wh.
    pub mean_wh: f64,
    /// Standard deviation across meters, averaged over the intervals, in Wh.
    pub std_wh: Option<f64>,
    /// Coincident peak: the greatest energy of an interval, in Wh.
    pub peak_wh: i64,
    /// Average over peak.
    pub load_factor: Option<f64>,
}

/// Compares what was released and held with the truth.
#[must_use]
pub fn judge(watch: &Watch, truths: &Truths) -> Verdict {
    let mut verdict = Verdict::default();
    let mut parts: BTreeMap<(&FeederId, WindowStart), Vec<&FeederReport>> = BTreeMap::new();
    for report in &watch.released {
        parts
            .entry((&report.feeder, report.window_start))
            .or_default()
            .push(report);
    }
    for (key @ (feeder, window), truth) in truths {
        match parts.remove(&(feeder, *window)) {
            Some(reports) => verdict.compare(feeder, *window, &reports, truth),
            None if watch.accounted(key, truth.meters) => verdict.withheld += 1,
            None => verdict.wrong.push(format!(
                "{feeder}, window {window}: not released, though {} meters reported it",
                truth.meters
            )),
        }
    }
    for (feeder, window) in parts.keys() {
        verdict.wrong.push(format!(
            "{feeder}, window {window}: released, but no meter should have reported it"
        ));
    }
    if verdict.released == 0 {
        verdict.wrong.push("no window was released".to_owned());
    }
    verdict.wrong.extend(watch.alarms.iter().cloned());
    verdict
}

impl Verdict {
    /// A window's parts together are its total; their bounds add up.
    fn compare(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        reports: &[&FeederReport],
        truth: &Truth,
    ) {
        self.released += 1;
        let meters: u32 = reports.iter().map(|report| report.meters).sum();
        if meters != truth.meters {
            self.wrong.push(format!(
                "{feeder}, window {window}: {meters} meters in the total, {} reported",
                truth.meters
            ));
        }
        let bound_wh: f64 = reports.iter().map(|report| report.bound_wh).sum();
        let mut energy = vec![0_i64; truth.energy_wh.len()];
        for report in reports {
            for (sum, wh) in energy.iter_mut().zip(&report.energy_wh) {
                *sum += wh;
            }
        }
        let deviation = truth.compare(&energy, bound_wh);
        self.intervals += energy.len() as u64;
        self.max_relative_error = self.max_relative_error.max(deviation.relative);
        self.error_bound = self.error_bound.max(deviation.bound_relative);
        let wrong = deviation.wrong.iter();
        self.wrong
            .extend(wrong.map(|wrong| format!("{feeder}, window {window}, {wrong}")));
        let energy_wh: i64 = energy.iter().sum();
        let peak_wh = energy.iter().copied().max().unwrap_or(0);
        let intervals = energy.len().max(1) as f64;
        self.rows.push(Row {
            feeder: feeder.clone(),
            window,
            meters,
            energy_wh,
            true_wh: truth.energy_wh.iter().sum(),
            error_wh: deviation.greatest_wh,
            bound_wh,
            mean_wh: energy_wh as f64 / intervals / f64::from(meters.max(1)),
            std_wh: mean_std(reports),
            peak_wh,
            load_factor: (peak_wh > 0).then(|| energy_wh as f64 / intervals / peak_wh as f64),
        });
    }
}

/// The spread across meters cannot be put together from parts without their sums; it is shown for a whole window.
fn mean_std(reports: &[&FeederReport]) -> Option<f64> {
    let [report] = reports else { return None };
    let std = report.std_wh.as_ref()?;
    Some(std.iter().sum::<i64>() as f64 / std.len().max(1) as f64)
}
