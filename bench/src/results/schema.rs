//! `run.json`: everything a run of `bench` measured, in one document.
//!
//! Names end in their unit: `_s` seconds, `_us` microseconds, `_bytes`, `_wh` watt-hours, `_per_s`. What was not measured
//! is `null`, never 0. A point that is not `ok` says why in `reasons`. `example.json` beside this file is a small
//! document of every kind of point; a test reads it.
//!
//! ```text
//! Run
//! ├─ format, correct, failures
//! ├─ environment                      the machine, the build, the command
//! ├─ sweeps[]                         one for each --sweep
//! │  ├─ parameter, unit, varies       what is varied, and what that means
//! │  └─ points[]                      one for each value
//! │     ├─ label, value, settings     all settings in force
//! │     ├─ status, reasons            ok | wrong | failed | skipped
//! │     ├─ median                     of the repeats that are ok
//! │     └─ repeats[]
//! │        ├─ cost, error             what it took, and how far the totals are off
//! │        └─ stages[]                encode … end_to_end
//! └─ load, peers, budget              documents of the commands of those names
//! ```

mod repeat;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use repeat::{Cost, Error, PointSpread, Repeat, Stage, StageName};

/// Version of the document: raised when a field changes its meaning or goes. New fields do not raise it. Earlier ones are
/// read too: format 1 also had `plaintext`, a comparison with a pipeline of its own; in 1 and 2 totals had a bound on their
/// error, and ciphertexts slots; until 3 packing was a stage of its own.
pub(crate) const FORMAT: u32 = 4;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) format: u32,
    /// Whether every point that ran is right: none is `wrong` or `failed`.
    pub(crate) correct: bool,
    pub(crate) failures: Vec<String>,
    pub(crate) environment: Environment,
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) load: Option<Value>,
    pub(crate) peers: Option<Value>,
    pub(crate) budget: Option<Value>,
}

impl Run {
    /// Adds what `bench --peers` measured in the same run.
    pub(crate) fn add_peers(&mut self, document: Value, correct: bool) {
        self.peers = Some(document);
        if !correct {
            self.failures
                .push("peers: a sum differs from the truth".to_owned());
            self.correct = false;
        }
    }
}

/// The machine, the build and the command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) started_at: String,
    /// When it ended; `null` in a document written while it still runs.
    pub(crate) ended_at: Option<String>,
    pub(crate) wall_s: f64,
    pub(crate) command_line: Vec<String>,
    pub(crate) version: String,
    /// Commit of the working tree; `null` outside a repository.
    pub(crate) commit: Option<String>,
    /// Whether the working tree differed from that commit.
    pub(crate) commit_dirty: Option<bool>,
    /// `release` or `debug`. Figures of a debug build are no figures.
    pub(crate) build: String,
    pub(crate) rustc: Option<String>,
    pub(crate) openfhe: String,
    pub(crate) cpu_model: String,
    /// Logical processors this process may use.
    pub(crate) cpu_cores: usize,
    /// Instruction sets of the processor that matter here, such as `avx512f`.
    pub(crate) cpu_flags: Vec<String>,
    /// Instruction set the fold runs with.
    pub(crate) fold_kernel: String,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// Load averages over 1, 5 and 15 minutes, before the first point.
    pub(crate) load_average_before: [f64; 3],
    /// The same after the last point.
    pub(crate) load_average_after: Option<[f64; 3]>,
    pub(crate) profiles: Vec<Profile>,
    /// Repeats asked for, of each point.
    pub(crate) repeats: u32,
    /// Warm-up runs before the first point of each sweep; not in the document.
    pub(crate) warmup: u32,
    pub(crate) quick: bool,
    pub(crate) estimate_s: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) ring_dimension: usize,
    pub(crate) modulus_bits: u32,
    /// A reading of the feeder's reference is encrypted as 2^scale_bits.
    pub(crate) scale_bits: u32,
    /// Low bits that a report leaves out of each residue of its first and of its second polynomial.
    #[serde(default)]
    pub(crate) dropped_bits: [u32; 2],
    /// Contributors that cannot overflow.
    pub(crate) max_contributors: u32,
    /// Of a report of 96 readings.
    pub(crate) ciphertext_bytes: Option<usize>,
}

/// The parameter a sweep varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Parameter {
    /// Meters in the fleet.
    Meters,
    /// Length of an interval, at a fixed speed-up: what is offered falls as the interval grows.
    Interval,
    /// Intervals in a report, for the same readings: longer reports are fewer.
    Batch,
    /// Readings in a ciphertext, and whether their squares too, for the same number of reports.
    Payload,
    /// Feeders the same meters are spread over.
    Feeders,
    /// Delay of every report between gateway and broker.
    Latency,
    /// Probability that a report is lost between gateway and broker.
    Loss,
    Profile,
    /// What is computed on encrypted readings; by itself, not one of a run.
    Operation,
    /// How much noisy totals give away; what noise leaves of them.
    Epsilon,
}

/// One parameter over its values, everything else as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweep {
    pub(crate) parameter: Parameter,
    /// Unit of [`Point::value`]: `meters`, `s`, `intervals`, `coefficients`, `feeders`, `ratio`, or empty.
    pub(crate) unit: String,
    /// What is varied and what stays the same, in a sentence.
    pub(crate) varies: String,
    pub(crate) points: Vec<Point>,
}

/// One value of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// The value as it was given: `100`, `5s`, `moments:96`, `additive-wide`.
    pub(crate) label: String,
    /// The value as a number in the sweep's unit, for an axis; `null` where it is a name.
    pub(crate) value: Option<f64>,
    /// Everything that is in force.
    pub(crate) settings: PointSettings,
    pub(crate) status: Status,
    /// Why it is not `ok`; empty if it is.
    pub(crate) reasons: Vec<String>,
    pub(crate) estimate_s: f64,
    pub(crate) repeats: Vec<Repeat>,
    /// Spread of the main figures over the repeats that are ok; `null` without any.
    pub(crate) median: Option<PointSpread>,
}

/// What became of a point or a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Every window is exact.
    Ok,
    /// A window does not.
    Wrong,
    /// It did not finish.
    Failed,
    Skipped,
}

/// All settings of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PointSettings {
    pub(crate) meters: u32,
    /// Feeders they are spread over in turn.
    pub(crate) feeders: u32,
    pub(crate) interval_s: u32,
    pub(crate) batch: u16,
    /// Windows of event time, each of batch × interval: reports are meters × windows.
    pub(crate) windows: u32,
    pub(crate) layout: String,
    /// Coefficients of a ciphertext that carry something, the zero checks included.
    pub(crate) coefficients: Option<usize>,
    /// The profile asked for, or `auto`.
    pub(crate) profile: String,
    /// Seconds of event time a second; `null`: as fast as the pipeline takes readings.
    pub(crate) speed: Option<f64>,
    /// Reports due in a second; `null`: as fast as the pipeline takes readings.
    pub(crate) offered_reports_per_s: Option<f64>,
    pub(crate) latency_s: f64,
    /// Greatest emulated additional delay.
    pub(crate) jitter_s: f64,
    pub(crate) loss_ratio: f64,
    /// Contributors below which no sum is released, in this point.
    pub(crate) min_meters: u32,
    /// The configured minimum, where this point has fewer meters on a feeder and it was lowered for it.
    pub(crate) min_meters_lowered_from: Option<u32>,
    /// Seed of the fleet and of the emulated network.
    pub(crate) seed: u64,
}
