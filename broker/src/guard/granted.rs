//! What follows once the router has confirmed a SUBSCRIBE: the client's answer, what is retained, and what is required.

use rumqttd::protocol::matches;

use super::caps::lock;
use super::encode::{self, Delivered, QOS1, RETAIN};
use super::lane::Subscription;
use super::ledger::{self, Sent};
use super::writer::{HEAD, PIECES, Writer};

impl Writer<'_> {
    pub(super) fn subscribed(&mut self) {
        let confirmed = self.lane.confirm();
        let Some(Subscription::Client { id, codes, granted }) = confirmed else {
            return;
        };
        encode::suback(&mut self.head, id, &codes);
        for granted in granted {
            if granted.required {
                self.lane.require(&self.guard.ledger, &granted.filter);
            }
            self.granted.insert(granted.filter, granted.qos);
        }
    }

    pub(super) fn required(
        &self,
        delivered: &Delivered,
        place: Option<(u64, u64)>,
    ) -> Option<Sent> {
        let (_, offset) = place?;
        let required = lock(&self.lane.required);
        if required.is_empty() {
            return None;
        }
        let topic = std::str::from_utf8(&delivered.topic).ok()?;
        let filter = required.iter().find(|filter| matches(topic, filter))?;
        let sent = Sent {
            filter: filter.clone(),
            size: ledger::size(&delivered.topic, &delivered.payload),
            offset,
        };
        self.guard.ledger.sent(&self.lane.client_id, &sent);
        Some(sent)
    }

    /// Looks for what is retained on one filter at most, and lets others do something behind that: it takes a while.
    pub(super) async fn write_retained(&mut self) {
        while self.pieces.len() < PIECES && self.head.len() < HEAD {
            let Some(kept) = self.retained.pop_front() else {
                // One filter at a time: all of them may match everything.
                let Some((filter, qos)) = self.granted.pop_first() else {
                    return;
                };
                self.retained.extend(self.guard.retained.of(&filter, qos));
                tokio::task::yield_now().await;
                return;
            };
            let mut id = None;
            if kept.qos > 0 {
                id = lock(&self.lane.deliveries).retained();
                if id.is_none() {
                    self.retained.push_front(kept);
                    return;
                }
            }
            let flags = RETAIN | if id.is_some() { QOS1 } else { 0 };
            encode::publish(&mut self.head, flags, &kept.topic, id, kept.payload.len());
            self.payload(kept.payload);
        }
    }
}
