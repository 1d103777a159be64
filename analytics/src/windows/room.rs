//! What counts for a feeder, and over all of them. What of it there is room for is in `quota`.

use std::collections::HashMap;

use wire::MeterId;

use super::Rules;

/// What a sum counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Counts {
    /// For its meters: it cannot be released now.
    #[default]
    Small,
    /// For its feeder, as one that takes reports.
    Open,
    /// For its feeder, as one that awaits the operator's answer.
    Released,
}

/// What counts for a feeder.
#[derive(Debug, Default)]
pub(super) struct OfFeeder {
    pub(super) open: usize,
    released: usize,
    /// In how many small sums each meter is.
    pub(super) small: HashMap<MeterId, usize>,
}

/// What counts over all feeders.
#[derive(Debug, Default)]
pub(super) struct OfAll {
    /// Open sums beyond what their feeders have of their own.
    pub(super) common: usize,
    pub(super) feeders: usize,
}

impl OfFeeder {
    /// Whether it is one of the feeders that take room.
    pub(super) fn takes_room(&self) -> bool {
        self.open + self.released > 0
    }

    /// A meter is in one more small sum.
    pub(super) fn joined(&mut self, meter: &MeterId) {
        *self.small.entry(meter.clone()).or_default() += 1;
    }

    pub(super) fn left(&mut self, meter: &MeterId) {
        if let Some(sums) = self.small.get_mut(meter) {
            *sums -= 1;
            if *sums == 0 {
                self.small.remove(meter);
            }
        }
    }

    /// A sum counts as `after` and no longer as `before`.
    pub(super) fn recount(
        &mut self,
        all: &mut OfAll,
        rules: &Rules,
        before: Counts,
        after: Counts,
    ) {
        let (common, took_room) = (self.open.saturating_sub(rules.own()), self.takes_room());
        let counter = |counts| match counts {
            Counts::Small => [0, 0],
            Counts::Open => [1, 0],
            Counts::Released => [0, 1],
        };
        let ([open, released], [more_open, more_released]) = (counter(before), counter(after));
        self.open = self.open + more_open - open;
        self.released = self.released + more_released - released;
        all.common = all.common + self.open.saturating_sub(rules.own()) - common;
        all.feeders = all.feeders + usize::from(self.takes_room()) - usize::from(took_room);
    }
}

impl Rules {
    /// Open sums that each feeder has room for, whatever others have.
    pub(super) fn own(&self) -> usize {
        (self.max_open / self.max_feeders.max(1) / 2).max(1)
    }

    /// Open sums beyond those, over all feeders.
    pub(super) fn common(&self) -> usize {
        self.max_open.saturating_sub(self.own() * self.max_feeders)
    }
}
