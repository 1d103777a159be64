//! The third ledger: the operator's `totals.jsonl`, read by code of its own.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::{Digest, FeederId, Part, WindowStart};

/// A line of `totals.jsonl`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Total {
    pub(crate) feeder: FeederId,
    pub(crate) window_start: WindowStart,
    pub(crate) part: Part,
    /// Meters in the sum.
    pub(crate) meters: u32,
    /// Energy per interval, in Wh; none where it is withheld or nobody had a reading.
    pub(crate) energy_wh: Vec<Option<i64>>,
    /// Meters with a reading, per interval; none where it is withheld.
    pub(crate) present: Vec<Option<u32>>,
    /// What every reading in it is a whole multiple of, in Wh.
    pub(crate) quantum_wh: u64,
    /// Digest of the sum's limbs.
    pub(crate) digest: Digest,
}

/// The operator's totals or bills, a line each. A file that is not there yet is empty.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    (1..)
        .zip(text.lines())
        .map(|(number, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {number}, is damaged", path.display()))
        })
        .collect()
}
