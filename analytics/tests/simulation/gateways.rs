//! The gateways: an outbox that keeps a report until a receipt names its digest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use analytics::store::SumKey;
use wire::{
    Digest, GatewayId, Opened, Part, Reason, Receipt, ReceiptEntry, Settlement, SettlementOutcome,
    Status, Unverified,
};

use crate::world::{
    HANDED_OVER, RETENTION_WINDOWS, Sealed, Slot, Stage, WORLD, feeder, gateway, service_of,
    slot_of, start,
};

/// What a gateway was told in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// `folded` or `duplicate`.
    Counted,
    /// `rejected`, for good.
    Refused(Reason),
}

#[derive(Debug)]
pub(crate) struct SimulatedReport {
    pub(crate) sealed: Arc<Sealed>,
    pub(crate) second_plan: bool,
    pub(crate) told: Option<Told>,
    /// The part it counts in.
    part: Option<Part>,
    /// What its gateway was told of that part last. It keeps the report until then.
    settled: Option<SettlementOutcome>,
}

impl SimulatedReport {
    /// Whether it was asked for again.
    pub(crate) fn is_wanted(&self) -> bool {
        self.settled == Some(SettlementOutcome::Wanted)
    }

    /// Whether its gateway still has it, and would send it if it was asked to.
    pub(crate) fn is_kept(&self) -> bool {
        let over = matches!(
            self.settled,
            Some(SettlementOutcome::Released | SettlementOutcome::Refused)
        );
        self.told == Some(Told::Counted) && !over
    }
}

/// All gateways' outboxes; each entry is a slot and a variant. Receipts find their entry by what they say, as they
/// find their gateway by topic.
#[derive(Debug, Default)]
pub(crate) struct Gateways {
    pub(crate) entries: BTreeMap<(Slot, u8), SimulatedReport>,
    by_digest: HashMap<Digest, (Slot, u8)>,
    /// Every digest a receipt called counted, by slot: there must never be two.
    pub(crate) counted: BTreeMap<Slot, Digest>,
    /// The service that said so first.
    pub(crate) counted_by: BTreeMap<Slot, usize>,
    /// How far the plan that gateways have says the feeder is handed over.
    pub(crate) stage: Option<Stage>,
    /// Receipts' entries, by what they said.
    pub(crate) folded: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: BTreeMap<&'static str, u64>,
}

impl Gateways {
    /// Seals the report of a slot, unless that was done.
    pub(crate) fn seal(&mut self, slot: Slot, variant: u8, second_plan: bool) {
        let sealed = WORLD.report(slot, second_plan, variant);
        self.by_digest.insert(sealed.digest, (slot, variant));
        self.entries
            .entry((slot, variant))
            .or_insert(SimulatedReport {
                sealed,
                second_plan,
                told: None,
                part: None,
                settled: None,
            });
    }

    /// The reports that were asked for again.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &SimulatedReport> {
        self.entries.values().filter(|entry| entry.is_wanted())
    }

    /// What the gateway was told of the part that the report of a slot is in.
    pub(crate) fn settled_as(&self, slot: Slot) -> Option<SettlementOutcome> {
        self.counted_report(slot)?.settled
    }

    /// Whether the gateway still has the report of a slot that counts.
    pub(crate) fn is_kept(&self, slot: Slot) -> bool {
        self.counted_report(slot)
            .is_some_and(SimulatedReport::is_kept)
    }

    fn counted_report(&self, slot: Slot) -> Option<&SimulatedReport> {
        let of_slot = self.entries.range((slot, 0)..=(slot, u8::MAX));
        let mut counted = of_slot.map(|(_, entry)| entry);
        counted.find(|entry| entry.told == Some(Told::Counted))
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = &SimulatedReport> {
        self.entries.values().filter(|entry| entry.told.is_none())
    }

    /// Takes a receipt. `newest`: the newest window that any meter has sent; `is_taken`: what the operator says of a part.
    pub(crate) fn take(
        &mut self,
        topic: &str,
        payload: &[u8],
        newest: u64,
        is_taken: impl Fn(&SumKey) -> bool,
    ) -> Result<(), String> {
        let receipt: Unverified<Receipt> = wire::decode(payload, payload.len()).unwrap();
        let sender = service_of(&receipt.claimed().analytics);
        let opened: Opened<Receipt> = receipt
            .verify(
                &WORLD.settings.deployment.id,
                topic,
                &WORLD.analytics[sender].verifying_key(),
            )
            .map_err(|error| error.to_string())?;
        let stage = self.stage.unwrap_or(Stage::Whole);
        for entry in opened.message.entries {
            let slot = slot_of(&entry.meter, entry.window);
            let Some((named, variant)) = self.by_digest.get(&entry.digest).copied() else {
                return Err(format!(
                    "a receipt names {}, which nobody sent",
                    entry.digest
                ));
            };
            if named != slot {
                return Err(format!(
                    "a receipt names {slot:?} for the digest of {named:?}"
                ));
            }
            if !stage.counts(slot.feeder, sender) {
                continue;
            }
            if matches!(entry.status, Status::Folded | Status::Duplicate) {
                // What one of a pool has counted any other can release.
                let by = if stage == Stage::Pool { 0 } else { sender };
                self.counted_by.entry(slot).or_insert(by);
            }
            self.told((slot, variant), &entry, newest)?;
        }
        let gateway = opened.message.gateway;
        for settlement in opened.message.settlements {
            self.settle(&gateway, settlement, &is_taken)?;
        }
        Ok(())
    }

    /// A gateway is told what became of a part.
    fn settle(
        &mut self,
        to: &GatewayId,
        settlement: Settlement,
        is_taken: impl Fn(&SumKey) -> bool,
    ) -> Result<(), String> {
        let Settlement {
            feeder: id,
            window,
            part,
            outcome,
        } = settlement;
        let key = SumKey {
            feeder: id,
            window,
            part,
        };
        if outcome == SettlementOutcome::Released && !is_taken(&key) {
            return Err(format!("a gateway is told that {key:?} is released"));
        }
        let in_part = self.entries.iter_mut().filter(|((slot, _), entry)| {
            gateway(*slot) == *to
                && feeder(slot.feeder) == key.feeder
                && start(slot.window) == key.window
                && entry.part == Some(key.part)
        });
        for (_, entry) in in_part {
            // A message that was asked for the report came late.
            if outcome != SettlementOutcome::Wanted || entry.is_kept() {
                entry.settled = Some(outcome);
            }
        }
        Ok(())
    }

    fn told(&mut self, report: (Slot, u8), said: &ReceiptEntry, newest: u64) -> Result<(), String> {
        let slot = report.0;
        let ReceiptEntry {
            digest,
            status,
            part,
            ..
        } = *said;
        let Some(entry) = self.entries.get_mut(&report) else {
            return Err(format!("a receipt for {slot:?}, which was not sent"));
        };
        match status {
            Status::Folded | Status::Duplicate => {
                match status {
                    Status::Folded => self.folded += 1,
                    _ => self.duplicates += 1,
                }
                let first = *self.counted.entry(slot).or_insert(digest);
                if first != digest {
                    return Err(format!("both {first} and {digest} count for {slot:?}"));
                }
                if entry.sealed.digest == digest {
                    entry.told = Some(Told::Counted);
                    // Messages overtake each other: of a window's parts, a later one replaces an earlier one.
                    if entry.part < Some(part) {
                        entry.part = Some(part);
                        entry.settled = None;
                    }
                }
                return Ok(());
            }
            Status::Rejected(reason) => self.refused(report, digest, reason, newest)?,
        }
        let told = self.entries.get(&report).and_then(|entry| entry.told);
        if told == Some(Told::Refused(Reason::Conflict)) && self.counted.get(&slot) == Some(&digest)
        {
            return Err(format!("{slot:?} counts, and conflicts with itself"));
        }
        Ok(())
    }

    /// A refusal must be one of those that the model allows for.
    fn refused(
        &mut self,
        report: (Slot, u8),
        digest: Digest,
        reason: Reason,
        newest: u64,
    ) -> Result<(), String> {
        let (slot, variant) = report;
        let conflicts = (0..2).all(|variant| self.entries.contains_key(&(slot, variant)));
        let Some(entry) = self.entries.get_mut(&report) else {
            return Err(format!("a receipt for {slot:?}, which was not sent"));
        };
        *self.rejected.entry(reason.as_str()).or_default() += 1;
        // Gateways have forgotten what was settled before the feeder was handed over.
        let forgotten = self.stage == Some(Stage::Moved) && slot.feeder == HANDED_OVER;
        match reason {
            _ if forgotten && entry.told.is_some() => {}
            // The feeder is being given up.
            Reason::NotReady if slot.feeder == HANDED_OVER => {}
            // Its window was released by the owner before.
            Reason::BatchCollected if forgotten => {
                entry.told = Some(Told::Refused(reason));
            }
            // It was sealed under the first plan. Now its gateway has the second, and seals it again.
            Reason::WrongEpoch | Reason::OutdatedConfig if !entry.second_plan => {
                let sealed = WORLD.report(slot, true, variant);
                self.by_digest.insert(sealed.digest, (slot, variant));
                entry.sealed = sealed;
                entry.second_plan = true;
            }
            // An answer to what was sealed before.
            _ if entry.sealed.digest != digest => {}
            // Analytics has yet to hear of the plan.
            Reason::UnknownEpoch if entry.second_plan => {}
            Reason::Conflict if conflicts => {
                entry.told = Some(Told::Refused(reason));
            }
            Reason::ReportTooLate if slot.window + RETENTION_WINDOWS < newest => {
                entry.told.get_or_insert(Told::Refused(reason));
                // What became of it is forgotten. There is nothing to keep it for.
                entry.settled = Some(SettlementOutcome::Refused);
            }
            _ => return Err(format!("{slot:?} variant {variant} was refused: {reason}")),
        }
        Ok(())
    }
}
