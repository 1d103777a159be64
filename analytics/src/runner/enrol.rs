//! Asking the operator to be enrolled.

use service::plan::HeldPlan;
use tokio::time::Instant;
use wire::AnalyticsEnrol;

use super::{ASK_AGAIN, Runner};

impl Runner {
    pub(super) fn is_enrolled(&self, held: &HeldPlan) -> bool {
        let (id, key) = (&self.settings.analytics.id, self.key.verifying_key());
        held.plan
            .analytics
            .iter()
            .any(|entry| entry.id == *id && entry.key == key)
    }

    /// Asks to be enrolled for as long as the plan does not name this service and its key.
    pub(super) async fn ask(&mut self) {
        let recently = self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        let enrolled = self
            .plan
            .current()
            .is_some_and(|held| self.is_enrolled(&held));
        if enrolled || recently || !self.publisher.is_connected() {
            return;
        }
        self.asked = Some(Instant::now());
        let analytics = &self.settings.analytics;
        let request = AnalyticsEnrol {
            id: analytics.id.clone(),
            key: self.key.verifying_key(),
            feeders: analytics.feeders.clone(),
        };
        let topic = self.topics.analytics_enrol(&analytics.id);
        let (payload, _) = wire::seal(
            &request,
            None,
            &self.settings.deployment.id,
            &topic,
            &self.key,
        );
        let _ = self.publisher.publish(topic, payload, false).await;
        if self.plan.current().is_some() {
            tracing::info!("waiting for the operator to enrol {}", analytics.id);
        }
    }
}
