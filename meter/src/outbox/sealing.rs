//! Batches that are handed out to be sealed, and come back.

use wire::WindowStart;

use super::{Key, Outbox, Sealed};
use crate::batch::Batch;

impl Outbox {
    /// Up to `most` batches to seal now, of the destinations in turn: as many as the cap on unreceipted reports leaves room
    /// for.
    pub(crate) fn next_to_seal(&mut self, most: usize) -> Vec<Batch> {
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
            if let Some(report) = self.reports.get_mut(&key) {
                report.sealing = true;
                lane.sealing += 1;
                batches.push(report.batch.clone());
            }
        }
        batches
    }

    /// Seals nothing more for the destination of this meter until [`Outbox::seal_again`]. Returns whether anything was.
    pub(crate) fn stop_sealing(&mut self, meter: usize) -> bool {
        let index = self.lane_of((meter, WindowStart(0)));
        !std::mem::replace(&mut self.lanes[index].stopped, true)
    }

    /// Seals for all destinations.
    pub(crate) fn seal_again(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.stopped = false);
    }

    /// Whether there is a destination for which nothing is sealed.
    #[must_use]
    pub(crate) fn is_stopped(&self) -> bool {
        self.lanes.iter().any(|lane| lane.stopped)
    }

    /// A batch that is handed out has other readings from now on.
    pub(crate) fn change(&mut self, batch: &Batch) {
        if let Some(report) = self.reports.get_mut(&(batch.meter, batch.window)) {
            report.batch = batch.clone();
        }
    }

    /// Takes a report that was sealed: it is to be sent.
    pub(crate) fn sealed(&mut self, sealed: Sealed) {
        let key = (sealed.meter, sealed.window);
        let index = self.lane_of(key);
        if let Some(report) = self.reports.get_mut(&key) {
            let lane = &mut self.lanes[index];
            lane.sealing -= usize::from(std::mem::take(&mut report.sealing));
            lane.sealed += 1;
            lane.ready.push_back(key);
            report.sealed = Some(sealed);
            report.ready = true;
        }
    }

    /// Puts a batch whose sealing failed, because its plan is not there yet, back in line after a wait.
    pub(crate) fn unsealed(&mut self, key: Key, now_ms: u64) {
        self.end_sealing(key);
        self.reopen(key);
        self.come_back_later(key, now_ms);
    }

    /// Drops a batch whose sealing failed for good.
    pub(crate) fn give_up(&mut self, key: Key) {
        self.end_sealing(key);
        self.remove(key);
    }

    fn end_sealing(&mut self, key: Key) {
        if let Some(report) = self.reports.get_mut(&key) {
            let sealing = usize::from(std::mem::take(&mut report.sealing));
            self.lane(key).sealing -= sealing;
        }
    }
}
