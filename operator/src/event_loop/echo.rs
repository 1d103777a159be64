//! Whether the broker passes the plan on. A broker acknowledges what is longer than it allows, and drops it without a word, so the
//! operator reads its own plan back.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// How long a plan may be on its way through the broker.
const PATIENCE: Duration = Duration::from_secs(10);

/// The plan that was published last, until it has come back.
#[derive(Debug, Default)]
pub(super) struct PlanEcho {
    awaited: Option<(Bytes, Instant)>,
    said: bool,
}

impl PlanEcho {
    /// A plan has left.
    pub(super) fn published(&mut self, plan: &Bytes) {
        let since = Instant::now();
        self.awaited = Some((plan.clone(), since));
    }

    /// A plan has come, maybe one of before.
    pub(super) fn came(&mut self, plan: &Bytes) {
        if self.awaited.as_ref().is_some_and(|(own, _)| own == plan) {
            *self = Self::default();
        }
    }

    /// Says once that the plan does not come back.
    pub(super) fn look(&mut self, is_connected: bool) {
        if let Some(bytes) = self.missing(is_connected) {
            tracing::error!(
                bytes,
                "the broker took the plan and does not pass it on, so nobody else gets it either: raise its limit of a message to \
                 mqtt.max_packet_bytes (mosquitto: message_size_limit and max_packet_size; NATS: max_payload), and let the operator \
                 read the topic of the plan"
            );
        }
    }

    /// The size of a plan that has not come back for too long, once.
    fn missing(&mut self, is_connected: bool) -> Option<usize> {
        let (plan, since) = self.awaited.as_mut()?;
        if !is_connected {
            // What is sent again on a new connection has its time again.
            *since = Instant::now();
            return None;
        }
        let is_new = since.elapsed() >= PATIENCE && !self.said;
        self.said |= is_new;
        is_new.then_some(plan.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_does_not_come_back_is_said_once_and_one_that_does_never() {
        let (older, plan) = (Bytes::from_static(b"older"), Bytes::from_static(b"plan"));
        let mut echo = PlanEcho::default();
        echo.published(&plan);
        echo.came(&older);
        assert_eq!(echo.missing(true), None);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(echo.missing(true), Some(4));
        assert_eq!(echo.missing(true), None);
        echo.published(&plan);
        assert_eq!(echo.missing(false), None);
        tokio::time::advance(PATIENCE).await;
        echo.came(&plan);
        assert_eq!(echo.missing(true), None);
    }
}
