//! Whether every total is right: it must equal the truth, interval by interval.

use std::collections::{BTreeMap, BTreeSet};

use operator::FeederReport;
use serde::Serialize;
use wire::{FeederId, WindowStart};

use crate::entered::entered;
pub use crate::entered::scale;
use crate::oracle::{Key, Shown, Truth, Truths};
use crate::percentiles::{self, Percentiles};
use crate::spread::{Spread, is_near, std_step, true_std_wh};
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
    /// Those of them that are rightly not shown, because too few meters had a reading.
    pub withheld_intervals: u64,
    /// Windows of feeders that were released in the rest of an area.
    pub in_rests: BTreeSet<Key>,
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
    /// Decrypted energy of the intervals that are shown, in Wh.
    pub energy_wh: i64,
    /// True energy of the same, in Wh.
    pub true_wh: i64,
    /// True energy of the intervals that are not shown, in Wh.
    pub withheld_wh: i64,
    /// Greatest |decrypted − true| of an interval, in Wh.
    pub error_wh: u64,
    /// What every reading in the sum is a whole multiple of, in Wh.
    pub quantum_wh: u64,
    /// Mean energy of a meter in an interval, in Wh.
    pub mean_wh: f64,
    /// Standard deviation across meters, averaged over the intervals, in Wh.
    pub std_wh: Option<f64>,
    /// The same at the peak, beside its truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Percentiles across the meters at the peak, of a total with a histogram.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentiles: Option<Percentiles>,
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
    let mut in_rests = BTreeSet::new();
    for report in &watch.released {
        parts
            .entry((report.feeder.clone(), report.window_start))
            .or_default()
            .push(report);
        for share in &report.rest {
            in_rests.insert((share.feeder.clone(), report.window_start));
        }
    }
    let entered = entered(&watch.released, truths);
    let rests: BTreeMap<Key, Vec<&FeederReport>> = parts
        .extract_if(.., |_, parts| {
            parts.iter().any(|part| !part.rest.is_empty())
        })
        .collect();
    for (key, reports) in &rests {
        let feeders = reports.iter().flat_map(|report| &report.rest);
        let truths = feeders.filter_map(|share| entered.get(&(share.feeder.clone(), key.1)));
        let truth = truths.cloned().reduce(Truth::and).unwrap_or_default();
        verdict.compare(key, reports, &truth, watch.min_meters());
    }
    for (key @ (feeder, window), meters) in truths.windows() {
        match (parts.remove(key), entered.get(key)) {
            (None, _) if in_rests.contains(key) => {}
            (Some(reports), Some(truth)) => {
                verdict.compare(key, &reports, truth, watch.min_meters())
            }
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
    verdict.in_rests = in_rests;
    if verdict.released == 0 {
        verdict.wrong.push("no window was released".to_owned());
    }
    verdict.exact = verdict.wrong.is_empty();
    verdict.wrong.extend(watch.alarms.iter().cloned());
    verdict
}

impl Verdict {
    /// A window's parts together are its total.
    fn compare(&mut self, key: &Key, reports: &[&FeederReport], truth: &Truth, min_meters: u32) {
        self.released += 1;
        let parts: Vec<Shown<'_>> = reports.iter().map(|report| part(report)).collect();
        let deviation = truth.compare(&parts, min_meters);
        self.intervals += truth.energy_wh.len() as u64;
        self.max_relative_error = self.max_relative_error.max(deviation.relative);
        let mut wrong = differences(reports, truth);
        wrong.extend(deviation.wrong);
        if let [report] = reports {
            wrong.extend(statistics(report, truth));
            if let (Some(histogram), Some(bins)) = (&report.histogram, &truth.bins) {
                wrong.extend(percentiles::differences(histogram, bins, &report.present));
            }
        }
        let (feeder, window) = key;
        let wrong = wrong.iter();
        self.wrong
            .extend(wrong.map(|wrong| format!("{feeder}, window {window}, {wrong}")));
        let shown = deviation.shown_wh.iter().zip(&truth.present);
        let withheld = shown
            .clone()
            .filter(|(wh, present)| wh.is_none() && **present > 0);
        self.withheld_intervals += withheld.count() as u64;
        let shown = shown.filter_map(|(wh, present)| Some(((*wh)?, *present)));
        let energy_wh: i64 = shown.clone().map(|(wh, _)| wh).sum();
        let readings: u32 = shown.clone().map(|(_, present)| present).sum();
        let peak_wh = shown.clone().map(|(wh, _)| wh).max().unwrap_or(0);
        let intervals = shown.count().max(1) as f64;
        let true_wh = truth.energy_wh.iter().zip(&deviation.shown_wh);
        let true_wh = true_wh.filter_map(|(wh, shown)| shown.and(Some(*wh)));
        let true_wh: i64 = true_wh.sum();
        let quantum_wh = reports.iter().map(|report| report.quantum_wh).max();
        let quantum_wh = quantum_wh.unwrap_or(0);
        self.quantum_wh = self.quantum_wh.max(quantum_wh);
        self.rows.push(Row {
            feeder: feeder.clone(),
            window: *window,
            meters: reports.iter().map(|report| report.meters).sum(),
            energy_wh,
            true_wh,
            withheld_wh: truth.energy_wh.iter().sum::<i64>() - true_wh,
            error_wh: deviation.greatest_wh,
            quantum_wh,
            mean_wh: energy_wh as f64 / f64::from(readings.max(1)),
            std_wh: mean_std(reports),
            spread: whole(reports).and_then(|report| Spread::at_peak(report, truth)),
            percentiles: whole(reports)
                .zip(truth.bins.as_ref())
                .and_then(|(report, bins)| Percentiles::at_peak(report, bins)),
            peak_wh,
            load_factor: (peak_wh > 0).then(|| energy_wh as f64 / intervals / peak_wh as f64),
        });
    }
}

fn part(report: &FeederReport) -> Shown<'_> {
    Shown {
        energy_wh: &report.energy_wh,
        present: &report.present,
    }
}

/// What differs from the truth beside the intervals. What is said of a whole window must not say what is withheld of it.
fn differences(reports: &[&FeederReport], truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    let meters: u32 = reports.iter().map(|report| report.meters).sum();
    if meters != truth.meters {
        let expected = truth.meters;
        wrong.push(format!("{meters} meters in the total, {expected} reported"));
    }
    let clamped = reports.iter().map(|report| report.clamped);
    if let Some(clamped) = clamped.sum::<Option<u64>>()
        && clamped != truth.clamped
    {
        wrong.push(format!(
            "{clamped} readings in the total were clamped, in truth {}",
            truth.clamped
        ));
    }
    for report in reports {
        let (intervals, expected) = (report.energy_wh.len(), truth.energy_wh.len());
        if intervals != expected {
            wrong.push(format!(
                "{intervals} intervals in the total, the window has {expected}"
            ));
        }
        let shown = report.present.iter().flatten();
        let readings: u64 = shown.clone().map(|present| u64::from(*present)).sum();
        let withheld = report.present.len() - shown.count();
        let missing = u64::from(report.meters) * report.present.len() as u64 - readings;
        let said = (report.withheld_intervals as usize, report.missing);
        if said != (withheld, missing) {
            wrong.push(format!(
                "{said:?} withheld intervals and missing readings, by its intervals {withheld} and {missing}"
            ));
        }
        if report.std_wh.is_some() != report.square_unit_wh2.is_some() {
            wrong.push(format!(
                "a unit of squares of {:?} Wh², and standard deviations of {:?} Wh",
                report.square_unit_wh2, report.std_wh
            ));
        }
        if report.clamped.is_some() != (withheld == 0) {
            wrong.push(format!(
                "{:?} readings were clamped, with {withheld} withheld intervals",
                report.clamped
            ));
        }
    }
    wrong
}

/// Mean and standard deviation against those of what was entered. They are published rounded, the mean to a thousandth, the
/// deviation to within an eighth of it or half the quantum.
fn statistics(report: &FeederReport, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(maxima) = report.maxima_wh {
        let exact = truth.maxima_wh as f64;
        // Published in steps that are at most half of their mean.
        let most = (exact / f64::from(truth.meters) / 4.0).abs() + report.quantum_wh as f64 / 2.0;
        if !is_near(maxima as f64, exact, most) {
            wrong.push(format!("maxima of {maxima} Wh, the truth is {exact} Wh"));
        }
    }
    for (k, (&wh, &present)) in truth.energy_wh.iter().zip(&truth.present).enumerate() {
        let published = report.mean_wh.get(k).copied().flatten();
        let std = report
            .std_wh
            .as_ref()
            .map(|stds| stds.get(k).copied().flatten());
        if report.energy_wh.get(k).copied().flatten().is_none() {
            if published.is_some() || std.flatten().is_some() {
                wrong.push(format!("interval {k}: statistics of what shows no energy"));
            }
            continue;
        }
        let mean = wh as f64 / f64::from(present);
        let published = published.unwrap_or(f64::NAN);
        if !is_near(published, mean, 0.000_6) {
            wrong.push(format!(
                "interval {k}: a mean of {published} Wh, the truth is {mean:.4} Wh"
            ));
        }
        let (Some(published), Some(std)) = (std, true_std_wh(truth, k)) else {
            continue;
        };
        let published = published.map_or(f64::NAN, |std| std as f64);
        if !is_near(published, std, std_step(std, report) + 0.01) {
            wrong.push(format!(
                "interval {k}: a standard deviation of {published} Wh, the truth is {std:.2} Wh"
            ));
        }
    }
    wrong
}

/// The spread across meters cannot be put together from parts without their sums; it is shown for a whole window.
fn mean_std(reports: &[&FeederReport]) -> Option<f64> {
    let std = whole(reports)?.std_wh.as_ref()?.iter().flatten();
    Some(std.clone().sum::<i64>() as f64 / std.count().max(1) as f64)
}

fn whole<'a>(reports: &[&'a FeederReport]) -> Option<&'a FeederReport> {
    let [report] = reports else { return None };
    Some(report)
}
