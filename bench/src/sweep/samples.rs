//! Every sample of every histogram, so that percentiles are exact and not those of buckets.
//!
//! The services record into whatever recorder the process has. A sweep installs one that keeps samples, and empties it
//! after each repeat.

use std::collections::HashMap;
use std::sync::OnceLock;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::results::schema::{Stage, StageName};

/// Each stage with its histogram, what one execution is for, and whether it only computes.
const STAGES: [(StageName, &str, &str, bool); 12] = [
    (
        StageName::Encode,
        "cipherwatt_meter_encode_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::Encrypt,
        "cipherwatt_meter_encrypt_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::Pack,
        "cipherwatt_meter_pack_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::Sign,
        "cipherwatt_meter_sign_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::Seal,
        "cipherwatt_meter_seal_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::PublishToReceipt,
        "cipherwatt_meter_receipt_duration_seconds",
        "report",
        false,
    ),
    (
        StageName::Verify,
        "cipherwatt_analytics_verify_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::Fold,
        "cipherwatt_analytics_fold_duration_seconds",
        "report",
        true,
    ),
    (
        StageName::Commit,
        "cipherwatt_analytics_commit_duration_seconds",
        "commit",
        false,
    ),
    (
        StageName::Release,
        "cipherwatt_analytics_release_duration_seconds",
        "window",
        true,
    ),
    (
        StageName::Decrypt,
        "cipherwatt_operator_decrypt_duration_seconds",
        "window",
        true,
    ),
    (
        StageName::EndToEnd,
        "cipherwatt_operator_end_to_end_duration_seconds",
        "window",
        false,
    ),
];

/// The recorder of this process.
#[derive(Clone)]
pub struct Samples(Snapshotter);

/// What was recorded between two looks.
#[derive(Debug, Default)]
pub struct Recorded {
    counters: HashMap<String, u64>,
    samples: HashMap<String, Vec<f64>>,
}

/// The process records its metrics elsewhere already.
#[derive(Debug, thiserror::Error)]
#[error("another metrics recorder is installed in this process: a sweep needs its own")]
pub struct Occupied;

impl Samples {
    /// Installs the recorder. Later calls give the same one.
    ///
    /// # Errors
    /// Where this process has another.
    pub fn install() -> Result<Self, Occupied> {
        static INSTALLED: OnceLock<Option<Samples>> = OnceLock::new();
        let install = || {
            let recorder = DebuggingRecorder::new();
            let samples = Self(recorder.snapshotter());
            recorder.install().is_ok().then_some(samples)
        };
        INSTALLED.get_or_init(install).clone().ok_or(Occupied)
    }

    /// Takes what was recorded since the last call.
    #[must_use]
    pub fn take(&self) -> Recorded {
        let mut recorded = Recorded::default();
        for (key, _, _, value) in self.0.snapshot().into_vec() {
            let name = key.key().name().to_owned();
            match value {
                DebugValue::Counter(count) => *recorded.counters.entry(name).or_default() += count,
                DebugValue::Histogram(values) => {
                    let values = values.into_iter().map(|value| value.into_inner());
                    recorded.samples.entry(name).or_default().extend(values);
                }
                DebugValue::Gauge(_) => {}
            }
        }
        recorded
    }
}

impl Recorded {
    /// A counter, over all its labels.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// How many samples a histogram has.
    #[must_use]
    pub fn samples(&self, name: &str) -> u64 {
        self.samples
            .get(name)
            .map_or(0, |samples| samples.len() as u64)
    }

    /// The stages that were seen, in the order of the path.
    #[must_use]
    pub fn stages(mut self) -> Vec<Stage> {
        let seen = STAGES.iter().filter_map(|&(stage, name, per, computes)| {
            stage_of(stage, per, computes, self.samples.remove(name)?)
        });
        seen.collect()
    }
}

/// `None` without samples.
fn stage_of(stage: StageName, per: &str, computes: bool, mut samples: Vec<f64>) -> Option<Stage> {
    samples.sort_by(f64::total_cmp);
    let max_s = *samples.last()?;
    // The nearest rank: a value that was measured, and the greatest where there are few.
    let rank = |share: f64| samples[((samples.len() as f64 * share).ceil() as usize).max(1) - 1];
    let total_s: f64 = samples.iter().sum();
    Some(Stage {
        stage,
        per: per.to_owned(),
        count: samples.len() as u64,
        total_s,
        mean_s: total_s / samples.len() as f64,
        p50_s: rank(0.5),
        p90_s: rank(0.9),
        p99_s: rank(0.99),
        max_s,
        cpu_us: computes.then(|| rank(0.5) * 1e6),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_samples() {
        let samples = (1..=200).rev().map(f64::from).collect();
        let stage = stage_of(StageName::Fold, "report", true, samples).unwrap();
        assert_eq!(
            (stage.count, stage.total_s, stage.mean_s),
            (200, 20_100.0, 100.5)
        );
        assert_eq!(
            (stage.p50_s, stage.p90_s, stage.p99_s, stage.max_s),
            (100.0, 180.0, 198.0, 200.0)
        );
        assert_eq!(stage.cpu_us, Some(100.0e6));
        let few = stage_of(StageName::Commit, "commit", false, vec![2.0, 1.0]).unwrap();
        assert_eq!((few.p50_s, few.p99_s, few.cpu_us), (1.0, 2.0, None));
        assert!(stage_of(StageName::Fold, "report", true, Vec::new()).is_none());
    }
}
