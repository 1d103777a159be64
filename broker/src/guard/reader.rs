//! The half of a connection that reads: each packet is checked, then counted, then handed to the router.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use rumqttd::protocol::Packet as Routed;
use tokio::io::{AsyncReadExt as _, ReadHalf};
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::Client;
use super::encode;
use super::end::End;
use super::lane::Lane;
use super::packet::{self, Limits, Next, Packet, Publish};
use super::turns::Turn;
use super::{Guard, Stream, caps::lock, metrics};

/// Packets handed to the router at once.
pub(super) const BATCH: usize = 64;

/// How much room is made for what is read.
const ROOM: (usize, usize) = (4 << 10, 64 << 10);

pub(super) struct Reader<'a> {
    pub(super) guard: &'a Guard,
    pub(super) lane: &'a Lane,
    pub(super) client: &'a Client,
    /// The session's filters and their QoS.
    pub(super) filters: &'a mut HashMap<String, u8>,
    /// Filters the router knows of only from an earlier connection.
    pub(super) resumed: HashSet<String>,
    pub(super) batch: Vec<Routed>,
    stream: ReadHalf<Stream>,
    buffer: BytesMut,
    limits: Limits,
    pub(super) batch_bytes: usize,
    /// The router must have taken all messages before this batch.
    apart: bool,
    /// There are messages in the batch, and in those before it that the router may not have taken.
    pub(super) routed: bool,
    untaken: bool,
    /// Sent once the batch is with the router.
    pub(super) answers: BytesMut,
    /// Messages that wait for a required subscriber, and everything behind them.
    pub(super) held: VecDeque<Publish>,
    pub(super) held_bytes: usize,
    pub(super) turn: Turn,
    pub(super) seen: HashSet<u64>,
    pub(super) messages: u32,
    /// Since when no more can be held.
    pub(super) full_since: Option<Instant>,
    last: Instant,
    refused: u64,
}

/// How far the buffer was read.
enum Parsed {
    /// So many more bytes are missing.
    Missing(usize),
    /// There is more in it.
    Batch,
    /// A message, and no more can be held.
    Full,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        guard: &'a Guard,
        lane: &'a Lane,
        client: &'a Client,
        filters: &'a mut HashMap<String, u8>,
        (stream, buffer): (ReadHalf<Stream>, BytesMut),
    ) -> Self {
        Self {
            guard,
            lane,
            client,
            resumed: filters.keys().cloned().collect(),
            filters,
            stream,
            buffer,
            batch: Vec::new(),
            limits: Limits {
                bytes: guard.limits.max_payload_bytes,
                filters: guard.limits.max_subscriptions,
            },
            batch_bytes: 0,
            apart: false,
            routed: false,
            untaken: false,
            answers: BytesMut::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            turn: Turn::default(),
            seen: HashSet::new(),
            messages: 0,
            full_since: None,
            last: Instant::now(),
            refused: 0,
        }
    }

    /// Reads until the client leaves or sends what it may not.
    pub(super) async fn run(&mut self) -> Result<(), End> {
        loop {
            self.release();
            let parsed = self.parse();
            let goes_on = self.batch.is_empty() && self.messages == 0 && !self.lane.is_behind();
            if self.turn.stands && !goes_on {
                self.guard.ledger.stand_back(&mut self.turn);
            }
            self.flush().await?;
            self.pace().await;
            self.lane.read().await;
            self.lane.subscribed().await;
            match parsed? {
                Parsed::Batch => {}
                Parsed::Full => self.full().await?,
                Parsed::Missing(bytes) if self.held.is_empty() => self.read(bytes).await?,
                Parsed::Missing(bytes) => {
                    let room = self.room();
                    tokio::select! {
                        () = room => {}
                        read = self.read(bytes) => read?,
                    }
                }
            }
        }
    }

    /// Waits while a message is in front of what was read, and no more messages can be held.
    async fn full(&mut self) -> Result<(), End> {
        let since = *self.full_since.get_or_insert_with(Instant::now);
        let required = !lock(&self.lane.required).is_empty();
        if required && since.elapsed() > self.guard.limits.write_timeout {
            // What it has to acknowledge to make room may be behind that message.
            return Err(End::Refused("held"));
        }
        let room = self.room();
        if self.buffer.len() >= ROOM.1 {
            room.await;
            // Its packets were not looked at, so it did not fall silent.
            self.last = Instant::now();
            return Ok(());
        }
        // So that it is noticed if it leaves.
        let before = self.buffer.len();
        tokio::select! {
            () = room => {}
            read = self.read(1) => read?,
        }
        if self.buffer.len() > before {
            self.last = Instant::now();
        }
        Ok(())
    }

    fn parse(&mut self) -> Result<Parsed, End> {
        loop {
            let more = self
                .buffer
                .first()
                .is_some_and(|first| first & 0xf0 == 0x30);
            if more && self.held_bytes >= self.guard.limits.max_held_bytes {
                return Ok(Parsed::Full);
            }
            if self.batch.len() >= BATCH || self.batch_bytes >= self.guard.limits.max_held_bytes {
                return Ok(Parsed::Batch);
            }
            // SUBSCRIBE and UNSUBSCRIBE begin a batch.
            if matches!(self.buffer.first(), Some(0x82 | 0xa2)) {
                if !self.batch.is_empty() {
                    return Ok(Parsed::Batch);
                }
                self.apart = true;
            }
            let unread = self.buffer.len();
            match packet::next(&mut self.buffer, self.limits)? {
                Next::Missing(bytes) => return Ok(Parsed::Missing(bytes)),
                Next::Packet(packet) => {
                    if matches!(
                        packet,
                        Packet::Subscribe { .. } | Packet::Unsubscribe { .. }
                    ) {
                        self.batch_bytes += unread - self.buffer.len();
                    }
                    self.packet(packet)?;
                }
            }
        }
    }

    async fn read(&mut self, missing: usize) -> Result<(), End> {
        self.buffer.reserve(missing.clamp(ROOM.0, ROOM.1));
        // No more at once: see `packet`.
        let mut room = (&mut self.buffer).limit(ROOM.1);
        let read = self.stream.read_buf(&mut room);
        let read = match self.client.keep_alive {
            Some(limit) => {
                let read = timeout_at(self.last + limit, read).await;
                read.map_err(|_| End::Refused("keep_alive"))?
            }
            None => read.await,
        };
        match read? {
            0 => Err(End::Closed),
            _ => Ok(()),
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<(), End> {
        self.last = Instant::now();
        match packet {
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubAck(id) => self.acknowledged(id),
            Packet::Subscribe { id, filters } => self.subscribe(id, filters),
            Packet::Unsubscribe { id, filters } => self.unsubscribe(id, &filters),
            Packet::PingReq => encode::pong(&mut self.answers),
            Packet::Disconnect => return Err(End::Left),
            Packet::Connect(_) => {
                return Err(packet::PacketError::Malformed("second CONNECT").into());
            }
        }
        Ok(())
    }

    fn acknowledged(&self, id: u16) {
        // One that answers nothing may be late: of a message that was sent over an earlier connection.
        if lock(&self.lane.deliveries).acknowledge(id) {
            self.lane.work.notify_one();
        }
    }

    /// Counts a refusal, and logs the first few of a connection and ever fewer of the others.
    pub(super) fn refuse(&mut self, reason: &'static str, name: &str) {
        metrics::refused(reason);
        self.refused += 1;
        if self.refused.is_power_of_two() && self.guard.quiet.passes() {
            tracing::warn!(
                client = self.lane.client_id,
                identity = self.client.identity.name(),
                reason,
                name,
                so_far = self.refused,
                "refused what a client published or subscribed to"
            );
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if !self.batch.is_empty() {
            let mut to = self.lane.to.lock().await;
            if std::mem::take(&mut self.apart) && self.untaken {
                to.all_taken().await;
                self.untaken = false;
            }
            to.taken(self.guard.limits.max_held_bytes).await;
            self.untaken |= std::mem::take(&mut self.routed);
            to.push(&mut self.batch, self.batch_bytes).await?;
            self.batch_bytes = 0;
        }
        self.lane.answer(&self.answers);
        self.answers.clear();
        Ok(())
    }

    /// Slows down a client whose identity publishes more than it may.
    async fn pace(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        let wait = match messages {
            0 => Duration::ZERO,
            messages => self.client.share.published(messages),
        };
        if !wait.is_zero() {
            metrics::refused("rate");
            sleep(wait).await;
            self.last = Instant::now();
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.guard.ledger.end(&mut self.turn);
        if self.held_bytes > 0 {
            self.guard
                .traffic
                .held_bytes
                .decrement(self.held_bytes as f64);
        }
    }
}
