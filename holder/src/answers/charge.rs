//! What sums with noise give away, and whether they may.

use wire::Reason;

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
        if let Err(reason) = noise.check(sum, self.day_min_meters) {
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
}
