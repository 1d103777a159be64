//! The rows of a store fit each other, as those of every committed transaction do, or it is damaged.

use std::collections::BTreeSet;

use wire::{Digest, FeederId, WindowStart};

use super::{Stage, SumKey, SumRow};

/// Rows that are read in order, and what must be there besides.
#[derive(Default)]
pub(super) struct Fit {
    window: Option<(FeederId, WindowStart)>,
    /// The sums of it that were seen.
    parts: usize,
    released: BTreeSet<SumKey>,
}

impl Fit {
    /// The next sum, in the order of keys.
    pub(super) fn sum(&mut self, row: &SumRow, has_record: bool) -> Result<(), String> {
        let key = &row.key;
        let is_same = |(feeder, window): &(FeederId, WindowStart)| {
            (feeder, *window) == (&key.feeder, key.window)
        };
        if !self.window.as_ref().is_some_and(is_same) {
            self.window = Some((key.feeder.clone(), key.window));
            self.parts = 0;
        }
        if usize::from(key.part.0) != self.parts {
            return Err(format!("{} is not part {}", name(key), self.parts));
        }
        self.parts += 1;
        if row.stage == Stage::Released {
            self.released.insert(key.clone());
        }
        record(row, has_record)
    }

    /// All sums were seen, and these are the releases.
    pub(super) fn end(self, releases: &[(SumKey, Digest)]) -> Result<(), String> {
        let there: BTreeSet<_> = releases.iter().map(|(key, _)| key.clone()).collect();
        if let Some(key) = self.released.difference(&there).next() {
            return Err(format!("{} has no release", name(key)));
        }
        match there.difference(&self.released).next() {
            Some(key) => Err(format!(
                "{} has a release without a sum that awaits its receipt",
                name(key)
            )),
            None => Ok(()),
        }
    }
}

/// A sum that takes reports has a record, and no other has one.
pub(super) fn record(row: &SumRow, has_record: bool) -> Result<(), String> {
    match (has_ciphertext(row), has_record) {
        (true, false) => Err(format!("{} has no ciphertext", name(&row.key))),
        (false, true) => Err(format!("{} has a ciphertext too many", name(&row.key))),
        _ => Ok(()),
    }
}

/// Whether there is a ciphertext of the sum.
pub(super) fn has_ciphertext(row: &SumRow) -> bool {
    matches!(row.stage, Stage::Open | Stage::Held)
}

/// Nobody has the seat of a member.
pub(super) fn nobody(feeder: &FeederId, seat: impl std::fmt::Display) -> String {
    format!("nobody of feeder {feeder} has seat {seat}")
}

pub(super) fn name(key: &SumKey) -> String {
    format!(
        "part {} of window {} of feeder {}",
        key.part, key.window, key.feeder
    )
}
