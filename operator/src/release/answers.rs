//! What the operator publishes about a sum: the receipt, and the total in it.

use bytes::Bytes;
use wire::{
    BillReceipt, DeploymentId, Digest, FeederId, Message, NoisyTotal, Plan, Shard, SigningKey, Sum,
    SumReceipt, SumStatus, Topics, Total,
};

use crate::release::report::FeederReport;

/// Signs what the operator answers.
pub(crate) struct Signer<'a> {
    pub(crate) deployment: &'a DeploymentId,
    pub(crate) topics: &'a Topics,
    pub(crate) key: &'a SigningKey,
    /// The plan in force: it says in which shard a feeder is.
    pub(crate) plan: Option<&'a Plan>,
}

impl Signer<'_> {
    /// The topic and bytes of a receipt for `sum`, whose limbs have `digest`.
    pub(crate) fn receipt(&self, sum: &Sum, digest: Digest, status: SumStatus) -> (String, Bytes) {
        let receipt = SumReceipt {
            feeder: sum.feeder.clone(),
            epoch: sum.epoch,
            window: sum.window,
            part: sum.part,
            digest,
            status,
        };
        self.seal(
            self.topics
                .sum_receipt(self.shard(&sum.feeder), &sum.feeder),
            &receipt,
        )
    }

    fn shard(&self, feeder: &FeederId) -> Shard {
        self.plan.map_or(Shard(0), |plan| plan.shard(feeder))
    }

    /// The topic and bytes of the answer to a bill.
    pub(super) fn bill_receipt(&self, receipt: &BillReceipt) -> (String, Bytes) {
        self.seal(
            self.topics
                .bill_receipt(self.shard(&receipt.feeder), &receipt.feeder),
            receipt,
        )
    }

    /// The topic and bytes of a decrypted total.
    pub(super) fn total(&self, report: &FeederReport) -> (String, Bytes) {
        let total = Total {
            feeder: report.feeder.clone(),
            window: report.window_start,
            part: report.part,
            interval_s: report.interval_s,
            quantum_wh: report.quantum_wh,
            meters: report.meters,
            completeness_ppm: (report.completeness * 1e6).round() as u32,
            present: report.present.clone(),
            energy_wh: report.energy_wh.clone(),
        };
        let shard = self.shard(&report.feeder);
        let topic = match (report.rest.is_empty(), report.areas.first()) {
            (false, Some(area)) => self.topics.area_total(shard, area),
            _ => self.topics.total(shard, &report.feeder),
        };
        self.seal(topic, &total)
    }

    /// The topic and bytes of a noisy total.
    pub(super) fn noisy_total(&self, total: &NoisyTotal) -> (String, Bytes) {
        let topic = self.topics.noisy_total(&total.recipient, &total.feeder);
        self.seal(topic, total)
    }

    fn seal(&self, topic: String, message: &impl Message) -> (String, Bytes) {
        let (bytes, _) = wire::seal(message, None, self.deployment, &topic, self.key);
        (topic, bytes.into())
    }
}
