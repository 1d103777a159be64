//! Publishing the plan with its renewal, and the roster: durable first, then one document after the other, as there is room.

use tokio::time::Instant;

use super::EventLoop;
use super::egress::{Egress, Outgoing};
use crate::error::OperatorError;
use crate::event::Event;
use crate::plan::publish::Item;

impl EventLoop {
    /// Makes the registry durable. If that fails, all that changed is due again.
    pub(super) fn save(&mut self) -> bool {
        let saved = self.enrolment.save();
        if !saved {
            self.schedule.postpone(Vec::new(), Instant::now());
        }
        saved
    }

    /// Makes what is due durable and lets it leave.
    pub(super) fn begin_publishing(&mut self) {
        let extent = self.enrolment.registry.roster.extent();
        let mut items = self.schedule.take(extent, Instant::now());
        if items.is_empty() {
            return;
        }
        if self.enrolment.save() && self.publisher.is_connected() {
            self.hold_roster(&mut items);
            self.leaving.extend(items);
        } else {
            self.schedule.postpone(items, Instant::now());
        }
    }

    /// Signs the next document and hands it over.
    pub(super) async fn publish_next(&mut self, egress: &Egress) -> Result<(), OperatorError> {
        let registry = &mut self.enrolment.registry;
        let messages = match self.leaving.pop_front() {
            Some(Item::Plan) => {
                let topic = self.topics.renewal();
                let now = registry.clock.now();
                let renewal = registry.plan.renewal(&topic, &self.keyring, now);
                let plan = registry.plan.sealed(&self.keyring);
                self.echo.published(&plan);
                vec![(self.topics.plan(), plan), (topic, renewal)]
            }
            Some(Item::Page(page)) => registry
                .roster
                .sealed(page, &self.keyring)
                .into_iter()
                .collect(),
            Some(Item::Own(part)) => registry.roster.sealed_own(part, &self.keyring),
            None => Vec::new(),
        };
        if !messages.is_empty() {
            let outgoing = Outgoing {
                messages,
                retain: true,
                after_taking: false,
            };
            egress.send(outgoing).await?;
        }
        if self.leaving.is_empty() {
            self.published();
        }
        Ok(())
    }

    /// Tells what is new in what was published.
    fn published(&mut self) {
        let registry = &self.enrolment.registry;
        let plan = registry.plan.plan();
        let version = plan.version;
        let meters = registry.roster.len();
        if self.published.0 != version {
            tracing::info!(%version, feeders = plan.feeders.len(), "published the plan");
            self.observer.tell(Event::PlanPublished { version });
        }
        if self.published.1 != meters {
            tracing::info!(meters, "published the roster");
            self.observer.tell(Event::Enrolled { meters });
        }
        self.published = (version, meters);
    }
}
