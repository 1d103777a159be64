//! Whether every total is right: it must equal the truth, interval by interval.

use std::collections::BTreeMap;

use operator::FeederReport;
use serde::Serialize;
use wire::{FeederId, WindowStart};

use crate::oracle::{Key, Scale, Truth, Truths};
use crate::watch::Watch;

/// Probability that the noise of the encryption puts one total of the largest feeder a quantum off: half a quantum is at
/// least 18 standard deviations of it, so this is erfc(18/√2).
pub const OFF_BY_ONE_PROBABILITY: f64 = 1.948_189_783_787_442e-72;

/// How the decrypted totals compare with the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Windows with a release.
    pub released: usize,
    /// Windows with too few meters, rightly not released.
    pub withheld: usize,
    /// Whether totals were released and every one of them equals the truth.
    pub exact: bool,
    /// Greatest |decrypted − true| / |true| over all intervals: 0 if they are exact.
    pub max_relative_error: f64,
    /// The largest quantum of a total, in Wh; 0 without any.
    pub quantum_wh: u64,
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
    pub true_wh: i64,
    /// Greatest |decrypted − true| of an interval, in Wh.
    pub error_wh: u64,
    /// What every reading in the sum is a whole multiple of, in Wh.
    pub quantum_wh: u64,
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
    let mut parts: BTreeMap<Key, Vec<&FeederReport>> = BTreeMap::new();
    for report in &watch.released {
        parts
            .entry((report.feeder.clone(), report.window_start))
            .or_default()
            .push(report);
    }
    let entered = truths.entered(|key| Some(scale(parts.get(key)?.first()?)));
    for (key @ (feeder, window), meters) in truths.windows() {
        match (parts.remove(key), entered.get(key)) {
            (Some(reports), Some(truth)) => verdict.compare(key, &reports, truth),
            _ if watch.accounted(key, meters) => verdict.withheld += 1,
            _ => verdict.wrong.push(format!(
                "{feeder}, window {window}: not released, though {meters} meters reported it"
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
    verdict.exact = verdict.wrong.is_empty();
    verdict.wrong.extend(watch.alarms.iter().cloned());
    verdict
}

/// In which quanta the readings of a total entered it.
#[must_use]
pub fn scale(report: &FeederReport) -> Scale {
    Scale {
        quantum_wh: report.quantum_wh,
        square_unit_wh2: report.square_unit_wh2,
    }
}

impl Verdict {
    /// A window's parts together are its total.
    fn compare(&mut self, key: &Key, reports: &[&FeederReport], truth: &Truth) {
        self.released += 1;
        let total = Total::of(reports, truth.energy_wh.len());
        let deviation = truth.compare(&total.energy_wh);
        self.intervals += total.energy_wh.len() as u64;
        self.max_relative_error = self.max_relative_error.max(deviation.relative);
        let mut wrong = total.differences(truth);
        wrong.extend(deviation.wrong);
        if let [report] = reports {
            wrong.extend(statistics(report, truth));
        }
        let (feeder, window) = key;
        let wrong = wrong.iter();
        self.wrong
            .extend(wrong.map(|wrong| format!("{feeder}, window {window}, {wrong}")));
        let energy_wh: i64 = total.energy_wh.iter().sum();
        let peak_wh = total.energy_wh.iter().copied().max().unwrap_or(0);
        let readings: u32 = total.present.iter().sum();
        let intervals = total.energy_wh.len().max(1) as f64;
        let quantum_wh = reports.iter().map(|report| report.quantum_wh).max();
        let quantum_wh = quantum_wh.unwrap_or(0);
        self.quantum_wh = self.quantum_wh.max(quantum_wh);
        self.rows.push(Row {
            feeder: feeder.clone(),
            window: *window,
            meters: total.meters,
            energy_wh,
            true_wh: truth.energy_wh.iter().sum(),
            error_wh: deviation.greatest_wh,
            quantum_wh,
            mean_wh: energy_wh as f64 / f64::from(readings.max(1)),
            std_wh: mean_std(reports),
            peak_wh,
            load_factor: (peak_wh > 0).then(|| energy_wh as f64 / intervals / peak_wh as f64),
        });
    }
}

/// The parts of a window together.
struct Total {
    meters: u32,
    clamped: u64,
    energy_wh: Vec<i64>,
    present: Vec<u32>,
}

impl Total {
    fn of(reports: &[&FeederReport], batch: usize) -> Self {
        let mut total = Self {
            meters: reports.iter().map(|report| report.meters).sum(),
            clamped: reports.iter().map(|report| report.clamped).sum(),
            energy_wh: vec![0; batch],
            present: vec![0; batch],
        };
        for report in reports {
            for (sum, wh) in total.energy_wh.iter_mut().zip(&report.energy_wh) {
                *sum += wh;
            }
            for (sum, present) in total.present.iter_mut().zip(&report.present) {
                *sum += present;
            }
        }
        total
    }

    /// What differs from the truth beside the energies.
    fn differences(&self, truth: &Truth) -> Vec<String> {
        let Self {
            meters,
            clamped,
            present,
            ..
        } = self;
        let mut wrong = Vec::new();
        if *meters != truth.meters {
            wrong.push(format!(
                "{meters} meters in the total, {} reported",
                truth.meters
            ));
        }
        if *clamped != truth.clamped {
            wrong.push(format!(
                "{clamped} readings in the total were clamped, in truth {}",
                truth.clamped
            ));
        }
        for (k, (present, expected)) in present.iter().zip(&truth.present).enumerate() {
            if present != expected {
                wrong.push(format!(
                    "interval {k}: {present} readings in the total, in truth {expected}"
                ));
            }
        }
        wrong
    }
}

/// Mean and standard deviation against those of what was entered. They are published rounded, the mean to a thousandth, the
/// deviation to a watt-hour or to the quantum: each may be off by half of that.
fn statistics(report: &FeederReport, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for (k, (&wh, &present)) in truth.energy_wh.iter().zip(&truth.present).enumerate() {
        if present == 0 {
            continue;
        }
        let mean = wh as f64 / f64::from(present);
        let published = report.mean_wh.get(k).copied().unwrap_or(f64::NAN);
        if !((published - mean).abs() <= 0.000_6) {
            wrong.push(format!(
                "interval {k}: a mean of {published} Wh, the truth is {mean:.4} Wh"
            ));
        }
        let (Some(stds), Some(squares)) = (&report.std_wh, &truth.squares_wh2) else {
            continue;
        };
        let variance = squares[k] as f64 / f64::from(present) - mean * mean;
        let std = variance.max(0.0).sqrt();
        let published = stds.get(k).map_or(f64::NAN, |std| *std as f64);
        if !((published - std).abs() <= report.quantum_wh as f64 / 2.0 + 0.01) {
            wrong.push(format!(
                "interval {k}: a standard deviation of {published} Wh, the truth is {std:.2} Wh"
            ));
        }
    }
    wrong
}

/// The spread across meters cannot be put together from parts without their sums; it is shown for a whole window.
fn mean_std(reports: &[&FeederReport]) -> Option<f64> {
    let [report] = reports else { return None };
    let std = report.std_wh.as_ref()?;
    Some(std.iter().sum::<i64>() as f64 / std.len().max(1) as f64)
}
