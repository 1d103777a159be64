//! A run over event time: intervals, until a window is full.
//!
//! An interval is accepted once the journal has it; only then is the next one read. A full window becomes batches in the
//! journal first, and in the outbox once they are durable.

use wire::{FeederId, Grid, UnixMillis, UnixSeconds, Watts, WindowStart};

use super::{Event, Gateway};
use crate::batch::{Batch, Filling, Interval, MeterWindow};
use crate::journal::{Op, Place, Progress};
use crate::metrics;
use crate::quantum::Scale;
use crate::timeline::Timeline;

/// A run over event time: where it is, and where it ends.
pub(super) struct Run {
    pub(super) timeline: Timeline,
    pub(super) grid: Grid,
    pub(super) filling: Filling,
    /// As it was when the window being filled began; [`Run::progress`] is where it is now.
    pub(super) base: Progress,
    /// Whether an interval waits for the journal.
    pub(super) accepting: bool,
}

impl Gateway {
    /// Hands the next interval of the run to the journal, as a window of batches if it completes one.
    pub(super) fn enter(&mut self, interval: Interval) {
        let live = self.reader.live;
        let Some(run) = &mut self.reader.run else {
            return;
        };
        run.base.live = live && run.timeline.is_live(run.interval_end());
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
        let mut taken = full.finish();
        self.leave_out(window, &mut taken);
        let Some(run) = &self.reader.run else { return };
        let grid = run.grid;
        let progress = run.progress();
        self.batch_up(taken, grid, progress);
    }

    /// Hands what was taken of a window to the journal as batches, with where the run is then. A meter's window that has been
    /// reported is left out: it can be in one sum only.
    pub(super) fn batch_up(&mut self, mut taken: Vec<MeterWindow>, grid: Grid, progress: Progress) {
        let unenrolled = self.unenrolled();
        let mut unowned = 0;
        taken.retain(|taken| {
            let is_enrolled = unenrolled.binary_search(&taken.meter).is_err();
            unowned += u64::from(!is_enrolled) * taken.taken.len() as u64;
            is_enrolled
        });
        self.lose_readings(unowned, "their meters are not enrolled");
        let mut batches = Vec::new();
        let mut records = Vec::new();
        let mut left_out = 0;
        for mut taken in taken {
            let member = &self.fleet.members[taken.meter];
            let place = Place {
                window: taken.window,
                feeder: member.feeder.clone(),
                meter: member.meter.clone(),
            };
            let scale = self.scale(&place.feeder, place.window);
            if let Some(most) = self.clip(&place.feeder, place.window) {
                taken.clip(most, grid.interval_s());
            }
            let records_of = &mut self.reader.records;
            let record = records_of.entry(place.meter.clone()).or_default();
            let end = grid.window_end(place.window);
            match record.enter(taken, end, scale) {
                Ok(batch) => {
                    records.push((place.meter.clone(), record.clone()));
                    batches.push((place, batch));
                }
                Err(covered) => {
                    self.summary.already_reported += 1;
                    // A window of another length than those reported.
                    let length = end.0 - place.window.0;
                    left_out += (length - covered) / u64::from(grid.interval_s());
                }
            }
        }
        self.lose_readings(
            left_out,
            "windows have another length now, and a part of theirs was reported in an earlier one",
        );
        self.writer.push(Op::Window {
            progress,
            batches,
            records,
        });
    }

    /// What readings of a feeder enter as; the finest there is while no plan has the feeder.
    pub(super) fn scale(&self, feeder: &FeederId, window: WindowStart) -> Scale {
        let sealer = self.sealing.sealer.as_ref();
        let setting = sealer.and_then(|sealer| sealer.plan().feeder(feeder, window));
        Scale {
            quantum_wh: setting.map_or(1, |setting| setting.quantum_wh),
            reference_wh: setting.map_or(u64::MAX, |setting| setting.reference_wh),
        }
    }

    /// The most power that readings of a feeder enter with, where holders add noise to its totals and say so. It is asked again where
    /// readings are sealed: no plan may be here yet.
    fn clip(&self, feeder: &FeederId, window: WindowStart) -> Option<Watts> {
        let plan = self.sealing.sealer.as_ref()?.plan();
        plan.noise_clip(feeder, window)
    }

    /// Takes the intervals of a live run that passed while no process was there as missing: nobody took their readings. Feeders
    /// that are behind do not read them later either.
    pub(super) fn miss_until(&mut self, now: UnixMillis) {
        let now = UnixSeconds(now.0 / 1000);
        if let Some(run) = &mut self.reader.run {
            let whole_intervals = now.0 - now.0 % u64::from(run.grid.interval_s());
            run.base
                .missed
                .insert(run.interval_start().0, whole_intervals);
        }
        let mut missed = 0;
        while let Some(run) = &mut self.reader.run
            && run.progress().has_intervals()
            && run.interval_end() <= now
        {
            let window = run.filling.window();
            let present = run.grid.window_of(now);
            if run.filling.next_interval() > 0 || window == present {
                missed += 1;
                let meters = run.filling.meters();
                self.enter(Interval::missed(meters));
                continue;
            }
            // Whole windows without a reading have no report.
            missed += (present.0 - window.0) / u64::from(run.grid.interval_s());
            run.move_to(present);
            let grid = run.grid;
            let progress = run.progress();
            self.batch_up(Vec::new(), grid, progress);
        }
        if missed > 0 {
            tracing::warn!(
                intervals = missed,
                "intervals passed while the gateway was down: they have no readings"
            );
        }
    }

    /// The source is at its end.
    pub(super) fn end(&mut self) {
        tracing::info!(
            waiting = self.outbox.len(),
            already_reported = self.summary.already_reported,
            "the source is at its end"
        );
        self.reader.ended = true;
        self.tell(Event::Ended);
    }

    /// Goes on with what has become durable.
    pub(super) fn durable(&mut self, ops: Vec<Op>) {
        for op in ops {
            if let (Op::Interval { .. } | Op::Window { .. }, Some(run)) =
                (&op, &mut self.reader.run)
            {
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
                    let current = self.reader.run.as_ref().map(|run| run.base.run);
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
                Op::Live(changes) => {
                    if let Some(live) = &mut self.live {
                        live.durable();
                    }
                    self.tell(Event::Live(changes.len()));
                }
                Op::Wanted(_) => self.kept.has_read(),
                Op::Shown(place, holder) => self.audits.has_read(&place, &holder),
                Op::Begin { .. }
                | Op::EnteredAgain(..)
                | Op::Reopened(..)
                | Op::Folded(..)
                | Op::Released(..)
                | Op::Settled(_)
                | Op::LiveForgotten(_) => {}
            }
        }
    }

    fn count(&mut self, batch: &Batch) {
        let [mut taken, mut exported, mut clamped] = [0; 3];
        for entered in batch.readings.iter().flatten() {
            taken += 1;
            exported += u64::from(entered.wh < 0);
            clamped += u64::from(entered.clamped);
        }
        let missing = batch.readings.len() as u64 - taken;
        metrics::readings(taken, exported, clamped, missing);
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
