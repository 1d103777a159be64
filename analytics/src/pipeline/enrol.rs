//! Asking the operator to be enrolled, and to give feeders up once they are drained.

use tokio::time::Instant;
use wire::{AnalyticsEnrol, FeederId, PlanVersion};

use super::{ASK_AGAIN, Runner};
use crate::assignment::Request;
use crate::engine::Handover;

impl Runner {
    /// Asks the operator for as long as the plan does not have this service with its key and its feeders, and says once
    /// that it agrees; not before reports can come, because a broker drops those that nobody is subscribed to, and
    /// gateways send once the plan names this service.
    pub(super) async fn ask(&mut self) {
        let recently = self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if recently || !self.uptime.is_connected() {
            return;
        }
        self.asked = Some(Instant::now());
        self.say_handover();
        let Some(feeders) = self.to_say() else {
            return;
        };
        let analytics = &self.settings.analytics;
        let request = AnalyticsEnrol {
            id: analytics.id.clone(),
            key: self.key.verifying_key(),
            issued_at: self.clock.now(),
            feeders: feeders.clone(),
            pool: analytics.pool.clone(),
        };
        let topic = self.topics.analytics_enrol(&analytics.id);
        let (payload, _) = wire::seal(
            &request,
            None,
            &self.settings.deployment.id,
            &topic,
            &self.key,
        );
        let mut connected = self.publisher.connected();
        tokio::select! {
            biased;
            _ = self.publisher.publish(topic, payload, false) => {}
            // It waits for room until the broker is back. It is asked again then.
            _ = connected.wait_for(|connected| !connected) => return,
        }
        match self.request() {
            None => return,
            Some(Request::Change(_)) => tracing::info!(
                key = %request.key,
                "waiting for the operator to enrol {} with its feeders",
                analytics.id
            ),
            Some(Request::Agreed(_) | Request::Draining(_)) => {}
        }
        self.said = Some(feeders);
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

    /// The feeders to ask for, again and again until the plan has them; or those that the plan has, once.
    ///
    /// An earlier process may have asked for another list, and that request may still wait for a person: granted now, it
    /// could take a feeder with open windows. The operator drops it when it hears of a newer list.
    fn to_say(&self) -> Option<Vec<FeederId>> {
        let (list, is_due) = match self.request() {
            None => (self.settings.analytics.feeders.clone(), true),
            Some(Request::Change(list)) => (list, true),
            Some(Request::Agreed(list)) => {
                let is_due = self.said.as_ref() != Some(&list);
                (list, is_due)
            }
            // What this process asked for itself is not taken back because a newer plan has come since.
            Some(Request::Draining(list)) => (list, self.said.is_none()),
        };
        is_due.then_some(list)
    }

    /// After a new connection: a broker that was started again has lost what the operator had not received. What this
    /// process said of the present plan is said again.
    pub(super) fn say_again(&mut self) {
        self.asked = None;
        if let Some(Request::Agreed(list) | Request::Draining(list)) = self.request()
            && self.said.as_ref() == Some(&list)
        {
            self.said = None;
        }
    }

    /// `None` without a plan.
    fn request(&self) -> Option<Request> {
        let assigned = self.assigned.as_ref()?;
        let drained = self.handover.as_ref().is_some_and(|(version, handover)| {
            *version == assigned.plan().version && handover.draining.is_empty()
        });
        let key = self.key.verifying_key();
        Some(assigned.request(&key, &self.settings.analytics.feeders, drained))
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
