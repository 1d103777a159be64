//! A part that the operator could not open is divided; its reports are asked for again until they have come, or nothing
//! is left that would take them.

use service::trust::Roster;
use wire::SettlementOutcome as Outcome;

use super::{Engine, Event};
use crate::metrics;
use crate::store::{Store, StoreError, SumKey};
use crate::trace;
use crate::windows::Division;

/// How long after the first time the reports of a part are asked for again, in milliseconds of reach; each pause doubles.
const FIRST_PAUSE_MS: u64 = 5_000;

/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 3_600_000;

/// When the reports of a part are asked for again, in milliseconds of reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking {
    at_ms: u64,
    pause_ms: u64,
}

impl<S: Store> Engine<S> {
    /// Divides a part that did not open, or that has meters which spoil sums.
    pub(super) fn divide(
        &mut self,
        key: &SumKey,
        roster: &Roster,
        active_ms: u64,
    ) -> Result<Division, StoreError> {
        let is_enrolled = |number| roster.has_number(&key.feeder, number);
        let windows = &mut self.windows;
        let division = windows.divide(key, &is_enrolled, active_ms, &mut self.store)?;
        if division == Division::Done {
            if let Some(divided) = self.unsettled.remove(key) {
                trace::divided(&self.identity.deployment, key, &divided.digest);
            }
            metrics::divided();
            tracing::error!(
                feeder = %key.feeder, window = key.window.0, part = key.part.0,
                "the operator did not open a release: its reports are asked for again, in smaller parts, or without who spoils it"
            );
            self.ready.events.push(Event::Divided(key.clone()));
            self.ask_for(key, roster, active_ms)?;
        }
        Ok(division)
    }

    /// Asks the gateways for what has not come again; they have nothing more to keep once no part takes it.
    pub(super) fn ask_again(&mut self, roster: &Roster, active_ms: u64) -> Result<(), StoreError> {
        for (key, is_awaited) in self.windows.divisions() {
            if !is_awaited {
                self.asking.remove(&key);
                self.announce(&key, Outcome::Refused, roster)?;
            } else if self
                .asking
                .get(&key)
                .is_none_or(|asking| asking.at_ms <= active_ms)
            {
                self.ask_for(&key, roster, active_ms)?;
            }
        }
        Ok(())
    }

    fn ask_for(&mut self, key: &SumKey, roster: &Roster, active_ms: u64) -> Result<(), StoreError> {
        let before = self.asking.get(key);
        let pause_ms = before.map_or(FIRST_PAUSE_MS, |asking| asking.pause_ms * 2);
        let pause_ms = pause_ms.min(LONGEST_PAUSE_MS);
        let asking = Asking {
            at_ms: active_ms + pause_ms,
            pause_ms,
        };
        self.asking.insert(key.clone(), asking);
        self.announce(key, Outcome::Wanted, roster)
    }
}
