//! Which run it is: a new one, or the last one from where the journal has it.
//!
//! * The same settings and a run that is not over, or whose reports still wait: it goes on with the next interval.
//! * Anything else begins a new run. What the last one had of a window is reported first, the rest of it missing.
//! * A meter's window is reported once, whatever the run: windows that have been are left out, and a simulated fleet
//!   without `meter.start` goes on after the newest of them. So a replay that is started again after its end has
//!   nothing to report, says so, and ends.
//! * Windows that the last run was [behind](super::behind) with are taken over.
//! * What meters send waits in the journal: such a run goes on with the interval it had come to.
//! * A live source that had caught up with the clock, such as the simulated fleet: nobody was there to take the readings of the intervals
//!   that passed since, so they are missing. All other time resumes where it stopped.

use std::fmt::Write as _;

use service::clock::shown;
use wire::{Digest, Grid, UnixSeconds, WindowStart};

use super::behind::Inherited;
use super::run::Run;
use super::span::{LastRun, Span};
use super::{Event, Gateway, live};
use crate::MeterError;
use crate::batch::Filling;
use crate::journal::{Op, Progress};
use crate::notices::Notice;
use crate::timeline::Timeline;

impl Gateway {
    /// Starts a run once the plan is here and has every feeder, and every meter is enrolled, or as many as will be.
    pub(super) fn start_run(&mut self) -> Result<(), MeterError> {
        let Some(grid) = self.sealing.sealer.as_ref().map(|sealer| sealer.grid()) else {
            return Ok(());
        };
        let unenrolled = self.unenrolled();
        if self.reader.source.is_none() || !self.may_start_without(&unenrolled) {
            return Ok(());
        }
        let settings = self.run_settings(grid);
        if let Some(last) = self.reader.last.take_if(|last| {
            let waits = !last.progress.is_over() || !self.outbox.is_empty();
            last.progress.settings == settings && waits
        }) {
            self.resume(last, grid);
            return Ok(());
        }
        self.close_last();
        let span = self.span(grid);
        let known = |feeder| {
            let sealer = self.sealing.sealer.as_ref();
            sealer.is_some_and(|sealer| sealer.plan().feeder(feeder, span.from).is_some())
        };
        let current = self.fleet.members.iter().take(self.fleet.meters());
        let mut enrolled =
            (current.enumerate()).filter(|(index, _)| unenrolled.binary_search(index).is_err());
        if !enrolled.all(|(_, member)| known(&member.feeder)) {
            return Ok(());
        }
        let inherited = self.take_over(grid, &span);
        if span.end.is_some_and(|end| span.from.0 >= end) && inherited.behind.is_empty() {
            if span.shortened {
                tracing::warn!(
                    "every window of this run has been reported by an earlier run of this gateway, and a window can be \
                     in one total only: nothing is read. To report it again, into a new deployment, remove \
                     deployment.state_dir"
                );
            } else {
                tracing::warn!(
                    "there is no whole window to report: one is {grid}{}, the first at {}; {} more readings",
                    if grid.zone().is_none() {
                        " and starts at a multiple of that in UTC"
                    } else {
                        ""
                    },
                    shown(span.from.seconds()),
                    if grid.zone().is_none() {
                        "choose a smaller plan.batch or"
                    } else {
                        "bring"
                    },
                );
            }
            self.end();
            return Ok(());
        }
        self.begin(settings, grid, &span, inherited);
        Ok(())
    }

    /// Ends the last run: says what of it is not read, and returns what the new one takes over.
    fn take_over(&mut self, grid: Grid, span: &Span) -> Inherited {
        let (Some(last), Some(source)) = (&self.reader.last, &self.reader.source) else {
            return Inherited::default();
        };
        let inherited = Inherited::of(last, &self.fleet, grid, span, source.range());
        let stopped = last.progress.window;
        let next = last.progress.end.unwrap_or(u64::MAX).min(span.from.0);
        let intervals = next.saturating_sub(stopped) / u64::from(last.progress.interval_s);
        if intervals > 0 {
            tracing::warn!(
                intervals,
                "between the last run and this one, intervals have no readings"
            );
        }
        self.lose_readings(
            inherited.lost,
            "they waited for room in the outbox, and the new settings do not have their meters, or their time",
        );
        inherited
    }

    /// What decides which readings a run has. Speed does not: a run may go on at another one.
    fn run_settings(&self, grid: Grid) -> String {
        let meter = &self.settings.meter;
        let mut fleet = String::new();
        for (spec, member) in self.fleet.specs.iter().zip(self.fleet.members.iter()) {
            // Writing to a string cannot fail.
            let _ = writeln!(fleet, "{} {}", spec.id, spec.capacity_w.0);
            if self.live.is_some() {
                let _ = writeln!(fleet, "{}", member.feeder);
            }
        }
        format!(
            "{}, time zone {}, {} meters {}, {} feeders, start {:?}, duration {:?}, {grid}",
            self.reader.identity,
            meter.time_zone,
            self.fleet.meters(),
            Digest::of(fleet.as_bytes()),
            meter.feeders,
            meter.start,
            meter.duration,
        )
    }

    /// Reports what the last run had of a window: those readings were accepted.
    fn close_last(&mut self) {
        let Some(last) = self
            .reader
            .last
            .as_mut()
            .filter(|last| last.progress.interval > 0)
        else {
            return;
        };
        let Ok(grid) = last.progress.grid() else {
            return;
        };
        let window = WindowStart(last.progress.window);
        tracing::info!(
            run = last.progress.run,
            window = %window,
            intervals = last.progress.interval,
            "the last run had other settings: closing its window with what it has"
        );
        let filling = Filling::resume(grid, window, last.fleet.len(), &last.filling);
        last.progress.window = grid.next_window(window).0;
        // What all feeders are behind with was not read, and waits at the source. Nothing else of the window does.
        let unread = (last.fleet.iter()).all(|(one, _)| last.progress.behind.contains_key(one));
        let passed = match unread {
            true => grid.interval_start(window, last.progress.interval).0,
            false => window.0,
        };
        last.progress.missed.insert(passed, last.progress.window);
        last.progress.interval = 0;
        last.filling.clear();
        let progress = last.progress.clone();
        let fleet = &last.fleet;
        let mut taken = filling.close();
        taken.retain_mut(|taken| {
            let (feeder, meter) = &fleet[taken.meter];
            let position = self.fleet.position(feeder, meter);
            taken.meter = position.unwrap_or(taken.meter);
            position.is_some() && !unread
        });
        self.batch_up(taken, grid, progress);
    }

    fn begin(&mut self, settings: String, grid: Grid, span: &Span, inherited: Inherited) {
        let now = self.clock.now();
        let speed = self.speed();
        if span.from.0 > now.0 / 1000 && self.live.is_none() {
            let said = ahead(span.from.seconds(), UnixSeconds(now.0 / 1000));
            tracing::warn!("{said}");
            self.notices.say(Notice::Clock, Some(said));
        }
        self.say_skipped(span, grid);
        let timeline = Timeline::new(span.from.seconds(), now, speed);
        let first_end = UnixSeconds(span.from.0 + u64::from(grid.interval_s()));
        let last = self.reader.last.take();
        let progress = Progress {
            run: last.map_or(0, |last| last.progress.run) + 1,
            settings,
            interval_s: grid.interval_s(),
            batch: grid.batch(),
            time_zone: grid.zone(),
            from: span.from.0,
            end: span.end,
            window: span.from.0,
            interval: 0,
            live: self.reader.live && timeline.is_live(first_end),
            behind: inherited.behind,
            missed: inherited.missed,
        };
        tracing::info!(
            run = progress.run, start = %span.from, behind = progress.behind.len(), meters = self.fleet.meters(), speed,
            "a new run begins"
        );
        let members = self.fleet.members.iter().take(self.fleet.meters());
        self.writer.push(Op::Begin {
            progress: progress.clone(),
            fleet: members
                .map(|member| (member.feeder.clone(), member.meter.clone()))
                .collect(),
        });
        self.reader.run = Some(Run {
            timeline,
            grid,
            filling: Filling::new(grid, span.from, self.fleet.meters()),
            base: progress,
            accepting: false,
        });
        self.open_feed(grid, span.from.0, false);
        self.tell(Event::Started(span.from.seconds()));
    }

    fn say_skipped(&self, span: &Span, grid: Grid) {
        let zone = &self.settings.meter.time_zone;
        let hint = match grid.zone().is_none() && zone != "UTC" {
            true => {
                format!(
                    "; with plan.time_zone = {zone:?} the plan has days of that zone as windows"
                )
            }
            false => String::new(),
        };
        if span.skipped > 0 {
            tracing::info!(
                "left out: {} intervals before {}, the first whole window{hint}",
                span.skipped,
                shown(span.from.seconds())
            );
        }
    }

    /// Seconds of event time in a second, until it has caught up with the clock.
    fn speed(&self) -> f64 {
        match self.live {
            Some(_) => live::SPEED,
            None => self.settings.meter.speed,
        }
    }

    fn resume(&mut self, last: LastRun, grid: Grid) {
        let LastRun {
            progress, filling, ..
        } = last;
        let now = self.clock.now();
        let speed = self.speed();
        let window = WindowStart(progress.window);
        let next = grid.interval_start(window, progress.interval);
        let filling = Filling::resume(grid, window, self.fleet.meters(), &filling);
        // Live time has gone on meanwhile; all other time waited.
        let live = progress.live;
        let event = match live {
            true => UnixSeconds(now.0.div_ceil(1000)),
            false => next,
        };
        tracing::info!(
            run = progress.run,
            next = next.0,
            live,
            waiting = self.outbox.len(),
            "the last run goes on where it was"
        );
        let over = progress.is_over();
        self.reader.run = Some(Run {
            timeline: Timeline::new(event, now, speed),
            grid,
            filling,
            base: progress,
            accepting: false,
        });
        self.open_feed(grid, next.0, true);
        self.tell(Event::Started(next));
        if over {
            self.end();
        } else if live {
            self.miss_until(now);
        }
    }
}

/// That readings start ahead of the clock.
pub(crate) fn ahead(from: UnixSeconds, now: UnixSeconds) -> String {
    format!(
        "the readings start at {}, ahead of this machine's clock, which says {}: no report of them is taken before; check the clock, \
         the file's dates, meter.start and meter.replay_start",
        shown(from),
        shown(now)
    )
}
