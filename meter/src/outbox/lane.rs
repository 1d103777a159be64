//! The reports of one destination, at its own pace.

use std::collections::VecDeque;

use wire::{AnalyticsId, Shard, WindowStart};

use crate::pacing::{Limits, Pace};

/// Names one report of this gateway: the index of the meter in the fleet, and the window.
pub(crate) type Key = (usize, WindowStart);

/// Where reports go: to whoever adds for their feeder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    /// The analytics service, or the pool of such, that owns the feeder.
    pub(crate) owner: AnalyticsId,
    /// The shard of the feeder in a pool, of which each has one process at a time.
    pub(crate) shard: Shard,
}

/// What waits for one destination.
#[derive(Debug)]
pub(super) struct Lane {
    /// `None`: for no destination that is known yet, so nothing is sealed or sent.
    pub(super) to: Option<Destination>,
    pub(super) pace: Pace<Key>,
    pub(super) to_seal: VecDeque<Key>,
    /// Sealed reports to send, the oldest first; those to be sent again before all others.
    pub(super) ready: VecDeque<Key>,
    /// Reports that are being sealed, that are sealed, and in all.
    pub(super) sealing: usize,
    pub(super) sealed: usize,
    pub(super) held: usize,
    /// Meters whose reports go here.
    pub(super) meters: usize,
    /// Nothing more is sealed: the destination has a newer plan.
    pub(super) stopped: bool,
    most_sealed: usize,
}

impl Lane {
    pub(super) fn new(to: Option<Destination>, limits: &Limits) -> Self {
        Self {
            to,
            pace: Pace::new(limits.clone()),
            to_seal: VecDeque::new(),
            ready: VecDeque::new(),
            sealing: 0,
            sealed: 0,
            held: 0,
            meters: 0,
            stopped: false,
            most_sealed: limits.reports,
        }
    }

    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.most_sealed = limits.reports;
        self.pace.set_limits(limits.clone());
    }

    /// How many more reports may be sealed: what the cap on reports without a receipt leaves, none without a destination.
    pub(super) fn room_sealed(&self) -> usize {
        let most = self.to.as_ref().map_or(0, |_| self.most_sealed);
        most.saturating_sub(self.sealed + self.sealing)
    }

    /// The next report to seal, if there is room for it.
    pub(super) fn next_to_seal(&mut self) -> Option<Key> {
        match self.room_sealed() {
            0 => None,
            _ if self.stopped => None,
            _ => self.to_seal.pop_front(),
        }
    }
}
