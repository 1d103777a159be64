//! What is known of a subscriber that messages are required to reach.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A connected subscriber that has acknowledged all it was sent, and is sent nothing for so long, has taken everything.
pub(super) const QUIET: Duration = Duration::from_millis(500);

/// A required subscriber.
pub(super) struct Reader {
    pub(super) taken: u64,
    /// The first offset in the log that it has not acknowledged: what is sent again counts once.
    pub(super) high: Option<u64>,
    pub(super) unacknowledged: usize,
    /// When something was last sent or acknowledged.
    pub(super) moved: Instant,
    pub(super) connected: bool,
    /// Since when it is away, until it acknowledges something again.
    pub(super) away_since: Option<Instant>,
    /// Told if it is given up.
    pub(super) given_up: Arc<Notify>,
}

impl Reader {
    /// One that has taken so many bytes of what was appended: all that there were when it came.
    pub(super) fn new(taken: u64) -> Self {
        Self {
            taken,
            high: None,
            unacknowledged: 0,
            moved: Instant::now(),
            connected: true,
            away_since: None,
            given_up: Arc::default(),
        }
    }

    /// Whether it has taken everything that there was for it.
    pub(super) fn is_done(&self, now: Instant) -> bool {
        let quiet = now.duration_since(self.moved) > QUIET;
        self.connected && quiet && self.unacknowledged == 0
    }

    pub(super) fn is_late(&self, now: Instant, grace: Duration) -> bool {
        let stalled = (self.unacknowledged > 0).then_some(self.moved);
        let since = self.away_since.or(stalled);
        since.is_some_and(|since| now.duration_since(since) > grace)
    }
}
