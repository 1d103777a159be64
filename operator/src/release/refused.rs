//! The record of what did not open for good: `totals.jsonl` has a file beside it, `totals.refused.jsonl`, with one line of JSON a
//! sum and the names of its `meters`, one of which spoiled it. A search that found somebody has a line of its own, with the
//! part that was divided and its `culprits`.
//!
//! A line is on disk before the sum is answered. A kill in between can leave it twice.

use std::path::{Path, PathBuf};

use serde::Serialize;
use wire::{FeederId, KeyEpoch, MeterId, Part, WindowStart};

use super::opening::Opening;
use super::report::By;
use super::take_result::Searched;
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

/// A line about a search.
#[derive(Debug, Serialize)]
struct Culprits<'a> {
    feeder: &'a FeederId,
    window_start: WindowStart,
    /// The part that was divided.
    part: Part,
    epoch: KeyEpoch,
    /// Meters that spoil a sum each.
    culprits: &'a [MeterId],
    /// Meters among which several spoil a sum together.
    together: &'a [MeterId],
    /// Reports that were searched, and those that did not come.
    reports: usize,
    missing: usize,
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
    write(path, &refused)
}

/// Appends what a search found to the record at `path`, and returns once it is on disk.
///
/// # Errors
/// As [`append`].
pub(super) fn append_searched(path: &Path, searched: &Searched, by: &By) -> Result<(), DiskError> {
    let culprits = Culprits {
        feeder: &searched.feeder,
        window_start: searched.window_start,
        part: searched.part,
        epoch: searched.epoch,
        culprits: &searched.culprits,
        together: &searched.together,
        reports: searched.reports,
        missing: searched.missing,
        by,
    };
    write(path, &culprits)
}

fn write(path: &Path, line: &impl Serialize) -> Result<(), DiskError> {
    // It has string keys and numbers only, which serde_json always writes.
    let line = serde_json::to_string(line).unwrap_or_default();
    Totals::open(path)?.append(&[line])
}
