//! Backpressure in the place of silent loss.
//!
//! The router keeps one log for each filter, drops the oldest of it without a word, and acknowledges a message that it has
//! appended, read or not. So for each filter that messages are *required* to reach somebody through, this counts the bytes
//! that were appended and those that each required subscriber has acknowledged. Once the slowest of them is a log behind,
//! messages wait in front of the router, unacknowledged, and their publishers with them: in line, so that none of them starves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttd::protocol::matches;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::caps::lock;
use super::metrics;
use super::required::Reader;
use super::turns::{Line, SHARE, Turn};

/// What the router counts beside topic and payload.
const OVERHEAD: u64 = 4;

/// How often a message that waits looks whether it still must.
const LOOK: Duration = Duration::from_millis(200);

pub(super) struct Ledger {
    /// Bytes that the slowest subscriber may be behind.
    limit: u64,
    grace: Duration,
    logs: Mutex<HashMap<String, Log>>,
    /// The next number of those who wait.
    next: AtomicU64,
}

/// What is known of the log of a filter.
#[derive(Default)]
struct Log {
    appended: u64,
    /// By client id.
    readers: HashMap<String, Reader>,
    line: Line,
}

impl Log {
    fn has_room(&self, limit: u64, size: u64) -> bool {
        let slowest = self.readers.values().map(|reader| reader.taken).min();
        let behind = slowest.map_or(0, |taken| self.appended.saturating_sub(taken));
        // A message that is larger than the limit passes alone.
        behind == 0 || behind + size <= limit
    }

    /// Calls who waits first, if it need not any more.
    fn call(&self, limit: u64) {
        self.line.call(|size| self.has_room(limit, size));
    }
}

/// A message on its way to a required subscriber.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) filter: String,
    pub(super) size: u64,
    /// Its place in the filter's log.
    pub(super) offset: u64,
}

/// Bytes that a message takes in a log.
pub(super) fn size(topic: &[u8], payload: &[u8]) -> u64 {
    OVERHEAD + (topic.len() + payload.len()) as u64
}

impl Ledger {
    /// A log never holds less than `limit` bytes.
    pub(super) fn new(limit: u64, grace: Duration) -> Self {
        Self {
            limit,
            grace,
            logs: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// From now on messages of a filter are required to reach a client, which is told if it is given up.
    pub(super) fn enter(&self, filter: &str, client: &str, given_up: &Arc<Notify>) {
        let mut logs = lock(&self.logs);
        let log = logs.entry(filter.to_owned()).or_default();
        let appended = log.appended;
        let reader = log.readers.entry(client.to_owned());
        let reader = reader.or_insert_with(|| Reader::new(appended));
        reader.given_up = Arc::clone(given_up);
    }

    /// The client of a session that is kept is here again; what it has not acknowledged is sent again.
    pub(super) fn returned(&self, client: &str) {
        self.each(client, |reader| {
            reader.connected = true;
            reader.moved = Instant::now();
        });
    }

    /// The client is gone, and its session stays.
    pub(super) fn away(&self, client: &str) {
        self.each(client, |reader| {
            reader.connected = false;
            reader.away_since.get_or_insert_with(Instant::now);
            reader.unacknowledged = 0;
        });
    }

    fn each(&self, client: &str, change: impl Fn(&mut Reader)) {
        let mut logs = lock(&self.logs);
        let readers = logs.values_mut();
        readers
            .filter_map(|log| log.readers.get_mut(client))
            .for_each(change);
    }

    /// Messages of a filter, or of all, are no longer required to reach a client.
    pub(super) fn leave(&self, client: &str, filter: Option<&str>) {
        let mut logs = lock(&self.logs);
        logs.retain(|of, log| {
            if filter.is_none_or(|filter| filter == of) {
                log.readers.remove(client);
                log.call(self.limit);
            }
            if log.readers.is_empty() {
                log.line.dissolve();
            }
            !log.readers.is_empty()
        });
    }

    /// Counts a message of somebody who does not stand in line as appended, unless it must wait.
    pub(super) fn append(&self, topic: &str, size: u64) -> bool {
        self.pass(topic, size, &mut Turn::default())
    }

    /// Counts a message as appended, unless it must wait for room, or for others that have waited for longer.
    pub(super) fn pass(&self, topic: &str, size: u64, turn: &mut Turn) -> bool {
        let mut logs = lock(&self.logs);
        let waits = |log: &Log| !log.line.lets_pass(turn) || !log.has_room(self.limit, size);
        let mut matching = logs.iter().filter(|(filter, _)| matches(topic, filter));
        if matching.any(|(_, log)| waits(log)) {
            return false;
        }
        for (filter, log) in logs.iter_mut() {
            if matches(topic, filter) {
                log.appended += size;
            }
        }
        drop(logs);
        if turn.number.is_some() {
            turn.passed += size;
        }
        if turn.passed >= SHARE {
            self.end(turn);
        }
        true
    }

    /// Stands in line for a message. What it returns is called once the message may pass.
    pub(super) fn stand(&self, topic: &str, size: u64, turn: &mut Turn) -> Arc<Notify> {
        let called = Arc::clone(&turn.called);
        turn.stands = true;
        let next = || self.next.fetch_add(1, Ordering::Relaxed);
        let number = *turn.number.get_or_insert_with(next);
        let mut logs = lock(&self.logs);
        let mut alone = true;
        for (filter, log) in logs.iter_mut() {
            if matches(topic, filter) {
                if log.line.enter(number, size, &called) {
                    log.call(self.limit);
                }
                alone = false;
            }
        }
        if alone {
            called.notify_one();
        }
        called
    }

    /// Leaves the line for as long as something else than room keeps a publisher from going on. It keeps its number.
    pub(super) fn stand_back(&self, turn: &mut Turn) {
        let stood = std::mem::take(&mut turn.stands);
        let Some(number) = turn.number.filter(|_| stood) else {
            return;
        };
        for log in lock(&self.logs).values_mut() {
            log.line.leave(number);
            log.call(self.limit);
        }
    }

    /// Nothing waits any more, or the share is handed on: whatever waits next waits behind the others.
    pub(super) fn end(&self, turn: &mut Turn) {
        self.stand_back(turn);
        (turn.number, turn.passed) = (None, 0);
    }

    /// A message was sent to a required subscriber.
    pub(super) fn sent(&self, client: &str, sent: &Sent) {
        let mut logs = lock(&self.logs);
        let log = logs.get_mut(&sent.filter);
        if let Some(reader) = log.and_then(|log| log.readers.get_mut(client)) {
            reader.unacknowledged += 1;
            reader.moved = Instant::now();
        }
    }

    /// A required subscriber has acknowledged a message.
    pub(super) fn acknowledged(&self, client: &str, sent: &Sent) {
        let mut logs = lock(&self.logs);
        let Some(log) = logs.get_mut(&sent.filter) else {
            return;
        };
        let Some(reader) = log.readers.get_mut(client) else {
            return;
        };
        reader.unacknowledged = reader.unacknowledged.saturating_sub(1);
        reader.moved = Instant::now();
        reader.away_since = None;
        match reader.high {
            Some(high) if sent.offset < high => return,
            Some(high) if sent.offset > high => {
                metrics::overrun(sent.offset - high);
                tracing::error!(
                    client,
                    filter = sent.filter,
                    messages = sent.offset - high,
                    "a required subscriber missed messages"
                );
            }
            _ => {}
        }
        reader.high = Some(sent.offset + 1);
        reader.taken += sent.size;
        log.call(self.limit);
    }

    /// Returns once there may be room for who stands in line.
    pub(super) async fn room(&self, called: &Notify) {
        if timeout(LOOK, called.notified()).await.is_err() {
            self.review(Instant::now());
        }
    }

    /// Corrects what was counted and never arrives, and gives up subscribers that are away, or acknowledge nothing, for too long.
    fn review(&self, now: Instant) {
        let mut logs = lock(&self.logs);
        for (filter, log) in logs.iter_mut() {
            let appended = log.appended;
            log.readers.retain(|client, reader| {
                if reader.is_done(now) {
                    reader.taken = appended;
                    reader.away_since = None;
                    return true;
                }
                if !reader.is_late(now, self.grace) {
                    return true;
                }
                metrics::given_up();
                tracing::error!(
                    client,
                    filter,
                    connected = reader.connected,
                    "a required subscriber is away, or acknowledges nothing, for longer than broker.required_grace: messages \
                     no longer wait for it, and the oldest that it has not read are dropped"
                );
                reader.given_up.notify_one();
                false
            });
            log.call(self.limit);
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
