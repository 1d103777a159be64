//! What comes from the broker.

use std::sync::Arc;

use service::mqtt::{Inbox, Incoming};
use tokio::time::Instant;
use wire::{FeederId, Topic};

use super::{EventLoop, WaitingSum};
use crate::comparison::Work as Comparing;
use crate::metrics;
use crate::release::take_result::{Job, Work};
use service::trust::Members;

impl EventLoop {
    /// Acts on a message and acknowledges it, or returns the sum in it.
    pub(super) fn receive(&mut self, message: Incoming, inbox: &Inbox) -> Option<WaitingSum> {
        match self.topics.parse(&message.topic) {
            Some(Topic::Sum { feeder, .. }) => {
                metrics::received(message.payload.len());
                let registry = &self.enrolment.registry;
                let others = registry.others_in_rest(&feeder, &message.payload);
                let work = Work::Take(self.job(feeder, others, &message));
                return Some(WaitingSum { work, message });
            }
            Some(Topic::Bill { feeder, .. }) => {
                let others = self.enrolment.registry.others_in_areas(&feeder);
                let work = Work::Bill(self.job(feeder, others, &message));
                return Some(WaitingSum { work, message });
            }
            Some(Topic::Enrol { .. } | Topic::AnalyticsEnrol { .. }) => {
                self.enrolment
                    .handle(&message.topic, &message.payload, &mut self.schedule);
            }
            Some(Topic::Question) => self.asked(&message.payload),
            Some(Topic::Bits) => self
                .comparisons
                .give(Comparing::Bits(message.payload.clone())),
            Some(topic @ (Topic::HolderAnswer { .. } | Topic::Consent { .. })) => {
                self.holders
                    .receive(&topic, &message.payload, Instant::now());
            }
            Some(Topic::Countersignature { holder }) => {
                self.countersigned(&holder, &message.payload);
            }
            Some(Topic::Plan) => self.echo.came(&message.payload),
            _ => {
                tracing::debug!(topic = %message.topic, "a message on a topic that is not the operator's");
            }
        }
        inbox.ack(&message);
        None
    }

    /// A message with what it is judged by.
    fn job(
        &self,
        feeder: FeederId,
        others: Vec<(FeederId, Arc<Members>)>,
        message: &Incoming,
    ) -> Job {
        let registry = &self.enrolment.registry;
        Job {
            members: registry.roster.members(&feeder),
            plan: registry.plan.plan().clone(),
            min_meters: registry.plan.min_meters().clone(),
            others,
            payload: message.payload.clone(),
            feeder,
            masks: None,
        }
    }
}
