//! Wall time: the system's, or what a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wire::{MAX_UNIX_SECONDS, UnixMillis, UnixSeconds};

/// Where wall time comes from. Tests replace it; timers use `tokio::time` instead.
pub trait Clock: Send + Sync {
    /// The current wall time in milliseconds since the Unix epoch.
    fn now(&self) -> UnixMillis;
}

/// A clock shared between tasks.
pub type SharedClock = Arc<dyn Clock>;

/// The latest time that another machine's clock may show now, if it is ahead by at most `tolerance`.
#[must_use]
pub fn latest(clock: &SharedClock, tolerance: Duration) -> UnixMillis {
    let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
    UnixMillis(clock.now().0.saturating_add(tolerance))
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system clock as a [`SharedClock`].
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        // A machine set to before 1970 reads as 1970: every plan and report is then in its future
        // and refused, which is the answer such a machine should get.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until told otherwise.
#[derive(Debug, Default)]
pub struct MockClock(AtomicU64);

impl MockClock {
    /// A clock standing at `now`.
    pub fn new(now: UnixMillis) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now.0)))
    }

    /// Moves the clock to `now`, backwards too.
    pub fn set(&self, now: UnixMillis) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for MockClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::SeqCst))
    }
}

/// A time for people, such as `2026-01-01T00:00:00Z`.
#[must_use]
pub fn shown(time: UnixSeconds) -> String {
    let seconds = Duration::from_secs(time.0.min(MAX_UNIX_SECONDS));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + seconds).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mock_clock_moves_only_when_told() {
        let clock = MockClock::new(UnixMillis(1_000));
        assert_eq!(clock.now(), UnixMillis(1_000));
        clock.advance(Duration::from_millis(250));
        assert_eq!(clock.now(), UnixMillis(1_250));
        clock.set(UnixMillis(7));
        assert_eq!(clock.now(), UnixMillis(7));
    }

    #[test]
    fn the_system_clock_is_past_the_year_2024() {
        assert!(SystemClock.now().0 > 1_704_067_200_000);
    }
}
