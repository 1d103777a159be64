//! How a connection begins: its options, its channels and its task.

use std::collections::BTreeSet;
use std::sync::Arc;

use rumqttc::{AsyncClient, QoS, SubscribeFilter};
use tokio::sync::{mpsc, watch};

use super::Link;
use super::ending::Phase;
use super::subscriptions::Subscriptions;
use crate::config::Mqtt;
use crate::mqtt::backoff::Backoff;
use crate::mqtt::brokers::Brokers;
use crate::mqtt::in_flight::{Deliveries, InFlightQueue};
use crate::mqtt::inbox::{Shared, Ticket};
use crate::mqtt::{Inbox, Publisher, metrics};
use crate::stop::Stop;

/// Requests rumqttc may hold: more than those in flight and every packet id that can be acknowledged, so
/// that handing one over never waits.
const REQUESTS: usize = 70_000;

/// A connection with an inbox of its own; a `persistent` session outlives it.
pub(in crate::mqtt) fn spawn(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    stop: Stop,
    persistent: bool,
) -> (Publisher, Inbox) {
    let (acks_in, acks) = mpsc::unbounded_channel();
    let (inbox, shared) = Inbox::new(acks_in);
    let side = InboxSide {
        shared,
        acks,
        bulk: false,
        persistent,
    };
    let publisher = start(settings, client_id, subscriptions, side, stop);
    (publisher, inbox)
}

/// A second connection, for messages that come in bulk, to the same inbox. Nothing is published over it, so the broker
/// may wait for its acknowledgements for as long as the consumer likes.
pub(in crate::mqtt) fn spawn_bulk(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    inbox: &mut Inbox,
    stop: Stop,
) -> Publisher {
    let (acks_in, acks) = mpsc::unbounded_channel();
    let side = InboxSide {
        shared: inbox.with_bulk(acks_in),
        acks,
        bulk: true,
        persistent: false,
    };
    start(settings, client_id, subscriptions, side, stop)
}

/// Where a connection's messages go, and where their acknowledgements come from.
struct InboxSide {
    shared: Arc<Shared>,
    acks: mpsc::UnboundedReceiver<Ticket>,
    /// Whether this is the connection for bulk of two.
    bulk: bool,
    /// Whether the broker keeps the session when the connection is gone.
    persistent: bool,
}

fn start(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    inbox: InboxSide,
    stop: Stop,
) -> Publisher {
    metrics::describe();
    let (outgoing_in, outgoing) = mpsc::channel(usize::from(settings.in_flight));
    let (connected_in, connected) = watch::channel(false);
    let (closed_in, closed) = watch::channel(false);
    let limit = settings.max_packet_bytes;
    let paths = subscriptions.iter().map(|(path, _)| path.clone()).collect();
    let (wanted_in, wanted) = watch::channel(paths);
    let (closed_in, wanted_in) = (Arc::new(closed_in), Arc::new(wanted_in));
    let publisher = Publisher::new(outgoing_in, connected, closed_in, wanted_in, limit);
    let brokers = Brokers::new(settings, client_id);
    let (client, mut eventloop) = AsyncClient::new(brokers.options(), REQUESTS);
    // Else a message waits for the acknowledgement of the one before it, which the peer's kernel delays by 40 ms.
    eventloop.network_options.set_tcp_nodelay(true);
    let link = Link {
        client,
        client_id: client_id.to_owned(),
        brokers,
        subscriptions: Subscriptions::new(
            subscriptions.into_iter().map(filter).collect(),
            settings,
        ),
        shared: inbox.shared,
        bulk: inbox.bulk,
        eager: false,
        unwritten: 0,
        persistent: inbox.persistent,
        connected: connected_in,
        closed,
        wanted,
        stop,
        phase: Phase::Open,
        outgoing,
        publishers_gone: false,
        drained: false,
        acks: inbox.acks,
        inbox_gone: false,
        in_flight: InFlightQueue::new(usize::from(settings.in_flight)),
        deliveries: Deliveries::default(),
        held: None,
        connection: 0,
        up: false,
        backoff: Backoff::new(settings.backoff_min, settings.backoff_max),
        said: BTreeSet::new(),
    };
    tokio::spawn(link.run(eventloop));
    publisher
}

/// QoS 2 is not used: the broker embedded here keeps its state for ever if a client goes away.
pub(super) fn filter((path, qos): (String, QoS)) -> SubscribeFilter {
    let qos = match qos {
        QoS::AtMostOnce => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    };
    SubscribeFilter::new(path, qos)
}
