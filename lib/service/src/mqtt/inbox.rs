//! The receiving side.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use super::{LinkError, metrics};

/// Messages that one connection may leave unread before those of earlier connections are dropped in
/// their favour. Brokers deliver far fewer without acknowledgements.
pub(super) const LIMIT: usize = 512;

/// What happens on a connection.
#[derive(Debug)]
pub enum Event {
    /// The connection is up and every subscription is confirmed.
    Connected,
    /// The connection was lost, or an attempt failed; the client tries again by itself.
    Disconnected {
        /// Why.
        error: LinkError,
    },
    /// A message arrived. Acknowledge it with [`Inbox::ack`] once it no longer needs to be delivered
    /// again: the broker stops after about 100 without acknowledgement.
    Message(Incoming),
}

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The topic it was published to.
    pub topic: String,
    /// Its bytes.
    pub payload: Bytes,
    /// Whether the broker sent it because it retains it.
    pub retain: bool,
    pub(super) ticket: Ticket,
}

/// Which delivery of which connection a message is. `sequence` 0 needs no acknowledgement: it is of QoS 0, or was acknowledged as it
/// arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Whether it came over the connection for bulk.
    pub bulk: bool,
    pub connection: u64,
    pub sequence: u64,
}

/// Receives messages: of one connection, or of the two of [`super::connect_with_bulk`].
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
    bulk: Option<Arc<Shared>>,
    /// Which of the two are up.
    up: [bool; 2],
    acker: Acker,
}

/// Acknowledges messages from another task than the one that receives them.
#[derive(Debug, Clone)]
pub struct Acker {
    acks: mpsc::UnboundedSender<Ticket>,
    bulk: Option<mpsc::UnboundedSender<Ticket>>,
}

impl Acker {
    /// Acknowledges a message. Acknowledgements reach the broker in the order of delivery whatever
    /// the order of these calls; one for a message of an earlier connection is ignored, because the
    /// broker delivers that message again.
    pub fn ack(&self, message: &Incoming) {
        if message.ticket.sequence == 0 {
            return;
        }
        let bulk = self.bulk.as_ref().filter(|_| message.ticket.bulk);
        // If the link is gone, nobody waits for an acknowledgement.
        let _ = bulk.unwrap_or(&self.acks).send(message.ticket);
    }
}

impl Inbox {
    pub(super) fn new(acks: mpsc::UnboundedSender<Ticket>) -> (Self, Arc<Shared>) {
        let shared = Arc::new(Shared::default());
        let inbox = Self {
            shared: shared.clone(),
            bulk: None,
            up: [false; 2],
            acker: Acker { acks, bulk: None },
        };
        (inbox, shared)
    }

    /// Adds a second connection, whose messages come after those of the first, and the end of its queue.
    pub(super) fn with_bulk(&mut self, acks: mpsc::UnboundedSender<Ticket>) -> Arc<Shared> {
        let bulk = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: self.shared.arrived.clone(),
        });
        self.bulk = Some(bulk.clone());
        self.acker.bulk = Some(acks);
        bulk
    }

    /// The next event; `None` once the stop has fired. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        let arrived = self.shared.arrived.clone();
        loop {
            let notified = arrived.notified();
            while let Some(event) = self.next()? {
                if let Some(event) = self.noted(event) {
                    return Some(event);
                }
            }
            notified.await;
        }
    }

    /// The next event that is there, with whether it is of the connection for bulk; `None` once there will be no more.
    fn next(&self) -> Option<Option<(Event, bool)>> {
        let mut queue = self.shared.lock();
        if queue.ended {
            return None;
        }
        let first = queue.events.pop_front().map(|event| (event, false));
        drop(queue);
        Some(first.or_else(|| {
            let event = self.bulk.as_ref()?.lock().events.pop_front()?;
            Some((event, true))
        }))
    }

    /// Two connections are connected once both are.
    fn noted(&mut self, (event, bulk): (Event, bool)) -> Option<Event> {
        match event {
            Event::Connected => self.up[usize::from(bulk)] = true,
            Event::Disconnected { .. } => self.up[usize::from(bulk)] = false,
            Event::Message(_) => {}
        }
        let other_up = self.bulk.is_none() || self.up[usize::from(!bulk)];
        (other_up || !matches!(event, Event::Connected)).then_some(event)
    }

    /// Acknowledges a message; see [`Acker::ack`].
    pub fn ack(&self, message: &Incoming) {
        self.acker.ack(message);
    }

    /// A handle for acknowledging elsewhere.
    pub fn acker(&self) -> Acker {
        self.acker.clone()
    }

    /// Messages that wait to be received.
    pub fn len(&self) -> usize {
        let bulk = self.bulk.as_ref();
        self.shared.lock().events.len() + bulk.map_or(0, |bulk| bulk.lock().events.len())
    }

    /// Whether nothing waits to be received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The queue between the link and the inbox. The link never waits on it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    arrived: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code panics while it holds the lock, and the queue is valid at every step.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event and returns how many messages were dropped for it.
    pub(super) fn push(&self, event: Event) -> usize {
        let mut queue = self.lock();
        let before = queue.events.len();
        let dropped = queue.push(event);
        metrics::inbox(before, queue.events.len());
        drop(queue);
        self.arrived.notify_one();
        dropped
    }

    /// Events that are there and were not received.
    pub(super) fn unread(&self) -> usize {
        self.lock().events.len()
    }

    /// Ends the inbox. What is unread and not acknowledged is delivered again.
    pub(super) fn end(&self) {
        let mut queue = self.lock();
        queue.ended = true;
        metrics::inbox(queue.events.len(), 0);
        queue.events.clear();
        drop(queue);
        self.arrived.notify_one();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        metrics::inbox(self.events.len(), 0);
    }
}

impl Queue {
    fn push(&mut self, event: Event) -> usize {
        if self.ended {
            return 0;
        }
        let Event::Message(incoming) = &event else {
            self.events.push_back(event);
            return 0;
        };
        if self.events.len() < LIMIT {
            self.events.push_back(event);
            return 0;
        }
        // Full. Messages of earlier connections are delivered again, so they go first, but for those acknowledged as they were
        // read: a report among them is sent again by its gateway, which has no receipt for it. QoS 0 may be lost at any time.
        // What is left is bounded by what the broker delivers without acknowledgements.
        let ticket = incoming.ticket;
        let before = self.events.len();
        self.events.retain(|event| match event {
            Event::Message(old) => old.ticket.connection == ticket.connection,
            _ => true,
        });
        let dropped = before - self.events.len();
        if ticket.sequence == 0 && dropped == 0 {
            return 1;
        }
        self.events.push_back(event);
        dropped
    }
}

#[cfg(test)]
mod tests;
