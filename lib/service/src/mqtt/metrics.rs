//! What the MQTT client counts.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::LinkError;
use crate::telemetry::register;

/// Gauge: connections to the broker that are up.
pub const CONNECTIONS: &str = "cipherwatt_mqtt_connections";
const RECONNECTS: &str = "cipherwatt_mqtt_reconnects_total";
const FAILURES: &str = "cipherwatt_mqtt_failures_total";
const RECEIVED: &str = "cipherwatt_mqtt_messages_received_total";
const RECEIVED_BYTES: &str = "cipherwatt_mqtt_received_bytes_total";
/// Counter: messages the broker acknowledged.
pub const PUBLISHED: &str = "cipherwatt_mqtt_messages_published_total";
/// Counter: their payload, in bytes.
pub const PUBLISHED_BYTES: &str = "cipherwatt_mqtt_published_bytes_total";
const REPEATED: &str = "cipherwatt_mqtt_messages_repeated_total";
const DROPPED: &str = "cipherwatt_mqtt_inbox_dropped_total";
const EARLY: &str = "cipherwatt_mqtt_early_acknowledgements_total";
const INBOX: &str = "cipherwatt_mqtt_inbox_messages";
const IN_FLIGHT: &str = "cipherwatt_mqtt_in_flight_messages";
/// Histogram, in seconds: from taking a message over to the broker's acknowledgement.
pub const PUBLISH: &str = "cipherwatt_mqtt_publish_duration_seconds";

/// Describes every metric and makes every counter start at 0.
pub(super) fn describe() {
    for (name, help) in [
        (RECONNECTS, "Connections made after the first one"),
        (RECEIVED, "Messages received from the broker"),
        (RECEIVED_BYTES, "Payload received from the broker"),
        (PUBLISHED, "Messages the broker acknowledged"),
        (PUBLISHED_BYTES, "Payload the broker acknowledged"),
        (REPEATED, "Messages sent again over a new connection"),
        (DROPPED, "Messages dropped because the inbox was full"),
        (
            EARLY,
            "Messages acknowledged before they were processed, to keep publishing possible",
        ),
    ] {
        register::counter(name, help);
    }
    register::counters(
        FAILURES,
        "Connections lost and attempts failed, by reason",
        "reason",
        LinkError::LABELS,
    );
    for (name, help) in [
        (CONNECTIONS, "Connections to the broker that are up"),
        (INBOX, "Messages received that nobody has taken yet"),
        (
            IN_FLIGHT,
            "Messages taken over that the broker has not acknowledged",
        ),
    ] {
        register::gauge(name, help);
    }
    let help = "From taking a message over to the broker's acknowledgement";
    register::histogram(PUBLISH, help);
}

/// The inbox went from so many messages to so many.
pub(super) fn inbox(before: usize, after: usize) {
    gauge!(INBOX).increment(after as f64 - before as f64);
}

/// The messages without an acknowledgement went from so many to so many.
pub(super) fn in_flight(before: usize, after: usize) {
    gauge!(IN_FLIGHT).increment(after as f64 - before as f64);
}

pub(super) fn up(again: bool) {
    gauge!(CONNECTIONS).increment(1.0);
    counter!(RECONNECTS).increment(u64::from(again));
}

pub(super) fn down() {
    gauge!(CONNECTIONS).decrement(1.0);
}

pub(super) fn failed(error: &LinkError) {
    counter!(FAILURES, "reason" => error.label()).increment(1);
}

pub(super) fn received(bytes: usize) {
    counter!(RECEIVED).increment(1);
    counter!(RECEIVED_BYTES).increment(bytes as u64);
}

pub(super) fn published(bytes: usize, took: Duration) {
    counter!(PUBLISHED).increment(1);
    counter!(PUBLISHED_BYTES).increment(bytes as u64);
    histogram!(PUBLISH).record(took.as_secs_f64());
}

pub(super) fn repeated() {
    counter!(REPEATED).increment(1);
}

pub(super) fn dropped(messages: usize) {
    counter!(DROPPED).increment(messages as u64);
}

pub(super) fn early() {
    counter!(EARLY).increment(1);
}
