//! How settings become rumqttd's limits.
//!
//! rumqttd keeps one log for each subscription filter it has ever seen, for ever: up to `max_segment_count + 1` segments, each
//! closed once it exceeds `max_segment_size`, kept whether it was read or not. Plan and roster are published again and again,
//! so their logs are kept short: a subscriber gets them as retained messages anyway.
//!
//! A message that nobody has read is dropped as silently as any other. What a log keeps of them at least is one segment less
//! than it may have, because a new segment is empty; the guard's ledger holds back what would exceed that.

use std::collections::HashMap;

use rumqttd::{RouterConfig, SegmentConfig};
use service::Settings;

use crate::probe;

/// The guard's own links to the router.
const OWN_LINKS: usize = 16;

pub(crate) fn router(settings: &Settings) -> RouterConfig {
    let broker = &settings.broker;
    let root = &settings.deployment.root;
    let short = |segments: usize| SegmentConfig {
        max_segment_size: broker.segment_bytes,
        max_segment_count: segments.min(broker.segment_count),
    };
    RouterConfig {
        // Slots of clients that leave and of those that come in their place may exist at the same time.
        max_connections: broker.max_connections * 2 + OWN_LINKS,
        max_outgoing_packet_count: 200,
        max_segment_size: broker.segment_bytes,
        max_segment_count: broker.segment_count,
        custom_segment: Some(HashMap::from([
            (format!("{root}/plan"), short(1)),
            (format!("{root}/plan/renewal"), short(1)),
            (format!("{root}/roster/+"), short(8)),
            (format!("{root}/gateway/+/roster/+"), short(1)),
            (
                probe::TOPIC.to_owned(),
                SegmentConfig {
                    max_segment_size: 1_024,
                    max_segment_count: 1,
                },
            ),
        ])),
        ..RouterConfig::default()
    }
}
