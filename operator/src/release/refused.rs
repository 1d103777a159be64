//! The record of what did not open for good: `totals.jsonl` has a file beside it, `totals.refused.jsonl`, with one line of JSON a
//! sum and the names of its meters, one of which spoiled it.
//!
//! A line is on disk before the sum is answered. A kill in between can leave it twice.

use std::path::{Path, PathBuf};

use serde::Serialize;
use wire::{FeederId, KeyEpoch, MeterId, Part, WindowStart};

use super::opening::Opening;
use super::report::By;
use super::totals::Totals;
use crate::disk::DiskError;

/// A line.
#[derive(Debug, Serialize)]
struct Refused<'a> {
    feeder: &'a FeederId,
    window_start: WindowStart,
    part: Part,
    /// The part that it was a piece of.
    replaces: Option<Part>,
    epoch: KeyEpoch,
    meters: &'a [MeterId],
    #[serde(flatten)]
    by: &'a By,
}

/// Where the record of the totals in `totals` is.
pub(super) fn path(totals: &Path) -> PathBuf {
    totals.with_extension("refused.jsonl")
}

/// Appends a sum with its meters to the record at `path`, and returns once it is on disk.
///
/// # Errors
/// The file cannot be read or written.
pub(super) fn append(
    path: &Path,
    opening: &Opening,
    meters: &[MeterId],
    by: &By,
) -> Result<(), DiskError> {
    let refused = Refused {
        feeder: &opening.feeder,
        window_start: opening.window_start,
        part: opening.part,
        replaces: opening.replaces,
        epoch: opening.epoch,
        meters,
        by,
    };
    // It has string keys and numbers only, which serde_json always writes.
    let line = serde_json::to_string(&refused).unwrap_or_default();
    Totals::open(path)?.append(&[line])
}
