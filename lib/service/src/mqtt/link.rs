//! The task that owns the connection.
//!
//! rumqttc keeps unacknowledged publishes itself, but drops them when a broker has forgotten the
//! session, and may overwrite one with another while it sends them again. So this task keeps its own
//! queue of publishes in flight: it hands rumqttc nothing but those, clears what rumqttc would repeat,
//! and sends them again at every connection. Nothing here waits for anything but the network.

mod ending;
mod session;
mod start;
mod subscriptions;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use rumqttc::{AsyncClient, EventLoop, Outgoing as Sent, Packet};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use self::ending::Phase;
use self::subscriptions::Subscriptions;
use super::backoff::Backoff;
use super::brokers::Brokers;
use super::in_flight::{Deliveries, InFlightQueue};
use super::inbox::{Shared, Ticket};
use super::publisher::Outgoing;
use super::{Event, LinkError, metrics};
use crate::stop::Stop;

pub(super) use self::start::{spawn, spawn_bulk};

struct Link {
    client: AsyncClient,
    client_id: String,
    brokers: Brokers,
    subscriptions: Subscriptions,
    shared: Arc<Shared>,
    /// Whether this is the connection for bulk of two.
    bulk: bool,
    /// Whether rumqttc acknowledges what arrives now; see [`Link::choose_who_acknowledges`].
    eager: bool,
    /// Acknowledgements that rumqttc has and did not write yet.
    unwritten: usize,
    /// Whether the broker keeps the session when the connection is gone.
    persistent: bool,
    connected: watch::Sender<bool>,
    closed: watch::Receiver<bool>,
    /// What it is to be subscribed to.
    wanted: watch::Receiver<Vec<String>>,
    stop: Stop,
    phase: Phase,
    outgoing: mpsc::Receiver<Outgoing>,
    /// The last publisher was dropped or closed.
    publishers_gone: bool,
    /// Nothing is left of what publishers handed over.
    drained: bool,
    acks: mpsc::UnboundedReceiver<Ticket>,
    inbox_gone: bool,
    in_flight: InFlightQueue,
    deliveries: Deliveries,
    /// Messages of this connection that came before its subscriptions were confirmed, as they do in
    /// a session that goes on. They follow [`Event::Connected`].
    held: Option<Vec<Event>>,
    /// Counts connections; tickets of earlier ones are void.
    connection: u64,
    /// Between a CONNACK and the loss of that connection.
    up: bool,
    backoff: Backoff,
    /// What was logged since it was connected last: the broker, and the kind of failure.
    said: BTreeSet<(usize, &'static str)>,
}

impl Link {
    async fn run(mut self, mut eventloop: EventLoop) {
        self.prepare(&mut eventloop, !self.persistent).await;
        loop {
            self.choose_who_acknowledges(&mut eventloop);
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
                    let error = self.brokers.error(error, self.up);
                    // What rumqttc would send again is in flight here too.
                    eventloop.pending.clear();
                    self.unwritten = 0;
                    // What was read before the loss and not handed over is delivered again, but for what was acknowledged as it was read.
                    let unseen = eventloop.state.events.drain(..).filter(|_| self.eager);
                    for event in unseen.collect::<Vec<_>>() {
                        if let rumqttc::Event::Incoming(Packet::Publish(publish)) = event {
                            self.deliver(publish);
                        }
                    }
                    // The packet that is too large would be delivered again for ever.
                    let oversize = matches!(error, LinkError::Oversize { .. });
                    let clean = oversize || !self.persistent;
                    self.lost(error).await;
                    self.prepare(&mut eventloop, clean).await;
                }
            }
        }
        self.shared.end();
        if self.up {
            metrics::down();
        }
    }

    /// The next attempt goes to the broker whose turn it is. Waits until there is what a login needs, unless this ends.
    async fn prepare(&mut self, eventloop: &mut EventLoop, clean: bool) {
        while !self.phase.is_ending() {
            match self.brokers.login() {
                Ok(mut options) => {
                    options.set_clean_session(clean);
                    eventloop.mqtt_options = options;
                    return;
                }
                Err(error) => self.lost(error).await,
            }
        }
    }

    /// Waits for the next request of a publisher, of the inbox or of the stop, and serves it. Cancel safe.
    async fn command(&mut self) {
        let until = self.phase.until();
        let again = self.subscriptions.again();
        let usable = !self.phase.is_ending();
        let accepting = self.in_flight.has_room() && !self.drained;
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
            Ok(()) = self.wanted.changed() => self.subscribe_to_others().await,
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
                if let Some(done) = self.in_flight.acknowledged(ack.pkid) {
                    metrics::published(done.bytes, done.since.elapsed());
                }
            }
            rumqttc::Event::Outgoing(Sent::PubAck(_)) => {
                self.unwritten = self.unwritten.saturating_sub(1);
            }
            rumqttc::Event::Outgoing(Sent::Publish(id)) => self.in_flight.sent(id, false),
            rumqttc::Event::Outgoing(Sent::Subscribe(id)) => self.subscriptions.sent(id),
            rumqttc::Event::Outgoing(Sent::AwaitAck(id)) => self.in_flight.sent(id, true),
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
        // A broker that goes away while this client ends was told to end too, or has taken the farewell.
        let ends = self.phase != Phase::Open || self.stop.is_stopped();
        let expected = ends && error.is_absence();
        if !expected {
            metrics::failed(&error);
        }
        if self.phase.is_ending() {
            return;
        }
        // Once for each kind of failure: attempts go on, and their number is a metric.
        let first = self.said.insert((self.brokers.at(), error.label()));
        if expected || !first {
            tracing::debug!(client = %self.client_id, "{error}");
        } else if let Some(remedy) = error.remedy() {
            tracing::warn!(client = %self.client_id, "{error}; to fix: {remedy}");
        } else {
            tracing::warn!(client = %self.client_id, "{error}");
        }
        self.push(Event::Disconnected { error });
        let pause = match self.brokers.next() {
            true => self.backoff.next(),
            false => self.backoff.least(),
        };
        let mut pause = pin!(sleep(pause));
        while !self.phase.is_ending() {
            tokio::select! {
                () = &mut pause => return,
                () = self.command() => self.advance().await,
            }
        }
    }
}
