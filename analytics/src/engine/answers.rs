//! What gateways are told.

use std::collections::BTreeMap;

use wire::{
    FeederId, GatewayId, Part, Receipt, ReceiptEntry, Settlement, SettlementOutcome as Outcome,
    Status,
};

use super::{Effects, Engine, Event, Identity, Outgoing};
use crate::admit::Address;
use crate::store::{Store, SumKey};

/// What one gateway is told.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Each with the feeder of the report.
    entries: Vec<(FeederId, ReceiptEntry)>,
    /// What became of parts that its meters are in.
    settlements: BTreeMap<SumKey, Outcome>,
}

impl Answers {
    /// The feeders that it tells of, with repetitions.
    pub(super) fn feeders(&self) -> impl Iterator<Item = &FeederId> {
        let entries = self.entries.iter().map(|(feeder, _)| feeder);
        entries.chain(self.settlements.keys().map(|key| &key.feeder))
    }

    /// How many reports it tells of.
    pub(super) fn reports(&self) -> usize {
        self.entries.len()
    }

    /// Tells nothing of these feeders.
    pub(super) fn let_go(&mut self, is_gone: &dyn Fn(&FeederId) -> bool) {
        self.entries.retain(|(feeder, _)| !is_gone(feeder));
        self.settlements.retain(|key, _| !is_gone(&key.feeder));
    }

    /// What is told now; what it tells of feeders that wait stays.
    fn take(&mut self, waits: impl Fn(&FeederId) -> bool) -> (Vec<ReceiptEntry>, Vec<Settlement>) {
        let told = self.entries.extract_if(.., |(feeder, _)| !waits(feeder));
        let told = told.map(|(_, entry)| entry).collect();
        let ended = self
            .settlements
            .extract_if(.., |key, _| !waits(&key.feeder));
        let ended = ended.map(|(key, outcome)| Settlement {
            feeder: key.feeder,
            window: key.window,
            part: key.part,
            outcome,
        });
        (told, ended.collect())
    }
}

impl<S: Store> Engine<S> {
    /// Answers a report; `part` is the one it is in, 0 if it is in none.
    pub(super) fn answer(&mut self, address: Address, status: Status, part: Part) {
        if !self.holds(self.shard(&address.feeder)) {
            return;
        }
        if status == Status::Folded {
            self.cadence.folded(&address.feeder);
        }
        let answers = self.answers.entry(address.gateway).or_default();
        let entry = ReceiptEntry {
            meter: address.meter,
            window: address.window,
            digest: address.digest,
            status,
            part,
        };
        answers.entries.push((address.feeder, entry));
    }

    /// Tells a gateway what became of a part.
    pub(super) fn tell(&mut self, gateway: GatewayId, key: SumKey, outcome: Outcome) {
        if !self.holds(self.shard(&key.feeder)) {
            return;
        }
        self.cadence.at_once(&key.feeder);
        let answers = self.answers.entry(gateway).or_default();
        answers.settlements.insert(key, outcome);
    }

    /// Seals the answers, but those of feeders that wait: of each gateway's, as few messages as will hold them.
    pub(super) fn receipts(&mut self, effects: &mut Effects) {
        let most = self.identity.receipt_entries.max(1);
        let (mut folded, mut duplicate) = (0, 0);
        for (gateway, answers) in &mut self.answers {
            let (entries, settlements) = answers.take(|feeder| self.windows.waits(feeder));
            for entry in &entries {
                match entry.status {
                    Status::Folded => folded += 1,
                    Status::Duplicate => duplicate += 1,
                    Status::Rejected(_) => {}
                }
            }
            let mut entries = entries.chunks(most);
            // With the last of the entries and after it: one of those may say that a report is in a settled part.
            let before = std::iter::repeat_n(&[][..], entries.len().saturating_sub(1));
            let mut settlements = before.chain(settlements.chunks(most));
            loop {
                let chunks = (entries.next(), settlements.next());
                if chunks == (None, None) {
                    break;
                }
                effects.outgoing.push(self.identity.receipt(Receipt {
                    analytics: self.identity.id.clone(),
                    gateway: gateway.clone(),
                    entries: chunks.0.unwrap_or_default().to_vec(),
                    settlements: chunks.1.unwrap_or_default().to_vec(),
                }));
            }
        }
        self.answers.retain(|_, answers| answers.reports() > 0);
        for (count, event) in [
            (folded, Event::Folded(folded)),
            (duplicate, Event::Duplicate(duplicate)),
        ] {
            if count > 0 {
                effects.events.push(event);
            }
        }
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
