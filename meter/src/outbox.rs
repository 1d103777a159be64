//! The outbox: what was read and is not yet known to be in a sum.
//!
//! An MQTT acknowledgement proves nothing, so a report stays here until a receipt from analytics names its digest. Once it is
//! in a sum it is [kept](crate::kept) on disk, and comes back only if the sum fails.
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
//!
//! # Layout
//! [`Outbox`]: what comes in, and how much fits · `report`: one report that waits · `lane`: those of a destination ·
//! `route`: which lane a report is in · `sealing`, `sending`, `receipts`: what becomes of it, in this order ·
//! `limits`: bounds of all that

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use wire::{Digest, WindowStart};

use crate::batch::Batch;

mod lane;
mod limits;
mod receipts;
mod report;
mod route;
mod sealing;
mod sending;

use lane::Lane;
use report::WaitingReport;

pub(crate) use lane::{Destination, Key};
pub(crate) use limits::Limits;
pub(crate) use receipts::ReceiptEffect;

/// A signed report, ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Index of the meter in the fleet.
    pub(crate) meter: usize,
    pub(crate) window: WindowStart,
    /// SHA-256 of the ciphertext: what a receipt names.
    pub(crate) digest: Digest,
    /// The envelope.
    pub(crate) payload: Bytes,
}

/// Reports from their readings to their receipts.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: Limits,
    reports: HashMap<Key, WaitingReport>,
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
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            lanes: vec![Lane::new(None, &limits.pace)],
            limits,
            reports: HashMap::new(),
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

    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.reports.len()
    }

    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// Whether another window of the destination of this meter fits.
    #[must_use]
    pub(crate) fn has_room(&self, meter: usize) -> bool {
        self.fits(&self.lanes[self.lane_of((meter, WindowStart(0)))])
    }

    /// Whether another window of every destination fits.
    #[must_use]
    pub(crate) fn has_room_for_all(&self) -> bool {
        self.lanes.iter().all(|lane| self.fits(lane))
    }

    fn fits(&self, lane: &Lane) -> bool {
        lane.held + lane.meters <= self.share(lane)
    }

    /// The most reports of a destination. A lane that no readings come to has no bound.
    fn share(&self, lane: &Lane) -> usize {
        match lane.meters {
            0 => usize::MAX,
            // Never less than a window: the capacity is at least the number of meters.
            meters => self.limits.capacity * meters / self.limits.meters.max(1),
        }
    }

    /// How many sealed reports fit in the lane of this meter; none while it has no destination.
    #[must_use]
    pub(crate) fn room_sealed(&self, meter: usize) -> usize {
        let lane = &self.lanes[self.lane_of((meter, WindowStart(0)))];
        let room = self.share(lane).saturating_sub(lane.held);
        lane.room_sealed().min(room)
    }

    /// Takes a batch of readings. The caller has seen to it that there is room.
    pub(crate) fn accept(&mut self, batch: Batch) {
        let key = (batch.meter, batch.window);
        self.enter(key, WaitingReport::new(batch));
        self.lane(key).to_seal.push_back(key);
    }

    /// Takes over a report that an earlier process sealed: it is to be sent, with the bytes it had.
    pub(crate) fn restore(&mut self, batch: Batch, sealed: Sealed) {
        let key = (batch.meter, batch.window);
        let mut report = WaitingReport::new(batch);
        report.sealed = Some(sealed);
        report.sent = true;
        report.ready = true;
        self.enter(key, report);
        let lane = self.lane(key);
        lane.sealed += 1;
        lane.ready.push_back(key);
    }

    fn enter(&mut self, key: Key, report: WaitingReport) {
        if self.reports.insert(key, report).is_none() {
            self.lane(key).held += 1;
        }
    }

    /// Number of reports that are sealed and have no receipt.
    #[must_use]
    pub(crate) fn unreceipted(&self) -> usize {
        self.lanes.iter().map(|lane| lane.sealed).sum()
    }

    /// Everything that waits.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.reports.keys().copied()
    }

    #[must_use]
    pub(crate) fn batch(&self, key: Key) -> Option<&Batch> {
        self.reports.get(&key).map(|report| &report.batch)
    }
}

#[cfg(test)]
mod tests;
