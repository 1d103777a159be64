//! Time within reach of the broker.

use std::time::Duration;

use tokio::time::Instant;

/// Counts the milliseconds during which the broker was within reach, so that an outage closes no window.
#[derive(Debug)]
pub(super) struct BrokerUptime {
    before_ms: u64,
    reach: Reach,
}

#[derive(Debug, Clone, Copy)]
enum Reach {
    Within(Instant),
    /// Since then; none: it has never been reached.
    Away(Option<Instant>),
}

impl Default for BrokerUptime {
    fn default() -> Self {
        Self {
            before_ms: 0,
            reach: Reach::Away(None),
        }
    }
}

impl BrokerUptime {
    pub(super) fn connected(&mut self, connected: bool) {
        self.before_ms = self.milliseconds();
        self.reach = match (connected, self.reach) {
            (true, _) => Reach::Within(Instant::now()),
            // An attempt that failed.
            (false, Reach::Away(since)) => Reach::Away(since),
            (false, Reach::Within(_)) => Reach::Away(Some(Instant::now())),
        };
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.reach, Reach::Within(_))
    }

    /// Whether it has been away for so long, or from the start.
    pub(super) fn is_away_for(&self, limit: Duration) -> bool {
        match self.reach {
            Reach::Within(_) => false,
            Reach::Away(since) => since.is_none_or(|since| since.elapsed() >= limit),
        }
    }

    pub(super) fn milliseconds(&self) -> u64 {
        let now = match self.reach {
            Reach::Within(since) => since.elapsed(),
            Reach::Away(_) => Duration::ZERO,
        };
        self.before_ms + u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_do_not_begin_an_outage_anew() {
        let limit = Duration::from_secs(10);
        let second = Duration::from_secs(1);
        let mut uptime = BrokerUptime::default();
        assert!(uptime.is_away_for(limit), "never reached");
        uptime.connected(true);
        tokio::time::advance(limit).await;
        assert!(!uptime.is_away_for(limit));
        for _ in 0..10 {
            uptime.connected(false);
            assert!(!uptime.is_away_for(limit));
            tokio::time::advance(second).await;
        }
        assert!(uptime.is_away_for(limit));
        uptime.connected(true);
        assert!(!uptime.is_away_for(limit));
        assert_eq!(uptime.milliseconds(), 10_000);
    }
}
