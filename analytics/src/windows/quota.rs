//! How much room each party may have, so that nobody fills what others need.
//!
//! - A sum that nothing releases now, because too few are in it, takes no room of others: it is on disk, and its ciphertext in
//!   memory only while there is room for it. It counts for each meter that is in it, and a meter may be in
//!   [`max_small`](super::Rules::max_small) of them.
//! - Any other sum takes room until the operator has answered for it. Each feeder has room for some of its own, which no other
//!   feeder can take, and may have an eighth of what is common. There are [`max_open`](super::Rules::max_open) in all.
//! - A feeder with such a sum is one of [`max_feeders`](super::Rules::max_feeders). So it takes a minimum group of enrolled
//!   meters to be one.

use service::failpoint;
use wire::{MeterId, Reason};

use super::room::{Counts, OfAll, OfFeeder};
use super::{Contribution, Feeder, Rules, Sum, Windows};
use crate::store::{Stage, SumKey};

/// Feeders that may share all that is common.
const SHARES: usize = 8;

impl Sum {
    fn should_count(&self, rules: &release::Rules) -> Counts {
        match self.row.stage {
            Stage::Released => Counts::Released,
            Stage::Pooled => Counts::Small,
            _ if failpoint::sabotaged("small_sums") => Counts::Open,
            Stage::Held if self.is_withheld(rules) => Counts::Small,
            _ if self.row.replaces.is_some() => Counts::Open,
            _ if takes_room(self.row.contributors, rules.min_meters) => Counts::Open,
            _ => Counts::Small,
        }
    }
}

/// Whether a sum of so many takes room of others.
fn takes_room(contributors: u32, min_meters: u32) -> bool {
    contributors >= min_meters.max(1) || failpoint::sabotaged("small_sums")
}

impl Windows {
    /// Whether there is room for a new contributor, in a sum that is there or in one that is opened.
    pub(super) fn has_room(
        &self,
        feeder: Option<&Feeder>,
        sum: Option<&Sum>,
        contribution: &Contribution<'_>,
    ) -> Result<(), Reason> {
        let none = OfFeeder::default();
        let quota = feeder.map_or(&none, |feeder| &feeder.quota);
        let contributors = sum.map_or(0, |sum| sum.row.contributors) + 1;
        let counts = sum.map_or(Counts::Small, |sum| sum.counts);
        let min_meters = self.min_meters.of(contribution.report.window);
        let has_room = match counts {
            Counts::Open | Counts::Released => true,
            Counts::Small if takes_room(contributors, min_meters) => self.has_room_for_sum(quota),
            Counts::Small => {
                let small = quota.small.get(&contribution.report.meter);
                let is_full = small.is_some_and(|sums| *sums >= self.rules.max_small);
                !is_full || failpoint::sabotaged("meter_quota")
            }
        };
        has_room.then_some(()).ok_or(Reason::TooManyOpen)
    }

    fn has_room_for_sum(&self, quota: &OfFeeder) -> bool {
        let rules = &self.rules;
        if !quota.takes_room() && self.quota.feeders >= rules.max_feeders {
            return false;
        }
        if failpoint::sabotaged("feeder_share") {
            let open = self.feeders.values().map(|feeder| feeder.quota.open);
            return open.sum::<usize>() < rules.max_open;
        }
        let share = (rules.common() / SHARES).max(1).min(rules.common());
        quota.open < rules.own()
            || (quota.open - rules.own() < share && self.quota.common < rules.common())
    }

    /// Counts a sum as what it is by now.
    pub(super) fn recount(&mut self, key: &SumKey) {
        let Some(feeder) = self.feeders.get_mut(&key.feeder) else {
            return;
        };
        let window = feeder.windows.get_mut(&key.window);
        let active = window.and_then(|window| window.active.as_mut());
        let Some(sum) = active.and_then(|active| active.sum_mut(key.part)) else {
            return;
        };
        let rules = self.rules.of(&self.min_meters, key.window);
        let after = sum.should_count(&rules);
        let before = std::mem::replace(&mut sum.counts, after);
        if after != Counts::Small {
            let quota = &mut feeder.quota;
            sum.few.drain(..).for_each(|meter| quota.left(&meter));
        }
        (feeder.quota).recount(&mut self.quota, &self.rules, before, after);
    }

    /// A meter is in a sum from now on, which is counted before.
    pub(super) fn joined(&mut self, key: &SumKey, meter: &MeterId) {
        self.recount(key);
        let Some(feeder) = self.feeders.get_mut(&key.feeder) else {
            return;
        };
        let window = feeder.windows.get_mut(&key.window);
        let active = window.and_then(|window| window.active.as_mut());
        if let Some(sum) = active.and_then(|active| active.sum_mut(key.part))
            && sum.counts == Counts::Small
        {
            sum.few.push(meter.clone());
            feeder.quota.joined(meter);
        }
    }

    /// Counts sums no longer that are taken out of a feeder.
    pub(super) fn uncount(feeder: &mut Feeder, all: &mut OfAll, rules: &Rules, sum: &Sum) {
        sum.few.iter().for_each(|meter| feeder.quota.left(meter));
        (feeder.quota).recount(all, rules, sum.counts, Counts::Small);
    }
}
