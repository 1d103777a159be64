//! What became of a part, for the gateways that have reports in it: they keep those until then.

use service::trust::Roster;
use wire::{MeterId, Part, Reason, SettlementOutcome as Outcome, SumReceipt, SumStatus};

use super::{Engine, Event};
use crate::admit::Address;
use crate::metrics;
use crate::store::{Stage, Store, StoreError, SumKey};
use crate::trace;
use crate::windows::Held;

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
        let awaited = self.unsettled.get(&key);
        if awaited.is_none_or(|digest| *digest != receipt.digest) {
            return Ok(());
        }
        let stage = match receipt.status {
            SumStatus::Taken | SumStatus::Duplicate => Stage::Settled,
            SumStatus::Rejected(reason) if is_transient(reason) => return Ok(()),
            SumStatus::Rejected(_) => Stage::Refused,
            SumStatus::Divide => match self.divide(&key, roster, active_ms)? {
                true => return Ok(()),
                false => Stage::Refused,
            },
        };
        self.announce(&key, outcome_of(stage), roster)?;
        metrics::settled(stage == Stage::Refused);
        if stage == Stage::Refused {
            let reason = match receipt.status {
                SumStatus::Rejected(reason) => reason,
                _ => Reason::NotOpened,
            };
            if reason == Reason::BatchCollected {
                self.windows.collected(&key);
            }
            tracing::error!(
                feeder = %key.feeder, window = key.window.0, part = key.part.0, %reason,
                "the operator refused a release: its readings are in no total, unless another service's release has them"
            );
        }
        self.unsettled.remove(&key);
        if self.windows.settled(&key, stage) {
            trace::settled(&self.identity.deployment, &key, &receipt.digest);
            self.ready.events.push(Event::Settled(key));
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

/// Reasons for which a release is worth sending again as it is.
fn is_transient(reason: Reason) -> bool {
    use Reason::{KeySpent, NotReady, Overloaded, ReportTooEarly, UnknownAnalytics, UnknownPlan};
    matches!(
        reason,
        KeySpent | NotReady | Overloaded | ReportTooEarly | UnknownAnalytics | UnknownPlan
    )
}
