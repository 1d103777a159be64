//! The task that owns the connection.
//!
//! rumqttc keeps unacknowledged publishes itself, but drops them when a broker has forgotten the
//! session, and may overwrite one with another while it sends them again. So this task keeps its own
//! window of publishes: it hands rumqttc no more than the window, clears what rumqttc would repeat,
//! and sends the window again at every connection. Nothing here waits for anything but the network.

mod ending;
mod session;
mod subscriptions;

use std::pin::pin;
use std::sync::Arc;

use rumqttc::{
    AsyncClient, EventLoop, MqttOptions, Outgoing as Sent, Packet, QoS, SubscribeFilter,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use self::ending::Phase;
use self::subscriptions::Subscriptions;
use super::backoff::Backoff;
use super::inbox::{Shared, Ticket};
use super::metrics;
use super::publisher::Outgoing;
use super::window::{Deliveries, Window};
use super::{Event, Inbox, LinkError, Publisher};
use crate::config::Mqtt;
use crate::stop::Stop;

/// Requests rumqttc may hold: more than the window and every packet id that can be acknowledged, so
/// that handing one over never waits.
const REQUESTS: usize = 70_000;

/// Packet ids beyond the window, so that an acknowledgement out of order does not make rumqttc wait
/// for a free one.
const SPARE_IDS: u16 = 32;

pub(super) fn spawn(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    stop: Stop,
) -> (Publisher, Inbox) {
    let (acks_in, acks) = mpsc::unbounded_channel();
    let (inbox, shared) = Inbox::new(acks_in);
    let outlet = Outlet {
        shared,
        acks,
        bulk: false,
    };
    let publisher = start(settings, client_id, subscriptions, outlet, stop);
    (publisher, inbox)
}

/// A second connection, for messages that come in bulk, to the same inbox. Nothing is published over it, so the broker
/// may wait for its acknowledgements for as long as the consumer likes.
pub(super) fn spawn_bulk(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    inbox: &mut Inbox,
    stop: Stop,
) {
    let (acks_in, acks) = mpsc::unbounded_channel();
    let outlet = Outlet {
        shared: inbox.with_bulk(acks_in),
        acks,
        bulk: true,
    };
    drop(start(settings, client_id, subscriptions, outlet, stop));
}

/// Where a connection's messages go, and where their acknowledgements come from.
struct Outlet {
    shared: Arc<Shared>,
    acks: mpsc::UnboundedReceiver<Ticket>,
    /// Whether this is the connection for bulk of two.
    bulk: bool,
}

fn start(
    settings: &Mqtt,
    client_id: &str,
    subscriptions: Vec<(String, QoS)>,
    outlet: Outlet,
    stop: Stop,
) -> Publisher {
    metrics::describe();
    let (outgoing_in, outgoing) = mpsc::channel(usize::from(settings.in_flight));
    let (connected_in, connected) = watch::channel(false);
    let (closed_in, closed) = watch::channel(false);
    let limit = settings.max_packet_bytes;
    let publisher = Publisher::new(outgoing_in, connected, Arc::new(closed_in), limit);
    let (client, mut eventloop) = AsyncClient::new(options(settings, client_id), REQUESTS);
    // Else a message waits for the acknowledgement of the one before it, which the peer's kernel delays by 40 ms.
    eventloop.network_options.set_tcp_nodelay(true);
    let link = Link {
        client,
        client_id: client_id.to_owned(),
        address: settings.address.clone(),
        limit,
        subscriptions: Subscriptions::new(
            subscriptions.into_iter().map(filter).collect(),
            settings,
        ),
        shared: outlet.shared,
        bulk: outlet.bulk,
        connected: connected_in,
        closed,
        stop,
        phase: Phase::Open,
        outgoing,
        publishers_gone: false,
        drained: false,
        acks: outlet.acks,
        inbox_gone: false,
        window: Window::new(usize::from(settings.in_flight)),
        deliveries: Deliveries::default(),
        held: None,
        connection: 0,
        up: false,
        backoff: Backoff::new(settings.backoff_min, settings.backoff_max),
        last_failure: None,
    };
    tokio::spawn(link.run(eventloop));
    publisher
}

pub(super) fn options(settings: &Mqtt, client_id: &str) -> MqttOptions {
    // Validated when the settings were loaded; a wrong address is then one that nobody answers at.
    let (host, port) = settings.host_port().unwrap_or((&settings.address, 1883));
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let mut options = MqttOptions::new(client_id, host, port);
    options
        .set_keep_alive(settings.keep_alive)
        .set_max_packet_size(settings.max_packet_bytes, settings.max_packet_bytes)
        .set_clean_session(false)
        .set_inflight(settings.in_flight.max(1).saturating_add(SPARE_IDS))
        .set_manual_acks(true);
    options
}

/// QoS 2 is not used: the broker embedded here keeps its state for ever if a client goes away.
fn filter((path, qos): (String, QoS)) -> SubscribeFilter {
    let qos = match qos {
        QoS::AtMostOnce => QoS::AtMostOnce,
        _ => QoS::AtLeastOnce,
    };
    SubscribeFilter::new(path, qos)
}

struct Link {
    client: AsyncClient,
    client_id: String,
    address: String,
    limit: usize,
    subscriptions: Subscriptions,
    shared: Arc<Shared>,
    /// Whether this is the connection for bulk of two.
    bulk: bool,
    connected: watch::Sender<bool>,
    closed: watch::Receiver<bool>,
    stop: Stop,
    phase: Phase,
    outgoing: mpsc::Receiver<Outgoing>,
    /// The last publisher was dropped or closed.
    publishers_gone: bool,
    /// Nothing is left of what publishers handed over.
    drained: bool,
    acks: mpsc::UnboundedReceiver<Ticket>,
    inbox_gone: bool,
    window: Window,
    deliveries: Deliveries,
    /// Messages of this connection that came before its subscriptions were confirmed, as they do in
    /// a session that goes on. They follow [`Event::Connected`].
    held: Option<Vec<Event>>,
    /// Counts connections; tickets of earlier ones are void.
    connection: u64,
    /// Between a CONNACK and the loss of that connection.
    up: bool,
    backoff: Backoff,
    last_failure: Option<&'static str>,
}

impl Link {
    async fn run(mut self, mut eventloop: EventLoop) {
        loop {
            let polled = {
                // Polled to its end, never dropped half-way while the connection is in use: a packet
                // that is half written would be lost.
                let mut poll = pin!(eventloop.poll());
                loop {
                    self.advance().await;
                    if self.phase == Phase::Ended {
                        break None;
                    }
                    tokio::select! {
                        polled = &mut poll => break Some(polled),
                        () = self.command() => {}
                    }
                }
            };
            match polled {
                None => break,
                Some(Ok(event)) => self.event(event).await,
                Some(Err(error)) => {
                    let error = LinkError::new(error, &self.address, self.limit, self.up);
                    // What rumqttc would send again is in the window.
                    eventloop.pending.clear();
                    // The packet that is too large would be delivered again for ever.
                    let oversize = matches!(error, LinkError::Oversize { .. });
                    eventloop.mqtt_options.set_clean_session(oversize);
                    self.lost(error).await;
                }
            }
        }
        self.shared.end();
        if self.up {
            metrics::down();
        }
    }

    /// Waits for the next wish of a publisher, the inbox or the stop, and fulfils it. Cancel safe.
    async fn command(&mut self) {
        let until = self.phase.until();
        let again = self.subscriptions.again();
        let usable = !self.phase.is_ending();
        let accepting = self.window.has_room() && !self.drained;
        tokio::select! {
            message = self.outgoing.recv(), if accepting => match message {
                Some(message) => self.accept(message).await,
                None => (self.drained, self.publishers_gone) = (true, true),
            },
            ticket = self.acks.recv(), if !self.inbox_gone => match ticket {
                Some(ticket) => self.acknowledge(ticket).await,
                None => self.inbox_gone = true,
            },
            () = self.stop.stopped(), if self.phase == Phase::Open => {}
            gone = async { self.closed.wait_for(|closed| *closed).await.is_err() },
                if usable && !self.publishers_gone => self.publishers_gone = gone,
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() && self.up => {
                self.subscribe_again().await;
            }
        }
    }

    /// Does what has become possible or necessary.
    async fn advance(&mut self) {
        self.unblock().await;
        self.wind_down().await;
    }

    async fn event(&mut self, event: rumqttc::Event) {
        match event {
            rumqttc::Event::Incoming(Packet::ConnAck(_)) => self.connection_made().await,
            rumqttc::Event::Incoming(Packet::SubAck(ack)) => self.subscribed(&ack),
            rumqttc::Event::Incoming(Packet::Publish(publish)) => self.deliver(publish),
            rumqttc::Event::Incoming(Packet::PubAck(ack)) => {
                if let Some(done) = self.window.acknowledged(ack.pkid) {
                    metrics::published(done.bytes, done.since.elapsed());
                }
            }
            rumqttc::Event::Outgoing(Sent::Publish(id)) => self.window.sent(id, false),
            rumqttc::Event::Outgoing(Sent::Subscribe(id)) => self.subscriptions.sent(id),
            rumqttc::Event::Outgoing(Sent::AwaitAck(id)) => self.window.sent(id, true),
            // A broker that waits for acknowledgements does not answer pings either.
            rumqttc::Event::Outgoing(Sent::PingReq) => self.acknowledge_early().await,
            // Not the end yet: the broker closes the connection once it has taken all of it. A client that came back
            // before would meet a session that lacks its last acknowledgements.
            rumqttc::Event::Incoming(_) | rumqttc::Event::Outgoing(_) => {}
        }
    }

    async fn lost(&mut self, error: LinkError) {
        if self.up {
            metrics::down();
        }
        self.up = false;
        self.held = None;
        self.subscriptions.lost();
        self.connected.send_replace(false);
        metrics::failed(&error);
        if self.phase.is_ending() {
            return;
        }
        // Once for each kind of failure: attempts go on, and their number is a metric.
        if self.last_failure.replace(error.label()) == Some(error.label()) {
            tracing::debug!(client = %self.client_id, "{error}");
        } else {
            tracing::warn!(client = %self.client_id, "{error}");
        }
        self.push(Event::Disconnected { error });
        let pause = self.backoff.next();
        let mut pause = pin!(sleep(pause));
        while !self.phase.is_ending() {
            tokio::select! {
                () = &mut pause => return,
                () = self.command() => self.advance().await,
            }
        }
    }
}
