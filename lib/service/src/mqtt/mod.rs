//! The MQTT 3.1.1 client that every process uses.
//!
//! [`connect`] starts one task that owns the connection and returns a [`Publisher`] and an [`Inbox`].
//!
//! - The session is persistent and the client id stable, so that a broker which keeps sessions
//!   delivers what arrived in between. The client subscribes again at every connection, because
//!   other brokers forget.
//! - The brokers of `mqtt.address` are tried in turn. Files of passwords, certificates and keys are read for each
//!   connection.
//! - All messages are QoS 1. A publish is kept until the broker acknowledges it and is sent again
//!   over the next connection, so it may arrive twice and, if the broker dies, not at all:
//!   an acknowledgement is flow control, receipts are what proves delivery.
//! - The task never waits for the inbox, so a consumer may publish from the loop in which it receives.
//!   The inbox is bounded by what a broker delivers without acknowledgements (rumqttd: 100 messages); what comes in bulk is
//!   acknowledged as it is read, while the inbox has room.

mod backoff;
mod brokers;
mod client_id;
pub(crate) mod credentials;
mod error;
pub(crate) mod health;
mod in_flight;
mod inbox;
mod link;
pub mod metrics;
mod probe;
mod publisher;
mod server_name;
mod tls_error;

use crate::config::Mqtt;
use crate::stop::Stop;

pub use client_id::Client;
pub use error::{LinkError, PublishError};
pub use inbox::{Acker, Event, Inbox, Incoming};
pub(crate) use probe::{Probed, probe};
pub use publisher::Publisher;
pub use rumqttc::QoS;

/// Connects in the background and stays connected until told to stop.
///
/// `client_id` must be stable and unique on the broker: see [`Client`]. Each of `subscriptions` is a
/// topic filter; one that the broker refuses is asked for again with back-off. The first event is
/// [`Event::Connected`], or [`Event::Disconnected`] if there is no broker yet; attempts go on with back-off.
///
/// Once `stop` fires, the inbox ends, while publishing still works until [`Publisher::close`] is
/// called or every publisher is dropped, at most [`CLOSE_GRACE`] later; then what was accepted is
/// flushed and the connection is closed.
///
/// Must be called inside a Tokio runtime.
pub fn connect(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    stop: Stop,
) -> (Publisher, Inbox) {
    link::spawn(settings, client_id, subscriptions, stop, true)
}

/// [`connect`] for a while: the broker keeps nothing for this client once the connection is closed or lost, so what is
/// published while it is away does not come later.
pub fn connect_for_a_while(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    stop: Stop,
) -> (Publisher, Inbox) {
    link::spawn(settings, client_id, subscriptions, stop, false)
}

/// [`connect`] with a second connection for `bulk`, under an id of its own: messages that come in such
/// numbers that they would hold up the rest. rumqttd gives a connection a hundred messages and no more until they are
/// acknowledged, and the filter that has a backlog takes every place that becomes free, so what else was subscribed to
/// would not come for as long as the backlog lasts.
///
/// The broker keeps no session of the second connection: what it would have kept is sent again by those who get no receipt,
/// and a clustered broker is spared the storing of it.
///
/// There is one inbox. It gives what came over the first connection first, is connected once both are, and the
/// publisher publishes over the first.
pub fn connect_with_bulk(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    bulk: Vec<(String, QoS)>,
    stop: Stop,
) -> (Publisher, Inbox) {
    let (publisher, mut inbox) = connect(settings, client_id, subscriptions, stop.clone());
    let id = client_id::bulk(client_id);
    let bulk = link::spawn_bulk(settings, &id, bulk, &mut inbox, stop);
    (publisher.with_bulk(bulk), inbox)
}

/// How long publishers may go on after a stop, and how long the last messages may take to flush.
pub const CLOSE_GRACE: std::time::Duration = std::time::Duration::from_secs(3);
