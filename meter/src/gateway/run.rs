//! A run over event time: readings, interval by interval, until a window is full.
//!
//! An interval is accepted once the journal has it; only then is the next one read. A full window becomes batches in the
//! journal first, and in the outbox once they are durable.

use tokio::task::{JoinError, JoinHandle};
use wire::{Grid, UnixSeconds, WindowStart};

use super::{Event, Gateway};
use crate::MeterError;
use crate::batch::{Batch, Filling, Interval};
use crate::journal::{Op, Place, Progress};
use crate::metrics as meter;
use crate::source::{Reading, Source, SourceError};
use crate::timeline::Timeline;

/// The source, lent to the task that reads it.
pub(super) type Source_ = Box<dyn Source>;
pub(super) type Read = JoinHandle<(Source_, Result<Vec<Reading>, SourceError>)>;

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
    /// Starts reading the next interval if its time has come and the outbox has room for the window it completes.
    pub(super) fn start_reading(&mut self) -> Result<(), MeterError> {
        if self.reading.is_some() || self.ended {
            return Ok(());
        }
        if self.run.is_none() {
            self.start_run()?;
        }
        let Some(run) = &self.run else { return Ok(()) };
        if self.ended || run.accepting || self.writer.is_failing() {
            return Ok(());
        }
        if run.timeline.wall_at(run.interval_end()) > self.clock.now() {
            return Ok(());
        }
        let (start, interval_s) = (run.interval_start(), run.grid.interval_s());
        if !self.has_room() {
            return Ok(());
        }
        let Some(mut source) = self.source.take() else {
            return Ok(());
        };
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut readings = Vec::new();
            let read = source.read(start, interval_s, &mut readings);
            (source, read.map(|()| readings))
        }));
        Ok(())
    }

    /// Whether the outbox has room for another window. Raises the alarm if it has not; the alarm is over once the outbox
    /// is half empty, so that an outbox that is full and empties slowly is one alarm.
    fn has_room(&mut self) -> bool {
        let reports = self.outbox.len();
        let room = self.outbox.has_room(self.fleet.meters());
        if !room && !self.alarm {
            self.alarm = true;
            tracing::error!(
                reports,
                "the outbox is full: no new readings are taken until receipts come"
            );
        } else if room && self.alarm && reports <= self.settings.meter.outbox_max_reports / 2 {
            self.alarm = false;
            tracing::info!(reports, "the outbox has room again");
        }
        meter::outbox_full(self.alarm);
        room
    }

    pub(super) fn enter_readings(
        &mut self,
        read: (Source_, Result<Vec<Reading>, SourceError>),
    ) -> Result<(), MeterError> {
        self.source = Some(read.0);
        let readings = match read.1 {
            Ok(readings) => readings,
            // Beyond the file's end, within a window it began: there is no reading, and that is what is reported.
            Err(SourceError::OutOfRange { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if let Some(run) = &self.run {
            let interval_s = run.grid.interval_s();
            self.enter(Interval::of(&self.fleet.specs, &readings, interval_s));
        }
        Ok(())
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
        let (grid, progress) = (run.grid, run.progress());
        self.batch_up(full.finish(), grid, progress);
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
pub(super) async fn finished(
    reading: &mut Option<Read>,
) -> Option<Result<(Source_, Result<Vec<Reading>, SourceError>), JoinError>> {
    match reading {
        Some(task) => Some(task.await),
        None => None,
    }
}
