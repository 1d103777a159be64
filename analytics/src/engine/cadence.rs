//! Which feeders a commit leaves out: those whose reports wait for others, so that their sums are written once for all of them.
//!
//! A feeder is left out as a whole: its reports are not durable, not answered and not heard of before all that changed of it is
//! written together. It waits only while nothing but reports of sums that take more has come of it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use wire::FeederId;

use super::{Effects, Engine};
use crate::store::{Store, StoreError};

/// When each feeder was added to, and what else there is to be written.
#[derive(Debug, Default)]
pub(super) struct Cadence {
    every: Duration,
    /// How long the process has run.
    now: Duration,
    /// When the first report was folded that is not written.
    since: HashMap<FeederId, Duration>,
    /// The feeders of which more is to be told than what became of their reports.
    at_once: HashSet<FeederId>,
    /// Whether the last commit failed: then the store may have it, and the next one must have all of it, too.
    failed: bool,
}

impl Cadence {
    /// A report of the feeder was folded.
    pub(super) fn folded(&mut self, feeder: &FeederId) {
        if !self.since.contains_key(feeder) {
            self.since.insert(feeder.clone(), self.now);
        }
    }

    /// The feeder does not wait.
    pub(super) fn at_once(&mut self, feeder: &FeederId) {
        self.at_once.insert(feeder.clone());
    }

    /// A commit begins.
    pub(super) fn begin(&mut self) {
        self.failed = true;
    }

    /// It was done; `waits` tells what it left out.
    pub(super) fn done(&mut self, waits: impl Fn(&FeederId) -> bool) {
        self.failed = false;
        self.at_once.clear();
        self.since.retain(|feeder, _| waits(feeder));
    }

    /// Forgets all of these feeders.
    pub(super) fn let_go(&mut self, is_gone: &dyn Fn(&FeederId) -> bool) {
        self.since.retain(|feeder, _| !is_gone(feeder));
        self.at_once.retain(|feeder| !is_gone(feeder));
    }

    /// The feeders whose first report is not old enough.
    fn young(&self) -> HashSet<FeederId> {
        if self.failed {
            return HashSet::new();
        }
        let is_young = |since: &Duration| self.now.saturating_sub(*since) < self.every;
        let young = self
            .since
            .iter()
            .filter(|(feeder, since)| is_young(since) && !self.at_once.contains(*feeder));
        young.map(|(feeder, _)| feeder.clone()).collect()
    }
}

impl<S: Store> Engine<S> {
    /// Lets the reports of a feeder wait for so long before they are written by [`Engine::commit_due`]; at first, for no time.
    pub fn write_sums_every(&mut self, every: Duration) {
        self.cadence.every = every;
    }

    /// The process has run for so long: what the waiting goes by.
    pub fn has_run_for(&mut self, now: Duration) {
        self.cadence.now = now;
    }

    /// [`Engine::commit`] without the feeders whose reports still wait for others. They are as if they had not come: neither
    /// durable nor answered.
    ///
    /// # Errors
    /// Those of [`Engine::commit`].
    pub fn commit_due(&mut self) -> Result<Effects, StoreError> {
        let mut waiting = self.cadence.young();
        if !waiting.is_empty() {
            self.windows.more_than_reports(&mut |feeder| {
                waiting.remove(feeder);
            });
            self.bills.more_than_reports(&mut |feeder| {
                waiting.remove(feeder);
            });
            waiting.retain(|feeder| !self.leaving.contains(feeder));
        }
        self.windows.wait_with(waiting);
        self.write()
    }

    /// Reports that are folded, or refused, and not answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.answers.values().map(|answers| answers.reports()).sum()
    }
}

#[cfg(test)]
mod tests;
