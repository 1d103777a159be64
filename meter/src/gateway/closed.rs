//! A broker that closes the connection again and again: another process may have this gateway's client id.

use std::collections::VecDeque;
use std::time::Duration;

use service::mqtt::{self, LinkError};
use tokio::time::Instant;

use super::Gateway;
use crate::notices::Notice;

/// So many closed connections within a while are no coincidence.
const MANY: usize = 4;
const WITHIN: Duration = Duration::from_secs(60);

/// When connections were closed, the last ones.
#[derive(Debug, Default)]
pub(super) struct Closed(VecDeque<Instant>);

impl Closed {
    /// Once more. Returns whether these are many.
    fn again(&mut self) -> bool {
        self.0.push_back(Instant::now());
        while self.0.len() > MANY {
            self.0.pop_front();
        }
        let first = self.0.front().filter(|_| self.0.len() == MANY);
        first.is_some_and(|first| first.elapsed() <= WITHIN)
    }
}

impl Gateway {
    /// The connection has ended.
    pub(super) fn disconnected(&mut self, error: &LinkError) {
        if !matches!(error, LinkError::Lost { .. }) || !self.waiting.closed.again() {
            return;
        }
        let gateway = &self.settings.meter.gateway;
        let id = mqtt::Client::Gateway(gateway).id(&self.settings.deployment);
        let said = format!(
            "the broker closes the connection of {id} again and again: another process has that client id, as one has that was copied \
             with its configuration; give one of them another meter.gateway. Or the broker's rules do not allow what this client \
             publishes: see its log"
        );
        if self.notices.say(Notice::Identity, Some(said.clone())) {
            tracing::error!("{said}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_that_are_closed_often_are_many_and_those_of_a_day_are_not() {
        let mut closed = Closed::default();
        for _ in 0..2 * MANY {
            assert!(!closed.again());
            tokio::time::advance(WITHIN).await;
        }
        for _ in 1..MANY {
            tokio::time::advance(WITHIN / 10).await;
            closed.again();
        }
        assert!(closed.again());
    }
}
