//! Pauses between attempts to connect.

use rand::RngExt as _;
use tokio::time::{Duration, Instant};

/// Doubles from `min` to `max`. Each pause is drawn from the upper half of its step, so that clients
/// which lost their broker together do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    step: Duration,
    connected_at: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self {
            min,
            max: max.max(min),
            step: min,
            connected_at: None,
        }
    }

    /// A connection was made. Only one that lasts starts the pauses over: a broker that accepts and
    /// closes at once is spared.
    pub(super) fn connected(&mut self) {
        self.connected_at = Some(Instant::now());
    }

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        if self
            .connected_at
            .take()
            .is_some_and(|at| at.elapsed() >= self.max)
        {
            self.step = self.min;
        }
        let step = self.step;
        self.step = (step * 2).min(self.max);
        jittered(step)
    }

    /// The pause before an attempt elsewhere.
    pub(super) fn least(&self) -> Duration {
        jittered(self.min)
    }
}

fn jittered(step: Duration) -> Duration {
    step.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(1);

    fn within(pause: Duration, step: Duration) -> bool {
        pause >= step / 2 && pause <= step
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(MIN, MAX);
        for millis in [100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.next();
            assert!(
                within(pause, Duration::from_millis(millis)),
                "{pause:?} for {millis} ms"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_connection_that_lasts_starts_over() {
        let mut backoff = Backoff::new(MIN, MAX);
        backoff.next();
        backoff.connected();
        tokio::time::advance(Duration::from_millis(10)).await;
        assert!(within(backoff.next(), MIN * 2));
        backoff.connected();
        tokio::time::advance(MAX).await;
        assert!(within(backoff.next(), MIN));
    }
}
