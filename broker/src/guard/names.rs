//! Names that the router never forgets: topics that were published to, and filters that were subscribed to.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;

use service::config::Broker;

use super::caps::lock;
use super::metrics;

/// Topics and filters are kept as hashes under a key that nobody outside knows: 8 bytes each.
pub(super) struct Names {
    hasher: RandomState,
    known: Mutex<Known>,
    topics: usize,
    per_identity: usize,
    filters: usize,
    filters_per_identity: usize,
}

#[derive(Default)]
struct Known {
    topics: HashSet<u64>,
    by_identity: HashMap<u64, usize>,
    filters: HashSet<u64>,
    filters_by_identity: HashMap<u64, usize>,
}

impl Names {
    pub(super) fn new(settings: &Broker) -> Self {
        Self {
            hasher: RandomState::new(),
            known: Mutex::default(),
            topics: settings.max_topics,
            per_identity: settings.max_topics_per_identity,
            filters: settings.max_filters,
            filters_per_identity: settings.max_filters_per_identity,
        }
    }

    /// What a client's own memory of topics is keyed by.
    pub(super) fn key(&self, topic: &[u8]) -> u64 {
        self.hasher.hash_one(topic)
    }

    /// Whether an identity may publish to the topic of a key; a new one counts as this identity's.
    pub(super) fn admit_topic(&self, key: u64, identity: &str) -> bool {
        let identity = self.hasher.hash_one(identity);
        let mut known = lock(&self.known);
        if known.topics.contains(&key) {
            return true;
        }
        if known.topics.len() >= self.topics {
            return false;
        }
        let own = known.by_identity.entry(identity).or_default();
        if *own >= self.per_identity {
            return false;
        }
        *own += 1;
        known.topics.insert(key);
        metrics::topics(known.topics.len());
        true
    }

    /// Whether an identity may subscribe to a filter: it is known, or there is room for one more of this identity's.
    pub(super) fn admit_filter(&self, filter: &str, identity: &str) -> bool {
        let key = self.hasher.hash_one(filter);
        let identity = self.hasher.hash_one(identity);
        let mut known = lock(&self.known);
        if known.filters.contains(&key) {
            return true;
        }
        if known.filters.len() >= self.filters {
            return false;
        }
        let own = known.filters_by_identity.entry(identity).or_default();
        if *own >= self.filters_per_identity {
            return false;
        }
        *own += 1;
        known.filters.insert(key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_cannot_take_the_room_of_others_and_known_names_always_pass() {
        let mut settings = service::Settings::defaults().broker;
        (settings.max_topics, settings.max_topics_per_identity) = (3, 2);
        (settings.max_filters, settings.max_filters_per_identity) = (2, 1);
        let names = Names::new(&settings);
        let admit =
            |topic: &str, identity| names.admit_topic(names.key(topic.as_bytes()), identity);
        assert!(admit("a", "one") && admit("b", "one"));
        assert!(!admit("c", "one"));
        assert!(admit("c", "two"));
        assert!(!admit("d", "two"), "there are three");
        assert!(admit("a", "two") && admit("c", "one"));
        assert!(names.admit_filter("#", "one") && names.admit_filter("#", "one"));
        assert!(!names.admit_filter("+", "one"), "it has its share");
        assert!(names.admit_filter("+", "two") && names.admit_filter("+", "one"));
        assert!(!names.admit_filter("a", "three"), "there are two");
    }
}
