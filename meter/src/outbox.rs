//! The outbox: what was read and is not yet known to be in a sum.
//!
//! An MQTT acknowledgement proves nothing, so a report stays here until a receipt from analytics names its digest.
//! The readings stay with it: if the plan changes under it, the report is sealed again from them. How many are under way
//! at once, and when one without a receipt is sent again, is for [`crate::flow`] to say; everything that waits is capped.
//! The journal has everything that is here; this is the working copy, in which nothing waits for the disk.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use rand::RngExt as _;
use wire::{Digest, Reason, Status, WindowStart};

use crate::batch::Batch;
use crate::flow::{self, Flow};

/// Names one report of this gateway.
pub type Key = (usize, WindowStart);

/// A signed report, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Index of the meter in the fleet.
    pub meter: usize,
    /// The window.
    pub window: WindowStart,
    /// SHA-256 of the ciphertext: what a receipt names.
    pub digest: Digest,
    /// The envelope.
    pub payload: Bytes,
}

/// How much may wait, and how often what waits is tried.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Greatest number of reports in the outbox, sealed or not.
    pub capacity: usize,
    /// Of those that are sealed and without a receipt. A report that was refused for a reason that passes waits between
    /// `retry_min` and `retry_max`, too.
    pub flow: flow::Limits,
}

/// What a receipt did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The report is in a sum.
    Done(Status),
    /// It was refused for a reason that passes; it stays and is sent again.
    Retry(Reason),
    /// It was made under another plan than the one in force; it is sealed again from its readings.
    Reseal(Reason),
    /// It was refused for good: its readings are in no sum.
    Lost(Reason),
    /// No such report is waiting: an old receipt.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    batch: Batch,
    sealed: Option<Sealed>,
    /// When this process first sent it; none if an earlier one may have.
    first_sent_ms: Option<u64>,
    /// Whether it may have been sent before.
    sent: bool,
    /// Whether it waits in `ready` to be sent.
    ready: bool,
    /// How often it was sent, or failed to be sealed.
    attempts: u32,
    /// When it comes back after a refusal: to be sent, or sealed, again.
    due_ms: Option<u64>,
}

/// Reports from their readings to their receipts.
#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    entries: HashMap<Key, Entry>,
    to_seal: VecDeque<Key>,
    sealing: usize,
    sealed: usize,
    /// Sealed reports to send, the oldest first; those to be sent again before all others.
    ready: VecDeque<Key>,
    flow: Flow<Key>,
    due: BTreeSet<(u64, Key)>,
}

impl Outbox {
    /// An empty outbox.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            flow: Flow::new(limits.flow.clone()),
            limits,
            entries: HashMap::new(),
            to_seal: VecDeque::new(),
            sealing: 0,
            sealed: 0,
            ready: VecDeque::new(),
            due: BTreeSet::new(),
        }
    }

    /// Number of reports waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `more` reports fit.
    #[must_use]
    pub fn has_room(&self, more: usize) -> bool {
        self.entries.len() + more <= self.limits.capacity
    }

    /// Takes a batch of readings. The caller has seen to it that there is room.
    pub fn accept(&mut self, batch: Batch) {
        let key = (batch.meter, batch.window);
        self.to_seal.push_back(key);
        self.entries.insert(key, Entry::new(batch));
    }

    /// Takes over a report that an earlier process sealed: it is to be sent, with the bytes it had.
    pub fn restore(&mut self, batch: Batch, sealed: Sealed) {
        let key = (batch.meter, batch.window);
        let mut entry = Entry::new(batch);
        (entry.sealed, entry.sent, entry.ready) = (Some(sealed), true, true);
        self.entries.insert(key, entry);
        self.sealed += 1;
        self.ready.push_back(key);
    }

    /// Number of reports that are sealed and have no receipt.
    #[must_use]
    pub fn unreceipted(&self) -> usize {
        self.sealed
    }

    /// The readings of a report.
    #[must_use]
    pub fn batch(&self, key: Key) -> Option<&Batch> {
        self.entries.get(&key).map(|entry| &entry.batch)
    }

    /// Up to `most` batches to seal now: as many as the cap on unreceipted reports leaves room for.
    pub fn next_to_seal(&mut self, most: usize) -> Vec<Batch> {
        let room = self
            .limits
            .flow
            .reports
            .saturating_sub(self.sealed + self.sealing);
        let mut batches = Vec::new();
        while batches.len() < most.min(room) {
            let Some(key) = self.to_seal.pop_front() else {
                break;
            };
            batches.extend(self.entries.get(&key).map(|entry| entry.batch.clone()));
        }
        self.sealing += batches.len();
        batches
    }

    /// Enters a sealed report: it is to be sent.
    pub fn sealed(&mut self, sealed: Sealed) {
        self.sealing = self.sealing.saturating_sub(1);
        let key = (sealed.meter, sealed.window);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.sealed = Some(sealed);
            entry.ready = true;
            self.sealed += 1;
            self.ready.push_back(key);
        }
    }

    /// Puts a batch whose sealing failed, because its plan is not there yet, back in line after a wait.
    pub fn unsealed(&mut self, key: Key, now_ms: u64) {
        self.sealing = self.sealing.saturating_sub(1);
        self.reopen(key, now_ms);
    }

    /// Reports under way: sent, and without a receipt that is not overdue.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.flow.under_way()
    }

    /// When there is something to do next, in the caller's milliseconds: 0 if a report may be sent at once.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        let first = self.ready.iter().find_map(|key| self.waiting(*key));
        if first.is_some_and(|sealed| self.flow.has_room(sealed.payload.len())) {
            return Some(0);
        }
        let back = self.due.first().map(|(due_ms, _)| *due_ms);
        [self.flow.next_overdue_ms(), back]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the next report that may be sent now. The flag: it may have been sent before.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(Sealed, bool)> {
        self.come_back(now_ms);
        while let Some(&key) = self.ready.front() {
            let Some(sealed) = self.waiting(key) else {
                self.ready.pop_front();
                continue;
            };
            let bytes = sealed.payload.len();
            if !self.flow.has_room(bytes) {
                return None;
            }
            self.ready.pop_front();
            let entry = self.entries.get_mut(&key)?;
            entry.attempts = entry.attempts.saturating_add(1);
            entry.ready = false;
            let again = std::mem::replace(&mut entry.sent, true);
            if !again {
                entry.first_sent_ms = Some(now_ms);
            }
            self.flow.sent(key, bytes, again, now_ms);
            return entry.sealed.clone().map(|sealed| (sealed, again));
        }
        None
    }

    /// The report, if it waits to be sent: it may have been settled, or reopened, while it was in line.
    fn waiting(&self, key: Key) -> Option<&Sealed> {
        let entry = self.entries.get(&key)?;
        entry.sealed.as_ref().filter(|_| entry.ready)
    }

    /// What is overdue or has waited after a refusal is in line again.
    fn come_back(&mut self, now_ms: u64) {
        let mut overdue = Vec::new();
        while let Some(key) = self.flow.overdue(now_ms) {
            overdue.push(key);
        }
        for key in overdue.into_iter().rev() {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.ready = true;
                self.ready.push_front(key);
            }
        }
        while let Some(&(due_ms, key)) = self.due.first()
            && due_ms <= now_ms
        {
            self.due.pop_first();
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.due_ms = None;
            if entry.sealed.is_some() {
                entry.ready = true;
                self.ready.push_back(key);
            } else {
                self.to_seal.push_back(key);
            }
        }
    }

    /// Enters a receipt's entry. With what it did comes the time at which this process first sent the report.
    ///
    /// A report that is refused for its plan is sealed again only if it `is_outdated` under the plan in force. If it is
    /// not, the analytics service has not heard of that plan yet, and may take a copy under way as soon as it has: a
    /// second ciphertext would then be a conflict.
    pub fn settle(
        &mut self,
        key: Key,
        digest: Digest,
        status: Status,
        now_ms: u64,
        is_outdated: impl FnOnce(&Sealed) -> bool,
    ) -> (Settled, Option<u64>) {
        let fits = |entry: &&Entry| {
            entry
                .sealed
                .as_ref()
                .is_some_and(|sealed| sealed.digest == digest)
        };
        let Some(entry) = self.entries.get(&key).filter(fits) else {
            return (Settled::Unknown, None);
        };
        let first_sent_ms = entry.first_sent_ms;
        self.flow.receipt(&key, now_ms);
        let settled = match status {
            Status::Folded | Status::Duplicate => {
                self.remove(key);
                Settled::Done(status)
            }
            Status::Rejected(reason) => match kind(reason) {
                Kind::Plan if entry.sealed.as_ref().is_some_and(is_outdated) => {
                    self.reopen(key, now_ms);
                    Settled::Reseal(reason)
                }
                Kind::Passes | Kind::Plan => {
                    self.come_back_later(key, now_ms);
                    Settled::Retry(reason)
                }
                Kind::Final => {
                    self.remove(key);
                    Settled::Lost(reason)
                }
            },
        };
        (settled, first_sent_ms)
    }

    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.sealed -= usize::from(entry.sealed.is_some());
            self.flow.release(&key);
            if let Some(due_ms) = entry.due_ms {
                self.due.remove(&(due_ms, key));
            }
        }
    }

    /// Back to its readings, to be sealed again after a wait: the newer plan may not have come yet.
    fn reopen(&mut self, key: Key, now_ms: u64) {
        self.flow.release(&key);
        if let Some(entry) = self.entries.get_mut(&key) {
            self.sealed -= usize::from(entry.sealed.take().is_some());
            entry.sent = false;
        }
        self.come_back_later(key, now_ms);
    }

    /// In line again after a wait that doubles with each attempt.
    fn come_back_later(&mut self, key: Key, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let due_ms = now_ms.saturating_add(self.limits.back_off(entry.attempts.saturating_sub(1)));
        entry.ready = false;
        if let Some(earlier) = entry.due_ms.replace(due_ms) {
            self.due.remove(&(earlier, key));
        }
        self.due.insert((due_ms, key));
    }
}

impl Entry {
    fn new(batch: Batch) -> Self {
        Self {
            batch,
            sealed: None,
            first_sent_ms: None,
            sent: false,
            ready: false,
            attempts: 0,
            due_ms: None,
        }
    }
}

impl Limits {
    /// The wait after a refusal, in milliseconds: doubling from `retry_min` to `retry_max`, and a random half of it, so
    /// that gateways that lost the same broker do not come back as one.
    fn back_off(&self, attempts: u32) -> u64 {
        let longest = self.flow.retry_max.max(self.flow.retry_min);
        let wait = self
            .flow
            .retry_min
            .saturating_mul(1 << attempts.min(16))
            .min(longest);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        rand::rng().random_range(wait_ms.div_ceil(2)..=wait_ms)
    }
}

enum Kind {
    Passes,
    Plan,
    Final,
}

fn kind(reason: Reason) -> Kind {
    match reason {
        Reason::WrongEpoch | Reason::UnknownEpoch | Reason::OutdatedConfig => Kind::Plan,
        Reason::UnknownPlan
        | Reason::UnknownFeeder
        | Reason::ReportTooEarly
        | Reason::TooManyOpen
        | Reason::NotReady
        | Reason::Overloaded => Kind::Passes,
        _ => Kind::Final,
    }
}

#[cfg(test)]
mod tests;
