//! A run over event time: readings, interval by interval, until a window is full.
//!
//! An interval is accepted once the journal has it; only then is the next one read. A full window becomes batches in the
//! journal first, and in the outbox once they are durable.
//!
//! Readings are taken for as long as some feeder has room in the outbox. A feeder that has none falls *behind*: its windows
//! are left out, and read from the source again, window after window, once there is room. So a destination that is silent
//! for days stops the readings of its own feeders only, and they lose none.

use tokio::task::{JoinError, JoinHandle};
use wire::{FeederId, Grid, UnixSeconds, WindowStart};

use super::{Event, Gateway};
use crate::MeterError;
use crate::batch::{Batch, Filling, Interval};
use crate::journal::{Op, Place, Progress};
use crate::metrics as meter;
use crate::source::{Reading, Source, SourceError};
use crate::timeline::Timeline;

/// The source, lent to the task that reads it.
pub(super) type BoxedSource = Box<dyn Source>;
pub(super) type Read = JoinHandle<ReadDone>;

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

/// A run over event time: where it is, and where it ends.
pub(super) struct Run {
    pub(super) timeline: Timeline,
    pub(super) grid: Grid,
    pub(super) filling: Filling,
    /// As it was when the window being filled began; [`Run::progress`] is where it is now.
    pub(super) base: Progress,
    /// Whether readings are of now once event time has caught up. A recording never is: it can be read at any time.
    pub(super) simulated: bool,
    /// Whether an interval waits for the journal.
    pub(super) accepting: bool,
}

impl Gateway {
    /// Starts reading what is next, if its time has come and the outbox has room for the window it is part of.
    pub(super) fn start_reading(&mut self) -> Result<(), MeterError> {
        if self.reading.is_some() || self.ended {
            return Ok(());
        }
        if self.run.is_none() {
            self.start_run()?;
        }
        self.sound_alarm();
        let Some(target) = self.next_target() else {
            return Ok(());
        };
        let (Some(run), Some(mut source)) = (&self.run, self.source.take()) else {
            return Ok(());
        };
        let interval_s = run.grid.interval_s();
        let intervals: Vec<UnixSeconds> = match target {
            Target::Next => vec![run.interval_start()],
            Target::Behind(window) => (0..run.grid.batch())
                .map(|number| run.grid.interval_start(window, number))
                .collect(),
        };
        self.reading = Some(tokio::task::spawn_blocking(move || {
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
        let run = self.run.as_ref()?;
        if self.ended || run.accepting || self.writer.is_failing() {
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
        let behind = self.run.as_ref().map(|run| &run.base.behind);
        let kept_up = |feeder| behind.is_none_or(|behind| !behind.contains_key(feeder));
        let mut feeders = self.feeders.iter();
        feeders.any(|(feeder, meter)| self.outbox.has_room(*meter) && kept_up(feeder))
    }

    /// Whether the outbox has room for another window of a feeder.
    fn has_room(&self, feeder: &FeederId) -> bool {
        let meter = self.feeders.get(feeder);
        meter.is_none_or(|meter| self.outbox.has_room(*meter))
    }

    /// Raises the alarm if a feeder has no room in the outbox. The alarm is over once all have caught up and the outbox is
    /// half empty, so that an outbox that is full and empties slowly is one alarm.
    fn sound_alarm(&mut self) {
        let reports = self.outbox.len();
        let full = !self.outbox.has_room_for_all();
        let behind = self
            .run
            .as_ref()
            .is_some_and(|run| !run.base.behind.is_empty());
        if full && !self.alarm {
            self.alarm = true;
            let mut feeders = self.feeders.keys();
            let feeder = feeders.find(|feeder| !self.has_room(feeder));
            tracing::error!(
                reports,
                feeder = feeder.map(tracing::field::display),
                "the outbox is full of reports for the analytics service of this feeder: no new readings of its feeders \
                 are taken until receipts come"
            );
        } else if !full
            && !behind
            && self.alarm
            && reports <= self.settings.meter.outbox_max_reports / 2
        {
            self.alarm = false;
            tracing::info!(reports, "the outbox has room again");
        }
        meter::outbox_full(self.alarm);
    }

    pub(super) fn enter_readings(&mut self, read: ReadDone) -> Result<(), MeterError> {
        self.source = Some(read.source);
        let Some(run) = &self.run else { return Ok(()) };
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
        let Some(run) = &self.run else { return };
        let (grid, present) = (run.grid, run.filling.window());
        let next = grid.next_window(window);
        let feeders: Vec<FeederId> = (run.base.behind.iter())
            .filter(|(feeder, behind)| **behind == window.0 && self.has_room(feeder))
            .map(|(feeder, _)| feeder.clone())
            .collect();
        let mut batches = Filling::resume(grid, window, run.filling.meters(), intervals).close();
        batches.retain(|batch| feeders.contains(&self.fleet.members[batch.meter].feeder));
        let Some(run) = &mut self.run else { return };
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
    fn leave_out(&mut self, window: WindowStart, batches: &mut Vec<Batch>) {
        let full: Vec<FeederId> = (self.feeders.iter())
            .filter(|(_, meter)| !self.outbox.has_room(**meter))
            .map(|(feeder, _)| feeder.clone())
            .collect();
        let Some(run) = &mut self.run else { return };
        for feeder in full {
            run.base.behind.entry(feeder).or_insert(window.0);
        }
        let behind = &run.base.behind;
        batches.retain(|batch| !behind.contains_key(&self.fleet.members[batch.meter].feeder));
    }

    /// Hands the next interval of the run to the journal, as a window of batches if it completes one.
    pub(super) fn enter(&mut self, interval: Interval) {
        let Some(run) = &mut self.run else { return };
        run.base.live = run.simulated && run.timeline.is_live(run.interval_end());
        run.accepting = true;
        run.filling.add(&interval);
        if !run.filling.is_full() {
            let progress = run.progress();
            self.writer.push(Op::Interval { progress, interval });
            return;
        }
        let next = run.grid.next_window(run.filling.window());
        let full = run.move_to(next);
        let window = full.window();
        let mut batches = full.finish();
        self.leave_out(window, &mut batches);
        let Some(run) = &self.run else { return };
        let (grid, progress) = (run.grid, run.progress());
        self.batch_up(batches, grid, progress);
    }

    /// Hands a window's batches to the journal, with where the run is then. A meter's window that has been reported is
    /// left out: it can be in one sum only.
    pub(super) fn batch_up(&mut self, filled: Vec<Batch>, grid: Grid, progress: Progress) {
        let (mut batches, mut reported) = (Vec::new(), Vec::new());
        for batch in filled {
            let member = &self.fleet.members[batch.meter];
            let (from, to) = (batch.window.0, grid.window_end(batch.window).0);
            let spans = self.reported.entry(member.meter.clone()).or_default();
            if spans.overlapping(from, to).is_some() {
                self.summary.already_reported += 1;
                continue;
            }
            spans.insert(from, to);
            reported.push((member.meter.clone(), spans.clone()));
            let place = Place {
                window: batch.window,
                feeder: member.feeder.clone(),
                meter: member.meter.clone(),
            };
            batches.push((place, batch));
        }
        self.writer.push(Op::Window {
            progress,
            batches,
            reported,
        });
    }

    /// The source is at its end.
    pub(super) fn end(&mut self) {
        tracing::info!(
            waiting = self.outbox.len(),
            already_reported = self.summary.already_reported,
            "the source is at its end"
        );
        self.ended = true;
        self.tell(Event::Ended);
    }

    /// Goes on with what has become durable.
    pub(super) fn durable(&mut self, ops: Vec<Op>) {
        for op in ops {
            if let (Op::Interval { .. } | Op::Window { .. }, Some(run)) = (&op, &mut self.run) {
                run.accepting = false;
            }
            match op {
                Op::Window {
                    progress, batches, ..
                } => {
                    let window = batches.first().map(|(place, _)| place.window);
                    for (_, batch) in batches {
                        self.count(&batch);
                        self.outbox.accept(batch);
                    }
                    if let Some(window) = window {
                        self.tell(Event::Window(window));
                    }
                    let current = self.run.as_ref().map(|run| run.base.run);
                    if current == Some(progress.run) && progress.is_over() {
                        self.end();
                    }
                }
                Op::Interval { progress, .. } => {
                    let number = u64::from(progress.interval.saturating_sub(1));
                    let start = progress.window + number * u64::from(progress.interval_s);
                    self.tell(Event::Interval(UnixSeconds(start)));
                }
                Op::Sealed(_, _, sealed) => self.outbox.sealed(sealed),
                Op::Begin { .. } | Op::Reopened(..) | Op::Settled(_) => {}
            }
        }
    }

    fn count(&mut self, batch: &Batch) {
        let (clamped, missing) = (u64::from(batch.clamped), u64::from(batch.missing));
        let taken = batch.readings_wh.len() as u64 - missing;
        // A missing reading is carried as 0, so what is below is an export.
        let exported = batch.readings_wh.iter().filter(|wh| **wh < 0).count() as u64;
        meter::readings(taken, exported, clamped, missing);
        self.summary.readings += taken;
        self.summary.exported += exported;
        self.summary.clamped += clamped;
        self.summary.missing += missing;
        self.summary.reports += 1;
    }
}

impl Run {
    pub(super) fn interval_start(&self) -> UnixSeconds {
        let passed = u64::from(self.filling.next_interval()) * u64::from(self.grid.interval_s());
        UnixSeconds(self.filling.window().0 + passed)
    }

    pub(super) fn interval_end(&self) -> UnixSeconds {
        UnixSeconds(self.interval_start().0 + u64::from(self.grid.interval_s()))
    }

    /// Where the run is.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            window: self.filling.window().0,
            interval: u16::try_from(self.filling.next_interval()).unwrap_or(u16::MAX),
            ..self.base.clone()
        }
    }

    /// Begins to fill `window` and returns what was being filled.
    pub(super) fn move_to(&mut self, window: WindowStart) -> Filling {
        let empty = Filling::new(self.grid, window, self.filling.meters());
        std::mem::replace(&mut self.filling, empty)
    }
}

/// Waits for the reading under way; never ready while there is none.
pub(super) async fn finished(reading: &mut Option<Read>) -> Option<Result<ReadDone, JoinError>> {
    match reading {
        Some(task) => Some(task.await),
        None => None,
    }
}
