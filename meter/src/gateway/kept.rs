//! Reports that are in sums: keeping them, and what a settlement makes of them.

use service::telemetry::Trace;
use service::warn_limited;
use wire::{AnalyticsId, Part, Settlement, SettlementOutcome};

use super::Gateway;
use crate::journal::{Kept, Op, Released, SealedReport};
use crate::kept::{SumKey, Surplus};
use crate::metrics::{self, KeptEnd};
use crate::outbox::Key;

impl Gateway {
    /// Keeps a report of so many bytes, which is in a part of its window now.
    pub(super) fn keep(&mut self, key: Key, part: Part, bytes: u64) {
        let since = self.clock.now();
        let kept = Kept { part, since, bytes };
        let place = self.place(key);
        self.kept.keep(key, place.feeder.clone(), kept);
        self.writer.push(Op::Folded(place, kept));
    }

    /// A later receipt says that a report that is kept is in this part: it was sent more than once, and answered out of
    /// order.
    pub(super) fn keep_in(&mut self, key: Key, part: Part) {
        if let Some(kept) = self.kept.get(key).filter(|kept| kept.part != part) {
            let bytes = kept.bytes;
            self.keep(key, part, bytes);
        }
    }

    /// Gives up what is kept beyond the limits.
    pub(super) fn drop_surplus(&mut self) {
        for (key, surplus) in self.kept.take_surplus(self.clock.now()) {
            self.writer.push(Op::Settled(self.place(key)));
            let (end, limit) = match surplus {
                Surplus::Age => (KeptEnd::Age, "meter.keep_folded"),
                Surplus::Bytes => (KeptEnd::Bytes, "meter.keep_folded_bytes"),
            };
            metrics::kept_ended(end, 1);
            warn_limited!(
                window = key.1.0,
                "a report is no longer kept, because of {limit}, and it is not known whether the sum that it is in was \
                 released: if that fails, the report cannot be added again"
            );
        }
        metrics::kept(self.kept.len(), self.kept.bytes());
        for place in self.released.take_surplus(self.clock.now()) {
            self.writer.push(Op::Settled(place));
        }
        metrics::audit::released(self.released.len(), self.released.bytes());
    }

    /// Asks the journal for reports of sums that have failed, as many as there is room for in the outbox: it has every other
    /// one of them on disk alone.
    pub(super) fn read_failed(&mut self) {
        let outbox = &self.outbox;
        let reports = self.kept.take_failed(|meter| outbox.room_sealed(meter));
        if reports.is_empty() {
            return;
        }
        metrics::kept_ended(KeptEnd::Wanted, reports.len() as u64);
        self.summary.wanted += reports.len() as u64;
        for key in reports {
            self.writer.push(Op::Wanted(self.place(key)));
        }
    }

    /// Takes over reports from the journal that are to be sent again, as they were.
    pub(super) fn send_again(&mut self, wanted: Vec<SealedReport>) {
        for (place, mut batch, mut report) in wanted {
            if let Some(meter) = self.fleet.position(&place.feeder, &place.meter) {
                (batch.meter, report.meter) = (meter, meter);
                self.outbox.restore(batch, report);
            }
        }
    }

    /// Applies a settlement. It counts only if `analytics` adds for its feeder.
    pub(super) fn settle(&mut self, analytics: &AnalyticsId, settlement: &Settlement) {
        let Settlement {
            feeder,
            window,
            part,
            outcome,
        } = settlement;
        if !self.session.is_owner(analytics, feeder) {
            return;
        }
        let sum = SumKey {
            window: *window,
            feeder: feeder.clone(),
            part: *part,
        };
        let trace = Trace {
            deployment: &self.settings.deployment.id,
            feeder,
            window: *window,
        };
        let end = match outcome {
            SettlementOutcome::Released => KeptEnd::Released,
            SettlementOutcome::Refused => KeptEnd::Refused,
            SettlementOutcome::Wanted => {
                if let Some(reports) = self.kept.fail(sum) {
                    tracing::info!(
                        trace_id = %trace, part = part.0, reports,
                        "a sum has failed: its reports are sent again, to be added in other groups"
                    );
                }
                return;
            }
        };
        let reports = self.kept.take(&sum, usize::MAX);
        if end == KeptEnd::Refused && !reports.is_empty() {
            tracing::error!(
                trace_id = %trace, part = part.0, reports = reports.len(),
                "the operator has refused a sum for good: the readings of these reports are in no total"
            );
        }
        metrics::kept_ended(end, reports.len() as u64);
        for (key, bytes) in reports {
            let place = self.place(key);
            if end != KeptEnd::Released || !self.released.are_kept() {
                self.writer.push(Op::Settled(place));
                continue;
            }
            let at = self.clock.now();
            self.writer.push(Op::Released(place.clone(), at));
            self.released.keep(Released { place, at, bytes });
        }
    }
}
