//! Readings that meters send: taken while their interval is open, answered once they are on disk, and closed interval by interval.
//!
//! An interval is closed when the clock has passed its end, or the start of a gateway that was down then, and `meter.live_grace`, and its
//! readings are what came until then. They are kept in the journal for as long as a feeder that is behind may need them. A gateway that
//! was down goes on with the interval it had come to: what was sent before is in the journal.

use std::collections::VecDeque;
use std::time::Duration;

use readings::{Accepted, Feed, FeedRules, Kept, SharedFeed};
use service::clock::SharedClock;
use service::config::Settings;
use service::stop::Stop;
use service::warn_limited;
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use wire::Grid;

use super::Gateway;
use crate::journal::Op;
use crate::live::{Answer, Fed, LiveError, Parcel};
use crate::metrics;

/// Readings of a live source pass at the pace of the clock, and those of time that has passed at once.
pub(super) const SPEED: f64 = 1e9;

/// What meters send, on its way into the journal.
pub(super) struct Live {
    feed: SharedFeed,
    parcels: Receiver<Parcel>,
    /// What an earlier process had kept, until there is a run.
    kept: Vec<Kept>,
    /// Whoever waits for what is not on disk yet, in the order of the journal's changes.
    waiting: VecDeque<(oneshot::Sender<Vec<Answer>>, Vec<Answer>)>,
    /// How long after its end an interval is open.
    pub(super) grace: Duration,
}

impl Live {
    /// Begins to read what meters send.
    pub(super) fn begin(
        fed: Fed,
        kept: Vec<Kept>,
        settings: &Settings,
        clock: SharedClock,
        stop: &Stop,
    ) -> Result<Self, LiveError> {
        Ok(Self {
            feed: fed.feed.clone(),
            parcels: fed.begin(settings, clock, stop)?,
            kept,
            waiting: VecDeque::new(),
            grace: settings.meter.live_grace,
        })
    }

    /// What is on disk now is answered.
    pub(super) fn durable(&mut self) {
        if let Some((sender, answers)) = self.waiting.pop_front() {
            // Who does not wait any more sends again.
            let _ = sender.send(answers);
        }
    }
}

/// The next parcel; never ready where no meter sends.
pub(super) async fn received(live: &mut Option<Live>) -> Parcel {
    match live {
        Some(live) => match live.parcels.recv().await {
            Some(parcel) => parcel,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

impl Gateway {
    /// Whether readings can be taken: there is a run, and a disk that takes them.
    pub(super) fn takes_live(&self) -> bool {
        self.reader.run.is_some() && !self.writer.is_failing()
    }

    /// Makes the feed of the run that begins, or goes on after intervals that were closed.
    pub(super) fn open_feed(&mut self, grid: Grid, from: u64, goes_on: bool) {
        let Some(live) = &mut self.live else { return };
        let meter = &self.settings.meter;
        let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let rules = FeedRules {
            interval_s: grid.interval_s(),
            tolerance_s: seconds(meter.live_tolerance),
            ahead_s: seconds(meter.live_ahead),
            // As many as reports may wait, and those of a window that is open.
            most_kept: meter
                .outbox_max_reports
                .saturating_mul(usize::from(grid.batch()) + 2),
        };
        let mut feed = Feed::new(&self.fleet.specs, rules, from);
        for kept in std::mem::take(&mut live.kept) {
            feed.restore(&kept);
        }
        if goes_on {
            feed.close(from);
        }
        *live.feed.lock() = Some(feed);
    }

    /// Takes what came together. It is answered once it is on disk.
    pub(super) fn take_live(&mut self, parcel: Parcel) {
        self.waiting.parcels += 1;
        let Some(live) = &mut self.live else { return };
        let now_s = self.clock.now().0 / 1_000;
        let mut changes = Vec::new();
        let mut answers = Vec::with_capacity(parcel.readings.len());
        {
            let mut feed = live.feed.lock();
            let Some(feed) = feed.as_mut() else { return };
            for reading in &parcel.readings {
                let taken = feed.take(reading, now_s);
                let answer = Answer::from(&taken);
                match &answer {
                    Answer::Refused(refusal) => metrics::live::refused(refusal.reason()),
                    other => metrics::live::taken(other.result()),
                }
                answers.push(answer);
                if let Ok(Accepted::Taken(change)) = taken {
                    changes.push(change);
                }
            }
            metrics::live::kept(feed.kept());
        }
        // What repeats a reading that is not on disk yet waits for it, too.
        let nothing_waits = live.waiting.is_empty() && changes.is_empty();
        live.waiting.push_back((parcel.answers, answers));
        match nothing_waits {
            true => live.durable(),
            false => self.writer.push(Op::Live(changes)),
        }
    }

    /// Closes the next interval, whose readings are about to be taken: what comes from here on is late.
    pub(super) fn close_live(&mut self) {
        let (Some(live), Some(run)) = (&self.live, &self.reader.run) else {
            return;
        };
        let mut feed = live.feed.lock();
        let Some(feed) = feed.as_mut() else { return };
        feed.close(run.interval_end().0);
        let happened = feed.interval(run.interval_start().0);
        metrics::live::registers(happened.swapped, happened.rolled_over);
        if happened.swapped > 0 {
            warn_limited!(
                "{} meters were swapped or set back in the interval from {}: it has no reading of them",
                happened.swapped,
                run.interval_start()
            );
        }
    }

    /// Forgets what no interval needs any more, once the interval is with the journal.
    pub(super) fn forget_live(&mut self) {
        let (Some(live), Some(run)) = (&self.live, &self.reader.run) else {
            return;
        };
        let behind = run.base.behind.values().copied().min();
        let window = run.filling.window().0;
        let needed = behind.map_or(window, |behind| behind.min(window));
        let mut feed = live.feed.lock();
        let Some(feed) = feed.as_mut() else { return };
        let before = feed.forget(needed);
        metrics::live::kept(feed.kept());
        self.writer.push(Op::LiveForgotten(before));
    }
}
