//! What gateways are told.

use wire::{Receipt, ReceiptEntry, Status};

use super::{Engine, Identity, Outgoing};
use crate::admit::Address;
use crate::store::Store;

impl<S: Store> Engine<S> {
    pub(super) fn answer(&mut self, address: Address, status: Status) {
        self.answers
            .entry(address.gateway)
            .or_default()
            .push(ReceiptEntry {
                meter: address.meter,
                window: address.window,
                digest: address.digest,
                status,
            });
    }

    /// Seals the answers: of each gateway's, as few messages as will hold them.
    pub(super) fn receipts(&mut self) -> Vec<Outgoing> {
        let Identity {
            deployment,
            id,
            topics,
            key,
            receipt_entries,
        } = &self.identity;
        let mut outgoing = Vec::new();
        for (gateway, entries) in self.answers.drain() {
            let topic = topics.receipt(&gateway);
            for chunk in entries.chunks((*receipt_entries).max(1)) {
                let receipt = Receipt {
                    analytics: id.clone(),
                    gateway: gateway.clone(),
                    entries: chunk.to_vec(),
                };
                let (payload, _) = wire::seal(&receipt, None, deployment, &topic, key);
                outgoing.push(Outgoing {
                    topic: topic.clone(),
                    payload: payload.into(),
                });
            }
        }
        outgoing
    }
}
