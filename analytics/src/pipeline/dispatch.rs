//! What a message is, and what becomes of it.

use service::mqtt::{self, Event as Link};
use service::trust::Offer;
use service::warn_limited;
use wire::{Message, SumReceipt, Topic, Unverified};

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
                    Some(Topic::BillReceipt { .. }) => self.take_bill_receipt(&incoming),
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
        if let Some(receipt) = self.operators::<SumReceipt>(incoming) {
            self.settled.keep(receipt);
        }
    }

    fn take_bill_receipt(&mut self, incoming: &mqtt::Incoming) {
        if let Some(receipt) = self.operators(incoming) {
            self.settled.keep_bill(receipt);
        }
    }

    /// A message of the operator's, if its signature holds.
    fn operators<M: Message>(&self, incoming: &mqtt::Incoming) -> Option<M> {
        let operator = self.plan.operator_key()?;
        let opened = wire::decode_shared(&incoming.payload, self.settings.mqtt.max_packet_bytes)
            .and_then(|unverified: Unverified<M>| {
                unverified.verify(&self.settings.deployment.id, &incoming.topic, &operator)
            });
        match opened {
            Ok(opened) => Some(opened.message),
            Err(error) => {
                warn_limited!(reason = error.reason(); "refused an operator's receipt: {}", service::Chain(&error));
                None
            }
        }
    }
}
