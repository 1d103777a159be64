//! Time within reach of the broker.

use std::time::Duration;

use tokio::time::Instant;

/// Counts the milliseconds during which the broker was within reach, so that an outage closes no window.
#[derive(Debug, Default)]
pub(super) struct BrokerUptime {
    before_ms: u64,
    since: Option<Instant>,
}

impl BrokerUptime {
    pub(super) fn connected(&mut self, connected: bool) {
        self.before_ms = self.milliseconds();
        self.since = connected.then(Instant::now);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.since.is_some()
    }

    pub(super) fn milliseconds(&self) -> u64 {
        let now = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        self.before_ms + u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }
}
