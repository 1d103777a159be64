//! The outbox: what was read and is not yet known to be in a sum.
//!
//! An MQTT acknowledgement proves nothing, so a report stays here until a receipt from analytics names its digest.
//! The readings stay with it: if the plan changes under it, the report is sealed again from them. Everything that waits is
//! capped. The journal has everything that is here; this is the working copy, in which nothing waits for the disk.
//!
//! # Destinations
//! A report's destination is the analytics service that the plan names for its feeder. Each has a lane of its own: its
//! queues, its [pace](crate::pacing), its part of the caps. So one that is silent costs the others nothing.
//!
//! * What may be sealed and without a receipt, and how many bytes of it under way, is divided equally: all destinations
//!   together keep within the gateway's bounds, by which a broker's log is sized, whatever becomes of one of them.
//! * The capacity is divided by the number of meters: a destination has room for as many windows as any other.
//! * If a plan moves a feeder, its reports move to the new destination's lane, and what was under way is sent again there.
//! * Reports of a feeder without a destination wait in a lane of which nothing is sealed or sent.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use rand::RngExt as _;
use wire::{Digest, Reason, Status, WindowStart};

use crate::batch::Batch;
use crate::pacing;

mod lane;
mod route;

use lane::Lane;

pub use lane::Key;

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
    /// Number of meters whose readings come in: the first of the destinations that [`Outbox::route`] is given.
    pub meters: usize,
    /// Of those that are sealed and without a receipt, over all destinations. A report that was refused for a reason that
    /// passes waits between `retry_min` and `retry_max`, too.
    pub pace: pacing::Limits,
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
    /// Whether it waits in its lane to be sent.
    ready: bool,
    /// Whether it is being sealed.
    sealing: bool,
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
    /// The lane of each meter; of those beyond, the first.
    routes: Vec<usize>,
    /// The first is for reports without a destination.
    lanes: Vec<Lane>,
    /// The lane whose turn it is.
    turn: usize,
    due: BTreeSet<(u64, Key)>,
}

impl Outbox {
    /// An empty outbox. Nothing leaves it before [`Outbox::route`] says where to.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            lanes: vec![Lane::new(None, &limits.pace)],
            limits,
            entries: HashMap::new(),
            routes: Vec::new(),
            turn: 0,
            due: BTreeSet::new(),
        }
    }

    fn lane_of(&self, key: Key) -> usize {
        self.routes.get(key.0).copied().unwrap_or(0)
    }

    fn lane(&mut self, key: Key) -> &mut Lane {
        let index = self.lane_of(key);
        &mut self.lanes[index]
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

    /// Whether another window of the destination of this meter fits.
    #[must_use]
    pub fn has_room(&self, meter: usize) -> bool {
        self.fits(&self.lanes[self.lane_of((meter, WindowStart(0)))])
    }

    /// Whether another window of every destination fits.
    #[must_use]
    pub fn has_room_for_all(&self) -> bool {
        self.lanes.iter().all(|lane| self.fits(lane))
    }

    fn fits(&self, lane: &Lane) -> bool {
        // Never less than a window: the capacity is at least the number of meters.
        let share = self.limits.capacity * lane.meters / self.limits.meters.max(1);
        lane.meters == 0 || lane.held + lane.meters <= share
    }

    /// Takes a batch of readings. The caller has seen to it that there is room.
    pub fn accept(&mut self, batch: Batch) {
        let key = (batch.meter, batch.window);
        self.enter(key, Entry::new(batch));
        self.lane(key).to_seal.push_back(key);
    }

    /// Takes over a report that an earlier process sealed: it is to be sent, with the bytes it had.
    pub fn restore(&mut self, batch: Batch, sealed: Sealed) {
        let key = (batch.meter, batch.window);
        let mut entry = Entry::new(batch);
        (entry.sealed, entry.sent, entry.ready) = (Some(sealed), true, true);
        self.enter(key, entry);
        let lane = self.lane(key);
        lane.sealed += 1;
        lane.ready.push_back(key);
    }

    fn enter(&mut self, key: Key, entry: Entry) {
        if self.entries.insert(key, entry).is_none() {
            self.lane(key).held += 1;
        }
    }

    /// Number of reports that are sealed and have no receipt.
    #[must_use]
    pub fn unreceipted(&self) -> usize {
        self.lanes.iter().map(|lane| lane.sealed).sum()
    }

    /// The readings of a report.
    #[must_use]
    pub fn batch(&self, key: Key) -> Option<&Batch> {
        self.entries.get(&key).map(|entry| &entry.batch)
    }

    /// Up to `most` batches to seal now, of the destinations in turn: as many as the cap on unreceipted reports leaves room
    /// for.
    pub fn next_to_seal(&mut self, most: usize) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut passed = 0;
        while batches.len() < most && passed < self.lanes.len() {
            self.turn = (self.turn + 1) % self.lanes.len();
            let lane = &mut self.lanes[self.turn];
            let Some(key) = lane.next_to_seal() else {
                passed += 1;
                continue;
            };
            passed = 0;
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.sealing = true;
                lane.sealing += 1;
                batches.push(entry.batch.clone());
            }
        }
        batches
    }

    /// Enters a sealed report: it is to be sent.
    pub fn sealed(&mut self, sealed: Sealed) {
        let key = (sealed.meter, sealed.window);
        let index = self.lane_of(key);
        if let Some(entry) = self.entries.get_mut(&key) {
            let lane = &mut self.lanes[index];
            lane.sealing -= usize::from(std::mem::take(&mut entry.sealing));
            lane.sealed += 1;
            lane.ready.push_back(key);
            entry.sealed = Some(sealed);
            entry.ready = true;
        }
    }

    /// Puts a batch whose sealing failed, because its plan is not there yet, back in line after a wait.
    pub fn unsealed(&mut self, key: Key, now_ms: u64) {
        if let Some(entry) = self.entries.get_mut(&key) {
            let sealing = usize::from(std::mem::take(&mut entry.sealing));
            self.lane(key).sealing -= sealing;
        }
        self.reopen(key, now_ms);
    }

    /// Reports under way: sent, and neither receipted nor taken for lost.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.lanes.iter().map(|lane| lane.pace.under_way()).sum()
    }

    /// When there is something to do next, in the caller's milliseconds: 0 if a report may be sent at once.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        let back = self.due.first().map(|(due_ms, _)| *due_ms);
        let of_lane = |lane: &Lane| match self.next_of(lane) {
            Some(_) => Some(0),
            None => lane.pace.next_lost_ms(),
        };
        let lanes = self.lanes.iter().filter_map(of_lane);
        lanes.chain(back).min()
    }

    /// Takes the next report that may be sent now, of the destinations in turn. The flag: it may have been sent before.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(Sealed, bool)> {
        self.come_back(now_ms);
        for _ in 0..self.lanes.len() {
            self.turn = (self.turn + 1) % self.lanes.len();
            if let Some(key) = self.next_of(&self.lanes[self.turn]) {
                return self.send(key, now_ms);
            }
        }
        None
    }

    /// The report that a lane may send now.
    fn next_of(&self, lane: &Lane) -> Option<Key> {
        lane.to.as_ref()?;
        let key = *lane
            .ready
            .iter()
            .find(|key| self.waiting(**key).is_some())?;
        let sealed = self.waiting(key)?;
        lane.pace.has_room(sealed.payload.len()).then_some(key)
    }

    fn send(&mut self, key: Key, now_ms: u64) -> Option<(Sealed, bool)> {
        let index = self.lane_of(key);
        let lane = &mut self.lanes[index];
        // Those before it no longer wait.
        while lane.ready.pop_front().is_some_and(|front| front != key) {}
        let entry = self.entries.get_mut(&key)?;
        entry.attempts = entry.attempts.saturating_add(1);
        entry.ready = false;
        let again = std::mem::replace(&mut entry.sent, true);
        if !again {
            entry.first_sent_ms = Some(now_ms);
        }
        let sealed = entry.sealed.clone()?;
        lane.pace.sent(key, sealed.payload.len(), again, now_ms);
        Some((sealed, again))
    }

    /// The report, if it waits to be sent: it may have been settled, or reopened, while it was in line.
    fn waiting(&self, key: Key) -> Option<&Sealed> {
        let entry = self.entries.get(&key)?;
        entry.sealed.as_ref().filter(|_| entry.ready)
    }

    /// What is lost or has waited after a refusal is in line again.
    fn come_back(&mut self, now_ms: u64) {
        for lane in &mut self.lanes {
            let lost: Vec<Key> = std::iter::from_fn(|| lane.pace.lost(now_ms)).collect();
            for key in lost.into_iter().rev() {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.ready = true;
                    lane.ready.push_front(key);
                }
            }
        }
        while let Some(&(due_ms, key)) = self.due.first()
            && due_ms <= now_ms
        {
            self.due.pop_first();
            let index = self.lane_of(key);
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            entry.due_ms = None;
            if entry.sealed.is_some() {
                entry.ready = true;
                self.lanes[index].ready.push_back(key);
            } else {
                self.lanes[index].to_seal.push_back(key);
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
            if !self.entries.contains_key(&key) {
                // A second receipt tells the pace that it need not have been sent again.
                self.lane(key).pace.receipt(&key, now_ms);
            }
            return (Settled::Unknown, None);
        };
        let first_sent_ms = entry.first_sent_ms;
        let lane = self.routes.get(key.0).copied().unwrap_or(0);
        self.lanes[lane].pace.receipt(&key, now_ms);
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
            let lane = self.lane(key);
            lane.held -= 1;
            lane.sealed -= usize::from(entry.sealed.is_some());
            lane.pace.release(&key);
            if let Some(due_ms) = entry.due_ms {
                self.due.remove(&(due_ms, key));
            }
        }
    }

    /// Back to its readings, to be sealed again after a wait: the newer plan may not have come yet.
    fn reopen(&mut self, key: Key, now_ms: u64) {
        let index = self.lane_of(key);
        let lane = &mut self.lanes[index];
        lane.pace.release(&key);
        if let Some(entry) = self.entries.get_mut(&key) {
            lane.sealed -= usize::from(entry.sealed.take().is_some());
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
            sealing: false,
            attempts: 0,
            due_ms: None,
        }
    }
}

impl Limits {
    /// The wait after a refusal, in milliseconds: doubling from `retry_min` to `retry_max`, and a random half of it, so
    /// that gateways that lost the same broker do not come back as one.
    fn back_off(&self, attempts: u32) -> u64 {
        let longest = self.pace.retry_max.max(self.pace.retry_min);
        let wait = self
            .pace
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
