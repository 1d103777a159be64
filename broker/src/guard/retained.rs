//! Retained messages. The guard keeps them, because rumqttd hands a subscriber a hundred of them at most, none on a second
//! subscription, and drops one for any empty message on its topic.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use rumqttd::protocol::matches;

use super::caps::lock;
use super::metrics;

/// A retained message.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
}

pub(super) struct Retained {
    all: Mutex<All>,
    max: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct All {
    messages: BTreeMap<String, Kept>,
    bytes: usize,
}

impl Retained {
    pub(super) fn new(max: usize, max_bytes: usize) -> Self {
        Self {
            all: Mutex::default(),
            max,
            max_bytes,
        }
    }

    /// Keeps a message in the place of the last one of its topic; an empty one only removes that. `false`: there are as many
    /// already, or as many bytes of them, as there may be.
    #[must_use]
    pub(super) fn keep(&self, topic: &str, payload: &Bytes, qos: u8) -> bool {
        let mut all = lock(&self.all);
        let before = all.messages.get(topic).map(|kept| kept.payload.len());
        let bytes = all.bytes - before.unwrap_or(0) + payload.len();
        if payload.is_empty() {
            all.messages.remove(topic);
        } else if bytes > self.max_bytes || (before.is_none() && all.messages.len() >= self.max) {
            return false;
        } else {
            // Copies: else the whole buffer that the message was read into stays.
            let kept = Kept {
                topic: Bytes::copy_from_slice(topic.as_bytes()),
                payload: Bytes::copy_from_slice(payload),
                qos,
            };
            all.messages.insert(topic.to_owned(), kept);
        }
        all.bytes = bytes;
        metrics::retained(all.messages.len());
        true
    }

    /// Those whose topics match, with the QoS of a subscription at most.
    pub(super) fn of(&self, filter: &str, qos: u8) -> Vec<Kept> {
        let messages = &lock(&self.all).messages;
        let granted = |kept: &Kept| Kept {
            qos: kept.qos.min(qos),
            ..kept.clone()
        };
        if !filter.contains(['+', '#']) {
            return messages.get(filter).map(granted).into_iter().collect();
        }
        let matching = messages.iter().filter(|(topic, _)| matches(topic, filter));
        matching.map(|(_, kept)| granted(kept)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_of_a_topic_is_kept_until_an_empty_one_and_no_more_than_may_be() {
        let retained = Retained::new(2, 10);
        let payloads = |filter: &str| -> Vec<Bytes> {
            let kept = retained.of(filter, 1).into_iter();
            kept.map(|kept| kept.payload).collect()
        };
        assert!(retained.keep("a/1", &"one".into(), 1));
        assert!(retained.keep("a/2", &"two".into(), 0));
        assert!(!retained.keep("a/3", &"three".into(), 1));
        assert!(retained.keep("a/1", &"more".into(), 1));
        assert!(!retained.keep("a/1", &"too much".into(), 1));
        assert_eq!(payloads("a/+"), ["more", "two"]);
        assert_eq!(payloads("a/1"), ["more"]);
        assert!(retained.keep("a/1", &Bytes::new(), 1));
        assert_eq!(payloads("#"), ["two"]);
        let qos: Vec<u8> = retained.of("#", 1).iter().map(|kept| kept.qos).collect();
        assert_eq!(qos, [0], "no more than it was published with");
    }
}
