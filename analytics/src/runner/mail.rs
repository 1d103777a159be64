//! What a message is, and what becomes of it.

use service::mqtt::{self, Event as Link};
use service::plan::Offer;
use tokio::time::Instant;
use wire::{SumReceipt, Topic, Unverified};

use super::{ASK_AGAIN, Runner};
use crate::engine::Incoming;
use crate::metrics as meter;

/// What a message was.
pub(super) enum Handled {
    Report(Incoming),
    SumReceipt(SumReceipt),
    Plan,
    Nothing,
}

impl Runner {
    /// Takes notice of an event of the connection.
    pub(super) async fn handle(&mut self, event: Link) -> Handled {
        match event {
            Link::Connected => {
                self.reach.connected(true);
                self.asked = None;
                self.resent = Instant::now() - ASK_AGAIN;
                Handled::Nothing
            }
            Link::Disconnected { .. } => {
                self.reach.connected(false);
                Handled::Nothing
            }
            Link::Message(incoming) => {
                self.inbox.ack(&incoming);
                match self.topics.parse(&incoming.topic) {
                    Some(Topic::Report { .. }) => Handled::Report(Incoming {
                        topic: incoming.topic,
                        payload: incoming.payload,
                    }),
                    Some(Topic::Plan) => self.take_plan(&incoming),
                    Some(Topic::Roster { .. }) => self.take_roster(&incoming),
                    Some(Topic::SumReceipt { .. }) => self.take_sum_receipt(&incoming),
                    _ => {
                        meter::received(incoming.payload.len());
                        meter::rejected(wire::Reason::WrongTopic, || incoming.topic);
                        Handled::Nothing
                    }
                }
            }
        }
    }

    fn take_plan(&mut self, incoming: &mqtt::Incoming) -> Handled {
        match self.plan.offer(&incoming.topic, &incoming.payload) {
            Ok(Offer::New) => {
                tracing::info!(version = ?self.plan.current().map(|held| held.plan.version.0), "plan taken");
                // The operator is there now, whatever it missed before.
                self.asked = None;
                Handled::Plan
            }
            Ok(_) => Handled::Nothing,
            Err(refused) => {
                tracing::warn!(reason = %refused.reason, "refused a plan: {refused}");
                Handled::Nothing
            }
        }
    }

    fn take_roster(&mut self, incoming: &mqtt::Incoming) -> Handled {
        if let Err(refused) =
            self.roster
                .offer(self.plan.operator_key(), &incoming.topic, &incoming.payload)
        {
            tracing::warn!(reason = %refused.reason, "refused a roster page: {refused}");
        }
        Handled::Nothing
    }

    fn take_sum_receipt(&self, incoming: &mqtt::Incoming) -> Handled {
        let Some(operator) = self.plan.operator_key() else {
            return Handled::Nothing;
        };
        let opened = wire::decode_shared(&incoming.payload, self.settings.mqtt.max_packet_bytes)
            .and_then(|unverified: Unverified<SumReceipt>| {
                unverified.verify(&self.settings.deployment.id, &incoming.topic, &operator)
            });
        match opened {
            Ok(opened) => Handled::SumReceipt(opened.message),
            Err(error) => {
                tracing::warn!(reason = %error.reason(), "refused an operator's receipt: {error}");
                Handled::Nothing
            }
        }
    }
}
