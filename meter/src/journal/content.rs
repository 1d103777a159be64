//! What a journal holds, and how it changes.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use wire::{FeederId, Grid, MeterId, WindowStart};

use super::Spans;
use crate::batch::{Batch, Interval};
use crate::outbox::Sealed;

/// Names one report, whatever the fleet's order is today.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) window: WindowStart,
    /// The feeder the report is for.
    pub(crate) feeder: FeederId,
    pub(crate) meter: MeterId,
}

/// A run over event time and how far it has come. A process that starts with the same settings goes on from here.
///
/// A new field is a new format of the journal, and older programs refuse it: one that passed over `behind` would leave out
/// windows, and one that passed over `missed` would invent readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Counts the runs of this gateway, from 1.
    pub(crate) run: u64,
    /// What decides which readings the run has, as text.
    pub(crate) settings: String,
    /// Length of an interval in seconds.
    pub(crate) interval_s: u32,
    /// Intervals in a window.
    pub(crate) batch: u16,
    /// Event time the run began at, in Unix seconds: the start of a window.
    pub(crate) from: u64,
    /// Event time it ends at, in Unix seconds, if it does.
    pub(crate) end: Option<u64>,
    /// Start of the window being filled, in Unix seconds.
    pub(crate) window: u64,
    /// Intervals of that window that are there: the number of the next one.
    pub(crate) interval: u16,
    /// Whether event time had come up with the wall clock.
    pub(crate) live: bool,
    /// Feeders for which the outbox had no room when the run passed, each with the start of the first window of theirs
    /// that is not in batches, in Unix seconds.
    pub(crate) behind: BTreeMap<FeederId, u64>,
    /// Event time whose readings nobody took, such as when no process ran: what is behind has none of it either. Kept from
    /// the first window on that a feeder is behind with.
    pub(crate) missed: Spans,
}

impl Progress {
    /// Whether every window of the run is in batches.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        !self.has_intervals() && self.behind.is_empty()
    }

    /// Whether the run has intervals that it has not come to.
    #[must_use]
    pub(crate) fn has_intervals(&self) -> bool {
        self.end.is_none_or(|end| self.window < end)
    }

    /// How the run cuts time.
    ///
    /// # Errors
    /// Where the numbers make no grid.
    pub(crate) fn grid(&self) -> Result<Grid, wire::GridError> {
        Grid::new(self.interval_s, self.batch)
    }
}

/// A change of the journal. Doing it twice is the same as doing it once.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// A new run begins; the window of the last one is closed.
    Begin {
        progress: Progress,
        /// The fleet in its order.
        fleet: Vec<(FeederId, MeterId)>,
    },
    /// An interval of the fleet is accepted.
    Interval {
        /// Where the run is with it.
        progress: Progress,
        interval: Interval,
    },
    /// A window becomes a batch a meter: the one being filled, or an earlier one that feeders were behind with.
    Window {
        /// Where the run is then. Of the window being filled it has as many intervals as before, or none if that one is closed.
        progress: Progress,
        batches: Vec<(Place, Batch)>,
        /// What their meters have reported with them.
        reported: Vec<(MeterId, Spans)>,
    },
    /// A batch becomes a sealed report.
    Sealed(Place, Batch, Sealed),
    /// A sealed report becomes a batch again: it was refused for its plan.
    Reopened(Place, Batch),
    /// A report was settled by a receipt.
    Settled(Place),
}

impl Op {
    /// Whether something waits for this to be durable. A settled report that comes back after a kill is sent again and
    /// answered as a duplicate, so nothing waits for that.
    #[must_use]
    pub(crate) fn is_urgent(&self) -> bool {
        !matches!(self, Self::Settled(_) | Self::Reopened(..))
    }
}

/// What a journal holds when it is opened. The meter in batches and reports is 0: indices are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The last run.
    pub(crate) progress: Option<Progress>,
    /// Its fleet in its order.
    pub(crate) fleet: Vec<(FeederId, MeterId)>,
    /// The intervals of the window being filled.
    pub(crate) filling: Vec<Interval>,
    /// Readings that wait to be sealed, by window.
    pub(crate) batches: Vec<(Place, Batch)>,
    /// Sealed reports that wait for a receipt, by window.
    pub(crate) sealed: Vec<(Place, Batch, Sealed)>,
    /// The windows each meter has reported.
    pub(crate) reported: HashMap<MeterId, Spans>,
}
