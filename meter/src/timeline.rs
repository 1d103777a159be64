//! Event time: the time the readings are about.
//!
//! Simulated and replayed time starts in the past, runs `speed` times as fast as the wall clock, and slows to 1× once
//! it has caught up with now: a gateway never reports an interval that has not passed.

use wire::{UnixMillis, UnixSeconds};

/// Maps wall time to event time and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeline {
    start_ms: u64,
    origin_ms: u64,
    speed: f64,
}

impl Timeline {
    /// Event time `start` at wall time `origin`, passing `speed` seconds a second.
    #[must_use]
    pub(crate) fn new(start: UnixSeconds, origin: UnixMillis, speed: f64) -> Self {
        Self {
            start_ms: start.0.saturating_mul(1000),
            origin_ms: origin.0,
            speed,
        }
    }

    /// The wall time, in Unix milliseconds, at which event time reaches `event`.
    #[must_use]
    pub(crate) fn wall_at(&self, event: UnixSeconds) -> UnixMillis {
        let event_ms = event.0.saturating_mul(1000);
        let ahead_ms = event_ms.saturating_sub(self.start_ms) as f64 / self.speed;
        UnixMillis(event_ms.max(self.origin_ms.saturating_add(ahead_ms.ceil() as u64)))
    }

    /// Whether event time has caught up with the wall clock when it reaches `event`. One that starts level with it always has,
    /// also for what was before.
    #[must_use]
    pub(crate) fn is_live(&self, event: UnixSeconds) -> bool {
        let event = UnixSeconds(event.0.max(self.start_ms / 1000));
        self.wall_at(event).0 == event.0.saturating_mul(1000)
    }

    /// Event time at wall time `now`, in Unix milliseconds.
    #[cfg(test)]
    fn event_at(&self, now: UnixMillis) -> UnixMillis {
        let passed_ms = now.0.saturating_sub(self.origin_ms) as f64 * self.speed;
        UnixMillis(
            self.start_ms
                .saturating_add(passed_ms as u64)
                .min(now.0.max(self.start_ms)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn runs_fast_in_the_past_and_at_wall_speed_once_it_has_caught_up() {
        // One hour in the past at 61 times the speed catches up after a minute.
        let start = UnixSeconds(NOW_MS / 1000 - 3600);
        let timeline = Timeline::new(start, UnixMillis(NOW_MS), 61.0);
        assert_eq!(timeline.event_at(UnixMillis(NOW_MS)).0, start.0 * 1000);
        assert_eq!(
            timeline.event_at(UnixMillis(NOW_MS + 30_000)).0,
            start.0 * 1000 + 1_830_000
        );
        assert_eq!(
            timeline.event_at(UnixMillis(NOW_MS + 60_000)).0,
            NOW_MS + 60_000
        );
        assert_eq!(
            timeline.event_at(UnixMillis(NOW_MS + 90_000)).0,
            NOW_MS + 90_000
        );
        assert_eq!(
            timeline.wall_at(UnixSeconds(NOW_MS / 1000 + 90)).0,
            NOW_MS + 90_000
        );
    }

    #[test]
    fn is_live_from_when_it_has_caught_up() {
        let now = NOW_MS / 1000;
        let behind = Timeline::new(UnixSeconds(now - 3600), UnixMillis(NOW_MS), 61.0);
        assert!(!behind.is_live(UnixSeconds(now + 50)));
        assert!(behind.is_live(UnixSeconds(now + 70)));
        let level = Timeline::new(UnixSeconds(now), UnixMillis(NOW_MS), 1.0);
        assert!(level.is_live(UnixSeconds(now + 1)));
        assert!(level.is_live(UnixSeconds(now - 900)));
        let never = Timeline::new(UnixSeconds(now - 10), UnixMillis(NOW_MS), 1.0);
        assert!(!never.is_live(UnixSeconds(now + 100_000)));
    }

    #[test]
    fn wakes_when_the_event_has_happened_and_not_before() {
        let timeline = Timeline::new(UnixSeconds(1_000), UnixMillis(NOW_MS), 900.0);
        for event in [1_000, 1_001, 1_899, 1_900, 90_000] {
            let wall = timeline.wall_at(UnixSeconds(event));
            assert!(timeline.event_at(wall).0 >= event * 1000);
            assert!(wall.0 == NOW_MS || timeline.event_at(UnixMillis(wall.0 - 1)).0 < event * 1000);
        }
    }
}
