//! A run over event time: readings, interval by interval, until a window is full.

use tokio::task::{JoinError, JoinHandle};
use wire::{Grid, UnixSeconds, WindowStart};

use super::{Event, Gateway};
use crate::MeterError;
use crate::batch::{Batch, Filling};
use crate::metrics as meter;
use crate::source::{Reading, Source, SourceError};
use crate::timeline::Timeline;

/// How far in the past a simulated fleet that runs faster than the clock starts, unless told.
const SIMULATED_PAST_S: u64 = 7 * 86_400;

/// The source, lent to the task that reads it.
pub(super) type Source_ = Box<dyn Source>;
pub(super) type Read = JoinHandle<(Source_, Result<Vec<Reading>, SourceError>)>;

/// A run over event time: where it is, and where it ends.
pub(super) struct Run {
    pub(super) timeline: Timeline,
    pub(super) grid: Grid,
    end: Option<u64>,
    filling: Filling,
}

impl Gateway {
    /// Starts reading the next interval if its time has come and the outbox has room for the window it completes.
    pub(super) fn start_reading(&mut self) {
        if self.reading.is_some() || self.ended {
            return;
        }
        if self.run.is_none() && !self.start_run() {
            return;
        }
        let Some(run) = &self.run else { return };
        if run.timeline.wall_at(run.interval_end()) > self.clock.now() {
            return;
        }
        let room = self.outbox.has_room(self.fleet.members.len());
        if !room && !self.alarm {
            tracing::error!(
                reports = self.outbox.len(),
                "the outbox is full: no new readings are taken until receipts come"
            );
        }
        self.alarm = !room;
        if !room {
            return;
        }
        let (start, interval_s) = (run.interval_start(), run.grid.interval_s());
        let Some(mut source) = self.source.take() else {
            return;
        };
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut readings = Vec::new();
            let read = source.read(start, interval_s, &mut readings);
            (source, read.map(|()| readings))
        }));
    }

    /// Begins the run once the plan is here and has every feeder, and every meter is enrolled.
    fn start_run(&mut self) -> bool {
        let Some(sealer) = &self.sealer else {
            return false;
        };
        let grid = sealer.grid();
        let Some((from, until)) = self.source.as_ref().map(|source| source.range()) else {
            return false;
        };
        let now = self.clock.now();
        let meter = &self.settings.meter;
        let simulated_start = || match meter.speed > 1.0 {
            true => UnixSeconds((now.0 / 1000).saturating_sub(SIMULATED_PAST_S)),
            false => UnixSeconds(now.0 / 1000),
        };
        let start = match (meter.start, until) {
            (Some(start), _) => UnixSeconds(start.0.max(from.0)),
            (None, Some(_)) => from,
            (None, None) => simulated_start(),
        };
        // The first whole window: an interval before it has no report to be in.
        let window = WindowStart(start.0.div_ceil(grid.window_s()) * grid.window_s());
        let asked_end = meter.duration.map(|duration| window.0 + duration.as_secs());
        let end = [asked_end, until.map(|until| until.0)]
            .into_iter()
            .flatten()
            .min();
        let known = |feeder| sealer.plan().feeder(feeder, window).is_some();
        if !self.unenrolled().is_empty()
            || !self.has_analytics()
            || !self
                .fleet
                .members
                .iter()
                .all(|member| known(&member.feeder))
        {
            return false;
        }
        if end.is_some_and(|end| window.0 >= end) {
            tracing::warn!(start = start.0, ?end, "there is no whole window to report");
            self.ended = true;
            return false;
        }
        tracing::info!(start = %window, meters = self.fleet.members.len(), speed = meter.speed, "every meter is enrolled; reading");
        self.run = Some(Run {
            timeline: Timeline::new(UnixSeconds(window.0), now, meter.speed),
            grid,
            end,
            filling: Filling::new(grid, window, self.fleet.members.len()),
        });
        self.tell(Event::Started(UnixSeconds(window.0)));
        true
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
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        run.filling.add(&self.fleet.specs, &readings);
        if !run.filling.is_full() {
            return Ok(());
        }
        let window = run.filling.window();
        let next = WindowStart(window.0 + run.grid.window_s());
        let full = std::mem::replace(
            &mut run.filling,
            Filling::new(run.grid, next, self.fleet.members.len()),
        );
        self.ended = run.end.is_some_and(|end| next.0 >= end);
        for batch in full.finish() {
            self.count(&batch);
            self.outbox.accept(batch);
        }
        self.tell(Event::Window(window));
        if self.ended {
            tracing::info!(waiting = self.outbox.len(), "the source is at its end");
            self.tell(Event::Ended);
        }
        Ok(())
    }

    fn count(&mut self, batch: &Batch) {
        let (clamped, missing) = (u64::from(batch.clamped), u64::from(batch.missing));
        let taken = batch.readings_wh.len() as u64 - missing;
        meter::readings(taken, clamped, missing);
        self.summary.readings += taken;
        self.summary.clamped += clamped;
        self.summary.missing += missing;
        self.summary.reports += 1;
    }
}

impl Run {
    fn interval_start(&self) -> UnixSeconds {
        let passed = u64::from(self.filling.next_interval()) * u64::from(self.grid.interval_s());
        UnixSeconds(self.filling.window().0 + passed)
    }

    pub(super) fn interval_end(&self) -> UnixSeconds {
        UnixSeconds(self.interval_start().0 + u64::from(self.grid.interval_s()))
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
