//! What a receipt makes of a report.

use wire::{Digest, Reason, Retry, Status};

use super::report::WaitingReport;
use super::{Key, Outbox, Sealed};

/// What a receipt did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptEffect {
    /// The report is in a sum, and is here no more.
    Folded {
        status: Status,
        /// Length of its envelope.
        bytes: u64,
    },
    /// It was refused for a reason that passes; it stays and is sent again.
    Retry(Reason),
    /// It was made under another plan than the one in force, or with a salt that its sum has already; it is sealed again from
    /// its readings.
    Reseal(Reason),
    /// It was refused for good: its readings are in no sum.
    Lost(Reason),
    /// No such report is waiting: an old receipt.
    Unknown,
}

impl Outbox {
    /// Applies an entry of a receipt. With what it did comes the time at which this process first sent the report.
    ///
    /// A report that is refused for its plan is sealed again only if it `is_outdated` under the plan in force. If it is
    /// not, the analytics service has not heard of that plan yet, and may take a copy under way as soon as it has: a
    /// second ciphertext would then be a conflict.
    pub(crate) fn receipt(
        &mut self,
        key: Key,
        digest: Digest,
        status: Status,
        now_ms: u64,
        is_outdated: impl FnOnce(&Sealed) -> bool,
    ) -> (ReceiptEffect, Option<u64>) {
        let fits = |report: &&WaitingReport| {
            report
                .sealed
                .as_ref()
                .is_some_and(|sealed| sealed.digest == digest)
        };
        let Some(report) = self.reports.get(&key).filter(fits) else {
            if !self.reports.contains_key(&key) {
                // A second receipt tells the pace that it need not have been sent again.
                self.lane(key).pace.receipt(&key, now_ms);
            }
            return (ReceiptEffect::Unknown, None);
        };
        let first_sent_ms = report.first_sent_ms;
        let lane = self.lane_of(key);
        self.lanes[lane].pace.receipt(&key, now_ms);
        let effect = match status {
            Status::Folded | Status::Duplicate => {
                let sealed = report.sealed.as_ref();
                let bytes = sealed.map_or(0, |sealed| sealed.payload.len() as u64);
                self.remove(key);
                ReceiptEffect::Folded { status, bytes }
            }
            Status::Rejected(reason) => match reason.retry() {
                Retry::UnderNewerPlan if report.sealed.as_ref().is_some_and(is_outdated) => {
                    self.reopen(key);
                    self.come_back_later(key, now_ms);
                    ReceiptEffect::Reseal(reason)
                }
                Retry::SealedAgain => {
                    self.reopen(key);
                    self.come_back_at(key, now_ms);
                    ReceiptEffect::Reseal(reason)
                }
                Retry::AsItIs | Retry::UnderNewerPlan => {
                    self.come_back_later(key, now_ms);
                    ReceiptEffect::Retry(reason)
                }
                Retry::Never => {
                    self.remove(key);
                    ReceiptEffect::Lost(reason)
                }
            },
        };
        (effect, first_sent_ms)
    }

    pub(super) fn remove(&mut self, key: Key) {
        if let Some(report) = self.reports.remove(&key) {
            let lane = self.lane(key);
            lane.held -= 1;
            lane.sealed -= usize::from(report.sealed.is_some());
            lane.pace.release(&key);
            if let Some(due_ms) = report.due_ms {
                self.due.remove(&(due_ms, key));
            }
        }
    }

    /// Back to its readings, to be sealed again once it has come back.
    pub(super) fn reopen(&mut self, key: Key) {
        let index = self.lane_of(key);
        let lane = &mut self.lanes[index];
        lane.pace.release(&key);
        if let Some(report) = self.reports.get_mut(&key) {
            lane.sealed -= usize::from(report.sealed.take().is_some());
            report.sent = false;
        }
    }

    /// In line again after a wait that doubles with each attempt.
    pub(super) fn come_back_later(&mut self, key: Key, now_ms: u64) {
        let attempts = self.reports.get(&key).map_or(0, |report| report.attempts);
        let wait_ms = self.limits.back_off(attempts.saturating_sub(1));
        self.come_back_at(key, now_ms.saturating_add(wait_ms));
    }

    fn come_back_at(&mut self, key: Key, due_ms: u64) {
        let Some(report) = self.reports.get_mut(&key) else {
            return;
        };
        report.ready = false;
        if let Some(earlier) = report.due_ms.replace(due_ms) {
            self.due.remove(&(earlier, key));
        }
        self.due.insert((due_ms, key));
    }
}
