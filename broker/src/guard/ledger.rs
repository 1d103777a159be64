//! Backpressure in the place of silent loss.
//!
//! The router keeps one log for each filter, drops the oldest of it without a word, and acknowledges a message that it has
//! appended, read or not. So for each filter that messages are *required* to reach somebody through, this counts the bytes
//! that were appended and those that each required subscriber has acknowledged. Once the slowest of them is a log behind,
//! messages wait in front of the router, unacknowledged, and their publishers with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttd::protocol::matches;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::caps::lock;
use super::metrics;

/// What the router counts beside topic and payload.
const OVERHEAD: u64 = 4;

/// How often a message that waits looks whether it still must.
const LOOK: Duration = Duration::from_millis(200);

/// A connected subscriber that has acknowledged all it was sent, and is sent nothing for so long, has taken everything.
const QUIET: Duration = Duration::from_millis(500);

pub(super) struct Ledger {
    /// Bytes that the slowest subscriber may be behind.
    limit: u64,
    grace: Duration,
    logs: Mutex<HashMap<String, Log>>,
    room: Notify,
}

/// What is known of the log of a filter.
#[derive(Default)]
struct Log {
    appended: u64,
    /// By client id.
    readers: HashMap<String, Reader>,
}

/// A required subscriber.
struct Reader {
    taken: u64,
    /// The first offset in the log that it has not acknowledged: what is sent again counts once.
    high: Option<u64>,
    unacknowledged: usize,
    /// When something was last sent or acknowledged.
    moved: Instant,
    connected: bool,
    /// Since when it is away, until it acknowledges something again.
    away_since: Option<Instant>,
    /// Told if it is given up.
    given_up: Arc<Notify>,
}

impl Reader {
    /// Whether it has taken everything that there was for it.
    fn is_done(&self, now: Instant) -> bool {
        let quiet = now.duration_since(self.moved) > QUIET;
        self.connected && quiet && self.unacknowledged == 0
    }

    fn is_late(&self, now: Instant, grace: Duration) -> bool {
        let stalled = (self.unacknowledged > 0).then_some(self.moved);
        let since = self.away_since.or(stalled);
        since.is_some_and(|since| now.duration_since(since) > grace)
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
            room: Notify::new(),
        }
    }

    /// From now on messages of a filter are required to reach a client, which is told if it is given up.
    pub(super) fn enter(&self, filter: &str, client: &str, given_up: &Arc<Notify>) {
        let mut logs = lock(&self.logs);
        let log = logs.entry(filter.to_owned()).or_default();
        let appended = log.appended;
        let reader = log.readers.entry(client.to_owned());
        let reader = reader.or_insert_with(|| Reader {
            taken: appended,
            high: None,
            unacknowledged: 0,
            moved: Instant::now(),
            connected: true,
            away_since: None,
            given_up: Arc::default(),
        });
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
            }
            !log.readers.is_empty()
        });
        drop(logs);
        self.room.notify_waiters();
    }

    /// Counts a message as appended, unless it must wait.
    pub(super) fn append(&self, topic: &str, size: u64) -> bool {
        let mut logs = lock(&self.logs);
        let full = |log: &Log| {
            let slowest = log.readers.values().map(|reader| reader.taken).min();
            let behind = slowest.map_or(0, |taken| log.appended.saturating_sub(taken));
            // A message that is larger than the limit passes alone.
            behind > 0 && behind + size > self.limit
        };
        let mut matching = logs.iter().filter(|(filter, _)| matches(topic, filter));
        if matching.any(|(_, log)| full(log)) {
            return false;
        }
        for (filter, log) in logs.iter_mut() {
            if matches(topic, filter) {
                log.appended += size;
            }
        }
        true
    }

    /// A message was sent to a required subscriber.
    pub(super) fn sent(&self, client: &str, sent: &Sent) {
        let mut logs = lock(&self.logs);
        if let Some(reader) = reader(&mut logs, client, &sent.filter) {
            reader.unacknowledged += 1;
            reader.moved = Instant::now();
        }
    }

    /// A required subscriber has acknowledged a message.
    pub(super) fn acknowledged(&self, client: &str, sent: &Sent) {
        let mut logs = lock(&self.logs);
        let Some(reader) = reader(&mut logs, client, &sent.filter) else {
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
        drop(logs);
        self.room.notify_waiters();
    }

    /// Returns once there may be room.
    pub(super) async fn room(&self) {
        let notified = self.room.notified();
        if timeout(LOOK, notified).await.is_err() {
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
        }
        drop(logs);
        self.room.notify_waiters();
    }
}

fn reader<'a>(
    logs: &'a mut HashMap<String, Log>,
    client: &str,
    filter: &str,
) -> Option<&'a mut Reader> {
    logs.get_mut(filter)?.readers.get_mut(client)
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
