//! When a commit is due, or releases are sent again, and when commits have failed for too long.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{Pipeline, Resend, Stepping};
use crate::store::Store;

impl<S: Store + 'static> Pipeline<S> {
    /// Whether commits have failed for as long as a lease: another process may do better.
    pub(super) fn is_stuck(&self) -> bool {
        let limit = self.runner.settings.analytics.lease_ttl;
        let is_long = |stepping: &Stepping<S>| stepping.began.elapsed() >= limit;
        self.failing.load(Ordering::Relaxed) && self.stepping.as_ref().is_some_and(is_long)
    }

    /// When what was folded is to be committed, if anything was.
    pub(super) fn commit_at(&self) -> Option<Instant> {
        let wait = self.runner.settings.analytics.commit_min_delay;
        let since = self.folded_since?;
        Some((since + wait).max(self.rests_until))
    }

    pub(super) fn is_commit_due(&self, now: Instant) -> bool {
        let most = self.runner.settings.analytics.commit_max_reports;
        self.folded >= most
            || self.commit_at().is_some_and(|due| now >= due)
            || (self.tick && self.folded == 0)
    }

    /// Begins to send releases again, if it is time to.
    pub(super) fn resend_if_due(&mut self) {
        let runner = &mut self.runner;
        let retry = runner.settings.analytics.release_retry;
        if self.resend == Resend::Nothing
            && runner.resent.is_none_or(|resent| resent.elapsed() >= retry)
            && runner.publisher.is_connected()
        {
            runner.resent = Some(Instant::now());
            self.resend = Resend::All;
        }
    }
}
