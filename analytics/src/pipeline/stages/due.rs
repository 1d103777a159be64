//! When a commit is due and how much it takes, and when commits have failed for too long.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Pipeline, Stepping};
use crate::pipeline::engine_step::Commit;
use crate::store::Store;
use crate::verify::Verdicts;

impl<S: Store + 'static> Pipeline<S> {
    /// Whether commits have failed for as long as a lease: another process may do better.
    pub(super) fn is_stuck(&self) -> bool {
        let limit = self.runner.settings.analytics.lease_ttl;
        let is_long = |stepping: &Stepping<S>| stepping.began.elapsed() >= limit;
        self.failing.load(Ordering::Relaxed) && self.stepping.as_ref().is_some_and(is_long)
    }

    /// What is to be committed now.
    pub(super) fn commit_due(&self, now: Instant) -> Commit {
        let waited = |since: Instant| now >= since + self.wait;
        let most = self.runner.settings.analytics.commit_max_reports;
        if self.folded + self.waiting >= most {
            return Commit::All;
        }
        let is_due = self.folded_since.is_some_and(waited) || (self.tick && self.folded == 0);
        match is_due {
            true => Commit::Due,
            false => Commit::Nothing,
        }
    }

    /// Takes what was verified, as far as the next commit has room for it, and when the first of it was received.
    pub(super) fn take_verified(&mut self) -> (Option<Instant>, Verdicts) {
        let most = self.runner.settings.analytics.commit_max_reports;
        let room = most.saturating_sub(self.folded + self.waiting);
        let taken = match room {
            0 => None,
            _ => self.intake.take_verified(room),
        };
        match taken {
            Some((since, verdicts)) => (Some(since), verdicts),
            None => (None, Vec::new()),
        }
    }
}
