//! What sums with noise give away, and whether they may.

use privacy::Agreed;
use wire::{FeederId, Reason, WindowStart};

use super::Answers;
use super::asked::Asked;
use crate::HolderError;
use crate::ledger::Charge;

impl Answers {
    /// What a sum with noise gives away, unless that is more than may be: it is spent with the consent.
    pub(super) fn charge(
        &self,
        asked: &Asked,
    ) -> Result<Result<Option<Charge>, Reason>, HolderError> {
        let Some(noise) = &asked.noise else {
            return Ok(Ok(None));
        };
        let sum = &asked.sum;
        if let Err(reason) = noise.checked {
            return Ok(Err(reason));
        }
        let period = noise.agreed.period(sum.window);
        for share in sum.shares() {
            let feeder = share.feeder;
            let before = self.ledger.given_away(feeder, &period, sum.window)?;
            if noise.agreed.left(&(before + noise.cost)) < 0.0 {
                return Ok(Err(Reason::BudgetSpent));
            }
        }
        let cost = noise.cost;
        Ok(Ok(Some(Charge { cost, period })))
    }

    /// What the feeders of a sum that was consented to have left.
    pub(super) fn count_left(&mut self, asked: &Asked) -> Result<(), HolderError> {
        if let Some(noise) = &asked.noise {
            for share in asked.sum.shares() {
                self.feeder_left(share.feeder, &noise.agreed, asked.sum.window)?;
            }
        }
        self.forget_ended()
    }

    /// What feeders have left, by what an earlier process consented to: each in its newest period, under the terms of its newest window.
    pub(super) fn recall_budgets(&mut self) -> Result<(), HolderError> {
        for (feeder, window) in self.ledger.newest_given()? {
            let terms = self.parts.values().map(|part| &part.terms);
            let terms = terms.filter(|terms| terms.from <= window);
            let terms = terms.max_by_key(|terms| terms.generation);
            let agreed = terms.and_then(|terms| Agreed::of(terms, [&feeder].into_iter()).ok()?);
            if let Some(agreed) = agreed {
                self.feeder_left(&feeder, &agreed, window)?;
            }
        }
        self.forget_ended()
    }

    /// What a feeder has left in the period of a window.
    fn feeder_left(
        &mut self,
        feeder: &FeederId,
        agreed: &Agreed,
        window: WindowStart,
    ) -> Result<(), HolderError> {
        let period = agreed.period(window);
        let none = WindowStart(period.end);
        let given = self.ledger.given_away(feeder, &period, none)?;
        let left = agreed.left(&given) / agreed.limit;
        self.budgets.left(feeder, period, left);
        Ok(())
    }

    /// A feeder that has no more sums has all of its budget again when its period is over.
    fn forget_ended(&mut self) -> Result<(), HolderError> {
        let newest = self.ledger.newest_window()?;
        self.budgets.forget_ended(newest);
        Ok(())
    }
}
