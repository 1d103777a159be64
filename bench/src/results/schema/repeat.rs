//! One run of a point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Status;
use crate::ratio::Spread;

/// One run of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    pub repeat: u32,
    pub status: Status,
    /// What is wrong or why it came to no end.
    pub reasons: Vec<String>,
    /// What it took; `null` where it came to no end.
    pub cost: Option<Cost>,
    /// How far the totals are off; `null` where it came to no end.
    pub error: Option<Error>,
    /// Each stage that was seen, in the order of the path.
    pub stages: Vec<Stage>,
}

/// What a repeat took, from the first reading to the last release, start-up and enrolment excluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// From the first reading to the last release.
    pub wall_s: f64,
    /// The whole repeat, with start-up, keys, enrolment and stop.
    pub total_wall_s: f64,
    pub reports: u64,
    pub readings: u64,
    /// Reports sent again for want of a receipt.
    pub reports_resent: u64,
    /// Reports that came again and were not folded again.
    pub reports_duplicate: u64,
    pub reports_rejected: BTreeMap<String, u64>,
    pub windows_released: usize,
    /// Windows of a feeder withheld for want of meters.
    pub windows_withheld: usize,
    /// Reports folded in a second of `wall_s`.
    pub reports_per_s: f64,
    /// Readings folded in a second of `wall_s`.
    pub readings_per_s: f64,
    /// Mean size of a sealed report: signature, header and ciphertext.
    pub bytes_per_report: f64,
    pub bytes_per_reading: f64,
    /// Bytes published to the broker by all clients, repetitions, receipts and sums included.
    pub published_bytes: u64,
    /// Processor time of the whole process, fleet and oracle included.
    pub cpu_s: f64,
    /// The same over `wall_s`: cores in use.
    pub cpu_cores: f64,
    pub cpu_us_per_report: f64,
    pub cpu_us_per_reading: f64,
    /// Processor time by service, from its threads: `meter`, `broker`, `analytics`, `operator`, and `bench` for the
    /// rest. Sums up to `cpu_s`.
    pub cpu_s_by_service: BTreeMap<String, f64>,
    /// Greatest resident memory of the whole process in this repeat.
    pub peak_rss_bytes: Option<u64>,
    /// Resident memory before the repeat: what earlier points left is in it.
    pub rss_before_bytes: Option<u64>,
}

/// Decrypted totals against the plaintext oracle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Error {
    /// Greatest |decrypted − true| of an interval of a feeder.
    pub max_abs_wh: f64,
    /// Greatest bound on it that a release stated.
    pub bound_wh: f64,
    /// Greatest |decrypted − true| / max(|true|, 1 Wh).
    pub max_relative: f64,
    /// Greatest bound / max(|true|, 1 Wh).
    pub bound_relative: f64,
    pub intervals: u64,
}

/// A step of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Readings to slots (meter; per report).
    Encode,
    /// Slots to ciphertext (meter; per report).
    Encrypt,
    /// Ciphertext to packed limbs (meter; per report).
    Pack,
    /// Digest and signature (meter; per report).
    Sign,
    /// The whole of the four (meter; per report).
    Seal,
    /// First publish to receipt (meter, network, broker, analytics; per report).
    PublishToReceipt,
    /// Signature, digest and admission (analytics; per report).
    Verify,
    /// Unpacking and adding (analytics; per report).
    Fold,
    /// One transaction of the store (analytics; per commit, which takes many reports).
    Commit,
    /// Closing a window to its signed sum (analytics; per window of a feeder).
    Release,
    /// Sum to energies (operator; per window of a feeder).
    Decrypt,
    /// Sealing of a sum's newest report to its total (all; per window of a feeder).
    EndToEnd,
}

/// Statistics of a stage over one repeat, from every sample and not from buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub stage: StageName,
    /// What one execution is for: `report`, `commit` or `window`.
    pub per: String,
    pub count: u64,
    /// All together. Stages on several threads can add up to more than the wall time.
    pub total_s: f64,
    pub mean_s: f64,
    pub p50_s: f64,
    pub p90_s: f64,
    pub p99_s: f64,
    pub max_s: f64,
    /// Where the stage only computes: the median execution in microseconds, which is processor time unless the thread
    /// was interrupted (the median hardly sees that; the mean does). `null` for stages that wait.
    pub cpu_us: Option<f64>,
}

/// Main figures of a point over its repeats, under the names they have in [`Cost`] and [`Error`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointSpread {
    pub wall_s: Spread,
    pub reports_per_s: Spread,
    pub readings_per_s: Spread,
    pub cpu_us_per_report: Spread,
    pub cpu_us_per_reading: Spread,
    pub bytes_per_report: Spread,
    pub bytes_per_reading: Spread,
    pub peak_rss_bytes: Option<Spread>,
    pub max_abs_error_wh: Spread,
    /// Medians of each stage.
    pub stage_p50_s: BTreeMap<StageName, Spread>,
    /// 99th percentiles of each stage.
    pub stage_p99_s: BTreeMap<StageName, Spread>,
}
