//! The bounds of a pace.

use std::time::Duration;

use service::config::Meter;

/// Bounds of one destination's pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Greatest number of reports under way.
    pub reports: usize,
    /// Greatest number of their bytes, unless a single report has more.
    pub bytes: usize,
    /// How much longer than the quickest a receipt may take before fewer reports are sent.
    pub delay_target: Duration,
    /// Shortest silence that is taken for a standstill.
    pub retry_min: Duration,
    /// Longest wait for a receipt.
    pub retry_max: Duration,
}

impl Limits {
    /// The bounds that the settings of a gateway give, for all of its destinations together.
    #[must_use]
    pub fn of(settings: &Meter) -> Self {
        Self {
            reports: settings.max_unreceipted,
            bytes: settings.max_unreceipted_bytes,
            delay_target: settings.receipt_delay_target,
            retry_min: settings.retry_min,
            retry_max: settings.retry_max,
        }
    }

    /// The bounds of a destination of `meters` of the gateway's `all`: its share, so that together destinations keep within these
    /// whatever becomes of one of them. Each may send at least one report.
    #[must_use]
    pub(crate) fn share_of(&self, meters: usize, all: usize) -> Self {
        let share = |whole: usize| whole.saturating_mul(meters) / all.max(1);
        Self {
            reports: share(self.reports).max(1),
            bytes: share(self.bytes),
            ..self.clone()
        }
    }
}

/// The whole milliseconds of a duration.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
