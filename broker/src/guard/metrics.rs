//! What the guard counts.

use metrics::{Counter, Gauge, counter, gauge};
use service::telemetry::register;

use super::access;

const CONNECTIONS: &str = "cipherwatt_broker_connections";
const SESSIONS: &str = "cipherwatt_broker_sessions";
const HANDSHAKES: &str = "cipherwatt_broker_tls_handshakes_total";
const RECEIVED: &str = "cipherwatt_broker_messages_received_total";
const RECEIVED_BYTES: &str = "cipherwatt_broker_received_bytes_total";
const SENT: &str = "cipherwatt_broker_messages_sent_total";
const SENT_BYTES: &str = "cipherwatt_broker_sent_bytes_total";
const HELD: &str = "cipherwatt_broker_messages_held_total";
const HELD_BYTES: &str = "cipherwatt_broker_held_bytes";
const REFUSED: &str = "cipherwatt_broker_refused_total";
const OVERRUNS: &str = "cipherwatt_broker_overruns_total";
const GIVEN_UP: &str = "cipherwatt_broker_required_given_up_total";
const RETAINED: &str = "cipherwatt_broker_retained_messages";
const TOPICS: &str = "cipherwatt_broker_topics";

/// Why something was refused. Those of who may connect are in `access.rs`.
const REASONS: [&str; 29] = [
    "address",
    "client_id",
    "connections",
    "descriptors",
    "filter",
    "filters",
    "handshakes",
    "handshakes_of_address",
    "held",
    "identity",
    "keep_alive",
    "malformed",
    "not_allowed",
    "packet_size",
    "qos2",
    "rate",
    "required",
    "retained",
    "revoked",
    "sessions",
    "sessions_of_identity",
    "subscriptions",
    "takeover",
    "timeout",
    "tls",
    "topics",
    "version",
    "will",
    "write_timeout",
];

/// Counters that every message moves: looked up once.
pub(super) struct Traffic {
    pub(super) received: Counter,
    pub(super) received_bytes: Counter,
    pub(super) sent: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) held: Counter,
    pub(super) held_bytes: Gauge,
}

pub(super) fn describe() -> Traffic {
    register::gauge(
        CONNECTIONS,
        "Clients connected, or about to say who they are",
    );
    register::gauge(
        SESSIONS,
        "Sessions: those of connected clients, and those kept for clients that are away",
    );
    register::counter(HANDSHAKES, "TLS handshakes that succeeded");
    register::counter(
        RECEIVED,
        "Messages that clients published and the broker took",
    );
    register::counter(RECEIVED_BYTES, "Payload of these messages");
    register::counter(SENT, "Messages sent to subscribers");
    register::counter(SENT_BYTES, "Payload of these messages");
    register::counter(
        HELD,
        "Messages that waited, unacknowledged, for a subscriber that they are required to reach",
    );
    register::gauge(HELD_BYTES, "Messages that wait so now");
    register::counters(
        REFUSED,
        "What was refused, by reason",
        "reason",
        REASONS.into_iter().chain(access::REASONS),
    );
    register::counter(
        OVERRUNS,
        "Messages that a required subscriber missed because the log dropped them; must stay 0",
    );
    register::counter(
        GIVEN_UP,
        "Required subscribers that were away, or acknowledged nothing, for too long, so that messages no longer wait for them",
    );
    register::gauge(RETAINED, "Retained messages");
    register::gauge(TOPICS, "Distinct topics that were published to");
    Traffic {
        received: counter!(RECEIVED),
        received_bytes: counter!(RECEIVED_BYTES),
        sent: counter!(SENT),
        sent_bytes: counter!(SENT_BYTES),
        held: counter!(HELD),
        held_bytes: gauge!(HELD_BYTES),
    }
}

pub(super) fn refused(reason: &'static str) {
    counter!(REFUSED, "reason" => reason).increment(1);
}

pub(super) fn handshake() {
    counter!(HANDSHAKES).increment(1);
}

pub(super) fn overrun(messages: u64) {
    counter!(OVERRUNS).increment(messages);
}

pub(super) fn given_up() {
    counter!(GIVEN_UP).increment(1);
}

pub(super) fn connections(now: usize) {
    gauge!(CONNECTIONS).set(now as f64);
}

pub(super) fn sessions(now: usize) {
    gauge!(SESSIONS).set(now as f64);
}

pub(super) fn retained(now: usize) {
    gauge!(RETAINED).set(now as f64);
}

pub(super) fn topics(now: usize) {
    gauge!(TOPICS).set(now as f64);
}
