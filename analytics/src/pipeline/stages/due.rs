//! When a commit is due, and when commits have failed for too long.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Pipeline, Stepping};
use crate::store::Store;

impl<S: Store + 'static> Pipeline<S> {
    /// Whether commits have failed for as long as a lease: another process may do better.
    pub(super) fn is_stuck(&self) -> bool {
        let limit = self.runner.settings.analytics.lease_ttl;
        let is_long = |stepping: &Stepping<S>| stepping.began.elapsed() >= limit;
        self.failing.load(Ordering::Relaxed) && self.stepping.as_ref().is_some_and(is_long)
    }

    pub(super) fn is_commit_due(&self, now: Instant) -> bool {
        let waited = |since: Instant| now >= since + self.wait;
        let most = self.runner.settings.analytics.commit_max_reports;
        self.folded >= most
            || self.folded_since.is_some_and(waited)
            || (self.tick && self.folded == 0)
    }
}
