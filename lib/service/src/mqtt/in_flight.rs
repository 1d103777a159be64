//! What is on its way: publishes without an acknowledgement, and deliveries we have not acknowledged.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{metrics, publisher::Outgoing};

/// Publishes that await the broker's acknowledgement, oldest first.
#[derive(Debug)]
pub(super) struct InFlightQueue {
    limit: usize,
    entries: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    message: Outgoing,
    since: Instant,
    /// Handed to rumqttc on this connection or an earlier one.
    handed_over: bool,
    /// The packet id on this connection, once rumqttc has chosen it.
    id: Option<u16>,
    /// The id, if rumqttc keeps the message back until an earlier one with that id is acknowledged.
    waits_for: Option<u16>,
}

/// A publish that the broker acknowledged.
#[derive(Debug)]
pub(super) struct Published {
    pub bytes: usize,
    pub since: Instant,
}

impl InFlightQueue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            entries: VecDeque::new(),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.entries.len() < self.limit
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, message: Outgoing, handed_over: bool) {
        metrics::in_flight(0, 1);
        self.entries.push_back(InFlight {
            message,
            since: Instant::now(),
            handed_over,
            id: None,
            waits_for: None,
        });
    }

    /// rumqttc sent the oldest message that has no id yet under this one; with `waiting`, it will do
    /// so once the id is free, and says so then.
    pub(super) fn sent(&mut self, id: u16, waiting: bool) {
        let mut entries = self.entries.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.waits_for == Some(id)) {
            entry.waits_for = None;
            return;
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id.is_none()) {
            entry.id = Some(id);
            entry.waits_for = waiting.then_some(id);
        }
    }

    /// The broker acknowledged the oldest message with this id.
    pub(super) fn acknowledged(&mut self, id: u16) -> Option<Published> {
        let index = self.entries.iter().position(|entry| entry.id == Some(id))?;
        let entry = self.entries.remove(index)?;
        metrics::in_flight(1, 0);
        Some(Published {
            bytes: entry.message.payload.len(),
            since: entry.since,
        })
    }

    /// A new connection: everything is sent again, in order. The flag tells whether a message was
    /// handed over before.
    pub(super) fn restart(&mut self) -> Vec<(Outgoing, bool)> {
        self.entries
            .iter_mut()
            .map(|entry| {
                entry.id = None;
                entry.waits_for = None;
                let again = std::mem::replace(&mut entry.handed_over, true);
                (entry.message.clone(), again)
            })
            .collect()
    }
}

impl Drop for InFlightQueue {
    fn drop(&mut self) {
        metrics::in_flight(self.entries.len(), 0);
    }
}

/// Deliveries of this connection, in order. Brokers want acknowledgements in that order; consumers
/// acknowledge in an order of their own.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    open: VecDeque<(u16, bool)>,
    /// Sequence number of the first open delivery.
    first: u64,
}

impl Deliveries {
    /// Records a delivery and returns its sequence number, which is never 0.
    pub(super) fn delivered(&mut self, id: u16) -> u64 {
        self.first = self.first.max(1);
        self.open.push_back((id, false));
        self.first + self.open.len() as u64 - 1
    }

    /// The consumer acknowledges a delivery. Returns the packet ids that the broker can be told of now, in order.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> Vec<u16> {
        let index = sequence
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok());
        let Some(entry) = index.and_then(|index| self.open.get_mut(index)) else {
            return Vec::new();
        };
        entry.1 = true;
        let ready = self
            .open
            .iter()
            .take_while(|(_, acknowledged)| *acknowledged)
            .count();
        self.first += ready as u64;
        self.open.drain(..ready).map(|(id, _)| id).collect()
    }

    /// Gives the first open delivery up and returns the packet ids that can be acknowledged now.
    pub(super) fn give_up_first(&mut self) -> Vec<u16> {
        self.acknowledge(self.first)
    }

    /// Deliveries that were not acknowledged to the broker.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A new connection: the broker delivers again what was not acknowledged.
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.first = 1;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Outgoing {
        Outgoing {
            topic: text.to_owned(),
            payload: Bytes::from(text.to_owned()),
            retain: false,
        }
    }

    fn topics(messages: Vec<(Outgoing, bool)>) -> Vec<(String, bool)> {
        messages
            .into_iter()
            .map(|(message, again)| (message.topic, again))
            .collect()
    }

    #[test]
    fn a_queue_takes_its_limit_and_frees_on_acknowledgement() {
        let mut queue = InFlightQueue::new(2);
        queue.push(message("a"), true);
        queue.push(message("b"), true);
        assert!(!queue.has_room());
        queue.sent(7, false);
        queue.sent(8, false);
        assert_eq!(queue.acknowledged(8).map(|done| done.bytes), Some(1));
        assert!(queue.has_room());
        assert!(queue.acknowledged(8).is_none());
        assert!(queue.acknowledged(7).is_some());
        assert!(queue.is_empty());
    }

    #[test]
    fn a_new_connection_sends_what_is_left_again_in_order() {
        let mut queue = InFlightQueue::new(4);
        for name in ["a", "b", "c"] {
            queue.push(message(name), true);
        }
        queue.push(message("d"), false);
        queue.sent(1, false);
        queue.sent(2, false);
        queue.acknowledged(1);
        let again = topics(queue.restart());
        let expected = [("b", true), ("c", true), ("d", false)];
        assert_eq!(again, expected.map(|(name, flag)| (name.to_owned(), flag)));
        // Ids of the old connection mean nothing any more.
        assert!(queue.acknowledged(2).is_none());
    }

    #[test]
    fn an_id_that_had_to_wait_is_counted_once() {
        let mut queue = InFlightQueue::new(4);
        queue.push(message("a"), true);
        queue.sent(1, false);
        queue.push(message("b"), true);
        queue.sent(1, true);
        assert!(queue.acknowledged(1).is_some());
        queue.sent(1, false);
        queue.push(message("c"), true);
        queue.sent(2, false);
        assert!(queue.acknowledged(2).is_some());
        assert!(queue.acknowledged(1).is_some());
        assert!(queue.is_empty());
    }

    #[test]
    fn a_delivery_given_up_is_not_acknowledged_twice() {
        let mut deliveries = Deliveries::default();
        let (first, second) = (deliveries.delivered(7), deliveries.delivered(8));
        assert_eq!(deliveries.give_up_first(), [7]);
        assert!(deliveries.acknowledge(first).is_empty());
        assert_eq!(deliveries.acknowledge(second), [8]);
        assert_eq!(deliveries.len(), 0);
    }

    proptest! {
        /// Whatever the order in which a consumer acknowledges, and however often, ids go out in the order
        /// of delivery, each once.
        #[test]
        fn acknowledgements_keep_the_order_of_delivery(
            order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
            again in prop::collection::vec(0..40_usize, 40),
        ) {
            let mut deliveries = Deliveries::default();
            let sequences: Vec<u64> = (1..=40).map(|id| deliveries.delivered(id)).collect();
            prop_assert!(!sequences.contains(&0));
            let mut out = Vec::new();
            let mut acknowledged = Vec::new();
            for (index, again) in order.into_iter().zip(again) {
                acknowledged.push(index);
                out.extend(deliveries.acknowledge(sequences[index]));
                let repeated = acknowledged[again % acknowledged.len()];
                out.extend(deliveries.acknowledge(sequences[repeated]));
            }
            prop_assert_eq!(out, (1..=40).collect::<Vec<u16>>());
        }
    }
}
