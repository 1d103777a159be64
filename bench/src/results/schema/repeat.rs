//! One run of a point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Status;
use crate::ratio::Spread;

/// One run of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Repeat {
    pub(crate) repeat: u32,
    pub(crate) status: Status,
    /// What is wrong or why it did not finish.
    pub(crate) reasons: Vec<String>,
    /// What it took; `null` where it did not finish.
    pub(crate) cost: Option<Cost>,
    /// Whether the totals are exact, and how far they are off; `null` where it did not finish.
    pub(crate) error: Option<Error>,
    /// Each stage that was seen, in the order of the path.
    pub(crate) stages: Vec<Stage>,
}

/// What a repeat took, from the first reading to the last release, start-up and enrolment excluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// From the first reading to the last release.
    pub(crate) wall_s: f64,
    /// The whole repeat, with start-up, keys, enrolment and stop.
    pub(crate) total_wall_s: f64,
    pub(crate) reports: u64,
    pub(crate) readings: u64,
    /// Reports sent again because no receipt came.
    pub(crate) reports_resent: u64,
    /// Reports that came again and were not folded again.
    pub(crate) reports_duplicate: u64,
    pub(crate) reports_rejected: BTreeMap<String, u64>,
    pub(crate) windows_released: usize,
    /// Windows of a feeder withheld because too few meters are in it.
    pub(crate) windows_withheld: usize,
    /// Reports folded in a second of `wall_s`.
    pub(crate) reports_per_s: f64,
    /// Readings folded in a second of `wall_s`.
    pub(crate) readings_per_s: f64,
    /// Mean size of a sealed report: signature, header and ciphertext.
    pub(crate) bytes_per_report: f64,
    pub(crate) bytes_per_reading: f64,
    /// Bytes published to the broker by all clients, repetitions, receipts and sums included.
    pub(crate) published_bytes: u64,
    /// Processor time of the whole process, fleet and oracle included.
    pub(crate) cpu_s: f64,
    /// The same over `wall_s`: cores in use.
    pub(crate) cpu_cores: f64,
    pub(crate) cpu_us_per_report: f64,
    pub(crate) cpu_us_per_reading: f64,
    /// Processor time by service, from its threads: `meter`, `broker`, `analytics`, `operator`, and `bench` for the
    /// rest. Sums up to `cpu_s`.
    pub(crate) cpu_s_by_service: BTreeMap<String, f64>,
    /// Greatest resident memory of the whole process in this repeat.
    pub(crate) peak_rss_bytes: Option<u64>,
    /// Resident memory before the repeat: what earlier points left is in it.
    pub(crate) rss_before_bytes: Option<u64>,
}

/// Decrypted totals against the plaintext oracle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Error {
    /// Whether every total equals the truth; `null` in a document of format 1 or 2, which did not ask.
    pub(crate) exact: Option<bool>,
    /// Greatest |decrypted − true| of an interval of a feeder.
    pub(crate) max_abs_wh: f64,
    /// Greatest |decrypted − true| / max(|true|, 1 Wh).
    pub(crate) max_relative: f64,
    /// The largest quantum of a total.
    pub(crate) quantum_wh: Option<u64>,
    pub(crate) intervals: u64,
    /// In a document of format 1 or 2, whose totals were not exact: what the error had to stay below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bound_wh: Option<f64>,
}

/// A step of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StageName {
    /// Readings to coefficients (meter; per report).
    Encode,
    /// Coefficients to packed ciphertext; until format 3 without the packing (meter; per report).
    Encrypt,
    /// Ciphertext to packed limbs, until format 3 (meter; per report).
    Pack,
    /// Digest and signature (meter; per report).
    Sign,
    /// The whole of them (meter; per report).
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
pub(crate) struct Stage {
    pub(crate) stage: StageName,
    /// What one execution is for: `report`, `commit` or `window`.
    pub(crate) per: String,
    pub(crate) count: u64,
    /// All together. Stages on several threads can add up to more than the wall time.
    pub(crate) total_s: f64,
    pub(crate) mean_s: f64,
    pub(crate) p50_s: f64,
    pub(crate) p90_s: f64,
    pub(crate) p99_s: f64,
    pub(crate) max_s: f64,
    /// Where the stage only computes: the median execution in microseconds, which is processor time unless the thread
    /// was interrupted (the median hardly sees that; the mean does). `null` for stages that wait.
    pub(crate) cpu_us: Option<f64>,
}

/// Main figures of a point over its repeats, under the names they have in [`Cost`] and [`Error`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointSpread {
    pub(crate) wall_s: Spread,
    pub(crate) reports_per_s: Spread,
    pub(crate) readings_per_s: Spread,
    pub(crate) cpu_us_per_report: Spread,
    pub(crate) cpu_us_per_reading: Spread,
    pub(crate) bytes_per_report: Spread,
    pub(crate) bytes_per_reading: Spread,
    pub(crate) peak_rss_bytes: Option<Spread>,
    pub(crate) max_abs_error_wh: Spread,
    /// Medians of each stage.
    pub(crate) stage_p50_s: BTreeMap<StageName, Spread>,
    /// 99th percentiles of each stage.
    pub(crate) stage_p99_s: BTreeMap<StageName, Spread>,
}
