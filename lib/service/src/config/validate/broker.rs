//! The broker's limits.

use super::{Check, packet_size, positive, range};
use crate::config::Broker;

pub(super) fn broker(broker: &Broker) -> Check {
    packet_size("broker.max_payload_bytes", broker.max_payload_bytes)?;
    counts(broker)?;
    let sizes = [
        ("broker.max_held_bytes", broker.max_held_bytes),
        ("broker.max_retained_bytes", broker.max_retained_bytes),
        ("broker.segment_bytes", broker.segment_bytes),
    ];
    for (key, bytes) in sizes {
        range(key, bytes, 1_024, usize::MAX)?;
    }
    positive("broker.handshake_timeout", broker.handshake_timeout)?;
    positive("broker.write_timeout", broker.write_timeout)?;
    positive("broker.session_expiry", broker.session_expiry)?;
    positive("broker.required_grace", broker.required_grace)?;
    range("broker.segment_count", broker.segment_count, 2, 65_536)?;
    range("broker.password_checks", broker.password_checks, 1, 1_024)
}

/// How many of each there may be.
fn counts(broker: &Broker) -> Check {
    let counts = [
        ("broker.max_connections", broker.max_connections),
        (
            "broker.max_connections_per_address",
            broker.max_connections_per_address,
        ),
        (
            "broker.max_connections_per_identity",
            broker.max_connections_per_identity,
        ),
        ("broker.max_handshakes", broker.max_handshakes),
        (
            "broker.max_handshakes_per_address",
            broker.max_handshakes_per_address,
        ),
        (
            "broker.max_messages_per_second",
            broker.max_messages_per_second as usize,
        ),
        ("broker.max_sessions", broker.max_sessions),
        (
            "broker.max_sessions_per_identity",
            broker.max_sessions_per_identity,
        ),
        ("broker.max_subscriptions", broker.max_subscriptions),
        ("broker.max_filters", broker.max_filters),
        (
            "broker.max_filters_per_identity",
            broker.max_filters_per_identity,
        ),
    ];
    for (key, count) in counts {
        range(key, count, 1, 1_000_000)?;
    }
    let names = [
        ("broker.max_topics", broker.max_topics),
        (
            "broker.max_topics_per_identity",
            broker.max_topics_per_identity,
        ),
        ("broker.max_retained", broker.max_retained),
    ];
    for (key, count) in names {
        range(key, count, 1, 100_000_000)?;
    }
    Ok(())
}
