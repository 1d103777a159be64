//! The sending side.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::PublishError;

/// Sends messages. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Publisher {
    outgoing: mpsc::Sender<Outgoing>,
    connected: watch::Receiver<bool>,
    closed: Arc<watch::Sender<bool>>,
    max_packet_bytes: usize,
    /// What the connection is to be subscribed to.
    wanted: Arc<watch::Sender<Vec<String>>>,
    /// The connection for bulk, which lives as long as this one. Nothing is published over it.
    bulk: Option<Box<Publisher>>,
}

/// A message on its way to the broker.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
}

impl Publisher {
    pub(super) fn new(
        outgoing: mpsc::Sender<Outgoing>,
        connected: watch::Receiver<bool>,
        closed: Arc<watch::Sender<bool>>,
        wanted: Arc<watch::Sender<Vec<String>>>,
        max_packet_bytes: usize,
    ) -> Self {
        Self {
            outgoing,
            connected,
            closed,
            max_packet_bytes,
            wanted,
            bulk: None,
        }
    }

    pub(super) fn with_bulk(self, bulk: Publisher) -> Self {
        let bulk = Some(Box::new(bulk));
        Self { bulk, ..self }
    }

    /// Hands a message over for publishing with QoS 1. Waits while the broker does not keep up or is
    /// out of reach, which is the flow control; returning says nothing about delivery.
    ///
    /// Cancel safe: dropped before it completes, the message is not sent.
    ///
    /// # Errors
    /// [`PublishError::Closed`] once the connection is closed for good, [`PublishError::TooLarge`]
    /// for a message that `mqtt.max_packet_bytes` does not allow.
    pub async fn publish(
        &self,
        topic: impl Into<String>,
        payload: impl Into<Bytes>,
        retain: bool,
    ) -> Result<(), PublishError> {
        let message = Outgoing {
            topic: topic.into(),
            payload: payload.into(),
            retain,
        };
        let bytes = message.packet_bytes();
        if bytes > self.max_packet_bytes {
            return Err(PublishError::TooLarge {
                bytes,
                limit: self.max_packet_bytes,
            });
        }
        let sent = self.outgoing.send(message).await;
        sent.map_err(|_| PublishError::Closed)
    }

    /// Changes what the connection for bulk is subscribed to. What is refused is asked for again, as at the start.
    pub fn subscribe_bulk(&self, filters: Vec<String>) {
        if let Some(bulk) = &self.bulk {
            bulk.wanted.send_if_modified(|wanted| {
                let is_other = *wanted != filters;
                *wanted = filters;
                is_other
            });
        }
    }

    /// Whether the connection is up and all subscriptions are confirmed.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Follows whether the connection is up.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Sends what was accepted, closes the connection, with that for bulk, and waits until that is done, at most
    /// [`super::CLOSE_GRACE`] and a second. Other clones can publish no more.
    pub async fn close(mut self) {
        let mut bulk = self.bulk.take();
        for publisher in bulk.as_deref().into_iter().chain([&self]) {
            publisher.closed.send_replace(true);
        }
        drop(self.outgoing);
        let bulk = bulk.as_mut().map(|bulk| &mut bulk.connected);
        for connected in bulk.into_iter().chain([&mut self.connected]) {
            // The sender lives as long as the task that owns the connection.
            while connected.changed().await.is_ok() {}
        }
    }
}

impl Outgoing {
    /// Size of the packet: fixed header of at most 5 bytes, topic with its length, packet id, payload.
    pub(super) fn packet_bytes(&self) -> usize {
        5 + 2 + self.topic.len() + 2 + self.payload.len()
    }
}
