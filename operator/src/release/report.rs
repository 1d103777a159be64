//! From a decrypted sum to what a utility reads: energy, statistics across meters, the peak, and how far off they may be.
//!
//! Nothing here keeps the decrypted floating-point values: energies are rounded to the publishing quantum
//! first and every figure that leaves is rounded too, because the low bits of a CKKS decryption carry noise that
//! depends on the secret key.

use packed::Profile;
use packed::layout::Totals;
use serde::{Deserialize, Serialize};
use wire::{
    AnalyticsId, Digest, FeederId, KeyEpoch, Part, PlanVersion, Sum, UnixMillis, WindowStart,
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
///     println!("{} {}: {} Wh", total.feeder, total.window_start, total.energy_wh.iter().sum::<i64>());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeederReport {
    /// The feeder.
    pub feeder: FeederId,
    /// Start of the window, seconds since the Unix epoch.
    pub window_start: WindowStart,
    /// 0 for the first release of a window; 1, 2, … for supplements, which add up other meters.
    pub part: Part,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// Meters in the sum.
    pub meters: u32,
    /// Net energy of these meters per interval, in Wh, rounded to the publishing quantum.
    pub energy_wh: Vec<i64>,
    /// Key epoch of the sum.
    pub epoch: KeyEpoch,
    /// Plan version the reports were sealed under.
    pub plan_version: PlanVersion,
    /// Meters enrolled on the feeder when the window closed.
    pub enrolled: u32,
    /// `meters / enrolled`, between 0 and 1.
    pub completeness: f64,
    /// Readings that were clamped to a meter's declared capacity.
    pub clamped: u64,
    /// Readings that were missing and count as zero.
    pub missing: u64,
    /// Mean energy per meter and interval, in Wh, to a thousandth.
    pub mean_wh: Vec<f64>,
    /// Standard deviation across meters per interval, in Wh, rounded to the publishing quantum. Only with layout `moments`.
    pub std_wh: Option<Vec<i64>>,
    /// Coincident peak: the largest energy of an interval, in Wh.
    pub peak_wh: i64,
    /// Interval of the coincident peak, from 0.
    pub peak_interval: u16,
    /// Average over peak, if the peak is positive, to a ten-thousandth.
    pub load_factor: Option<f64>,
    /// No `energy_wh` is further than this from the sum of the (clamped) readings, in Wh.
    pub bound_wh: f64,
    /// SHA-256 of the sum's limbs: what the receipt names.
    pub digest: Digest,
    /// The analytics service that released it; absent in lines of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analytics: Option<AnalyticsId>,
    /// Who decrypted it and when.
    #[serde(flatten)]
    pub by: By,
}

/// Who decrypted a sum, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The first 16 hexadecimal digits of the operator's verifying key.
    pub operator: String,
    /// Wall time, in milliseconds since the Unix epoch.
    pub taken_at: UnixMillis,
}

/// How the content of a sum becomes watt-hours.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Parameter profile of the sum.
    pub profile: &'static Profile,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// What a slot of 1 stands for, in Wh.
    pub reference_wh: u64,
    /// Rounding of what leaves the operator, in Wh; at least 1.
    pub quantum_wh: u64,
}

impl FeederReport {
    /// The report of `sum`, whose decoded content is `totals`.
    pub fn new(sum: &Sum, digest: &Digest, totals: &Totals, scale: &Scale, by: &By) -> Self {
        let meters = sum.contributors;
        let energy_wh: Vec<i64> = totals
            .energy_wh
            .iter()
            .map(|&wh| round_to(wh, scale.quantum_wh))
            .collect();
        let mean_wh = energy_wh
            .iter()
            .map(|&wh| decimals(wh as f64 / f64::from(meters.max(1)), 1e3))
            .collect();
        let std_wh = (0..energy_wh.len())
            .map(|k| {
                totals
                    .variance_wh2(k, meters)
                    .map(|v| round_to(v.sqrt(), scale.quantum_wh))
            })
            .collect::<Option<Vec<i64>>>();
        let (peak_interval, peak_wh) = coincident_peak(&energy_wh);
        Self {
            feeder: sum.feeder.clone(),
            window_start: sum.window,
            part: sum.part,
            interval_s: scale.interval_s,
            meters,
            epoch: sum.epoch,
            plan_version: sum.plan_version,
            enrolled: sum.enrolled,
            completeness: decimals(
                f64::from(meters) / f64::from(sum.enrolled.max(meters).max(1)),
                1e6,
            ),
            clamped: sum.clamped,
            missing: sum.missing,
            mean_wh,
            std_wh,
            peak_wh,
            peak_interval,
            load_factor: load_factor(&energy_wh),
            energy_wh,
            bound_wh: error_bound_wh(scale, meters),
            digest: *digest,
            analytics: Some(sum.analytics.clone()),
            by: by.clone(),
        }
    }

    /// Sum of the window's intervals, in Wh.
    pub fn total_wh(&self) -> i64 {
        self.energy_wh.iter().sum()
    }
}

/// How far an energy may be from the truth, in Wh: the noise of `meters` fresh encryptions and half a rounding step.
fn error_bound_wh(scale: &Scale, meters: u32) -> f64 {
    packed::noise::bound(scale.profile, meters) * scale.reference_wh as f64
        + scale.quantum_wh as f64 / 2.0
}

/// The nearest multiple of `quantum`.
fn round_to(value: f64, quantum: u64) -> i64 {
    let quantum = quantum.max(1);
    // Both factors are far below 2^53 for any sum the profiles can carry, so the product is exact.
    ((value / quantum as f64).round() as i64).saturating_mul(quantum as i64)
}

/// `value` rounded to `1 / scale`.
fn decimals(value: f64, scale: f64) -> f64 {
    (value * scale).round() / scale
}

/// Interval and energy of the largest interval; the first of several.
fn coincident_peak(energy_wh: &[i64]) -> (u16, i64) {
    let mut peak = (0, energy_wh.first().copied().unwrap_or(0));
    for (k, &wh) in energy_wh.iter().enumerate() {
        if wh > peak.1 {
            peak = (k as u16, wh);
        }
    }
    peak
}

/// Average over peak; `None` when the feeder exports at its peak or nothing flows.
fn load_factor(energy_wh: &[i64]) -> Option<f64> {
    let (_, peak) = coincident_peak(energy_wh);
    (peak > 0).then(|| {
        let mean = energy_wh.iter().map(|&wh| wh as f64).sum::<f64>() / energy_wh.len() as f64;
        decimals(mean / peak as f64, 1e4)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{by, sum};

    fn scale(quantum_wh: u64) -> Scale {
        Scale {
            profile: &packed::ADDITIVE,
            interval_s: 3600,
            reference_wh: 1024,
            quantum_wh,
        }
    }

    fn totals(energy_wh: Vec<f64>, squares_wh2: Option<Vec<f64>>) -> Totals {
        Totals {
            energy_wh,
            squares_wh2,
        }
    }

    #[test]
    fn energies_are_rounded_and_statistics_follow_them() {
        let mut message = sum("feeder-1", 0, 0);
        message.contributors = 4;
        message.enrolled = 5;
        // Four meters at 10, 20, 30, 40 Wh in interval 1: mean 25, population variance 125.
        let decoded = totals(vec![40.2, 100.0004, 60.0], Some(vec![400.0, 3000.0, 900.0]));
        let report = FeederReport::new(&message, &Digest([7; 32]), &decoded, &scale(1), &by());
        assert_eq!(report.energy_wh, [40, 100, 60]);
        assert_eq!(report.mean_wh, [10.0, 25.0, 15.0]);
        assert_eq!(report.std_wh, Some(vec![0, 11, 0]));
        assert_eq!((report.peak_interval, report.peak_wh), (1, 100));
        assert_eq!(report.load_factor, Some(0.6667));
        assert_eq!(report.completeness, 0.8);
        assert_eq!(report.total_wh(), 200);
        assert!(report.bound_wh > 0.5 && report.bound_wh < 0.51);
    }

    #[test]
    fn the_quantum_rounds_and_widens_the_bound() {
        let decoded = totals(vec![149.0, -251.0], None);
        let report = FeederReport::new(
            &sum("feeder-1", 0, 0),
            &Digest([7; 32]),
            &decoded,
            &scale(100),
            &by(),
        );
        assert_eq!(report.energy_wh, [100, -300]);
        assert!(report.bound_wh > 50.0);
        assert_eq!(report.std_wh, None);
    }

    #[test]
    fn a_feeder_that_only_exports_has_no_load_factor() {
        let report = FeederReport::new(
            &sum("f", 0, 0),
            &Digest([7; 32]),
            &totals(vec![-5.0, -1.0], None),
            &scale(1),
            &by(),
        );
        assert_eq!((report.peak_interval, report.peak_wh), (1, -1));
        assert_eq!(report.load_factor, None);
    }

    #[test]
    fn a_line_of_totals_starts_with_its_stable_fields() {
        let report = FeederReport::new(
            &sum("feeder-1", 3600, 2),
            &Digest([7; 32]),
            &totals(vec![5.0], None),
            &scale(1),
            &by(),
        );
        let line = serde_json::to_string(&report).unwrap();
        let expected = r#"{"feeder":"feeder-1","window_start":3600,"part":2,"interval_s":3600,"meters":20,"energy_wh":[5],"#;
        assert!(line.starts_with(expected), "{line}");
        assert_eq!(serde_json::from_str::<FeederReport>(&line).unwrap(), report);
    }

    #[test]
    fn the_bound_is_the_noise_of_the_contributors_in_wh_and_half_a_step() {
        for (reference_wh, quantum_wh) in [(1024, 1), (65_536, 100)] {
            let scale = Scale {
                reference_wh,
                ..scale(quantum_wh)
            };
            let noise_wh = packed::noise::bound(scale.profile, 20) * reference_wh as f64;
            let beyond_noise = error_bound_wh(&scale, 20) - noise_wh;
            assert!((beyond_noise - quantum_wh as f64 / 2.0).abs() < 1e-9);
        }
    }

    #[test]
    fn of_equal_peaks_the_first_counts_and_without_energy_there_is_no_load_factor() {
        assert_eq!(coincident_peak(&[5, 9, 7, 9]), (1, 9));
        assert_eq!(load_factor(&[0, 0]), None);
        assert_eq!(load_factor(&[-3, 0]), None);
    }
}
