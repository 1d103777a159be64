//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! The router changes nothing on a filter that it has already, answers UNSUBSCRIBE once a filter or not at all, and after a
//! reconnection knows no filter of an earlier connection when it is unsubscribed from. So it is told what it understands, and
//! the guard answers.

use std::collections::BTreeMap;

use rumqttd::protocol::{Filter, Packet as Routed, QoS, RetainForwardRule, Subscribe, Unsubscribe};

use super::encode;
use super::lane::{Granted, Subscription};
use super::reader::Reader;
use super::{caps::lock, packet};

/// Return code of SUBACK for a filter that is refused.
const FAILURE: u8 = 0x80;

/// A filter's QoS, and the one it has already.
struct Wanted {
    qos: u8,
    before: Option<u8>,
}

impl Reader<'_> {
    pub(super) fn subscribe(&mut self, id: u16, filters: Vec<(String, u8)>) {
        let (codes, wanted) = self.wanted(filters);
        let mut granted = Vec::with_capacity(wanted.len());
        for (filter, Wanted { qos, before }) in wanted {
            self.filters.insert(filter.clone(), qos);
            if before.is_some_and(|before| before != qos) {
                self.forget(id, &filter);
            }
            self.resumed.remove(&filter);
            let required = qos > 0 && self.client.identity.is_required(&filter);
            granted.push(Granted {
                filter,
                qos,
                required,
            });
        }
        if granted.is_empty() {
            encode::suback(&mut self.answers, id, &codes);
            return;
        }
        let wanted = granted.iter().map(|it| (it.filter.as_str(), it.qos));
        let subscribe = to_router(id, wanted);
        lock(&self.lane.subscriptions).push_back(Subscription::Client { id, codes, granted });
        self.batch.push(subscribe);
    }

    /// The return codes, and each filter that is granted once, however often the packet has it: its last QoS counts.
    fn wanted(&mut self, filters: Vec<(String, u8)>) -> (Vec<u8>, BTreeMap<String, Wanted>) {
        let mut codes = Vec::with_capacity(filters.len());
        let mut all = BTreeMap::<String, Wanted>::new();
        for (filter, qos) in filters {
            if let Some(wanted) = all.get_mut(&filter) {
                wanted.qos = qos;
            } else if let Some(reason) = self.filter_refusal(&filter) {
                self.refuse(reason, &filter);
                codes.push(FAILURE);
                continue;
            } else {
                let before = self.filters.get(&filter).copied();
                // It counts for those behind it.
                self.filters.entry(filter.clone()).or_insert(qos);
                all.insert(filter, Wanted { qos, before });
            }
            codes.push(qos);
        }
        (codes, all)
    }

    fn filter_refusal(&self, filter: &str) -> Option<&'static str> {
        if !packet::is_routable(filter) || !self.client.identity.may_subscribe(filter) {
            return Some("filter");
        }
        if self.filters.contains_key(filter) {
            return None;
        }
        if self.filters.len() >= self.guard.limits.max_subscriptions {
            return Some("subscriptions");
        }
        let identity = self.client.identity.name();
        (!self.guard.names.admit_filter(filter, identity)).then_some("filters")
    }

    pub(super) fn unsubscribe(&mut self, id: u16, filters: &[String]) {
        for filter in filters {
            if self.filters.remove(filter).is_some() {
                self.forget(id, filter);
            }
        }
        encode::unsuback(&mut self.answers, id);
    }

    /// Ends a subscription of the router's.
    fn forget(&mut self, id: u16, filter: &str) {
        if self.resumed.remove(filter) {
            // Else the router knows nothing of it.
            lock(&self.lane.subscriptions).push_back(Subscription::Own);
            self.batch.push(to_router(id, [(filter, 1)]));
        }
        let filters = vec![filter.to_owned()];
        let unsubscribe = Unsubscribe { pkid: id, filters };
        self.batch.push(Routed::Unsubscribe(unsubscribe, None));
        lock(&self.lane.required).retain(|required| required != filter);
        let ledger = &self.guard.ledger;
        ledger.leave(&self.lane.client_id, Some(filter));
    }
}

fn to_router<'a>(id: u16, filters: impl IntoIterator<Item = (&'a str, u8)>) -> Routed {
    let filters = filters.into_iter().map(|(filter, qos)| Filter {
        path: filter.to_owned(),
        qos: match qos {
            0 => QoS::AtMostOnce,
            _ => QoS::AtLeastOnce,
        },
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: RetainForwardRule::Never,
    });
    let filters = filters.collect();
    Routed::Subscribe(Subscribe { pkid: id, filters }, None)
}
