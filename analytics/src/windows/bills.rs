//! What bills ask of the windows that they are over.

use std::ops::Range;

use release::Withheld;
use wire::{FeederId, WindowStart};

use super::Windows;
use crate::store::{Store, StoreError};

impl Windows {
    /// Whether the feeder's time has passed these windows, and nothing is awaited of them: no answer to a sum, and no first report of a
    /// window that later ones have overtaken, until its grace is over. Windows before the feeder's first one are not awaited.
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
        let Some(time) = known.time.filter(|time| *time >= windows.end.0) else {
            return Ok(false);
        };
        let first = known.windows.keys().next();
        let grid = &self.format.grid;
        let next = |window: &WindowStart| Some(grid.next_window(*window));
        let mut of_period = std::iter::successors(Some(windows.start), next)
            .take_while(|window| *window < windows.end);
        Ok(of_period.all(|window| match known.windows.get(&window) {
            Some(seen) if seen.parts > 0 => seen.sums().is_empty(),
            _ => {
                let is_before = first.is_none_or(|first| window < *first);
                is_before || time >= self.window_end(window) + self.rules.grace_s
            }
        }))
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
