//! What happens on a connection that is up: subscriptions, deliveries, acknowledgements.

use rumqttc::{AsyncClient, EventLoop, Publish, QoS, SubAck};

use super::Link;
use super::ending::Phase;
use super::start::filter;
use super::subscriptions::Answer;
use crate::mqtt::inbox::{self, Event, Incoming, Ticket};
use crate::mqtt::publisher::Outgoing;
use crate::mqtt::{LinkError, metrics};
use crate::warn_limited;

/// Deliveries without an acknowledgement after which rumqttd delivers nothing more, and that
/// includes its acknowledgements of what we publish.
const BROKER_WINDOW: usize = 100;

/// Messages of a connection for bulk that may be unread while more are acknowledged as they arrive.
const EAGER: usize = 64;

impl Link {
    pub(super) async fn connection_made(&mut self) {
        self.up = true;
        self.connection += 1;
        self.deliveries.clear();
        self.said.clear();
        self.backoff.connected();
        metrics::up(self.connection > 1);
        if self.subscriptions.is_empty() {
            self.ready();
        } else {
            self.held = Some(Vec::new());
            // There is always room for a request.
            let _ = self
                .client
                .subscribe_many(self.subscriptions.restart())
                .await;
        }
        for (message, again) in self.in_flight.restart() {
            if again {
                metrics::repeated();
            }
            hand_over(&self.client, message).await;
        }
    }

    pub(super) fn subscribed(&mut self, ack: &SubAck) {
        let (filter, pause) = match self.subscriptions.answered(ack) {
            // After a change of what it is subscribed to, of which nothing was refused.
            Answer::Confirmed if *self.connected.borrow() && self.said.is_empty() => return,
            Answer::Confirmed => return self.ready(),
            Answer::Old => return,
            Answer::Refused { filter, pause } => (filter, pause),
        };
        let error = LinkError::SubscriptionRefused { filter };
        metrics::failed(&error);
        // Once a connection: attempts go on, and their number is a metric.
        if !self.said.insert((self.brokers.at(), error.label())) {
            tracing::debug!(client = %self.client_id, ?pause, "{error}");
        } else {
            tracing::error!(
                client = %self.client_id,
                "{error}: nothing that is published there is received until it is granted; \
                 let the broker's access rules allow it, it is asked for again and again"
            );
            self.push(Event::Disconnected { error });
        }
        // What is granted is received all the same.
        self.release();
    }

    /// The filters are others now.
    pub(super) async fn subscribe_to_others(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let wanted = wanted.into_iter().map(|path| (path, QoS::AtLeastOnce));
        let gone = self.subscriptions.want(wanted.map(filter).collect());
        if !self.up {
            return;
        }
        for path in gone {
            // There is always room for a request.
            let _ = self.client.unsubscribe(path).await;
        }
        if self.subscriptions.is_open() {
            self.subscribe_again().await;
        } else if !*self.connected.borrow() || !self.said.is_empty() {
            // What was refused is not wanted any more.
            self.ready();
        }
    }

    pub(super) async fn subscribe_again(&mut self) {
        // There is always room for a request.
        let _ = self.client.subscribe_many(self.subscriptions.ask()).await;
    }

    fn ready(&mut self) {
        tracing::info!(
            broker = %self.brokers.address(),
            client = %self.client_id,
            "connected to the broker"
        );
        self.said.clear();
        self.connected.send_replace(true);
        self.push(Event::Connected);
        self.release();
    }

    fn release(&mut self) {
        for event in self.held.take().unwrap_or_default() {
            self.push(event);
        }
    }

    pub(super) fn deliver(&mut self, publish: Publish) {
        metrics::received(publish.payload.len());
        let sequence = match publish.qos {
            QoS::AtMostOnce => 0,
            _ if self.eager => 0,
            _ => self.deliveries.delivered(publish.pkid),
        };
        let event = Event::Message(Incoming {
            topic: publish.topic,
            payload: publish.payload,
            retain: publish.retain,
            ticket: Ticket {
                bulk: self.bulk,
                connection: self.connection,
                sequence,
            },
        });
        match &mut self.held {
            Some(held) => held.push(event),
            None => self.push(event),
        }
    }

    pub(super) fn push(&self, event: Event) {
        let dropped = self.shared.push(event);
        if dropped > 0 {
            metrics::dropped(dropped);
            warn_limited!(
                dropped,
                limit = inbox::LIMIT,
                "the inbox is full: messages dropped"
            );
        }
    }

    pub(super) async fn accept(&mut self, message: Outgoing) {
        if self.up {
            hand_over(&self.client, message.clone()).await;
        }
        self.in_flight.push(message, self.up);
    }

    /// What comes in bulk is acknowledged as it arrives, by rumqttc, which answers all that it reads at once with one write; one by
    /// one, acknowledgements cost the broker and this process a write and a wake-up for each message. Where the consumer
    /// is slow, they wait for it as on the other connection, and the broker with them. Either way a message is in memory when
    /// it is acknowledged, and what is lost with the process is sent again by whoever waits for its receipt.
    pub(super) fn choose_who_acknowledges(&mut self, eventloop: &mut EventLoop) {
        let state = &mut eventloop.state;
        // What rumqttc has read and not handed over was read under the choice before.
        if !self.bulk || !state.events.is_empty() {
            return;
        }
        // Acknowledgements leave in the order of delivery: none that was handed over before may be behind one of these.
        let in_order = self.deliveries.len() == 0 && self.unwritten == 0 && self.held.is_none();
        let wanted = self.phase == Phase::Open && self.shared.unread() < EAGER;
        self.eager = in_order && wanted;
        state.manual_acks = !self.eager;
    }

    pub(super) async fn acknowledge(&mut self, ticket: Ticket) {
        if ticket.connection != self.connection || !self.up {
            return;
        }
        for id in self.deliveries.acknowledge(ticket.sequence) {
            self.send_acknowledgement(id).await;
        }
    }

    async fn send_acknowledgement(&mut self, id: u16) {
        self.unwritten += 1;
        let mut publish = Publish::new("", QoS::AtLeastOnce, "");
        publish.pkid = id;
        // There is always room for a request.
        let _ = self.client.ack(&publish).await;
    }

    /// A consumer that publishes before it acknowledges would wait for a broker that waits for its
    /// acknowledgement. One is given early then: the message is in the inbox and at worst lost with
    /// this process, which receipts make good.
    ///
    /// The same goes for subscriptions: until they are confirmed the consumer has nothing to acknowledge.
    pub(super) async fn unblock(&mut self) {
        if self.up && (!self.in_flight.has_room() || self.held.is_some()) {
            self.acknowledge_early().await;
        }
    }

    /// Acknowledges one message that the consumer has not acknowledged, if the broker waits for that.
    pub(super) async fn acknowledge_early(&mut self) {
        if self.deliveries.len() >= BROKER_WINDOW {
            metrics::early();
            for id in self.deliveries.give_up_first() {
                self.send_acknowledgement(id).await;
            }
        }
    }
}

/// Never waits: fewer messages are in flight than rumqttc may hold.
async fn hand_over(client: &AsyncClient, message: Outgoing) {
    let sent = client
        .publish_bytes(
            message.topic,
            QoS::AtLeastOnce,
            message.retain,
            message.payload,
        )
        .await;
    // The other end lives as long as this task.
    debug_assert!(sent.is_ok());
}
