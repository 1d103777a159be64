//! The time a run is over: what the last one was, and what a new one would read.

use wire::{FeederId, Grid, MeterId, UnixSeconds, WindowStart};

use super::Gateway;
use crate::batch::Interval;
use crate::journal::Progress;

/// How far in the past a simulated fleet that runs faster than the clock starts, unless told.
const SIMULATED_PAST_S: u64 = 7 * 86_400;

/// The last run, as the journal has it.
pub(super) struct LastRun {
    pub(super) progress: Progress,
    pub(super) fleet: Vec<(FeederId, MeterId)>,
    pub(super) filling: Vec<Interval>,
}

/// What a new run would read.
pub(super) struct Span {
    pub(super) from: WindowStart,
    pub(super) end: Option<u64>,
    /// Intervals before the first whole window.
    pub(super) skipped: u64,
    /// Whether some of it has been reported.
    pub(super) shortened: bool,
}

impl Gateway {
    /// The windows a new run reads: the whole ones of the source, or of the settings, that are not yet reported.
    pub(super) fn span(&self, grid: Grid) -> Span {
        let meter = &self.settings.meter;
        let now_s = self.clock.now().0 / 1000;
        let range = self.reader.source.as_ref().map(|source| source.range());
        let (from, until) = range.unwrap_or((UnixSeconds(0), None));
        let reported = || {
            let current = self.fleet.specs.iter();
            current.map(|spec| Some(&self.reader.records.get(&spec.id)?.reported))
        };
        let simulated_start = || {
            let past = if meter.speed > 1.0 {
                SIMULATED_PAST_S
            } else {
                0
            };
            let newest = reported().flatten().filter_map(|spans| spans.end()).max();
            now_s.saturating_sub(past).max(newest.unwrap_or(0))
        };
        let start = match (meter.start, until) {
            (Some(start), _) => start.0.max(from.0),
            (None, Some(_)) => from.0,
            (None, None) => simulated_start(),
        };
        let first = grid.first_from(UnixSeconds(start));
        let asked_end = meter.duration.map(|duration| first.0 + duration.as_secs());
        let ends = [asked_end, until.map(|until| until.0)];
        let end = ends.into_iter().flatten().min();
        let mut from = first;
        let all_reported = |window: WindowStart| {
            let to = grid.window_end(window).0;
            reported()
                .map(|spans| spans?.overlapping(window.0, to))
                .try_fold(u64::MAX, |least, end| Some(least.min(end?)))
        };
        while let Some(reported) = all_reported(from)
            && end.is_none_or(|end| from.0 < end)
        {
            from = grid
                .first_from(UnixSeconds(reported))
                .max(grid.next_window(from));
        }
        Span {
            from,
            end,
            skipped: match until {
                Some(_) => (first.0 - start) / u64::from(grid.interval_s()),
                None => 0,
            },
            shortened: from > first,
        }
    }
}
