//! Reading: which intervals, and of which feeders.
//!
//! Readings are taken for as long as some feeder has room in the outbox. One that has none falls [behind](super::behind). If none
//! has room, a live run goes on without readings, and they are taken later; any other run waits.

use std::collections::{BTreeMap, HashMap};

use tokio::task::{JoinError, JoinHandle};
use wire::{FeederId, MeterId, UnixMillis, UnixSeconds, WindowStart};

use super::Gateway;
use super::run::Run;
use super::span::LastRun;
use crate::MeterError;
use crate::batch::Interval;
use crate::journal::MeterRecord;
use crate::metrics;
use crate::source::Readings;
use readings::{Reading, Source, SourceError};

type Read = JoinHandle<ReadDone>;

/// What a reading task comes back with.
pub(super) struct ReadDone {
    source: Box<dyn Source>,
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
    pub(super) source: Option<Box<dyn Source>>,
    /// What decides which readings they are, as text.
    pub(super) identity: String,
    /// Whether readings are of now once event time has caught up. A recording never is: it can be read at any time.
    pub(super) live: bool,
    pub(super) reading: Option<Read>,
    pub(super) run: Option<Run>,
    /// The run of an earlier process, until it goes on or is closed.
    pub(super) last: Option<LastRun>,
    /// What each meter has reported.
    pub(super) records: HashMap<MeterId, MeterRecord>,
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
            records: HashMap::new(),
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
            self.pass_unread();
            return Ok(());
        };
        if target == Target::Next {
            self.close_live();
        }
        let (Some(run), Some(mut source)) = (&self.reader.run, self.reader.source.take()) else {
            return Ok(());
        };
        let interval_s = run.grid.interval_s();
        let intervals: Vec<Option<UnixSeconds>> = match target {
            Target::Next => vec![Some(run.interval_start())],
            Target::Behind(window) => run.intervals_behind(window),
        };
        self.reader.reading = Some(tokio::task::spawn_blocking(move || {
            let mut read = |start: Option<UnixSeconds>| {
                let mut readings = Vec::new();
                let Some(start) = start else {
                    return Ok(readings);
                };
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
        let behind = run.base.behind.iter();
        let present = run.filling.window().0;
        let behind = behind.filter(|(feeder, from)| **from < present && self.has_room(feeder));
        if let Some(window) = behind.map(|(_, window)| *window).min() {
            return Some(Target::Behind(WindowStart(window)));
        }
        (self.is_due(run) && self.may_read_on()).then_some(Target::Next)
    }

    /// Whether the next interval of the run has passed.
    pub(super) fn is_due(&self, run: &Run) -> bool {
        run.progress().has_intervals() && self.due_at(run) <= self.clock.now()
    }

    /// When the readings of the next interval are there: at its end, or what comes live some time later. Of what ended while no
    /// process ran, that is some time after the start: whoever had nobody to send to sends then.
    pub(super) fn due_at(&self, run: &Run) -> UnixMillis {
        let grace = self.live.as_ref().map(|live| live.grace.as_millis());
        let grace_ms = grace.map_or(0, |ms| u64::try_from(ms).unwrap_or(u64::MAX));
        let end = run.timeline.wall_at(run.interval_end());
        UnixMillis(end.0.saturating_add(grace_ms))
    }

    /// Whether some feeder that has kept up has room for another window.
    pub(super) fn may_read_on(&self) -> bool {
        let behind = self.reader.run.as_ref().map(|run| &run.base.behind);
        let kept_up = |feeder| behind.is_none_or(|behind| !behind.contains_key(feeder));
        let mut feeders = self.reader.feeders.iter();
        feeders.any(|(feeder, meter)| self.outbox.has_room(*meter) && kept_up(feeder))
    }

    /// Whether the outbox has room for another window of a feeder.
    pub(super) fn has_room(&self, feeder: &FeederId) -> bool {
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
        self.forget_live();
        Ok(())
    }
}

/// Waits for the reading under way; never ready while there is none.
pub(super) async fn finished(reading: &mut Option<Read>) -> Option<Result<ReadDone, JoinError>> {
    match reading {
        Some(task) => Some(task.await),
        None => None,
    }
}
