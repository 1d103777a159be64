//! What gateways are told.

use std::collections::BTreeMap;

use wire::{
    GatewayId, Part, Receipt, ReceiptEntry, Settlement, SettlementOutcome as Outcome, Shard, Status,
};

use super::{Engine, Identity, Outgoing};
use crate::admit::Address;
use crate::store::{Store, SumKey};

/// What one gateway is told.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Each with the shard of the report.
    entries: Vec<(Shard, ReceiptEntry)>,
    /// What became of parts that its meters are in.
    settlements: BTreeMap<SumKey, (Shard, Outcome)>,
}

impl Answers {
    /// The shards that it tells of.
    pub(super) fn shards(&self) -> impl Iterator<Item = Shard> {
        let entries = self.entries.iter().map(|(shard, _)| *shard);
        entries.chain(self.settlements.values().map(|(shard, _)| *shard))
    }

    /// Tells nothing of these shards.
    pub(super) fn let_go(&mut self, shards: &[Shard]) {
        self.entries.retain(|(shard, _)| !shards.contains(shard));
        self.settlements
            .retain(|_, (shard, _)| !shards.contains(shard));
    }
}

impl<S: Store> Engine<S> {
    /// Answers a report; `part` is the one it is in, 0 if it is in none.
    pub(super) fn answer(&mut self, address: Address, status: Status, part: Part) {
        let shard = self.shard(&address.feeder);
        if !self.holds(shard) {
            return;
        }
        let answers = self.answers.entry(address.gateway).or_default();
        let entry = ReceiptEntry {
            meter: address.meter,
            window: address.window,
            digest: address.digest,
            status,
            part,
        };
        answers.entries.push((shard, entry));
    }

    /// Tells a gateway what became of a part.
    pub(super) fn tell(&mut self, gateway: GatewayId, key: SumKey, outcome: Outcome) {
        let shard = self.shard(&key.feeder);
        if !self.holds(shard) {
            return;
        }
        let answers = self.answers.entry(gateway).or_default();
        answers.settlements.insert(key, (shard, outcome));
    }

    /// Seals the answers: of each gateway's, as few messages as will hold them.
    pub(super) fn receipts(&mut self) -> Vec<Outgoing> {
        let most = self.identity.receipt_entries.max(1);
        let mut outgoing = Vec::new();
        for (gateway, answers) in std::mem::take(&mut self.answers) {
            let settlements =
                answers
                    .settlements
                    .into_iter()
                    .map(|(key, (_, outcome))| Settlement {
                        feeder: key.feeder,
                        window: key.window,
                        part: key.part,
                        outcome,
                    });
            let settlements: Vec<_> = settlements.collect();
            let entries = answers.entries.into_iter().map(|(_, entry)| entry);
            let entries: Vec<_> = entries.collect();
            let mut entries = entries.chunks(most);
            // With the last of the entries and after it: one of those may say that a report is in a settled part.
            let before = std::iter::repeat_n(&[][..], entries.len().saturating_sub(1));
            let mut settlements = before.chain(settlements.chunks(most));
            loop {
                let chunks = (entries.next(), settlements.next());
                if chunks == (None, None) {
                    break;
                }
                outgoing.push(self.identity.receipt(Receipt {
                    analytics: self.identity.id.clone(),
                    gateway: gateway.clone(),
                    entries: chunks.0.unwrap_or_default().to_vec(),
                    settlements: chunks.1.unwrap_or_default().to_vec(),
                }));
            }
        }
        outgoing
    }
}

impl Identity {
    fn receipt(&self, receipt: Receipt) -> Outgoing {
        let topic = self.topics.receipt(&receipt.gateway);
        let (payload, _) = wire::seal(&receipt, None, &self.deployment, &topic, &self.key);
        Outgoing {
            topic,
            payload: payload.into(),
        }
    }
}
