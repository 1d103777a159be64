//! How settings become rumqttd's limits.
//!
//! rumqttd keeps one log for each subscription filter it has ever seen, for ever: up to
//! `max_segment_count + 1` segments, each closed once it exceeds `max_segment_size`, kept whether it
//! was read or not. On top come about 0.3 MB of reserved entries a segment. Plan and roster are
//! published again and again, so their logs are kept short: a subscriber gets them as retained
//! messages anyway.
//!
//! A message that nobody has read is dropped as silently as any other. What a log keeps of them at least is one segment
//! less than it may have, because a new segment is empty. Gateways never have more than `meter.max_unreceipted_bytes`
//! each on their way without a receipt, so nothing is dropped for as long as that, times their number, is no more; a
//! report that is sent again because no receipt came adds itself once in `meter.retry_min` and ever more rarely.

use std::collections::HashMap;
use std::net::SocketAddr;

use rumqttd::{ConnectionSettings, RouterConfig, SegmentConfig, ServerSettings};
use service::Settings;

use crate::probe;

/// Messages without an acknowledgement that rumqttd sends to one client; hard-coded there.
const IN_FLIGHT: usize = 100;

/// Time for a client to send CONNECT, in milliseconds.
const CONNECT_TIMEOUT_MS: u16 = 5_000;

/// Gateways with these settings that may send all they may while nobody reads, and nothing is dropped.
pub(crate) fn gateways(settings: &Settings) -> usize {
    let broker = &settings.broker;
    let unread = broker
        .segment_bytes
        .saturating_mul(broker.segment_count.saturating_sub(1));
    unread / settings.meter.max_unreceipted_bytes.max(1)
}

pub(crate) fn router(settings: &Settings) -> RouterConfig {
    let broker = &settings.broker;
    let root = &settings.deployment.root;
    let short = |segments: usize| SegmentConfig {
        max_segment_size: broker.segment_bytes,
        max_segment_count: segments.min(broker.segment_count),
    };
    RouterConfig {
        max_connections: broker.max_connections,
        max_outgoing_packet_count: 200,
        max_segment_size: broker.segment_bytes,
        max_segment_count: broker.segment_count,
        custom_segment: Some(HashMap::from([
            (format!("{root}/plan"), short(1)),
            (format!("{root}/plan/renewal"), short(1)),
            (format!("{root}/roster/+"), short(8)),
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

pub(crate) fn server(settings: &Settings, listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: "mqtt".to_owned(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: CONNECT_TIMEOUT_MS,
            max_payload_size: settings.broker.max_payload_bytes,
            max_inflight_count: IN_FLIGHT,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_enough_for_fifteen_gateways() {
        let mut settings = Settings::defaults();
        assert_eq!(gateways(&settings), 15);
        // Every report a gateway may have sealed is 27,332 bytes at most, and its topic.
        let reports = settings.meter.max_unreceipted * (27_332 + 200);
        assert!(reports <= settings.meter.max_unreceipted_bytes);
        settings.broker.segment_count = 1;
        assert_eq!(gateways(&settings), 0);
    }
}
