//! What the page shows, as it is sent to it in JSON.

use serde::Serialize;
use wire::{FeederId, HolderId, Part, WindowStart};

/// Who serves the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An operator, which knows its own part of the pipeline only.
    Operator,
    /// A run of the whole pipeline in one process, which knows all of it, and the true readings.
    Bench,
}

/// What a page is told once, and how much it keeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// Who serves the page.
    pub source: Source,
    /// `deployment.id`.
    pub deployment: String,
    /// Where the readings come from, in words, if that is known.
    pub input: Option<String>,
    /// Whether decrypted load is shown. If not, it is dropped before it is kept.
    pub load: bool,
    /// Contributors below which no sum is released; `None` until the plan is known.
    pub min_meters: Option<u32>,
    /// Most intervals kept of each feeder; a window is kept whole, and the newest one always.
    pub intervals: usize,
    /// Most feeders kept: the first ones with a window.
    pub max_feeders: usize,
}

/// One released window of one feeder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// Whose meters are in the sum.
    pub feeder: FeederId,
    /// Start of the window, in seconds since the Unix epoch.
    pub start: WindowStart,
    /// Which sum of the window, from 0.
    pub part: Part,
    /// Length of an interval, in seconds.
    pub interval_s: u32,
    /// Intervals in the window.
    pub intervals: u32,
    /// Meters in the sum.
    pub meters: u32,
    /// Readings in the sum, as a share of those that could be in it, 0 to 1.
    pub completeness: f64,
    /// Intervals that are not shown, because too few of the meters had a reading.
    pub withheld_intervals: u32,
    /// What every energy is a whole multiple of, in Wh.
    pub quantum_wh: u64,
    /// Wall time at which the operator took the sum, in milliseconds since the Unix epoch.
    pub taken_at: u64,
    /// The holders of mask keys that let the sum be opened; `None` where there are none.
    pub holders: Option<HeldBy>,
    /// What was decrypted, where it is shown.
    pub load: Option<Load>,
}

/// Holders of mask keys, who let a sum be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldBy {
    /// How many together have every mask key, of how many: `2of4`.
    pub of: String,
    /// Who consented.
    pub consented: Vec<HolderId>,
}

/// Sums that are with the holders of mask keys, while some of them do not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Awaited {
    /// How many sums; 0: nothing waits.
    pub sums: usize,
    /// Who does not answer.
    pub holders: Vec<HolderId>,
}

/// What was decrypted from a window's sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Net energy per interval, in Wh; `None` where the interval is withheld or nobody had a reading.
    pub energy_wh: Vec<Option<i64>>,
    /// Largest energy of an interval, in Wh; `None` if there is none.
    pub peak_wh: Option<i64>,
    /// The interval with `peak_wh`, from 0.
    pub peak_interval: Option<u16>,
    /// Average over peak; `None` if the peak is not positive.
    pub load_factor: Option<f64>,
    /// What the meters consumed, where they were counted by it.
    pub percentiles: Option<Percentiles>,
    /// What `energy_wh` should be, where that is known.
    pub truth: Option<Truth>,
}

/// Ranges that readings are in, per interval: the least and the greatest that they can be, in Wh. `None` as for energies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub median_wh: Vec<Option<[i64; 2]>>,
    /// The 90th percentile.
    pub p90_wh: Vec<Option<[i64; 2]>>,
}

/// The sum of the readings as they were entered, to compare decrypted energies with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Energy per interval, in Wh; `None` where the sum is to show none.
    pub energy_wh: Vec<Option<i64>>,
}

/// A sum as it came over the network: all that analytics, the broker and every subscriber can see of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ciphertext {
    /// Whose meters are in the sum.
    pub feeder: FeederId,
    /// Start of the window, in seconds since the Unix epoch.
    pub start: WindowStart,
    /// Which sum of the window, from 0.
    pub part: Part,
    /// Length of the ciphertext, in bytes.
    pub bytes: usize,
    /// Its first bytes, in hexadecimal.
    pub head: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether everything is as it should be.
    pub correct: bool,
    /// The same in words.
    pub text: String,
}

/// How decrypted energies compare with the truth, over all windows whose truth is known. They should all be exact.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    /// Intervals compared.
    pub(crate) intervals: u64,
    /// Intervals whose energy is not the truth.
    pub(crate) wrong: u64,
    /// Largest error of an interval, in Wh.
    pub(crate) error_wh: u64,
}

impl Accuracy {
    pub(crate) fn compare(&mut self, load: &Load, truth: &Truth) {
        for (decrypted, truth) in load.energy_wh.iter().zip(&truth.energy_wh) {
            self.intervals += u64::from(decrypted.is_some() || truth.is_some());
            self.wrong += u64::from(decrypted != truth);
            if let (Some(decrypted), Some(truth)) = (decrypted, truth) {
                self.error_wh = self.error_wh.max(decrypted.abs_diff(*truth));
            }
        }
    }
}
