//! What a message is, and what becomes of it.

use service::mqtt::{self, Event as Link};
use service::trust::Offer;
use service::warn_limited;
use wire::{SumReceipt, Topic, Unverified};

use super::Runner;
use crate::admit::Incoming;
use crate::metrics;

impl Runner {
    /// Takes notice of an event of the connection; returns a report, if it was one.
    pub(super) fn handle(&mut self, event: Link) -> Option<Incoming> {
        match event {
            Link::Connected => {
                self.uptime.connected(true);
                self.say_again();
                self.resent = None;
                None
            }
            Link::Disconnected { .. } => {
                self.uptime.connected(false);
                None
            }
            Link::Message(incoming) => {
                self.inbox.ack(&incoming);
                match self.topics.parse(&incoming.topic) {
                    Some(Topic::Report { .. }) => {
                        metrics::received(incoming.payload.len());
                        return Some(Incoming {
                            topic: incoming.topic,
                            payload: incoming.payload,
                        });
                    }
                    Some(Topic::Plan | Topic::Renewal) => self.take_plan(&incoming),
                    Some(Topic::Roster { .. }) => self.take_roster(&incoming),
                    Some(Topic::SumReceipt { .. }) => self.take_sum_receipt(&incoming),
                    _ => {
                        metrics::received(incoming.payload.len());
                        metrics::rejected(wire::Reason::WrongTopic, || incoming.topic);
                    }
                }
                None
            }
        }
    }

    fn take_plan(&mut self, incoming: &mqtt::Incoming) {
        match self.plan.offer(&incoming.topic, &incoming.payload) {
            Ok(Offer::New) => {
                if let Some(held) = self.plan.current() {
                    tracing::info!(version = %held.plan.version, "plan taken");
                }
                // The operator is there now, whatever it missed before.
                self.asked = None;
                self.use_plan();
                self.generation += 1;
            }
            Ok(Offer::Renewed) => metrics::plan_valid_until(self.plan.valid_until()),
            Ok(_) => {}
            Err(refused) => {
                warn_limited!(reason = refused.reason; "refused a plan or its renewal: {refused}");
            }
        }
    }

    fn take_roster(&mut self, incoming: &mqtt::Incoming) {
        let operator = self.plan.operator_key();
        match self
            .roster
            .offer(operator, &incoming.topic, &incoming.payload)
        {
            Ok(Offer::New) => self.generation += 1,
            Ok(_) => {}
            Err(refused) => {
                warn_limited!(reason = refused.reason; "refused a roster page: {refused}");
            }
        }
    }

    fn take_sum_receipt(&mut self, incoming: &mqtt::Incoming) {
        let Some(operator) = self.plan.operator_key() else {
            return;
        };
        let opened = wire::decode_shared(&incoming.payload, self.settings.mqtt.max_packet_bytes)
            .and_then(|unverified: Unverified<SumReceipt>| {
                unverified.verify(&self.settings.deployment.id, &incoming.topic, &operator)
            });
        match opened {
            Ok(opened) => self.settled.keep(opened.message),
            Err(error) => {
                warn_limited!(reason = error.reason(); "refused an operator's receipt: {}", service::Chain(&error));
            }
        }
    }
}
