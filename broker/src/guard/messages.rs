//! PUBLISH: whether a message may pass, and whether it must wait.

use std::sync::Arc;

use rumqttd::protocol::Packet as Routed;

use super::packet::{self, Publish};
use super::reader::{BATCH, Reader};
use super::{encode, ledger};

/// Topics that a connection remembers to be admitted.
const SEEN: usize = 16_384;

impl<'a> Reader<'a> {
    pub(super) fn publish(&mut self, publish: Publish) {
        self.messages += 1;
        let topic = String::from_utf8_lossy(&publish.message.topic).into_owned();
        if let Err(reason) = self.admit(&topic, &publish) {
            self.refuse(reason, &topic);
            self.acknowledge(&publish);
            return;
        }
        let payload = publish.message.payload.len();
        self.guard.traffic.received.increment(1);
        self.guard.traffic.received_bytes.increment(payload as u64);
        let size = ledger::size(&publish.message.topic, &publish.message.payload);
        if self.held.is_empty() && self.guard.ledger.pass(&topic, size, &mut self.turn) {
            self.route(&topic, publish);
            return;
        }
        self.guard.traffic.held.increment(1);
        self.guard.traffic.held_bytes.increment(size as f64);
        self.held_bytes += size as usize;
        self.held.push_back(publish);
    }

    /// Lets a message pass and keeps it if it is to be retained, or says why not.
    fn admit(&mut self, topic: &str, publish: &Publish) -> Result<(), &'static str> {
        let identity = &self.client.identity;
        if !packet::is_routable(topic) || !identity.may_publish(topic, publish.retain) {
            return Err("not_allowed");
        }
        let names = &self.guard.names;
        let key = names.key(topic.as_bytes());
        if !self.seen.contains(&key) {
            if !names.admit_topic(key, identity.name()) {
                return Err("topics");
            }
            if self.seen.len() >= SEEN {
                self.seen.clear();
            }
            self.seen.insert(key);
        }
        let qos = u8::from(publish.id.is_some());
        let payload = &publish.message.payload;
        if publish.retain && !self.guard.retained.keep(topic, payload, qos) {
            return Err("retained");
        }
        Ok(())
    }

    /// Hands on what waited and need not wait any more.
    pub(super) fn release(&mut self) {
        while self.batch.len() < BATCH
            && let Some(first) = self.held.front()
        {
            let size = ledger::size(&first.message.topic, &first.message.payload);
            let topic = String::from_utf8_lossy(&first.message.topic).into_owned();
            if !self.guard.ledger.pass(&topic, size, &mut self.turn) {
                return;
            }
            self.guard.traffic.held_bytes.decrement(size as f64);
            self.held_bytes -= size as usize;
            self.full_since = None;
            if let Some(publish) = self.held.pop_front() {
                self.route(&topic, publish);
            }
        }
        if self.held.is_empty() {
            self.guard.ledger.end(&mut self.turn);
        }
    }

    /// Stands in line for the message that waits first, and returns once it may pass.
    pub(super) fn room(&mut self) -> impl Future<Output = ()> + use<'a> {
        let guard = self.guard;
        let called = match self.held.front() {
            Some(first) => {
                let size = ledger::size(&first.message.topic, &first.message.payload);
                let topic = String::from_utf8_lossy(&first.message.topic);
                guard.ledger.stand(&topic, size, &mut self.turn)
            }
            None => Arc::default(),
        };
        async move { guard.ledger.room(&called).await }
    }

    fn route(&mut self, topic: &str, publish: Publish) {
        self.guard.learn(topic, &publish.message.payload);
        self.batch_bytes += publish.message.topic.len() + publish.message.payload.len();
        self.routed = true;
        self.acknowledge(&publish);
        self.batch.push(Routed::Publish(publish.message, None));
    }

    fn acknowledge(&mut self, publish: &Publish) {
        if let Some(id) = publish.id {
            encode::puback(&mut self.answers, id);
        }
    }
}
