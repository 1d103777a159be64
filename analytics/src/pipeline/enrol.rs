//! Asking the operator to be enrolled, and to give feeders up once they are drained.

use tokio::time::Instant;
use wire::{AnalyticsEnrol, FeederId, PlanVersion};

use super::{ASK_AGAIN, Runner};
use crate::engine::Handover;

impl Runner {
    /// Asks the operator for as long as the plan does not have this service with its key and its feeders; not before
    /// reports can come, because a broker drops those that nobody is subscribed to, and gateways send once the plan names
    /// this service.
    pub(super) async fn ask(&mut self) {
        let recently = self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if recently || !self.uptime.is_connected() {
            return;
        }
        self.asked = Some(Instant::now());
        self.say_handover();
        let Some(feeders) = self.wanted() else {
            return;
        };
        let analytics = &self.settings.analytics;
        let request = AnalyticsEnrol {
            id: analytics.id.clone(),
            key: self.key.verifying_key(),
            feeders,
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
            tracing::info!(
                "waiting for the operator to enrol {} with its feeders",
                analytics.id
            );
        }
    }

    /// Takes note of what kept feeders from being handed over at a commit; asks at once when nothing does any more.
    pub(super) fn committed(&mut self, version: PlanVersion, handover: Handover) {
        let now = (version, handover);
        let is_drained = now.1.draining.is_empty() && !self.leaving.is_empty();
        if is_drained && self.handover.as_ref() != Some(&now) {
            self.asked = None;
        }
        self.handover = Some(now);
    }

    /// The feeders to ask for; none while the plan has them so, or those to be given up are not drained.
    fn wanted(&self) -> Option<Vec<FeederId>> {
        let configured = &self.settings.analytics.feeders;
        let Some(assigned) = &self.assigned else {
            return Some(configured.clone());
        };
        let drained = self.handover.as_ref().is_some_and(|(version, handover)| {
            *version == assigned.plan.version && handover.draining.is_empty()
        });
        assigned.request(&self.key.verifying_key(), configured, drained)
    }

    /// Says what a handover waits for, and what an earlier one left behind.
    fn say_handover(&mut self) {
        let Some((_, handover)) = &self.handover else {
            return;
        };
        if !handover.draining.is_empty() {
            let text = handover.to_string();
            if self.hint.is_due(&text) {
                tracing::info!(
                    "before they are given up, these feeders wait for what is open: {text}"
                );
            }
        }
        if let Some((feeder, releases)) = handover.stranded.first() {
            let owner = self.assigned.as_ref().and_then(|plan| plan.owner(feeder));
            let owner = owner.map_or("nobody", |owner| owner.as_str());
            let id = &self.settings.analytics.id;
            let text = format!(
                "the plan gives feeder {feeder} to {owner}, so {releases} releases of it that {id} made before wait, and are in no \
                 total: have {owner} give it up (`analytics.feeders` without it), and then {id} take it back"
            );
            if self.hint.is_due(&text) {
                tracing::error!(feeders = handover.stranded.len(), "{text}");
            }
        }
    }
}
