//! What the page shows, as it is sent to it in JSON.

use serde::Serialize;
use wire::{FeederId, Part, WindowStart};

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
    /// 0 for the window's first release; 1, 2, … for supplements.
    pub part: Part,
    /// Length of an interval, in seconds.
    pub interval_s: u32,
    /// Intervals in the window.
    pub intervals: u32,
    /// Meters in the sum.
    pub meters: u32,
    /// Meters enrolled on the feeder when the window closed.
    pub enrolled: u32,
    /// `meters / enrolled`, 0 to 1.
    pub completeness: f64,
    /// Readings clamped to the declared capacity.
    pub clamped: u64,
    /// Intervals without a reading.
    pub missing: u64,
    /// No energy is further than this from the sum of the readings, in Wh.
    pub bound_wh: f64,
    /// Wall time at which the operator took the sum, in milliseconds since the Unix epoch.
    pub taken_at: u64,
    /// What was decrypted, where it is shown.
    pub load: Option<Load>,
}

/// What was decrypted from a window's sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Net energy per interval, in Wh.
    pub energy_wh: Vec<i64>,
    /// Largest energy of an interval, in Wh.
    pub peak_wh: i64,
    /// The interval with `peak_wh`, from 0.
    pub peak_interval: u16,
    /// Average over peak; `None` if the peak is not positive.
    pub load_factor: Option<f64>,
    /// What `energy_wh` should be, where that is known.
    pub truth: Option<Truth>,
}

/// The sum of the readings themselves, to compare decrypted energies with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// Energy per interval, in Wh.
    pub energy_wh: Vec<f64>,
}

/// A sum as it came over the network: all that analytics, the broker and every subscriber can see of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ciphertext {
    /// Whose meters are in the sum.
    pub feeder: FeederId,
    /// Start of the window, in seconds since the Unix epoch.
    pub start: WindowStart,
    /// 0 for the window's first release; 1, 2, … for supplements.
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

/// How far decrypted energies are from the truth, over all windows whose truth is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    /// Intervals compared.
    pub(crate) intervals: u64,
    /// Intervals further from the truth than their bound.
    pub(crate) outside: u64,
    /// Largest error of an interval, in Wh.
    pub(crate) error_wh: f64,
    /// Bound of the window that has it, in Wh.
    pub(crate) bound_wh: f64,
    /// Largest error of an interval as a share of its bound.
    pub(crate) share: f64,
}

impl Accuracy {
    pub(crate) fn compare(&mut self, load: &Load, truth: &Truth, bound_wh: f64) {
        for (&decrypted, &true_wh) in load.energy_wh.iter().zip(&truth.energy_wh) {
            let error = (decrypted as f64 - true_wh).abs();
            self.intervals += 1;
            self.outside += u64::from(error > bound_wh);
            self.share = self.share.max(error / bound_wh);
            if self.intervals == 1 || error > self.error_wh {
                (self.error_wh, self.bound_wh) = (error, bound_wh);
            }
        }
    }
}
