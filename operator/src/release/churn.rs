//! Who is in a feeder's sums now and was not in the window before, or the other way round.

use release::churn::Churn;
use wire::{ContributorSet, Plan, Sum};

use super::ledger::{Ledger, LedgerError};
use super::opening::Stage;

/// Between the sums that were released of the window before and `sum`, if it is the only one of its window so far. It has been
/// spent.
pub(super) fn since_the_window_before(
    ledger: &mut Ledger,
    sum: &Sum,
    plan: &Plan,
) -> Result<Option<Churn>, LedgerError> {
    // Whose feeders are too small differs from window to window, so that of a rest says little.
    if sum.rest.is_some() {
        return Ok(None);
    }
    let grid = plan.grid().ok();
    let Some(before) = grid.and_then(|grid| grid.window_before(sum.window)) else {
        return Ok(None);
    };
    if ledger.window(&sum.feeder, sum.window)?.len() != 1 {
        return Ok(None);
    }
    let before = ledger.window(&sum.feeder, before)?;
    let mut earlier = ContributorSet::default();
    for opening in &before {
        match (&opening.set, opening.stage) {
            (Some(set), Stage::Released) => earlier.merge(set),
            _ => continue,
        }
    }
    Ok((!earlier.is_empty()).then(|| Churn::between(&earlier, &sum.set)))
}
