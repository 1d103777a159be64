//! Reports that are in sums, and kept until it is known what became of the sums.
//!
//! A sum may fail when the operator opens it, and is then added up again in parts, from the reports themselves: analytics
//! has only their sum. So the journal keeps each report until a settlement says that its part of the window is released or
//! refused, and sends it again, with the bytes it had, if it is wanted. What is kept is bounded by its age and by its bytes;
//! the oldest go first. This is what is known of them in memory; the reports themselves are on disk alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use service::config::Settings;
use wire::{Part, UnixMillis, WindowStart};

use crate::journal::Kept;
use crate::outbox::Key;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// By the wall clock, from the receipt on.
    pub(crate) age: Duration,
    /// Of all of them together.
    pub(crate) bytes: u64,
}

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            age: settings.meter.keep_folded,
            bytes: settings.meter.keep_folded_bytes,
        }
    }
}

/// Why a report is not kept any more, although nothing is known of its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surplus {
    Age,
    Bytes,
}

/// What is kept.
#[derive(Debug)]
pub(crate) struct KeptReports {
    limits: Limits,
    /// By window and meter.
    reports: BTreeMap<(WindowStart, usize), Kept>,
    /// The same, by when their receipts came.
    by_age: BTreeSet<(UnixMillis, WindowStart, usize)>,
    bytes: u64,
    /// Reports that are sent again and have no receipt for that yet.
    wanted: HashSet<Key>,
}

impl KeptReports {
    #[must_use]
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            reports: BTreeMap::new(),
            by_age: BTreeSet::new(),
            bytes: 0,
            wanted: HashSet::new(),
        }
    }

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.reports.len()
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// Of all of them together.
    #[must_use]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is known of a report, if it is kept.
    #[must_use]
    pub(crate) fn get(&self, (meter, window): Key) -> Option<&Kept> {
        self.reports.get(&(window, meter))
    }

    /// Keeps a report. One that is kept is from now on what this says.
    pub(crate) fn keep(&mut self, (meter, window): Key, kept: Kept) {
        self.forget((meter, window));
        self.reports.insert((window, meter), kept);
        self.by_age.insert((kept.since, window, meter));
        self.bytes += kept.bytes;
    }

    fn forget(&mut self, (meter, window): Key) {
        if let Some(kept) = self.reports.remove(&(window, meter)) {
            self.by_age.remove(&(kept.since, window, meter));
            self.bytes -= kept.bytes;
        }
    }

    /// Takes out the reports of a part of a window whose meters `are_of` the part's feeder.
    pub(crate) fn take(
        &mut self,
        window: WindowStart,
        part: Part,
        are_of: impl Fn(usize) -> bool,
    ) -> Vec<Key> {
        let of_window = self.reports.range((window, 0)..=(window, usize::MAX));
        let taken: Vec<Key> = of_window
            .filter(|((_, meter), kept)| kept.part == part && are_of(*meter))
            .map(|((_, meter), _)| (*meter, window))
            .collect();
        taken.iter().for_each(|key| self.forget(*key));
        taken
    }

    /// Takes out what is kept beyond the limits at `now`.
    pub(crate) fn take_surplus(&mut self, now: UnixMillis) -> Vec<(Key, Surplus)> {
        let mut taken = Vec::new();
        while let Some(&(since, window, meter)) = self.by_age.first() {
            let age = Duration::from_millis(now.0.saturating_sub(since.0));
            let surplus = if self.bytes > self.limits.bytes {
                Surplus::Bytes
            } else if age >= self.limits.age {
                Surplus::Age
            } else {
                break;
            };
            let key = (meter, window);
            self.forget(key);
            taken.push((key, surplus));
        }
        taken
    }

    /// Notes that a report is sent again.
    pub(crate) fn sent_again(&mut self, key: Key) {
        self.wanted.insert(key);
    }

    /// Whether a final receipt for this report answers its being sent again; no later one does.
    pub(crate) fn answers_again(&mut self, key: Key) -> bool {
        self.wanted.remove(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn kept(part: u16, since_ms: u64, bytes: u64) -> Kept {
        Kept {
            part: Part(part),
            since: UnixMillis(since_ms),
            bytes,
        }
    }

    fn reports(bytes: u64) -> KeptReports {
        KeptReports::new(Limits {
            age: Duration::from_secs(3_600),
            bytes,
        })
    }

    #[test]
    fn a_part_is_of_one_feeder_and_one_window() {
        let mut reports = reports(1_000);
        for meter in 0..4 {
            for window in [900, 1_800] {
                let part = u16::from(meter == 2);
                reports.keep((meter, WindowStart(window)), kept(part, 0, 10));
            }
        }
        let even = |meter: usize| meter.is_multiple_of(2);
        let window = WindowStart(900);
        assert_eq!(reports.take(window, Part(0), even), [(0, window)]);
        assert_eq!(reports.take(window, Part(0), even), []);
        assert_eq!(reports.take(window, Part(1), |_| true), [(2, window)]);
        assert_eq!((reports.len(), reports.bytes()), (6, 60));
    }

    #[test]
    fn the_oldest_go_first_and_what_is_old_goes_anyway() {
        let mut reports = reports(25);
        let window = WindowStart(900);
        for (meter, since_ms) in [(0, 5), (1, 3), (2, 4)] {
            reports.keep((meter, window), kept(0, since_ms, 10));
        }
        assert_eq!(
            reports.take_surplus(UnixMillis(9)),
            [((1, window), Surplus::Bytes)]
        );
        assert_eq!(reports.take_surplus(UnixMillis(HOUR_MS + 3)), []);
        assert_eq!(
            reports.take_surplus(UnixMillis(HOUR_MS + 4)),
            [((2, window), Surplus::Age)]
        );
        // A clock that is put back makes nothing older.
        assert_eq!(reports.take_surplus(UnixMillis(0)), []);
        assert_eq!((reports.len(), reports.bytes()), (1, 10));
    }

    #[test]
    fn a_report_that_is_in_another_part_now_is_kept_once() {
        let mut reports = reports(1_000);
        let window = WindowStart(900);
        reports.keep((0, window), kept(0, 5, 10));
        reports.keep((0, window), kept(2, 7, 10));
        assert_eq!((reports.len(), reports.bytes()), (1, 10));
        assert_eq!(reports.take(window, Part(0), |_| true), []);
        assert_eq!(reports.take(window, Part(2), |_| true), [(0, window)]);
        assert_eq!(reports.take_surplus(UnixMillis(u64::MAX)), []);
    }
}
