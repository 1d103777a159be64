//! What a journal holds, and how it changes.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wire::{FeederId, Grid, HolderId, MeterId, Part, UnixMillis, UnixSeconds, WindowStart, Zone};

use super::Spans;
use crate::batch::{Batch, Interval, MeterWindow};
use crate::outbox::Sealed;
use crate::quantum::{self, Scale};
use readings::{FeedChange, Kept as LiveReading, MicroWattHours};

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
    /// The time zone whose days its windows are, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_zone: Option<Zone>,
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
    /// Where they make no grid.
    pub(crate) fn grid(&self) -> Result<Grid, wire::GridError> {
        Grid::planned(self.interval_s, self.batch, self.time_zone)
    }
}

/// What a meter has reported, and what of its readings is still to be reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MeterRecord {
    /// The windows it has reported.
    pub(crate) reported: Spans,
    /// What rounding to quanta left of its readings so far: it is added to the next one.
    pub(crate) remainder: MicroWattHours,
}

impl MeterRecord {
    /// Records that the meter reports `taken`, a window that ends at `end`, and returns the batch of it.
    ///
    /// # Errors
    /// How many seconds of the window it has reported before, if any: it can be in one sum only. Nothing changes then.
    pub(crate) fn enter(
        &mut self,
        taken: MeterWindow,
        end: UnixSeconds,
        scale: Scale,
    ) -> Result<Batch, u64> {
        let from = taken.window.0;
        match self.reported.covered(from, end.0) {
            0 => {
                self.reported.insert(from, end.0);
                Ok(taken.enter(scale, &mut self.remainder))
            }
            covered => Err(covered),
        }
    }

    /// Enters a batch again whose readings were entered in finer quanta than those of `scale`; returns whether it was so. What is
    /// left over is the meter's, as of any reading.
    pub(crate) fn enter_again(&mut self, batch: &mut Batch, scale: Scale) -> bool {
        let again = quantum::enter_again(&batch.readings, scale, &mut self.remainder);
        again.map(|readings| batch.readings = readings).is_some()
    }
}

/// A report that is in a sum, and kept until the sum is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The sum of its window that it is in.
    pub(crate) part: Part,
    /// When its receipt came, by the wall clock.
    pub(crate) since: UnixMillis,
    /// Length of its envelope.
    pub(crate) bytes: u64,
}

/// A report whose sum was released, kept so that holders of mask keys can demand it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) place: Place,
    /// When the settlement came, by the wall clock.
    pub(crate) at: UnixMillis,
    /// What it takes in the journal.
    pub(crate) bytes: u64,
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
        records: Vec<(MeterId, MeterRecord)>,
    },
    /// A batch has its readings in coarser quanta from now on, and its meter what that leaves over: at once, so that no later
    /// sealing leaves it over again.
    EnteredAgain(Place, Batch, MeterRecord),
    /// A batch becomes a sealed report.
    Sealed(Place, Batch, Sealed),
    /// A sealed report becomes a batch again: it was refused for its plan, or its salt.
    Reopened(Place, Batch),
    /// A sealed report is in a sum. It is kept as it is.
    Folded(Place, Kept),
    /// A report that is kept is to be sent again: the sum it was in failed.
    Wanted(Place),
    /// The sum of a report was released. It is kept as it is.
    Released(Place, UnixMillis),
    /// A report is to be shown to a holder, if it is there. Nothing changes.
    Shown(Place, HolderId),
    /// Nothing more will come of a report.
    Settled(Place),
    /// Live readings are taken. With no change, it only says when all before it is durable.
    Live(Vec<FeedChange>),
    /// No interval needs the live readings before this instant, in Unix seconds.
    LiveForgotten(u64),
}

impl Op {
    /// Whether something waits for this to be durable. A report that comes back after a kill although it is in a sum is sent
    /// again and answered as a duplicate, so nothing waits for that.
    #[must_use]
    pub(crate) fn is_urgent(&self) -> bool {
        !matches!(
            self,
            Self::Folded(..)
                | Self::Released(..)
                | Self::Settled(_)
                | Self::Reopened(..)
                | Self::EnteredAgain(..)
                | Self::LiveForgotten(_)
        )
    }
}

/// A sealed report, and the batch it was made of.
pub(crate) type SealedReport = (Place, Batch, Sealed);

/// A report that a holder demanded: its bytes as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) holder: HolderId,
    pub(crate) place: Place,
    pub(crate) payload: Bytes,
}

/// What a commit reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// The reports that are [wanted](Op::Wanted).
    pub(crate) wanted: Vec<SealedReport>,
    /// Those that are [shown](Op::Shown), as far as they are there.
    pub(crate) shown: Vec<Shown>,
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
    pub(crate) sealed: Vec<SealedReport>,
    /// Reports that are in sums and not in a total yet, by window.
    pub(crate) kept: Vec<(Place, Kept)>,
    /// Reports of released sums, by window.
    pub(crate) released: Vec<Released>,
    /// What each meter has reported.
    pub(crate) records: HashMap<MeterId, MeterRecord>,
    /// Live readings that an interval may need, by instant and meter.
    pub(crate) live: Vec<LiveReading>,
}
