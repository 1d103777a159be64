//! How many reports may be on their way to a receipt, and how long a receipt is waited for.
//!
//! The broker keeps what it has not delivered in a ring and drops the oldest silently, so a sender that goes on while
//! the pipeline is slow loses reports, sends them again, and takes the room of the rest: throughput collapses just
//! when it is short. Receipts are the only sign of how fast the pipeline is, so they set the pace here, as
//! acknowledgements do in TCP:
//!
//! * Reports under way (sent, no receipt yet) are bounded by a *window*, which never exceeds a number of reports and a
//!   number of bytes. It grows by one a receipt until it was too large once, then by one a round trip, and only while
//!   it is used up.
//! * A receipt that took longer than the quickest of the last minutes by more than [`Limits::delay_target`] means that
//!   a queue has built up: the window shrinks to seven tenths, at most once a round trip. All gateways of a broker
//!   together keep about that much time's worth of reports in its ring, however many they are.
//! * A receipt is overdue after the smoothed time receipts take plus four times its variation (RFC 6298), within the
//!   settings' bounds. Then the window shrinks to one report and the patience doubles until a receipt comes, so a
//!   pipeline that stands still is asked for a sign of life, and not buried. A receipt that comes late still counts,
//!   and the report is not sent again.
//!
//! Plain code without a clock: the gateway and the load generator of `bench` drive it with theirs.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use rand::RngExt as _;
use service::config::Meter;

/// The window before anything is known.
const INITIAL: f64 = 16.0;
/// What is left of the window when receipts take too long.
const SHRINK: f64 = 0.7;
/// For how long the quickest receipt is remembered, at least; at most twice as long.
const QUICKEST_FOR_MS: u64 = 60_000;

/// Bounds of the flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Greatest number of reports under way.
    pub reports: usize,
    /// Greatest number of their bytes, unless a single report has more.
    pub bytes: usize,
    /// How much longer than the quickest a receipt may take before fewer reports are sent.
    pub delay_target: Duration,
    /// Shortest and longest wait for a receipt.
    pub retry_min: Duration,
    /// Longest wait for a receipt.
    pub retry_max: Duration,
}

impl Limits {
    /// The bounds that the settings of a gateway give.
    #[must_use]
    pub fn of(settings: &Meter) -> Self {
        Self {
            reports: settings.max_unreceipted,
            bytes: settings.max_unreceipted_bytes,
            delay_target: settings.receipt_delay_target,
            retry_min: settings.retry_min,
            retry_max: settings.retry_max,
        }
    }
}

/// The reports of one gateway that are under way, by key. Times are milliseconds of the caller's.
#[derive(Debug)]
pub struct Flow<K> {
    limits: Limits,
    sent: HashMap<K, Sent>,
    overdue_at: BTreeSet<(u64, K)>,
    under_way: usize,
    bytes: usize,
    window: f64,
    /// The window up to which it grows by one a receipt.
    threshold: f64,
    /// When the window was last used up.
    filled_ms: Option<u64>,
    /// When the window last shrank: what was sent before says nothing about the window since.
    shrunk_ms: Option<u64>,
    smoothed: Option<Smoothed>,
    /// Doublings of the patience.
    backoff: u32,
    quickest: Quickest,
}

#[derive(Debug)]
struct Sent {
    sent_ms: u64,
    bytes: usize,
    overdue_ms: u64,
    /// Sent before, so that a receipt may be for either.
    again: bool,
    /// Not under way any more: it is to be sent again.
    overdue: bool,
}

/// Smoothed time and variation, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Smoothed {
    time: f64,
    variation: f64,
}

/// The quickest receipt, of this span of time and of the one before.
#[derive(Debug, Default)]
struct Quickest {
    began_ms: u64,
    current: Option<u64>,
    before: Option<u64>,
}

impl<K: Copy + Ord + Hash> Flow<K> {
    /// Nothing under way.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            window: INITIAL,
            threshold: f64::INFINITY,
            limits,
            sent: HashMap::new(),
            overdue_at: BTreeSet::new(),
            under_way: 0,
            bytes: 0,
            filled_ms: None,
            shrunk_ms: None,
            smoothed: None,
            backoff: 0,
            quickest: Quickest::default(),
        }
    }

    /// Reports under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Reports that may be under way now.
    #[must_use]
    pub fn window(&self) -> usize {
        (self.window as usize).clamp(1, self.limits.reports.max(1))
    }

    /// Whether a report of so many bytes may be sent now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.under_way < self.window()
            && (self.under_way == 0 || self.bytes + bytes <= self.limits.bytes)
    }

    /// Enters that a report is sent. `again`: a copy of it may have been sent before, by this process or an earlier one.
    pub fn sent(&mut self, key: K, bytes: usize, again: bool, now_ms: u64) {
        self.forget(&key);
        let patience = jittered(self.patience_ms());
        let overdue_ms = now_ms.saturating_add(patience);
        self.sent.insert(
            key,
            Sent {
                sent_ms: now_ms,
                bytes,
                overdue_ms,
                again,
                overdue: false,
            },
        );
        self.overdue_at.insert((overdue_ms, key));
        self.under_way += 1;
        self.bytes += bytes;
        if self.under_way >= self.window() {
            self.filled_ms = Some(now_ms);
        }
    }

    /// Enters a receipt for a report, whatever it says: a refusal tells as much about the pace.
    pub fn receipt(&mut self, key: &K, now_ms: u64) {
        let Some(sent) = self.forget(key) else { return };
        if sent.again {
            // It may be for either copy, so it says nothing about time; that the pipeline lives, it does say. After an
            // outage everything is sent again, and would be one at a time for as long as these did not count.
            self.grow();
            return;
        }
        let took_ms = now_ms.saturating_sub(sent.sent_ms);
        self.backoff = 0;
        self.smoothed = Some(Smoothed::with(self.smoothed, took_ms as f64));
        let quickest_ms = self.quickest.with(took_ms, now_ms);
        let target_ms = self.limits.delay_target.as_millis() as u64;
        let since_shrunk = self.shrunk_ms.is_none_or(|shrunk| sent.sent_ms >= shrunk);
        if took_ms > quickest_ms.saturating_add(target_ms) {
            if since_shrunk {
                self.shrink(SHRINK, now_ms);
                self.window = self.threshold;
            }
        } else if self.filled_ms.is_some_and(|filled| filled >= sent.sent_ms) {
            self.grow();
        }
    }

    fn grow(&mut self) {
        let step = match self.window < self.threshold {
            true => 1.0,
            false => 1.0 / self.window,
        };
        self.window = (self.window + step).min(self.limits.reports.max(1) as f64);
    }

    /// The next report whose receipt is overdue. It is no longer under way, and the caller's to send again.
    pub fn overdue(&mut self, now_ms: u64) -> Option<K> {
        let (at_ms, key) = *self.overdue_at.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.overdue_at.pop_first();
        let sent = self.sent.get_mut(&key)?;
        sent.overdue = true;
        let (sent_ms, bytes) = (sent.sent_ms, sent.bytes);
        self.under_way -= 1;
        self.bytes -= bytes;
        if self.shrunk_ms.is_none_or(|shrunk| sent_ms >= shrunk) {
            self.shrink(0.5, now_ms);
            self.window = 1.0;
            self.backoff = (self.backoff + 1).min(16);
        }
        Some(key)
    }

    /// When the next receipt is overdue.
    #[must_use]
    pub fn next_overdue_ms(&self) -> Option<u64> {
        self.overdue_at.first().map(|(at_ms, _)| *at_ms)
    }

    /// How long a receipt is waited for, in milliseconds.
    #[must_use]
    pub fn patience_ms(&self) -> u64 {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let least = ms(self.limits.retry_min).max(1);
        let most = ms(self.limits.retry_max).max(least);
        let usual = self
            .smoothed
            .map_or(0.0, |s| s.time + 4.0 * s.variation)
            .ceil() as u64;
        usual
            .clamp(least, most)
            .saturating_mul(1 << self.backoff)
            .min(most)
    }

    /// A report that is of no interest any more.
    pub fn release(&mut self, key: &K) {
        self.forget(key);
    }

    fn forget(&mut self, key: &K) -> Option<Sent> {
        let sent = self.sent.remove(key)?;
        if !sent.overdue {
            self.overdue_at.remove(&(sent.overdue_ms, *key));
            self.under_way -= 1;
            self.bytes -= sent.bytes;
        }
        Some(sent)
    }

    fn shrink(&mut self, to: f64, now_ms: u64) {
        self.threshold = (self.window * to).max(2.0);
        self.shrunk_ms = Some(now_ms);
    }
}

impl Smoothed {
    /// RFC 6298, 2.2 and 2.3.
    fn with(known: Option<Self>, took: f64) -> Self {
        match known {
            None => Self {
                time: took,
                variation: took / 2.0,
            },
            Some(Self { time, variation }) => Self {
                variation: 0.75 * variation + 0.25 * (time - took).abs(),
                time: 0.875 * time + 0.125 * took,
            },
        }
    }
}

impl Quickest {
    /// Takes a receipt's time and returns the quickest.
    fn with(&mut self, took_ms: u64, now_ms: u64) -> u64 {
        if now_ms.saturating_sub(self.began_ms) >= QUICKEST_FOR_MS {
            self.before = self.current.take();
            self.began_ms = now_ms;
        }
        let current = self.current.map_or(took_ms, |current| current.min(took_ms));
        self.current = Some(current);
        self.before.map_or(current, |before| before.min(current))
    }
}

/// Up to a fifth longer, so that gateways that lost the same broker do not come back as one.
fn jittered(ms: u64) -> u64 {
    ms.saturating_add(rand::rng().random_range(0..=ms / 5))
}

#[cfg(test)]
mod tests;
