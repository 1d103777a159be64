//! Messages that a client was sent and has to acknowledge.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

use super::ledger::Sent;

/// Retained messages that may be unacknowledged at a time.
const RETAINED: usize = 100;

/// The router's ids end at 100. Those of retained messages, which it does not know of, begin behind.
const FIRST_RETAINED: u16 = 101;

#[derive(Default)]
pub(super) struct Deliveries {
    /// From the router, which takes acknowledgements only in this order.
    sent: VecDeque<Delivery>,
    retained: HashSet<u16>,
    last: u16,
}

pub(super) struct Delivery {
    pub(super) id: u16,
    pub(super) done: bool,
    pub(super) topic: Bytes,
    /// Where it is in the log of its filter.
    pub(super) place: Option<(u64, u64)>,
    /// If it is required to arrive.
    pub(super) required: Option<Sent>,
}

impl Deliveries {
    pub(super) fn sent(&mut self, delivery: Delivery) {
        self.sent.push_back(delivery);
    }

    pub(super) fn has_room(&self) -> bool {
        self.retained.len() < RETAINED
    }

    /// An id for a retained message, unless too many are unacknowledged.
    pub(super) fn retained(&mut self) -> Option<u16> {
        if !self.has_room() {
            return None;
        }
        loop {
            self.last = self.last.wrapping_add(1).max(FIRST_RETAINED);
            if self.retained.insert(self.last) {
                return Some(self.last);
            }
        }
    }

    /// Whether something of that id was unacknowledged.
    pub(super) fn acknowledge(&mut self, id: u16) -> bool {
        if id >= FIRST_RETAINED {
            return self.retained.remove(&id);
        }
        let mut waiting = self.sent.iter_mut();
        match waiting.find(|delivery| delivery.id == id && !delivery.done) {
            Some(delivery) => {
                delivery.done = true;
                true
            }
            None => false,
        }
    }

    /// Those at the front that are done with: the router can be told.
    pub(super) fn settled(&mut self) -> Vec<Delivery> {
        let mut settled = Vec::new();
        while let Some(delivery) = self.sent.pop_front_if(|delivery| delivery.done) {
            settled.push(delivery);
        }
        settled
    }

    /// What a session keeps, to tell what is sent again.
    pub(super) fn unacknowledged(&self) -> Vec<(Bytes, (u64, u64))> {
        let copied = |delivery: &Delivery| {
            let topic = Bytes::copy_from_slice(&delivery.topic);
            delivery.place.map(|place| (topic, place))
        };
        let waiting = self.sent.iter().filter(|delivery| !delivery.done);
        waiting.filter_map(copied).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deliveries(ids: &[u16]) -> Deliveries {
        let mut deliveries = Deliveries::default();
        for id in ids {
            deliveries.sent(Delivery {
                id: *id,
                done: false,
                topic: Bytes::from_static(b"t"),
                place: Some((0, u64::from(*id))),
                required: None,
            });
        }
        deliveries
    }

    fn settled(deliveries: &mut Deliveries) -> Vec<u16> {
        let settled = deliveries.settled().into_iter();
        settled.map(|delivery| delivery.id).collect()
    }

    #[test]
    fn the_router_hears_of_acknowledgements_in_its_own_order_and_of_no_other() {
        let mut deliveries = deliveries(&[99, 100, 1]);
        assert!(!deliveries.acknowledge(2), "it was not sent");
        assert!(deliveries.acknowledge(100));
        assert!(!deliveries.acknowledge(100), "twice");
        assert!(settled(&mut deliveries).is_empty());
        assert!(deliveries.acknowledge(99));
        assert_eq!(settled(&mut deliveries), [99, 100]);
        assert_eq!(deliveries.unacknowledged().len(), 1);
    }

    #[test]
    fn retained_messages_have_ids_that_the_router_never_uses_and_a_window() {
        let mut deliveries = deliveries(&[]);
        let ids: Vec<u16> = std::iter::from_fn(|| deliveries.retained()).collect();
        assert_eq!(ids.len(), RETAINED);
        assert!(ids.iter().all(|id| *id > 100));
        assert!(deliveries.acknowledge(ids[7]));
        assert!(deliveries.retained().is_some());
        deliveries.last = u16::MAX;
        assert!(deliveries.acknowledge(ids[8]));
        assert!(deliveries.retained().is_some_and(|id| id > 100), "ids wrap");
    }
}
