//! From an opened sum to what a utility reads: energy, statistics across meters, the peak.
//!
//! All of it follows from the whole numbers that the sum carries, so every total is exact, and nothing of the noise of a
//! decryption, which depends on the secret key, is left in it.
//!
//! A sum over enough meters can have an interval in which few of them had a reading; the total of one is that household's
//! reading. An interval of fewer than the plan's `min_meters`, and more than none, is withheld: nothing in a report depends
//! on what was in it, not even how many had a reading.

use super::held::HeldBy;
use super::histogram::Histogram;
use super::opening::name_of;
use crate::publish::said::NoiseSaid;
use packed::layout::{Edges, Totals};
use serde::{Deserialize, Serialize};
use wire::{
    AnalyticsId, AreaId, Digest, FeederId, KeyEpoch, Part, PlanVersion, ShareRef, Sum, UnixMillis,
    WindowStart,
};

/// One released window of one feeder.
///
/// Serialised, it is a line of `totals.jsonl`: the first six fields are its stable part, the others follow.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = include_str!("../../examples/totals.jsonl");
/// for line in file.lines() {
///     let total: operator::FeederReport = serde_json::from_str(line)?;
///     println!("{} {}: {} Wh", total.feeder, total.window_start, total.total_wh());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeederReport {
    /// The feeder; of the rest of an area, the area.
    pub feeder: FeederId,
    /// Start of the window, seconds since the Unix epoch.
    pub window_start: WindowStart,
    /// Which sum of the window, from 0; no two of them have a meter in common.
    pub part: Part,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Meters in the sum.
    pub meters: u32,
    /// Net energy of these meters per interval, in Wh: exactly the sum of what they entered, a whole number of
    /// `quantum_wh`. None where the interval is withheld, and where nobody had a reading.
    pub energy_wh: Vec<Option<i64>>,
    /// What every reading of the feeder is entered in whole numbers of, in Wh; 0 in lines of earlier versions, whose totals
    /// are approximate.
    #[serde(default)]
    pub quantum_wh: u64,
    /// What every squared reading is entered in whole numbers of, in Wh². Only with layout `moments`.
    #[serde(default)]
    pub square_unit_wh2: Option<u64>,
    /// Meters that had a reading, per interval; none where it is withheld. Empty in lines of earlier versions.
    #[serde(default)]
    pub present: Vec<Option<u32>>,
    /// Intervals that are withheld, because fewer than the plan's `min_meters` had a reading.
    #[serde(default)]
    pub withheld_intervals: u32,
    /// Key epoch of the sum.
    pub epoch: KeyEpoch,
    /// Plan version the reports were sealed under.
    pub plan_version: PlanVersion,
    /// The part that did not open and that this one is a piece of; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Part>,
    /// The areas that the feeder is in, the smallest first; of the rest of an area, that area and the one around it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<AreaId>,
    /// Where it is the rest of an area: the feeders that were each too small to be released, and are in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<RestShare>,
    /// Meters enrolled on the feeder when the sum was opened; of the rest of an area, on the feeders in it.
    pub enrolled: u32,
    /// Readings in the sum, as a share of those that all enrolled meters could have, between 0 and 1; those of withheld
    /// intervals do not count. In lines of earlier versions the share of meters.
    pub completeness: f64,
    /// Readings that were clamped to a meter's declared capacity. The sum counts them over several intervals, so none if one
    /// is withheld; none in a total with noise, which would have to hide them too.
    pub clamped: Option<u64>,
    /// Readings that the meters in the sum did not have, all those of withheld intervals among them.
    pub missing: u64,
    /// Mean energy of the meters that had a reading, per interval, in Wh, to a thousandth. None where there is no energy; 0
    /// in lines of earlier versions.
    pub mean_wh: Vec<Option<f64>>,
    /// Standard deviation across the meters that had a reading, per interval, in Wh, to within an eighth: a multiple of the
    /// largest power of two that is at most a quarter of it, and of `quantum_wh`. None where
    /// there is no energy; 0 in lines of earlier versions. Only with layout `moments`.
    pub std_wh: Option<Vec<Option<i64>>>,
    /// The meters' own greatest readings in the window added up, in Wh, as a multiple of the largest power of two that is at most half
    /// of their mean, and of `quantum_wh`. None if an interval is withheld. Only with layout `maxima`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxima_wh: Option<i64>,
    /// How many meters consumed how much, with percentiles. Only with layout `histogram`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// Coincident peak: the largest energy of an interval, in Wh. This and what follows is over the energies there are.
    pub peak_wh: Option<i64>,
    /// Interval of the coincident peak, from 0.
    pub peak_interval: Option<u16>,
    /// Average over peak, if the peak is positive, to a ten-thousandth.
    pub load_factor: Option<f64>,
    /// SHA-256 of the sum's limbs: what the receipt names.
    pub digest: Digest,
    /// The analytics service that released it; absent in lines of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analytics: Option<AnalyticsId>,
    /// The holders of mask keys that it took; absent where the operator has all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<HeldBy>,
    /// Who decrypted it and when.
    #[serde(flatten)]
    pub by: By,
}

/// A feeder in the rest of an area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestShare {
    /// The feeder.
    pub feeder: FeederId,
    /// Which sum of the feeder's window.
    pub part: Part,
    /// Its meters in the sum.
    pub meters: u32,
}

/// Who decrypted a sum, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The first 16 hexadecimal digits of the operator's verifying key.
    pub operator: String,
    /// Wall time, in milliseconds since the Unix epoch.
    pub taken_at: UnixMillis,
}

/// What a report says beyond the content of its sum.
#[derive(Clone, Debug)]
pub struct Scale {
    /// The holders of mask keys that it took.
    pub holders: Option<HeldBy>,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Intervals of the window. Where windows are days, a sum may have room for more, and what is there is of no time.
    pub intervals: u16,
    /// Of the feeder's setting.
    pub quantum_wh: u64,
    /// Of the feeder's setting.
    pub square_unit_wh2: Option<u64>,
    /// Where the bins of a layout that has some end.
    pub edges: Edges,
    /// Of the feeder's setting.
    pub reference_wh: u64,
    /// Meters enrolled on the feeder, or on those in the rest of an area.
    pub enrolled: u32,
    /// Which of its window it is, if it is the rest of an area.
    pub part: Part,
    /// As [`FeederReport::areas`].
    pub areas: Vec<AreaId>,
    /// Decide which intervals are withheld, how coarse a deviation is, and how many meters are a cell of a histogram.
    pub rules: release::Rules,
}

/// What a total is of: the feeder, and which sum of the window it is; of the rest of an area the area, `part`, and its shares.
fn named(sum: &Sum, part: Part) -> (FeederId, Part, Vec<RestShare>) {
    let Some(rest) = &sum.rest else {
        return (sum.feeder.clone(), sum.part, Vec::new());
    };
    let share = |share: ShareRef<'_>| RestShare {
        feeder: share.feeder.clone(),
        part: share.part,
        meters: share.set.count(),
    };
    (name_of(&rest.area), part, sum.shares().map(share).collect())
}

impl Scale {
    /// How many had a reading in each interval of the window, where that is shown.
    fn shown_presence(&self, totals: &Totals) -> Vec<Option<u32>> {
        let present = totals.present.iter().take(usize::from(self.intervals));
        let shown = present.map(|&present| self.rules.shows(&[present]).then_some(present));
        shown.collect()
    }

    fn is_noisy(&self) -> bool {
        (self.holders.as_ref()).is_some_and(|holders| holders.noise.is_some())
    }

    fn maxima_step_wh(&self, maxima_wh: i64, meters: u32) -> u64 {
        (self.rules).maxima_step_wh(maxima_wh, meters, self.quantum_wh)
    }
}

impl FeederReport {
    /// The report of `sum`, whose decoded content is `totals`.
    pub fn new(sum: &Sum, digest: &Digest, totals: &Totals, scale: &Scale, by: &By) -> Self {
        let meters = sum.contributors();
        let present = scale.shown_presence(totals);
        // Whatever is said of an interval's readings is said of these only.
        let shown = |k: &usize| present[*k].is_some_and(|present| present > 0);
        let intervals = 0..present.len();
        let batch = intervals.len() as u64;
        let readings: u64 = present.iter().flatten().copied().map(u64::from).sum();
        let withheld_intervals = present.iter().filter(|present| present.is_none()).count() as u32;
        let energy = |k| Some(totals.energy_wh[Some(k).filter(shown)?]);
        let energy_wh: Vec<Option<i64>> = intervals.clone().map(energy).collect();
        let mean = |k| Some(decimals(totals.mean_wh(Some(k).filter(shown)?)?, 1e3));
        let std = |k| {
            let std = totals.variance_wh2(Some(k).filter(shown)?)?.sqrt();
            let step = scale.rules.std_step_wh(std, scale.quantum_wh);
            Some(round_to(std, step))
        };
        let peak = coincident_peak(&energy_wh);
        let possible = u64::from(scale.enrolled.max(meters)) * batch;
        let (feeder, part, rest) = named(sum, scale.part);
        Self {
            feeder,
            areas: scale.areas.clone(),
            rest,
            window_start: sum.window,
            part,
            interval_s: scale.interval_s,
            meters,
            quantum_wh: scale.quantum_wh,
            square_unit_wh2: scale.square_unit_wh2,
            withheld_intervals,
            epoch: sum.epoch,
            plan_version: sum.plan_version,
            replaces: sum.replaces,
            enrolled: scale.enrolled,
            completeness: decimals(readings as f64 / possible.max(1) as f64, 1e6),
            clamped: (withheld_intervals == 0 && !scale.is_noisy()).then_some(totals.clamped),
            missing: (u64::from(meters) * batch).saturating_sub(readings),
            mean_wh: intervals.clone().map(mean).collect(),
            std_wh: (totals.squares_wh2.as_ref()).map(|_| intervals.map(std).collect()),
            // A meter with no other reading than one that is withheld is in it too.
            maxima_wh: (totals.maxima_wh.filter(|_| withheld_intervals == 0))
                .map(|wh| round_to(wh as f64, scale.maxima_step_wh(wh, meters))),
            histogram: totals.bins.as_ref().map(|bins| {
                let edges = (&scale.edges, scale.reference_wh);
                Histogram::new(bins, &present, edges, scale.rules.min_cell)
            }),
            peak_wh: peak.map(|(_, wh)| wh),
            peak_interval: peak.map(|(interval, _)| interval),
            load_factor: load_factor(&energy_wh),
            energy_wh,
            present,
            digest: *digest,
            analytics: Some(sum.analytics.clone()),
            holders: scale.holders.clone(),
            by: by.clone(),
        }
    }

    /// What noise holders have added; none: the total is exact.
    pub fn noise(&self) -> Option<&NoiseSaid> {
        self.holders.as_ref()?.noise.as_ref()
    }

    /// Sum of the energies there are, in Wh.
    pub fn total_wh(&self) -> i64 {
        self.energy_wh.iter().flatten().sum()
    }
}

/// The nearest multiple of `step`.
fn round_to(value: f64, step: u64) -> i64 {
    // Both factors are far below 2^53 for any sum the profiles can carry, so the product is exact.
    ((value / step as f64).round() as i64).saturating_mul(step as i64)
}

/// `value` rounded to `1 / scale`.
fn decimals(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

/// Interval and energy of the largest interval; the first of several.
fn coincident_peak(energy_wh: &[Option<i64>]) -> Option<(u16, i64)> {
    let energies = (0..).zip(energy_wh).filter_map(|(k, wh)| Some((k, (*wh)?)));
    energies.reduce(|peak, other| if other.1 > peak.1 { other } else { peak })
}

/// Average over peak; `None` when the feeder exports at its peak or nothing flows.
fn load_factor(energy_wh: &[Option<i64>]) -> Option<f64> {
    let (_, peak) = coincident_peak(energy_wh)?;
    (peak > 0).then(|| {
        let energies = energy_wh.iter().flatten();
        let mean = energies.clone().map(|&wh| wh as f64).sum::<f64>() / energies.count() as f64;
        decimals(mean / peak as f64, 1e4)
    })
}

#[cfg(test)]
mod tests;
