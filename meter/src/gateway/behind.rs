//! Feeders that are behind.
//!
//! A feeder without room in the outbox is left out when a window is full, and its readings of that window wait at the source:
//! they are read again, window after window, as soon as there is room. So a destination that is silent for days stops the
//! readings of its own feeders only, and they lose none. While all feeders are behind, a live run passes over the intervals
//! unread.
//!
//! What nobody read when its time came is not read later: live intervals that passed while no process ran stay missing.
//! A run with other settings takes over what the last one was behind with; readings that its source cannot give are
//! counted as missing, and the log says so.

use std::collections::BTreeMap;

use wire::{FeederId, Grid, UnixSeconds, WindowStart};

use super::Gateway;
use super::run::Run;
use super::span::{LastRun, Span};
use crate::batch::{Filling, Interval, MeterWindow};
use crate::fleet::Fleet;
use crate::journal::Spans;
use crate::metrics;

impl Gateway {
    /// Passes over the next interval of a live run if no feeder has room for it: all are behind from then on. So the journal
    /// says until when the gateway was up, and only what passes while it is down is missed.
    pub(super) fn pass_unread(&mut self) {
        let Some(run) = &self.reader.run else { return };
        let live = self.reader.live && run.timeline.is_live(run.interval_end());
        let waits = run.accepting || self.writer.is_failing() || !self.is_due(run);
        if !live || waits || self.may_read_on() {
            return;
        }
        let Some(run) = &mut self.reader.run else {
            return;
        };
        let window = run.filling.window().0;
        for feeder in self.reader.feeders.keys() {
            run.base.behind.entry(feeder.clone()).or_insert(window);
        }
        let meters = run.filling.meters();
        self.enter(Interval::missed(meters));
    }

    /// Takes a window of the feeders that are behind with it.
    pub(super) fn catch_up(&mut self, window: WindowStart, intervals: &[Interval]) {
        let Some(run) = &self.reader.run else { return };
        let grid = run.grid;
        let present = run.filling.window();
        let next = grid.next_window(window);
        let feeders: Vec<FeederId> = (run.base.behind.iter())
            .filter(|(feeder, behind)| **behind == window.0 && self.has_room(feeder))
            .map(|(feeder, _)| feeder.clone())
            .collect();
        let mut taken = Filling::resume(grid, window, run.filling.meters(), intervals).close();
        taken.retain(|taken| feeders.contains(&self.fleet.members[taken.meter].feeder));
        let Some(run) = &mut self.reader.run else {
            return;
        };
        run.accepting = true;
        // While all are behind, nobody reads the present window: what has passed of it waits at the source, too.
        let all_behind = (self.reader.feeders.keys()).all(|one| run.base.behind.contains_key(one));
        let unread = all_behind && run.filling.next_interval() > 0;
        for feeder in feeders {
            if next < present || unread {
                run.base.behind.insert(feeder, next.0);
            } else {
                run.base.behind.remove(&feeder);
            }
        }
        run.forget_missed();
        let progress = run.progress();
        self.batch_up(taken, grid, progress);
    }

    /// Leaves out what was taken of feeders without room, which are behind from then on, and of those that are behind.
    pub(super) fn leave_out(&mut self, window: WindowStart, taken: &mut Vec<MeterWindow>) {
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
        run.forget_missed();
        let behind = &run.base.behind;
        taken.retain(|taken| !behind.contains_key(&self.fleet.members[taken.meter].feeder));
    }

    /// Counts readings that were to be taken and never will be, and says why.
    pub(super) fn lose_readings(&mut self, readings: u64, why: &str) {
        if readings > 0 {
            tracing::warn!(readings, "readings are missing: {why}");
            metrics::missing(readings);
            self.summary.missing += readings;
        }
    }
}

impl Run {
    /// The intervals of a window that a feeder is behind with; `None` for those that were missed.
    pub(super) fn intervals_behind(&self, window: WindowStart) -> Vec<Option<UnixSeconds>> {
        let missed = &self.base.missed;
        let was_missed = |from: u64| missed.covered(from, from + u64::from(self.grid.interval_s()));
        (0..self.grid.intervals(window))
            .map(|number| self.grid.interval_start(window, number))
            .map(|start| (was_missed(start.0) == 0).then_some(start))
            .collect()
    }

    /// Forgets missed time that no feeder comes to any more.
    fn forget_missed(&mut self) {
        let behind = self.base.behind.values().copied().min();
        let first = behind.unwrap_or(self.filling.window().0);
        self.base.missed.forget_before(first);
    }
}

/// What a new run takes over from the last one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inherited {
    /// As in [`Progress`](crate::journal::Progress).
    pub(super) behind: BTreeMap<FeederId, u64>,
    /// As in [`Progress`](crate::journal::Progress).
    pub(super) missed: Spans,
    /// Readings that waited at the source, and that the new run will not take.
    pub(super) lost: u64,
}

impl Inherited {
    /// What a run over `span` takes over from `last`, whose window is closed, if the source has readings in `range`.
    pub(super) fn of(
        last: &LastRun,
        fleet: &Fleet,
        grid: Grid,
        span: &Span,
        range: (UnixSeconds, Option<UnixSeconds>),
    ) -> Self {
        let stopped = last.progress.window;
        let interval_s = u64::from(last.progress.interval_s);
        // Readings of one meter that waited.
        let waited = |from: u64, to: u64| {
            let missed = last.progress.missed.covered(from, to);
            to.saturating_sub(from).saturating_sub(missed) / interval_s
        };
        // What begins before the run is read as behind; from there on the run itself reads it.
        let run_end = span.end.map(|end| end.max(span.from.0));
        let source_end = range.1.map(|end| end.0);
        let ends = [run_end, source_end];
        let end = ends.into_iter().flatten().fold(stopped, u64::min);
        let mut inherited = Self::default();
        for (feeder, meter) in &last.fleet {
            let Some(&behind) = last.progress.behind.get(feeder) else {
                continue;
            };
            let start = grid.first_from(UnixSeconds(behind).max(range.0)).0;
            let Some(feeder) = fleet.feeder_now(meter).filter(|_| start < end) else {
                inherited.lost += waited(behind, stopped);
                continue;
            };
            inherited.lost += waited(behind, start) + waited(end, stopped);
            if start < span.from.0 {
                let first = inherited.behind.entry(feeder.clone()).or_insert(start);
                *first = start.min(*first);
            }
        }
        if !inherited.behind.is_empty() {
            inherited.missed = last.progress.missed.clone();
            inherited.missed.insert(stopped, span.from.0);
        }
        inherited
    }
}

#[cfg(test)]
mod tests;
