//! What the MQTT client counts.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::LinkError;

const CONNECTIONS: &str = "cipherwatt_mqtt_connections";
const RECONNECTS: &str = "cipherwatt_mqtt_reconnects_total";
const FAILURES: &str = "cipherwatt_mqtt_failures_total";
const RECEIVED: &str = "cipherwatt_mqtt_messages_received_total";
const RECEIVED_BYTES: &str = "cipherwatt_mqtt_received_bytes_total";
const PUBLISHED: &str = "cipherwatt_mqtt_messages_published_total";
const PUBLISHED_BYTES: &str = "cipherwatt_mqtt_published_bytes_total";
const REPEATED: &str = "cipherwatt_mqtt_messages_repeated_total";
const DROPPED: &str = "cipherwatt_mqtt_inbox_dropped_total";
const EARLY: &str = "cipherwatt_mqtt_early_acknowledgements_total";
const PUBLISH: &str = "cipherwatt_mqtt_publish_seconds";

/// Describes every metric and makes every counter start at 0.
pub(super) fn describe() {
    describe_gauge!(CONNECTIONS, "Connections to the broker that are up");
    describe_counter!(RECONNECTS, "Connections made after the first one");
    describe_counter!(FAILURES, "Connections lost and attempts failed, by reason");
    describe_counter!(RECEIVED, "Messages received from the broker");
    describe_counter!(
        RECEIVED_BYTES,
        Unit::Bytes,
        "Payload received from the broker"
    );
    describe_counter!(PUBLISHED, "Messages the broker acknowledged");
    describe_counter!(
        PUBLISHED_BYTES,
        Unit::Bytes,
        "Payload the broker acknowledged"
    );
    describe_counter!(REPEATED, "Messages sent again over a new connection");
    describe_counter!(DROPPED, "Messages dropped because the inbox was full");
    describe_counter!(
        EARLY,
        "Messages acknowledged before they were processed, to keep publishing possible"
    );
    let help = "Time from taking a message over to the broker's acknowledgement";
    describe_histogram!(PUBLISH, Unit::Seconds, help);
    gauge!(CONNECTIONS).increment(0.0);
    for name in [
        RECONNECTS,
        RECEIVED,
        RECEIVED_BYTES,
        PUBLISHED,
        PUBLISHED_BYTES,
        REPEATED,
        DROPPED,
        EARLY,
    ] {
        counter!(name).increment(0);
    }
    for reason in LinkError::LABELS {
        counter!(FAILURES, "reason" => reason).increment(0);
    }
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
