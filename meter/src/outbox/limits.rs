//! The bounds of an outbox.

use rand::RngExt as _;

use crate::pacing;

/// How much may wait, and how often what waits is tried.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Greatest number of reports in the outbox, sealed or not.
    pub(crate) capacity: usize,
    /// Number of meters whose readings come in: the first of the destinations that [`Outbox::route`](super::Outbox::route) is given.
    pub(crate) meters: usize,
    /// Of those that are sealed and without a receipt, over all destinations. A report that was refused for a reason that
    /// passes waits between `retry_min` and `retry_max`, too.
    pub(crate) pace: pacing::Limits,
}

impl Limits {
    /// The wait after a refusal, in milliseconds: doubling from `retry_min` to `retry_max`, and a random half of it, so
    /// that gateways that lost the same broker do not come back as one.
    pub(super) fn back_off(&self, attempts: u32) -> u64 {
        let longest = self.pace.retry_max.max(self.pace.retry_min);
        let wait = self
            .pace
            .retry_min
            .saturating_mul(1 << attempts.min(16))
            .min(longest);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        rand::rng().random_range(wait_ms.div_ceil(2)..=wait_ms)
    }
}
