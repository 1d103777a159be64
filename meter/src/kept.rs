//! Reports that are in sums, and kept until it is known what became of the sums.
//!
//! A sum may fail when the operator opens it, and is then added up again in parts, from the reports themselves: analytics
//! has only their sum. So the journal keeps each report until a settlement says that its part of the window is released or
//! refused, and sends it again, with the bytes it had, if it is wanted. What is kept is bounded by its age and by its bytes;
//! the oldest go first. This is what is known of them in memory; the reports themselves are on disk alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use service::config::Settings;
use wire::{FeederId, Part, UnixMillis, WindowStart};

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

/// Names one sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SumKey {
    pub(crate) window: WindowStart,
    pub(crate) feeder: FeederId,
    pub(crate) part: Part,
}

/// What is kept.
#[derive(Debug)]
pub(crate) struct KeptReports {
    limits: Limits,
    reports: HashMap<Key, (FeederId, Kept)>,
    /// The meters of the same, by the sums that they are in.
    by_sum: HashMap<SumKey, BTreeSet<usize>>,
    /// The same, by when their receipts came.
    by_age: BTreeSet<(UnixMillis, WindowStart, usize)>,
    bytes: u64,
    /// The sums that have failed, while reports of theirs are kept: those wait to be sent again.
    failed: BTreeSet<SumKey>,
    /// Reports that are being read from the journal, to be sent again.
    reading: usize,
    /// Reports that are sent again and have no receipt for that yet.
    wanted: HashSet<Key>,
}

impl KeptReports {
    #[must_use]
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            reports: HashMap::new(),
            by_sum: HashMap::new(),
            by_age: BTreeSet::new(),
            bytes: 0,
            failed: BTreeSet::new(),
            reading: 0,
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
    pub(crate) fn get(&self, key: Key) -> Option<&Kept> {
        self.reports.get(&key).map(|(_, kept)| kept)
    }

    /// Keeps a report of a meter on `feeder`. One that is kept is from now on what this says.
    pub(crate) fn keep(&mut self, key: Key, feeder: FeederId, kept: Kept) {
        self.forget(key);
        let (meter, window) = key;
        let sum = sum_of(window, &feeder, &kept);
        self.by_sum.entry(sum).or_default().insert(meter);
        self.by_age.insert((kept.since, window, meter));
        self.bytes += kept.bytes;
        self.reports.insert(key, (feeder, kept));
    }

    fn forget(&mut self, key: Key) {
        let Some((feeder, kept)) = self.reports.remove(&key) else {
            return;
        };
        let (meter, window) = key;
        self.by_age.remove(&(kept.since, window, meter));
        self.bytes -= kept.bytes;
        let sum = sum_of(window, &feeder, &kept);
        if let Some(meters) = self.by_sum.get_mut(&sum) {
            meters.remove(&meter);
            if meters.is_empty() {
                self.by_sum.remove(&sum);
                self.failed.remove(&sum);
            }
        }
    }

    /// Takes out the reports of a sum, at most so many, each with its bytes.
    pub(crate) fn take(&mut self, sum: &SumKey, most: usize) -> Vec<(Key, u64)> {
        let meters = self.by_sum.get(sum).into_iter().flatten();
        let keys: Vec<Key> = meters
            .map(|meter| (*meter, sum.window))
            .take(most)
            .collect();
        let taken = keys.into_iter().map(|key| {
            let bytes = self.get(key).map_or(0, |kept| kept.bytes);
            self.forget(key);
            (key, bytes)
        });
        taken.collect()
    }

    /// A sum has failed: its reports are to be sent again. Returns how many are kept, if that is news.
    pub(crate) fn fail(&mut self, sum: SumKey) -> Option<usize> {
        let reports = self.by_sum.get(&sum)?.len();
        self.failed.insert(sum).then_some(reports)
    }

    /// Takes out reports of a sum that has failed, the oldest sum first: as many as there is `room` for where those of a meter
    /// go. They are being read from the journal then, and nothing more is taken before [`KeptReports::has_read`].
    pub(crate) fn take_failed(&mut self, room: impl Fn(usize) -> usize) -> Vec<Key> {
        if self.is_reading() {
            return Vec::new();
        }
        let room_of = |sum: &SumKey| self.by_sum.get(sum)?.first().map(|meter| room(*meter));
        let mut failed = (self.failed.iter()).map(|sum| (sum, room_of(sum).unwrap_or(0)));
        let Some((sum, room)) = failed.find(|(_, room)| *room > 0) else {
            return Vec::new();
        };
        let taken = self.take(&sum.clone(), room).into_iter();
        let taken: Vec<Key> = taken.map(|(key, _)| key).collect();
        self.wanted.extend(&taken);
        self.reading = taken.len();
        taken
    }

    /// A report has been read from the journal.
    pub(crate) fn has_read(&mut self) {
        self.reading = self.reading.saturating_sub(1);
    }

    /// Whether reports are being read: there must be room for them when they come.
    #[must_use]
    pub(crate) fn is_reading(&self) -> bool {
        self.reading > 0
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

    /// Whether a final receipt for this report answers its being sent again; no later one does.
    pub(crate) fn answers_again(&mut self, key: Key) -> bool {
        self.wanted.remove(&key)
    }
}

fn sum_of(window: WindowStart, feeder: &FeederId, kept: &Kept) -> SumKey {
    SumKey {
        window,
        feeder: feeder.clone(),
        part: kept.part,
    }
}

#[cfg(test)]
mod tests;
