//! What sums with noise give away, and whether they may.

use privacy::Agreed;
use wire::{Reason, WindowStart};

use super::Answers;
use super::asked::Asked;
use crate::HolderError;
use crate::ledger::Charge;

impl Answers {
    /// What a sum with noise gives away, unless that is more than may be: it is spent with the consent.
    pub(super) fn charge(
        &mut self,
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
            let left = noise.agreed.left(&(before + noise.cost));
            self.budgets
                .left(feeder, period.start, left / noise.agreed.limit);
            if left < 0.0 {
                return Ok(Err(Reason::BudgetSpent));
            }
        }
        let cost = noise.cost;
        Ok(Ok(Some(Charge { cost, period })))
    }

    /// What feeders have left, by what an earlier process consented to: each in its newest period, under the terms of its newest window.
    pub(super) fn recall_budgets(&mut self) -> Result<(), HolderError> {
        for (feeder, window) in self.ledger.newest_given()? {
            let terms = self.parts.values().map(|part| &part.terms);
            let terms = terms.filter(|terms| terms.from <= window);
            let terms = terms.max_by_key(|terms| terms.generation);
            let agreed = terms.and_then(|terms| Agreed::of(terms, [&feeder].into_iter()).ok()?);
            let Some(agreed) = agreed else {
                continue;
            };
            let period = agreed.period(window);
            let none = WindowStart(period.end);
            let given = self.ledger.given_away(&feeder, &period, none)?;
            let left = agreed.left(&given) / agreed.limit;
            self.budgets.left(&feeder, period.start, left);
        }
        Ok(())
    }
}
