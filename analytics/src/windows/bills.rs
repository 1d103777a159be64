//! What bills ask of the windows that they are over.

use std::ops::Range;

use release::Withheld;
use wire::{FeederId, WindowStart};

use super::Windows;
use crate::store::{Store, StoreError};

impl Windows {
    /// Whether the feeder's time has passed these windows, and nothing is awaited of any sum of theirs.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub(crate) fn is_over(
        &mut self,
        feeder: &FeederId,
        windows: Range<WindowStart>,
        store: &mut dyn Store,
    ) -> Result<bool, StoreError> {
        self.recall(feeder, store)?;
        let Some(known) = self.feeders.get(feeder) else {
            return Ok(false);
        };
        let is_past = known.time.is_some_and(|time| time >= windows.end.0);
        let mut of_period = known.windows.range(windows);
        Ok(is_past && of_period.all(|(_, window)| window.sums().is_empty()))
    }

    /// Whether the feeder is in the store alone.
    pub(crate) fn is_away(&self, feeder: &FeederId) -> bool {
        !self.feeders.contains_key(feeder)
    }

    /// Whether a bill whose bands have so many intervals may be opened.
    pub(crate) fn bill_bands(&self, intervals: &[u32]) -> Result<(), Withheld> {
        let decision = self.rules.release.bill_bands(intervals.iter().copied());
        decision.released()
    }
}
