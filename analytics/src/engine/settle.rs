//! What became of a part, for the gateways that have reports in it: they keep those until then.

use service::trust::Roster;
use wire::{MeterId, Part, Reason, SettlementOutcome as Outcome, SumReceipt, SumStatus};

use super::{Engine, Event};
use crate::admit::Address;
use crate::metrics;
use crate::store::{Stage, Store, StoreError, SumKey};
use crate::trace;
use crate::windows::{Division, Held};

impl<S: Store> Engine<S> {
    /// Records the operator's receipt, whose signature has been checked. `active_ms`: milliseconds during which the broker
    /// was within reach.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read. Nothing has changed then; the release is sent again, and answered
    /// again.
    pub fn settle(
        &mut self,
        receipt: &SumReceipt,
        roster: &Roster,
        active_ms: u64,
    ) -> Result<(), StoreError> {
        let key = SumKey {
            feeder: receipt.feeder.clone(),
            window: receipt.window,
            part: receipt.part,
        };
        let awaited = self.unsettled.get_mut(&key);
        let Some(awaited) = awaited.filter(|awaited| awaited.digest == receipt.digest) else {
            return Ok(());
        };
        let stage = match receipt.status {
            SumStatus::Taken | SumStatus::Duplicate => Stage::Settled,
            SumStatus::Rejected(reason) if !reason.is_final() => {
                awaited.put_off(reason, active_ms, self.identity.first_wait_ms);
                return Ok(());
            }
            SumStatus::Rejected(reason) => return self.refused(&key, reason, roster),
            // The rest of an area is not divided.
            SumStatus::Divide if !awaited.pooled.is_empty() => {
                return self.refused(&key, Reason::NotOpened, roster);
            }
            SumStatus::Divide => match self.divide(&key, roster, active_ms)? {
                Division::Done => return Ok(()),
                // The roster without who spoils it is on its way.
                Division::TooEarly => {
                    if let Some(awaited) = self.unsettled.get_mut(&key) {
                        let first_wait_ms = self.identity.first_wait_ms;
                        awaited.put_off(Reason::NotReady, active_ms, first_wait_ms);
                    }
                    return Ok(());
                }
                Division::Impossible => return self.refused(&key, Reason::NotOpened, roster),
            },
        };
        self.end(&key, stage, roster)
    }

    /// A release is in no total, because of `reason`, and that is final.
    pub(super) fn refused(
        &mut self,
        key: &SumKey,
        reason: Reason,
        roster: &Roster,
    ) -> Result<(), StoreError> {
        self.end(key, Stage::Refused, roster)?;
        if reason == Reason::BatchCollected {
            self.windows.collected(key);
        }
        tracing::error!(
            feeder = %key.feeder, window = key.window.0, part = key.part.0, %reason,
            "the operator refused a release, or put it off until its retention was over: its readings are in no total, unless \
             another service's release has them"
        );
        Ok(())
    }

    /// The end of a release.
    fn end(&mut self, key: &SumKey, stage: Stage, roster: &Roster) -> Result<(), StoreError> {
        let pooled = self.unsettled.get(key).map(|ended| ended.pooled.clone());
        let pooled = pooled.unwrap_or_default();
        for key in [key].into_iter().chain(&pooled) {
            self.announce(key, outcome_of(stage), roster)?;
        }
        metrics::settled(stage == Stage::Refused);
        let ended = self.unsettled.remove(key);
        for key in &pooled {
            self.windows.settled(key, stage);
        }
        if self.windows.settled(key, stage) {
            if let Some(ended) = ended {
                trace::settled(&self.identity.deployment, key, &ended.digest);
            }
            self.ready.events.push(Event::Settled(key.clone()));
        }
        Ok(())
    }

    /// Tells every gateway with a report in a part what became of it.
    pub(super) fn announce(
        &mut self,
        key: &SumKey,
        outcome: Outcome,
        roster: &Roster,
    ) -> Result<(), StoreError> {
        let gateway_of = |meter: &MeterId| roster.meter(meter).map(|entry| entry.gateway);
        let windows = &self.windows;
        for gateway in windows.gateways(key, gateway_of, &mut self.store)? {
            self.tell(gateway.clone(), key.clone(), outcome);
        }
        Ok(())
    }

    /// A report came again that is in `part`. Its gateway may have missed what became of that.
    pub(super) fn duplicate(&mut self, address: &Address, part: Part) -> Result<(), StoreError> {
        metrics::duplicate();
        let key = SumKey {
            feeder: address.feeder.clone(),
            window: address.window,
            part,
        };
        if let Some(stage) = self.windows.end_of(&key, &mut self.store)? {
            self.tell(address.gateway.clone(), key, outcome_of(stage));
        }
        Ok(())
    }

    /// A sum is withheld for good, because of `why`.
    pub(super) fn withheld(
        &mut self,
        held: &Held,
        roster: &Roster,
        why: &str,
    ) -> Result<(), StoreError> {
        let Held { key, contributors } = held;
        tracing::warn!(
            feeder = %key.feeder, window = key.window.0, part = key.part.0, contributors,
            "withheld for good: too few meters, and {why}"
        );
        metrics::withheld();
        self.announce(key, Outcome::Refused, roster)
    }
}

/// What gateways are told of a sum in this stage. The readings of what is left of a divided one are in no total.
fn outcome_of(stage: Stage) -> Outcome {
    match stage {
        Stage::Settled => Outcome::Released,
        _ => Outcome::Refused,
    }
}
