//! Every sample of every histogram, so that percentiles are exact to three digits and not those of buckets.
//!
//! The services record into whatever recorder the process has. A sweep installs one that keeps samples, and empties it
//! after each repeat.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use analytics::metrics as analytics;
use harness::latency::Durations;
use meter::metrics as meter;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use operator::metrics as operator;

use crate::results::schema::{Stage, StageName};

/// A stage of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StageKind {
    pub(crate) name: StageName,
    /// The histogram that its times are in.
    histogram: &'static str,
    /// What one execution is for.
    per: &'static str,
    /// Whether it only computes. The others wait: for a receipt, a disk, another process.
    computes: bool,
}

/// Every stage, in the order of the path.
pub(crate) const STAGES: [StageKind; 11] = [
    computes(StageName::Encode, meter::ENCODE, "report"),
    computes(StageName::Encrypt, meter::ENCRYPT, "report"),
    computes(StageName::Sign, meter::SIGN, "report"),
    computes(StageName::Seal, meter::SEAL, "report"),
    waits(StageName::PublishToReceipt, meter::RECEIPT, "report"),
    computes(StageName::Verify, analytics::VERIFY, "report"),
    computes(StageName::Fold, analytics::FOLD, "report"),
    waits(StageName::Commit, analytics::COMMIT, "commit"),
    computes(StageName::Release, analytics::RELEASE, "window"),
    computes(StageName::Decrypt, operator::DECRYPT, "window"),
    waits(StageName::EndToEnd, operator::END_TO_END, "window"),
];

const fn computes(name: StageName, histogram: &'static str, per: &'static str) -> StageKind {
    StageKind {
        name,
        histogram,
        per,
        computes: true,
    }
}

const fn waits(name: StageName, histogram: &'static str, per: &'static str) -> StageKind {
    StageKind {
        computes: false,
        ..computes(name, histogram, per)
    }
}

#[derive(Clone)]
pub(crate) struct Samples(Snapshotter);

#[derive(Debug, Default)]
pub(crate) struct Recorded {
    counters: HashMap<String, u64>,
    durations: HashMap<String, Durations>,
}

/// The process records its metrics elsewhere already.
#[derive(Debug, thiserror::Error)]
#[error("another metrics recorder is installed in this process: a sweep needs its own")]
pub(crate) struct Occupied;

impl Samples {
    /// Installs the recorder. Later calls give the same one.
    pub(crate) fn install() -> Result<Self, Occupied> {
        static INSTALLED: OnceLock<Option<Samples>> = OnceLock::new();
        let install = || {
            let recorder = DebuggingRecorder::new();
            let samples = Self(recorder.snapshotter());
            recorder.install().is_ok().then_some(samples)
        };
        INSTALLED.get_or_init(install).clone().ok_or(Occupied)
    }

    pub(crate) fn take(&self) -> Recorded {
        let mut recorded = Recorded::default();
        for (key, _, _, value) in self.0.snapshot().into_vec() {
            let name = key.key().name();
            match value {
                DebugValue::Counter(count) => {
                    *recorded.counters.entry(name.to_owned()).or_default() += count;
                }
                DebugValue::Histogram(values) if name.ends_with("_seconds") => {
                    let durations = recorded.durations.entry(name.to_owned()).or_default();
                    for seconds in values {
                        let duration = Duration::try_from_secs_f64(seconds.into_inner());
                        durations.record(duration.unwrap_or_default());
                    }
                }
                DebugValue::Histogram(_) | DebugValue::Gauge(_) => {}
            }
        }
        recorded
    }
}

impl Recorded {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn samples(&self, name: &str) -> u64 {
        self.durations.get(name).map_or(0, Durations::count)
    }

    pub(crate) fn stages(&self) -> Vec<Stage> {
        let seen = STAGES.iter().filter_map(|stage| {
            let durations = self.durations.get(stage.histogram)?;
            (durations.count() > 0).then(|| stage.of(durations))
        });
        seen.collect()
    }
}

impl StageKind {
    fn of(&self, durations: &Durations) -> Stage {
        let total_s = durations.total().as_secs_f64();
        let p50_s = durations.quantile_s(0.5);
        Stage {
            stage: self.name,
            per: self.per.to_owned(),
            count: durations.count(),
            total_s,
            mean_s: total_s / durations.count() as f64,
            p50_s,
            p90_s: durations.quantile_s(0.9),
            p99_s: durations.quantile_s(0.99),
            max_s: durations.quantile_s(1.0),
            cpu_us: self.computes.then_some(p50_s * 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_samples() {
        let samples: Durations = (1..=200).rev().map(Duration::from_secs).collect();
        let of = |name| STAGES.into_iter().find(|stage| stage.name == name).unwrap();
        let stage = of(StageName::Fold).of(&samples);
        assert_eq!(
            (stage.count, stage.total_s, stage.mean_s),
            (200, 20_100.0, 100.5)
        );
        let found = [stage.p50_s, stage.p90_s, stage.p99_s, stage.max_s];
        for (found, expected) in found.into_iter().zip([100.0, 180.0, 198.0, 200.0]) {
            assert!((found / expected - 1.0).abs() < 1e-3, "{stage:?}");
        }
        assert_eq!(stage.cpu_us, Some(stage.p50_s * 1e6));
        let few: Durations = [2, 1].map(Duration::from_secs).into_iter().collect();
        let few = of(StageName::Commit).of(&few);
        assert!((few.p50_s - 1.0).abs() < 1e-3);
        assert_eq!((few.p99_s, few.cpu_us), (2.0, None));
        assert!(Recorded::default().stages().is_empty());
    }
}
