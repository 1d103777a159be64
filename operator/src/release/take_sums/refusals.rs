//! Whether a sum may be looked at, by the refusals that are left.

use wire::{Digest, Plan, Reason, Sum, SumStatus};

use super::SumTaker;
use crate::release::budget::Counted;
use crate::release::ledger::LedgerError;
use crate::release::opening::name_of;
use crate::release::refused::Refused;
use crate::release::take_result::TakeResult;

impl SumTaker {
    /// A sum that is refused for good.
    pub(super) fn rejected(&self, sum: &Sum, digest: &Digest, reason: Reason) -> TakeResult {
        TakeResult::Rejected {
            feeder: sum.feeder.clone(),
            window: Some((sum.window, sum.part)),
            reason,
            message: Some(self.receipt(sum, digest, SumStatus::Rejected(reason))),
        }
    }

    /// The refusals of a sum's key epoch, with those of its group that the ledger does not have yet.
    pub(super) fn counted(
        &mut self,
        sum: &Sum,
        failed: &[Refused],
    ) -> Result<Counted, LedgerError> {
        let in_group = failed.iter().filter(|other| other.epoch == sum.epoch);
        let name = match &sum.rest {
            Some(rest) => name_of(&rest.area),
            None => sum.feeder.clone(),
        };
        let of_feeder = in_group.clone().filter(|other| other.feeder == name);
        Ok(Counted {
            all: self.ledger.refusals(sum.epoch)? + in_group.count() as u32,
            feeder: self.ledger.refusals_of(sum.epoch, &name)? + of_feeder.count() as u32,
        })
    }

    /// Whether a sum, and the parts that would replace it, may still fail under its key.
    pub(super) fn may_fail(&self, sum: &Sum, plan: &Plan, counted: Counted) -> bool {
        let is_alone = plan
            .feeders
            .iter()
            .all(|setting| setting.feeder == sum.feeder);
        let parts = partition_len(sum, plan);
        self.budget.allows(sum, parts, counted, is_alone)
    }
}

/// How many parts would replace a sum; none would replace the rest of an area.
pub(super) fn partition_len(sum: &Sum, plan: &Plan) -> u32 {
    match &sum.rest {
        Some(_) => 0,
        None => sum.set.partition_len(plan.min_meters),
    }
}
