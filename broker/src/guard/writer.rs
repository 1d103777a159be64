//! The half of a connection that writes: what the router delivers, what is retained, and answers.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::IoSlice;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use rumqttd::local::LinkRx;
use rumqttd::protocol::Packet;
use rumqttd::{Forward, Notification};
use tokio::io::{AsyncWriteExt as _, WriteHalf};
use tokio::time::timeout;

use super::deliveries::Delivery;
use super::encode::{self, DUP, Delivered, QOS1};
use super::end::End;
use super::lane::Lane;
use super::retained::Kept;
use super::{Guard, Stream, caps::lock};
use crate::probe;

/// Pieces in one write.
pub(super) const PIECES: usize = 32;

/// Payloads below this are copied behind their header.
const COPIED: usize = 512;

/// Small messages in one write. Bytes.
pub(super) const HEAD: usize = 64 << 10;

/// How long a client that is about to be left may take to read what it was answered.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Writer<'a> {
    pub(super) guard: &'a Guard,
    pub(super) lane: &'a Lane,
    from: LinkRx,
    stream: WriteHalf<Stream>,
    /// Sent over an earlier connection and not acknowledged.
    again: HashSet<(Bytes, (u64, u64))>,
    /// Filters whose retained messages are to be sent, each once, and what is left of those of one filter.
    pub(super) granted: BTreeMap<String, u8>,
    pub(super) retained: VecDeque<Kept>,
    pub(super) pieces: VecDeque<Bytes>,
    pub(super) head: BytesMut,
    scratch: BytesMut,
    /// Whether the router was ever woken.
    pub(super) woke: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        guard: &'a Guard,
        lane: &'a Lane,
        from: LinkRx,
        stream: WriteHalf<Stream>,
    ) -> Self {
        Self {
            guard,
            lane,
            from,
            stream,
            again: HashSet::new(),
            granted: BTreeMap::new(),
            retained: VecDeque::new(),
            pieces: VecDeque::new(),
            head: BytesMut::new(),
            scratch: BytesMut::new(),
            woke: false,
        }
    }

    /// What comes before everything else, also before what a kept session has missed.
    pub(super) fn greet(&mut self, connack: &[u8]) {
        self.head.put_slice(connack);
        self.lane.work.notify_one();
    }

    /// Marks what of this is sent as sent again.
    pub(super) fn repeat(&mut self, unacknowledged: Vec<(Bytes, (u64, u64))>) {
        self.again.extend(unacknowledged);
    }

    /// Writes until the client or the router is gone. Cancel safe only in that nothing may be written afterwards.
    pub(super) async fn run(&mut self) -> Result<(), End> {
        loop {
            let mut busy = false;
            let mut next = self.first().await?;
            while let Some(notification) = next {
                busy |= matches!(notification, Notification::Unschedule);
                self.take(notification)?;
                if self.pieces.len() >= PIECES || self.head.len() >= HEAD {
                    break;
                }
                next = tokio::select! {
                    biased;
                    next = self.from.next() => next.map_err(|_| End::RouterGone)?,
                    () = std::future::ready(()) => None,
                };
            }
            self.write_retained().await;
            self.flush().await?;
            self.lane.settle(&self.guard.ledger).await?;
            if busy {
                self.woke = true;
                self.from.wake().await.map_err(|_| End::RouterGone)?;
            }
        }
    }

    /// Waits until there is something to write.
    async fn first(&mut self) -> Result<Option<Notification>, End> {
        let window = lock(&self.lane.deliveries).has_room();
        if window && !self.retained.is_empty() {
            // No newer message of their topics comes before them.
            return Ok(None);
        }
        let more = window && !self.granted.is_empty();
        tokio::select! {
            biased;
            next = self.from.next() => next.map_err(|_| End::RouterGone),
            () = std::future::ready(()), if more => Ok(None),
            () = self.lane.work.notified() => Ok(None),
        }
    }

    fn take(&mut self, notification: Notification) -> Result<(), End> {
        match notification {
            Notification::Forward(forward) => self.forward(forward),
            other => match Option::<Packet>::from(other) {
                Some(Packet::SubAck(..)) => {
                    self.subscribed();
                    Ok(())
                }
                Some(Packet::Disconnect(..)) => Err(End::RouterGone),
                // The guard has answered UNSUBSCRIBE itself, and the router acknowledges nothing else.
                _ => Ok(()),
            },
        }
    }

    fn forward(&mut self, forward: Forward) -> Result<(), End> {
        let place = forward.cursor;
        let delivered = Delivered::of(forward.publish, &mut self.scratch).ok_or(End::RouterGone)?;
        let Delivered { topic, payload, .. } = &delivered;
        if &topic[..] == probe::TOPIC.as_bytes() {
            self.swallow(&delivered);
            return Ok(());
        }
        let mut flags = 0;
        // A message has the QoS it was published with at most; the router knows only that of the subscription.
        let id = delivered.id.filter(|_| !delivered.at_most_once);
        if id.is_some() {
            let again = place.is_some_and(|place| self.again.remove(&(topic.clone(), place)));
            flags = QOS1 | if again { DUP } else { 0 };
        }
        encode::publish(&mut self.head, flags, topic, id, payload.len());
        if let Some(router_id) = delivered.id {
            let required = self.required(&delivered, place);
            lock(&self.lane.deliveries).sent(Delivery {
                id: router_id,
                done: delivered.at_most_once,
                topic: topic.clone(),
                place,
                required,
            });
        }
        self.payload(delivered.payload);
        Ok(())
    }

    /// Takes a message that is none of the client's business.
    fn swallow(&self, delivered: &Delivered) {
        if let Some(id) = delivered.id {
            lock(&self.lane.deliveries).sent(Delivery {
                id,
                done: true,
                topic: delivered.topic.clone(),
                place: None,
                required: None,
            });
        }
    }

    pub(super) fn payload(&mut self, payload: Bytes) {
        self.guard.traffic.sent.increment(1);
        let bytes = payload.len() as u64;
        self.guard.traffic.sent_bytes.increment(bytes);
        if payload.len() < COPIED {
            self.head.put_slice(&payload);
        } else {
            self.pieces.push_back(self.head.split().freeze());
            self.pieces.push_back(payload);
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.lane.take_answers(&mut self.head);
        if !self.head.is_empty() {
            self.pieces.push_back(self.head.split().freeze());
        }
        let limit = self.guard.limits.write_timeout;
        let written = timeout(limit, write(&mut self.stream, &mut self.pieces)).await;
        written.map_err(|_| End::Refused("write_timeout"))??;
        Ok(())
    }

    /// What is answered already, and the end of the stream.
    pub(super) async fn finish(&mut self) {
        // Whoever does not read it any more has left already.
        let _ = timeout(LAST_WORDS, async {
            self.flush().await?;
            self.stream.shutdown().await.map_err(End::Io)
        })
        .await;
    }
}

async fn write(stream: &mut WriteHalf<Stream>, pieces: &mut VecDeque<Bytes>) -> Result<(), End> {
    while !pieces.is_empty() {
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .take(PIECES)
            .map(|it| IoSlice::new(it))
            .collect();
        let mut written = stream.write_vectored(&slices).await?;
        if written == 0 {
            return Err(End::Closed);
        }
        while let Some(front) = pieces.front_mut() {
            if front.len() > written {
                front.advance(written);
                break;
            }
            written -= front.len();
            pieces.pop_front();
        }
    }
    Ok(stream.flush().await?)
}
