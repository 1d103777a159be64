//! Reading: which intervals, and of which feeders.
//!
//! Readings are taken for as long as some feeder has room in the outbox. A feeder that has none falls *behind*: its windows
//! are left out, and read from the source again, window after window, once there is room. So a destination that is silent
//! for days stops the readings of its own feeders only, and they lose none.

use std::collections::{BTreeMap, HashMap};

use tokio::task::{JoinError, JoinHandle};
use wire::{FeederId, MeterId, UnixSeconds, WindowStart};

use super::Gateway;
use super::run::Run;
use super::start::LastRun;
use crate::MeterError;
use crate::batch::{Batch, Filling, Interval};
use crate::journal::Spans;
use crate::metrics;
use crate::readings::Readings;
use crate::source::{BoxedSource, Reading, SourceError};

type Read = JoinHandle<ReadDone>;

/// What a reading task comes back with.
pub(super) struct ReadDone {
    source: BoxedSource,
    target: Target,
    /// The readings of each interval asked for, in order.
    readings: Result<Vec<Vec<Reading>>, SourceError>,
}

/// What is read: the next interval of the run, or a whole window that some feeders are behind with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Next,
    Behind(WindowStart),
}

/// The readings: where they come from, which run they are for, and what of them has been reported.
pub(super) struct Reader {
    /// Lent to the task that reads it.
    pub(super) source: Option<BoxedSource>,
    /// What decides which readings they are, as text.
    pub(super) identity: String,
    /// Whether readings are of now once event time has caught up. A recording never is: it can be read at any time.
    pub(super) live: bool,
    pub(super) reading: Option<Read>,
    pub(super) run: Option<Run>,
    /// The run of an earlier process, until it goes on or is closed.
    pub(super) last: Option<LastRun>,
    /// The windows each meter has reported.
    pub(super) reported: HashMap<MeterId, Spans>,
    /// The feeders of the fleet, each with one of its meters.
    pub(super) feeders: BTreeMap<FeederId, usize>,
    /// Whether the source is at its end.
    pub(super) ended: bool,
    /// Whether it has been said that the outbox is full.
    pub(super) alarm: bool,
}

impl Reader {
    pub(super) fn new(readings: Readings, feeders: BTreeMap<FeederId, usize>) -> Self {
        Self {
            source: Some(readings.source),
            identity: readings.identity,
            live: readings.live,
            reading: None,
            run: None,
            last: None,
            reported: HashMap::new(),
            feeders,
            ended: false,
            alarm: false,
        }
    }
}

impl Gateway {
    /// Starts reading what is next, if its time has come and the outbox has room for the window it is part of.
    pub(super) fn start_reading(&mut self) -> Result<(), MeterError> {
        if self.reader.reading.is_some() || self.reader.ended {
            return Ok(());
        }
        if self.reader.run.is_none() {
            self.start_run()?;
        }
        self.sound_alarm();
        let Some(target) = self.next_target() else {
            return Ok(());
        };
        let (Some(run), Some(mut source)) = (&self.reader.run, self.reader.source.take()) else {
            return Ok(());
        };
        let interval_s = run.grid.interval_s();
        let intervals: Vec<UnixSeconds> = match target {
            Target::Next => vec![run.interval_start()],
            Target::Behind(window) => (0..run.grid.batch())
                .map(|number| run.grid.interval_start(window, number))
                .collect(),
        };
        self.reader.reading = Some(tokio::task::spawn_blocking(move || {
            let mut read = |start| {
                let mut readings = Vec::new();
                match source.read(start, interval_s, &mut readings) {
                    // Beyond the file's end, within a window it began: there is no reading, and that is what is reported.
                    Ok(()) | Err(SourceError::OutOfRange { .. }) => Ok(readings),
                    Err(error) => Err(error),
                }
            };
            let readings = intervals.into_iter().map(&mut read).collect();
            ReadDone {
                source,
                target,
                readings,
            }
        }));
        Ok(())
    }

    /// What is to be read now.
    fn next_target(&self) -> Option<Target> {
        let run = self.reader.run.as_ref()?;
        if self.reader.ended || run.accepting || self.writer.is_failing() {
            return None;
        }
        // Between two windows only: the journal has room for the intervals of one.
        let behind = run.base.behind.iter();
        let behind = behind.filter(|(feeder, _)| self.has_room(feeder));
        if let Some(window) = behind.map(|(_, window)| *window).min()
            && run.filling.next_interval() == 0
        {
            return Some(Target::Behind(WindowStart(window)));
        }
        let due = run.progress().has_intervals()
            && run.timeline.wall_at(run.interval_end()) <= self.clock.now();
        (due && self.may_read_on()).then_some(Target::Next)
    }

    /// Whether some feeder that has kept up has room for another window.
    pub(super) fn may_read_on(&self) -> bool {
        let behind = self.reader.run.as_ref().map(|run| &run.base.behind);
        let kept_up = |feeder| behind.is_none_or(|behind| !behind.contains_key(feeder));
        let mut feeders = self.reader.feeders.iter();
        feeders.any(|(feeder, meter)| self.outbox.has_room(*meter) && kept_up(feeder))
    }

    /// Whether the outbox has room for another window of a feeder.
    fn has_room(&self, feeder: &FeederId) -> bool {
        let meter = self.reader.feeders.get(feeder);
        meter.is_none_or(|meter| self.outbox.has_room(*meter))
    }

    /// Raises the alarm if a feeder has no room in the outbox. The alarm is over once all have caught up and the outbox is
    /// half empty, so that an outbox that is full and empties slowly is one alarm.
    fn sound_alarm(&mut self) {
        let reports = self.outbox.len();
        let full = !self.outbox.has_room_for_all();
        let behind = self
            .reader
            .run
            .as_ref()
            .is_some_and(|run| !run.base.behind.is_empty());
        if full && !self.reader.alarm {
            self.reader.alarm = true;
            let mut feeders = self.reader.feeders.keys();
            let feeder = feeders.find(|feeder| !self.has_room(feeder));
            tracing::error!(
                reports,
                feeder = feeder.map(tracing::field::display),
                "the outbox is full of reports for the analytics service of this feeder: no new readings of its feeders \
                 are taken until receipts come"
            );
        } else if !full
            && !behind
            && self.reader.alarm
            && reports <= self.settings.meter.outbox_max_reports / 2
        {
            self.reader.alarm = false;
            tracing::info!(reports, "the outbox has room again");
        }
        metrics::outbox_full(self.reader.alarm);
    }

    pub(super) fn enter_readings(&mut self, read: ReadDone) -> Result<(), MeterError> {
        self.reader.source = Some(read.source);
        let Some(run) = &self.reader.run else {
            return Ok(());
        };
        let interval_s = run.grid.interval_s();
        let of = |readings: Vec<Reading>| Interval::of(&self.fleet.specs, &readings, interval_s);
        let intervals: Vec<Interval> = read.readings?.into_iter().map(of).collect();
        match read.target {
            Target::Next => intervals
                .into_iter()
                .for_each(|interval| self.enter(interval)),
            Target::Behind(window) => self.catch_up(window, &intervals),
        }
        Ok(())
    }

    /// Takes a window of the feeders that are behind with it.
    fn catch_up(&mut self, window: WindowStart, intervals: &[Interval]) {
        let Some(run) = &self.reader.run else { return };
        let grid = run.grid;
        let present = run.filling.window();
        let next = grid.next_window(window);
        let feeders: Vec<FeederId> = (run.base.behind.iter())
            .filter(|(feeder, behind)| **behind == window.0 && self.has_room(feeder))
            .map(|(feeder, _)| feeder.clone())
            .collect();
        let mut batches = Filling::resume(grid, window, run.filling.meters(), intervals).close();
        batches.retain(|batch| feeders.contains(&self.fleet.members[batch.meter].feeder));
        let Some(run) = &mut self.reader.run else {
            return;
        };
        run.accepting = true;
        for feeder in feeders {
            if next < present {
                run.base.behind.insert(feeder, next.0);
            } else {
                run.base.behind.remove(&feeder);
            }
        }
        let progress = run.progress();
        self.batch_up(batches, grid, progress);
    }

    /// Leaves out the batches of feeders without room, which are behind from then on, and of those that are behind.
    pub(super) fn leave_out(&mut self, window: WindowStart, batches: &mut Vec<Batch>) {
        let full: Vec<FeederId> = (self.reader.feeders.iter())
            .filter(|(_, meter)| !self.outbox.has_room(**meter))
            .map(|(feeder, _)| feeder.clone())
            .collect();
        let Some(run) = &mut self.reader.run else {
            return;
        };
        for feeder in full {
            run.base.behind.entry(feeder).or_insert(window.0);
        }
        let behind = &run.base.behind;
        batches.retain(|batch| !behind.contains_key(&self.fleet.members[batch.meter].feeder));
    }
}

/// Waits for the reading under way; never ready while there is none.
pub(super) async fn finished(reading: &mut Option<Read>) -> Option<Result<ReadDone, JoinError>> {
    match reading {
        Some(task) => Some(task.await),
        None => None,
    }
}
